//! H.264 in transport streams: Annex B with delimiters (ISO/IEC 13818-1, 2.14.1).

use std::sync::Arc;

use millrace_media::avc::{NAL_AUD, NAL_IDR, NAL_PPS, NAL_SPS};
use millrace_media::{AvcConfig, Error as MediaError, VideoConfig};

use crate::Error;
use crate::packet::PayloadWriter;

/// The video track's configuration.
#[derive(Debug)]
pub(crate) struct VideoTrack {
    config: Arc<VideoConfig>,
}

impl VideoTrack {
    pub(crate) fn new(config: Arc<VideoConfig>) -> Result<Self, Error> {
        match &*config {
            VideoConfig::Avc(_) => Ok(Self { config }),
            other => {
                Err(Error::UnsupportedCodec { codec: other.name(), why: "this program writes H.264 only".to_owned() })
            }
        }
    }

    pub(crate) fn config(&self) -> &Arc<VideoConfig> {
        &self.config
    }

    /// ISO/IEC 13818-1, table 2-34.
    #[allow(clippy::unused_self)] // as the audio track's
    pub(crate) fn stream_type(&self) -> u8 {
        0x1b
    }

    /// Looks through one frame; none where it has no slice, so no picture.
    pub(crate) fn access_unit<'a>(
        &'a self,
        payload: &'a [u8],
        keyframe: bool,
    ) -> Result<Option<AccessUnit<'a>>, MediaError> {
        let avc = match &*self.config {
            VideoConfig::Avc(avc) => avc,
            _ => return Ok(None), // refused by `new`
        };
        let mut len = DELIMITER.len();
        if keyframe {
            len += avc.sps().iter().chain(avc.pps()).map(|set| LONG_START.len() + set.len()).sum::<usize>();
        }
        let mut has_slice = false;
        for nal in avc.nal_units(payload) {
            let nal = nal?;
            if is_written(avc, nal) {
                len += START.len() + nal.len();
                has_slice |= (1..=NAL_IDR).contains(&(nal[0] & 0x1f));
            }
        }
        Ok(has_slice.then_some(AccessUnit { avc, payload, keyframe, len }))
    }
}

/// A frame that was looked through, ready to be written.
pub(crate) struct AccessUnit<'a> {
    avc: &'a AvcConfig,
    payload: &'a [u8],
    keyframe: bool,
    len: usize,
}

impl AccessUnit<'_> {
    /// Bytes that [`Self::write`] writes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the delimiter, the parameter sets where decoding can begin, and the frame's units.
    pub(crate) fn write(&self, out: &mut PayloadWriter<'_>) {
        out.write(&DELIMITER);
        if self.keyframe {
            for set in self.avc.sps().iter().chain(self.avc.pps()) {
                out.write(&LONG_START);
                out.write(set);
            }
        }
        for nal in self.avc.nal_units(self.payload).flatten().filter(|nal| is_written(self.avc, nal)) {
            out.write(&START);
            out.write(nal);
        }
    }
}

/// A unit of any type, `primary_pic_type` 7: any slice may follow.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, NAL_AUD, 0xf0];
/// Start code before the first unit and parameter sets (ISO/IEC 14496-10, B.1.2).
const LONG_START: [u8; 4] = [0, 0, 0, 1];
const START: [u8; 3] = [0, 0, 1];

/// Delimiters are written anew, parameter sets of the configuration are written before keyframes;
/// those that differ from it pass.
fn is_written(avc: &AvcConfig, nal: &[u8]) -> bool {
    match nal[0] & 0x1f {
        NAL_AUD => false,
        NAL_SPS => !avc.sps().iter().any(|set| set == nal),
        NAL_PPS => !avc.pps().iter().any(|set| set == nal),
        _ => true,
    }
}
