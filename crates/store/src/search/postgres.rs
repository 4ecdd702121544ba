//! Finding videos by PostgreSQL's GIN index, which has no order: it gives all that match, and each of their rows has to be read.
//!
//! So some of the newest rows are looked at first: they tell how far back what is wanted should lie. Where that is near, rows are
//! read on; else the index is asked, for what lies within reach where this is likely to be enough.

use sqlx::PgPool;

use super::{MAX_NEWEST, Sought};
use crate::videos::listed;
use crate::{Error, ListedVideo, VideoId};

/// A row of the index that matches.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Hit {
    number: i64,
    video_id: VideoId,
    views: i64,
    in_title: bool,
}

/// What a look at the newest rows tells beside those that match: the number of the newest of all, and, where there were as many
/// as it looks at, of the last one.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Seen {
    newest: i64,
    last: Option<i64>,
}

/// $1 is a query, $2 the number of the first row that counts, and $3 a pattern for titles.
macro_rules! hits {
    ($from:literal $(, $rest:literal)?) => {
        concat!(
            "SELECT number, video_id, views, ' ' || title LIKE $3 AS in_title FROM ",
            $from,
            " WHERE terms @@ CAST($1 AS tsquery) AND number >= $2 ",
            $($rest)?
        )
    };
}

/// Of the newest $4 rows.
const LATE: &str = hits!(
    "(SELECT * FROM video_terms WHERE number >= $2 ORDER BY number DESC LIMIT $4) AS late",
    "ORDER BY number DESC LIMIT $5"
);
const SEEN: &str = "SELECT number AS newest, (
        SELECT number FROM video_terms WHERE number >= $1 ORDER BY number DESC LIMIT 1 OFFSET $2) AS last
    FROM video_terms ORDER BY number DESC LIMIT 1";
/// Of $5 rows before the number $4.
const FURTHER: &str = hits!(
    "(SELECT * FROM video_terms WHERE number >= $2 AND number < $4 ORDER BY number DESC LIMIT $5) AS late",
    "ORDER BY number DESC LIMIT $6"
);
/// By the index: `number + 0` has no order that could be read instead.
const BY_INDEX: &str = hits!("video_terms", "ORDER BY number + 0 DESC LIMIT $4");
/// Of the most watched.
const WATCHED: &str = hits!("video_terms", "AND watched");
const SHOWN: &str = listed!("WHERE videos.listed AND videos.id = ANY($1)");

pub(super) async fn find(pool: &PgPool, sought: &Sought) -> Result<Vec<ListedVideo>, Error> {
    let wanted = if sought.by_time { sought.skip.saturating_add(sought.rows) } else { MAX_NEWEST };
    let mut hits = newest(pool, sought, wanted as usize).await?;
    if !sought.by_time {
        hits.extend(ask(WATCHED, sought).fetch_all(pool).await?);
        hits.sort_by_key(|hit| (!hit.in_title, -hit.views, -hit.number));
    }
    // Of the most watched some are among the newest; and what is published between two questions moves rows into both answers.
    hits.dedup();
    let hits = hits.into_iter().skip(sought.skip as usize).take(sought.rows as usize);
    let ids: Vec<String> = hits.map(|hit| hit.video_id.as_str().to_owned()).collect();
    let mut found: Vec<ListedVideo> = sqlx::query_as(SHOWN).bind(&ids).fetch_all(pool).await?;
    found.sort_by_key(|listed| ids.iter().position(|id| id == listed.video.id.as_str()));
    Ok(found)
}

/// So many of the newest that match, the newest first.
async fn newest(pool: &PgPool, sought: &Sought, wanted: usize) -> Result<Vec<Hit>, Error> {
    let late = ask(LATE, sought).bind(LOOK as i64).bind(wanted as i64);
    let mut hits: Vec<Hit> = late.fetch_all(pool).await?;
    let missing = wanted - hits.len();
    if missing == 0 {
        return Ok(hits);
    }
    let seen = sqlx::query_as(SEEN).bind(sought.first).bind(LOOK as i64 - 1).fetch_optional(pool).await?;
    let Some(Seen { newest, last: Some(last) }) = seen else { return Ok(hits) }; // there are no more rows
    // Rows among which what is wanted, and half as much again, should be.
    let reach = (LOOK * wanted * 3 / 2).checked_div(hits.len()).unwrap_or(usize::MAX);
    let more: Vec<Hit> = if reach <= NEAR {
        let further = ask(FURTHER, sought).bind(last).bind(2 * NEAR as i64).bind(missing as i64);
        further.fetch_all(pool).await?
    } else if reach <= FAR {
        let back = i128::from(newest - last) * reach as i128 / LOOK as i128;
        let from = i64::try_from(i128::from(last) - back).unwrap_or(i64::MIN).max(sought.first);
        // Planned anew each time, for its values: how often a word occurs decides how it is looked for.
        let middle = sqlx::query_as(BY_INDEX).bind(&sought.query).bind(from).bind(&sought.title);
        let all: Vec<Hit> = middle.bind(wanted as i64).persistent(false).fetch_all(pool).await?;
        all.into_iter().skip_while(|hit| hit.number >= last).collect()
    } else {
        Vec::new()
    };
    if more.len() >= missing {
        hits.extend(more);
        return Ok(hits);
    }
    Ok(ask(BY_INDEX, sought).bind(wanted as i64).persistent(false).fetch_all(pool).await?)
}

fn ask<'q>(
    sql: &'static str,
    sought: &'q Sought,
) -> sqlx::query::QueryAs<'q, sqlx::Postgres, Hit, sqlx::postgres::PgArguments> {
    sqlx::query_as(sql).bind(&sought.query).bind(sought.first).bind(&sought.title)
}

/// Rows that are looked at first.
const LOOK: usize = 500;
/// So many rows are read sooner than the index is asked.
const NEAR: usize = 4_000;
/// Among more rows the index finds what few have as soon as among all.
const FAR: usize = 40_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::db::Pool;
    use crate::{At, PageRequest, SearchOrder, Store, VideoSearch};

    /// Videos from 1 on, of which the higher are the newer, with these terms beside one of their own.
    const FILL: &str = "
        INSERT INTO users (id, handle, display_name, password_hash, role, state, created_at)
            VALUES ('u', 'u', 'U', '', 'creator', 'active', 0);
        INSERT INTO channels (id, owner_id, handle, title, created_at) VALUES ('c', 'u', 'c', 'C', 0);
        INSERT INTO videos (id, short_id, channel_id, title, visibility, state, published_at, created_at)
            SELECT n, n, 'c', n, 'public', 'ready', n, n FROM generate_series(1, 30000) AS n;
        INSERT INTO video_terms (number, video_id, title, terms)
            SELECT n, n, n, array_to_tsvector(ARRAY[
                'all',
                CASE WHEN n % 10 = 0 THEN 'tenth' ELSE '-' END,
                CASE WHEN n % 50 = 0 THEN 'fiftieth' ELSE '-' END,
                CASE WHEN n % 1000 = 0 THEN 'thousandth' ELSE '-' END,
                CASE WHEN n <= 300 THEN 'old' ELSE '-' END,
                CASE WHEN n > 28000 AND n % 70 = 0 THEN 'lately' ELSE '-' END])
            FROM generate_series(1, 30000) AS n;
        ANALYZE";

    #[tokio::test]
    async fn the_newest_are_found_however_far_back_they_lie() {
        let Some(url) = crate::testing::fresh_postgres("found_far_back").await else { return };
        let store = Store::open(&url, std::path::Path::new("")).await.unwrap();
        let Pool::Postgres(pool) = &store.pool else { unreachable!("it was opened so") };
        sqlx::raw_sql(FILL).execute(pool).await.unwrap();
        for (words, step, newest, oldest) in [
            ("all", 1, 30_000, 1),
            ("tenth", 10, 30_000, 10),
            ("fiftieth", 50, 30_000, 50),
            ("all fiftieth", 50, 30_000, 50),
            ("thousandth", 1000, 30_000, 1000),
            ("old", 1, 300, 1),
            ("lately", 70, 29_960, 28_070),
        ] {
            for after in [None, Some("240"), Some("590")] {
                let search = VideoSearch { words, order: SearchOrder::Newest, ..VideoSearch::default() };
                let page = PageRequest { limit: 20, after: after.map(str::to_owned) };
                let found = store.search_videos(&search, &page).await.unwrap();
                let found: Vec<i64> = found.items.iter().map(|item| item.video.published_at.unwrap().0).collect();
                let all = (oldest..=newest).rev().step_by(step);
                let expected: Vec<i64> = all.skip(after.map_or(0, |skip| skip.parse().unwrap())).take(20).collect();
                assert_eq!(found, expected, "{words}, after {after:?}");
            }
            let since = Some(At(0));
            let ranked = VideoSearch { words, order: SearchOrder::Views, since, ..VideoSearch::default() };
            let found = store.search_videos(&ranked, &PageRequest { limit: 500, after: None }).await.unwrap();
            let numbers: Vec<i64> = found.items.iter().map(|item| item.video.published_at.unwrap().0).collect();
            let expected: Vec<i64> = (oldest..=newest).rev().step_by(step).take(MAX_NEWEST as usize).collect();
            assert_eq!(numbers, expected, "{words}: of the same views, the newest come first");
        }
        store.close().await;
    }
}
