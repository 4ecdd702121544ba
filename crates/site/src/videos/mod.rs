//! Videos: how they arrive, who may watch them, and their files as players ask for them.
//!
//! What playback asks again and again, whether somebody may watch and which files there are, is answered from memory.

pub(crate) mod comments;
mod downloads;
pub(crate) mod intake;
mod leave;
mod media;
pub(crate) mod rules;
mod seats;

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use millrace_store::{
    At, Change, Channel, Error, File, FileKind, Hash, Kind, ListedVideo, PageRequest, Store, UserId, Video, VideoFilter,
};
use millrace_vod::Vod;
use sha2::Sha256;
use time::Duration;

use crate::accounts::sessions::Sessions;
use crate::cache::Cache;
use crate::channels::tokens::PlayTokens;

pub use downloads::{DownloadExcess, DownloadLimits, Downloads};
use intake::Intake;
pub use intake::{Makes, UploadConfig};
pub(crate) use leave::{VideoLeave, unlock_cookie};
pub(crate) use media::routes;

/// The videos of a site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Videos {
    store: Store,
    sessions: Arc<Sessions>,
    vod: Vod,
    tokens: Arc<PlayTokens>,
    known: Arc<Cache<String, Option<Arc<KnownVideo>>>>,
    newest: Arc<Cache<(), Arc<[ListedVideo]>>>,
    /// Makes of viewers what nobody reads back.
    viewers: Hmac<Sha256>,
    intake: Option<Intake>,
    downloads: Downloads,
}

/// A video, with what there is of it.
#[derive(Debug)]
pub(crate) struct KnownVideo {
    pub(crate) listed: ListedVideo,
    pub(crate) files: Vec<File>,
    pub(crate) channel: Channel,
}

impl KnownVideo {
    pub(crate) fn video(&self) -> &Video {
        &self.listed.video
    }

    pub(crate) fn owner(&self) -> &UserId {
        &self.listed.owner_id
    }

    /// A file of its own.
    pub(crate) fn file(&self, kind: FileKind, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.kind == kind && file.name == name)
    }

    /// Those of one kind.
    pub(crate) fn files_of(&self, kind: FileKind) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.kind == kind)
    }

    /// What is played of it beside its renditions: as it was uploaded, or in another container where that cannot be played.
    pub(crate) fn main_file(&self) -> Option<&File> {
        self.file(FileKind::Remux, "").or_else(|| self.file(FileKind::Original, ""))
    }

    /// Bytes that are stored for it.
    pub(crate) fn stored_bytes(&self) -> i64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl std::fmt::Debug for Videos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Videos(…)")
    }
}

impl Videos {
    pub(crate) fn new(store: Store, sessions: Arc<Sessions>, vod: Vod, token_key: [u8; 32]) -> Self {
        Self {
            store,
            sessions,
            vod,
            viewers: Hmac::new_from_slice(&token_key).expect("HMAC takes keys of any length"),
            tokens: Arc::new(PlayTokens::new(token_key)),
            known: Arc::new(Cache::new(MAX_KNOWN)),
            newest: Arc::new(Cache::new(1)),
            intake: None,
            downloads: Downloads::default(),
        }
    }

    /// The same, which takes uploads.
    pub(crate) fn with_uploads(self, config: UploadConfig) -> std::io::Result<Self> {
        Ok(Self { intake: Some(Intake::open(config)?), ..self })
    }

    /// What of files is being sent.
    pub(crate) fn downloads(&self) -> &Downloads {
        &self.downloads
    }

    /// What is handed out to watch with.
    pub(crate) fn tokens(&self) -> &PlayTokens {
        &self.tokens
    }

    /// A viewer as views are counted by: of who they are nothing is left.
    pub(crate) fn viewer(&self, of: &[&str]) -> Hash {
        let mut mac = self.viewers.clone();
        for part in of {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.finalize().into_bytes().into()
    }

    /// What plays files.
    pub(crate) fn vod(&self) -> &Vod {
        &self.vod
    }

    /// The video of that short id, whatever its state.
    pub(crate) async fn find(&self, short_id: &str) -> Result<Option<Arc<KnownVideo>>, Error> {
        if !rules::is_short_id(short_id) {
            return Ok(None);
        }
        let now = At::now();
        let missed = match self.known.get(short_id, now) {
            Ok(known) => return Ok(known),
            Err(missed) => missed,
        };
        let known = self.read(short_id).await?.map(Arc::new);
        // On SQLite processes do not hear of each other's changes.
        let fresh = if self.store.kind() == Kind::Sqlite { FRESH_UNHEARD } else { FRESH };
        self.known.keep(short_id.to_owned(), known.clone(), now.plus(fresh), missed);
        Ok(known)
    }

    /// As [`Self::find`], as it is in the database now.
    pub(crate) async fn read(&self, short_id: &str) -> Result<Option<KnownVideo>, Error> {
        if !rules::is_short_id(short_id) {
            return Ok(None);
        }
        let Some(listed) = self.store.video_by_short_id(short_id).await? else { return Ok(None) };
        let Some(channel) = self.store.channel(&listed.video.channel_id).await? else { return Ok(None) };
        let files = self.store.files(&listed.video.id).await?;
        Ok(Some(KnownVideo { listed, files, channel }))
    }

    /// The newest videos that everybody may see, [`NEWEST`] at most, as they were some seconds ago at the latest.
    pub(crate) async fn newest(&self) -> Result<Arc<[ListedVideo]>, Error> {
        let now = At::now();
        let missed = match self.newest.get(&(), now) {
            Ok(newest) => return Ok(newest),
            Err(missed) => missed,
        };
        let page = PageRequest { limit: NEWEST, after: None };
        let newest: Arc<[ListedVideo]> = self.store.listed_videos(&VideoFilter::default(), &page).await?.items.into();
        self.newest.keep((), Arc::clone(&newest), now.plus(NEWEST_FRESH), missed);
        Ok(newest)
    }

    /// Lets every node know that a video has changed.
    pub(crate) async fn changed(&self, short_id: &str) -> Result<(), Error> {
        self.forget(short_id);
        self.store.tell(&Change::Video(short_id.to_owned())).await
    }

    /// Takes note that a video has changed: it is read again.
    pub(crate) fn forget(&self, short_id: &str) {
        self.newest.forget(|(), _| true);
        self.known.forget(|known, _| known == short_id);
    }

    /// As [`Self::forget`], for those of one channel, or for all.
    pub(crate) fn forget_all(&self, channel: Option<&str>) {
        self.newest.forget(|(), _| true);
        self.known.forget(|_, known| {
            channel.is_none() || known.as_ref().is_none_or(|known| channel == Some(&known.listed.channel_handle))
        });
    }
}

/// So long the database is not asked again: what another node changed is known here by then, at the latest.
const FRESH: Duration = Duration::seconds(60);
/// The same where other processes cannot be heard.
const FRESH_UNHEARD: Duration = Duration::seconds(3);
/// The same for the newest ones, which every visit of the home page needs.
const NEWEST_FRESH: Duration = Duration::seconds(10);
/// Newest videos that are known.
const NEWEST: u32 = 48;
/// Videos known at a time, those included that are known not to be there.
const MAX_KNOWN: usize = 20_000;
