//! The JSON API under `/api/v1`, and its description at `/api/openapi.json`.

pub(crate) mod admin;
mod body;
pub(crate) mod broadcasts;
mod channels;
pub(crate) mod comments;
mod email;
mod events;
mod invitations;
mod keys;
pub(crate) mod list;
pub(crate) mod live;
mod pictures;
mod refusals;
mod reports;
mod resets;
mod second_factor;
mod sessions;
pub(crate) mod site;
pub(crate) mod streams;
mod tokens;
pub(crate) mod uploads;
mod users;
mod video_files;
mod video_watch;
pub(crate) mod videos;
pub(crate) mod watch;

use std::sync::LazyLock;

use axum::{Router, routing::get};
use http::header;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Problem, Site};

/// The API's routes.
pub(crate) fn routes() -> Router<Site> {
    let (api, _) = described();
    api.route("/api/openapi.json", get(openapi_json))
}

/// Whether what is wrong at `path` should be told to a program rather than a person.
pub(crate) fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// The OpenAPI document, indented, ending in a newline.
pub(crate) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = specification().to_pretty_json().expect("the document is made of plain data");
        text.push('\n');
        text
    });
    &DOCUMENT
}

/// The OpenAPI document as a structure.
pub(crate) fn specification() -> utoipa::openapi::OpenApi {
    described().1
}

fn described() -> (Router<Site>, utoipa::openapi::OpenApi) {
    let (routes, mut document) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(live::list))
        .routes(routes!(live::one))
        .routes(routes!(events::listen))
        .routes(routes!(streams::publisher, streams::disconnect_publisher))
        .routes(routes!(streams::players))
        .routes(routes!(streams::disconnect_player))
        .routes(routes!(site::site))
        .routes(routes!(users::create))
        .routes(routes!(users::me, users::update_me, users::delete_me))
        .routes(routes!(users::change_password))
        .routes(routes!(email::set))
        .routes(routes!(email::ask))
        .routes(routes!(email::confirm))
        .routes(routes!(pictures::set_avatar, pictures::delete_avatar))
        .routes(routes!(pictures::delete_avatar_of_user))
        .routes(routes!(second_factor::begin, second_factor::set, second_factor::delete))
        .routes(routes!(sessions::log_in, sessions::list, sessions::end_others))
        .routes(routes!(sessions::log_out))
        .routes(routes!(sessions::end_one))
        .routes(routes!(invitations::create, invitations::list))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(resets::create))
        .routes(routes!(resets::ask, resets::reset))
        .routes(routes!(invitations::delete))
        .routes(routes!(admin::dashboard::get))
        .routes(routes!(admin::users::list))
        .routes(routes!(admin::users::one, admin::users::update, admin::users::delete))
        .routes(routes!(admin::users::end_sessions))
        .routes(routes!(admin::audit::list))
        .routes(routes!(admin::jobs::list))
        .routes(routes!(admin::jobs::retry))
        .routes(routes!(admin::jobs::cancel))
        .routes(routes!(admin::jobs::timers))
        .routes(routes!(admin::jobs::run_timer))
        .routes(routes!(admin::review::list))
        .routes(routes!(admin::review::decide))
        .routes(routes!(admin::review::reports))
        .routes(routes!(admin::review::close_reports))
        .routes(routes!(admin::storage::get))
        .routes(routes!(admin::trash::all))
        .routes(routes!(admin::user_videos::trash))
        .routes(routes!(admin::user_videos::restore))
        .routes(routes!(admin::settings::get, admin::settings::update))
        .routes(routes!(channels::list, channels::create))
        .routes(routes!(channels::mine))
        .routes(routes!(channels::one, channels::update, channels::delete))
        .routes(routes!(pictures::set_channel_avatar, pictures::delete_channel_avatar))
        .routes(routes!(pictures::set_channel_banner, pictures::delete_channel_banner))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::reset))
        .routes(routes!(keys::delete))
        .routes(routes!(broadcasts::list))
        .routes(routes!(watch::play_token))
        .routes(routes!(watch::unlock))
        .routes(routes!(watch::viewers))
        .routes(routes!(watch::invite, watch::uninvite))
        .routes(routes!(videos::shown::mine))
        .routes(routes!(videos::shown::one, videos::changed::update, videos::trash::delete))
        .routes(routes!(videos::trash::restore))
        .routes(routes!(videos::changed::retry))
        .routes(routes!(video_files::set_thumbnail))
        .routes(routes!(video_files::set_captions, video_files::delete_captions))
        .routes(routes!(video_watch::play_token))
        .routes(routes!(video_watch::unlock))
        .routes(routes!(video_watch::count_view))
        .routes(routes!(video_watch::like, video_watch::unlike))
        .routes(routes!(comments::list, comments::create))
        .routes(routes!(comments::held))
        .routes(routes!(comments::held_of_mine))
        .routes(routes!(comments::held_of_all))
        .routes(routes!(comments::replies))
        .routes(routes!(comments::update, comments::delete))
        .routes(routes!(comments::pin, comments::unpin))
        .routes(routes!(comments::approve))
        .routes(routes!(comments::like, comments::unlike))
        .routes(routes!(reports::create))
        .routes(routes!(uploads::mine))
        .merge(uploads::routes())
        .split_for_parts();
    body::describe(&mut document);
    (routes, document)
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Millrace",
        description = "The JSON interface of a Millrace site. Times are RFC 3339 in UTC. Lists take `limit` and \
                       `cursor`. Errors are `application/problem+json` with `error` and `error_code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags((name = "live", description = "What is on air"), (name = "site", description = "About this site"),
         (name = "users", description = "Accounts"), (name = "sessions", description = "Logging in and out"),
         (name = "admin", description = "Running the site"),
         (name = "videos", description = "Uploads and videos on demand"),
         (name = "comments", description = "What viewers say of videos"),
         (name = "channels", description = "Channels, their stream keys, and who may watch")),
    components(schemas(Problem)),
)]
struct Description;

async fn openapi_json() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
