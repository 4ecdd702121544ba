use std::net::IpAddr;
use std::time::Duration;

use crate::AddressRange;

/// How streams are kept and handed out.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// GOPs that a joining player gets at once, 0 to [`MAX_GOP_COUNT`]. With 0 it waits for the
    /// next keyframe.
    pub gop_count: usize,
    /// Most bytes that one stream keeps for joining and lagging players, per format.
    pub gop_max_bytes: usize,
    /// Most frames that one stream keeps for them.
    pub gop_max_frames: usize,
    /// Longest time that one stream keeps for them.
    pub gop_max_duration: Duration,
    /// Time behind the newest frame within which a player may lag before it skips to the newest
    /// keyframe.
    pub play_window: Duration,
    /// A player that takes no byte for so long is disconnected.
    pub stall_timeout: Duration,
    /// How long a stream outlives a lost publisher.
    pub publish_grace: Duration,
    /// Least duration of an HLS segment.
    pub hls_segment: Duration,
    /// How long the parts of HLS segments come near to be, in the format that has parts.
    pub hls_part: Duration,
    /// Segments in an HLS playlist.
    pub hls_window: usize,
    /// How long the playlist and its segments stay after the stream's end.
    pub hls_keep_after_end: Duration,
    /// How much there may be at a time.
    pub limits: HubLimits,
}

/// How much there may be at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLimits {
    /// Streams, those that only wait for their publisher included.
    pub streams: usize,
    /// Publishers.
    pub publishers: usize,
    /// Publishers of one address that is not trusted.
    pub publishers_per_address: usize,
    /// Players that have a connection of their own, on all streams.
    pub players: usize,
    /// Such players of one address that is not trusted.
    pub players_per_address: usize,
    /// Addresses to which limits of one address do not apply.
    pub trusted: Vec<AddressRange>,
}

impl HubLimits {
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(address))
    }
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            streams: 10_000,
            publishers: 5_000,
            publishers_per_address: 200,
            players: 100_000,
            players_per_address: 1_000,
            trusted: Vec::new(),
        }
    }
}

/// Most GOPs that can be kept.
pub const MAX_GOP_COUNT: usize = 8;

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            gop_count: 1,
            gop_max_bytes: 32 << 20,
            gop_max_frames: 6000,
            gop_max_duration: Duration::from_secs(30),
            play_window: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(30),
            publish_grace: Duration::from_secs(15),
            hls_segment: Duration::from_secs(2),
            hls_part: Duration::from_millis(200),
            hls_window: 6,
            hls_keep_after_end: Duration::from_secs(60),
            limits: HubLimits::default(),
        }
    }
}
