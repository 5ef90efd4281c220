//! `POST /v1/enterprise/domain_availability` and `…/domain_suggestion`. Prices are texts, in dollars and naira.

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::{Refused, required};
use crate::{
    order::name::DomainName,
    sandbox::{ljpc::answer::Answer, state::World},
};

/// What Leanstack sells, with its prices: other TLDs than LJPc, in part.
const TLDS: [(&str, Price); 8] = [
    ("com", Price { dollar_price: "5", naira_price: "3000" }),
    ("com.ng", Price { dollar_price: "3.5", naira_price: "2000" }),
    ("net", Price { dollar_price: "6.2", naira_price: "3700" }),
    ("ng", Price { dollar_price: "15", naira_price: "9000" }),
    ("nl", Price { dollar_price: "7", naira_price: "4200" }),
    ("media", Price { dollar_price: "30", naira_price: "18000" }),
    ("org", Price { dollar_price: "6", naira_price: "3600" }),
    ("tech", Price { dollar_price: "41", naira_price: "15000" }),
];
/// What is put before and behind a name to suggest another, as in the document's sample: no more than these.
const SUGGESTED: [(&str, &str, &str, Price); 3] = [
    ("your", "", "com", Price { dollar_price: "4.9", naira_price: "4000" }),
    ("", "club", "com", Price { dollar_price: "4.9", naira_price: "4000" }),
    ("", "", "tech", Price { dollar_price: "41", naira_price: "15000" }),
];

#[derive(Clone, Copy, Serialize)]
struct Price {
    dollar_price: &'static str,
    naira_price: &'static str,
}

#[derive(Serialize)]
struct Unsold {
    tld_available: bool,
}

#[derive(Serialize)]
struct Availability {
    tld_available: bool,
    #[serde(flatten)]
    price: Price,
    domain_name_available: bool,
}

#[derive(Serialize)]
struct Suggestion {
    domain_name: String,
    tld: &'static str,
    #[serde(flatten)]
    price: Price,
}

/// Whether a name can be had here. What LJPc's side of the sandbox has registered is taken here too.
pub(super) fn availability(world: &World, body: &Value) -> Result<Answer, Refused> {
    let label = required(body, "domain_name")?;
    let tld = required(body, "tld")?.trim_start_matches('.').to_ascii_lowercase();
    let Some((_, price)) = TLDS.iter().find(|(sold, _)| *sold == tld) else {
        return Ok(Answer::raw(StatusCode::OK, &Unsold { tld_available: false }));
    };
    let answer = Availability {
        tld_available: true,
        price: *price,
        domain_name_available: !label.contains('.') && is_free(world, label, &tld),
    };
    Ok(Answer::raw(StatusCode::OK, &answer))
}

/// Other names that can be had.
pub(super) fn suggestions(world: &World, body: &Value) -> Result<Answer, Refused> {
    let asked = required(body, "domain_name")?;
    // The document wants the name without its TLD; whoever gives it all the same gets suggestions for the name.
    let label = asked.split('.').next().unwrap_or_default().to_lowercase();
    let suggestions: Vec<Suggestion> = SUGGESTED
        .iter()
        .map(|(before, behind, tld, price)| Suggestion {
            domain_name: format!("{before}{label}{behind}"),
            tld,
            price: *price,
        })
        .filter(|suggestion| is_free(world, &suggestion.domain_name, suggestion.tld))
        .collect();
    Ok(Answer::raw(StatusCode::OK, &suggestions))
}

fn is_free(world: &World, label: &str, tld: &str) -> bool {
    let mut book = world.book();
    book.advance(std::time::Instant::now());
    DomainName::parse(&format!("{label}.{tld}")).is_ok_and(|name| !book.domains.is_taken(&name))
}
