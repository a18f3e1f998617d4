//! Numbers from the command line, and what is wrong with them.

use std::time::Duration;

/// A count that isn't zero.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

/// Messages a second, from one in a hundred seconds to a million.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    between(text, 0.01, 1e6)
}

/// Seconds, up to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    between(text, 0.001, 86_400.0).map(Duration::from_secs_f64)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => Err(format!("it must be between {least} and {most}")),
        Err(error) => Err(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_for_ever_or_not_at_all_is_refused() {
        assert!(positive("0").is_err() && positive("-1").is_err() && positive("1").is_ok());
        for text in ["0", "inf", "nan", "1e12", "x", "-5"] {
            assert!(rate(text).is_err(), "{text}");
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }
}
