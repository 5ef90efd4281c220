//! Durations as an operator writes them: a whole number and a unit.

use std::time::Duration;

use thiserror::Error;

/// Why a text is no duration. The text itself is left out: the caller knows whether it may be shown.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum DurationError {
    /// Nothing, or only a unit.
    #[error("it needs a whole number in front")]
    NoNumber,
    /// A number alone.
    #[error("it needs a unit: ms, s, m, h or d")]
    NoUnit,
    /// Something else behind the number, which may be a second number: `1h30m` and `1.5h` are written `90m`.
    #[error("its unit must be one of ms, s, m, h or d, directly behind one whole number")]
    UnknownUnit,
    /// More milliseconds than 64 bits can count.
    #[error("it is too long")]
    TooLong,
}

/// Reads `500ms`, `30s`, `15m`, `24h` or `5d`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(DurationError::NoUnit),
        _ => return Err(DurationError::UnknownUnit),
    };
    // Digits alone can fail to be a number only by being too many.
    let count: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
    count.checked_mul(unit_ms).map(Duration::from_millis).ok_or(DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("24h", 86_400_000),
            ("5d", 432_000_000),
            (" 1s ", 1_000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        let cases = [
            ("", DurationError::NoNumber),
            ("s", DurationError::NoNumber),
            ("-5s", DurationError::NoNumber),
            ("30", DurationError::NoUnit),
            ("30S", DurationError::UnknownUnit),
            ("30 s", DurationError::UnknownUnit),
            ("1.5h", DurationError::UnknownUnit),
            ("1h30m", DurationError::UnknownUnit),
            ("3weeks", DurationError::UnknownUnit),
            ("99999999999999999999s", DurationError::TooLong),
            ("18446744073709551615s", DurationError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }
}
