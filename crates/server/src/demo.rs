//! The demonstration: an administrator's account, and its channel. FFmpeg makes a picture with a clock and a quiet tone, and
//! publishes them over RTMP to our own port, as any encoder would.
//!
//! FFmpeg ends with us: on a signal it is asked to, when dropped it is killed, and if this process dies it loses its
//! connection and gives up by itself.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use millrace_site::{Accounts, OperatorError};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Config, Secret},
    ffmpeg::{self, Ffmpeg, Font},
    secrets,
};

/// How to log in to a demonstration.
#[derive(Debug)]
pub(crate) struct LogIn {
    /// The administrator's name.
    pub(crate) name: &'static str,
    /// Its password, where it was made just now.
    pub(crate) password: Option<Secret>,
}

/// The publisher of the demonstration channel.
#[derive(Debug)]
pub(crate) struct Demo {
    accounts: Accounts,
}

/// Takes a stream out of `config` that has the channel's name.
pub(crate) fn make_room(config: &mut Config) {
    config.streams.retain(|entry| (entry.id.app.as_str(), entry.id.name.as_str()) != (APP, NAME));
}

/// Path of the channel's page.
pub(crate) fn page() -> String {
    format!("/@{NAME}")
}

/// Makes the account and its channel, on a site that is new.
pub(crate) async fn set_up(accounts: &Accounts, is_new: bool) -> Result<LogIn, OperatorError> {
    let password = is_new.then(secrets::stream_key);
    if let Some(password) = &password {
        accounts.add_administrator(NAME, password.expose()).await?;
        accounts.key_of_channel(NAME, TITLE).await?;
    }
    Ok(LogIn { name: NAME, password })
}

impl Demo {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self { accounts }
    }

    /// Keeps the channel on air until `stop`, by starting FFmpeg as often as it takes.
    pub(crate) async fn run(self, ffmpeg: Ffmpeg, rtmp: SocketAddr, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let Some(reason) = self.publish_once(&ffmpeg, rtmp, &stop).await else { return };
            if started.elapsed() > SETTLED {
                pause = FIRST_PAUSE;
            }
            warn!(reason, retry_s = pause.as_secs(), "the demonstration channel's FFmpeg ended");
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Publishes until FFmpeg ends, and tells why it did. None when it was asked to.
    async fn publish_once(&self, ffmpeg: &Ffmpeg, rtmp: SocketAddr, stop: &CancellationToken) -> Option<String> {
        // Asked each time: its owner may reset it.
        let key = match self.accounts.key_of_channel(NAME, TITLE).await {
            Ok(key) => key,
            Err(error) => return Some(error.to_string()),
        };
        let mut child = match command(ffmpeg, rtmp, &key).spawn() {
            Ok(child) => child,
            Err(error) => return Some(error.to_string()),
        };
        info!(stream = format!("{APP}/{NAME}"), "the demonstration channel starts");
        let stderr = child.stderr.take();
        let ended = async {
            let words = last_words(stderr).await;
            (child.wait().await, words)
        };
        tokio::select! {
            (status, words) = ended => {
                // FFmpeg repeats the address that it cannot reach, and with it the key.
                let words = words.replace(&key, "…");
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Some(if words.is_empty() { status } else { format!("{words} ({status})") })
            }
            () = stop.cancelled() => {
                end(child).await;
                None
            }
        }
    }
}

fn command(ffmpeg: &Ffmpeg, rtmp: SocketAddr, key: &str) -> Command {
    let url = format!("rtmp://{}/{APP}/{key}", reachable(rtmp));
    let mut command = Command::new(&ffmpeg.path);
    command
        .args(["-nostdin", "-hide_banner", "-loglevel", "error"])
        .args(["-re", "-f", "lavfi", "-i", &graph(ffmpeg.drawtext)])
        .args(["-map", "0:v", "-map", "0:a"])
        .args(ENCODING)
        .args(["-f", "flv", "-flvflags", "no_duration_filesize", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Asks FFmpeg to end, so that the stream ends in good order, and kills it where it does not.
async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
    if asked && timeout(PATIENCE, child.wait()).await.is_ok() {
        return;
    }
    // It fails only where the process has already ended.
    let _ = child.kill().await;
}

/// The last line that a program wrote before it closed its output.
async fn last_words(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut tail = Vec::new();
    let mut buffer = [0; LONGEST_LINE];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(LONGEST_LINE));
    }
    String::from_utf8_lossy(&tail).lines().last().unwrap_or_default().trim().to_owned()
}

/// The address under which this machine reaches its own listener.
pub(crate) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// The picture and the tone, as a filter graph with the outputs `out0` and `out1`.
///
/// The water behind is made once. The wheel turns 90° in a second, and looks the same after 120°, so its 40 pictures are
/// made once as well: the encoder is left as the one thing that costs anything. The bar below takes a second to cross,
/// and a soft stroke is heard as it starts, so that one sees whether picture and sound are together.
fn graph(drawtext: bool) -> String {
    let text = if drawtext { text() } else { String::new() };
    format!(
        "color=black:size=160x90:rate=30,format=rgb24,trim=end_frame=1,\
         geq=r='8+18*{glow}+24*{dusk}':g='20+98*{glow}+44*{dusk}':b='30+104*{glow}+92*{dusk}',\
         scale=1280:720:flags=bicubic,format=yuv420p,loop=loop=-1:size=1,setpts=N/30/TB[water];\
         color=black@0:size=400x400:rate=30,format=rgba,trim=end_frame=1,\
         geq=r=233:g=247:b=250:a='255*clip(max(max({rim},{hub}),{blades}),0,1)',format=yuva420p,\
         loop=loop=-1:size=1,setpts=N/30/TB,rotate=angle=PI/2*t:fillcolor=black@0,trim=end_frame=40,\
         loop=loop=-1:size=40,setpts=N/30/TB[wheel];\
         color=0x4fd1c5:size=1280x8:rate=30[bar];\
         [water][wheel]overlay=x=110:y=160:format=yuv420[mill];\
         [mill][bar]overlay=x='1280*mod(t,1)-1280':y=712:eval=frame{text}[out0];\
         aevalsrc=exprs='{chord}+{stroke}':sample_rate=48000[out1]",
        glow = "exp(-(pow(X-24,2)+pow(Y-6,2))/5200)",
        dusk = "exp(-(pow(X-150,2)+pow(Y-96,2))/3600)",
        rim = "(9-abs(hypot(X-200,Y-200)-176))/1.5",
        hub = "(30-hypot(X-200,Y-200))/1.5",
        blades = "min((9-hypot(X-200,Y-200)*abs(sin(1.5*(atan2(Y-200,X-200)+hypot(X-200,Y-200)/260))))/1.5,\
                  172-hypot(X-200,Y-200))",
        chord = "0.04*sin(2*PI*196*t)+0.03*sin(2*PI*293.66*t)",
        stroke = "0.1*exp(-12*mod(t,1))*sin(2*PI*880*t)",
    )
}

/// Filters that write the title, the time of day and the time on air. Nothing where there is no font.
fn text() -> String {
    let (Some(title), Some(digits)) = (ffmpeg::font(Font::Title), ffmpeg::font(Font::Digits)) else {
        return String::new();
    };
    let (title, digits) = (title.display(), digits.display());
    format!(
        ",drawtext=fontfile={title}:fontcolor=white:fontsize=72:x=590:y=170:text='{TITLE}',\
         drawtext=fontfile={digits}:fontcolor=white:fontsize=84:x=588:y=300:\
         text='%{{localtime\\:%T}}.%{{eif\\:mod(floor(time(0)*1000),1000)\\:d\\:3}}',\
         drawtext=fontfile={digits}:fontcolor=white@0.75:fontsize=36:x=592:y=430:text='on air %{{pts\\:hms}}'"
    )
}

const APP: &str = "live";
/// Of account and channel.
const NAME: &str = "demo";
const TITLE: &str = "Millrace demo";

/// 720p, 30 pictures and at most 2.5 Mbit in a second, a keyframe every two; nothing that adds delay.
const ENCODING: [&str; 28] = [
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-tune",
    "zerolatency",
    "-pix_fmt",
    "yuv420p",
    "-b:v",
    "2500k",
    "-maxrate",
    "2500k",
    "-bufsize",
    "2500k",
    "-g",
    "60",
    "-keyint_min",
    "60",
    "-sc_threshold",
    "0",
    "-c:a",
    "aac",
    "-b:a",
    "128k",
    "-ac",
    "2",
    "-ar",
    "48000",
];

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An FFmpeg that has run for so long had no trouble at its start.
const SETTLED: Duration = Duration::from_secs(60);
/// How long FFmpeg may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use millrace_hub::StreamId;

    use super::*;
    use crate::config::StreamEntry;

    #[test]
    fn its_name_is_taken_from_a_stream_of_the_configuration_and_from_no_other() {
        let entry = |app, name| StreamEntry {
            id: StreamId::parse(app, name).expect("these are names"),
            key: secrets::stream_key(),
        };
        let streams = vec![entry("live", "demo"), entry("live", "movie"), entry("other", "demo")];
        let mut config = Config { streams, ..Config::default() };
        make_room(&mut config);
        assert_eq!(config.streams.iter().map(ToString::to_string).collect::<Vec<_>>(), ["live/movie", "other/demo"]);
    }

    #[test]
    fn its_own_listener_is_reached_on_this_machine() {
        for (listening, reached) in
            [("0.0.0.0:1935", "127.0.0.1:1935"), ("[::]:1", "[::1]:1"), ("192.0.2.7:1935", "192.0.2.7:1935")]
        {
            assert_eq!(reachable(listening.parse().expect("an address")).to_string(), reached);
        }
    }

    #[tokio::test]
    async fn the_last_line_is_what_remains() {
        let long = [b"x".repeat(3 * LONGEST_LINE), b"\nfirst\nConnection refused\n".to_vec()].concat();
        assert_eq!(last_words(Some(long.as_slice())).await, "Connection refused");
        assert_eq!(last_words(Some(&b""[..])).await, "");
        assert_eq!(last_words(Some("y".repeat(2 * LONGEST_LINE).as_bytes())).await.len(), LONGEST_LINE);
    }
}
