//! Leave to publish and to play, as the live core asks for it.

use std::net::IpAddr;

use millrace_hub::{
    Authorizer, BoxFuture, Credentials, Grant, Leave, PlayRequest, PublishRequest, Refusal, StreamName,
};
use millrace_store::{At, Error, StreamKey, UserState};

use super::tokens::Bearer;
use super::{Channels, Known, keys};
use crate::accounts::permissions::{Act, may};
use crate::actor::COOKIE;
use crate::source::DEFAULT_APP;

impl Authorizer for Channels {
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> BoxFuture<'a, Result<Grant, Refusal>> {
        Box::pin(async move {
            let Some(hash) = keys::hash_of(request.key) else { return Err(Refusal::NotFound) };
            if request.app.as_str() != DEFAULT_APP {
                return Err(Refusal::NotAllowed("publish channels to the application live"));
            }
            let key = self.inner.store.stream_key_by_hash(&hash).await.map_err(unavailable)?;
            let key = key.ok_or(Refusal::NotAllowed("the stream key is wrong, or was reset"))?;
            if let Some(why) = self.refusal_of(&key).await.map_err(unavailable)? {
                return Err(Refusal::NotAllowed(why));
            }
            let channel = self.inner.store.channel(&key.channel_id).await.map_err(unavailable)?;
            let channel = channel.ok_or(Refusal::NotAllowed("the channel was deleted"))?;
            let name: StreamName = channel.handle.parse().map_err(|_| Refusal::NotFound)?;
            self.inner.store.touch_stream_key(&key.id).await.map_err(unavailable)?;
            self.publishing().insert(channel.handle, hash);
            Ok(Grant { name, takeover: true })
        })
    }

    fn play<'a>(&'a self, request: PlayRequest<'a>) -> BoxFuture<'a, Result<Leave, Refusal>> {
        Box::pin(async move {
            let (app, name) = (request.stream.app.as_str(), request.stream.name.as_str());
            let known = self.of_stream(app, name).await.map_err(unavailable)?.ok_or(Refusal::NotFound)?;
            if known.is_open() {
                return Ok(Leave::Anybody);
            }
            let token = value_of(request.query.split('&'), "token");
            let address = request.peer.ip().to_canonical();
            let leave = self.leave_by(&known, token, request.cookies, address).await.map_err(unavailable)?;
            leave.ok_or(Refusal::NotAllowed("this stream is not for everybody; log in, or ask its owner"))
        })
    }

    fn administers<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, bool> {
        let Credentials { cookies, authorization, peer } = credentials;
        Box::pin(async move {
            let (sessions, now) = (&self.inner.sessions, At::now());
            let actor = if authorization.is_empty() {
                let Some(session) = value_of(cookies.split(';').map(str::trim), COOKIE) else { return false };
                sessions.by_cookie(session, &peer.ip().to_canonical().to_string(), now).await
            } else {
                sessions.by_authorization(authorization, now).await
            };
            match actor {
                Ok(actor) => actor.is_some_and(|actor| may(actor.user.role, Act::ManageStreams)),
                Err(error) => {
                    tracing::error!(%error, "the database failed");
                    false
                }
            }
        })
    }
}

impl Channels {
    /// Whether a stream is a channel's.
    ///
    /// # Errors
    /// When it cannot be looked up.
    pub async fn has(&self, app: &str, name: &str) -> Result<bool, Refusal> {
        Ok(self.of_stream(app, name).await.map_err(unavailable)?.is_some())
    }

    /// What leave to watch a channel that is not open a request has by what it brings: the token of its query, or the cookies
    /// of its browser. Pages and API ask here as the live core does.
    pub(crate) async fn leave_by(
        &self,
        known: &Known,
        token: Option<&str>,
        cookies: &str,
        address: IpAddr,
    ) -> Result<Option<Leave>, Error> {
        let pairs = || cookies.split(';').map(str::trim);
        let unlocked = value_of(pairs(), &unlock_cookie(&known.channel.handle));
        let by = [(Bearer::Player, token), (Bearer::Browser, unlocked)];
        if by.into_iter().any(|(bearer, token)| token.is_some_and(|token| self.by_token(known, bearer, token))) {
            return Ok(Some(Leave::Bearer));
        }
        let Some(session) = value_of(pairs(), COOKIE) else { return Ok(None) };
        let actor = self.inner.sessions.by_cookie(session, &address.to_string(), At::now()).await?;
        let actor = actor.filter(|actor| known.admits(&actor.user));
        Ok(actor.map(|actor| Leave::User(actor.user.id.as_str().into())))
    }

    /// Whether that token lets one watch.
    pub(crate) fn by_token(&self, known: &Known, bearer: Bearer, token: &str) -> bool {
        self.tokens().admit(bearer, known.channel.id.as_str(), known.channel.play_epoch, token, At::now())
    }

    /// Why a key that is there is not good.
    pub(super) async fn refusal_of(&self, key: &StreamKey) -> Result<Option<&'static str>, Error> {
        if key.expires_at.is_some_and(|end| end <= At::now()) {
            return Ok(Some("the stream key has expired"));
        }
        let store = &self.inner.store;
        let Some(channel) = store.channel(&key.channel_id).await? else { return Ok(Some("the channel was deleted")) };
        let owner = store.user(&channel.owner_id).await?;
        let active = owner.is_some_and(|owner| owner.state == UserState::Active && may(owner.role, Act::OwnChannels));
        Ok((!active).then_some("the channel's owner may not publish at present"))
    }
}

/// The cookie of a browser that has given a channel's password.
pub(crate) fn unlock_cookie(handle: &str) -> String {
    format!("unlock_{handle}")
}

fn value_of<'a>(mut pairs: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn unavailable(error: Error) -> Refusal {
    tracing::error!(%error, "the database failed");
    Refusal::Unavailable("the server cannot look this up at present; try again")
}
