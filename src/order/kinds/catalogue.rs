//! Choosing the product that a `hosting` line names, and comparing its price with what it may cost.

use crate::order::{
    Money,
    wish::{BillingPeriod, HostingWish, ProductKey},
};

/// A product as the account is offered it (LJPc, GET /api/v1/products, asked with the key).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Product {
    /// What the order names; it may change from day to day.
    pub uuid: String,
    /// For people: "5GB hosting".
    pub name: String,
    /// What is stable: `hosting_5gb`, `hosting_forward`, `hosting_dns`; a TLD for a domain product.
    pub category_identifier: String,
    /// The customer chooses the billing period, so the order must name it.
    pub client_choice: bool,
    /// EUR a month; none for a product that is paid by the year only.
    pub monthly_price: Option<Money>,
    /// EUR a year.
    pub yearly_price: Option<Money>,
}

/// What the catalogue says to a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// It can be ordered.
    Found {
        /// The product's uuid.
        uuid: String,
        /// The product's name, for the order's description.
        name: String,
        /// To be named in the order.
        billing_period: Option<BillingPeriod>,
        /// What the account will be charged for the period, where the catalogue tells.
        price: Option<Money>,
    },
    /// A person must decide; the reason.
    Hold(String),
    /// It can't be had; the reason.
    Fail(String),
}

/// Chooses from the catalogue, as the contract's table and its paragraph on `max_cost` say.
#[must_use]
pub fn choose(products: &[Product], wish: &HostingWish, max_cost: Option<Money>) -> Choice {
    let mut named = products.iter().filter(|product| match &wish.product {
        ProductKey::Package(package) => product.category_identifier == *package,
        ProductKey::Uuid(uuid) => product.uuid.eq_ignore_ascii_case(&uuid.to_string()),
    });
    let Some(product) = named.next() else {
        return Choice::Hold(format!("LJPc's catalogue has no product {}", wish.product));
    };
    if named.next().is_some() {
        return Choice::Hold(format!("LJPc's catalogue has several products {}", wish.product));
    }
    if !product.category_identifier.starts_with("hosting_") {
        return Choice::Hold(format!("product {} is no hosting package", wish.product));
    }
    if product.category_identifier == "hosting_forward" && wish.target_url.is_none() {
        return Choice::Fail("target_url is required for hosting_forward".to_owned());
    }
    let period = match period(product, wish.billing_period) {
        Ok(period) => period,
        Err(reason) => return Choice::Fail(reason),
    };
    let price = match period {
        BillingPeriod::Monthly => product.monthly_price,
        BillingPeriod::Yearly => product.yearly_price,
    };
    match (price, max_cost) {
        (None, Some(_)) => Choice::Hold(format!(
            "LJPc's catalogue names no {period} price for {}, so max_cost can't be kept",
            wish.product
        )),
        (Some(price), Some(max)) if price > max => Choice::Hold(format!(
            "{} costs {price} EUR {period}, more than max_cost {max} EUR",
            wish.product
        )),
        _ => Choice::Found {
            uuid: product.uuid.clone(),
            name: product.name.clone(),
            billing_period: product.client_choice.then_some(period).or(wish.billing_period),
            price,
        },
    }
}

/// The billing period that the order will have.
fn period(product: &Product, wished: Option<BillingPeriod>) -> Result<BillingPeriod, String> {
    match (wished, product.client_choice) {
        (None, true) => {
            Err(format!("billing_period is required for {}", product.category_identifier))
        }
        (Some(BillingPeriod::Monthly), _) if product.monthly_price.is_none() => {
            Err(format!("{} can't be paid monthly", product.category_identifier))
        }
        (Some(period), _) => Ok(period),
        (None, false) if product.yearly_price.is_some() || product.monthly_price.is_none() => {
            Ok(BillingPeriod::Yearly)
        }
        (None, false) => Ok(BillingPeriod::Monthly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn product(identifier: &str, client_choice: bool, monthly: Option<&str>) -> Product {
        Product {
            uuid: format!("00000000-0000-4000-8000-{:012}", identifier.len()),
            name: identifier.to_owned(),
            category_identifier: identifier.to_owned(),
            client_choice,
            monthly_price: monthly.map(money),
            yearly_price: Some(money("49.90")),
        }
    }

    fn wish(package: &str, billing_period: Option<BillingPeriod>) -> HostingWish {
        HostingWish {
            product: ProductKey::Package(package.to_owned()),
            billing_period,
            target_url: None,
        }
    }

    fn catalogue() -> Vec<Product> {
        vec![
            product("hosting_5gb", true, Some("4.99")),
            product("hosting_forward", false, None),
            product("hosting_dns", false, None),
            product("media", false, None),
            product("hosting_double", true, Some("1.00")),
            product("hosting_double", true, Some("2.00")),
        ]
    }

    #[test]
    fn the_price_of_the_wished_period_is_compared() {
        use BillingPeriod::{Monthly, Yearly};
        for (period, max, fits) in [
            (Monthly, Some("4.99"), true),
            (Monthly, Some("4.98"), false),
            (Yearly, Some("49.90"), true),
            (Yearly, Some("49.89"), false),
            (Monthly, None, true),
        ] {
            let choice = choose(&catalogue(), &wish("hosting_5gb", Some(period)), max.map(money));
            assert_eq!(
                matches!(choice, Choice::Found { .. }),
                fits,
                "{period} {max:?}: {choice:?}"
            );
            assert_eq!(matches!(choice, Choice::Hold(_)), !fits, "{period} {max:?}: {choice:?}");
        }
    }

    #[test]
    fn a_wrong_period_fails_and_an_unknown_product_is_held() {
        let all = catalogue();
        assert!(matches!(choose(&all, &wish("hosting_5gb", None), None), Choice::Fail(_)));
        let monthly = Some(BillingPeriod::Monthly);
        assert!(matches!(choose(&all, &wish("hosting_dns", monthly), None), Choice::Fail(_)));
        for held in ["hosting_7gb", "media", "hosting_double"] {
            assert!(matches!(choose(&all, &wish(held, monthly), None), Choice::Hold(_)), "{held}");
        }
    }

    #[test]
    fn yearly_only_needs_no_period_and_forward_needs_its_target() {
        let all = catalogue();
        let Choice::Found { billing_period, price, .. } =
            choose(&all, &wish("hosting_dns", None), None)
        else {
            panic!("hosting_dns is in the catalogue");
        };
        assert_eq!((billing_period, price), (None, Some(money("49.90"))));
        assert!(matches!(choose(&all, &wish("hosting_forward", None), None), Choice::Fail(_)));
        let mut forward = wish("hosting_forward", None);
        forward.target_url = Some("https://example.nl/".to_owned());
        assert!(matches!(choose(&all, &forward, None), Choice::Found { .. }));
    }

    #[test]
    fn a_missing_price_is_held_only_where_a_limit_is_given() {
        let mut all = catalogue();
        all[2].yearly_price = None;
        assert!(matches!(choose(&all, &wish("hosting_dns", None), None), Choice::Found { .. }));
        let max = Some(money("100"));
        assert!(matches!(choose(&all, &wish("hosting_dns", None), max), Choice::Hold(_)));
    }
}
