//! H.264 and HEVC in transport streams: Annex B with delimiters (ISO/IEC 13818-1, 2.14.1 and 2.17.1).

use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AvcConfig, Error as MediaError, HevcConfig, VideoConfig, avc, hevc};

use crate::Error;
use crate::packet::PayloadWriter;

/// The video track's configuration.
#[derive(Debug)]
pub(crate) struct VideoTrack {
    config: Arc<VideoConfig>,
}

impl VideoTrack {
    pub(crate) fn new(config: Arc<VideoConfig>) -> Result<Self, Error> {
        if Syntax::of(&config).is_none() {
            let why = "this program writes H.264 and HEVC only, as players read no others".to_owned();
            return Err(Error::UnsupportedCodec { codec: config.name(), why });
        }
        Ok(Self { config })
    }

    pub(crate) fn config(&self) -> &Arc<VideoConfig> {
        &self.config
    }

    /// ISO/IEC 13818-1, table 2-34.
    pub(crate) fn stream_type(&self) -> u8 {
        match &*self.config {
            VideoConfig::Hevc(_) => 0x24,
            _ => 0x1b,
        }
    }

    /// Looks through one frame; none where it has no slice, so no picture.
    pub(crate) fn access_unit<'a>(
        &'a self,
        payload: &'a [u8],
        keyframe: bool,
    ) -> Result<Option<AccessUnit<'a>>, MediaError> {
        let Some(syntax) = Syntax::of(&self.config) else { return Ok(None) }; // refused by `new`
        let mut len = syntax.delimiter().len();
        if keyframe {
            len += syntax.parameter_sets().map(|set| LONG_START.len() + set.len()).sum::<usize>();
        }
        let mut has_slice = false;
        for nal in syntax.nal_units(payload) {
            let nal = nal?;
            if syntax.is_written(nal) {
                len += START.len() + nal.len();
                has_slice |= syntax.is_slice(nal);
            }
        }
        Ok(has_slice.then_some(AccessUnit { syntax, payload, keyframe, len }))
    }
}

/// A frame that was looked through, ready to be written.
pub(crate) struct AccessUnit<'a> {
    syntax: Syntax<'a>,
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
        out.write(self.syntax.delimiter());
        if self.keyframe {
            for set in self.syntax.parameter_sets() {
                out.write(&LONG_START);
                out.write(set);
            }
        }
        for nal in self.syntax.nal_units(self.payload).flatten().filter(|nal| self.syntax.is_written(nal)) {
            out.write(&START);
            out.write(nal);
        }
    }
}

/// What differs between the codecs that have NAL units.
#[derive(Clone, Copy)]
enum Syntax<'a> {
    Avc(&'a AvcConfig),
    Hevc(&'a HevcConfig),
}

impl<'a> Syntax<'a> {
    fn of(config: &'a VideoConfig) -> Option<Self> {
        match config {
            VideoConfig::Avc(c) => Some(Self::Avc(c)),
            VideoConfig::Hevc(c) => Some(Self::Hevc(c)),
            _ => None,
        }
    }

    fn delimiter(self) -> &'static [u8] {
        match self {
            Self::Avc(_) => &AVC_DELIMITER,
            Self::Hevc(_) => &HEVC_DELIMITER,
        }
    }

    fn parameter_sets(self) -> impl Iterator<Item = &'a Bytes> {
        let (vps, sps, pps) = match self {
            Self::Avc(c) => (&[][..], c.sps(), c.pps()),
            Self::Hevc(c) => (c.vps(), c.sps(), c.pps()),
        };
        vps.iter().chain(sps).chain(pps)
    }

    fn nal_units(self, payload: &[u8]) -> impl Iterator<Item = Result<&[u8], MediaError>> {
        let (avc, hevc) = match self {
            Self::Avc(c) => (Some(c.nal_units(payload)), None),
            Self::Hevc(c) => (None, Some(c.nal_units(payload))),
        };
        avc.into_iter().flatten().chain(hevc.into_iter().flatten())
    }

    /// `nal` is not empty.
    fn is_slice(self, nal: &[u8]) -> bool {
        match self {
            Self::Avc(_) => (1..=avc::NAL_IDR).contains(&(nal[0] & 0x1f)),
            Self::Hevc(_) => hevc::NAL_SLICE.contains(&hevc::nal_type(nal)),
        }
    }

    /// Delimiters are written anew, parameter sets of the configuration are written before keyframes;
    /// those that differ from it pass. `nal` is not empty.
    fn is_written(self, nal: &[u8]) -> bool {
        let (is_delimiter, is_set) = match self {
            Self::Avc(_) => {
                let kind = nal[0] & 0x1f;
                (kind == avc::NAL_AUD, matches!(kind, avc::NAL_SPS | avc::NAL_PPS))
            }
            Self::Hevc(_) => {
                let kind = hevc::nal_type(nal);
                (kind == hevc::NAL_AUD, matches!(kind, hevc::NAL_VPS | hevc::NAL_SPS | hevc::NAL_PPS))
            }
        };
        !(is_delimiter || is_set && self.parameter_sets().any(|set| set == nal))
    }
}

/// A unit of any type, `primary_pic_type` 7: any slice may follow.
const AVC_DELIMITER: [u8; 6] = [0, 0, 0, 1, avc::NAL_AUD, 0xf0];
/// The same for HEVC: `pic_type` 2.
const HEVC_DELIMITER: [u8; 7] = [0, 0, 0, 1, hevc::NAL_AUD << 1, 1, 0x50];
/// Start code before the first unit and parameter sets (ISO/IEC 14496-10, B.1.2).
const LONG_START: [u8; 4] = [0, 0, 0, 1];
const START: [u8; 3] = [0, 0, 1];
