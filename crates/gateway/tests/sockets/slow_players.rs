//! A player that does not keep up loses pictures, and nobody else does.

use std::time::Duration;

use millrace_hub::HubConfig;
use tokio::time::Instant;

use crate::support::player::ALL;
use crate::support::{Item, Player, Server, Show, Via, What, eventually, examine, soon, unbroken};

/// One player of each kind stops reading; others, and the publisher, go on.
#[tokio::test]
async fn one_that_stops_reading_loses_pictures_and_nobody_else_does() {
    let play_window = Duration::from_secs(1);
    let server = Server::start(HubConfig { play_window, ..HubConfig::default() });
    let mut show = Show::begin(&server.hub).await;
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for via in ALL {
        slow.push(Player::join(&server, via).await);
        fast.push(Player::join(&server, via).await);
    }
    let mut last = 0;
    for _ in 0..9 {
        // Nobody but the fast players is waited for.
        last = soon(show.pictures(10, 12_000)).await;
        for player in &mut fast {
            player.until(last).await;
        }
    }
    for player in &mut slow {
        player.until(last).await;
        let runs = examine(&player.got);
        assert!(runs.len() > 1 && runs[0].end < HELD, "{runs:?}");
    }
    // Once back, they lose nothing. Counters are shown once a second.
    let lost: Vec<_> = slow.iter().map(|player| lost_by(&player.got)).collect();
    let told = |player: &Player| {
        let info = server.info(player.address());
        (info.skips, info.dropped_frames)
    };
    soon(async {
        while slow.iter().map(told).ne(lost.iter().copied()) {
            last = show.pictures(1, 1000).await;
            for player in slow.iter_mut().chain(&mut fast) {
                player.until(last).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(slow.iter().map(|player| lost_by(&player.got)).collect::<Vec<_>>(), lost);
    for player in &fast {
        assert_eq!(unbroken(&player.got), 0..last + 1);
        assert_eq!(told(player), (0, 0));
    }
}

/// More pictures of 12 kB than sockets, and HTTP's own queue, hold.
const HELD: u32 = 50;

/// How often a player skipped, and how many pictures and sounds it did not get by that.
fn lost_by(got: &[Item]) -> (u64, u64) {
    let place = |item: &Item| match item.what {
        What::Picture(n) => Some(u64::from(n) * 2),
        What::Sound(n) => Some(u64::from(n) * 2 + 1),
        _ => None,
    };
    let places: Vec<_> = got.iter().filter_map(place).collect();
    let gaps = places.windows(2).map(|w| w[1] - w[0] - 1).filter(|gap| *gap > 0);
    (gaps.clone().count() as u64, gaps.sum())
}

#[tokio::test]
async fn one_that_skips_again_and_again_gets_a_whole_beginning_each_time() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut slow = Player::join(&server, Via::Flv).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let mut last = 0;
    for _ in 0..4 {
        for _ in 0..6 {
            last = show.pictures(15, 5000).await;
            fast.until(last).await;
        }
        slow.until(last).await;
    }
    assert_eq!(examine(&slow.got).len(), 5);
    assert_eq!(examine(&fast.got).len(), 1);
}

/// Players that take nothing leave, and not before their time.
#[tokio::test]
async fn one_that_takes_nothing_for_too_long_is_disconnected() {
    let stall_timeout = Duration::from_millis(700);
    let server = Server::start(HubConfig { stall_timeout, ..HubConfig::default() });
    let mut show = Show::begin(&server.hub).await;
    let mut fast = Player::join(&server, Via::Flv).await;
    let mut stalled = Vec::new();
    for via in ALL {
        stalled.push(Player::join(&server, via).await);
    }
    let begun = Instant::now();
    for _ in 0..5 {
        let last = show.pictures(10, 20_000).await;
        fast.until(last).await;
    }
    assert_eq!(server.hub.player_count(), 1 + ALL.len());
    eventually(|| server.hub.player_count() < 1 + ALL.len()).await;
    assert!(begun.elapsed() >= stall_timeout);
    eventually(|| server.hub.player_count() == 1).await;
    for mut player in stalled {
        player.until_closed().await;
    }
    // One that takes all it gets may wait for the next picture as long as it must.
    let last = show.pictures(1, 20_000).await;
    fast.until(last).await;
    assert_eq!(unbroken(&fast.got), 0..last + 1);
}
