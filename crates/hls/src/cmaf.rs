use std::sync::Arc;

use millrace_fmp4::{Fragmenter, check_audio, check_video, init_segment};
use millrace_media::{AudioConfig, Frame, TrackKind, VideoConfig};

use crate::{Chunk, Container, ContainerError, HlsFormat, InitSegment};

/// CMAF: fragments of both tracks beside an init segment of both.
#[derive(Debug, Default)]
pub struct CmafContainer {
    video: Track<VideoConfig>,
    audio: Track<AudioConfig>,
    init: Option<InitSegment>,
    /// Of the newest fragment: of both tracks, since a segment is a file with both.
    sequence: u32,
}

/// One of the tracks.
#[derive(Debug)]
struct Track<C> {
    /// From the next segment on.
    next: Option<Arc<C>>,
    /// Of the open segment.
    config: Option<Arc<C>>,
    fragmenter: Option<Fragmenter>,
}

impl Container for CmafContainer {
    const FORMAT: HlsFormat = HlsFormat::Cmaf;

    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), ContainerError> {
        check_video(config)?;
        self.video.next = Some(config.clone());
        Ok(())
    }

    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), ContainerError> {
        check_audio(config)?;
        self.audio.next = Some(config.clone());
        Ok(())
    }

    fn begin_segment(&mut self, discontinuity: bool) {
        // Both were checked when they came.
        let video = self.video.configure(|config| Fragmenter::video(config).ok());
        let audio = self.audio.configure(|config| Fragmenter::audio(config).ok());
        if video || audio {
            let (video, audio) = (self.video.config.clone(), self.audio.config.clone());
            let bytes = init_segment(video.as_deref(), audio.as_deref()).ok();
            self.init = bytes.map(|bytes| InitSegment { bytes, video, audio });
        }
        if discontinuity {
            for fragmenter in [&mut self.video.fragmenter, &mut self.audio.fragmenter].into_iter().flatten() {
                fragmenter.discontinuity();
            }
        }
    }

    fn init(&self) -> Option<InitSegment> {
        self.init.clone()
    }

    fn push(&mut self, frame: &Frame) -> Result<(), ContainerError> {
        let fragmenter = match frame.track {
            TrackKind::Video => &mut self.video.fragmenter,
            TrackKind::Audio => &mut self.audio.fragmenter,
        };
        match fragmenter {
            Some(fragmenter) => Ok(fragmenter.push(frame)?),
            None => Err(ContainerError::NoTrack),
        }
    }

    fn part_len(&self) -> usize {
        [&self.video.fragmenter, &self.audio.fragmenter].into_iter().flatten().map(Fragmenter::len).sum()
    }

    fn end_part(&mut self, next: Option<&Frame>) -> Option<Chunk> {
        let next = |track| next.filter(|frame| frame.track == track).map(|frame| frame.dts);
        let sequence = &mut self.sequence;
        let mut end = |fragmenter: &mut Option<Fragmenter>, track| {
            let number = sequence.wrapping_add(1);
            let fragment = fragmenter.as_mut()?.end(next(track), number)?;
            *sequence = number;
            Some(fragment)
        };
        let video = end(&mut self.video.fragmenter, TrackKind::Video);
        let audio = end(&mut self.audio.fragmenter, TrackKind::Audio);
        (video.is_some() || audio.is_some()).then_some(Chunk::Cmaf { video, audio })
    }
}

impl<C> Track<C> {
    /// Takes over what was set since the segment before. False where nothing was.
    fn configure(&mut self, fragmenter: impl FnOnce(Arc<C>) -> Option<Fragmenter>) -> bool {
        let Some(config) = self.next.take() else { return false };
        self.config = Some(config.clone());
        self.fragmenter = fragmenter(config);
        true
    }
}

impl<C> Default for Track<C> {
    fn default() -> Self {
        Self { next: None, config: None, fragmenter: None }
    }
}
