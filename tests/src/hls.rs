//! Reading HLS as a player does, with an independent parser for the playlists.

use std::net::SocketAddr;

use m3u8_rs::{MasterPlaylist, MediaPlaylist, Playlist};

use crate::{clip::Temporary, http};

/// Fetches and reads the multivariant playlist.
#[track_caller]
pub fn multivariant(address: SocketAddr, path: &str) -> MasterPlaylist {
    let response = http::get(address, path);
    assert_eq!(response.status, 200, "{}", response.text());
    match m3u8_rs::parse_playlist_res(&response.body) {
        Ok(Playlist::MasterPlaylist(playlist)) => playlist,
        other => panic!("{other:?}\n{}", response.text()),
    }
}

/// Fetches and reads a media playlist, and checks what must hold of each (RFC 8216).
#[track_caller]
pub fn media(address: SocketAddr, path: &str) -> MediaPlaylist {
    let response = http::get(address, path);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/vnd.apple.mpegurl"));
    let playlist = match m3u8_rs::parse_playlist_res(&response.body) {
        Ok(Playlist::MediaPlaylist(playlist)) => playlist,
        other => panic!("{other:?}\n{}", response.text()),
    };
    assert!(!playlist.segments.is_empty(), "{}", response.text());
    for segment in &playlist.segments {
        assert!(segment.duration > 0.0, "{}", response.text());
        #[allow(clippy::cast_precision_loss)]
        let target = playlist.target_duration as f32;
        assert!(segment.duration.round() <= target, "4.3.3.1: {}", response.text());
        assert!(segment.unknown_tags.is_empty(), "{:?}", segment.unknown_tags);
    }
    playlist
}

/// Fetches a segment of the media playlist at `path`.
#[track_caller]
pub fn segment(address: SocketAddr, path: &str, uri: &str) -> http::Response {
    let (directory, _) = path.rsplit_once('/').unwrap();
    http::get(address, &format!("{directory}/{uri}"))
}

/// Fetches all segments of a playlist that has ended, in one file.
#[track_caller]
pub fn save(address: SocketAddr, path: &str) -> Temporary {
    let playlist = media(address, path);
    assert!(playlist.end_list);
    let fetch = |uri: &String| {
        let response = segment(address, path, uri);
        assert_eq!(response.status, 200, "{}", response.text());
        response.body
    };
    let segments: Vec<u8> = playlist.segments.iter().flat_map(|segment| fetch(&segment.uri)).collect();
    Temporary::file("segments.ts", &segments)
}
