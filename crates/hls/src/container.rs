use std::sync::Arc;

use bytes::Bytes;
use millrace_fmp4::{Error as Mp4Error, Fragment};
use millrace_media::{AudioConfig, Frame, TrackKind, VideoConfig};
use millrace_mpegts::{Error as TsError, Muxer};

use crate::HlsFormat;

/// Writes segments in one form. The [`Segmenter`](crate::Segmenter) says where they and their parts
/// begin and end.
pub trait Container {
    /// Which form.
    const FORMAT: HlsFormat;

    /// The pictures from the next segment on.
    ///
    /// # Errors
    /// When the form cannot carry the codec; the configuration before stays in force.
    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), ContainerError>;

    /// The sound from the next segment on.
    ///
    /// # Errors
    /// When the form cannot carry the codec; the configuration before stays in force.
    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), ContainerError>;

    /// Lets sound that was just announced, the first of the stream, begin within the open segment.
    /// False where the form has no way to.
    fn join_audio(&mut self) -> bool {
        false
    }

    /// Begins a segment; with `discontinuity`, its time does not go on from the one before.
    fn begin_segment(&mut self, discontinuity: bool);

    /// What a decoder needs before the open segment, where the form keeps it apart.
    fn init(&self) -> Option<InitSegment> {
        None
    }

    /// Adds a frame to the open part.
    ///
    /// # Errors
    /// When the frame is malformed; the part goes on without it.
    fn push(&mut self, frame: &Frame) -> Result<(), ContainerError>;

    /// Bytes of the open part so far, about.
    fn part_len(&self) -> usize;

    /// Ends the open part of the segment, where the next begins with the frame `next`, or not
    /// directly after. None where nothing is in it.
    fn end_part(&mut self, next: Option<&Frame>) -> Option<Chunk>;
}

/// What a decoder needs first, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSegment {
    /// Of both tracks.
    pub bytes: Bytes,
    /// The pictures.
    pub video: Option<Arc<VideoConfig>>,
    /// The sound.
    pub audio: Option<Arc<AudioConfig>>,
}

/// The bytes of a part.
#[derive(Debug, Clone)]
pub enum Chunk {
    /// MPEG-TS packets.
    Ts(Bytes),
    /// Fragments, at least one. They stand for themselves, so that a track can be had alone.
    Cmaf {
        /// Of the pictures.
        video: Option<Fragment>,
        /// Of the sound.
        audio: Option<Fragment>,
    },
}

impl Chunk {
    /// The bytes in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        let pieces = match self {
            Self::Ts(bytes) => [Some(bytes), None],
            Self::Cmaf { video, audio } => [video, audio].map(|track| track.as_ref().map(|track| &track.bytes)),
        };
        pieces.into_iter().flatten()
    }

    /// The fragment of one track; none where the container does not keep tracks apart.
    #[must_use]
    pub fn fragment(&self, track: TrackKind) -> Option<&Fragment> {
        match (self, track) {
            (Self::Ts(_), _) => None,
            (Self::Cmaf { video, .. }, TrackKind::Video) => video.as_ref(),
            (Self::Cmaf { audio, .. }, TrackKind::Audio) => audio.as_ref(),
        }
    }
}

/// Why something cannot be put into a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// Into MPEG-TS.
    #[error(transparent)]
    Ts(#[from] TsError),
    /// Into fragmented MP4.
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
    /// A frame of a track that the open segment does not have.
    #[error("the segment does not have the frame's track")]
    NoTrack,
}

/// MPEG-TS segments.
#[derive(Debug, Default)]
pub struct TsContainer {
    muxer: Muxer,
    next_video: Option<Arc<VideoConfig>>,
    next_audio: Option<Arc<AudioConfig>>,
    out: Vec<u8>,
    /// Length of the segment before, a good guess for the next.
    last_len: usize,
}

impl Container for TsContainer {
    const FORMAT: HlsFormat = HlsFormat::Ts;

    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), ContainerError> {
        Muxer::check_video(config)?;
        self.next_video = Some(config.clone());
        Ok(())
    }

    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), ContainerError> {
        Muxer::check_audio(config)?;
        self.next_audio = Some(config.clone());
        Ok(())
    }

    /// A new version of the program map says so.
    fn join_audio(&mut self) -> bool {
        self.configure();
        true
    }

    fn begin_segment(&mut self, discontinuity: bool) {
        self.out.reserve(self.last_len + self.last_len / 8);
        if discontinuity {
            self.muxer.discontinuity(&mut self.out);
        }
        self.configure();
        self.muxer.begin_segment();
    }

    fn push(&mut self, frame: &Frame) -> Result<(), ContainerError> {
        Ok(self.muxer.push(frame, &mut self.out)?)
    }

    fn part_len(&self) -> usize {
        self.out.len()
    }

    fn end_part(&mut self, _: Option<&Frame>) -> Option<Chunk> {
        self.muxer.flush(&mut self.out);
        let mut out = std::mem::take(&mut self.out);
        self.last_len = out.len();
        if out.capacity() - out.len() > out.len() / 4 {
            out.shrink_to_fit();
        }
        (!out.is_empty()).then(|| Chunk::Ts(out.into()))
    }
}

impl TsContainer {
    fn configure(&mut self) {
        // Both were checked when they came.
        if let Some(config) = self.next_video.take() {
            self.muxer.set_video(config).unwrap_or_default();
        }
        if let Some(config) = self.next_audio.take() {
            self.muxer.set_audio(config).unwrap_or_default();
        }
    }
}
