use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AudioConfig, Frame, VideoConfig};
use millrace_mpegts::{Error as TsError, Muxer};

/// Writes segments in one form. The [`Segmenter`](crate::Segmenter) says where they begin and end.
pub trait Container {
    /// The pictures from the next segment on.
    ///
    /// # Errors
    /// When the form cannot carry the codec; the configuration before stays in force.
    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), TsError>;

    /// The sound from the next segment on.
    ///
    /// # Errors
    /// When the form cannot carry the codec; the configuration before stays in force.
    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), TsError>;

    /// Lets sound that was just announced, the first of the stream, begin within the open segment.
    /// False where the form has no way to.
    fn join_audio(&mut self) -> bool {
        false
    }

    /// Begins a segment; with `discontinuity`, its time does not go on from the one before.
    fn begin_segment(&mut self, discontinuity: bool);

    /// Adds a frame to the open segment.
    ///
    /// # Errors
    /// When the frame is malformed; the segment goes on without it.
    fn push(&mut self, frame: &Frame) -> Result<(), TsError>;

    /// Bytes of the open segment so far.
    fn segment_len(&self) -> usize;

    /// Ends the open segment.
    fn end_segment(&mut self) -> Bytes;
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
    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), TsError> {
        Muxer::check_video(config)?;
        self.next_video = Some(config.clone());
        Ok(())
    }

    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), TsError> {
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

    fn push(&mut self, frame: &Frame) -> Result<(), TsError> {
        self.muxer.push(frame, &mut self.out)
    }

    fn segment_len(&self) -> usize {
        self.out.len()
    }

    fn end_segment(&mut self) -> Bytes {
        self.muxer.flush(&mut self.out);
        let mut out = std::mem::take(&mut self.out);
        self.last_len = out.len();
        if out.capacity() - out.len() > out.len() / 4 {
            out.shrink_to_fit();
        }
        out.into()
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
