//! Every endpoint of both editions of the document. Their headings say GET, their samples POST a JSON body: it is POST.

use crate::upstream::Endpoint;

/// Whether a name can be had. Has no effect.
pub static CHECK_AVAILABILITY: Endpoint =
    Endpoint::new("POST /v1/enterprise/domain_availability").safe();
/// Names that are like another. Has no effect.
pub static SUGGEST_NAMES: Endpoint = Endpoint::new("POST /v1/enterprise/domain_suggestion").safe();
/// Adds a customer, in the first edition.
pub static ADD_CUSTOMER: Endpoint = Endpoint::new("POST /v1/enterprise/add_customer");
/// Adds a customer, in the edition of 2022.
pub static ADD_CUSTOMER_2022: Endpoint = Endpoint::new("POST /v1/enterprise/customer");

/// All of them, so that every metric's series can exist from the start.
pub static ENDPOINTS: [&Endpoint; 4] =
    [&CHECK_AVAILABILITY, &SUGGEST_NAMES, &ADD_CUSTOMER, &ADD_CUSTOMER_2022];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_something_up_is_safe() {
        let irreversible: Vec<_> =
            ENDPOINTS.iter().filter(|e| e.is_irreversible()).map(|e| e.name).collect();
        assert_eq!(irreversible, [ADD_CUSTOMER.name, ADD_CUSTOMER_2022.name]);
        for endpoint in ENDPOINTS {
            assert_eq!(endpoint.name, format!("POST {}", endpoint.template()));
        }
    }
}
