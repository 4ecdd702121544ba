//! How to go live.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{Shell, render};
use crate::{Site, api::site::publish_url, i18n::Messages, visitor::Visitor};

#[derive(Template)]
#[template(path = "go_live.html")]
struct GoLive {
    shell: Shell,
    publish_url: String,
    ffmpeg_command: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let publish_url = publish_url(&visitor, site.config.rtmp_public_port);
    let t = visitor.language.messages();
    let shell = Shell::new(&site, visitor, t.get("guide.title"));
    let ffmpeg_command = ffmpeg_command(&publish_url, t);
    render(&GoLive { shell, publish_url, ffmpeg_command })
}

/// A command line that publishes a file as an encoder should: a keyframe every two seconds, H.264 and AAC.
pub(super) fn ffmpeg_command(publish_url: &str, t: &Messages) -> String {
    let (file, key) = (t.get("guide.ffmpeg_file"), t.get("guide.ffmpeg_key"));
    format!(
        "ffmpeg -re -i {file} -c:v libx264 -preset veryfast -force_key_frames 'expr:gte(t,n_forced*2)' -c:a aac \
         -f flv {publish_url}/{key}"
    )
}
