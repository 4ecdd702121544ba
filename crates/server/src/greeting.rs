//! What the terminal says at the start: where to watch, and how to publish.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
};

use crate::{config::Config, demo::Demo, secrets, wire::Listeners};

/// Prints the greeting. It is for people: the log has its own line.
pub(crate) fn print(config: &Config, addresses: &Listeners<SocketAddr>, demo: bool) {
    let greeting = Greeting { config, addresses, demo };
    // A terminal that is gone is no reason not to serve.
    let _ = write!(io::stdout().lock(), "{greeting}");
}

struct Greeting<'a> {
    config: &'a Config,
    addresses: &'a Listeners<SocketAddr>,
    demo: bool,
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (http, rtmp) = (as_host(self.addresses.http), as_host(self.addresses.rtmp));
        writeln!(f, "\nMillrace {}\n", env!("CARGO_PKG_VERSION"))?;
        if self.demo {
            writeln!(f, "  Open     http://{http}{}", Demo::page())?;
        }
        writeln!(f, "  Site     http://{http}/")?;
        writeln!(f, "  Publish  rtmp://{rtmp}/live")?;
        writeln!(f, "  Stop     Ctrl-C\n")?;
        if self.config.streams.is_empty() && !self.config.publish.open {
            write_first_stream(f, &http, &rtmp)?;
        }
        Ok(())
    }
}

/// How to add a stream, with a fresh key. The key means nothing until it stands in the file.
fn write_first_stream(f: &mut fmt::Formatter<'_>, http: &str, rtmp: &str) -> fmt::Result {
    let key = secrets::stream_key();
    let key = key.expose();
    write!(
        f,
        r#"Nobody can publish yet: no stream is configured. Put this into {file}, then restart,
or send SIGHUP to process {pid}. The key is fresh and random; keep it to yourself.

    [[streams]]
    app = "live"
    name = "movie"
    key = "{key}"

  OBS      Settings > Stream > Service: Custom
           Server      rtmp://{rtmp}/live
           Stream key  {key}
  FFmpeg   ffmpeg -re -i movie.mp4 -c copy -f flv rtmp://{rtmp}/live/{key}
  Watch    http://{http}/@movie

"#,
        file = crate::cli::DEFAULT_FILE,
        pid = std::process::id(),
    )
}

/// The address as one would type it on this machine.
fn as_host(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}
