//! Audits that are cut off at each boundary, and gone on with: each reminder and each digest is sent once.

use futures_util::{StreamExt as _, stream};
use provisor::{clock, failpoints::NAMES};
use serde_json::json;

use crate::{
    house::{House, Room, eventually},
    kinds::order,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_is_cut_off_is_gone_on_with_and_reminds_once() {
    let house = House::new().await;
    let points: Vec<&str> =
        NAMES.iter().copied().filter(|point| point.starts_with("audit.")).collect();
    assert!(points.len() >= 9, "{points:?}");
    let cells =
        points.into_iter().flat_map(|point| ["kill", "panic"].map(|action| (point, action)));
    let played = cells.enumerate().map(|(n, (point, action))| {
        let house = &house;
        async move {
            let label = format!("audit{n:02}x");
            cut_off(&house.room(&label).await, &label, point, action).await;
        }
    });
    stream::iter(played).buffer_unordered(4).collect::<Vec<()>>().await;
}

/// A customer's name that expires soon, and hosting, whose prices are asked for.
async fn furnish(room: &Room<'_>, label: &str) {
    let name = format!("{label}.nl");
    let expires_at = (clock::now() + chrono::TimeDelta::days(20)).to_rfc3339();
    let seen =
        json!({ "domain": name, "status": "active", "auto_renew": true, "expires_at": expires_at });
    room.house.sandbox.state().put_domain(&seen).expect("a domain");
    let owner = json!({ "reference": "C-1", "first_name": "Bob", "last_name": "Brown", "email": "bob@example.com" });
    // What differs from the wish is looked at directly.
    let import =
        format!("SELECT provisor.import_asset('domain', '{name}', '{owner}', '{seen}', false)");
    assert_eq!(room.value::<String>(&import).await, "imported");
    let daemon = room.daemon("", &[]);
    let line = json!({ "kind": "hosting", "package": "hosting_5gb", "domain": format!("www.{name}"),
                       "billing_period": "monthly" });
    room.submit("submit_order", &order(label, &line)).await;
    room.until_line("completed").await;
    daemon.drain().await;
}

async fn cut_off(room: &Room<'_>, label: &str, point: &str, action: &str) {
    furnish(room, label).await;
    room.run("UPDATE provisor.audit_schedule SET since = now() - interval '3 days'").await;
    // Whoever had nothing to do comes again in minutes.
    room.run("UPDATE provisor.wakes SET due_at = clock_timestamp() WHERE lane = 4").await;
    let mut first = room.daemon(&format!("{point}={action}"), &[]);
    first.until_reached(point).await;
    if action == "kill" {
        first.until_ended().await;
    }
    let second = room.daemon("", &[]);
    eventually(&format!("the audit has ended, {point} {action}"), async || {
        let ended = "SELECT count(*) FROM provisor.audit_runs WHERE kind = 'scheduled' AND ended_at IS NOT NULL";
        room.value::<i64>(ended).await == 1
    })
    .await;
    eventually("all is sent", async || {
        room.value("SELECT NOT EXISTS (SELECT FROM provisor.email_outbox WHERE status = 'queued')")
            .await
    })
    .await;
    second.drain().await;
    if action != "kill" {
        first.drain().await;
    }
    let owed = "SELECT string_agg(template || ' ' || status, ', ' ORDER BY template)
                FROM provisor.email_outbox WHERE template IN ('domain_expiring', 'ops_audit')";
    let sent = room.value::<String>(owed).await;
    assert_eq!(sent, "domain_expiring sent, ops_audit sent", "{point} {action}");
    let runs = room.value::<i64>("SELECT count(*) FROM provisor.audit_runs").await;
    assert_eq!(runs, 1, "{point} {action}");
    let readings = room.value::<i64>("SELECT count(*) FROM provisor.audit_readings").await;
    assert_eq!(readings, 0, "{point} {action}: what was read is dropped");
    let told = "SELECT count(*) FROM provisor.reminders WHERE outcome = 'owed'";
    assert_eq!(room.value::<i64>(told).await, 1, "{point} {action}");
}
