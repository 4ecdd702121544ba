//! Who may watch a video.

use millrace_store::{At, Error, Visibility};

use super::{KnownVideo, Videos};
use crate::accounts::permissions::{Act, may};
use crate::actor::COOKIE;
use crate::api::watch::Ticket;
use crate::channels::tokens::Bearer;
use crate::visitor::cookie;

/// By what somebody may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VideoLeave {
    /// Everybody may.
    Anybody,
    /// By a password given before, or by a token.
    Bearer,
    /// By who they are: the owner, or one who may watch anything.
    Own,
}

impl Videos {
    /// By what the holder of a ticket may watch; `None` where they may not. Every byte of a video is behind this.
    pub(crate) async fn leave(&self, known: &KnownVideo, ticket: Ticket<'_>) -> Result<Option<VideoLeave>, Error> {
        let video = known.video();
        if video.trashed_at.is_some() {
            return Ok(None);
        }
        if video.is_out() && matches!(video.visibility, Visibility::Public | Visibility::Unlisted) {
            return Ok(Some(VideoLeave::Anybody));
        }
        let unlocked = cookie(ticket.headers, &unlock_cookie(&video.short_id));
        let by = [(Bearer::Player, ticket.token), (Bearer::Browser, unlocked)];
        if by.into_iter().any(|(bearer, token)| token.is_some_and(|token| self.admits(known, bearer, token))) {
            return Ok(Some(VideoLeave::Bearer));
        }
        Ok(self.is_own(known, ticket).await?.then_some(VideoLeave::Own))
    }

    /// Whether they are the owner, or one who may watch anything. Such see of a video in the trash that it is there.
    pub(crate) async fn is_own(&self, known: &KnownVideo, ticket: Ticket<'_>) -> Result<bool, Error> {
        if let Some(actor) = ticket.actor {
            let own = actor.user.id == *known.owner() && actor.may(Act::OwnChannels);
            return Ok(own || actor.may(Act::WatchAnything));
        }
        let Some(session) = cookie(ticket.headers, COOKIE) else { return Ok(false) };
        let actor = self.sessions.by_cookie(session, &ticket.address.to_string(), At::now()).await?;
        let own = |user: &millrace_store::User| user.id == *known.owner() || may(user.role, Act::WatchAnything);
        Ok(actor.is_some_and(|actor| own(&actor.user)))
    }

    /// Whether a token lets one watch. Those of one who may watch what is not out are good for that as well: a player on a
    /// television is given one to look at a video before others do.
    fn admits(&self, known: &KnownVideo, bearer: Bearer, token: &str) -> bool {
        let video = known.video();
        self.tokens.admit(bearer, video.id.as_str(), video.play_epoch, token, At::now())
    }
}

/// The cookie of a browser that has given a video's password.
pub(crate) fn unlock_cookie(short_id: &str) -> String {
    format!("unlock_v_{short_id}")
}
