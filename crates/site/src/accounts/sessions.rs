//! Sessions of browsers and tokens of programs: who asks?
//!
//! Both are kept in memory for a while, so that asking costs no query; the database has them all, so they outlive a
//! restart. What ends one takes it from memory as well.

use std::sync::Arc;

use millrace_store::{At, Change, Error, Hash, NewSession, Session, SessionId, Store, User, UserId, UserState};
use time::Duration;

use super::secret::{self, Secret};
use crate::cache::Cache;

/// Somebody who is known.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) user: Arc<User>,
    pub(crate) by: By,
}

/// How somebody showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    /// By the cookie of a session.
    Session(SessionId),
    /// By a personal token, which is good for these scopes.
    Token { scopes: Arc<str> },
}

/// Knows who asks.
#[derive(Debug)]
pub(crate) struct Sessions {
    store: Store,
    /// Who need not be asked of the database again, by the hash of cookie or token.
    known: Cache<Hash, Actor>,
}

impl Sessions {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Cache::new(MAX_KNOWN) }
    }

    /// Begins a session, by which the user is logged in: what the cookie holds, and the session.
    pub(crate) async fn begin(
        &self,
        user: &User,
        remember: bool,
        user_agent: &str,
        address: &str,
    ) -> Result<(Secret, Session), Error> {
        let secret = Secret::new();
        let new = NewSession {
            user_id: &user.id,
            token_hash: secret.hash(),
            remember,
            user_agent: short(user_agent),
            address,
            expires_at: At::now().plus(lifetime(remember)),
        };
        let session = self.store.create_session(&new).await?;
        self.store.logged_in(&user.id).await?;
        Ok((secret, session))
    }

    /// Whose cookie this is. A session that is used lives on.
    pub(crate) async fn by_cookie(&self, text: &str, address: &str, now: At) -> Result<Option<Actor>, Error> {
        if !secret::is_secret(text) {
            return Ok(None);
        }
        let hash = secret::hash(text);
        let missed = match self.known.get(&hash, now) {
            Ok(actor) => return Ok(Some(actor)),
            Err(missed) => missed,
        };
        let Some(session) = self.store.session_by_token(&hash).await?.filter(|session| session.expires_at > now) else {
            return Ok(None);
        };
        let Some(user) = self.active(&session.user_id).await? else { return Ok(None) };
        self.store.touch_session(&session.id, now, now.plus(lifetime(session.remember)), address).await?;
        let actor = Actor { user: Arc::new(user), by: By::Session(session.id) };
        self.known.keep(hash, actor.clone(), now.plus(FRESH), missed);
        Ok(Some(actor))
    }

    /// Whose token this `Authorization` has (RFC 6750 section 2.1).
    pub(crate) async fn by_authorization(&self, text: &str, now: At) -> Result<Option<Actor>, Error> {
        let token = text.strip_prefix("Bearer ").and_then(|token| token.trim().strip_prefix(TOKEN_PREFIX));
        let Some(text) = token.filter(|text| secret::is_secret(text)) else { return Ok(None) };
        let hash = secret::hash(text);
        let missed = match self.known.get(&hash, now) {
            Ok(actor) => return Ok(Some(actor)),
            Err(missed) => missed,
        };
        let token = self.store.token_by_hash(&hash).await?;
        let Some(token) = token.filter(|token| token.expires_at.is_none_or(|end| end > now)) else { return Ok(None) };
        let Some(user) = self.active(&token.user_id).await? else { return Ok(None) };
        self.store.touch_token(&token.id, now).await?;
        let fresh_until = token.expires_at.map_or(now.plus(FRESH), |end| end.min(now.plus(FRESH)));
        let actor = Actor { user: Arc::new(user), by: By::Token { scopes: token.scopes.into() } };
        self.known.keep(hash, actor.clone(), fresh_until, missed);
        Ok(Some(actor))
    }

    /// Forgets what is known of a user, who has changed or whose sessions have ended: here at once, and on other nodes as
    /// soon as they hear of it.
    pub(crate) async fn forget(&self, user: &UserId) {
        self.forget_here(Some(user));
        if let Err(error) = self.store.tell(&Change::User(user.clone())).await {
            tracing::warn!(%error, "other nodes were not told that an account has changed; they ask within a minute");
        }
    }

    /// Forgets what is known here of a user, or of all.
    pub(super) fn forget_here(&self, user: Option<&UserId>) {
        self.known.forget(|_, actor| user.is_none_or(|user| actor.user.id == *user));
    }

    async fn active(&self, id: &UserId) -> Result<Option<User>, Error> {
        Ok(self.store.user(id).await?.filter(|user| user.state == UserState::Active))
    }
}

fn lifetime(remember: bool) -> Duration {
    if remember { Duration::days(30) } else { Duration::minutes(30) }
}

fn short(user_agent: &str) -> &str {
    let end = user_agent.char_indices().nth(MAX_USER_AGENT).map_or(user_agent.len(), |(at, _)| at);
    &user_agent[..end]
}

/// How personal tokens begin, so that one that leaked is recognised.
pub(crate) const TOKEN_PREFIX: &str = "mrt_";
/// So long the database is not asked again, nor told of a use: what another node ended ends here by then, where it
/// could not tell.
const FRESH: Duration = Duration::seconds(60);
/// Letters that are kept of what a browser calls itself.
const MAX_USER_AGENT: usize = 256;
/// Who is known at a time, at some 500 bytes each.
const MAX_KNOWN: usize = 100_000;
