//! What a line would cost now, beside what it may cost and what it would have cost before.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Assessment, FindingKind as Kind, Severity};
use crate::order::Money;

/// For so long a change of a price is told.
const CHANGED_FOR: TimeDelta = TimeDelta::days(7);

/// A delivered line whose price is known.
#[derive(Clone, Debug)]
pub struct PricedLine {
    /// `<reference>/<line>`.
    pub subject: String,
    /// `max_cost`, EUR without VAT.
    pub max_cost: Option<Money>,
    /// What it would have cost before the last change.
    pub before: Option<Money>,
    /// When it changed last.
    pub changed_at: Option<DateTime<Utc>>,
    /// What it would cost now, EUR without VAT; none: that could not be read.
    pub now: Option<Money>,
}

impl PricedLine {
    /// The same with the price that was read at a time; `last` is the one that was read before.
    #[must_use]
    pub fn read(self, price: Money, last: Option<Money>, at: DateTime<Utc>) -> Self {
        match last.filter(|last| *last != price) {
            Some(last) => {
                Self { before: Some(last), changed_at: Some(at), now: Some(price), ..self }
            }
            None => Self { now: Some(price), ..self },
        }
    }
}

/// What a line's price means.
#[must_use]
pub fn assess_price(line: &PricedLine, now: DateTime<Utc>) -> Assessment {
    let mut found = Assessment::default();
    let Some(price) = line.now else {
        found.unjudged = vec![Kind::PriceAboveMaxCost, Kind::PriceChanged];
        return found;
    };
    if let Some(max_cost) = line.max_cost
        && price > max_cost
    {
        let what = format!("it would cost {price} EUR now, and may cost {max_cost} EUR");
        found.find(Kind::PriceAboveMaxCost, Severity::Warning, &line.subject, what);
    }
    if let (Some(before), Some(changed_at)) = (line.before, line.changed_at)
        && before != price
        && now - changed_at < CHANGED_FOR
    {
        let what = format!("it would cost {price} EUR now, and {before} EUR before");
        found.find_in(Kind::PriceChanged, Severity::Info, &line.subject, price.to_string(), what);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn line(max_cost: Option<&str>) -> PricedLine {
        PricedLine {
            subject: "SHOP-1001/0".to_owned(),
            max_cost: max_cost.map(money),
            before: None,
            changed_at: None,
            now: None,
        }
    }

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    #[test]
    fn a_price_above_the_limit_is_told_while_it_lasts() {
        for (price, expected) in [("5.49", 0), ("5.50", 0), ("5.51", 1)] {
            let found = assess_price(&line(Some("5.50")).read(money(price), None, at(0)), at(0));
            assert_eq!(found.findings.len(), expected, "{price}");
        }
        let unread = assess_price(&line(Some("5.50")), at(0));
        assert_eq!(unread.unjudged, [Kind::PriceAboveMaxCost, Kind::PriceChanged]);
    }

    #[test]
    fn a_change_is_told_for_a_week() {
        let changed = line(None).read(money("5.00"), Some(money("4.00")), at(0));
        for (day, expected) in [(0, 1), (6, 1), (7, 0)] {
            let found = assess_price(&changed, at(day));
            assert_eq!(found.findings.len(), expected, "{day}");
        }
        let same = line(None).read(money("5.00"), Some(money("5.0")), at(0));
        assert_eq!(assess_price(&same, at(0)).findings, []);
        // It is back at what it was.
        let back =
            PricedLine { before: Some(money("5.00")), changed_at: Some(at(0)), ..line(None) };
        assert_eq!(assess_price(&back.read(money("5.00"), None, at(1)), at(1)).findings, []);
    }
}
