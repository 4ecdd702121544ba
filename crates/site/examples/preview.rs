//! Serves the site with made-up streams, to look at the pages without a hub: `cargo run --example preview`.
//!
//! `PREVIEW_LISTEN` sets the address (default 127.0.0.1:18080). The streams shown are named by `?` of the path
//! `/_preview/{scene}`: `empty`, `one`, `full`, `long`; that choice holds for every visitor until the next. Beside them there are some channels
//! that are off air, of which `yesterday` says all that a channel can say of itself, and `tide-pool` may be embedded by
//! `example.org` alone. `tide-pool` has videos, of which `tidepool001` is talked about; whose cookie `session` holds 43 times
//! `a` is their owner.

use std::{
    env, io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::post,
};
use http::{StatusCode, header};
use millrace_site::{
    Accounts, LiveAudio, LiveSource, LiveState, LiveStream, LiveUrls, LiveVideo, SiteConfig, SiteKey, router,
};
use millrace_store::{
    At, ChannelChange, Error, NewChannel, NewComment, NewSession, NewUser, NewVideo, Review, Role, Store, User,
    UserState, VideoFacts, VideoState, Visibility,
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::var("PREVIEW_LISTEN").unwrap_or_else(|_| "127.0.0.1:18080".to_owned());
    let scene = Scene::default();
    let config = SiteConfig { source_url: Some("https://example.org/millrace".to_owned()), ..SiteConfig::default() };
    let preview = Router::new()
        .route("/_preview/{scene}", post(choose))
        .route("/live/{file}", axum::routing::get(picture))
        .with_state(scene.clone());
    let directory = tempfile::tempdir()?;
    let store = Store::open("sqlite://preview.db", directory.path()).await.map_err(io::Error::other)?;
    let objects = millrace_objects::Objects::open("file://objects", directory.path()).map_err(io::Error::other)?;
    let owner = channels(&store).await.map_err(io::Error::other)?;
    videos(&store, &owner).await.map_err(io::Error::other)?;
    let accounts = Accounts::new(store, objects, &SiteKey::new(), 1);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    axum::serve(listener, router(scene, accounts, config).merge(preview)).await
}

/// Channels that are off air.
async fn channels(store: &Store) -> Result<User, Error> {
    let owner = NewUser {
        handle: "ada",
        display_name: "Ada",
        email: None,
        password_hash: "",
        role: Role::Creator,
        state: UserState::Active,
    };
    let owner = store.create_user(&owner).await?;
    let long = "Everything that can be said about keeping bees on the roof of a house, and some things that cannot be";
    for (handle, title, change) in [
        (
            "tide-pool",
            "Tide pool",
            ChannelChange {
                description: Some("A camera at the shore."),
                category: Some("science"),
                embed_hosts: Some(Some("example.org")),
                ..ChannelChange::default()
            },
        ),
        (
            "night-shift",
            "夜班电台：给还没睡的人",
            ChannelChange { language: Some("zh-CN"), ..ChannelChange::default() },
        ),
        ("bees", &long[..100], ChannelChange { description: Some(long), ..ChannelChange::default() }),
        ("locked", "Locked", ChannelChange { visibility: Some(Visibility::Private), ..ChannelChange::default() }),
        (
            "yesterday",
            "Yesterday's news",
            ChannelChange {
                description: Some(
                    "What happened the day before.\n\nEvery evening at six, with guests.\n每天傍晚六点。",
                ),
                language: Some("en-GB"),
                category: Some("news"),
                tags: Some(r#"["daily","evening","新闻"]"#),
                links: Some(
                    r#"[{"title":"Archive","url":"https://example.org/archive"},{"title":"播客","url":"https://example.org/"}]"#,
                ),
                ..ChannelChange::default()
            },
        ),
    ] {
        let text = format!("{handle} {}", title.to_lowercase());
        let new = NewChannel { owner_id: &owner.id, handle, title, search_text: &text, most: 9 };
        let made = store.create_channel(&new).await?;
        store.update_channel(&made.id, made.version, &change).await?;
    }
    Ok(owner)
}

/// Videos of the channel `tide-pool`, and what is said of one of them.
async fn videos(store: &Store, owner: &User) -> Result<(), Error> {
    let session = NewSession {
        user_id: &owner.id,
        token_hash: Sha256::digest("a".repeat(43)).into(),
        remember: true,
        user_agent: "",
        address: "127.0.0.1",
        expires_at: At::now().plus(Duration::days(1)),
    };
    store.create_session(&session).await?;
    let channel = store.channel_by_handle("tide-pool").await?.ok_or(Error::NotFound)?;
    let mut talked_about = None;
    for (short_id, title, minutes) in [
        ("tidepool001", "Low tide at dawn: what the night left behind", 12),
        ("tidepool002", "退潮后的海滩：一小时慢镜头", 64),
        ("tidepool003", "Crabs", 1),
    ] {
        let new = NewVideo {
            short_id,
            channel_id: &channel.id,
            title,
            description: "",
            language: "en",
            category: "science",
            tags: "[]",
            search_text: "",
            visibility: Visibility::Public,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: "",
        };
        let video = store.create_video(&new).await?;
        let facts = VideoFacts { duration: minutes * 60_000, ..VideoFacts::default() };
        store.set_video_facts(&video.id, &facts).await?;
        store.set_video_state(&video.id, VideoState::Ready, "").await?;
        talked_about.get_or_insert(video.id);
    }
    let video_id = talked_about.ok_or(Error::NotFound)?;
    let guest = NewUser {
        handle: "mei",
        display_name: "美 Mei",
        email: None,
        password_hash: "",
        role: Role::Viewer,
        state: UserState::Active,
    };
    let guest = store.create_user(&guest).await?;
    let say = async |author: &User, parent_id, text: &str, held| {
        let new = NewComment { video_id: &video_id, author_id: &author.id, parent_id, text, held };
        store.create_comment(&new).await
    };
    let gone = say(&guest, None, "deleted", false).await?;
    say(owner, Some(&gone), "Whoever asked: yes, the camera is on all night.", false).await?;
    store.delete_comment(&gone).await?;
    let first = say(&guest, None, "The anemone at 4:05 opens!\nAnd at 1:02:03 it closes again.", false).await?;
    for n in 1..=5 {
        let text = format!("Reply {n}: I had not seen that, thank you. 谢谢，我之前没注意到。");
        say(if n % 2 == 0 { owner } else { &guest }, Some(&first), &text, false).await?;
    }
    store.like_comment(&first, &owner.id, true).await?;
    store.like_comment(&first, &guest.id, true).await?;
    let long = format!("{} and https://example.org/{}", "a-long-word-without-an-end".repeat(8), "path/".repeat(20));
    say(owner, None, &long, false).await?;
    let pinned = say(owner, None, "The tide table is at https://example.org/tides.", false).await?;
    store.pin_comment(&pinned).await?;
    for n in 1..=20 {
        say(&guest, None, &format!("Comment {n} 条评论"), false).await?;
    }
    say(&guest, None, "See https://example.com/shells, too", true).await?;
    Ok(())
}

/// The scene that is shown now.
#[derive(Clone, Default)]
struct Scene(Arc<Mutex<String>>);

impl Scene {
    fn names(&self) -> Vec<String> {
        let scene = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names: &[&str] = match scene.as_str() {
            "one" => &["harbour"],
            "full" => &[
                "harbour",
                "night-market",
                "chess_club",
                "lathe-and-mill",
                "radio-river",
                "first-light",
                "kitchen",
                "observatory",
                "skatepark",
                "piano",
            ],
            "long" => {
                return vec![
                    "a-very-long-name-that-somebody-chose-because-nobody-stopped-them".to_owned(),
                    "w".repeat(64),
                ];
            }
            "broken" => panic!("the broken scene panics on purpose, to show the error page"),
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

impl LiveSource for Scene {
    fn on_air(&self) -> Vec<LiveStream> {
        self.names().iter().enumerate().map(|(index, name)| stream(index, name)).collect()
    }

    fn find(&self, app: &str, name: &str) -> Option<LiveStream> {
        self.on_air().into_iter().find(|stream| stream.app == app && stream.name == name)
    }

    fn last_on_air(&self, _: &str, name: &str) -> Option<OffsetDateTime> {
        (name == "yesterday").then(|| OffsetDateTime::now_utc() - Duration::hours(26))
    }
}

fn stream(index: usize, name: &str) -> LiveStream {
    let step = i64::try_from(index).unwrap_or(0);
    let height = [1080, 720, 1080, 480, 0, 2160][index % 6];
    LiveStream {
        app: "live".to_owned(),
        name: name.to_owned(),
        title: None,
        category: None,
        language: None,
        avatar_url: None,
        state: if index % 7 == 6 { LiveState::Reconnecting } else { LiveState::Live },
        started_at: OffsetDateTime::now_utc() - Duration::seconds(37 + step * step * 1_900),
        viewers: [1, 1_284, 23, 0, 312, 48_200][index % 6],
        video: (height > 0).then(|| LiveVideo {
            // The largest picture comes in a codec that not every browser decodes.
            codec: if height == 2160 { "hvc1.1.6.L150.B0" } else { "avc1.64001f" }.to_owned(),
            width: Some(height * 16 / 9),
            height: Some(height),
            frame_rate: Some(30.0),
            kbit_s: 4_200,
        }),
        audio: Some(LiveAudio { codec: "mp4a.40.2".to_owned(), sample_rate: 48_000, channels: 2, kbit_s: 128 }),
        damaged_frames: 0,
        gop_seconds: Some(2.0),
        urls: LiveUrls::new("live", name),
    }
}

async fn choose(State(scene): State<Scene>, Path(name): Path<String>) -> StatusCode {
    *scene.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    StatusCode::NO_CONTENT
}

/// A made-up thumbnail: a landscape in colours that depend on the name. Every fourth stream has none.
async fn picture(Path(file): Path<String>) -> impl IntoResponse {
    let Some(name) = file.strip_suffix(".jpg").filter(|name| name.len() % 4 != 1) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hue = name.bytes().fold(0_u32, |sum, byte| sum * 31 % 360 + u32::from(byte)) % 360;
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 360'><defs><linearGradient id='s' x1='0' y1='0' \
         x2='0' y2='1'><stop stop-color='hsl({hue} 55% 32%)'/><stop offset='1' stop-color='hsl({} 75% 68%)'/>\
         </linearGradient></defs><rect width='640' height='360' fill='url(#s)'/><circle cx='{}' cy='150' r='46' \
         fill='hsl({} 90% 86%)'/><path d='M0 260 130 150 230 235 330 130 470 250 560 190 640 250V360H0Z' \
         fill='hsl({hue} 40% 22%)'/><path d='M0 310 90 250 240 320 380 255 520 325 640 280V360H0Z' fill='hsl({hue} 45% 13%)'/></svg>",
        (hue + 50) % 360,
        120 + hue,
        (hue + 70) % 360,
    );
    ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}
