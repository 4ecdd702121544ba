//! Finding videos by words, and by what they are of.
//!
//! Terms are made here for both databases: words in lower case without accents, and pairs of letters in scripts that put no
//! space between words, so that two Chinese letters are found. A word is found by its beginning as well, of three letters and
//! more: "go" is a word, and no half of "good". Channel, category, language and length are terms, too, of letters that nobody
//! types: the index narrows by them as it does by words. The table `video_terms` has a row for each video that lists show, and
//! changes with the video in one transaction; SQLite keeps an FTS5 index beside it, PostgreSQL a `tsvector`. Only the part of a
//! query that asks these differs.
//!
//! Rows are numbered by the time at which the video was published, so that both give the newest first without sorting.

mod postgres;
mod sqlite;

use unicode_normalization::UnicodeNormalization;

use crate::db::{Pool, Tx, rows_in, run_in};
use crate::{At, ChannelId, Error, ListedVideo, Page, PageRequest, Store, Video, VideoFilter, VideoId, VideoOrder};

/// The order of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchOrder {
    /// Those with the words in their titles first; among these, and then, the most watched.
    #[default]
    Relevance,
    /// The newest first.
    Newest,
    /// The most watched first.
    Views,
}

/// How long a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoLength {
    /// Less than 4 minutes.
    Short,
    /// 4 to 20 minutes.
    Medium,
    /// 20 minutes and more.
    Long,
}

impl VideoLength {
    /// That of so many milliseconds.
    #[must_use]
    pub const fn of(duration: i64) -> Self {
        match duration {
            ..FOUR_MINUTES => Self::Short,
            FOUR_MINUTES..TWENTY_MINUTES => Self::Medium,
            _ => Self::Long,
        }
    }
}

/// Which videos that everybody may see.
#[derive(Debug, Clone, Copy, Default)]
pub struct VideoSearch<'a> {
    /// What is looked for, as somebody typed it; all where it is empty, none where it has no letters.
    pub words: &'a str,
    /// Of this channel only.
    pub channel: Option<&'a ChannelId>,
    /// Of this category only; of all where it is empty.
    pub category: &'a str,
    /// In this language only, or one of its regions and scripts; in all where it is empty.
    pub language: &'a str,
    /// So long.
    pub length: Option<VideoLength>,
    /// Published then or later.
    pub since: Option<At>,
    /// In which order.
    pub order: SearchOrder,
}

/// A part of what is found, in the words of a database.
struct Sought {
    /// What the index is asked for.
    query: String,
    /// What a title, behind a space, is compared with: those that are like it come first.
    title: String,
    /// The number of the first row that counts.
    first: i64,
    /// By their numbers alone, the newest first.
    by_time: bool,
    /// Rows that are left out, and wanted then.
    skip: u32,
    rows: u32,
}

impl Store {
    /// The videos that everybody may see and that are found. By relevance and by views the newest [`MAX_NEWEST`] that match
    /// are put into order, and those of the site's [`MAX_WATCHED`] most watched that match. The cursor is a place in the
    /// list, up to [`MAX_FOUND`]: what is published meanwhile may show an item twice. What is none has nothing after it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_videos(
        &self,
        search: &VideoSearch<'_>,
        page: &PageRequest,
    ) -> Result<Page<ListedVideo>, Error> {
        let asked = Asked::new(search);
        if asked.terms.is_empty() && !search.words.trim().is_empty() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        if search.words.trim().is_empty() && (search.language, search.length, search.since) == ("", None, None) {
            // A whole list goes on from an item, however long it is.
            let order = match search.order {
                SearchOrder::Newest => VideoOrder::Newest,
                SearchOrder::Relevance | SearchOrder::Views => VideoOrder::Views,
            };
            let filter = VideoFilter { channel: search.channel, category: search.category, order };
            return self.listed_videos(&filter, page).await;
        }
        let nothing = Page { items: Vec::new(), next: None };
        let Ok(skip) = page.after.as_deref().map_or(Ok(0), str::parse::<u32>) else { return Ok(nothing) };
        if skip >= MAX_FOUND {
            return Ok(nothing);
        }
        let sought = Sought {
            query: match &self.pool {
                Pool::Sqlite(_) => asked.for_fts5(),
                Pool::Postgres(_) => asked.for_tsquery(),
            },
            title: match search.order {
                SearchOrder::Relevance => asked.title_pattern(),
                SearchOrder::Newest | SearchOrder::Views => "%".to_owned(),
            },
            first: search.since.map_or(i64::MIN, |since| number_at(since, 0)),
            by_time: search.order == SearchOrder::Newest,
            skip,
            rows: page.limit.saturating_add(1),
        };
        let mut items = match &self.pool {
            Pool::Sqlite(pool) => sqlite::find(pool, &sought).await?,
            Pool::Postgres(pool) => postgres::find(pool, &sought).await?,
        };
        let more = items.len() > page.limit as usize;
        items.truncate(page.limit as usize);
        let next = skip.saturating_add(page.limit);
        Ok(Page { items, next: (more && next < MAX_FOUND).then(|| next.to_string()) })
    }

    /// Notes which videos are the most watched, [`MAX_WATCHED`] of them: a search finds these, however many newer ones there
    /// are.
    pub(crate) async fn note_most_watched(&self) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "WITH top AS (SELECT id FROM videos WHERE listed AND views > 0 ORDER BY views DESC, id DESC LIMIT $1)
                   SELECT id, FALSE FROM videos WHERE popular AND id NOT IN (SELECT id FROM top)
                   UNION ALL SELECT id, TRUE FROM videos WHERE id IN (SELECT id FROM top) AND NOT popular";
        let changed = rows_in!(tx, fetch_all, (VideoId, bool), sql, i64::from(MAX_WATCHED))?;
        for (id, popular) in changed {
            let sql = "UPDATE videos SET popular = $1 WHERE id = $2 RETURNING *";
            let video = rows_in!(tx, fetch_one, Video, sql, popular, &id)?;
            index_in(&mut tx, &video).await?;
        }
        tx.commit().await
    }
}

/// Brings what a video is found by into line with the video, within the transaction that changed it.
pub(crate) async fn index_in(tx: &mut Tx, video: &Video) -> Result<(), Error> {
    if !video.listed {
        run_in!(*tx, "DELETE FROM video_terms WHERE video_id = $1", &video.id)?;
        return Ok(());
    }
    let sql = "SELECT handle FROM channels WHERE id = $1";
    let (handle,) = rows_in!(*tx, fetch_one, (String,), sql, &video.channel_id)?;
    // Tags are a JSON list of words: its signs are no letters.
    let words = format!("{}\n{handle}\n{}", video.tags, video.description);
    let mut words = terms(&words);
    words.push(EVERY.to_owned());
    words.push(of_channel(&video.channel_id));
    words.extend(in_language(&video.language));
    words.push(of_length(VideoLength::of(video.duration)));
    if !video.category.is_empty() {
        words.push(of_category(&video.category));
    }
    if video.popular {
        words.push(WATCHED.to_owned());
    }
    words.sort_unstable();
    words.dedup();
    let published = video.published_at.unwrap_or(video.created_at);
    let sql = match tx {
        Tx::Sqlite(_) => {
            "INSERT INTO video_terms (number, video_id, title, words, views) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (video_id) DO UPDATE SET title = excluded.title, words = excluded.words, views = excluded.views"
        }
        Tx::Postgres(_) => {
            "INSERT INTO video_terms (number, video_id, title, terms, views, watched)
             VALUES ($1, $2, $3, array_to_tsvector(array_remove(string_to_array($3 || ' ' || $4, ' '), '')), $5,
                 (SELECT popular FROM videos WHERE id = $2))
             ON CONFLICT (video_id) DO UPDATE SET
                 title = excluded.title, terms = excluded.terms, views = excluded.views, watched = excluded.watched"
        }
    };
    run_in!(
        *tx,
        sql,
        number_at(published, low_bits(&video.id)),
        &video.id,
        terms(&video.title).join(" "),
        words.join(" "),
        video.views,
    )?;
    Ok(())
}

/// The number of a video that was published then: above those of all that were published before.
fn number_at(published: At, low: i64) -> i64 {
    published.0.clamp(0, i64::MAX >> NUMBER_BITS) << NUMBER_BITS | low
}

/// What tells videos apart that were published in the same millisecond: the end of an id is random.
fn low_bits(id: &VideoId) -> i64 {
    let tail = id.as_str().rsplit('-').next().unwrap_or_default();
    i64::from_str_radix(tail, 16).unwrap_or(0) & ((1 << NUMBER_BITS) - 1)
}

fn of_channel(id: &ChannelId) -> String {
    format!("{CHANNEL}{}", id.as_str().replace('-', ""))
}

fn of_category(category: &str) -> String {
    format!("{CATEGORY}{}", plain(category))
}

fn of_length(length: VideoLength) -> String {
    format!("{LENGTH}{length:?}").to_lowercase()
}

/// A language, and what it is a region or script of.
fn in_language(tag: &str) -> impl Iterator<Item = String> {
    let tag = plain(tag);
    let ends: Vec<usize> = tag.match_indices(JOINT).map(|(at, _)| at).chain([tag.len()]).collect();
    ends.into_iter().filter(|end| *end > 0).map(move |end| format!("{LANGUAGE}{}", &tag[..end]))
}

/// A name as one term: of small letters and digits.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { JOINT }).collect()
}

/// What is asked for by the words that somebody typed.
struct Asked {
    /// Each term that was typed, and whether longer ones that begin so are meant as well.
    terms: Vec<(String, bool)>,
    /// What narrows it.
    of: Vec<String>,
}

impl Asked {
    fn new(search: &VideoSearch<'_>) -> Self {
        let mut all = Vec::new();
        for run in runs(search.words) {
            match run {
                Run::Word(word) => {
                    let begins = word.chars().nth(2).is_some();
                    all.push((word, begins));
                }
                Run::Letters(letters) if letters.len() == 1 => all.push((letters.into_iter().collect(), true)),
                Run::Letters(letters) => all.extend(letters.windows(2).map(|pair| (pair.iter().collect(), false))),
            }
        }
        all.truncate(MAX_TERMS);
        let mut of = vec![EVERY.to_owned()];
        of.extend(search.channel.map(of_channel));
        of.extend((!search.category.is_empty()).then(|| of_category(search.category)));
        of.extend(in_language(search.language).last());
        of.extend(search.length.map(of_length));
        if of.len() > 1 || !all.is_empty() {
            // All videos are asked for only where there is nothing else to ask for.
            of.remove(0);
        }
        Self { terms: all, of }
    }

    /// For `MATCH` of FTS5: strings, which hold nothing but letters and digits.
    fn for_fts5(&self) -> String {
        let one = |(term, begins): (&str, bool)| format!("\"{term}\"{}", if begins { " *" } else { "" });
        self.all().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// For `tsquery`: lexemes in quotes, which hold nothing but letters and digits.
    fn for_tsquery(&self) -> String {
        let one = |(term, begins): (&str, bool)| format!("'{term}'{}", if begins { ":*" } else { "" });
        self.all().map(one).collect::<Vec<_>>().join(" & ")
    }

    fn all(&self) -> impl Iterator<Item = (&str, bool)> {
        let typed = self.terms.iter().map(|(term, begins)| (term.as_str(), *begins));
        typed.chain(self.of.iter().map(|term| (term.as_str(), false)))
    }

    /// For `LIKE` with a title's terms behind a space: all of them, in their order.
    fn title_pattern(&self) -> String {
        let mut pattern = String::new();
        for (term, _) in &self.terms {
            pattern.push_str("% ");
            pattern.push_str(term);
        }
        pattern.push('%');
        pattern
    }
}

/// The terms of a text, in order.
fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for run in runs(text) {
        match run {
            Run::Word(word) => terms.push(word),
            Run::Letters(letters) => {
                terms.extend(letters.windows(2).map(|pair| pair.iter().collect()));
                // The last letter begins no pair, and is to be found alone as well.
                terms.extend(letters.last().map(char::to_string));
            }
        }
    }
    terms
}

enum Run {
    Word(String),
    /// Letters of a script without spaces between words.
    Letters(Vec<char>),
}

/// A text as words and as runs of letters that are taken in pairs.
fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    // Compatible forms are one, accents of Latin, Greek and Cyrillic letters are none.
    let folded = text.to_lowercase();
    let folded = folded.nfkd().filter(|letter| !matches!(letter, '\u{300}'..='\u{36f}')).nfc();
    for letter in folded.flat_map(char::to_lowercase) {
        let paired = is_paired(letter);
        match runs.last_mut() {
            Some(Some(Run::Letters(letters))) if paired => letters.push(letter),
            Some(Some(Run::Word(word))) if !paired && is_part(letter) => {
                // What is longer is found by its beginning.
                if word.len() < MAX_TERM {
                    word.push(letter);
                }
            }
            _ if paired => runs.push(Some(Run::Letters(vec![letter]))),
            _ if is_part(letter) => runs.push(Some(Run::Word(letter.to_string()))),
            _ => runs.push(None),
        }
    }
    runs.into_iter().flatten().collect()
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric()
}

/// Letters of Chinese, Japanese and Korean, and of Thai, Lao, Burmese and Khmer.
fn is_paired(letter: char) -> bool {
    letter.is_alphanumeric()
        && matches!(letter,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3100}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{323af}')
}

/// As many of the newest are put into order, see [`Store::search_videos`].
pub const MAX_NEWEST: u32 = 250;
/// And as many of the most watched.
pub const MAX_WATCHED: u32 = 1000;
/// As many are found at most: nobody reads on that far.
pub const MAX_FOUND: u32 = 10_000;
const FOUR_MINUTES: i64 = 4 * 60_000;
const TWENTY_MINUTES: i64 = 20 * 60_000;
/// Bits of a row's number below the time. Milliseconds have what is left, which lasts until 2109.
const NUMBER_BITS: u32 = 21;
/// What terms begin with that are not made of words: of Unicode's private use, which is in no word. The migrations that
/// made terms of what was there before know them, too.
const EVERY: &str = "\u{e000}";
const WATCHED: &str = "\u{e001}";
const CHANNEL: char = '\u{e002}';
const CATEGORY: char = '\u{e003}';
const LANGUAGE: char = '\u{e004}';
const LENGTH: char = '\u{e005}';
/// Stands in a term where a name has a sign.
const JOINT: char = '\u{e006}';
/// Terms of a search that count.
const MAX_TERMS: usize = 16;
/// Bytes of a word that count, but for its last letter.
const MAX_TERM: usize = 60;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asking(words: &str) -> Asked {
        Asked::new(&VideoSearch { words, ..VideoSearch::default() })
    }

    #[test]
    fn words_are_folded_and_letters_are_paired() {
        assert_eq!(terms("The Café, ＮＩＧＨＴ-market №5!"), ["the", "cafe", "night", "market", "no5"]);
        assert_eq!(terms("夜市美食"), ["夜市", "市美", "美食", "食"]);
        assert_eq!(terms("HLS推流test"), ["hls", "推流", "流", "test"]);
        assert_eq!(terms("한국어 ガイド"), ["한국", "국어", "어", "ガイ", "イド", "ド"]);
        assert_eq!(terms("--- \u{0} ''"), Vec::<String>::new());
    }

    #[test]
    fn numbers_follow_the_time_of_publication() {
        let (one, other) = (VideoId::new(), VideoId::new());
        assert_ne!(number_at(At(1), low_bits(&one)), number_at(At(1), low_bits(&other)));
        assert!(number_at(At(1), low_bits(&one)) < number_at(At(2), 0));
        assert!(number_at(At(0), low_bits(&one)) >= number_at(At(i64::MIN), 0));
        assert!(number_at(At(i64::MAX), low_bits(&one)) > number_at(At::now(), i64::from(u32::MAX)));
    }

    #[test]
    fn a_language_is_found_by_what_it_is_a_region_of() {
        let of = |tag| in_language(tag).map(|term| term[LANGUAGE.len_utf8()..].replace(JOINT, "-")).collect::<Vec<_>>();
        assert_eq!(of("zh-Hant-TW"), ["zh", "zh-hant", "zh-hant-tw"]);
        assert_eq!(of("en"), ["en"]);
        assert!(of("").is_empty());
    }

    #[test]
    fn queries_hold_nothing_that_a_database_would_take_for_its_own() {
        let asked = asking("\"a\" OR b* NEAR(c) -d title:e 'f' & !g | 夜市场 猫 \\");
        assert!(asked.for_fts5().ends_with("\"g\" AND \"夜市\" AND \"市场\" AND \"猫\" *"), "{}", asked.for_fts5());
        assert!(asked.for_tsquery().starts_with("'a' & 'or' & 'b' & 'near':*"), "{}", asked.for_tsquery());
        assert_eq!(asking("a b").title_pattern(), "% a% b%");
        assert!(runs(&format!("{EVERY}{WATCHED}{CHANNEL}{CATEGORY}{LANGUAGE}{LENGTH}{JOINT}")).is_empty());
        assert_eq!(asking(&"字".repeat(100)).terms.len(), MAX_TERMS);
        assert!(terms(&"a".repeat(5000))[0].len() <= MAX_TERM + 4);
    }
}
