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
        let Query(part) = part.map_err(|rejection| Problem::new(ErrorCode::BadRequest, rejection.body_text()))?;
        self::request(part.limit, part.cursor)
    }
}

/// The part of a list that the parameters `limit` and `cursor` ask for.
pub(crate) fn request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let words = format!("limit is {limit}, but must be between 1 and {MAX_LIMIT}");
        return Err(Problem::new(ErrorCode::BadRequest, words));
    }
    // The database's own text, which neither takes a NUL nor is longer than an id.
    if cursor.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR || cursor.contains('\0')) {
        return Err(Problem::new(ErrorCode::BadRequest, "cursor is not one that this list handed out"));
    }
    Ok(PageRequest { limit, after: cursor })
}

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;
/// Longest cursor that is looked at; ids have 36 letters.
const MAX_CURSOR: usize = 100;
