//! An MP4 of what another container holds, pictures unchanged.

use std::ffi::OsString;
use std::path::Path;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::ladder::AudioCodec;
use crate::make::{Job, Made, audio_arguments};
use crate::probe::Probe;
use crate::progress::Progress;
use crate::tools::Ffmpeg;
use crate::verdict::AudioHandling;

/// What is made of what.
#[derive(Debug, Clone)]
pub struct Remux<'a> {
    /// The source.
    pub input: &'a Path,
    /// What was found in it.
    pub probe: &'a Probe,
    /// What becomes of its sound: as [`crate::verdict()`] says.
    pub audio: AudioHandling,
    /// Where the result is to be: a name in a directory that exists. While it is made, `.name.part` stands beside it.
    pub output: &'a Path,
}

impl Ffmpeg {
    /// Copies the tracks that are played into an MP4, whose time line begins at 0. Ends FFmpeg and leaves nothing where
    /// `cancel` fires, or where the future is dropped.
    ///
    /// # Errors
    /// What [`Error`] says, in words.
    pub async fn remux(
        &self,
        spec: &Remux<'_>,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Made, Error> {
        let probe = spec.probe;
        let mut coding: Vec<OsString> = Vec::new();
        let mut encoded = 0;
        if let Some((track, _)) = probe.video() {
            coding.extend(["-map".into(), format!("0:{}", track.index).into(), "-c:v".into(), "copy".into()]);
            if track.codec == "hevc" {
                // Apple's players know no other.
                coding.extend(["-tag:v", "hvc1"].map(Into::into));
            }
        }
        if let Some((track, audio)) = probe.audio().filter(|_| spec.audio != AudioHandling::None) {
            coding.extend(["-map".into(), format!("0:{}", track.index).into()]);
            if spec.audio == AudioHandling::Copy {
                coding.extend(["-c:a", "copy"].map(Into::into));
            } else if !self.encodes_audio(AudioCodec::Aac) {
                return Err(Error::Lacks(AudioCodec::Aac.encoder()));
            } else {
                let channels = audio.channels.clamp(1, 2);
                coding.extend(audio_arguments(AudioCodec::Aac.encoder(), PER_CHANNEL * channels, channels, audio));
                encoded = (probe.duration.as_secs_f64() * f64::from(PER_CHANNEL * channels) / 8.0) as u64;
            }
        }
        if coding.is_empty() {
            return Err(Error::NothingToPlay("it has no tracks to copy".to_owned()));
        }
        // AVI says when pictures are decoded, not when they are shown.
        let reading = ["-fflags", "+genpts"].map(Into::into).into();
        let most = probe.size.saturating_mul(2).saturating_add(encoded * 2).saturating_add(FLOOR);
        self.make(Job { input: spec.input, probe, output: spec.output, reading, coding, most }, progress, cancel).await
    }
}

/// Bits per second: 160 kbit/s of stereo, since this is the only sound that there is.
const PER_CHANNEL: u32 = 80_000;
/// What any result may have, for headers that are larger than the container's were.
const FLOOR: u64 = 16 << 20;
