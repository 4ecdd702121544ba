//! About the site, and its API at a glance.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{Shell, render};
use crate::{Site, api, visitor::Visitor};

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    shell: Shell,
    shortcuts: &'static [(&'static [&'static str], &'static str)],
}

#[derive(Template)]
#[template(path = "api.html")]
struct Api {
    shell: Shell,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    /// Key of its purpose in the message files.
    message: &'static str,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let title = visitor.language.messages().get("about.title");
    render(&About { shell: Shell::new(&site, visitor, title), shortcuts: SHORTCUTS })
}

pub(super) async fn api(State(site): State<Site>, visitor: Visitor) -> Response {
    let title = visitor.language.messages().get("api.title");
    render(&Api { shell: Shell::new(&site, visitor, title), operations: operations() })
}

/// The keys that the player answers to, with the message that says what they do.
const SHORTCUTS: &[(&[&str], &str)] = &[
    (&["Space", "K"], "about.key_play"),
    (&["M"], "about.key_mute"),
    (&["↑", "↓"], "about.key_volume"),
    (&["←", "→"], "about.key_seek"),
    (&["J", "L"], "about.key_jump"),
    (&["0", "…", "9"], "about.key_part"),
    (&["Home", "End"], "about.key_ends"),
    (&[",", "."], "about.key_picture"),
    (&["<", ">"], "about.key_rate"),
    (&["C"], "about.key_captions"),
    (&["T"], "about.key_theatre"),
    (&["I"], "about.key_pip"),
    (&["F"], "about.key_fullscreen"),
];

/// Every operation of the OpenAPI document.
fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(api::specification()).unwrap_or_default();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().into_iter().flatten().map(move |found| (path, found)))
        .filter_map(|(path, (method, operation))| {
            let id = operation["operationId"].as_str()?;
            let (_, message) = PURPOSES.iter().find(|(known, _)| *known == id)?;
            Some(Operation { method: method.to_uppercase(), path: path.clone(), message })
        })
        .collect()
}

/// The message of each operation.
const PURPOSES: &[(&str, &str)] = &[
    ("list_live", "api.operation.list_live"),
    ("get_live", "api.operation.get_live"),
    ("listen", "api.operation.listen"),
    ("get_publisher", "api.operation.get_publisher"),
    ("disconnect_publisher", "api.operation.disconnect_publisher"),
    ("list_players", "api.operation.list_players"),
    ("disconnect_player", "api.operation.disconnect_player"),
    ("get_site", "api.operation.get_site"),
    ("create_user", "api.operation.create_user"),
    ("get_me", "api.operation.get_me"),
    ("update_me", "api.operation.update_me"),
    ("delete_me", "api.operation.delete_me"),
    ("change_password", "api.operation.change_password"),
    ("set_email", "api.operation.set_email"),
    ("ask_for_confirmation", "api.operation.ask_for_confirmation"),
    ("confirm_email", "api.operation.confirm_email"),
    ("log_in", "api.operation.log_in"),
    ("list_sessions", "api.operation.list_sessions"),
    ("end_other_sessions", "api.operation.end_other_sessions"),
    ("log_out", "api.operation.log_out"),
    ("end_session", "api.operation.end_session"),
    ("create_invitation", "api.operation.create_invitation"),
    ("list_invitations", "api.operation.list_invitations"),
    ("delete_invitation", "api.operation.delete_invitation"),
    ("get_overview", "api.operation.get_overview"),
    ("list_users", "api.operation.list_users"),
    ("get_user", "api.operation.get_user"),
    ("update_user", "api.operation.update_user"),
    ("delete_user", "api.operation.delete_user"),
    ("end_sessions_of_user", "api.operation.end_sessions_of_user"),
    ("list_jobs", "api.operation.list_jobs"),
    ("retry_job", "api.operation.retry_job"),
    ("cancel_job", "api.operation.cancel_job"),
    ("list_timers", "api.operation.list_timers"),
    ("run_timer", "api.operation.run_timer"),
    ("list_review", "api.operation.list_review"),
    ("review_video", "api.operation.review_video"),
    ("list_reports", "api.operation.list_reports"),
    ("close_reports", "api.operation.close_reports"),
    ("report_video", "api.operation.report_video"),
    ("get_storage", "api.operation.get_storage"),
    ("list_trash", "api.operation.list_trash"),
    ("trash_videos_of_user", "api.operation.trash_videos_of_user"),
    ("restore_videos_of_user", "api.operation.restore_videos_of_user"),
    ("list_audit", "api.operation.list_audit"),
    ("get_settings", "api.operation.get_settings"),
    ("update_settings", "api.operation.update_settings"),
    ("list_channels", "api.operation.list_channels"),
    ("list_own_channels", "api.operation.list_own_channels"),
    ("create_channel", "api.operation.create_channel"),
    ("get_channel", "api.operation.get_channel"),
    ("update_channel", "api.operation.update_channel"),
    ("delete_channel", "api.operation.delete_channel"),
    ("list_stream_keys", "api.operation.list_stream_keys"),
    ("create_stream_key", "api.operation.create_stream_key"),
    ("reset_stream_key", "api.operation.reset_stream_key"),
    ("delete_stream_key", "api.operation.delete_stream_key"),
    ("begin_second_factor", "api.operation.begin_second_factor"),
    ("set_second_factor", "api.operation.set_second_factor"),
    ("delete_second_factor", "api.operation.delete_second_factor"),
    ("list_tokens", "api.operation.list_tokens"),
    ("create_token", "api.operation.create_token"),
    ("delete_token", "api.operation.delete_token"),
    ("create_reset_link", "api.operation.create_reset_link"),
    ("ask_for_reset", "api.operation.ask_for_reset"),
    ("reset_password", "api.operation.reset_password"),
    ("list_broadcasts", "api.operation.list_broadcasts"),
    ("create_play_token", "api.operation.create_play_token"),
    ("unlock_channel", "api.operation.unlock_channel"),
    ("list_invited", "api.operation.list_invited"),
    ("invite_viewer", "api.operation.invite_viewer"),
    ("uninvite_viewer", "api.operation.uninvite_viewer"),
    ("set_avatar", "api.operation.set_avatar"),
    ("delete_avatar", "api.operation.delete_avatar"),
    ("delete_avatar_of_user", "api.operation.delete_avatar_of_user"),
    ("set_channel_avatar", "api.operation.set_channel_avatar"),
    ("delete_channel_avatar", "api.operation.delete_channel_avatar"),
    ("set_channel_banner", "api.operation.set_channel_banner"),
    ("delete_channel_banner", "api.operation.delete_channel_banner"),
    ("list_videos", "api.operation.list_videos"),
    ("create_video", "api.operation.create_video"),
    ("list_own_videos", "api.operation.list_own_videos"),
    ("get_video", "api.operation.get_video"),
    ("update_video", "api.operation.update_video"),
    ("delete_video", "api.operation.delete_video"),
    ("restore_video", "api.operation.restore_video"),
    ("retry_video", "api.operation.retry_video"),
    ("set_thumbnail", "api.operation.set_thumbnail"),
    ("set_captions", "api.operation.set_captions"),
    ("delete_captions", "api.operation.delete_captions"),
    ("create_video_token", "api.operation.create_video_token"),
    ("unlock_video", "api.operation.unlock_video"),
    ("count_view", "api.operation.count_view"),
    ("like_video", "api.operation.like_video"),
    ("unlike_video", "api.operation.unlike_video"),
    ("list_own_uploads", "api.operation.list_own_uploads"),
    ("upload_options", "api.operation.upload_options"),
    ("create_upload", "api.operation.create_upload"),
    ("get_upload", "api.operation.get_upload"),
    ("continue_upload", "api.operation.continue_upload"),
    ("delete_upload", "api.operation.delete_upload"),
    ("list_comments", "api.operation.list_comments"),
    ("create_comment", "api.operation.create_comment"),
    ("list_held_comments", "api.operation.list_held_comments"),
    ("list_own_held_comments", "api.operation.list_own_held_comments"),
    ("list_all_held_comments", "api.operation.list_all_held_comments"),
    ("list_replies", "api.operation.list_replies"),
    ("update_comment", "api.operation.update_comment"),
    ("delete_comment", "api.operation.delete_comment"),
    ("pin_comment", "api.operation.pin_comment"),
    ("unpin_comment", "api.operation.unpin_comment"),
    ("approve_comment", "api.operation.approve_comment"),
    ("like_comment", "api.operation.like_comment"),
    ("unlike_comment", "api.operation.unlike_comment"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_explained() {
        let document = serde_json::to_value(api::specification()).unwrap_or_default();
        let count: usize =
            document["paths"].as_object().into_iter().flatten().filter_map(|(_, m)| Some(m.as_object()?.len())).sum();
        assert_eq!(operations().len(), count);
        assert_eq!(operations().len(), PURPOSES.len());
    }
}
