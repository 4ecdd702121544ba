//! The server at a glance.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::super::{Shell, render};
use super::{Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::admin::dashboard::{Overview, overview};
use crate::i18n::Messages;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_dashboard.html")]
struct Dashboard {
    shell: Shell,
    rail: Rail,
    charts: [Chart; 6],
    now: Overview,
    users: String,
    pending: String,
    channels: String,
    uptime: String,
    disk: String,
    disk_is_low: bool,
}

/// A number with what it was in the last hour, which the browser draws.
struct Chart {
    /// The name of the number in a sample.
    field: &'static str,
    /// What the number is: a count, a rate in kbit/s, percent, or bytes.
    kind: &'static str,
    message: &'static str,
    now: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageUsers, "admin.dashboard").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let now = match overview(&site, None).await {
        Ok(now) => now,
        Err(error) => return failed(error),
    };
    let t = shell.t;
    let last = now.samples.last();
    let chart = |field, kind, message, now| Chart { field, kind, message, now };
    let charts = [
        chart("viewers", "count", "admin.viewers", t.abbreviate(now.viewers.into())),
        chart("on_air", "count", "admin.on_air", t.abbreviate(now.on_air.into())),
        chart("sent_kbit_s", "rate", "admin.sent", rate(last.map_or(0, |sample| sample.sent_kbit_s), t)),
        chart("received_kbit_s", "rate", "admin.received", rate(last.map_or(0, |sample| sample.received_kbit_s), t)),
        chart("cpu_percent", "percent", "admin.cpu", format!("{} %", last.map_or(0, |sample| sample.cpu_percent))),
        chart(
            "memory_bytes",
            "bytes",
            "admin.memory",
            now.memory_bytes.map_or_else(|| "–".to_owned(), |bytes| size(bytes, t)),
        ),
    ];
    render(&Dashboard {
        charts,
        users: t.abbreviate(now.users),
        pending: t.abbreviate(now.pending_users),
        channels: t.abbreviate(now.channels),
        uptime: t.duration(now.uptime_seconds),
        disk: now.disk.map_or_else(
            || "–".to_owned(),
            |disk| {
                t.with("admin.free_of", "free", size(disk.free_bytes, t)).replace("{total}", &size(disk.total_bytes, t))
            },
        ),
        disk_is_low: now.disk.is_some_and(|disk| disk.free_bytes < LITTLE_SPACE),
        now,
        shell,
        rail,
    })
}

/// Kilobits per second as people write them.
pub(in crate::pages) fn rate(kbit_s: u64, t: &Messages) -> String {
    scaled(kbit_s, 1000, &["script.unit_kbit", "script.unit_mbit", "script.unit_gbit"], t)
}

/// Bytes as people write them.
pub(in crate::pages) fn size(bytes: u64, t: &Messages) -> String {
    scaled(bytes >> 10, 1024, &["script.unit_kib", "script.unit_mib", "script.unit_gib", "script.unit_tib"], t)
}

/// `value` in the largest unit of which there is a whole one, with a tenth where it has one digit before it.
fn scaled(value: u64, step: u64, units: &[&str], t: &Messages) -> String {
    let (mut whole, mut rest, mut unit) = (value, 0, 0);
    while whole >= step && unit + 1 < units.len() {
        (whole, rest, unit) = (whole / step, whole % step, unit + 1);
    }
    let tenth = rest * 10 / step;
    let number = if whole < 10 && tenth > 0 { format!("{whole}.{tenth}") } else { whole.to_string() };
    t.with(units[unit], "n", number)
}

/// Less free space than this deserves attention.
const LITTLE_SPACE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    #[test]
    fn rates_and_sizes_have_the_unit_that_people_read() {
        let t = Language::En.messages();
        let cases = [
            (0, "0 kbit/s"),
            (999, "999 kbit/s"),
            (1_500, "1.5 Mbit/s"),
            (42_900, "42 Mbit/s"),
            (3_000_000, "3 Gbit/s"),
        ];
        for (kbit_s, text) in cases {
            assert_eq!(rate(kbit_s, t), text);
        }
        for (bytes, text) in [(0, "0 KiB"), (5 << 20, "5 MiB"), ((3 << 30) / 2, "1.5 GiB"), (7 << 50, "7168 TiB")] {
            assert_eq!(size(bytes, t), text);
        }
    }
}
