//! Zones: compared, replaced, brought back.

use serde_json::{Value, json};

use super::Paper;
use crate::{binary::provisor_reading, house::House};

const ZONE: &str = "PUT /api/hosting/v1/dns/zones/example.nl/records";

fn a(content: &str) -> Value {
    json!({ "type": "A", "name": "@", "content": content, "ttl": 3600, "prio": null })
}

fn mx() -> Value {
    json!({ "type": "MX", "name": "@", "content": "mail.example.nl", "ttl": 3600, "prio": 10 })
}

/// What stands in the zone upstream.
fn contents(house: &House) -> Vec<String> {
    let records = house.sandbox.state().zone("example.nl").unwrap_or_default();
    records.iter().map(|record| format!("{} {}", record.kind, record.content)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_compared_replaced_and_brought_back() {
    let house = House::new().await;
    house.put_name("example.nl");
    let daemon = house.operators_daemon();
    let first = Paper::new(&json!([a("192.0.2.10"), mx()]).to_string());
    let second = Paper::new(&json!({ "records": [a("192.0.2.11"), mx()] }).to_string());
    let put = |file| ["ljpc", "dns", "put", "example.nl", file, "--yes"];

    let new = house.done(&["ljpc", "dns", "diff", "example.nl", first.path()]).await;
    assert_eq!(new.stdout, "+ @ 3600 A 192.0.2.10\n+ @ 3600 MX 10 mail.example.nl\n");
    assert!(new.stderr.contains("is different: 0 would go, 2 would come"), "{new:?}");
    house
        .refused(&["ljpc", "dns", "rollback", "example.nl", "--yes"], 1, &["nothing to go back to"])
        .await;
    house.done(&put(first.path())).await;
    house.done(&put(second.path())).await;
    assert_eq!(contents(&house), ["A 192.0.2.11", "MX mail.example.nl"]);
    let again = house.done(&put(second.path())).await;
    assert_eq!(again.stdout, "Nothing to do: it is so already.\n");
    let same = house.done(&["ljpc", "dns", "diff", "example.nl", second.path()]).await;
    assert_eq!(same.stdout, "The zone example.nl is the same.\n");
    let differs =
        house.done(&["ljpc", "dns", "diff", "example.nl", first.path(), "--json"]).await.json();
    assert_eq!(
        differs,
        json!({ "domain": "example.nl", "same": false, "added": [a("192.0.2.10")], "removed": [a("192.0.2.11")] })
    );

    let list =
        house.done(&["ljpc", "dns", "rollback", "example.nl", "--list", "--json"]).await.json();
    let counts: Vec<usize> =
        list.as_array().unwrap().iter().map(|it| it["records"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 0], "the latest first: {list}");
    let back = house.done(&["ljpc", "dns", "rollback", "example.nl", "--yes"]).await;
    assert!(
        back.stderr.contains("- @ 3600 A 192.0.2.11\n       + @ 3600 A 192.0.2.10"),
        "{back:?}"
    );
    assert_eq!(contents(&house), ["A 192.0.2.10", "MX mail.example.nl"]);
    // The oldest: no records at all.
    let tag = list[1]["tag"].as_str().unwrap();
    house.done(&["ljpc", "dns", "rollback", "example.nl", "--to", tag, "--yes"]).await;
    assert_eq!(contents(&house), <[String; 0]>::default());
    let unknown = ["ljpc", "dns", "rollback", "example.nl", "--to", "SHOP-1/0", "--yes"];
    house
        .refused(
            &unknown,
            1,
            &["no change of the zone example.nl bears the tag SHOP-1/0", "--list"],
        )
        .await;
    assert_eq!(house.sent_paths(), [ZONE; 4]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dns_get_prints_can_be_put_back() {
    let house = House::new().await;
    house.put_name("example.nl");
    let daemon = house.operators_daemon();
    let records = json!([a("192.0.2.10"), mx()]).to_string();
    house.done_reading(&["ljpc", "dns", "put", "example.nl", "-", "--yes"], &records).await;
    let zone = house.done(&["ljpc", "dns", "get", "example.nl", "--json"]).await.stdout;
    let same = house
        .done_reading(&["ljpc", "dns", "diff", "example.nl", "-", "--json"], &zone)
        .await
        .json();
    assert_eq!(same["same"], true, "{same}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_none_are_refused_with_their_index() {
    let house = House::new().await;
    house.put_name("example.nl");
    for (records, words) in [
        (json!([a("192.0.2.10"), a("192.0.2")]), "records[1].content: must be an IPv4 address"),
        (
            json!([{ "type": "A", "name": "@", "content": "192.0.2.1", "ttl": 1 }]),
            "lines[0].records[0].ttl",
        ),
        (json!([{ "type": "A", "name": "@" }]), "no DNS record"),
        (json!({ "zone": [] }), "no records"),
    ] {
        let args = ["ljpc", "dns", "put", "example.nl", "-", "--yes"];
        let ended = provisor_reading(&args, &house.operator(), &records.to_string()).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
    assert_eq!((house.sent(), house.orders().await), (vec![], 0));
}
