//! What is known of a stream, for pages, statistics and logs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use millrace_media::{AudioConfig, Metadata, VideoConfig};

use crate::StreamId;
use crate::stats::{Rates, Traffic};

/// A snapshot of one stream, made anew about once a second.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Which stream.
    pub id: StreamId,
    /// Whether its publisher is there.
    pub state: StreamState,
    /// When it went on air.
    pub started_at: SystemTime,
    /// Its publisher, or the one that was lost.
    pub publisher: Option<PublisherInfo>,
    /// What the publisher says of it.
    pub metadata: Arc<Metadata>,
    /// The video track.
    pub video: Option<VideoInfo>,
    /// The audio track.
    pub audio: Option<AudioInfo>,
    /// Time between the last two keyframes.
    pub gop: Option<Duration>,
    /// What came from publishers since it went on air.
    pub received: Traffic,
    /// How fast it comes.
    pub rates: Rates,
    /// Frames that could not be read, so that nobody got them.
    pub damaged_frames: u64,
    /// Players that watch now.
    pub viewers: usize,
    /// Bytes sent to all players since it went on air.
    pub sent_bytes: u64,
}

/// Whether a stream's publisher is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Nobody has published yet; players wait.
    Waiting,
    /// On air.
    Live,
    /// The publisher was lost a moment ago and may come back.
    Reconnecting,
}

/// Who publishes.
#[derive(Debug, Clone)]
pub struct PublisherInfo {
    /// Where it connects from.
    pub peer: SocketAddr,
    /// The program, as it calls itself.
    pub encoder: Option<String>,
    /// When it came.
    pub since: SystemTime,
}

/// The video track.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoInfo {
    /// The decoder's configuration: codec, profile, resolution.
    pub config: Arc<VideoConfig>,
    /// Pictures per second, measured, else as the bitstream says.
    pub frame_rate: Option<f64>,
}

/// The audio track.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioInfo {
    /// The decoder's configuration: codec, sample rate, channels.
    pub config: Arc<AudioConfig>,
}
