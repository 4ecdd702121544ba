//! Players that go, or are sent away.

use std::time::Duration;

use millrace_hub::{HubConfig, HubLimits};

use crate::support::player::ALL;
use crate::support::server::movie;
use crate::support::{Player, Server, Show, Via, eventually};

#[tokio::test]
async fn whoever_closes_or_resets_gives_up_its_place() {
    let server = Server::start(HubConfig::default());
    let _show = Show::begin(&server.hub).await;
    let mut players = Vec::new();
    for reset in [false, true] {
        for via in ALL {
            let mut player = Player::join(&server, via).await;
            player.until(0).await;
            players.push((player, reset));
        }
    }
    assert_eq!(server.hub.player_count(), 2 * ALL.len());
    // Nothing is published: nobody learns of it by writing.
    players.into_iter().for_each(|(player, reset)| player.leave(reset));
    eventually(|| server.hub.player_count() == 0).await;
}

#[tokio::test]
async fn whoever_leaves_while_it_is_blocked_gives_up_its_place() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut players = Vec::new();
    for reset in [false, true] {
        for via in ALL {
            players.push((Player::join(&server, via).await, reset));
        }
    }
    let mut fast = Player::join(&server, Via::Flv).await;
    let last = show.pictures(5, 100_000).await;
    fast.until(last).await;
    players.into_iter().for_each(|(player, reset)| player.leave(reset));
    eventually(|| server.hub.player_count() == 1).await;
}

#[tokio::test]
async fn whoever_is_kicked_goes_and_the_others_stay() {
    let server =
        Server::start(HubConfig { limits: HubLimits { players: 5, ..HubLimits::default() }, ..HubConfig::default() });
    let mut show = Show::begin(&server.hub).await;
    let mut stays = Player::join(&server, Via::Rtmp).await;
    let mut players = Vec::new();
    for via in ALL {
        let mut player = Player::join(&server, via).await;
        player.until(0).await;
        let id = server.info(player.address()).id;
        players.push((via, player, id));
    }
    for (_, _, id) in &players {
        assert!(server.hub.kick_player(&movie(), *id));
    }
    eventually(|| server.hub.player_count() == 1).await;
    for (via, mut player, id) in players {
        match via {
            Via::WsFlv => player.until_heard("close 1008 disconnected by the administrator").await,
            Via::Rtmp => player.until_heard("NetStream.Play.Failed").await,
            Via::Flv | Via::LaterFlv => {} // HTTP has no word within a body
        }
        // An RTMP client is left to close the connection itself, having read why.
        if via != Via::Rtmp {
            player.until_closed().await;
        }
        assert!(!server.hub.kick_player(&movie(), id), "it is gone");
    }
    for via in ALL {
        let mut player = Player::join(&server, via).await; // in the place of another
        player.until(0).await;
    }
    let last = show.pictures(1, 500).await;
    stays.until(last).await;
}

/// A blocked player may be kicked as well, long before it would be disconnected for that.
#[tokio::test]
async fn whoever_is_blocked_can_be_kicked() {
    let stall_timeout = Duration::from_secs(60);
    let server = Server::start(HubConfig { stall_timeout, ..HubConfig::default() });
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    for _ in 0..5 {
        let last = show.pictures(10, 20_000).await;
        fast.until(last).await;
    }
    for player in &players {
        assert!(server.hub.kick_player(&movie(), server.info(player.address()).id));
    }
    eventually(|| server.hub.player_count() == 1).await;
}
