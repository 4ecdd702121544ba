//! Finding videos by words.
//!
//! Terms are made here for both databases: words in lower case without accents, and pairs of letters in scripts that put no
//! space between words, so that two Chinese letters are found. A word is found by its beginning as well. The table
//! `video_terms` has a row for each video that lists show, and changes with the video in one transaction; SQLite keeps an
//! FTS5 index beside it, PostgreSQL a `tsvector`. Only the part of a query that asks these differs.

use unicode_normalization::UnicodeNormalization;

use crate::db::{Pool, Tx, rows, rows_in, run_in};
use crate::{At, ChannelId, Error, ListedVideo, Page, PageRequest, Store, Video};

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

impl SearchOrder {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::Views => "views",
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
    /// In this language only, or one of its regions and scripts, in lower case; in all where it is empty.
    pub language: &'a str,
    /// At least so many milliseconds long.
    pub min_duration: Option<i64>,
    /// Shorter than so many milliseconds.
    pub max_duration: Option<i64>,
    /// Published then or later.
    pub since: Option<At>,
    /// In which order.
    pub order: SearchOrder,
}

/// A query of what is found. Parameters: $1 what the index is asked, $2 a pattern for titles, $3 channel, $4 category,
/// $5 language, $6 and $7 bounds of the duration, $8 a time, $9 an order, $10 and $11 the part of the list. Of the newest
/// 5,000 that have the words, the newest 2,000 that pass are put into order: a word that every title has costs no more than
/// another.
macro_rules! found {
    ($title:literal, $from:literal, $newest:literal) => {
        concat!(
            "WITH found AS (
                 SELECT videos.id AS video_id, videos.views, videos.published_at, CASE WHEN ' ' || ",
            $title,
            " LIKE $2 THEN 1 ELSE 0 END AS in_title FROM ",
            $from,
            " WHERE videos.listed AND ($3 = '' OR videos.channel_id = $3) AND ($4 = '' OR videos.category = $4)
                   AND ($5 = '' OR lower(videos.language) = $5 OR lower(videos.language) LIKE $5 || '-%')
                   AND videos.duration >= $6 AND videos.duration < $7 AND videos.published_at >= $8
                 ORDER BY ",
            $newest,
            " DESC LIMIT 2000),
             page AS (
                 SELECT video_id, ROW_NUMBER() OVER (
                     ORDER BY CASE WHEN $9 = 'relevance' THEN in_title ELSE 0 END DESC,
                              CASE WHEN $9 = 'newest' THEN 0 ELSE views END DESC,
                              published_at DESC, video_id DESC) AS place
                 FROM found ORDER BY place LIMIT $10 OFFSET $11)
             SELECT videos.*, channels.handle AS channel_handle, channels.title AS channel_title,
                    channels.avatar AS channel_avatar, channels.owner_id,
                    (SELECT object_key FROM files WHERE files.video_id = videos.id AND files.kind = 'poster' LIMIT 1)
                    AS thumbnail
             FROM page JOIN videos ON videos.id = page.video_id JOIN channels ON channels.id = videos.channel_id
             ORDER BY page.place"
        )
    };
}

const ON_SQLITE: &str = found!(
    "hits.title",
    "(SELECT video_terms.number, video_terms.video_id, video_terms.title
      FROM video_search CROSS JOIN video_terms ON video_terms.number = video_search.rowid
      WHERE video_search MATCH $1 ORDER BY video_search.rowid DESC LIMIT 5000) AS hits
     CROSS JOIN videos ON videos.id = hits.video_id",
    "hits.number"
);
/// `OFFSET 0` keeps the planner from reading all videos to join them with the hits.
const ON_POSTGRES: &str = found!(
    "hits.title",
    "(SELECT number, video_id, title FROM video_terms WHERE terms @@ CAST($1 AS tsquery)
      ORDER BY number DESC LIMIT 5000) AS hits
     CROSS JOIN LATERAL (SELECT * FROM videos AS one WHERE one.id = hits.video_id OFFSET 0) AS videos",
    "hits.number"
);
/// Without words.
const ALL: &str = found!("$1", "videos", "videos.published_at");

impl Store {
    /// The videos that everybody may see and that are found. The cursor is a place in the list: what is published meanwhile
    /// may show an item twice.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_videos(
        &self,
        search: &VideoSearch<'_>,
        page: &PageRequest,
    ) -> Result<Page<ListedVideo>, Error> {
        let asked = Asked::new(search.words);
        if asked.terms.is_empty() && !search.words.trim().is_empty() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let (sql, query) = match &self.pool {
            _ if asked.terms.is_empty() => (ALL, String::new()),
            Pool::Sqlite(_) => (ON_SQLITE, asked.for_fts5()),
            Pool::Postgres(_) => (ON_POSTGRES, asked.for_tsquery()),
        };
        let skip = page.after.as_deref().and_then(|cursor| cursor.parse::<u32>().ok()).unwrap_or(0);
        let mut items = rows!(
            self.pool,
            fetch_all,
            ListedVideo,
            sql,
            &query,
            asked.title_pattern(),
            search.channel.map_or("", ChannelId::as_str),
            search.category,
            search.language,
            search.min_duration.unwrap_or(i64::MIN),
            search.max_duration.unwrap_or(i64::MAX),
            search.since.unwrap_or(At(i64::MIN)),
            search.order.as_str(),
            page.rows(),
            i64::from(skip),
        )?;
        let more = items.len() > page.limit as usize;
        items.truncate(page.limit as usize);
        Ok(Page { items, next: more.then(|| skip.saturating_add(page.limit).to_string()) })
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
    words.sort_unstable();
    words.dedup();
    run_in!(
        *tx,
        "INSERT INTO video_terms (video_id, title, words) VALUES ($1, $2, $3)
         ON CONFLICT (video_id) DO UPDATE SET title = excluded.title, words = excluded.words",
        &video.id,
        terms(&video.title).join(" "),
        words.join(" "),
    )?;
    Ok(())
}

/// What is asked for by the words that somebody typed.
struct Asked {
    /// Each term, and whether longer ones that begin so are meant as well.
    terms: Vec<(String, bool)>,
}

impl Asked {
    fn new(words: &str) -> Self {
        let mut all = Vec::new();
        for run in runs(words) {
            match run {
                Run::Word(word) => all.push((word, true)),
                Run::Letters(letters) if letters.len() == 1 => all.push((letters.into_iter().collect(), true)),
                Run::Letters(letters) => all.extend(letters.windows(2).map(|pair| (pair.iter().collect(), false))),
            }
        }
        all.truncate(MAX_TERMS);
        Self { terms: all }
    }

    /// For `MATCH` of FTS5: strings, which hold nothing but letters and digits.
    fn for_fts5(&self) -> String {
        let terms = self.terms.iter().map(|(term, begins)| format!("\"{term}\"{}", if *begins { " *" } else { "" }));
        terms.collect::<Vec<_>>().join(" AND ")
    }

    /// For `tsquery`: lexemes in quotes, which hold nothing but letters and digits.
    fn for_tsquery(&self) -> String {
        let terms = self.terms.iter().map(|(term, begins)| format!("'{term}'{}", if *begins { ":*" } else { "" }));
        terms.collect::<Vec<_>>().join(" & ")
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

/// Terms of a search that count.
const MAX_TERMS: usize = 16;
/// Bytes of a word that count, but for its last letter.
const MAX_TERM: usize = 60;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_asks_its_index_and_then_for_rows_by_their_keys() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite://test.db", directory.path()).await.unwrap();
        let Pool::Sqlite(pool) = &store.pool else { unreachable!("it was opened so") };
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {ON_SQLITE}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).bind("\"a\"").fetch_all(pool).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
        let place = |begins: &str| {
            steps.iter().position(|step| step.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {steps:#?}"))
        };
        assert!(place("SCAN video_search VIRTUAL TABLE INDEX") < place("SEARCH video_terms USING INTEGER PRIMARY KEY"));
        place("SEARCH videos USING INDEX");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN video_terms") || step.starts_with("SCAN videos")));
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
    fn queries_hold_nothing_that_a_database_would_take_for_its_own() {
        let asked = Asked::new("\"a\" OR b* NEAR(c) -d title:e 'f' & !g | 夜市场 猫 \\");
        assert!(asked.for_fts5().ends_with("\"g\" * AND \"夜市\" AND \"市场\" AND \"猫\" *"), "{}", asked.for_fts5());
        assert!(asked.for_tsquery().starts_with("'a':* & 'or':* & 'b':* & 'near':*"), "{}", asked.for_tsquery());
        assert_eq!(Asked::new("a b").title_pattern(), "% a% b%");
        assert_eq!(Asked::new(&"字".repeat(100)).terms.len(), MAX_TERMS);
        assert!(terms(&"a".repeat(5000))[0].len() <= MAX_TERM + 4);
    }
}
