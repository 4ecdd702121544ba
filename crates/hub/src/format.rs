//! The formats that players take as one stream of packets: FLV tags and RTMP messages.
//!
//! A frame is packaged at most once per format; the packets are the same for every player, so
//! nothing here may depend on one.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use millrace_flv::body::{self, Extent};
use millrace_flv::script;
use millrace_flv::tag::{self, TagKind};
use millrace_media::{AudioConfig, Frame, Metadata, Timestamp, TrackKind, VideoConfig};
use millrace_rtmp::chunk::{self, MessageKind};

/// A format that is handed out as a ring of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// FLV, one tag a packet.
    Flv,
    /// FLV over a WebSocket, one tag a message (RFC 6455, 5.2): a server does not mask, so frames
    /// too are the same for every player.
    WsFlv,
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
        let file_header = tag::file_header(tracks.audio.is_some(), tracks.video.is_some());
        match self {
            Self::Flv => [&file_header, &headers[..]].concat().into(),
            Self::WsFlv => [&ws_message(&file_header)[..], &headers[..]].concat().into(),
            Self::Rtmp => headers,
        }
    }

    /// Metadata and sequence headers.
    pub(crate) fn headers(self, tracks: &Tracks, at: Timestamp) -> Bytes {
        let (video, audio) = (tracks.video.as_deref(), tracks.audio.as_deref());
        let mut out = BytesMut::new();
        let mut put = |kind, at, prefix: &[u8], payload: &[u8]| {
            out.extend_from_slice(&self.packet(kind, at, prefix, payload).unwrap_or_default());
        };
        // FFmpeg takes metadata with another time than zero for a track of text.
        put(TagKind::Script, Timestamp::ZERO, &[], &script::on_metadata(&tracks.metadata, video, audio));
        if let Some((prefix, payload)) = video.and_then(body::video_sequence_header) {
            put(TagKind::Video, at, prefix.as_slice(), payload);
        }
        let colors = tracks.metadata.color_info.as_deref().filter(|_| self.extent() == Extent::Full);
        if let Some((payload, prefix)) = colors.zip(video.and_then(body::color_info_prefix)) {
            put(TagKind::Video, at, prefix.as_slice(), payload);
        }
        if let Some((prefix, payload)) = audio.and_then(body::audio_sequence_header) {
            put(TagKind::Audio, at, prefix.as_slice(), payload);
        }
        out.freeze()
    }

    /// Colours that changed within a stream, for the players that are here.
    pub(crate) fn colors(self, tracks: &Tracks, at: Timestamp) -> Option<Bytes> {
        if self.extent() == Extent::Basic {
            return None;
        }
        let prefix = body::color_info_prefix(tracks.video.as_deref()?)?;
        let payload = tracks.metadata.color_info.as_deref().unwrap_or(script::NO_COLOR_INFO);
        self.packet(TagKind::Video, at, prefix.as_slice(), payload)
    }

    /// Players in browsers give up at parts of Enhanced RTMP beyond sequence headers and frames, and
    /// they play FLV. Those of RTMP are programs and other servers.
    fn extent(self) -> Extent {
        match self {
            Self::Flv | Self::WsFlv => Extent::Basic,
            Self::Rtmp => Extent::Full,
        }
    }

    /// One frame. `None` where its track has no configuration, or none that the format carries.
    pub(crate) fn frame(self, frame: &Frame, tracks: &Tracks) -> Option<Bytes> {
        let prefix = body::frame_prefix(frame, tracks.video.as_deref(), tracks.audio.as_deref(), self.extent())?;
        let kind = match frame.track {
            TrackKind::Video => TagKind::Video,
            TrackKind::Audio => TagKind::Audio,
        };
        self.packet(kind, frame.dts, prefix.as_slice(), &frame.payload)
    }

    /// A frame's payload of `len` bytes within its packet, where it lies there in one piece: what keeps the frame beside
    /// the packet need not keep it twice.
    pub(crate) fn payload_within(self, packet: &Bytes, len: usize) -> Option<Bytes> {
        let trailer = match self {
            Self::Flv | Self::WsFlv => tag::TAG_TRAILER,
            // Longer messages are cut by the headers of their further chunks.
            Self::Rtmp if packet.len() > chunk::OUT_CHUNK_SIZE as usize => return None,
            Self::Rtmp => 0,
        };
        let end = packet.len().checked_sub(trailer)?;
        Some(packet.slice(end.checked_sub(len)?..end))
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
            Self::WsFlv => {
                let len = tag::TAG_OVERHEAD + prefix.len() + payload.len();
                let mut out = BytesMut::with_capacity(MAX_WS_HEADER + len);
                put_ws_header(len, &mut out);
                tag::write(kind, timestamp, prefix, payload, &mut out);
                Some(out.freeze())
            }
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

fn ws_message(payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(MAX_WS_HEADER + payload.len());
    put_ws_header(payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

/// The header of a whole binary message.
#[allow(clippy::cast_possible_truncation)] // each arm's range
fn put_ws_header(len: usize, out: &mut BytesMut) {
    out.put_u8(0x82); // the last frame of its message, binary
    match len {
        0..=125 => out.put_u8(len as u8),
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(len as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(len as u64);
        }
    }
}

const MAX_WS_HEADER: usize = 10;

/// The message stream that every play runs on: a session has one stream.
const MESSAGE_STREAM: u32 = 1;
const AUDIO_CHUNK_STREAM: u32 = 4;
const DATA_CHUNK_STREAM: u32 = 5;
const VIDEO_CHUNK_STREAM: u32 = 6;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn websocket_headers_of_each_length() {
        for (len, header) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 255, 255]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = BytesMut::new();
            put_ws_header(len, &mut out);
            assert_eq!(&out[..], header);
        }
    }

    #[test]
    fn colours_are_told_to_rtmp_players_and_taken_back() {
        let av1 = Bytes::from_static(&[0x81, 0, 0x0c, 0]);
        let video = VideoConfig::Av1(millrace_media::Av1Config::parse(av1).unwrap());
        let colours = Bytes::from_static(b"\x02\0\x09colorInfo\x03\0\x01x\x05\0\0\x09");
        let metadata = Metadata { color_info: Some(colours.clone()), ..Metadata::default() };
        let mut tracks = Tracks { metadata: Arc::new(metadata), video: Some(Arc::new(video)), audio: None };
        let tell = |packet: &[u8], what: &[u8]| packet.windows(what.len()).any(|w| w == what);
        assert!(tell(&Format::Rtmp.headers(&tracks, Timestamp::ZERO), &colours));
        for format in [Format::Flv, Format::WsFlv] {
            assert!(!tell(&format.headers(&tracks, Timestamp::ZERO), b"colorInfo"), "{format:?}");
            assert_eq!(format.colors(&tracks, Timestamp::ZERO), None);
        }
        tracks.metadata = Arc::default();
        assert!(!tell(&Format::Rtmp.headers(&tracks, Timestamp::ZERO), b"colorInfo"));
        let packet = Format::Rtmp.colors(&tracks, Timestamp::ZERO).unwrap();
        assert!(tell(&packet, b"av01\x02\0\x09colorInfo\x06"), "undefined: {packet:02x?}");
    }

    #[test]
    fn a_websocket_packet_is_a_message_with_the_same_tag() {
        let (mut flv, ws) =
            (Vec::new(), Format::WsFlv.packet(TagKind::Audio, Timestamp::ZERO, &[0xaf, 1], &[7; 9]).unwrap());
        flv.extend_from_slice(&Format::Flv.packet(TagKind::Audio, Timestamp::ZERO, &[0xaf, 1], &[7; 9]).unwrap());
        assert_eq!(ws[2..], flv[..]);
        assert_eq!(usize::from(ws[1]), flv.len());
    }
}
