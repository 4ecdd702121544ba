//! Broadcasts of channels, written down: when each began and ended, why, who watched, and what was sent.
//!
//! Viewers are counted in memory once a second; the database hears of a broadcast at its start, every half a minute, and
//! at its end. What could not be written is tried again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use millrace_hub::{EndReason, Event, Hub, StreamId, StreamInfo};
use millrace_store::{At, ChannelId, Error, Kind, LiveEnd, LiveSessionEnd, LiveSessionId, NewLiveSession, Store};
use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use crate::source::DEFAULT_APP;

/// Writes down what a hub's channels broadcast.
#[derive(Debug)]
pub struct Recorder {
    hub: Hub,
    events: millrace_hub::Events,
    store: Store,
    /// By stream and start: one may begin anew before its last end is written.
    broadcasts: HashMap<(StreamId, SystemTime), Broadcast>,
    counted: Instant,
    written: Instant,
}

/// What is known of a broadcast.
#[derive(Debug, Default)]
struct Broadcast {
    row: Option<LiveSessionId>,
    end: Option<(SystemTime, LiveEnd)>,
    /// Its end was not told, and it is not there.
    absent: bool,
    peak_viewers: usize,
    viewer_seconds: f64,
    received_bytes: u64,
    sent_bytes: u64,
    video_codec: String,
    audio_codec: String,
    width: u32,
    height: u32,
}

impl Recorder {
    /// Listens to a hub that nobody publishes to yet.
    #[must_use]
    pub fn new(hub: &Hub, store: Store) -> Self {
        let now = Instant::now();
        let (events, hub) = (hub.events(), hub.clone());
        Self { hub, events, store, broadcasts: HashMap::new(), counted: now, written: now }
    }

    /// Writes until `stop` says that nothing comes any more: to be said once the hub is shut down.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        self.end_abandoned(At(i64::MAX), true).await;
        let mut ticks = interval(COUNT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                event = self.events.next() => match event {
                    Some(event) => self.take(event).await,
                    None => break,
                },
                _ = ticks.tick() => self.tick().await,
            }
        }
        while let Some(event) = self.events.try_next() {
            self.take(event).await;
        }
        let now = SystemTime::now();
        for broadcast in self.broadcasts.values_mut() {
            broadcast.end.get_or_insert((now, LiveEnd::Stopped));
        }
        self.write_all().await;
    }

    async fn take(&mut self, event: Event) {
        let (stream, end) = match &event {
            Event::OnAir(stream) => (&**stream, None),
            Event::Ended(ended) => (&ended.stream, Some((ended.at, reason(ended.reason)))),
            // The next count finds what is there.
            _ => return,
        };
        if stream.id.app.as_str() != DEFAULT_APP {
            return;
        }
        let key = (stream.id.clone(), stream.started_at);
        let mut broadcast = self.broadcasts.remove(&key).unwrap_or_default();
        broadcast.learn(stream);
        broadcast.end = end;
        self.write(key, broadcast).await;
    }

    /// Counts viewers, and writes now and then.
    async fn tick(&mut self) {
        let now = Instant::now();
        let seconds = now.duration_since(self.counted).as_secs_f64();
        self.counted = now;
        let on_air = self.hub.on_air();
        let mut there = HashSet::with_capacity(on_air.len());
        for stream in on_air.iter().filter(|stream| stream.id.app.as_str() == DEFAULT_APP) {
            let key = (stream.id.clone(), stream.started_at);
            let broadcast = self.broadcasts.entry(key.clone()).or_default();
            broadcast.learn(stream);
            #[allow(clippy::cast_precision_loss)] // for people
            let watched = stream.viewers as f64 * seconds;
            broadcast.viewer_seconds += watched;
            there.insert(key);
        }
        if now.duration_since(self.written) < WRITE {
            return;
        }
        self.written = now;
        for (key, broadcast) in &mut self.broadcasts {
            // Its end may be about to be told; half a minute later that event was missed.
            let absent = !there.contains(key) && broadcast.end.is_none();
            if absent && broadcast.absent {
                broadcast.end = Some((SystemTime::now(), LiveEnd::Lost));
            }
            broadcast.absent = absent;
        }
        self.write_all().await;
        self.end_abandoned(At::now().plus(-ABANDONED), false).await;
    }

    async fn write_all(&mut self) {
        for (key, broadcast) in std::mem::take(&mut self.broadcasts) {
            self.write(key, broadcast).await;
        }
    }

    /// Writes a broadcast, and keeps it where it goes on, or could not be written.
    async fn write(&mut self, key: (StreamId, SystemTime), mut broadcast: Broadcast) {
        let done = match self.try_write(&key, &mut broadcast).await {
            Ok(()) => broadcast.end.is_some(),
            Err(error) => {
                warn!(stream = %key.0, %error, "the broadcast could not be written down; it is tried again");
                broadcast.end.is_some() && self.broadcasts.len() >= MAX_UNWRITTEN
            }
        };
        if !done {
            self.broadcasts.insert(key, broadcast);
        }
    }

    /// Streams that are no channel's have no row.
    async fn try_write(&self, (id, started): &(StreamId, SystemTime), broadcast: &mut Broadcast) -> Result<(), Error> {
        if broadcast.row.is_none() {
            let Some(channel) = self.channel(id).await? else { return Ok(()) };
            let new = NewLiveSession { channel_id: &channel, started_at: at(*started) };
            broadcast.row = Some(self.store.begin_live_session(&new).await?.id);
        }
        match &broadcast.row {
            Some(row) => self.store.update_live_session(row, &broadcast.so_far()).await,
            None => Ok(()),
        }
    }

    async fn channel(&self, id: &StreamId) -> Result<Option<ChannelId>, Error> {
        Ok(self.store.channel_by_handle(id.name.as_str()).await?.map(|channel| channel.id))
    }

    /// Ends what servers left open that are no more. At the start, those of an embedded database are, as it has but one;
    /// where others may have the database, a server that has not written for long is.
    async fn end_abandoned(&self, seen_before: At, at_start: bool) {
        if at_start && self.store.kind() != Kind::Sqlite {
            return;
        }
        if let Err(error) = self.store.end_abandoned_live_sessions(seen_before).await {
            warn!(%error, "broadcasts that another server left open could not be ended");
        }
    }
}

impl Broadcast {
    /// Takes over what the hub knows. A track that has gone is remembered.
    fn learn(&mut self, stream: &StreamInfo) {
        self.peak_viewers = self.peak_viewers.max(stream.viewers);
        self.received_bytes = stream.received.video_bytes + stream.received.audio_bytes;
        self.sent_bytes = self.sent_bytes.max(stream.sent_bytes);
        if let Some(video) = &stream.video {
            self.video_codec = video.config.codec_string();
            (self.width, self.height) = video.config.resolution().unwrap_or_default();
        }
        if let Some(audio) = &stream.audio {
            self.audio_codec = audio.config.codec_string();
        }
    }

    fn so_far(&self) -> LiveSessionEnd<'_> {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        #[allow(clippy::cast_possible_truncation)] // a float that is too large becomes the largest
        let viewer_seconds = self.viewer_seconds.round() as i64;
        LiveSessionEnd {
            ended_at: self.end.map(|(when, _)| at(when)),
            end_reason: self.end.map(|(_, why)| why),
            peak_viewers: whole(self.peak_viewers as u64),
            viewer_seconds,
            received_bytes: whole(self.received_bytes),
            sent_bytes: whole(self.sent_bytes),
            video_codec: &self.video_codec,
            audio_codec: &self.audio_codec,
            width: self.width.into(),
            height: self.height.into(),
        }
    }
}

fn reason(reason: EndReason) -> LiveEnd {
    match reason {
        EndReason::Finished => LiveEnd::Finished,
        EndReason::Kicked => LiveEnd::Kicked,
        EndReason::ShuttingDown => LiveEnd::Stopped,
        _ => LiveEnd::Lost,
    }
}

fn at(time: SystemTime) -> At {
    OffsetDateTime::from(time).into()
}

/// How often viewers are counted.
const COUNT: Duration = Duration::from_secs(1);
/// How often the database hears of what goes on.
const WRITE: Duration = Duration::from_secs(30);
/// A server that has not written for so long is no more.
const ABANDONED: time::Duration = time::Duration::minutes(3);
/// Broadcasts that are over and could not be written, at most: beyond, what ends is forgotten.
const MAX_UNWRITTEN: usize = 10_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use millrace_hub::{HubConfig, Protocol, Publisher, PublisherMeta};
    use millrace_media::{AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};
    use millrace_store::testing::fresh_store;
    use millrace_store::{LiveSession, NewChannel, NewUser, PageRequest, Role, UserState};

    use super::*;

    struct Stage {
        hub: Hub,
        store: Store,
        channel: ChannelId,
        _directory: tempfile::TempDir,
    }

    impl Stage {
        /// A hub whose streams end a moment after their publisher is lost, and the channel `engine`.
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self::on(fresh_store(directory.path()).await, directory).await
        }

        /// As [`Self::new`], on SQLite, which no other server has.
        async fn alone() -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self::on(Store::open("sqlite://site.db", directory.path()).await.unwrap(), directory).await
        }

        async fn on(store: Store, directory: tempfile::TempDir) -> Self {
            let channel = channel(&store).await;
            let config = HubConfig { publish_grace: Duration::ZERO, ..HubConfig::default() };
            Self { hub: Hub::new(config), store, channel, _directory: directory }
        }

        async fn publish(&self, name: &str) -> Publisher {
            let peer = SocketAddr::from(([127, 0, 0, 1], 4000));
            let id = StreamId::parse("live", name).unwrap();
            let meta = PublisherMeta { peer, encoder: None, takeover: true };
            let mut publisher = self.hub.publish(&id, meta).await.unwrap();
            let record = vec![1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 31, 1, 0, 1, 0x68];
            let config = VideoConfig::Avc(AvcConfig::parse(record.into()).unwrap());
            publisher.send(Unit::VideoConfig(Arc::new(config))).await.unwrap();
            let mut ms = 0;
            while self.hub.info(&id).is_none() {
                let t = Timestamp::from_millis(ms);
                let payload = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x65]);
                let frame = Frame { track: TrackKind::Video, keyframe: ms == 0, dts: t, pts: t, payload };
                publisher.send(Unit::Frame(frame)).await.unwrap();
                ms += 40;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            publisher
        }

        async fn rows(&self) -> Vec<LiveSession> {
            let page = PageRequest { limit: 10, after: None };
            self.store.live_sessions(&self.channel, &page).await.unwrap().items
        }
    }

    async fn channel(store: &Store) -> ChannelId {
        let user = NewUser {
            handle: "ada",
            display_name: "Ada",
            email: None,
            password_hash: "",
            role: Role::Creator,
            state: UserState::Active,
        };
        let owner_id = &store.create_user(&user).await.unwrap().id;
        let channel = NewChannel { owner_id, handle: "engine", title: "Engine", search_text: "", most: 1 };
        store.create_channel(&channel).await.unwrap().id
    }

    #[tokio::test]
    async fn a_broadcast_is_a_row_from_its_start_to_its_end() {
        let stage = Stage::new().await;
        let mut recorder = Recorder::new(&stage.hub, stage.store.clone());
        let publisher = stage.publish("engine").await;
        let event = recorder.events.next().await.unwrap();
        recorder.take(event).await;
        let begun = &stage.rows().await[0];
        assert_eq!((begun.ended_at, begun.video_codec.as_str()), (None, "avc1.64001f"));

        let (id, peer) = (StreamId::parse("live", "engine").unwrap(), SocketAddr::from(([127, 0, 0, 1], 1)));
        let viewers = [(); 3].map(|()| stage.hub.attach(&id, Protocol::Hls, peer).unwrap());
        recorder.counted -= Duration::from_secs(10);
        recorder.tick().await;
        drop(viewers);
        assert_eq!(stage.rows().await[0].peak_viewers, 0, "it is written now and then");
        recorder.written -= WRITE;
        recorder.tick().await;
        let row = &stage.rows().await[0];
        assert_eq!((row.peak_viewers, row.ended_at), (3, None));
        assert!(row.viewer_seconds >= 30, "{row:?}");

        publisher.finish();
        let event = recorder.events.next().await.unwrap();
        recorder.take(event).await;
        let rows = stage.rows().await;
        assert_eq!((rows.len(), rows[0].end_reason.as_deref()), (1, Some("finished")));
        assert!(rows[0].ended_at >= Some(rows[0].started_at));
        assert!(rows[0].received_bytes > 0 && rows[0].peak_viewers == 3);
        assert!(recorder.broadcasts.is_empty(), "what is written is forgotten");
    }

    #[tokio::test]
    async fn a_server_that_stops_closes_its_rows_and_one_that_died_has_them_closed() {
        let stage = Stage::alone().await;
        let died = NewLiveSession { channel_id: &stage.channel, started_at: At::now() };
        stage.store.begin_live_session(&died).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let recorder = Recorder::new(&stage.hub, stage.store.clone());
        let recording = tokio::spawn(recorder.run(async move { drop(stopped.await) }));
        let _publisher = stage.publish("engine").await;
        let _other = stage.publish("nobodys").await;
        stage.hub.shutdown().await;
        drop(stop);
        recording.await.unwrap();
        let reasons: Vec<_> = stage.rows().await.into_iter().map(|row| row.end_reason.unwrap()).collect();
        assert_eq!(reasons, ["stopped", "crashed"]);
    }

    #[tokio::test]
    async fn one_whose_end_was_missed_is_ended() {
        let stage = Stage::new().await;
        let mut recorder = Recorder::new(&stage.hub, stage.store.clone());
        let publisher = stage.publish("engine").await;
        recorder.tick().await;
        publisher.finish();
        while !stage.hub.on_air().is_empty() {
            tokio::task::yield_now().await;
        }
        for open in [true, false] {
            recorder.written -= WRITE;
            recorder.tick().await;
            assert_eq!(stage.rows().await[0].ended_at.is_none(), open);
        }
        assert!(recorder.broadcasts.is_empty());
    }
}
