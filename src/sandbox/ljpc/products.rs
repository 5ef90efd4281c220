//! GET /api/v1/products: public, raw JSON, prices as decimal strings.

use http::StatusCode;
use serde::Serialize;

use super::{
    Call, Key,
    answer::Answer,
    catalogue::{Billing, Category, PRODUCTS, PriceList, Product},
    query_value,
};

#[derive(Serialize)]
struct Listing {
    products: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    uuid: &'static str,
    name: &'static str,
    billing_period_type: &'static str,
    monthly_price: Option<String>,
    yearly_price: String,
    price: String,
    category: &'static str,
    category_identifier: &'static str,
    required_fields: Option<[&'static str; 0]>,
}

/// The catalogue, of one category if the query names one. An unknown key gets the list prices, as nobody does.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let prices = if call.key == Key::Right { PriceList::Account } else { PriceList::List };
    let wished = query_value(call.query, "category").filter(|category| !category.is_empty());
    let products = PRODUCTS
        .iter()
        .filter(|product| wished.as_deref().is_none_or(|w| w == category_name(product.category)))
        .map(|product| row(product, prices))
        .collect();
    Answer::raw(StatusCode::OK, &Listing { products })
}

fn row(product: &Product, prices: PriceList) -> Row {
    let yearly_price = prices.price(product.yearly_cents).to_string();
    let monthly_price = match product.billing {
        Billing::ClientChoice => Some(prices.price(product.monthly_cents).to_string()),
        Billing::YearlyOnly => None,
    };
    Row {
        uuid: product.uuid,
        name: product.name,
        billing_period_type: match product.billing {
            Billing::ClientChoice => "client_choice",
            Billing::YearlyOnly => "yearly_only",
        },
        price: monthly_price.clone().unwrap_or_else(|| yearly_price.clone()),
        monthly_price,
        yearly_price,
        category: category_name(product.category),
        category_identifier: product.identifier,
        // The samples show an empty array for hosting and null for a domain.
        required_fields: (product.category == Category::Hosting).then_some([]),
    }
}

fn category_name(category: Category) -> &'static str {
    match category {
        Category::Hosting => "hosting",
        Category::Domains => "domains",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn listed(key: Key, query: &str) -> Vec<Value> {
        let answer = list(&Call { parameter: None, query, key, body: b"" });
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        body["products"].as_array().unwrap().clone()
    }

    fn price_of<'a>(rows: &'a [Value], identifier: &str) -> &'a Value {
        rows.iter().find(|row| row["category_identifier"] == identifier).unwrap()
    }

    #[test]
    fn the_key_decides_about_the_prices() {
        for (key, price) in [(Key::Missing, "4.99"), (Key::Unknown, "4.99"), (Key::Right, "4.49")] {
            assert_eq!(price_of(&listed(key, ""), "hosting_5gb")["monthly_price"], price);
        }
    }

    #[test]
    fn what_is_paid_by_the_year_alone_has_no_monthly_price() {
        let rows = listed(Key::Missing, "");
        for identifier in ["hosting_forward", "hosting_dns", "nl"] {
            let row = price_of(&rows, identifier);
            assert!(row["monthly_price"].is_null(), "{row}");
            assert_eq!(row["price"], row["yearly_price"]);
        }
    }

    #[test]
    fn a_category_filters() {
        let hosting = listed(Key::Missing, "category=hosting");
        let domains = listed(Key::Missing, "category=domains");
        assert_eq!((hosting.len(), domains.len()), (8, 4));
        assert!(hosting.iter().all(|row| row["category"] == "hosting"));
        assert_eq!(listed(Key::Missing, "category=vps").len(), 0);
        assert_eq!(listed(Key::Missing, "category=").len(), 12);
    }
}
