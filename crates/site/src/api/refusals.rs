//! Answers that many operations have in common, for the description.

use utoipa::IntoResponses;

use crate::Problem;

/// What is refused where something of somebody's is asked for or changed.
#[derive(IntoResponses)]
#[allow(dead_code)] // described, never made: handlers answer with a `Problem`
pub(crate) enum Refusals {
    /// A parameter or field is not correct
    #[response(status = 400, content_type = "application/problem+json")]
    Incorrect(Problem),
    /// Not logged in
    #[response(status = 401, content_type = "application/problem+json")]
    Unknown(Problem),
    /// Not allowed
    #[response(status = 403, content_type = "application/problem+json")]
    NotAllowed(Problem),
    /// There is none
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}
