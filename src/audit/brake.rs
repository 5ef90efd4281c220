//! The brake: what would change too much at once is rather a fault of what was read than of what is there.

use super::{Assessment, Missing};

/// A share of the assets above which nothing is written: 5 in 100.
const SHARE: (u64, u64) = (5, 100);

/// Up to so many at once are always believed.
const FEW: u64 = 10;

/// What a run would do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Brake {
    /// The domains and sites that are known to be customers'.
    pub assets: u64,
    /// How many of them would be changed.
    pub changed: u64,
    /// How many of them would be declared missing.
    pub missing: u64,
}

/// What one asset adds to it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// Something of it would be changed that LJPc has not refused to change already.
    pub is_changed: bool,
    /// It would be declared missing, and was not before.
    pub is_missing: bool,
}

impl Weight {
    /// By what its readings mean, if a direct look had confirmed them.
    #[must_use]
    pub const fn new(found: &Assessment, is_refused: bool, missed_before: Missing) -> Self {
        Self {
            is_changed: found.may_repair && !is_refused,
            is_missing: found.is_missing && missed_before.runs == 0,
        }
    }

    /// It would be touched: under the brake nothing of it is written.
    #[must_use]
    pub const fn is_touched(self) -> bool {
        self.is_changed || self.is_missing
    }
}

/// Whether so much would change, or be missing, at once that nothing is written.
#[must_use]
pub fn is_too_much(brake: Brake) -> bool {
    let touched = brake.changed.saturating_add(brake.missing);
    touched > FEW && touched.saturating_mul(SHARE.1) > brake.assets.saturating_mul(SHARE.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_twentieth_and_more_than_ten_is_too_much() {
        for (assets, changed, missing, expected) in [
            (0, 0, 0, false),
            (1, 1, 0, false),
            (10, 10, 0, false),
            (10, 0, 11, true),
            (100, 5, 5, false),
            (100, 6, 5, true),
            (220, 11, 0, false),
            (219, 11, 0, true),
            (100_000, 2_500, 2_500, false),
            (100_000, 5_001, 0, true),
            (u64::MAX, u64::MAX, u64::MAX, false),
        ] {
            let brake = Brake { assets, changed, missing };
            assert_eq!(is_too_much(brake), expected, "{brake:?}");
        }
    }
}
