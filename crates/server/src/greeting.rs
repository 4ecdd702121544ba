//! What the terminal says at the start: where to watch, and how to publish.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
};

use millrace_site::SetupLink;

use crate::{
    config::{Config, Secret},
    demo::{self, LogIn},
    secrets,
    wire::Listeners,
};

/// Prints the greeting. It is for people: the log has its own line.
pub(crate) fn print(
    config: &Config,
    addresses: &Listeners<SocketAddr>,
    demo: Option<&LogIn>,
    setup: Option<&SetupLink>,
) {
    let stdout = io::stdout();
    // Elsewhere it is kept, as systemd's journal does, and a key is to stand in no log.
    let fresh_key = stdout.is_terminal().then(secrets::stream_key);
    let greeting = Greeting { config, addresses, demo, setup, fresh_key };
    // A terminal that is gone is no reason not to serve.
    let _ = write!(stdout.lock(), "{greeting}");
}

struct Greeting<'a> {
    config: &'a Config,
    addresses: &'a Listeners<SocketAddr>,
    /// How to log in to a demonstration.
    demo: Option<&'a LogIn>,
    /// While the site has no administrator.
    setup: Option<&'a SetupLink>,
    /// A proposal for the first stream.
    fresh_key: Option<Secret>,
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (http, rtmp) = (as_host(self.addresses.http), as_host(self.addresses.rtmp));
        writeln!(f, "\nMillrace {}\n", env!("CARGO_PKG_VERSION"))?;
        if self.demo.is_some() {
            writeln!(f, "  Open     http://{http}{}", demo::page())?;
        }
        writeln!(f, "  Site     http://{http}/")?;
        if let Some(link) = self.setup {
            // It works once, and only until somebody has used it: where logs are kept, the first look makes it worthless.
            writeln!(f, "  Set up   http://{http}{}", link.expose())?;
        }
        match self.demo {
            Some(LogIn { name, password: Some(password) }) => {
                writeln!(f, "  Log in   http://{http}/login as {name}, password {}", password.expose())?;
            }
            Some(LogIn { name, password: None }) => {
                let data = self.config.data_dir.display();
                writeln!(f, "  Log in   http://{http}/login as {name}; where the password is lost:")?;
                writeln!(f, "           millrace user reset-password {name} --data-dir {data}")?;
            }
            None => {}
        }
        writeln!(f, "  Publish  rtmp://{rtmp}/live")?;
        writeln!(f, "  Stop     Ctrl-C\n")?;
        if self.config.streams.is_empty() && !self.config.publish.open && self.demo.is_none() {
            write_first_stream(f, &http, &rtmp, self.fresh_key.as_ref(), self.setup.is_some())?;
        }
        Ok(())
    }
}

/// How to add a stream, with a fresh key where there is one. It means nothing until it stands in the file.
fn write_first_stream(
    f: &mut fmt::Formatter<'_>,
    http: &str,
    rtmp: &str,
    fresh_key: Option<&Secret>,
    new: bool,
) -> fmt::Result {
    if new {
        writeln!(
            f,
            "Nobody can publish yet. Open the link to set up: it makes the administrator's account, and the studio"
        )?;
        writeln!(f, "then has a channel with its stream key for you.\n")?;
    }
    let (key, words) = match fresh_key {
        Some(key) => (key.expose(), "The key is fresh and random; keep it to yourself."),
        // Too short to be taken for a key by anybody.
        None => (
            "SECRET",
            "For SECRET put a key of your own, such as\n`openssl rand -hex 16` makes; in a terminal this shows one.",
        ),
    };
    write!(
        f,
        r#"A server without a site has its streams in {file} instead: put this into it, then restart,
or send SIGHUP to process {pid}. {words}

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
pub(crate) fn as_host(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_shown_wherever_it_is_to_be_put() {
        let addresses =
            Listeners { http: ([0, 0, 0, 0], 8080).into(), rtmp: ([0, 0, 0, 0], 1935).into(), rtmps: None, ops: None };
        let greet = |config: &Config, key: &str| {
            let fresh_key = Some(Secret::new(key.to_owned()));
            Greeting { config, addresses: &addresses, demo: None, setup: None, fresh_key }.to_string()
        };
        let text = greet(&Config::default(), "k3v9xa-0q7f2m");
        for line in ["key = \"k3v9xa-0q7f2m\"", "Stream key  k3v9xa-0q7f2m", "rtmp://localhost:1935/live/k3v9xa-0q7f2m"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("SECRET"));
        let mut open = Config::default();
        open.publish.open = true;
        assert!(!greet(&open, "k3v9xa-0q7f2m").contains("k3v9xa"), "there is nothing to explain");
    }
}
