//! `millrace check`: a line for each thing that serving depends on, and how to mend what is wrong.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use millrace_objects::Place;
use millrace_store::Found;
use rustix::fs::{Access, access, statvfs};

use crate::{
    config::{Config, Sources},
    ffmpeg::{self, Ffmpeg, Font},
    limits, mail,
    ports::{self, Port},
    storage, tls,
};

/// What was found. It prints as a line each.
#[derive(Debug)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Looks at everything.
    pub(crate) fn new(sources: &Sources) -> Self {
        let mut report = Self { findings: Vec::new() };
        match sources.load() {
            Ok(config) => report.with_configuration(sources, &config),
            // Where the other things are to be found, only a sound configuration tells.
            Err(error) => error.to_string().lines().for_each(|line| report.add(Grade::Fail, "configuration", line)),
        }
        report
    }

    /// Whether the server could not serve.
    pub(crate) fn has_failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.grade == Grade::Fail)
    }

    fn with_configuration(&mut self, sources: &Sources, config: &Config) {
        let file = sources.file.as_ref().map_or("no file, defaults".to_owned(), |path| path.display().to_string());
        self.add(Grade::Ok, "configuration", file);
        self.streams(sources, config);
        let rtmps = config.tls.certificate.as_ref().map(|_| (ports::RTMPS, config.rtmps.listen));
        let ops = config.ops.listen.map(|address| (ports::OPS, address));
        let ports = [(ports::HTTP, config.http.listen), (ports::RTMP, config.rtmp.listen)];
        for (port, address) in ports.into_iter().chain(ops).chain(rtmps) {
            self.port(port, address);
        }
        self.tls(config);
        if config.ops.listen.is_some_and(|address| !address.ip().is_loopback()) {
            self.add(Grade::Warn, "ops", "diagnostics answer beyond this machine; set ops.listen to 127.0.0.1:9600");
        }
        let by_https = config.site.public_url.as_ref().is_some_and(|url| url.as_str().starts_with("https://"));
        if by_https && config.http.trusted_proxies.ranges().is_empty() {
            let advice = "visitors come by HTTPS (site.public_url), so through a proxy, and all count as one; \
                          name its address in http.trusted_proxies";
            self.add(Grade::Warn, "proxy", advice);
        }
        self.ffmpeg(config);
        self.data_directory(&config.data_dir);
        self.database(config);
        self.storage(config);
        self.mail(config);
        self.open_files(config);
    }

    fn streams(&mut self, sources: &Sources, config: &Config) {
        match (config.streams.len(), config.publish.open) {
            (_, true) if !config.rtmp.listen.ip().is_loopback() => {
                let advice = "anyone who reaches the RTMP port can publish (publish.open); only for closed networks";
                self.add(Grade::Warn, "streams", advice);
            }
            (0, false) => {
                self.add(Grade::Warn, "streams", "none, so nobody can publish; `millrace serve` prints how to add one");
            }
            (count, _) => self.add(Grade::Ok, "streams", format!("{count} configured")),
        }
        if let Some(file) = sources.file.as_ref().filter(|file| !config.streams.is_empty() && others_can_read(file)) {
            let advice = format!("{0} holds stream keys and every user can read it; chmod o-r {0}", file.display());
            self.add(Grade::Warn, "streams", advice);
        }
    }

    fn tls(&mut self, config: &Config) {
        match tls::load(config) {
            Ok(None) => self.add(Grade::Ok, "tls", "no certificate, so no RTMPS"),
            Err(error) => self.add(Grade::Fail, "tls", error),
            Ok(Some(certificate)) => match certificate.warning() {
                Some(words) => self.add(Grade::Warn, "tls", words),
                None => self.add(Grade::Ok, "tls", format!("certificate valid until {}", certificate.until())),
            },
        }
        if let Some(file) = config.tls.key.as_ref().filter(|file| others_can_read(file)) {
            let advice = format!("every user can read the private key; chmod o-r {}", file.display());
            self.add(Grade::Warn, "tls", advice);
        }
    }

    fn port(&mut self, port: Port, address: SocketAddr) {
        match port.listen(address) {
            Ok(_) => self.add(Grade::Ok, "port", format!("{address} ({}) is free", port.key)),
            Err(error) => self.add(Grade::Fail, "port", error),
        }
    }

    fn ffmpeg(&mut self, config: &Config) {
        let path = config.ffmpeg.path.as_path();
        let Some(found) = Ffmpeg::find(path) else {
            let advice = format!(
                "{} does not start; there are no pictures and other sizes, only videos in MP4 and MOV play, and the \
                 demonstration channel is off. `apt install ffmpeg`, or set ffmpeg.path",
                path.display()
            );
            return self.add(Grade::Warn, "ffmpeg", advice);
        };
        self.add(Grade::Ok, "ffmpeg", format!("{} {}", path.display(), found.version));
        if !found.encodes("libx264") {
            self.add(Grade::Warn, "ffmpeg", "built without libx264: the demonstration channel is off");
        } else if !found.drawtext || ffmpeg::font(Font::Digits).is_none() {
            let advice = "no clock on the demonstration channel: it needs the filter drawtext and `apt install fonts-dejavu-core`";
            self.add(Grade::Warn, "ffmpeg", advice);
        }
        self.encoders(config, &found);
        let ffprobe = ffmpeg::ffprobe_beside(path);
        match ffmpeg::version_of(&ffprobe) {
            Some(version) => self.add(Grade::Ok, "ffprobe", format!("{} {version}", ffprobe.display())),
            None => self.add(Grade::Warn, "ffprobe", format!("{} does not start", ffprobe.display())),
        }
    }

    /// Whether what other sizes of videos are to be coded in can be made here.
    fn encoders(&mut self, config: &Config, found: &Ffmpeg) {
        let (video, audio) = (config.transcode.video_codec, config.transcode.audio_codec);
        if config.transcode.heights.get().is_empty() {
            return;
        }
        let wanted =
            [("video_codec", video.encoder(), video.to_string()), ("audio_codec", audio.encoder(), audio.to_string())];
        let mut sound = true;
        for (key, encoder, codec) in wanted.into_iter().filter(|(_, encoder, _)| !found.encodes(encoder)) {
            let advice = format!(
                "no sizes of videos are made here: this FFmpeg lacks {encoder}, which codes {codec}; set transcode.{key}, or \
                 install one that has it"
            );
            self.add(Grade::Warn, "transcode", advice);
            sound = false;
        }
        if sound {
            self.add(Grade::Ok, "transcode", format!("other sizes of videos in {video} and {audio}"));
        }
    }

    fn data_directory(&mut self, path: &Path) {
        let shown = path.display();
        let existing = nearest_existing(path);
        if !existing.is_dir() {
            return self.add(Grade::Fail, "data_dir", format!("{} is no directory; set data_dir", existing.display()));
        }
        if access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            let user = rustix::process::geteuid().as_raw();
            let advice = format!("{} is not writable; chown it to user {user}, or set data_dir", existing.display());
            return self.add(Grade::Fail, "data_dir", advice);
        }
        match statvfs(&existing).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)) {
            Err(error) => self.add(Grade::Warn, "data_dir", format!("{shown}: free space is not known: {error}")),
            Ok(free) if free < LITTLE_SPACE => {
                let advice = format!("{shown}: {} MiB free; make room, or move it with data_dir", free >> 20);
                self.add(Grade::Warn, "data_dir", advice);
            }
            Ok(free) => self.add(Grade::Ok, "data_dir", format!("{shown}: writable, {} GiB free", free >> 30)),
        }
    }

    fn database(&mut self, config: &Config) {
        let found = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
            let look = millrace_store::look(config.database.url.expose(), &config.data_dir);
            runtime.block_on(async { tokio::time::timeout(DATABASE_ANSWERS, look).await })
        });
        match found {
            Err(error) => self.add(Grade::Fail, "database", format!("the runtime does not start: {error}")),
            Ok(Err(_)) => {
                let advice = format!("no answer within {} s; see database.url", DATABASE_ANSWERS.as_secs());
                self.add(Grade::Fail, "database", advice);
            }
            Ok(Ok(Err(error))) => self.add(Grade::Fail, "database", format!("{error}; see database.url")),
            Ok(Ok(Ok(Found::Nothing(kind)))) => {
                self.add(Grade::Ok, "database", format!("{kind}, empty: the first start makes the tables"));
            }
            Ok(Ok(Ok(Found::Earlier(kind)))) => {
                let advice = format!(
                    "{kind}, of an earlier version: the next start brings it to this one's form, and the earlier version \
                     can then not read it; copy it before (`millrace backup`)"
                );
                self.add(Grade::Warn, "database", advice);
            }
            Ok(Ok(Ok(Found::Current(kind)))) => self.add(Grade::Ok, "database", format!("{kind}, of this version")),
        }
    }

    fn storage(&mut self, config: &Config) {
        if let Ok(Place::Directory(path)) = config.storage.url.as_str().parse() {
            // It is made at the first start, which is not here.
            let path = config.data_dir.join(path);
            let existing = nearest_existing(&path);
            let sound = existing.is_dir() && access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_ok();
            return match sound {
                true => self.add(Grade::Ok, "storage", format!("{}: writable", path.display())),
                false => {
                    let advice = format!("{} is not a directory to write to; see storage.url", existing.display());
                    self.add(Grade::Fail, "storage", advice);
                }
            };
        }
        let found = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
            runtime.block_on(async {
                let objects = storage::open(config)?;
                match tokio::time::timeout(STORAGE_ANSWERS, objects.check()).await {
                    Ok(checked) => checked.map(|()| Some(objects)),
                    Err(_) => Ok(None),
                }
            })
        });
        match found {
            Err(error) => self.add(Grade::Fail, "storage", format!("the runtime does not start: {error}")),
            Ok(Err(error)) => self.add(Grade::Fail, "storage", format!("{error}; see [storage]")),
            Ok(Ok(None)) => {
                let advice = format!("no answer within {} s; see storage.url", STORAGE_ANSWERS.as_secs());
                self.add(Grade::Fail, "storage", advice);
            }
            Ok(Ok(Some(objects))) => {
                self.add(Grade::Ok, "storage", format!("{objects}: a file can be kept, read and deleted"));
            }
        }
    }

    fn mail(&mut self, config: &Config) {
        // Making one spawns what looks after its connections.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.map(|runtime| {
            runtime.block_on(async {
                match mail::load(config) {
                    Ok(None) => Ok(None),
                    Ok(Some(mail)) => Ok(Some(mail.probe().await)),
                    Err(error) => Err(error),
                }
            })
        });
        match found {
            Err(error) => self.add(Grade::Fail, "mail", format!("the runtime does not start: {error}")),
            Ok(Err(error)) => self.add(Grade::Fail, "mail", error),
            Ok(Ok(None)) => self.add(Grade::Ok, "mail", "none is sent: mail.url is not set"),
            Ok(Ok(Some(Ok(())))) => self.add(Grade::Ok, "mail", "the mail server answers, and lets Millrace in"),
            Ok(Ok(Some(Err(reason)))) => {
                self.add(Grade::Warn, "mail", format!("the mail server cannot be used: {reason}; see mail.url"));
            }
        }
    }

    fn open_files(&mut self, config: &Config) {
        let files = limits::open_files();
        let wanted = config.limits.players.get();
        // Each takes a connection, of which a few are kept for others.
        let room = limits::connection_limits(config, files).total.min(wanted);
        if files < FEW_FILES {
            let advice = format!(
                "{files} at a time, so {room} players; raise the hard limit: `ulimit -Hn`, or LimitNOFILE= of the service"
            );
            self.add(Grade::Warn, "open files", advice);
        } else {
            self.add(Grade::Ok, "open files", format!("room for {room} players (limits.players = {wanted})"));
        }
    }

    fn add(&mut self, grade: Grade, subject: &'static str, words: impl fmt::Display) {
        self.findings.push(Finding { grade, subject, words: words.to_string() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings
            .iter()
            .try_for_each(|Finding { grade, subject, words }| writeln!(f, "{grade}  {subject}: {words}"))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    subject: &'static str,
    words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warn,
    Fail,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok  ",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// `path`, or the nearest of its parents that is there: what decides whether it can be made.
fn nearest_existing(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// So long the database may take to answer.
const DATABASE_ANSWERS: Duration = Duration::from_secs(10);
/// So long a bucket may take to answer.
const STORAGE_ANSWERS: Duration = Duration::from_secs(45);
const LITTLE_SPACE: u64 = 1 << 30;
const FEW_FILES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_existing_directory_decides() {
        let there = std::env::temp_dir();
        assert_eq!(nearest_existing(&there.join("nobody-made-this/nor-this")), there);
        assert_eq!(nearest_existing(&there), there);
        assert!(nearest_existing(Path::new("a-name-that-is-not-there")).is_dir());
    }

    #[test]
    fn one_failure_fails_the_report() {
        let mut report = Report { findings: Vec::new() };
        report.add(Grade::Ok, "port", "free");
        report.add(Grade::Warn, "ffmpeg", "missing");
        assert!(!report.has_failed());
        report.data_directory(Path::new("/dev/null/data"));
        assert!(report.has_failed());
        let expected =
            "ok    port: free\nwarn  ffmpeg: missing\nfail  data_dir: /dev/null is no directory; set data_dir\n";
        assert_eq!(report.to_string(), expected);
    }
}
