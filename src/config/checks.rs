//! What concerns two keys at once, and what a command needs.

use super::error::Origin;
use super::keys;
use super::reader::Reader;
use super::settings::Need;

/// Records each key that is missing though one of these needs it.
pub(super) fn require(r: &mut Reader, needs: &[Need]) {
    let leanstack_enabled = r.is_true("leanstack.enabled");
    let mut required: Vec<&'static str> = Vec::new();
    for need in needs {
        required.extend_from_slice(match need {
            Need::Database => &["database.url"],
            Need::Ljpc => &["ljpc.api_key"],
            Need::Leanstack if !leanstack_enabled => &[],
            Need::Leanstack | Need::LeanstackToken => &["leanstack.access_token"],
            Need::Email => &["email.smtp_url", "email.from"],
        });
    }
    required.sort_unstable();
    required.dedup();
    for name in required {
        if !r.is_set(name)
            && !r.is_refused(name)
            && let Some(key) = keys::find(name)
        {
            let also = if name == "database.url" { ", or DATABASE_URL" } else { "" };
            let cure = format!("set {}{also}, or {name} in a file of settings", key.variable());
            r.refuse(name, "is missing, and this command needs it", cure);
        }
    }
}

/// A request that outlives its lease could be made a second time by another worker; one that outlives the drain is cut off
/// with its outcome unknown. And no longest interval is shorter than the first one.
pub(super) fn durations(r: &mut Reader) {
    let bounds = [
        ("ljpc.timeout", "queue.lease", true),
        ("ljpc.timeout", "queue.shutdown_grace", true),
        ("email.retry_initial", "email.retry_max", false),
        ("poll.initial_interval", "poll.max_interval", false),
        ("poll.initial_interval", "poll.transfer_max_interval", false),
    ];
    for (shorter, longer, strictly) in bounds {
        let (Some(short), Some(long)) = (r.duration_if_valid(shorter), r.duration_if_valid(longer))
        else {
            continue;
        };
        if short > long || (strictly && short == long) {
            refuse_pair(r, shorter, longer, strictly);
        }
    }
}

/// Tells it under the key that somebody has set, if only one of them was.
fn refuse_pair(r: &mut Reader, shorter: &str, longer: &str, strictly: bool) {
    let is_default = |key| r.entry(key).is_some_and(|entry| entry.origin == Origin::Default);
    if is_default(longer) && !is_default(shorter) {
        let must = if strictly { "must be shorter than" } else { "must not be longer than" };
        let cure = format!("shorten it, or lengthen {longer}");
        r.refuse(shorter, format!("{must} {longer}"), cure);
    } else {
        let must = if strictly { "must be longer than" } else { "must not be shorter than" };
        let cure = format!("lengthen it, or shorten {shorter}");
        r.refuse(longer, format!("{must} {shorter}"), cure);
    }
}
