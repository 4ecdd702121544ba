//! Small pictures at even distances, many on a sheet: what a player shows above its time line.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::make::seconds;
use crate::pictures::{JPEG, WRITING, fit, reading};
use crate::probe::{Probe, Track};
use crate::process;
use crate::tools::{Ffmpeg, Input};

/// The sheets of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storyboard {
    /// What is where on them.
    pub layout: Layout,
    /// JPEG pictures, as many as [`Layout::sheets`] says.
    pub sheets: Vec<Bytes>,
}

/// What is where on the sheets of a storyboard: rows from the top, from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Pixels in a row of a tile.
    pub tile_width: u32,
    /// Rows of a tile.
    pub tile_height: u32,
    /// Tiles in a row.
    pub columns: u32,
    /// Rows of tiles.
    pub rows: u32,
    /// Time from one tile to the next. Each is what is shown at its time's beginning.
    pub interval: Duration,
    /// Tiles in all. The last sheet's others repeat the last.
    pub count: u32,
    /// How long the video lasts.
    pub duration: Duration,
}

impl Layout {
    /// What suits the video; None where it has no pictures.
    #[must_use]
    pub fn of(probe: &Probe) -> Option<Self> {
        let (_, video) = probe.video()?;
        let (tile_width, tile_height) = fit(video.display(), TILE);
        let duration = probe.duration;
        let tiles = |interval: Duration| (duration.as_secs_f64() / interval.as_secs_f64()).ceil().max(1.0);
        let steps = STEPS.iter().map(|s| Duration::from_secs(*s));
        // Beyond the steps: whole minutes.
        let long = || Duration::from_secs((duration.as_secs() / u64::from(MAX_TILES) / 60 + 1) * 60);
        let interval = steps.into_iter().find(|i| tiles(*i) <= f64::from(MAX_TILES)).unwrap_or_else(long);
        let count = tiles(interval) as u32;
        let columns = count.min(SIDE);
        let rows = count.div_ceil(columns).min(SIDE);
        Some(Self { tile_width, tile_height, columns, rows, interval, count, duration })
    }

    /// How many sheets there are: at least one.
    #[must_use]
    pub fn sheets(&self) -> u32 {
        self.count.div_ceil((self.columns * self.rows).max(1)).max(1)
    }
}

/// The index of a storyboard as WebVTT: each tile's time, and its place on a sheet as a media fragment (`#xywh=`). In `url`
/// stands `{n}` for the sheet's number from 0.
#[must_use]
pub fn storyboard_vtt(layout: &Layout, url: &str) -> String {
    let mut text = String::from("WEBVTT\n");
    let on_a_sheet = (layout.columns * layout.rows).max(1);
    for tile in 0..layout.count {
        let (sheet, at) = (tile / on_a_sheet, tile % on_a_sheet);
        let (x, y) = (at % layout.columns * layout.tile_width, at / layout.columns * layout.tile_height);
        let start = layout.interval * tile;
        // A video that hardly lasts has a tile that is shown nevertheless.
        let end = (start + layout.interval).min(layout.duration.max(start + Duration::from_millis(1)));
        let (start, end) = (crate::captions::timestamp(start), crate::captions::timestamp(end));
        let (url, w, h) = (url.replace("{n}", &sheet.to_string()), layout.tile_width, layout.tile_height);
        // Writing to a string does not fail.
        let _ = write!(text, "\n{start} --> {end}\n{url}#xywh={x},{y},{w},{h}\n");
    }
    text
}

impl Ffmpeg {
    /// Draws the storyboard; None where there are no pictures. Where keyframes are close enough they alone are decoded, so
    /// that hours take seconds.
    ///
    /// # Errors
    /// [`Error::Damaged`] where fewer sheets come than there should be, and what befalls FFmpeg itself.
    pub async fn storyboard(&self, path: &Path, probe: &Probe) -> Result<Option<Storyboard>, Error> {
        let (Some(layout), Some((track, video))) = (Layout::of(probe), probe.video()) else { return Ok(None) };
        let input = Input { path, container: probe.container };
        let mut all = reading();
        if self.keyframes_apart(&input, track).await?.is_some_and(|apart| apart <= layout.interval) {
            all.extend(["-skip_frame", "nokey", "-discard", "nokey"].map(OsString::from));
        }
        all.extend(input.arguments());
        let sheets = layout.sheets();
        let filters = [
            // What is shown at each multiple of the interval.
            format!("fps=fps=1/{}:start_time=0:round=up", layout.interval.as_secs()),
            self.still(video, TILE),
            JPEG.to_owned(),
            // The last sheet is filled, and one that ends early has all its tiles.
            "tpad=stop=-1:stop_mode=clone".to_owned(),
            format!("tile={}x{}", layout.columns, layout.rows),
        ];
        let (map, count, filters) = (format!("0:{}", track.index), sheets.to_string(), filters.join(","));
        all.extend(["-map", &map, "-frames:v", &count, "-filter:v", &filters].map(OsString::from));
        all.extend(WRITING.map(Into::into));
        let most = MAX_SHEET * sheets as usize;
        let done = process::output(&self.config.path, &all, self.config.nice, most, TIME).await?;
        if !done.status.success() {
            return Err(Error::of_exit(done.status, &done.said, path));
        }
        let sheets = jpegs(&done.stdout.into());
        if sheets.len() != layout.sheets() as usize {
            return Err(Error::Damaged("its pictures cannot be decoded".to_owned()));
        }
        Ok(Some(Storyboard { layout, sheets }))
    }

    /// The longest time between keyframes of the first minutes; None where that is not to be had.
    async fn keyframes_apart(&self, input: &Input<'_>, track: &Track) -> Result<Option<Duration>, Error> {
        let index = track.index.to_string();
        let words =
            ["-v", "error", "-select_streams", &index, "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"];
        let mut all: Vec<OsString> = words.map(Into::into).into();
        all.extend(["-read_intervals".into(), format!("%+{}", seconds(LOOK)).into()]);
        all.extend(input.arguments());
        let done = match process::output(&self.ffprobe, &all, self.config.nice, MAX_PACKETS, LOOK).await {
            Ok(done) if done.status.success() => done,
            Ok(_) | Err(Error::Failed(_) | Error::TimedOut(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(longest_gap(&String::from_utf8_lossy(&done.stdout)))
    }
}

/// Lines of `time,flags`, where a keyframe's flags begin with K.
fn longest_gap(packets: &str) -> Option<Duration> {
    let times = packets.lines().filter_map(|line| line.split_once(','));
    let times: Vec<_> = times.filter_map(|(time, flags)| Some((time.parse::<f64>().ok()?, flags))).collect();
    let mut keys: Vec<_> = times.iter().filter(|(_, flags)| flags.starts_with('K')).map(|(time, _)| *time).collect();
    if keys.is_empty() {
        return None;
    }
    // After the last there may be none for long.
    keys.extend(times.iter().map(|(time, _)| *time).reduce(f64::max));
    let gap = keys.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    Duration::try_from_secs_f64(gap).ok()
}

/// The pictures that follow each other in `bytes`, as far as they are whole (ITU-T T.81, B.1).
fn jpegs(bytes: &Bytes) -> Vec<Bytes> {
    let mut all = Vec::new();
    let mut rest = bytes.clone();
    while let Some(length) = jpeg_length(&rest) {
        all.push(rest.split_to(length));
    }
    all
}

fn jpeg_length(bytes: &[u8]) -> Option<usize> {
    let mut at = bytes.starts_with(&[0xff, 0xd8]).then_some(2)?;
    loop {
        let marker = *bytes.get(at..at + 2)?.last_chunk::<2>()?;
        match marker {
            [0xff, 0xd9] => return Some(at + 2),
            [0xff, 0xda] => {
                // Entropy-coded: 0xff is followed by 0 or by a restart marker until the next segment.
                let data = at + 2 + segment(bytes, at + 2)?;
                let ends = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && !(0xd0..=0xd7).contains(&pair[1]);
                at = data + bytes.get(data..)?.windows(2).position(ends)?;
            }
            [0xff, _] => at += 2 + segment(bytes, at + 2)?,
            _ => return None,
        }
    }
}

/// A segment's length, with the two bytes that say it.
fn segment(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*length))).filter(|length| *length >= 2)
}

/// The longer side of a tile.
const TILE: u32 = 160;
/// Tiles of a full sheet, each way.
const SIDE: u32 = 5;
const MAX_TILES: u32 = 300;
/// Seconds between tiles.
const STEPS: [u64; 8] = [1, 2, 5, 10, 15, 20, 30, 60];
const MAX_SHEET: usize = 2 << 20;
/// As long as it may take: hours of video that has few keyframes, on a slow machine.
const TIME: Duration = Duration::from_secs(2 * 3600);
/// How much is looked at for keyframes, and how long that may take.
const LOOK: Duration = Duration::from_secs(120);
const MAX_PACKETS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::{audio, probe, video};

    fn of(seconds: f64) -> Layout {
        let mut probe = probe(&[video("h264", 1920, 1080)]);
        probe.duration = Duration::from_secs_f64(seconds);
        Layout::of(&probe).unwrap()
    }

    #[test]
    fn the_interval_grows_with_the_duration() {
        let told = |seconds| {
            let layout = of(seconds);
            (layout.interval.as_secs(), layout.count, layout.sheets())
        };
        assert_eq!(told(0.04), (1, 1, 1));
        assert_eq!(told(300.0), (1, 300, 12));
        assert_eq!(told(300.1), (2, 151, 7));
        assert_eq!(told(7200.0), (30, 240, 10));
        assert_eq!(told(24.0 * 3600.0), (300, 288, 12));
        assert_eq!(Layout::of(&probe(&[audio("aac")])), None);
    }

    #[test]
    fn sheets_are_no_larger_than_their_tiles() {
        assert_eq!((of(3.0).columns, of(3.0).rows), (3, 1));
        assert_eq!((of(7.0).columns, of(7.0).rows), (5, 2));
        assert_eq!((of(100.0).columns, of(100.0).rows), (5, 5));
    }

    #[test]
    fn the_index_names_each_tiles_place() {
        let layout = Layout { duration: Duration::from_millis(27_500), count: 28, ..of(100.0) };
        let text = storyboard_vtt(&layout, "storyboard/{n}.jpg?token=x");
        assert!(
            text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nstoryboard/0.jpg?token=x#xywh=0,0,160,90\n")
        );
        assert!(text.contains("\n\n00:00:06.000 --> 00:00:07.000\nstoryboard/0.jpg?token=x#xywh=160,90,160,90\n"));
        assert!(text.ends_with("\n\n00:00:27.000 --> 00:00:27.500\nstoryboard/1.jpg?token=x#xywh=320,0,160,90\n"));
    }

    #[test]
    fn gaps_are_measured_to_the_end_of_what_is_seen() {
        assert_eq!(longest_gap("0.0,K_\n0.5,__\n1.0,K_\n1.5,__"), Some(Duration::from_secs(1)));
        assert_eq!(longest_gap("0.0,K_\n9.0,__\n"), Some(Duration::from_secs(9)));
        assert_eq!(longest_gap("N/A,K_\n1.0,__\n"), None);
        assert_eq!(longest_gap(""), None);
    }

    #[test]
    fn pictures_are_told_apart() {
        let one = [0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 2, 1, 0xff, 0, 0xff, 0xd0, 2, 0xff, 0xd9];
        let two = Bytes::from([one, one].concat());
        assert_eq!(jpegs(&two), [&one[..], &one[..]]);
        assert_eq!(jpegs(&two.slice(..two.len() - 1)).len(), 1, "one that is cut off is none");
    }

    proptest! {
        #[test]
        fn anything_is_taken_apart_without_a_panic(bytes in prop::collection::vec(prop_oneof![Just(0xffu8), Just(0xd8), Just(0xda), any::<u8>()], 0..200)) {
            jpegs(&[&[0xff, 0xd8][..], &bytes].concat().into());
        }
    }
}
