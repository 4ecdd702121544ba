//! What is on air, for those who may know of it. Whatever lists or shows a live stream asks here.

use std::sync::Arc;

use crate::api::live::{LiveOrder, in_order};
use crate::api::watch::{Ticket, may_watch};
use crate::channels::Known;
use crate::channels::tokens::Bearer;
use crate::source::is_name;
use crate::{LiveStream, LiveUrls, Problem, Site};

/// A stream as somebody who asks for it by name may see it.
pub(crate) struct Sight {
    /// The channel, where the stream is one's.
    pub(crate) channel: Option<Arc<Known>>,
    /// Whether they may watch.
    pub(crate) allowed: bool,
    /// The token that they watch with, where they brought one and need one.
    pub(crate) token: Option<String>,
    /// The stream, where it is on air and they may watch; its addresses hold that token.
    pub(crate) live: Option<LiveStream>,
}

impl Site {
    /// What is on air and shown to everybody, the latest to go on air first.
    pub(crate) async fn listed(&self) -> Vec<LiveStream> {
        let all = self.all_on_air().await.into_iter();
        let listed = all.filter(|(_, channel)| channel.as_ref().is_none_or(|known| known.is_listed()));
        in_order(listed.map(|(stream, _)| stream).collect(), LiveOrder::Newest)
    }

    /// Everything on air, with the channel where it is one's: for those alone who see to it that nobody is told of what is
    /// not for them.
    pub(crate) async fn all_on_air(&self) -> Vec<(LiveStream, Option<Arc<Known>>)> {
        let mut all = Vec::new();
        for mut stream in self.live.on_air() {
            match self.accounts.channels.of_stream(&stream.app, &stream.name).await {
                Ok(None) => all.push((stream, None)),
                Ok(Some(known)) => {
                    stream.describe(&known);
                    all.push((stream, Some(known)));
                }
                // What cannot be looked up is not shown: it may be private.
                Err(error) => drop(Problem::database(error)),
            }
        }
        all
    }

    /// One stream, for somebody: by who they are, or by what their browser was given. `None` where the names cannot be
    /// those of a stream.
    pub(crate) async fn sight(&self, app: &str, name: &str, ticket: Ticket<'_>) -> Result<Option<Sight>, Problem> {
        if !is_name(app) || !is_name(name) {
            return Ok(None);
        }
        let channel = self.accounts.channels.of_stream(app, name).await.map_err(Problem::database)?;
        let allowed = match &channel {
            Some(known) => may_watch(self, known, ticket).await?,
            None => true,
        };
        let closed = channel.as_ref().filter(|known| !known.is_open());
        let token = closed
            .zip(ticket.token)
            .filter(|(known, token)| self.accounts.channels.by_token(known, Bearer::Player, token));
        let token = token.map(|(_, token)| token.to_owned());
        let mut live = self.live.find(app, name).filter(|_| allowed);
        if let (Some(live), Some(known)) = (&mut live, &channel) {
            live.describe(known);
            live.urls = LiveUrls::new(app, name).with(token.as_deref());
        }
        Ok(Some(Sight { channel, allowed, token, live }))
    }
}

impl LiveStream {
    fn describe(&mut self, known: &Known) {
        self.title = Some(known.channel.title.clone());
        self.avatar_url = known.channel.avatar.as_deref().map(crate::pictures::url);
        self.category = Some(known.channel.category.clone()).filter(|category| !category.is_empty());
        self.language = Some(known.channel.language.clone()).filter(|language| !language.is_empty());
    }
}
