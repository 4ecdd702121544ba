//! The formats that players take as one stream of packets: FLV tags and RTMP messages.
//!
//! A frame is packaged at most once per format; the packets are the same for every player, so
//! nothing here may depend on one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millrace_flv::tag::{self, TagKind};
use millrace_flv::{body, script};
use millrace_media::{AudioConfig, Frame, Metadata, Timestamp, TrackKind, VideoConfig};
use millrace_rtmp::chunk::{self, MessageKind};

/// A format that is handed out as a ring of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// FLV, over HTTP or a WebSocket.
    Flv,
    /// RTMP messages on message stream 1, in chunks of
    /// [`OUT_CHUNK_SIZE`](millrace_rtmp::chunk::OUT_CHUNK_SIZE).
    Rtmp,
}

/// What a stream consists of at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracks {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) video: Option<Arc<VideoConfig>>,
    pub(crate) audio: Option<Arc<AudioConfig>>,
}

impl Format {
    /// What a new player gets before its first packet.
    pub(crate) fn prologue(self, tracks: &Tracks, at: Timestamp) -> Bytes {
        let headers = self.headers(tracks, at);
        match self {
            Self::Flv => {
                [&tag::file_header(tracks.audio.is_some(), tracks.video.is_some()), &headers[..]].concat().into()
            }
            Self::Rtmp => headers,
        }
    }

    /// Metadata and sequence headers.
    pub(crate) fn headers(self, tracks: &Tracks, at: Timestamp) -> Bytes {
        let (video, audio) = (tracks.video.as_deref(), tracks.audio.as_deref());
        let mut out = BytesMut::new();
        let mut put = |kind, prefix: &[u8], payload: &[u8]| {
            out.extend_from_slice(&self.packet(kind, at, prefix, payload).unwrap_or_default());
        };
        put(TagKind::Script, &[], &script::on_metadata(&tracks.metadata, video, audio));
        if let Some((prefix, payload)) = video.and_then(body::video_sequence_header) {
            put(TagKind::Video, prefix.as_slice(), payload);
        }
        if let Some((prefix, payload)) = audio.and_then(body::audio_sequence_header) {
            put(TagKind::Audio, prefix.as_slice(), payload);
        }
        out.freeze()
    }

    /// One frame. `None` where its track has no configuration, or none that the format carries.
    pub(crate) fn frame(self, frame: &Frame, tracks: &Tracks) -> Option<Bytes> {
        let prefix = body::frame_prefix(frame, tracks.video.as_deref(), tracks.audio.as_deref())?;
        let kind = match frame.track {
            TrackKind::Video => TagKind::Video,
            TrackKind::Audio => TagKind::Audio,
        };
        self.packet(kind, frame.dts, prefix.as_slice(), &frame.payload)
    }

    /// `None` where it is longer than the format can say: such a frame is lost.
    fn packet(self, kind: TagKind, at: Timestamp, prefix: &[u8], payload: &[u8]) -> Option<Bytes> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // both formats wrap at 32 bits
        let timestamp = at.as_millis() as u32;
        if prefix.len() + payload.len() > chunk::MAX_MESSAGE {
            return None;
        }
        match self {
            Self::Flv => Some(tag::to_bytes(kind, timestamp, prefix, payload)),
            Self::Rtmp => {
                let (chunk_stream, kind) = match kind {
                    TagKind::Script => (DATA_CHUNK_STREAM, MessageKind::DataAmf0),
                    TagKind::Audio => (AUDIO_CHUNK_STREAM, MessageKind::Audio),
                    TagKind::Video => (VIDEO_CHUNK_STREAM, MessageKind::Video),
                };
                let parts = [prefix, payload];
                chunk::write_shared(chunk_stream, MESSAGE_STREAM, timestamp, kind, &parts, chunk::OUT_CHUNK_SIZE).ok()
            }
        }
    }
}

/// The message stream that every play runs on: a session has one stream.
const MESSAGE_STREAM: u32 = 1;
const AUDIO_CHUNK_STREAM: u32 = 4;
const DATA_CHUNK_STREAM: u32 = 5;
const VIDEO_CHUNK_STREAM: u32 = 6;
