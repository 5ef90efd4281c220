//! Money: a decimal amount of euros without VAT. Never a float.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;

/// An amount in EUR without VAT.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Money(pub Decimal);

impl fmt::Display for Money {
    /// At least two decimals, as prices are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0.normalize();
        if amount.scale() < 2 {
            amount.rescale(2);
        }
        amount.fmt(f)
    }
}

impl FromStr for Money {
    type Err = rust_decimal::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Decimal::from_str_exact(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Money {
    /// From a JSON number or string alike (LJPc sends both), read from its digits.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let digits = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        Decimal::from_str_exact(digits)
            .or_else(|_| Decimal::from_scientific(digits))
            .map(Self)
            .map_err(|_| {
                D::Error::custom("expected an amount of money, as a number or a string of digits")
            })
    }
}

impl Serialize for Money {
    /// As a string, so that no reader makes a float of it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_strings_without_a_float() {
        for (json, shown) in [
            ("4.99", "4.99"),
            ("\"4.99\"", "4.99"),
            ("5", "5.00"),
            ("0.1000", "0.10"),
            ("1e1", "10.00"),
            ("4.995", "4.995"),
            ("79228162514264337593543950.33", "79228162514264337593543950.33"),
        ] {
            assert_eq!(serde_json::from_str::<Money>(json).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for json in ["null", "\"\"", "\"4,99\"", "{}", "[]", "\"NaN\"", "true"] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }
}
