//! Spans of time as people write them: `150ms`, `2m 30s`, `0`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a span for clap.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let span: SignedDuration =
        text.parse().map_err(|_| "write a number and its unit, such as 150ms, 30s or 1h".to_owned())?;
    Duration::try_from(span).map_err(|_| "a span of time cannot be negative".to_owned())
}

/// The span as it could have been written.
pub(crate) fn show(span: Duration) -> String {
    if span.is_zero() {
        "0".into()
    } else {
        format!("{:#}", SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        let check = |text: &str, expected: Option<(Duration, &str)>| {
            let span = parse(text).ok();
            assert_eq!(
                span.map(|span| (span, show(span))),
                expected.map(|(span, text)| (span, text.to_owned())),
                "{text}"
            );
        };
        check("0", Some((Duration::ZERO, "0")));
        check("150ms", Some((Duration::from_millis(150), "150ms")));
        check("2m 30s", Some((Duration::from_secs(150), "2m 30s")));
        check("1h", Some((Duration::from_hours(1), "1h")));
        check("-1s", None);
        check("150", None);
        check("soon", None);
    }
}
