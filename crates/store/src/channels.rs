//! Channels, and who may watch them.

use crate::db::{rows, rows_in, run, run_in};
use crate::error::found;
use crate::texts::texts;
use crate::{At, ChannelId, Error, Page, PageRequest, Store, User, UserId};

/// Who finds and watches a channel's live stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Who knows the address.
    Unlisted,
    /// Its owner, and whom the owner invited.
    Private,
    /// Who knows the password.
    Password,
}

texts!(Visibility { Public = "public", Unlisted = "unlisted", Private = "private", Password = "password" });

/// A creator's public place.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Whose it is.
    pub owner_id: UserId,
    /// Its name in addresses, and that of its live stream.
    pub handle: String,
    /// Its name for people.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// The language spoken, as a BCP 47 tag; empty where not said.
    pub language: String,
    /// What kind of thing is shown; empty where not said.
    pub category: String,
    /// JSON list of words.
    pub tags: String,
    /// JSON list of links, each with a title and an address.
    pub links: String,
    /// Name of the picture.
    pub avatar: Option<String>,
    /// Name of the picture at the page's head.
    pub banner: Option<String>,
    /// Who may watch.
    #[sqlx(try_from = "String")]
    pub visibility: Visibility,
    /// Argon2id of the password to watch with, in PHC form.
    pub password_hash: Option<String>,
    /// Hosts that may embed the player, with spaces between them; all where not said.
    pub embed_hosts: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: At,
    /// Rises when somebody loses leave to watch.
    pub play_epoch: i64,
    /// What is searched: lower-case words.
    pub search_text: String,
}

/// A channel to be made.
#[derive(Debug, Clone)]
pub struct NewChannel<'a> {
    /// See [`Channel::owner_id`].
    pub owner_id: &'a UserId,
    /// See [`Channel::handle`].
    pub handle: &'a str,
    /// See [`Channel::title`].
    pub title: &'a str,
    /// See [`Channel::search_text`].
    pub search_text: &'a str,
    /// How many the owner may have.
    pub most: i64,
}

/// Which public channels, and in which order.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChannelFilter<'a> {
    /// Of this category only; of all where it is empty.
    pub category: &'a str,
    /// In this language only, whatever its region or script: the first part of a tag, in lower case; in all where it is empty.
    pub language: &'a str,
    /// With all of these words, in lower case; more than [`MAX_WORDS`] are not looked at.
    pub words: &'a [String],
    /// Without those of these handles.
    pub without: &'a [&'a str],
    /// In which order.
    pub order: ChannelOrder,
}

/// The order of a list of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelOrder {
    /// The newest first.
    #[default]
    Newest,
    /// By title.
    Title,
}

/// Words that are looked for at a time.
pub const MAX_WORDS: usize = 4;

/// What its owner changes of a channel; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ChannelChange<'a> {
    /// See [`Channel::title`].
    pub title: Option<&'a str>,
    /// See [`Channel::description`].
    pub description: Option<&'a str>,
    /// See [`Channel::language`].
    pub language: Option<&'a str>,
    /// See [`Channel::category`].
    pub category: Option<&'a str>,
    /// See [`Channel::tags`].
    pub tags: Option<&'a str>,
    /// See [`Channel::links`].
    pub links: Option<&'a str>,
    /// See [`Channel::avatar`].
    pub avatar: Option<Option<&'a str>>,
    /// See [`Channel::banner`].
    pub banner: Option<Option<&'a str>>,
    /// See [`Channel::visibility`].
    pub visibility: Option<Visibility>,
    /// See [`Channel::password_hash`].
    pub password_hash: Option<Option<&'a str>>,
    /// See [`Channel::embed_hosts`].
    pub embed_hosts: Option<Option<&'a str>>,
    /// See [`Channel::search_text`].
    pub search_text: Option<&'a str>,
}

impl Store {
    /// Makes a channel.
    ///
    /// # Errors
    /// [`Error::Taken`] where the handle is another channel's, [`Error::TooMany`] where the owner may have no more.
    pub async fn create_channel(&self, new: &NewChannel<'_>) -> Result<Channel, Error> {
        rows!(
            self.pool,
            fetch_optional,
            Channel,
            "INSERT INTO channels (id, owner_id, handle, title, created_at, search_text)
             SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT COUNT(*) FROM channels WHERE owner_id = $2) < $7 RETURNING *",
            ChannelId::new(),
            new.owner_id,
            new.handle,
            new.title,
            At::now(),
            new.search_text,
            new.most,
        )
        .map_err(|error| Error::taken(error, |_| "the channel's name"))?
        .ok_or(Error::TooMany("channels"))
    }

    /// The channel with that handle.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_by_handle(&self, handle: &str) -> Result<Option<Channel>, Error> {
        Ok(rows!(self.pool, fetch_optional, Channel, "SELECT * FROM channels WHERE handle = $1", handle)?)
    }

    /// One channel.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, Error> {
        Ok(rows!(self.pool, fetch_optional, Channel, "SELECT * FROM channels WHERE id = $1", id)?)
    }

    /// A user's channels, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_of(&self, owner: &UserId) -> Result<Vec<Channel>, Error> {
        let sql = "SELECT * FROM channels WHERE owner_id = $1 ORDER BY id";
        Ok(rows!(self.pool, fetch_all, Channel, sql, owner)?)
    }

    /// The public channels that pass.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn public_channels(
        &self,
        filter: &ChannelFilter<'_>,
        page: &PageRequest,
    ) -> Result<Page<Channel>, Error> {
        let (category, language) = (filter.category, filter.language);
        let words: [String; MAX_WORDS] =
            std::array::from_fn(|n| filter.words.get(n).map(|word| like(word)).unwrap_or_default());
        // So many more that enough are left without those that are not wanted.
        let count = page.rows() + i64::try_from(filter.without.len()).unwrap_or(i64::MAX / 2);
        let found = match filter.order {
            ChannelOrder::Title => rows!(
                self.pool,
                fetch_all,
                Channel,
                concat!(
                    passing!(),
                    "AND ($8 = '' OR (lower(title), id) > (SELECT lower(title), id FROM channels WHERE id = $8)) ",
                    "ORDER BY lower(title), id LIMIT $7"
                ),
                category,
                language,
                &words[0],
                &words[1],
                &words[2],
                &words[3],
                count,
                page.above(),
            ),
            ChannelOrder::Newest if language.is_empty() && filter.words.is_empty() && !category.is_empty() => rows!(
                self.pool,
                fetch_all,
                Channel,
                "SELECT * FROM channels WHERE category = $1 AND visibility = 'public' AND id < $2
                 ORDER BY id DESC LIMIT $3",
                category,
                page.below(),
                count,
            ),
            ChannelOrder::Newest => rows!(
                self.pool,
                fetch_all,
                Channel,
                concat!(passing!(), "AND id < $8 ORDER BY id DESC LIMIT $7"),
                category,
                language,
                &words[0],
                &words[1],
                &words[2],
                &words[3],
                count,
                page.below(),
            ),
        };
        let mut found = found?;
        found.retain(|channel| !filter.without.contains(&channel.handle.as_str()));
        Ok(page.page(found, |channel| channel.id.as_str()))
    }

    /// All channels, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels(&self, page: &PageRequest) -> Result<Page<Channel>, Error> {
        let sql = "SELECT * FROM channels WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let channels = rows!(self.pool, fetch_all, Channel, sql, page.below(), page.rows())?;
        Ok(page.page(channels, |channel| channel.id.as_str()))
    }

    /// Changes a channel that is still at `version`.
    ///
    /// # Errors
    /// [`Error::Changed`] where it no longer is, [`Error::NotFound`].
    pub async fn update_channel(&self, id: &ChannelId, version: i64, to: &ChannelChange<'_>) -> Result<Channel, Error> {
        let mut tx = self.begin().await?;
        let old = rows_in!(tx, fetch_optional, Channel, "SELECT * FROM channels WHERE id = $1", id)?;
        let old = old.ok_or(Error::NotFound)?;
        let new = rows_in!(
            tx,
            fetch_optional,
            Channel,
            "UPDATE channels SET title = $1, description = $2, language = $3, category = $4, tags = $5, links = $6,
                    avatar = $7, banner = $8, visibility = $9, password_hash = $10, embed_hosts = $11,
                    search_text = $12, play_epoch = play_epoch + $13, version = version + 1
             WHERE id = $14 AND version = $15 RETURNING *",
            to.title.unwrap_or(&old.title),
            to.description.unwrap_or(&old.description),
            to.language.unwrap_or(&old.language),
            to.category.unwrap_or(&old.category),
            to.tags.unwrap_or(&old.tags),
            to.links.unwrap_or(&old.links),
            to.avatar.unwrap_or(old.avatar.as_deref()),
            to.banner.unwrap_or(old.banner.as_deref()),
            to.visibility.unwrap_or(old.visibility).as_str(),
            to.password_hash.unwrap_or(old.password_hash.as_deref()),
            to.embed_hosts.unwrap_or(old.embed_hosts.as_deref()),
            to.search_text.unwrap_or(&old.search_text),
            // Whoever knew the way in does so no longer.
            i64::from(to.visibility.is_some_and(|to| to != old.visibility) || to.password_hash.is_some()),
            id,
            version,
        )?;
        let new = new.ok_or(Error::Changed)?;
        tx.commit().await?;
        Ok(new)
    }

    /// Deletes a channel with its keys, what is known of its broadcasts, and its videos in the trash.
    ///
    /// # Errors
    /// [`Error::InUse`] with how many videos it has that are not in the trash, [`Error::NotFound`].
    pub async fn delete_channel(&self, id: &ChannelId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "SELECT COUNT(*) FROM videos WHERE channel_id = $1 AND trashed_at IS NULL";
        let (kept,) = rows_in!(tx, fetch_one, (i64,), sql, id)?;
        if kept > 0 {
            return Err(Error::InUse(kept));
        }
        run_in!(
            tx,
            "INSERT INTO garbage (object_key, added_at)
             SELECT object_key, $1 FROM files JOIN videos ON videos.id = files.video_id
             WHERE videos.channel_id = $2 ON CONFLICT DO NOTHING",
            At::now(),
            id,
        )?;
        found(run_in!(tx, "DELETE FROM channels WHERE id = $1", id)?)?;
        tx.commit().await
    }

    /// Lets somebody watch a private channel.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite_viewer(&self, channel: &ChannelId, user: &UserId) -> Result<(), Error> {
        let sql = "INSERT INTO channel_viewers (channel_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        run!(self.pool, sql, channel, user)?;
        Ok(())
    }

    /// Takes that back, and with it what was handed out to watch with.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn uninvite_viewer(&self, channel: &ChannelId, user: &UserId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM channel_viewers WHERE channel_id = $1 AND user_id = $2";
        found(run_in!(tx, sql, channel, user)?)?;
        run_in!(tx, "UPDATE channels SET play_epoch = play_epoch + 1 WHERE id = $1", channel)?;
        tx.commit().await
    }

    /// Who may watch a private channel beside its owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invited_ids(&self, channel: &ChannelId) -> Result<Vec<UserId>, Error> {
        let sql = "SELECT user_id FROM channel_viewers WHERE channel_id = $1";
        let ids = rows!(self.pool, fetch_all, (UserId,), sql, channel)?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }

    /// Those who may watch a private channel beside its owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invited_viewers(&self, channel: &ChannelId, page: &PageRequest) -> Result<Page<User>, Error> {
        let users = rows!(
            self.pool,
            fetch_all,
            User,
            "SELECT users.* FROM channel_viewers JOIN users ON users.id = channel_viewers.user_id
             WHERE channel_viewers.channel_id = $1 AND users.id > $2 ORDER BY users.id LIMIT $3",
            channel,
            page.above(),
            page.rows(),
        )?;
        Ok(page.page(users, |user| user.id.as_str()))
    }
}

/// The beginning of what finds public channels: $1 is a category, $2 a language, $3 to $6 patterns of words; each passes all
/// where it is empty.
macro_rules! passing {
    () => {
        r"SELECT * FROM channels WHERE visibility = 'public' AND ($1 = '' OR category = $1)
            AND ($2 = '' OR lower(language) = $2 OR lower(language) LIKE $2 || '-%')
            AND ($3 = '' OR search_text LIKE $3 ESCAPE '\') AND ($4 = '' OR search_text LIKE $4 ESCAPE '\')
            AND ($5 = '' OR search_text LIKE $5 ESCAPE '\') AND ($6 = '' OR search_text LIKE $6 ESCAPE '\') "
    };
}
use passing;

/// A pattern for `LIKE … ESCAPE '\'` that finds `word` anywhere.
fn like(word: &str) -> String {
    let mut pattern = String::from("%");
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
