//! Lists, page by page.

use millrace_store::PageRequest;

use crate::{ErrorCode, Problem};

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
