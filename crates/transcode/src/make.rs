//! Makes one file: runs FFmpeg to its end, tells how far it is, and leaves a whole file or none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::probe::{Audio, MAX_PIXELS, Probe};
use crate::process::{Running, Tail};
use crate::progress::{Progress, Reader};
use crate::tools::{Ffmpeg, Input};

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its bytes.
    pub size: u64,
    /// How long it lasts.
    pub duration: Duration,
    /// What is not as one would expect, a sentence each, for whoever uploaded the video or runs the server.
    pub notes: Vec<String>,
}

/// What is made, beside its codecs.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) input: &'a Path,
    pub(crate) probe: &'a Probe,
    pub(crate) output: &'a Path,
    /// What stands before the input.
    pub(crate) reading: Vec<OsString>,
    /// Tracks and how they are coded.
    pub(crate) coding: Vec<OsString>,
    /// Bytes that the result may have.
    pub(crate) most: u64,
}

impl Ffmpeg {
    /// Runs it. The result is under its name once it is whole.
    pub(crate) async fn make(
        &self,
        job: Job<'_>,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Made, Error> {
        let input = Input { path: job.input, container: job.probe.container };
        let part = Part::beside(job.output)?;
        let longest = job.probe.duration.mul_f64(1.1) + SLACK;
        let arguments = self.arguments(&job, &input, &part, longest);
        let mut running = Running::start(&self.config.path, &arguments, self.config.nice)?;
        let done = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            done = self.follow(&mut running, &job, &part, progress) => done,
        };
        let reader = match done {
            Ok(reader) => reader,
            Err(error) => {
                running.kill().await;
                return Err(error);
            }
        };
        let size = tokio::fs::metadata(&part.path).await?.len();
        if size >= job.most || reader.at().time + SLACK / 2 >= longest {
            return Err(Error::Outgrown);
        }
        if !reader.has_moved() {
            return Err(Error::Damaged("nothing in it could be decoded".to_owned()));
        }
        part.keep(job.output).await?;
        let duration = reader.at().time;
        let notes = ends_early(duration, job.probe.duration).into_iter().collect();
        Ok(Made { size, duration, notes })
    }

    fn arguments(&self, job: &Job<'_>, input: &Input<'_>, part: &Part, longest: Duration) -> Vec<OsString> {
        let mut all: Vec<OsString> =
            ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"].map(Into::into).into();
        all.extend(["-progress", "pipe:1", "-max_pixels"].map(OsString::from));
        all.push(MAX_PIXELS.to_string().into());
        all.extend(self.threads());
        all.extend(job.reading.iter().cloned());
        all.extend(input.arguments());
        all.extend(job.coding.iter().cloned());
        all.extend(self.threads());
        // Whatever else is in the file stays there: places, names of people and devices, chapters, captions, data.
        all.extend(
            ["-map_metadata", "-1", "-map_metadata:s", "-1", "-map_chapters", "-1", "-sn", "-dn"].map(Into::into),
        );
        if let Some(language) = job.probe.audio().and_then(|(track, _)| track.language.as_deref()) {
            all.extend(["-metadata:s:a:0".into(), format!("language={language}").into()]);
        }
        all.extend(["-t".into(), seconds(longest).into(), "-fs".into(), job.most.to_string().into()]);
        // Pictures and sound lie in pieces of a second: a segment of either is read at few places.
        all.extend(["-chunk_duration", "1000000"].map(OsString::from));
        // FLAC and Opus in MP4 were experiments once.
        all.extend(
            ["-strict", "-2", "-fflags", "+bitexact", "-movflags", "+faststart", "-f", "mp4"].map(OsString::from),
        );
        let mut url = OsString::from("file:");
        url.push(&part.path);
        all.push(url);
        all
    }

    fn threads(&self) -> Vec<OsString> {
        match self.config.threads {
            0 => Vec::new(),
            threads => vec!["-threads".into(), threads.to_string().into()],
        }
    }

    /// Listens until it ends, and says what its end means.
    async fn follow(
        &self,
        running: &mut Running,
        job: &Job<'_>,
        part: &Part,
        progress: &watch::Sender<Progress>,
    ) -> Result<Reader, Error> {
        let stall = self.config.stall;
        let mut reader = Reader::new(job.probe.duration);
        let mut tail = Tail::default();
        let mut deadline = Instant::now() + stall;
        let (stdout, stderr) = (&mut running.stdout, &mut running.stderr);
        let told = async {
            let mut buffer = [0; 1024];
            loop {
                let read =
                    timeout_at(deadline, stdout.read(&mut buffer)).await.map_err(|_| Error::Stalled(stall))??;
                if read == 0 {
                    return Ok::<_, Error>(());
                }
                let news = reader.read(&buffer[..read]);
                if news.moved {
                    deadline = Instant::now() + stall;
                }
                if news.told {
                    if self.room(part.directory())? == 0 {
                        return Err(self.no_room());
                    }
                    progress.send_replace(reader.at());
                }
            }
        };
        let heard = async {
            tail.follow(stderr).await;
            Ok(())
        };
        tokio::try_join!(told, heard)?;
        let status = timeout_at(deadline, running.wait()).await.map_err(|_| Error::Stalled(stall))??;
        let said = tail.text();
        // A disk that is full at the very end is told, and the status is good nevertheless.
        if !status.success() || said.contains("No space left on device") {
            return Err(Error::of_exit(status, &said, job.input));
        }
        Ok(reader)
    }
}

/// Seconds as FFmpeg reads them.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

/// Sound coded anew: gaps become silence, so that what follows stays in step with the pictures.
pub(crate) fn audio_arguments(encoder: &str, bit_rate: u32, channels: u32, source: &Audio) -> Vec<OsString> {
    // Of the rates that everything plays, the one that the source's divides or is divided by.
    let rate = if encoder == "aac" && source.sample_rate > 0 && source.sample_rate.is_multiple_of(11_025) {
        44_100
    } else {
        48_000
    };
    let words = ["-c:a".to_owned(), encoder.to_owned(), "-b:a".to_owned(), bit_rate.to_string()];
    let more = ["-ac".to_owned(), channels.to_string(), "-ar".to_owned(), rate.to_string()];
    let filter = ["-filter:a".to_owned(), "aresample=async=1".to_owned()];
    words.into_iter().chain(more).chain(filter).map(Into::into).collect()
}

/// The name that a file has while it is written. What is there when this is dropped is removed.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    kept: bool,
}

impl Part {
    fn beside(output: &Path) -> Result<Self, Error> {
        let name = output.file_name().ok_or_else(|| std::io::Error::other("the result has no name"))?;
        let mut part = OsString::from(".");
        part.push(name);
        part.push(".part");
        Ok(Self { path: output.with_file_name(part), kept: false })
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    async fn keep(mut self, output: &Path) -> Result<(), Error> {
        tokio::fs::rename(&self.path, output).await?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // It may never have been made.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Decoders go on over what is missing, and end early without a word.
fn ends_early(made: Duration, said: Duration) -> Option<String> {
    let missing = said.saturating_sub(made);
    (missing > EARLY && missing > said / 10).then(|| {
        let (made, said) = (made.as_secs(), said.as_secs());
        format!("only {made} of {said} seconds could be read: the file is damaged or incomplete")
    })
}

/// What a video may be longer than it says, beside a tenth.
const SLACK: Duration = Duration::from_secs(60);
const EARLY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let s = Duration::from_secs;
        assert_eq!(ends_early(s(98), s(100)), None);
        assert_eq!(ends_early(s(0), s(1)), None);
        let words = "only 40 of 100 seconds could be read: the file is damaged or incomplete";
        assert_eq!(ends_early(s(40), s(100)).as_deref(), Some(words));
    }

    #[test]
    fn seconds_are_exact_to_the_microsecond() {
        assert_eq!(seconds(Duration::new(7200, 33_333_999)), "7200.033333");
    }
}
