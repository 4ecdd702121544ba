//! Points of time as pages show them: how long ago, and exactly where the mouse rests.

use millrace_store::At;
use time::OffsetDateTime;

use super::rfc3339;
use crate::i18n::Messages;

/// When something was, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    /// As machines read it (RFC 3339).
    pub(super) exact: String,
    /// As people read it.
    pub(super) text: String,
}

impl When {
    /// How long ago it was, by the largest unit that fits.
    pub(super) fn ago(at: At, t: &Messages) -> Self {
        let at = OffsetDateTime::from(at);
        Self { text: ago(OffsetDateTime::now_utc() - at, t), exact: rfc3339(at) }
    }

    /// The day and the minute, for what is still to come.
    pub(super) fn on(at: At) -> Self {
        let exact = rfc3339(at.into());
        let text = exact.get(..16).map(|minute| format!("{} UTC", minute.replace('T', " ")));
        Self { text: text.unwrap_or_default(), exact }
    }
}

fn ago(span: time::Duration, t: &Messages) -> String {
    let seconds = u64::try_from(span.whole_seconds()).unwrap_or(0);
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, message)) => t.count(message, seconds / unit),
        None => t.get("ago.now").to_owned(),
    }
}

/// Seconds, and the message that counts so many; the largest first.
const UNITS: [(u64, &str); 6] = [
    (365 * 86_400, "ago.years"),
    (30 * 86_400, "ago.months"),
    (7 * 86_400, "ago.weeks"),
    (86_400, "ago.days"),
    (3_600, "ago.hours"),
    (60, "ago.minutes"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    #[test]
    fn the_largest_unit_that_fits_is_told() {
        let (en, zh) = (Language::En.messages(), Language::ZhCn.messages());
        for (seconds, english, chinese) in [
            (-5, "just now", "刚刚"),
            (59, "just now", "刚刚"),
            (60, "1 minute ago", "1 分钟前"),
            (7_199, "1 hour ago", "1 小时前"),
            (2 * 86_400, "2 days ago", "2 天前"),
            (7 * 86_400, "1 week ago", "1 周前"),
            (29 * 86_400, "4 weeks ago", "4 周前"),
            (364 * 86_400, "12 months ago", "12 个月前"),
            (731 * 86_400, "2 years ago", "2 年前"),
        ] {
            let span = time::Duration::seconds(seconds);
            assert_eq!((ago(span, en).as_str(), ago(span, zh).as_str()), (english, chinese), "{seconds}");
        }
    }

    #[test]
    fn what_is_to_come_has_a_day_and_a_minute() {
        let when = When::on(At(1_798_761_600_000));
        assert_eq!((when.text.as_str(), when.exact.as_str()), ("2027-01-01 00:00 UTC", "2027-01-01T00:00:00Z"));
    }
}
