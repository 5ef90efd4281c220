//! Whether a name can be had, and for how much.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::order::{Money, name::DomainName};

/// What a name is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// It shall be free.
    Register,
    /// It is somebody's, and comes to us.
    Transfer,
}

/// LJPc's word for a name (GET /api/hosting/v1/domain-names/check).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Availability {
    /// Exactly `available`.
    Available,
    /// `unknown`: the ending is not sold.
    Unknown,
    /// Any other word: it can't be registered.
    Other(String),
}

impl Availability {
    /// Reads the word. Only the exact one counts: what is not clearly free is not bought.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word {
            "available" => Self::Available,
            "unknown" => Self::Unknown,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a name costs this account (LJPc, GET /api/hosting/v1/domain-names/price).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Price {
    /// The registry asks more for it than for others.
    pub premium: bool,
    /// EUR without VAT: a year's, or the transfer's.
    pub eur: Option<Money>,
}

/// What LJPc says of a name that is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// Not asked for a transfer.
    pub availability: Option<Availability>,
    /// None where it has no price for it.
    pub price: Option<Price>,
}

/// A name that may be had instead of one that is taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Alternative {
    /// In A-labels.
    pub domain: String,
    /// What a year costs this account, EUR without VAT. For the shop: what it asks of its customer, only it knows.
    pub price: Money,
}

/// What follows from an offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It can be bought, for this much in all, where a price is known.
    Buy(Option<Money>),
    /// A person must decide; the reason.
    Hold(String),
    /// Somebody has it; the reason.
    Taken(String),
    /// It can't be had at all; the reason.
    Unavailable(String),
}

/// Judges an offer as the contract's paragraph on `max_cost` says. `years` counts for registrations alone.
#[must_use]
pub fn judge(
    name: &DomainName,
    offer: &Offer,
    years: u8,
    max_cost: Option<Money>,
    allow_premium: bool,
) -> Verdict {
    match &offer.availability {
        None | Some(Availability::Available) => {}
        Some(Availability::Unknown) => {
            return Verdict::Unavailable(format!("LJPc does not sell {name} (it says unknown)"));
        }
        Some(Availability::Other(word)) => {
            return Verdict::Taken(format!("{name} can't be registered: LJPc says {word}"));
        }
    }
    if offer.price.is_some_and(|price| price.premium) && !allow_premium {
        let asks = match total(offer, years) {
            Ok(Some(cost)) => format!(", {cost} EUR"),
            _ => String::new(),
        };
        return Verdict::Hold(format!(
            "{name} is a premium name{asks}, and allow_premium is not set"
        ));
    }
    match (total(offer, years), max_cost) {
        (Err(TooMuch), _) => Verdict::Hold(format!("the price of {name} can't be reckoned")),
        (Ok(None), Some(_)) => Verdict::Hold(format!(
            "LJPc names no price in EUR for {name}, so max_cost can't be kept"
        )),
        (Ok(Some(cost)), Some(max)) if cost > max => {
            Verdict::Hold(format!("{name} costs {cost} EUR, more than max_cost {max} EUR"))
        }
        (Ok(cost), _) => Verdict::Buy(cost),
    }
}

/// A product that no decimal holds.
struct TooMuch;

fn total(offer: &Offer, years: u8) -> Result<Option<Money>, TooMuch> {
    let Some(Money(eur)) = offer.price.and_then(|price| price.eur) else { return Ok(None) };
    // A transfer has one price; a registration has one for each year.
    let times = if offer.availability.is_some() { Decimal::from(years) } else { Decimal::ONE };
    eur.checked_mul(times).map(|total| Some(Money(total))).ok_or(TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> DomainName {
        DomainName::parse("example.nl").unwrap()
    }

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn offer(word: Option<&str>, premium: bool, eur: Option<&str>) -> Offer {
        Offer {
            availability: word.map(Availability::read),
            price: Some(Price { premium, eur: eur.map(money) }),
        }
    }

    #[test]
    fn only_the_exact_word_is_bought() {
        for word in
            ["Available", "AVAILABLE", " available", "free", "premium", "taken", "", "error"]
        {
            let judged = judge(&name(), &offer(Some(word), false, Some("1")), 1, None, true);
            assert!(matches!(judged, Verdict::Taken(_)), "{word}: {judged:?}");
        }
        let judged = judge(&name(), &offer(Some("unknown"), false, Some("1")), 1, None, true);
        assert!(matches!(judged, Verdict::Unavailable(_)), "{judged:?}");
    }

    #[test]
    fn each_year_costs_and_a_transfer_costs_once() {
        for (word, years, max, fits) in [
            (Some("available"), 1, "3.88", true),
            (Some("available"), 2, "7.75", false),
            (Some("available"), 2, "7.76", true),
            (Some("available"), 10, "38.79", false),
            (None, 10, "3.88", true),
            (None, 1, "3.87", false),
        ] {
            let offer = offer(word, false, Some("3.88"));
            let judged = judge(&name(), &offer, years, Some(money(max)), false);
            assert_eq!(
                matches!(judged, Verdict::Buy(_)),
                fits,
                "{word:?} {years} {max}: {judged:?}"
            );
            assert_eq!(matches!(judged, Verdict::Hold(_)), !fits, "{word:?} {years} {max}");
        }
    }

    #[test]
    fn premium_is_held_unless_allowed() {
        let premium = offer(Some("available"), true, Some("900"));
        assert!(matches!(judge(&name(), &premium, 1, None, false), Verdict::Hold(_)));
        assert_eq!(judge(&name(), &premium, 1, None, true), Verdict::Buy(Some(money("900"))));
        let max = Some(money("100"));
        assert!(matches!(judge(&name(), &premium, 1, max, true), Verdict::Hold(_)));
    }

    #[test]
    fn no_price_is_held_only_where_a_limit_is_given() {
        for priceless in [
            Offer { availability: Some(Availability::Available), price: None },
            offer(Some("available"), false, None),
        ] {
            assert_eq!(judge(&name(), &priceless, 1, None, false), Verdict::Buy(None));
            let max = Some(money("100"));
            assert!(matches!(judge(&name(), &priceless, 1, max, false), Verdict::Hold(_)));
        }
    }

    #[test]
    fn a_price_of_nothing_is_a_price() {
        let free = offer(Some("available"), false, Some("0.00"));
        assert_eq!(
            judge(&name(), &free, 10, Some(money("0")), false),
            Verdict::Buy(Some(money("0.00")))
        );
    }

    #[test]
    fn a_price_beyond_reckoning_is_held() {
        let vast = offer(Some("available"), false, Some("79228162514264337593543950335"));
        assert!(matches!(judge(&name(), &vast, 10, None, false), Verdict::Hold(_)));
    }
}
