//! Periods of time, of which each has one event: "once per minute".

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A period, counted from the beginning of 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    seconds: i64,
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = match text.trim() {
            "second" => 1,
            "minute" => 60,
            "hour" => 60 * 60,
            "day" => 24 * 60 * 60,
            span => {
                let span: SignedDuration = span
                    .parse()
                    .map_err(|_| "write minute, hour, day, or a number and its unit, such as 5m or 12h".to_owned())?;
                span.as_secs()
            }
        };
        if seconds < 1 {
            return Err("a period is at least one second".into());
        }
        Ok(Self { seconds })
    }
}

impl Period {
    /// When the period began that a time is in; nothing where the time cannot be read.
    pub(crate) fn start(self, time: &[u8]) -> Option<String> {
        let seconds = seconds_of(std::str::from_utf8(time).ok()?.trim())?;
        let start = Timestamp::from_second(seconds.div_euclid(self.seconds).checked_mul(self.seconds)?).ok()?;
        Some(start.to_string())
    }
}

/// Seconds since the beginning of 1970. A number is in seconds, or in thousandths, millionths or thousand-millionths of
/// them, whichever leads to our time; a text without a time zone is taken for UTC.
fn seconds_of(time: &str) -> Option<i64> {
    if let Ok(number) = time.parse::<f64>() {
        let mut seconds = number;
        for _ in 0..3 {
            if seconds.abs() >= 1e11 {
                seconds /= 1e3;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is far smaller, and whole seconds are meant")]
        return (seconds.is_finite() && seconds.abs() < 1e11).then(|| seconds.floor() as i64);
    }
    // Some loggers set a comma before the thousandths.
    let time = time.replacen(',', ".", 1);
    if let Ok(timestamp) = time.parse::<Timestamp>() {
        return Some(timestamp.as_second());
    }
    let civil: DateTime = time.parse().or_else(|_| time.replacen('/', "-", 2).parse()).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_periods() {
        let check = |period: &str, time: &str, expected: Option<&str>| {
            let period: Period = period.parse().expect("a period");
            assert_eq!(period.start(time.as_bytes()).as_deref(), expected, "{time}");
        };
        let minute = Some("2026-11-29T22:24:00Z");
        for time in [
            "2026-11-29T22:24:18Z",
            "2026-11-29T22:24:59.999Z",
            "2026-11-29T23:24:18+01:00",
            "2026-11-29 22:24:18,123",
            "2026-11-29 22:24:18",
            "2026/11/29 22:24:18",
            "1795991058",
            "1795991058.5",
            "1795991058123",
            "1795991058123456",
            "1795991058123456789",
        ] {
            check("minute", time, minute);
            check("1m", time, minute);
        }
        check("hour", "2026-11-29T22:24:18Z", Some("2026-11-29T22:00:00Z"));
        check("day", "2026-11-29T22:24:18Z", Some("2026-11-29T00:00:00Z"));
        check("minute", "soon", None);
        check("minute", "", None);
        check("minute", "NaN", None);
        check("minute", "inf", None);
        for text in ["0s", "-1m", "often", "", "10ms"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
