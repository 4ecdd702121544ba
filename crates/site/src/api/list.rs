//! Lists, page by page.

use axum::extract::{Query, rejection::QueryRejection};
use millrace_store::PageRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{ErrorCode, Problem};

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Part {
    pub(crate) fn request(part: Result<Query<Self>, QueryRejection>) -> Result<PageRequest, Problem> {
        let part = asked(part)?;
        self::request(part.limit, part.cursor)
    }
}

/// The parameters of a request.
pub(crate) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let wrong = |rejection: QueryRejection| Problem::new(ErrorCode::BadRequest, rejection.body_text());
    query.map(|Query(asked)| asked).map_err(wrong)
}

/// The part of a list that the parameters `limit` and `cursor` ask for.
pub(crate) fn request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let words = format!("limit is {limit}, but must be between 1 and {MAX_LIMIT}");
        return Err(Problem::new(ErrorCode::BadRequest, words));
    }
    if cursor.as_deref().is_some_and(|cursor| !is_cursor(cursor)) {
        return Err(Problem::new(ErrorCode::BadRequest, "cursor is not one that this list handed out"));
    }
    Ok(PageRequest { limit, after: cursor })
}

/// Whether a list may have handed this out: it is the database's own text, which neither takes a NUL nor is longer than an id.
pub(crate) fn is_cursor(text: &str) -> bool {
    text.len() <= MAX_CURSOR && !text.contains('\0')
}

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;
/// Longest cursor that is looked at; ids have 36 letters.
const MAX_CURSOR: usize = 100;
