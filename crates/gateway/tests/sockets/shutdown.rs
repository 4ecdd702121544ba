//! Both ports end when they are told to, whatever is open.

use std::time::Duration;

use millrace_hub::HubConfig;
use millrace_rtmp::command::Command;
use tokio::io::AsyncWriteExt;

use crate::support::player::shake_hands;
use crate::support::server::connect;
use crate::support::{Player, Server, Show, Via, Web, soon, unbroken};

#[tokio::test]
async fn with_everything_open_that_can_be() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let last = show.pictures(3, 500).await;

    let silent = Web::connect(&server).await;
    let mut half_sent = Web::connect(&server).await;
    half_sent.send("GET /live/mov").await;
    let mut half_sent_later = Web::connect(&server).await;
    let mut kept_alive = Web::connect(&server).await;
    for web in [&mut half_sent_later, &mut kept_alive] {
        assert_eq!(web.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
    }
    half_sent_later.send("GET /live/mov").await;

    let silent_rtmp = connect(server.rtmp).await;
    let mut half_shaken = connect(server.rtmp).await;
    half_shaken.write_all(&[3; 700]).await.unwrap();
    let mut shaken = connect(server.rtmp).await;
    shake_hands(&mut shaken).await;
    let connected = Player::rtmp(&server).await;
    let mut publisher = Player::rtmp(&server).await;
    publisher.command(Command::new("publish", 0.0, ["other-key", "live"])).await;
    publisher.until_heard("NetStream.Publish.Start").await;
    let mut waiting = Player::rtmp(&server).await;
    waiting.play("nobody").await;
    waiting.until_heard("NetStream.Play.Start").await;

    let playing = tokio::spawn(async move {
        for mut player in players {
            player.until_over().await;
            assert_eq!(unbroken(&player.got), 0..last + 1);
        }
    });
    soon(server.shut_down()).await;
    playing.await.unwrap();
    publisher.until_heard("NetStream.Unpublish.Success").await;
    waiting.until_heard("NetStream.Play.Failed").await;
    drop((silent, half_sent, half_sent_later, kept_alive, silent_rtmp, half_shaken, shaken, connected));
}

#[tokio::test]
async fn players_that_are_behind_get_the_end_of_it() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let last = show.pictures(3, 100_000).await;
    fast.until(last).await;
    let shut_down = tokio::spawn(server.shut_down());
    for mut player in players {
        player.until_over().await;
        assert_eq!(unbroken(&player.got), 0..last + 1);
    }
    drop(fast);
    soon(shut_down).await.unwrap();
}

#[tokio::test]
async fn players_that_take_nothing_do_not_hold_it_up_for_ever() {
    let stall_timeout = Duration::from_secs(1);
    let server = Server::start(HubConfig { stall_timeout, ..HubConfig::default() });
    let mut show = Show::begin(&server.hub).await;
    let players = Player::one_of_each(&server).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let last = show.pictures(20, 100_000).await;
    fast.until(last).await;
    soon(server.shut_down()).await;
    drop(players);
}
