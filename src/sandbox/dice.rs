//! Chance that comes out the same on every run with the same seed, so that a failing test can be repeated.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;

const MILLION: u32 = 1_000_000;

/// A probability between 0 and 1, kept in parts per million: no float, and nothing finer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Probability(u32);

/// What was given as a probability and is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a probability: a decimal from 0 to 1 is, with at most six digits behind the point, such as 0.02"
)]
pub struct NotAProbability(String);

impl Probability {
    /// What never happens.
    pub const NEVER: Self = Self(0);

    /// In parts per million, 0 to 1,000,000.
    #[must_use]
    pub fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether it happens, for a number drawn by [`draw`].
    pub(super) fn happens(self, drawn: u64) -> bool {
        drawn % u64::from(MILLION) < u64::from(self.0)
    }
}

impl FromStr for Probability {
    type Err = NotAProbability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotAProbability(text.chars().take(40).collect());
        let decimal = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| refused())?;
        if decimal < Decimal::ZERO || decimal > Decimal::ONE {
            return Err(refused());
        }
        let parts = decimal * Decimal::from(MILLION);
        if !parts.fract().is_zero() {
            return Err(refused());
        }
        u32::try_from(parts.trunc()).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(i64::from(self.0), 6).normalize().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Probability {
    /// From a JSON number or a string of digits, read from its digits.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().trim_matches('"').parse().map_err(D::Error::custom)
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The `n`th number of one of the seed's streams (splitmix64): any may be asked for, in any order.
pub(super) fn draw(seed: u64, stream: Stream, n: u64) -> u64 {
    let salt = match stream {
        Stream::Failures => 0x5eed_0001,
        Stream::Gaps => 0x5eed_0002,
        Stream::Faults => 0x5eed_0003,
        Stream::AuthCodes => 0x5eed_0004,
    };
    mix(mix(seed ^ salt) ^ n)
}

/// What is drawn for; each has a stream of its own, so that one never shifts another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// Does this order fail?
    Failures,
    /// How many orders of other resellers lie between two of ours?
    Gaps,
    /// Does this fault strike?
    Faults,
    /// What is a domain's auth code?
    AuthCodes,
}

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_read_exactly() {
        for (text, parts) in
            [("0", 0), ("1", 1_000_000), ("0.02", 20_000), ("0.000001", 1), ("1e-2", 10_000)]
        {
            assert_eq!(text.parse::<Probability>().unwrap().parts_per_million(), parts, "{text}");
            assert_eq!(
                serde_json::from_str::<Probability>(text).unwrap().parts_per_million(),
                parts
            );
        }
        assert_eq!("0.020".parse::<Probability>().unwrap().to_string(), "0.02");
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for text in ["", "-0.1", "1.01", "2", "0.0000001", "half", "NaN", "0,5"] {
            let error = text.parse::<Probability>().unwrap_err().to_string();
            assert!(error.contains("a decimal from 0 to 1"), "{error}");
        }
    }

    #[test]
    fn the_extremes_are_certain_and_the_middle_is_fair() {
        let never: Probability = "0".parse().unwrap();
        let always: Probability = "1".parse().unwrap();
        let fifth: Probability = "0.2".parse().unwrap();
        let mut hits = 0;
        for n in 0..10_000 {
            let drawn = draw(7, Stream::Failures, n);
            assert!(!never.happens(drawn) && always.happens(drawn));
            hits += i32::from(fifth.happens(drawn));
        }
        assert!((1_800..2_200).contains(&hits), "{hits}");
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(draw(1, Stream::Gaps, 5), draw(1, Stream::Gaps, 5));
        assert_ne!(draw(1, Stream::Gaps, 5), draw(2, Stream::Gaps, 5));
        assert_ne!(draw(1, Stream::Gaps, 5), draw(1, Stream::Faults, 5));
    }
}
