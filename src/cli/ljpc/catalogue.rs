//! What LJPc sells: TLDs, names, products.

use std::collections::BTreeMap;

use super::{listing, told};
use crate::{
    cli::{
        Failed,
        output::{self, cell, yes_no},
    },
    order::name::DomainName,
    upstream::{
        leanstack::Leanstack,
        ljpc::{BillingPeriodType, Ljpc, Price},
    },
};

pub(super) async fn tlds(ljpc: &Ljpc, json: bool) -> Result<(), Failed> {
    let tlds = ljpc.tlds().await.map_err(told)?;
    listing(&tlds, json, ["TLD", "LIST PRICE", "CURRENCY", "TRANSFER"], |tld| {
        [
            cell(Some(&tld.tld)),
            cell(tld.price),
            cell(tld.currency.as_ref()),
            yes_no(Some(tld.transfer_supported)),
        ]
    })
}

/// Leanstack's advice, where it is used, stands beside what LJPc says, which alone decides. Scripts get LJPc's word.
pub(super) async fn check(
    ljpc: &Ljpc,
    advisor: Option<&Leanstack>,
    names: &[DomainName],
    json: bool,
) -> Result<(), Failed> {
    let checks = ljpc.check(&names.iter().collect::<Vec<_>>()).await.map_err(told)?;
    if json {
        let said: BTreeMap<_, _> = names.iter().map(|name| (name, checks.of(name))).collect();
        return Ok(output::json(&said)?);
    }
    let header: &[&str] = match advisor {
        Some(_) => &["NAME", "LJPC SAYS", "LEANSTACK ADVISES"],
        None => &["NAME", "LJPC SAYS"],
    };
    let mut table = output::table(header);
    for name in names {
        let mut row = vec![cell(Some(name)), cell(checks.of(name))];
        if let Some(advisor) = advisor {
            row.push(advice(advisor, name).await);
        }
        table.add_row(row);
    }
    output::line(&table.to_string());
    Ok(())
}

/// What Leanstack thinks of a name. Its failure is no failure of the command.
async fn advice(advisor: &Leanstack, name: &DomainName) -> String {
    let (sld, tld) = name.as_str().split_once('.').unwrap_or((name.as_str(), ""));
    match advisor.availability(sld, tld).await {
        Ok(said) if !said.tld_available => "not sold".to_owned(),
        Ok(said) => match said.domain_name_available {
            Some(true) => "available".to_owned(),
            Some(false) => "taken".to_owned(),
            None => cell(None::<&str>),
        },
        Err(error) => format!("no answer ({})", error.outcome()),
    }
}

pub(super) async fn price(ljpc: &Ljpc, names: &[DomainName], json: bool) -> Result<(), Failed> {
    let prices = ljpc.prices(&names.iter().collect::<Vec<_>>()).await.map_err(told)?;
    if json {
        let said: BTreeMap<_, _> = names.iter().map(|name| (name, prices.of(name))).collect();
        return Ok(output::json(&said)?);
    }
    let mut table = output::table(&["NAME", "EUR A YEAR", "PREMIUM", "PRICE"]);
    for name in names {
        let price = prices.of(name);
        let own = |Price { amount, currency }: &Price| format!("{amount} {currency}");
        table.add_row([
            cell(Some(name)),
            cell(price.and_then(|price| price.price_eur)),
            yes_no(price.map(|price| price.premium)),
            cell(price.and_then(|price| price.price.as_ref()).map(own)),
        ]);
    }
    output::line(&table.to_string());
    Ok(())
}

pub(super) async fn products(ljpc: &Ljpc, json: bool) -> Result<(), Failed> {
    let products = ljpc.products().await.map_err(told)?;
    let header = ["PACKAGE", "NAME", "CATEGORY", "BILLED", "A MONTH", "A YEAR", "UUID"];
    listing(&products, json, header, |product| {
        let billed = match &product.billing_period_type {
            BillingPeriodType::ClientChoice => Some("as chosen"),
            BillingPeriodType::YearlyOnly => Some("yearly"),
            BillingPeriodType::Unknown(other) => Some(other.as_str()),
            BillingPeriodType::Missing => None,
        };
        [
            cell(product.category_identifier.as_ref()),
            cell(Some(&product.name)),
            cell(product.category.as_ref()),
            cell(billed),
            cell(product.monthly_price),
            cell(product.yearly_price),
            cell(Some(&product.uuid)),
        ]
    })
}
