//! Finding videos by SQLite's FTS5, which reads its index backwards: the newest first.

use sqlx::SqlitePool;

use super::{MAX_NEWEST, Sought, WATCHED};
use crate::videos::listed;
use crate::{Error, ListedVideo};

/// Rows of the index that match a query, from the number $2 on: so many of the newest.
macro_rules! hits {
    ($query:literal $($rest:literal)?) => {
        concat!(
            "SELECT number, video_id, title, views FROM video_terms WHERE number IN (
                 SELECT rowid FROM video_search WHERE video_search MATCH ",
            $query,
            " AND rowid >= $2 ",
            $($rest,)?
            ")"
        )
    };
}

const NEWEST: &str = concat!(
    "WITH page AS (SELECT * FROM (",
    hits!("$1" "ORDER BY rowid DESC LIMIT $3 + $4"),
    ") ORDER BY number DESC LIMIT $4 OFFSET $3) ",
    listed!("JOIN page ON page.video_id = videos.id WHERE videos.listed ORDER BY page.number DESC")
);

/// $3 asks for the most watched of those that match, $5 is a pattern for titles that come first.
const RANKED: &str = concat!(
    "WITH page AS (
         SELECT number, video_id, views, CASE WHEN ' ' || title LIKE $5 THEN 0 ELSE 1 END AS place
         FROM (",
    hits!("$1" "ORDER BY rowid DESC LIMIT $4"),
    " UNION ",
    hits!("$3"),
    ") ORDER BY place, views DESC, number DESC LIMIT $7 OFFSET $6) ",
    listed!(
        "JOIN page ON page.video_id = videos.id WHERE videos.listed
         ORDER BY page.place, page.views DESC, page.number DESC"
    )
);

pub(super) async fn find(pool: &SqlitePool, sought: &Sought) -> Result<Vec<ListedVideo>, Error> {
    let Sought { query, title, first, by_time, skip, rows } = sought;
    if *by_time {
        let asked = sqlx::query_as(NEWEST).bind(query).bind(first).bind(skip).bind(rows);
        return Ok(asked.fetch_all(pool).await?);
    }
    let watched = format!("{query} AND \"{WATCHED}\"");
    let asked = sqlx::query_as(RANKED).bind(query).bind(first).bind(watched).bind(MAX_NEWEST);
    Ok(asked.bind(title).bind(skip).bind(rows).fetch_all(pool).await?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::db::tests::plan;

    #[tokio::test]
    async fn sqlite_asks_its_index_and_then_for_rows_by_their_keys() {
        let steps = plan(RANKED).await;
        let place = |begins: &str| {
            steps.iter().position(|step| step.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {steps:#?}"))
        };
        place("SCAN video_search VIRTUAL TABLE INDEX");
        place("SEARCH video_terms USING INTEGER PRIMARY KEY");
        place("SEARCH videos USING INDEX");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN video_terms") || step.starts_with("SCAN videos")));
    }
}
