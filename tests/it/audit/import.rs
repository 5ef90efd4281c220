//! What was sold before Provisor came.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{binary::Ended, house::House};

const HEADER: &str = "domain,site_id,reference,first_name,last_name,email,locale,auto_renew";

impl House {
    async fn imports(&self, list: &str, args: &[&str]) -> Ended {
        let file: PathBuf =
            std::env::temp_dir().join(format!("owners-{}.csv", uuid::Uuid::new_v4()));
        std::fs::write(&file, list).expect("a file");
        let shown = file.to_str().expect("a path");
        let all: Vec<&str> = ["import", "--owners", shown].iter().chain(args).copied().collect();
        let ended = self.audit(&all).await;
        let _ = std::fs::remove_file(&file);
        ended
    }

    async fn owned(&self) -> Vec<(String, String, Option<bool>)> {
        sqlx::query_as(
            "SELECT d.domain, c.reference, d.auto_renew_wished
             FROM provisor.domains d JOIN provisor.customers c ON c.id = d.customer_id ORDER BY d.domain",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("domains can be read")
    }
}

/// An account with two names and a site.
async fn sold() -> House {
    let house = House::new().await;
    for name in ["example.nl", "xn--mnchen-3ya.de"] {
        house.seems(&json!({ "domain": name, "status": "active", "auto_renew": true }));
    }
    house.hosts(&json!({ "id": 3000, "domain": "example.nl" }));
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_account_has_is_listed_filled_in_and_imported() {
    let house = sold().await;
    let ended = house.audit(&["import"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows: Vec<&str> = ended.stdout.lines().map(|line| line.trim_end_matches(',')).collect();
    assert_eq!(rows[1..], ["example.nl", "xn--mnchen-3ya.de", ",3000"], "{ended:?}");
    let unowned = house.audit(&["import", "--json"]).await.json();
    assert_eq!(unowned[0], json!({ "domain": "example.nl" }));
    house.audited().await;
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["domain_unknown", "domain_unknown", "site_unknown"]);

    let list = format!(
        "{HEADER}\nExample.nl,,C-1,Bob,Brown,bob@example.com,nl,false\nm\u{fc}nchen.de,,C-2,Ann,Lee,ann@example.com,,\n\
         ,3000,C-1,Bob,Brown,bob@example.com,nl,\n"
    );
    let dry = house.imports(&list, &["--dry-run", "--json"]).await;
    assert_eq!((&dry.json()["domains"], &dry.json()["sites"]), (&json!(2), &json!(1)), "{dry:?}");
    assert_eq!(house.owned().await, []);
    assert_eq!(house.deeds().await, <[String; 0]>::default(), "to try it is no deed");
    for (domains, sites, known) in [(2, 1, 0), (0, 0, 3)] {
        let said = ["--json", "--by", "alice", "--why", "from the old shop"];
        let ended = house.imports(&list, &said).await;
        let told = ended.json();
        let counts = [&told["domains"], &told["sites"], &told["known"]].map(Value::as_i64);
        assert_eq!(counts, [Some(domains), Some(sites), Some(known)], "{ended:?}");
    }
    assert_eq!(
        house.owned().await,
        [
            ("example.nl".to_owned(), "C-1".to_owned(), Some(false)),
            ("xn--mnchen-3ya.de".to_owned(), "C-2".to_owned(), None),
        ]
    );
    house.audited().await;
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["auto_renew_mismatch"]);
    assert_eq!(house.audit(&["import", "--json"]).await.json(), json!([]));
    // The second time it was the wish alone.
    assert_eq!(house.deeds().await, ["assets_imported alice from the old shop"; 2]);
    let counts: Value = house
        .world
        .value("SELECT jsonb_agg(detail - 'by' - 'why' ORDER BY at) FROM provisor.operator_events")
        .await;
    assert_eq!(
        counts,
        json!([{ "domains": 2, "sites": 1, "auto_renew_wishes": 1 },
               { "domains": 0, "sites": 0, "auto_renew_wishes": 1 }])
    );
    let wishless = list.replace(",nl,false", ",nl,");
    assert_eq!(house.imports(&wishless, &[]).await.code, Some(0));
    assert_eq!(house.deeds().await.len(), 2, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_mistakes_imports_nothing_and_tells_them_all() {
    let house = sold().await;
    let list = format!(
        "{HEADER}\nexample.nl,,,Bob,Brown,bob@example.com,nl,\nno name,,C-1,Bob,Brown,bob@example.com,,\n\
         ,many,C-1,Bob,Brown,bob@example.com,,\nexample.nl,3000,C-1,Bob,Brown,bob@example.com,,\n\
         ,,C-1,Bob,Brown,bob@example.com,,\nexample.nl,,C-1,Bob,Brown,bob@example.com,,perhaps\n"
    );
    let ended = house.imports(&list, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for (line, what) in [
        (2, "reference is required"),
        (3, "domain:"),
        (4, "site_id: many is no number"),
        (5, "both"),
        (6, "neither"),
        (7, "auto_renew"),
    ] {
        let told = ended
            .stderr
            .lines()
            .any(|it| it.starts_with(&format!("line {line}:")) && it.contains(what));
        assert!(told, "line {line}, {what}: {}", ended.stderr);
    }
    let unknown = house.imports("domain,name\nexample.nl,Bob\n", &[]).await;
    assert!(unknown.stderr.contains("unknown field `name`"), "{unknown:?}");
    let missing = house.audit(&["import", "--owners", "/nonexistent/owners.csv"]).await;
    assert!(missing.stderr.contains("/nonexistent/owners.csv can't be read"), "{missing:?}");
    assert_eq!(house.owned().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_account_lacks_and_what_is_anothers_is_refused_or_left_out() {
    let house = sold().await;
    house.own("domain", "example.nl", super::owner(9), json!({ "status": "active" })).await;
    let list = format!(
        "{HEADER}\nexample.nl,,C-1,Bob,Brown,bob@example.com,,\ngone.nl,,C-1,Bob,Brown,bob@example.com,,\n\
         m\u{fc}nchen.de,,C-1,Bob,Brown,bob@example.com,,\n"
    );
    let ended = house.imports(&list, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("line 2: example.nl is another customer's already"), "{ended:?}");
    assert!(ended.stderr.contains("line 3: the account does not have gone.nl"), "{ended:?}");
    assert_eq!(house.owned().await.len(), 1);
    let ended = house.imports(&list, &["--skip"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("1 domains and 0 sites imported"), "{ended:?}");
    // What the database finds wrong of an owner refuses the list, too.
    let wrong = format!("{HEADER}\nxn--mnchen-3ya.de,,C-1,Bob,Brown,bob@example.com,fr,\n");
    let ended = house.imports(&wrong, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("locale"), "{ended:?}");
}
