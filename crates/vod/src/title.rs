//! A stored file as it is played: its index, its cut into segments, and its bytes.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use millrace_mp4::{AudioRendition, Multivariant, Packaged, Plan, Playback, Segment, VideoVariant};
use millrace_objects::{Blob, Chunks};
use millrace_store::VideoFacts;

/// An MP4 file that can be played.
#[derive(Debug)]
pub struct Title {
    blob: Blob,
    plan: Plan,
}

/// What is sent of a stored file: a head that was made for it, then bytes of the file.
#[derive(Debug, Clone)]
pub struct Part {
    /// What comes first.
    pub head: Bytes,
    /// The file.
    pub blob: Blob,
    /// What of it comes then, in this order.
    pub ranges: Vec<Range<u64>>,
}

/// The bytes of a part, as they are read.
#[derive(Debug)]
pub struct PartBytes {
    head: Bytes,
    rest: Chunks,
}

/// One size of a video: a file, and its name in addresses.
#[derive(Debug)]
pub struct Variant {
    /// `original`, or that of a rendition.
    pub name: String,
    /// Its file.
    pub title: std::sync::Arc<Title>,
}

impl Title {
    pub(crate) fn new(blob: Blob, plan: Plan) -> Self {
        Self { blob, plan }
    }

    /// Bytes of memory that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        self.plan.movie().memory() + self.plan.memory()
    }

    /// Whether browsers play it, as far as its codecs tell.
    #[must_use]
    pub fn is_playable(&self) -> bool {
        let plays = |track: Option<Packaged<'_>>| track.map(|track| track.track().playback() > Playback::Nowhere);
        let (video, audio) = (plays(self.plan.video()), plays(self.plan.audio()));
        // Pictures that play without their sound are no video that plays.
        video.or(audio).is_some() && video.unwrap_or(true) && audio.unwrap_or(true)
    }

    /// Whether all that there is to see and hear in the file can be played from where it lies: of pictures that cannot be
    /// read there may be sound that can.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.plan.movie().is_whole()
    }

    /// What there is to know of it.
    #[must_use]
    pub fn facts(&self) -> VideoFacts {
        let movie = self.plan.movie();
        let (video, audio) = (self.plan.video(), self.plan.audio());
        let (width, height) = video.map_or((0, 0), |video| video.track().display_size());
        let duration = movie.duration();
        let bits = u128::from(self.blob.size()) * 8_000;
        VideoFacts {
            duration: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
            width: width.into(),
            height: height.into(),
            frame_rate: video
                .and_then(|video| video.track().frame_rate())
                .map_or(0, |rate| (rate * 1000.0).round() as i64),
            bit_rate: i64::try_from(bits / duration.as_millis().max(1)).unwrap_or(i64::MAX),
            video_codec: video.map(|video| video.track().codec()).unwrap_or_default(),
            audio_codec: audio.map(|audio| audio.track().codec()).unwrap_or_default(),
        }
    }

    /// Whether it has pictures, and each segment of them begins with a keyframe.
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.plan.video().is_some_and(|video| video.is_independent())
    }

    /// When its segments of pictures begin; none where it has no pictures.
    #[must_use]
    pub fn boundaries(&self) -> Vec<Duration> {
        self.plan.video().map(|video| video.boundaries().collect()).unwrap_or_default()
    }

    /// The media playlist of a track (`video`, `audio`, `audio1`, …), with `query` behind each address.
    #[must_use]
    pub fn playlist(&self, track: &str, query: &str) -> Option<String> {
        Some(self.plan.track(track)?.media_playlist(query))
    }

    /// What a track's segments need before them.
    #[must_use]
    pub fn init(&self, track: &str) -> Option<Part> {
        let head = self.plan.track(track)?.init_segment();
        Some(Part { head, blob: self.blob.clone(), ranges: Vec::new() })
    }

    /// A segment of a track, from 0.
    #[must_use]
    pub fn segment(&self, track: &str, number: usize) -> Option<Part> {
        let Segment { head, ranges, .. } = self.plan.track(track)?.segment(number)?;
        Some(Part { head, blob: self.blob.clone(), ranges })
    }
}

impl Part {
    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.len() as u64 + self.ranges.iter().map(|range| range.end - range.start).sum::<u64>()
    }

    /// Its bytes.
    #[must_use]
    pub fn chunks(&self) -> PartBytes {
        PartBytes { head: self.head.clone(), rest: self.blob.stream(self.ranges.iter().cloned()) }
    }
}

/// The multivariant playlist of a video, whose `variants` begin with the one whose sound is heard. `query` is put behind
/// each address.
#[must_use]
pub fn multivariant(variants: &[Variant], query: &str) -> String {
    let mut playlist = Multivariant::default();
    for Variant { name, title } in variants {
        if let Some(video) = title.plan.video() {
            playlist.video.push(VideoVariant::of(video, format!("{name}/video.m3u8")));
        }
    }
    // Sound comes from one file alone: renditions have the same, and a change between them would be heard.
    let sound = variants.iter().find(|Variant { title, .. }| title.plan.audio().is_some());
    if let Some(Variant { name, title }) = sound {
        let tracks = || title.plan.tracks().filter(|track| track.name().starts_with("audio"));
        // Players pass over what has a codec that they lack, with all that belongs to it: of several tracks of sound those are
        // given that are played by most.
        let best = tracks().map(|track| track.track().playback()).max().map(|best| best.min(Playback::Widely));
        let heard = tracks().filter(|track| Some(track.track().playback()) >= best);
        let renditions = heard.map(|track| AudioRendition::of(track, format!("{name}/{}.m3u8", track.name())));
        playlist.audio.extend(renditions);
    }
    playlist.render(query)
}

impl Stream for PartBytes {
    type Item = Result<Bytes, millrace_objects::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let head = std::mem::take(&mut self.head);
        if head.is_empty() { Pin::new(&mut self.rest).poll_next(context) } else { Poll::Ready(Some(Ok(head))) }
    }
}
