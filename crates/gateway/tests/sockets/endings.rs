//! How streams end for their players.

use millrace_hub::HubConfig;

use crate::support::player::ALL;
use crate::support::server::movie;
use crate::support::{Player, Server, Show, Via, eventually, examine, unbroken};

/// What a player is told at the end, by its protocol.
#[track_caller]
fn was_seen_off(via: Via, heard: &[String]) {
    let expected: &[&str] = match via {
        Via::Flv | Via::LaterFlv => &[], // the body ends
        Via::WsFlv => &["close 1000"],
        Via::Rtmp => &["StreamEof 1", "onStatus 0 NetStream.Play.UnpublishNotify", "onStatus 0 NetStream.Play.Stop"],
    };
    assert!(heard.ends_with(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()), "{via:?}: {heard:?}");
}

#[tokio::test]
async fn everyone_gets_the_last_picture_and_is_seen_off() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let last = show.pictures(10, 500).await;
    show.finish();
    for (via, mut player) in ALL.into_iter().zip(players) {
        player.until_over().await;
        assert_eq!(unbroken(&player.got), 0..last + 1, "{via:?}");
        was_seen_off(via, &player.heard);
    }
    eventually(|| server.hub.player_count() == 0).await;
}

/// Players that are blocked within a packet when the stream ends, and read on a little later.
#[tokio::test]
async fn whoever_is_behind_at_the_end_gets_what_is_left() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let mut last = 0;
    for _ in 0..3 {
        last = show.pictures(10, 20_000).await;
        fast.until(last).await;
    }
    show.finish();
    fast.until_over().await;
    eventually(|| server.hub.info(&movie()).is_none()).await;
    for (via, mut player) in ALL.into_iter().zip(players) {
        player.until_over().await;
        assert_eq!(unbroken(&player.got), 0..last + 1, "{via:?}");
        was_seen_off(via, &player.heard);
    }
}

/// The same where the window has moved on.
#[tokio::test]
async fn whoever_is_far_behind_at_the_end_gets_the_end() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let mut last = 0;
    for _ in 0..14 {
        last = show.pictures(10, 20_000).await;
        fast.until(last).await;
    }
    show.finish();
    fast.until_over().await;
    for (via, mut player) in ALL.into_iter().zip(players) {
        player.until_over().await;
        assert_eq!(examine(&player.got).last(), Some(&(125..last + 1)), "{via:?}");
        was_seen_off(via, &player.heard);
    }
}

#[tokio::test]
async fn a_goodbye_over_websocket_is_answered() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut player = Player::join(&server, Via::WsFlv).await;
    let last = show.pictures(3, 500).await;
    player.frame(9, b"hello").await;
    player.until(last).await;
    player.until_heard("pong hello").await;
    player.frame(8, &1000u16.to_be_bytes()).await;
    player.until_over().await;
    assert_eq!(player.heard, ["pong hello", "close 1000"]);
    eventually(|| server.hub.player_count() == 0).await;
}

/// A ping that crosses the goodbye must not cost the player what is still under way.
#[tokio::test]
async fn what_a_websocket_says_last_does_not_cost_it_the_end() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut player = Player::join(&server, Via::WsFlv).await;
    let last = show.pictures(1, 45_000).await;
    show.finish();
    // All of it is in the sockets' buffers now, unread, and most of it on the server's side.
    eventually(|| server.hub.player_count() == 0).await;
    player.frame(9, b"still there?").await;
    player.until_over().await;
    assert_eq!(unbroken(&player.got), 0..last + 1);
    was_seen_off(Via::WsFlv, &player.heard);
}

#[tokio::test]
async fn an_rtmp_player_may_play_another_stream_after_the_end() {
    let server = Server::start(HubConfig::default());
    let show = Show::begin(&server.hub).await;
    let mut player = Player::join(&server, Via::Rtmp).await;
    player.until(0).await;
    show.finish();
    player.until_over().await;
    eventually(|| server.hub.info(&movie()).is_none()).await;
    let mut show = Show::begin(&server.hub).await;
    player.got.clear();
    player.heard.clear();
    player.play("movie").await;
    let last = show.pictures(5, 500).await;
    player.until(last).await;
    assert_eq!(unbroken(&player.got), 0..last + 1);
    show.finish();
    player.until_over().await;
    was_seen_off(Via::Rtmp, &player.heard);
}
