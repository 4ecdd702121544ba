//! Whoever takes the stream, in whatever portions, gets whole packets, all of them, in order.

use std::time::Duration;

use millrace_hub::HubConfig;
use millrace_rtmp::client::{ClientConfig, Event};
use millrace_rtmp::{ClientSession, Media};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::frames::{AUDIO, SCRIPT, VIDEO};
use crate::support::player::ALL;
use crate::support::server::connect;
use crate::support::{Item, Player, Server, Show, Via, What, soon, unbroken};

/// Sizes around those at which formats frame differently: WebSocket lengths of 1, 3 and 9 bytes, RTMP
/// chunks of 64 KiB, and what sockets hold.
const SIZES: [usize; 8] = [5, 104, 110, 1000, 65_500, 65_531, 65_532, 140_000];

/// Nobody skips.
fn patient() -> HubConfig {
    HubConfig { play_window: Duration::from_secs(3600), ..HubConfig::default() }
}

async fn gets_every_packet(via: Via) {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let mut player = Player::join(&server, via).await;
    let mut last = 0;
    for size in SIZES.into_iter().chain([700; 40]) {
        last = show.pictures(1, size).await;
    }
    player.until(last).await;
    assert_eq!(unbroken(&player.got), 0..last + 1);
    // Those that come later begin at the newest keyframe, all at once.
    let mut late = Player::join(&server, via).await;
    late.until(last).await;
    assert_eq!(unbroken(&late.got), 25..last + 1);
    show.finish();
    late.until_over().await;
}

#[tokio::test]
async fn http_flv() {
    gets_every_packet(Via::Flv).await;
}

#[tokio::test]
async fn http_flv_by_a_later_request() {
    gets_every_packet(Via::LaterFlv).await;
}

#[tokio::test]
async fn websocket_flv() {
    gets_every_packet(Via::WsFlv).await;
}

#[tokio::test]
async fn rtmp() {
    gets_every_packet(Via::Rtmp).await;
}

#[tokio::test]
async fn rtmp_as_our_own_client_reads_it() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let mut socket = connect(server.rtmp).await;
    let url = format!("rtmp://{}/live/movie", server.rtmp).parse().unwrap();
    let mut session = ClientSession::play(url, ClientConfig::default(), 7, Duration::ZERO);
    let mut got: Vec<Item> = Vec::new();
    let mut last = 0;
    for size in SIZES {
        last = show.pictures(1, size).await;
    }
    let mut scratch = vec![0; 1499];
    let mut show = Some(show);
    'connection: loop {
        while let Some(output) = session.poll_output() {
            socket.write_all(&output).await.unwrap();
        }
        let n = soon(socket.read(&mut scratch)).await.unwrap();
        assert!(n > 0, "the connection ended before the stream");
        let mut input = &scratch[..n];
        while let Some(event) = session.handle_input(&mut input, Duration::ZERO).unwrap() {
            got.push(match event {
                Event::Media(Media::Audio { timestamp, payload }) => Item::read(AUDIO, timestamp, &payload),
                Event::Media(Media::Video { timestamp, payload }) => Item::read(VIDEO, timestamp, &payload),
                Event::Media(Media::Data { timestamp, payload }) => Item::read(SCRIPT, timestamp, &payload),
                Event::Ended { .. } => break 'connection,
                _ => continue,
            });
            if got.last().is_some_and(|item| item.what == What::Sound(last)) {
                show.take().unwrap().finish();
            }
        }
    }
    assert_eq!(unbroken(&got), 0..last + 1);
}

#[tokio::test]
async fn many_players_of_all_kinds_at_once() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let mut players = Vec::new();
    for n in 0..40 {
        players.push(Player::join(&server, ALL[n % ALL.len()]).await);
    }
    assert_eq!(server.hub.player_count(), 40);
    let last = show.pictures(30, 3000).await;
    let playing = players.into_iter().map(|mut player| {
        tokio::spawn(async move {
            player.until(last).await;
            assert_eq!(unbroken(&player.got), 0..last + 1);
        })
    });
    for player in playing.collect::<Vec<_>>() {
        player.await.unwrap();
    }
}
