//! RTMP players that say something while they are played to.

use std::time::Duration;

use millrace_hub::HubConfig;
use millrace_rtmp::command::Command;
use millrace_rtmp::control::{Control, UserControl};

use crate::support::frames::GOP;
use crate::support::{Item, Player, Server, Show, Via, Web, What, eventually, unbroken};

fn call(name: &str, transaction: f64) -> Command {
    Command::new(name, transaction, [millrace_flv::amf0::Value::Null; 0])
}

fn switch(name: &str, on: bool) -> Command {
    Command::new(name, 0.0, [on])
}

fn pictures(got: &[Item]) -> Vec<u32> {
    let number = |item: &Item| if let What::Picture(n) = item.what { Some(n) } else { None };
    got.iter().filter_map(number).collect()
}

fn sounds(got: &[Item]) -> Vec<u32> {
    let number = |item: &Item| if let What::Sound(n) = item.what { Some(n) } else { None };
    got.iter().filter_map(number).collect()
}

/// A player that is blocked in the middle of a picture, and another that keeps up.
async fn blocked_and_fast(server: &Server, show: &mut Show) -> (Player, Player) {
    let mut blocked = Player::join(server, Via::Rtmp).await;
    let mut fast = Player::join(server, Via::Rtmp).await;
    let last = show.pictures(1, 400_000).await;
    fast.until(last).await;
    blocked.heard.clear();
    (blocked, fast)
}

/// Sees to it that what players said before has been heard: it has come when a later request on another
/// connection is answered, and the walker has been round when the fast player gets something new.
async fn heard(server: &Server, show: &mut Show, fast: &mut Player) {
    assert_eq!(Web::connect(server).await.ask("GET / HTTP/1.1").await.status, 200);
    fast.until(show.pictures(1, 1000).await).await;
}

/// Players may lag as they like.
fn patient() -> HubConfig {
    HubConfig { play_window: Duration::from_secs(3600), ..HubConfig::default() }
}

#[tokio::test]
async fn answers_come_between_packets_also_where_one_is_half_sent() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    player.command(call("getStreamLength", 7.0)).await;
    player.control(Control::User(UserControl::PingRequest(77))).await;
    player.command(call("noSuchThing", 8.0)).await;
    heard(&server, &mut show, &mut fast).await;
    let last = show.pictures(3, 1000).await;
    player.until(last).await;
    assert_eq!(player.heard, ["_result 7", "PingResponse 77", "_error 8 NetConnection.Call.Failed"]);
    assert_eq!(unbroken(&player.got), 0..last + 1);
}

/// A player that always has more to get than its socket takes is answered all the same.
#[tokio::test]
async fn answers_do_not_wait_until_a_player_has_caught_up() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    let last = show.pictures(10, 100_000).await;
    fast.until(last).await;
    player.command(call("getStreamLength", 7.0)).await;
    heard(&server, &mut show, &mut fast).await;
    player.until_heard("_result 7").await;
    assert_eq!(pictures(&player.got), [0, 1], "it comes after the packet that was half sent");
    player.until(last).await;
    assert_eq!(unbroken(&player.got), 0..last + 1);
}

#[tokio::test]
async fn a_pause_in_the_middle_of_a_packet_holds_after_it() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    player.command(switch("pause", true)).await;
    heard(&server, &mut show, &mut fast).await;
    fast.until(show.pictures(20, 1000).await).await;
    player.until_heard("NetStream.Pause.Notify").await;
    player.command(call("getStreamLength", 7.0)).await;
    heard(&server, &mut show, &mut fast).await;
    player.until_heard("_result 7").await;
    assert_eq!(pictures(&player.got), [0, 1], "the picture that was half sent is the last");
    player.got.clear();
    player.command(switch("pause", false)).await;
    heard(&server, &mut show, &mut fast).await;
    player.until_heard("NetStream.Unpause.Notify").await;
    let last = show.pictures(GOP, 1000).await;
    player.until(last).await;
    assert_eq!(pictures(&player.got), (GOP..=last).collect::<Vec<_>>(), "from the next keyframe on");
}

#[tokio::test]
async fn nothing_comes_during_a_pause() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let mut player = Player::join(&server, Via::Rtmp).await;
    player.until(0).await;
    player.got.clear();
    player.command(switch("pause", true)).await;
    player.until_heard("NetStream.Pause.Notify").await;
    let paused_at = show.pictures(2 * GOP + 5, 1000).await;
    player.command(call("getStreamLength", 7.0)).await;
    player.until_heard("_result 7").await;
    assert_eq!(player.got, []);
    player.command(switch("pause", false)).await;
    player.until_heard("NetStream.Unpause.Notify").await;
    let last = show.pictures(GOP, 1000).await;
    player.until(last).await;
    assert_eq!(pictures(&player.got), (3 * GOP..=last).collect::<Vec<_>>());
    assert_eq!(sounds(&player.got), (paused_at + 1..=last).collect::<Vec<_>>(), "sound need not wait for it");
}

#[tokio::test]
async fn sound_and_pictures_can_be_had_apart() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    player.command(switch("receiveVideo", false)).await;
    heard(&server, &mut show, &mut fast).await;
    let last = show.pictures(5, 1000).await;
    player.until(last).await;
    assert_eq!(pictures(&player.got), [0, 1]);
    assert_eq!(sounds(&player.got), (0..=last).collect::<Vec<_>>());

    player.got.clear();
    player.command(switch("receiveVideo", true)).await;
    player.command(switch("receiveAudio", false)).await;
    player.command(call("getStreamLength", 7.0)).await;
    heard(&server, &mut show, &mut fast).await;
    player.until_heard("_result 7").await;
    let last = show.pictures(GOP, 1000).await;
    fast.until(last).await;
    player.command(switch("receiveAudio", true)).await;
    player.command(call("getStreamLength", 8.0)).await;
    heard(&server, &mut show, &mut fast).await;
    player.until_heard("_result 8").await;
    assert_eq!(pictures(&player.got), (GOP..=last).collect::<Vec<_>>());
    assert_eq!(sounds(&player.got), Vec::<u32>::new(), "there was no sound while it was not wanted");
}

#[tokio::test]
async fn a_player_that_stops_in_the_middle_of_a_packet_can_play_again() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    player.command(call("closeStream", 0.0)).await;
    player.play("movie").await;
    fast.until(show.pictures(GOP, 1000).await).await;
    eventually(|| server.hub.player_count() == 1).await; // it has stopped, and its packet is half sent
    player.until_heard("NetStream.Play.Start").await;
    assert_eq!(player.heard, ["StreamBegin 1", "onStatus 0 NetStream.Play.Reset", "onStatus 0 NetStream.Play.Start"]);
    assert_eq!(unbroken(&player.got), 0..2, "the packet was sent to its end");
    player.got.clear();
    eventually(|| server.hub.player_count() == 2).await;
    let last = show.pictures(3, 1000).await;
    player.until(last).await;
    assert_eq!(unbroken(&player.got), GOP..last + 1);
}

#[tokio::test]
async fn a_player_may_come_first_and_pause_before_there_is_anything() {
    let server = Server::start(patient());
    let mut player = Player::join(&server, Via::Rtmp).await;
    player.command(switch("pause", true)).await;
    player.until_heard("NetStream.Pause.Notify").await;
    assert_eq!(server.hub.player_count(), 1);
    let mut show = Show::begin(&server.hub).await;
    let mut fast = Player::join(&server, Via::Rtmp).await;
    fast.until(show.pictures(5, 1000).await).await;
    player.command(switch("pause", false)).await;
    player.until_heard("NetStream.Unpause.Notify").await;
    assert_eq!((pictures(&player.got), sounds(&player.got)), (vec![], vec![]));
    let last = show.pictures(GOP, 1000).await;
    player.until(last).await;
    assert_eq!(pictures(&player.got), (GOP..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_player_that_comes_first_gets_all() {
    let server = Server::start(patient());
    let mut player = Player::join(&server, Via::Rtmp).await;
    let mut show = Show::begin(&server.hub).await;
    let last = show.pictures(5, 1000).await;
    player.until(last).await;
    assert_eq!(unbroken(&player.got), 0..last + 1);
}

#[tokio::test]
async fn a_player_that_breaks_the_protocol_is_closed_and_the_others_play_on() {
    let server = Server::start(patient());
    let mut show = Show::begin(&server.hub).await;
    let (mut player, mut fast) = blocked_and_fast(&server, &mut show).await;
    player.send(&[0xff; 64]).await; // a chunk of a stream that has none to continue
    fast.until(show.pictures(1, 1000).await).await;
    eventually(|| server.hub.player_count() == 1).await;
    player.until_closed().await;
    let last = show.pictures(1, 1000).await;
    fast.until(last).await;
    assert_eq!(unbroken(&fast.got), 0..last + 1);
}
