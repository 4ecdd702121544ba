//! Cron expressions, in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use millrace_store::At;

/// When a timer fires: a cron expression of five fields (minute, hour, day of month, month, day of week), or `@hourly`,
/// `@daily`, `@weekly`, `@monthly`, `@yearly`; in UTC.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// It is no cron expression.
    #[error(
        "{text:?} is not a cron expression of five fields, such as \"30 4 * * *\" for every day at 4:30 UTC: {reason}"
    )]
    Syntax {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such day.
    #[error("{0:?} is a time that never comes")]
    Never(String),
}

impl Schedule {
    /// The first time after `at`; the end of time where there is none.
    #[must_use]
    pub fn after(&self, at: At) -> At {
        self.find(at).unwrap_or(At(i64::MAX))
    }

    fn find(&self, at: At) -> Option<At> {
        let start: DateTime<Utc> = DateTime::from_timestamp_millis(at.0)?;
        Some(At(self.cron.find_next_occurrence(&start, false).ok()?.timestamp_millis()))
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(text)
            .map_err(|error| ScheduleError::Syntax { text: text.to_owned(), reason: error.to_string() })?;
        let schedule = Self { text: text.to_owned(), cron };
        match schedule.find(At::now()) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(text.to_owned())),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn at(text: &str) -> At {
        OffsetDateTime::parse(text, &Rfc3339).unwrap().into()
    }

    #[test]
    fn the_next_time_is_after_the_last_one() {
        for (schedule, from, next) in [
            ("30 4 * * *", "2026-02-28T04:29:59.999Z", "2026-02-28T04:30:00Z"),
            ("30 4 * * *", "2026-02-28T04:30:00Z", "2026-03-01T04:30:00Z"),
            ("30 4 * * *", "2026-02-28T04:30:00.001Z", "2026-03-01T04:30:00Z"),
            ("*/15 * * * *", "2026-12-31T23:50:00Z", "2027-01-01T00:00:00Z"),
            ("0 3 * * SUN", "2026-07-04T12:00:00Z", "2026-07-05T03:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
        ] {
            assert_eq!(schedule.parse::<Schedule>().unwrap().after(at(from)), at(next), "{schedule} from {from}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        for text in ["", "daily", "* * * *", "0 0 4 * * *", "60 * * * *", "0 24 * * *", "0 0 * * * 2027 1", "@never"] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(matches!(error, ScheduleError::Syntax { .. }), "{text}: {error}");
        }
        let error = "0 0 30 2 *".parse::<Schedule>().unwrap_err();
        assert_eq!(error.to_string(), "\"0 0 30 2 *\" is a time that never comes");
    }

    #[test]
    fn times_at_the_end_of_all_times_do_not_panic() {
        let daily: Schedule = "@daily".parse().unwrap();
        for end in [i64::MIN, i64::MAX, 8_210_266_876_799_000] {
            let _ = daily.after(At(end));
        }
    }
}
