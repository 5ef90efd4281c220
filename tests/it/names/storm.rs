//! Many orders of names under all faults at once, two daemons beside each other: whatever happens, nothing is bought twice,
//! and everything ends or waits for a person.

use serde_json::{Value, json};
use sqlx::Row as _;

use super::{a_record, customer, dns, register, transfer, update};
use crate::house::{House, eventually, hosting};

/// Names that are ordered, each by two customers.
const NAMES: usize = 16;

/// The faults of every endpoint of LJPc's, each with its probability.
fn faults() -> Vec<Value> {
    [
        json!({ "fault": "process_then_drop", "probability": 0.05 }),
        json!({ "fault": "drop", "probability": 0.05 }),
        json!({ "fault": "garbage", "probability": 0.03 }),
        json!({ "fault": "truncate", "probability": 0.03 }),
        json!({ "fault": "html", "probability": 0.03 }),
        json!({ "fault": "status", "status": 500, "probability": 0.03 }),
        json!({ "fault": "status", "status": 422, "message": "no", "probability": 0.01 }),
        json!({ "fault": "rate_limit", "retry_after": "1", "probability": 0.03 }),
        json!({ "fault": "unauthorized", "probability": 0.01 }),
        json!({ "fault": "status", "status": 403, "message": "Permission denied", "probability": 0.01 }),
    ]
    .into_iter()
    .map(|mut fault| {
        fault["endpoint"] = json!("LJPc *");
        fault["times"] = json!(100_000);
        fault
    })
    .collect()
}

/// The lines of an order for a name: each order is of another shape.
fn lines(name: &str, n: usize) -> Value {
    let records = json!([a_record("@", "192.0.2.10")]);
    let wish = json!({ "auto_renew": false, "dns": records });
    match n % 5 {
        0 => json!([register(name, wish), hosting(name)]),
        1 => json!([transfer(name, json!({ "transfer_lock": false })), hosting(name)]),
        2 => json!([register(name, json!({ "route": "order" })), dns(name, &records)]),
        3 => json!([
            register(name, json!({ "years": 2 })),
            update(name, json!({ "auto_renew": false })),
            { "kind": "hosting", "package": "hosting_dns", "domain": name },
            dns(name, &records),
        ]),
        _ => json!([transfer(name, json!({ "route": "order", "auto_renew": false }))]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_bought_twice_whatever_goes_wrong() {
    let house = House::new().await;
    for fault in faults() {
        house.fault(&fault);
    }
    let quick = [
        ("POLL__TRANSFER_MAX_INTERVAL", "500ms"),
        ("POLL__FAILED_RECHECK", "1s"),
        ("LJPC__EVIDENCE_INTERVAL", "200ms"),
    ];
    let daemons = [house.daemon(&quick), house.daemon(&quick)];
    for n in 0..NAMES * 2 {
        let (name, whose) = (format!("name-{}.nl", n % NAMES), customer(&format!("C-{}", n % 7)));
        house.order_of(&format!("SHOP-{n}"), &whose, lines(&name, n)).await;
    }
    // Some of it under faults; the rest must come to its end without.
    let ended = "SELECT count(*) FROM provisor.order_lines WHERE status IN ('completed', 'failed', 'in_doubt')";
    eventually("much has ended", async || house.world.value::<i64>(ended).await > 30).await;
    house.no_more_faults();
    let unsettled = "SELECT count(*) FROM provisor.order_lines l
                     WHERE l.status IN ('placing', 'held') OR l.status IN ('pending', 'provisioning')
                       AND NOT EXISTS (SELECT FROM provisor.order_lines d
                                       WHERE d.status = 'in_doubt' AND d.domain = l.domain)";
    eventually("all has ended, or waits for what is in doubt", async || {
        house.world.value::<i64>(unsettled).await == 0 && nothing_is_overlooked(&house).await
    })
    .await;

    house.assert_bought_once();
    let twice = "SELECT count(*) FROM provisor.order_events WHERE event = 'bought_twice'";
    assert_eq!(house.world.value::<i64>(twice).await, 0);
    compare_names(&house).await;
    let secrets = "SELECT count(*) FROM provisor.transfer_secrets s JOIN provisor.order_lines l ON l.id = s.line_id
                   WHERE l.status IN ('completed', 'failed', 'cancelled')";
    assert_eq!(house.world.value::<i64>(secrets).await, 0, "codes of what has ended are gone");
    for daemon in daemons {
        daemon.stop().await;
    }
}

/// Whether no name that came by a line is still in doubt, unless it came by an order, which can't be looked for.
async fn nothing_is_overlooked(house: &House) -> bool {
    let doubted: Vec<String> = sqlx::query_scalar(
        "SELECT o.reference || '/' || l.line FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
         WHERE l.status = 'in_doubt' AND l.kind IN ('domain_register', 'domain_transfer')
           AND coalesce(l.wish ->> 'route', 'direct') = 'direct'",
    )
    .fetch_all(&house.world.pool)
    .await
    .expect("lines can be read");
    let domains = house.sandbox.state().domains();
    !domains.iter().any(|domain| domain.reference.as_ref().is_some_and(|tag| doubted.contains(tag)))
}

/// What is said to be delivered is there, and as it was wished; what is said to have failed was not bought by it.
async fn compare_names(house: &House) {
    let domains = house.sandbox.state().domains();
    let rows = sqlx::query(
        "SELECT o.reference || '/' || l.line, l.domain, l.status, l.reason, d.auto_renew_wished
         FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
         LEFT JOIN provisor.domains d ON d.line_id = l.id
         WHERE l.kind IN ('domain_register', 'domain_transfer')",
    )
    .fetch_all(&house.world.pool)
    .await
    .expect("lines can be read");
    let mut completed = 0;
    for row in &rows {
        let (tag, name, status): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (reason, wished): (Option<String>, Option<bool>) = (row.get(3), row.get(4));
        let there = domains.iter().find(|domain| domain.domain == name);
        let ours = there.filter(|domain| domain.reference.as_deref() == Some(&tag));
        match status.as_str() {
            "completed" => {
                completed += 1;
                let domain = there.unwrap_or_else(|| panic!("{tag}: {name} is there"));
                let is_so = wished.is_none_or(|wished| domain.auto_renew == wished);
                assert!(is_so || reason.is_some(), "{tag}: {domain:?} {wished:?}");
            }
            "failed" => {
                let active = ours.filter(|domain| domain.status == "active");
                assert!(active.is_none(), "{tag} has bought {name}, and is failed: {reason:?}");
            }
            _ => {}
        }
    }
    assert!(completed >= NAMES / 4, "{completed} of {NAMES} names were delivered");
}
