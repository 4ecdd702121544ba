//! Who may publish and play: the streams of the configuration, and the site's channels.
//!
//! Keys are compared as SHA-256 digests in constant time, and all of them every time, so that the time of an answer
//! tells nothing about a key. Refusals say what is wrong without repeating what was given.

use std::sync::Arc;

use arc_swap::ArcSwap;
use millrace_gateway::RESERVED_APPS;
use millrace_hub::{
    AppName, Authorizer, BoxFuture, Credentials, Grant, Leave, PlayRequest, PublishRequest, Refusal, StreamId,
    StreamName,
};
use millrace_site::Channels;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Config;

/// The configured streams, replaceable while the server runs.
pub(crate) struct ConfiguredStreams {
    table: ArcSwap<Table>,
}

impl ConfiguredStreams {
    /// The streams of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        Self { table: ArcSwap::from_pointee(Table::new(config)) }
    }

    /// Whether the stream of that name in the site's application stands in the configuration.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.table.load().entries.iter().any(|entry| entry.id.app.as_str() == "live" && entry.id.name.as_str() == name)
    }

    /// Whether that stream stands in the configuration.
    fn has(&self, app: &AppName, name: &StreamName) -> bool {
        self.table.load().entries.iter().any(|entry| entry.id.app == *app && entry.id.name == *name)
    }

    /// Puts the streams of `config` in place of the present ones, and returns those of `published`, which is asked
    /// then, and of the old ones whose publishers have lost their leave: the key has gone or changed, or they may have
    /// come without one.
    pub(crate) fn replace(&self, config: &Config, published: impl FnOnce() -> Vec<StreamId>) -> Vec<StreamId> {
        let new = Arc::new(Table::new(config));
        let old = self.table.swap(Arc::clone(&new));
        if new.open {
            return Vec::new();
        }
        if old.open {
            return published();
        }
        let kept = |entry: &&Entry| !new.entries.iter().any(|other| other == *entry);
        old.entries.iter().filter(kept).map(|entry| entry.id.clone()).collect()
    }
}

impl Authorizer for ConfiguredStreams {
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> BoxFuture<'a, Result<Grant, Refusal>> {
        let answer = self.table.load().publish(request.app, request.key);
        Box::pin(std::future::ready(answer))
    }

    fn play<'a>(&'a self, request: PlayRequest<'a>) -> BoxFuture<'a, Result<Leave, Refusal>> {
        let table = self.table.load();
        let known = table.open || table.entries.iter().any(|entry| entry.id == *request.stream);
        Box::pin(std::future::ready(if known { Ok(Leave::Anybody) } else { Err(Refusal::NotFound) }))
    }
}

/// Leave for the streams of both: what is configured goes before the site's channels.
pub(crate) struct Leaves {
    /// The streams of the configuration.
    pub(crate) configured: Arc<ConfiguredStreams>,
    /// The site's channels.
    pub(crate) channels: Channels,
}

impl Authorizer for Leaves {
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> BoxFuture<'a, Result<Grant, Refusal>> {
        Box::pin(async move {
            let configured = self.configured.publish(request).await;
            match (self.channels.publish(request).await, configured) {
                (Ok(grant), _) if self.configured.has(request.app, &grant.name) => {
                    Err(Refusal::NotAllowed("a stream of the server's configuration has the channel's name"))
                }
                (Ok(grant), _) => Ok(grant),
                // Whoever came without a key does not take a channel's name.
                (Err(_), Ok(grant)) if !grant.takeover && self.is_channel(request.app, &grant.name).await? => {
                    Err(Refusal::NotAllowed("this name is a channel's; publish with its key"))
                }
                (Err(Refusal::NotFound), configured) => configured,
                (Err(_), Ok(grant)) => Ok(grant),
                (Err(why), Err(_)) => Err(why),
            }
        })
    }

    fn play<'a>(&'a self, request: PlayRequest<'a>) -> BoxFuture<'a, Result<Leave, Refusal>> {
        if self.configured.has(&request.stream.app, &request.stream.name) {
            return Box::pin(std::future::ready(Ok(Leave::Anybody)));
        }
        Box::pin(async move {
            match self.channels.play(request).await {
                Err(Refusal::NotFound) => self.configured.play(request).await,
                answer => answer,
            }
        })
    }

    fn administers<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, bool> {
        self.channels.administers(credentials)
    }
}

impl Leaves {
    async fn is_channel(&self, app: &AppName, name: &StreamName) -> Result<bool, Refusal> {
        self.channels.has(app.as_str(), name.as_str()).await
    }
}

struct Table {
    open: bool,
    entries: Vec<Entry>,
}

#[derive(PartialEq)]
struct Entry {
    id: StreamId,
    digest: [u8; 32],
}

impl Table {
    fn new(config: &Config) -> Self {
        let entries = config.streams.iter();
        let entries = entries.map(|entry| Entry { id: entry.id.clone(), digest: digest(entry.key.expose()) }).collect();
        Self { open: config.publish.open, entries }
    }

    fn publish(&self, app: &AppName, key: &str) -> Result<Grant, Refusal> {
        if key.is_empty() {
            return Err(Refusal::NotAllowed("the stream key is missing"));
        }
        let given = digest(key);
        let mut granted = None;
        for entry in &self.entries {
            let same: Choice = entry.digest.ct_eq(&given);
            if bool::from(same) && entry.id.app == *app {
                granted = Some(&entry.id.name);
            }
        }
        match granted {
            Some(name) => Ok(Grant { name: name.clone(), takeover: true }),
            None if self.open && RESERVED_APPS.contains(&app.as_str()) => {
                Err(Refusal::NotAllowed("this application's name is one of the site's own, so that nobody could watch"))
            }
            None if self.open => match key.parse::<StreamName>() {
                Ok(name) => Ok(Grant { name, takeover: false }),
                Err(_) => Err(Refusal::NotAllowed("this is no stream name; names are 1 to 64 of a-z 0-9 _ -")),
            },
            None if self.entries.iter().any(|entry| entry.id.app == *app && entry.id.name.as_str() == key) => {
                Err(Refusal::NotAllowed("this is the stream's public name; publish with its key"))
            }
            None => Err(Refusal::NotAllowed("the stream key is wrong")),
        }
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Secret, StreamEntry};

    const KEY: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn config(open: bool, streams: &[(&str, &str, &str)]) -> Config {
        let entry = |(app, name, key): &(&str, &str, &str)| StreamEntry {
            id: StreamId::parse(app, name).unwrap(),
            key: Secret::new((*key).to_owned()),
        };
        let mut config = Config { streams: streams.iter().map(entry).collect(), ..Config::default() };
        config.publish.open = open;
        config
    }

    fn publish(streams: &ConfiguredStreams, app: &str, key: &str, query: &str) -> Result<(String, bool), Refusal> {
        let app = app.parse().unwrap();
        let request = PublishRequest { app: &app, key, query, peer: "192.0.2.1:4000".parse().unwrap() };
        let grant = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(streams.publish(request));
        grant.map(|grant| (grant.name.to_string(), grant.takeover))
    }

    fn may_play(streams: &ConfiguredStreams, app: &str, name: &str) -> Result<Leave, Refusal> {
        let stream = StreamId::parse(app, name).unwrap();
        let request = PlayRequest { stream: &stream, query: "", cookies: "", peer: "192.0.2.1:4000".parse().unwrap() };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(streams.play(request))
    }

    #[test]
    fn the_key_and_only_the_key_publishes() {
        let streams = ConfiguredStreams::new(&config(false, &[("live", "movie", KEY), ("studio", "take", OTHER)]));
        assert_eq!(publish(&streams, "live", KEY, ""), Ok(("movie".to_owned(), true)));
        assert_eq!(
            publish(&streams, "live", KEY, "token=x&a=b"),
            Ok(("movie".to_owned(), true)),
            "a query is no matter"
        );
        assert_eq!(publish(&streams, "studio", OTHER, ""), Ok(("take".to_owned(), true)));

        let wrong = Err(Refusal::NotAllowed("the stream key is wrong"));
        assert_eq!(publish(&streams, "live", OTHER, ""), wrong, "the key of another app");
        assert_eq!(publish(&streams, "other", KEY, ""), wrong, "an app without streams");
        assert_eq!(publish(&streams, "live", &KEY[..15], ""), wrong, "a prefix of the key");
        assert_eq!(publish(&streams, "live", &format!("{KEY}0"), ""), wrong, "the key and more");
        assert_eq!(publish(&streams, "live", "0123456789ABCDEF", ""), wrong, "another case");
        assert_eq!(publish(&streams, "live", "nobody", &format!("key={KEY}")), wrong, "the key in the query");
        assert_eq!(publish(&streams, "live", "", ""), Err(Refusal::NotAllowed("the stream key is missing")));
        assert_eq!(
            publish(&streams, "live", "movie", ""),
            Err(Refusal::NotAllowed("this is the stream's public name; publish with its key"))
        );
    }

    #[test]
    fn open_lets_anyone_publish_under_a_name() {
        let streams = ConfiguredStreams::new(&config(true, &[("live", "movie", KEY)]));
        assert_eq!(publish(&streams, "any", "camera-1", ""), Ok(("camera-1".to_owned(), false)));
        assert_eq!(publish(&streams, "live", "movie", ""), Ok(("movie".to_owned(), false)));
        assert_eq!(publish(&streams, "live", KEY, ""), Ok(("movie".to_owned(), true)), "keys go on being good");
        assert_eq!(publish(&streams, "live", "", ""), Err(Refusal::NotAllowed("the stream key is missing")));
        assert_eq!(
            publish(&streams, "live", "Camera 1", ""),
            Err(Refusal::NotAllowed("this is no stream name; names are 1 to 64 of a-z 0-9 _ -"))
        );
        assert!(publish(&streams, "embed", "camera-1", "").is_err(), "its URLs are the site's");
    }

    #[test]
    fn what_cannot_be_published_is_not_found() {
        let streams = ConfiguredStreams::new(&config(false, &[("live", "movie", KEY)]));
        assert_eq!(may_play(&streams, "live", "movie"), Ok(Leave::Anybody));
        assert_eq!(may_play(&streams, "live", "other"), Err(Refusal::NotFound));
        assert_eq!(may_play(&streams, "studio", "movie"), Err(Refusal::NotFound));
        let open = ConfiguredStreams::new(&config(true, &[]));
        assert_eq!(may_play(&open, "any", "thing"), Ok(Leave::Anybody));
    }

    #[test]
    fn replacing_tells_who_lost_leave() {
        let streams = ConfiguredStreams::new(&config(false, &[("live", "a", KEY), ("live", "b", OTHER)]));
        let gone =
            streams.replace(&config(false, &[("live", "a", "a-key-that-is-new"), ("live", "b", OTHER)]), Vec::new);
        assert_eq!(gone, [StreamId::parse("live", "a").unwrap()]);
        assert!(publish(&streams, "live", KEY, "").is_err(), "the old key stops at once");
        assert_eq!(publish(&streams, "live", "a-key-that-is-new", ""), Ok(("a".to_owned(), true)));
        let guest = || vec![StreamId::parse("live", "guest").unwrap()];
        assert_eq!(streams.replace(&config(true, &[]), guest), [], "nobody loses leave where anyone may publish");
        let published = || {
            assert!(publish(&streams, "live", "guest", "").is_err(), "nobody comes in between");
            guest()
        };
        assert_eq!(streams.replace(&config(false, &[]), published), guest(), "who came without a key loses it");
    }
}
