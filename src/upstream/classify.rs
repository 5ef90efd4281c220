//! How an answer's status is read: the contract's paragraph "How an answer to an irreversible request is read", as one pure
//! function.

use super::Scope;

/// What an answer says, as far as its status and its envelope tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// 2xx: good, if the body holds what the document promises. That is for the call to look at.
    Promising,
    /// Understood and declined, for good.
    Rejected,
    /// Not now.
    RateLimited,
    /// The key is not good enough.
    Unauthorized(Scope),
    /// Nothing certain.
    Unclear,
}

/// Reads an answer. `message` is the text of the upstream's own error envelope, `None` if the body was anything else (a
/// proxy's page, a truncated body): only the application itself can say that it has declined, so a status alone proves no
/// refusal. `refusals` are the messages that the document shows beside a 403 of this endpoint.
///
/// For a safe GET of one thing (`may_be_foreign`) every enveloped 403 is a refusal, because it also means that the thing is
/// somebody else's; what to make of it, the caller knows best. A listing is nobody else's.
#[must_use]
pub fn classify(
    may_be_foreign: bool,
    status: u16,
    message: Option<&str>,
    refusals: &[&str],
) -> Verdict {
    match (status, message) {
        (200..=299, _) => Verdict::Promising,
        (401, _) => Verdict::Unauthorized(Scope::Upstream),
        (429, _) => Verdict::RateLimited,
        (403, Some(message)) if may_be_foreign || refusals.contains(&message.trim()) => {
            Verdict::Rejected
        }
        (403, _) => Verdict::Unauthorized(Scope::Endpoint),
        (400 | 404 | 409 | 422, Some(_)) => Verdict::Rejected,
        _ => Verdict::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    const REFUSALS: &[&str] = &["You can only create orders for yourself"];
    const SHOWN: Option<&str> = Some("You can only create orders for yourself");
    const OTHER: Option<&str> = Some("This key lacks a permission");
    const BARE: Option<&str> = None;

    #[test]
    fn requests_with_an_effect_and_listings() {
        let table = [
            (200, BARE, Promising),
            (201, BARE, Promising),
            (202, OTHER, Promising),
            (204, BARE, Promising),
            (299, BARE, Promising),
            // Refused, for good, if the application says so itself; a status alone is doubt.
            (400, OTHER, Rejected),
            (404, OTHER, Rejected),
            (409, OTHER, Rejected),
            (422, OTHER, Rejected),
            (400, BARE, Unclear),
            (404, BARE, Unclear),
            (409, BARE, Unclear),
            (422, BARE, Unclear),
            // In any form.
            (401, OTHER, Unauthorized(Scope::Upstream)),
            (401, BARE, Unauthorized(Scope::Upstream)),
            (429, OTHER, RateLimited),
            (429, BARE, RateLimited),
            // 403 by its message.
            (403, SHOWN, Rejected),
            (403, Some(" You can only create orders for yourself\n"), Rejected),
            (403, Some("you can only create orders"), Unauthorized(Scope::Endpoint)),
            (403, OTHER, Unauthorized(Scope::Endpoint)),
            (403, BARE, Unauthorized(Scope::Endpoint)),
        ];
        for (status, message, verdict) in table {
            assert_eq!(classify(false, status, message, REFUSALS), verdict, "{status} {message:?}");
        }
    }

    #[test]
    fn everything_else_is_unclear() {
        let listed = [400, 401, 403, 404, 409, 422, 429];
        for status in (0..200).chain(300..1000).filter(|s| !listed.contains(s)) {
            for message in [SHOWN, OTHER, BARE] {
                for may_be_foreign in [true, false] {
                    assert_eq!(
                        classify(may_be_foreign, status, message, REFUSALS),
                        Unclear,
                        "{status} {message:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn another_endpoints_refusal_is_none_here() {
        assert_eq!(
            classify(false, 403, Some("Contact handle does not belong to you"), REFUSALS),
            Unauthorized(Scope::Endpoint)
        );
    }

    #[test]
    fn safe_gets_of_one_thing() {
        for (status, message, verdict) in [
            (200, BARE, Promising),
            (404, OTHER, Rejected),
            (403, OTHER, Rejected),
            // A proxy's page proves neither absence nor foreign ownership.
            (404, BARE, Unclear),
            (403, BARE, Unauthorized(Scope::Endpoint)),
            (401, BARE, Unauthorized(Scope::Upstream)),
            (429, BARE, RateLimited),
            (422, OTHER, Rejected),
            (422, BARE, Unclear),
        ] {
            assert_eq!(classify(true, status, message, &[]), verdict, "{status} {message:?}");
        }
    }
}
