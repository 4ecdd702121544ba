//! Still pictures of a video, to choose from.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::make::seconds;
use crate::probe::{MAX_PIXELS, Probe, Track, Video};
use crate::process;
use crate::tools::{Ffmpeg, Input};

impl Ffmpeg {
    /// Up to `count` JPEG pictures (at most 16) from all over the video, none wider or higher than `max_side` pixels or
    /// than the video. Of a few seconds each the picture that is most like the others is taken, so that flashes and black
    /// frames are passed over. Of sound there is its cover, or none. Fewer come where the video is too short or damaged.
    ///
    /// # Errors
    /// [`Error::Damaged`] where there is a video and no picture of it can be had, and what befalls FFmpeg itself.
    pub async fn thumbnails(
        &self,
        path: &Path,
        probe: &Probe,
        count: usize,
        max_side: u32,
    ) -> Result<Vec<Bytes>, Error> {
        let input = Input { path, container: probe.container };
        let Some((track, video)) = probe.video() else {
            let Some(cover) = probe.cover() else { return Ok(Vec::new()) };
            let filter =
                format!("scale='min({max_side},iw)':'min({max_side},ih)':force_original_aspect_ratio=decrease");
            return Ok(self.picture(&input, cover, None, &filter).await?.into_iter().collect());
        };
        let filter = self.still(video, max_side);
        let filter = format!("{filter},thumbnail={CANDIDATES}");
        let mut pictures = Vec::new();
        for time in times(probe.duration, count.min(MAX_COUNT)) {
            match self.picture(&input, track, Some(time), &filter).await {
                Ok(picture) => pictures.extend(picture),
                // Damage in one place is no reason to go without the others.
                Err(error) if error.is_the_files() => {}
                Err(error) => return Err(error),
            }
        }
        if pictures.is_empty() && count > 0 {
            // The end comes sooner than the file says, or nothing before a later keyframe can be decoded.
            pictures.extend(self.picture(&input, track, None, &filter).await?);
        }
        if pictures.is_empty() && count > 0 {
            return Err(Error::Damaged("none of its pictures can be decoded".to_owned()));
        }
        Ok(pictures)
    }

    /// Filters that make a picture of `video` within a square.
    pub(crate) fn still(&self, video: &Video, max_side: u32) -> String {
        let (width, height) = fit(video.display(), max_side);
        // Whatever looks odd is told where renditions are made.
        self.looks(video, width, height, &mut Vec::new()).join(",")
    }

    /// One picture, at `time` or soon after. None where there is nothing any more.
    async fn picture(
        &self,
        input: &Input<'_>,
        of: &Track,
        time: Option<Duration>,
        filter: &str,
    ) -> Result<Option<Bytes>, Error> {
        let mut all = reading();
        // A cover stands at no time: nothing would be found there.
        if let Some(time) = time {
            all.extend(["-ss", &seconds(time), "-t", STRETCH].map(OsString::from));
        }
        all.extend(input.arguments());
        let map = format!("0:{}", of.index);
        let filter = format!("{filter},{JPEG}");
        all.extend(["-map", &map, "-frames:v", "1", "-filter:v", &filter].map(OsString::from));
        all.extend(WRITING.map(Into::into));
        let done = process::output(&self.config.path, &all, self.config.nice, MAX_PICTURE, TIME).await?;
        if !done.status.success() {
            return Err(Error::of_exit(done.status, &done.said, input.path));
        }
        Ok(done.stdout.starts_with(&[0xff, 0xd8]).then(|| done.stdout.into()))
    }
}

/// Where pictures are taken: from a tenth to nine tenths, or one from the start of what hardly lasts.
fn times(duration: Duration, count: usize) -> Vec<Duration> {
    if duration < SHORT {
        return vec![Duration::ZERO; count.min(1)];
    }
    let last = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|at| duration.mul_f64(0.1 + 0.8 * at as f64 / last)).collect()
}

/// The largest size of that shape within a square, never larger than it is; even, as the codec likes it.
pub(crate) fn fit((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let most = f64::from(width.max(height).max(1));
    let by = (f64::from(side) / most).min(1.0);
    let even = |n: u32| (((f64::from(n) * by / 2.0).round() as u32) * 2).max(2);
    (even(width), even(height))
}

/// How FFmpeg reads for pictures: one thread is enough for a few frames.
pub(crate) fn reading() -> Vec<OsString> {
    let most = MAX_PIXELS.to_string();
    let words = ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-threads", "1", "-max_pixels", &most];
    words.map(Into::into).into()
}

/// The last filters: JPEG has all 256 levels.
pub(crate) const JPEG: &str = "scale=out_range=pc,format=yuvj420p,setsar=1";
pub(crate) const WRITING: [&str; 12] =
    ["-an", "-sn", "-dn", "-map_metadata", "-1", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe", "pipe:1"];
/// Frames of which the best is taken. As many are kept in memory, at their final size.
const CANDIDATES: u32 = 48;
/// Seconds in which they are.
const STRETCH: &str = "3";
/// What is too short for several pictures.
const SHORT: Duration = Duration::from_millis(500);
const MAX_COUNT: usize = 16;
const MAX_PICTURE: usize = 8 << 20;
const TIME: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_from_all_over() {
        let s = Duration::from_secs;
        assert_eq!(times(s(100), 3), [s(10), s(50), s(90)]);
        assert_eq!(times(s(100), 1), [s(10)]);
        assert_eq!(times(s(100), 0), []);
        assert_eq!(times(Duration::from_millis(40), 3), [Duration::ZERO]);
    }

    #[test]
    fn sizes_fit_a_square_and_never_grow() {
        assert_eq!(fit((1920, 1080), 1280), (1280, 720));
        assert_eq!(fit((1080, 1920), 1280), (720, 1280));
        assert_eq!(fit((320, 180), 1280), (320, 180));
        assert_eq!(fit((16384, 1), 160), (160, 2));
        assert_eq!(fit((1, 1), 160), (2, 2));
    }
}
