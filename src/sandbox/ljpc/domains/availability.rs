//! GET /api/hosting/v1/domain-names/check and …/price.

use std::collections::BTreeMap;

use http::StatusCode;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{
    order::name::DomainName,
    sandbox::{
        ljpc::{
            Call,
            answer::Answer,
            catalogue::{self, PriceList, Tld},
            input::{Refused, query_values},
        },
        state::World,
    },
};

/// Names in one question.
const NAMES_MAX: usize = 100;
/// What a premium name costs in a year, as its registry asks it and as the account pays it.
const PREMIUM_USD: Decimal = Decimal::from_parts(54_000, 0, 0, false, 2);
const PREMIUM_EUR: Decimal = Decimal::from_parts(49_900, 0, 0, false, 2);

#[derive(Serialize)]
struct Offer {
    premium: bool,
    price: Money,
    price_eur: Money,
}

#[derive(Clone, Copy, Serialize)]
struct Money {
    amount: Decimal,
    currency: &'static str,
}

/// For each name a word: `available`, `taken`, `unknown` for a TLD that is not sold, `invalid` for what is no such name.
pub(in crate::sandbox::ljpc) fn check(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let asked = asked(call)?;
    let mut book = world.book();
    book.advance(std::time::Instant::now());
    let told = |text: &str| {
        let Ok(name) = DomainName::parse(text) else { return "invalid" };
        match catalogue::split(&name) {
            None => "unknown",
            Some((sld, _)) if sld.contains('.') => "invalid",
            Some(_) if book.domains.is_taken(&name) => "taken",
            Some(_) => "available",
        }
    };
    let words: BTreeMap<&str, &str> =
        asked.iter().map(|text| (text.as_str(), told(text))).collect();
    Ok(Answer::data(StatusCode::OK, &words))
}

/// For each name what a year costs this account, or null for a TLD that is not sold.
pub(in crate::sandbox::ljpc) fn price(call: &Call<'_>) -> Result<Answer, Refused> {
    let asked = asked(call)?;
    let prices: BTreeMap<&str, Option<Offer>> =
        asked.iter().map(|text| (text.as_str(), price_of(text))).collect();
    Ok(Answer::data(StatusCode::OK, &prices))
}

fn asked(call: &Call<'_>) -> Result<Vec<String>, Refused> {
    let asked = query_values(call.query, "domain");
    if asked.iter().all(String::is_empty) {
        return Err(Refused::invalid("The domain field is required."));
    }
    if asked.len() > NAMES_MAX {
        let message = format!("The domain field must not have more than {NAMES_MAX} items.");
        return Err(Refused::invalid(message));
    }
    Ok(asked)
}

fn price_of(text: &str) -> Option<Offer> {
    let name = DomainName::parse(text).ok()?;
    let (sld, tld) = catalogue::split(&name)?;
    let premium = catalogue::is_premium(sld);
    let price_eur = Money { amount: account_price(tld, premium), currency: "EUR" };
    let price = if premium { Money { amount: PREMIUM_USD, currency: "USD" } } else { price_eur };
    Some(Offer { premium, price, price_eur })
}

fn account_price(tld: &Tld, premium: bool) -> Decimal {
    if premium { PREMIUM_EUR } else { PriceList::Account.price(tld.registry_cents()) }
}
