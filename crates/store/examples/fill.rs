//! Fills a database with channels and videos, for measurements: `fill URL DIRECTORY VIDEOS`, as of `database.url` and
//! `data_dir`. Words are as frequent as they are in languages: of each, the n-th occurs 1/n times as often as the first.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use millrace_store::testing::{OldVideo, put_videos, settle};
use millrace_store::*;

/// What texts are made of, by language: words that most of them have, and letters that others are made of.
struct Language {
    tag: &'static str,
    common: &'static [&'static str],
    syllables: &'static [&'static str],
    /// Between words.
    space: &'static str,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, directory, count] = arguments.as_slice() else { return Err("fill URL DIRECTORY VIDEOS".into()) };
    let (count, begun) = (count.parse::<u32>()?, Instant::now());
    let store = Store::open(url, Path::new(directory)).await?;
    let channels = channels(&store).await?;
    let mut chance = Chance(7);
    for from in (0..count).step_by(BATCH as usize) {
        let texts: Vec<Text> = (from..count.min(from + BATCH)).map(|n| Text::new(n, &mut chance)).collect();
        let videos: Vec<_> = texts
            .iter()
            .map(|text| OldVideo {
                new: NewVideo {
                    short_id: &text.short_id,
                    // A few channels have very many videos.
                    channel_id: &channels[chance.by_rank(channels.len())],
                    title: &text.title,
                    description: &text.description,
                    language: text.language,
                    category: CATEGORIES[chance.by_rank(CATEGORIES.len())],
                    tags: "[]",
                    search_text: "",
                    visibility: Visibility::Public,
                    password_hash: None,
                    publish_at: None,
                    review: Review::None,
                    file_name: "film.mp4",
                },
                // One each ten minutes: 100,000 are two years.
                published_at: At::now()
                    .plus(time::Duration::minutes(i64::from(text.number) * 10 - i64::from(count) * 10)),
                duration: i64::from(1 + chance.below(3_600)) * 1000,
                views: 1_000_000 / i64::from(1 + chance.below(200_000)),
            })
            .collect();
        put_videos(&store, &videos).await?;
    }
    settle(&store).await?;
    store.close().await;
    println!("{count} videos in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn channels(store: &Store) -> Result<Vec<ChannelId>, Error> {
    let mut channels = Vec::new();
    let (role, state) = (Role::Creator, UserState::Active);
    let new = NewUser { handle: "owner", display_name: "Owner", email: None, password_hash: "x", role, state };
    let owner = store.create_user(&new).await?;
    for n in 0..CHANNELS {
        let (handle, title) = (format!("channel-{n}"), format!("Channel {n}"));
        let search_text = format!("{handle} {}", title.to_lowercase());
        let new = NewChannel {
            owner_id: &owner.id,
            handle: &handle,
            title: &title,
            search_text: &search_text,
            most: i64::from(CHANNELS),
        };
        channels.push(store.create_channel(&new).await?.id);
    }
    Ok(channels)
}

struct Text {
    number: u32,
    short_id: String,
    language: &'static str,
    title: String,
    description: String,
}

impl Text {
    fn new(number: u32, chance: &mut Chance) -> Self {
        let language = &LANGUAGES[chance.by_rank(LANGUAGES.len())];
        let mut words = |count| (0..count).map(|_| language.word(chance)).collect::<Vec<_>>().join(language.space);
        Self {
            number,
            short_id: format!("v{number:010}"),
            language: language.tag,
            // Rare words that searches can ask for.
            title: format!("{} number{number}", words(6)),
            description: words(30),
        }
    }
}

impl Language {
    fn word(&self, chance: &mut Chance) -> String {
        let rank = chance.by_rank(VOCABULARY);
        if let Some(word) = self.common.get(rank) {
            return (*word).to_owned();
        }
        let (mut word, mut rest) = (String::new(), rank);
        while rest > 0 {
            word.push_str(self.syllables[rest % self.syllables.len()]);
            rest /= self.syllables.len();
        }
        word
    }
}

/// Numbers without pattern, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 11) % u64::from(end)).unwrap_or(0)
    }

    /// A rank from 0 on: of twice the rank there are half as many.
    fn by_rank(&mut self, ranks: usize) -> usize {
        let share = f64::from(self.below(1 << 30)) / f64::from(1_u32 << 30);
        let rank = ((ranks + 1) as f64).powf(share) - 1.0;
        (rank as usize).min(ranks - 1)
    }
}

const LANGUAGES: [Language; 4] = [
    Language {
        tag: "en",
        common: &["the", "video", "how", "to", "live", "music", "night", "river", "market", "tea"],
        syllables: &["ka", "lo", "mi", "ren", "tas", "vu", "sel", "dor", "pi", "han", "gre", "sto"],
        space: " ",
    },
    Language {
        tag: "zh-CN",
        common: &["视频", "我们", "夜市", "音乐", "直播", "美食", "中国", "今天", "生活", "旅行"],
        syllables: &[
            "山", "水", "火", "木", "人", "大", "小", "天", "地", "上", "下", "来", "去", "花", "鸟", "鱼", "月", "星",
        ],
        space: "",
    },
    Language {
        tag: "de",
        common: &["der", "video", "wie", "musik", "nacht", "fluss", "markt", "heute", "leben", "reise"],
        syllables: &["ber", "stein", "wal", "dorf", "hof", "lin", "ach", "ung", "ster", "ke"],
        space: " ",
    },
    Language {
        tag: "pt-BR",
        common: &["de", "vídeo", "como", "música", "noite", "rio", "mercado", "chá", "hoje", "vida"],
        syllables: &["ção", "ra", "pa", "lei", "to", "mar", "que", "bo", "lha", "ni"],
        space: " ",
    },
];
const CATEGORIES: [&str; 6] = ["music", "gaming", "news", "education", "", "travel"];
const CHANNELS: u32 = 2000;
/// Words of a language.
const VOCABULARY: usize = 50_000;
const BATCH: u32 = 1000;
