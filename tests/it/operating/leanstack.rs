//! Customers made known to Leanstack.

use serde_json::json;

use super::{Paper, bob};
use crate::{
    binary::{Environment, provisor},
    house::House,
};

impl House {
    /// What uses Leanstack says.
    fn advised(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LEANSTACK__ENABLED", "true".to_owned()),
            ("LEANSTACK__BASE_URL", format!("http://{}", self.sandbox.leanstack_addr())),
            ("LEANSTACK__ACCESS_TOKEN", "sandbox-token".to_owned()),
        ]
    }

    fn advised_operator(&self) -> Environment {
        let advised = self.advised();
        let changes: Vec<_> = advised.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.environment(&changes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_made_known_once() {
    let house = House::new().await;
    let advised = house.advised();
    let changes: Vec<_> = advised.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let (daemon, env, bob) = (house.daemon(&changes), house.advised_operator(), bob());
    let said = ["--by", "alice", "--why", "a new reseller"];
    let args = [&["leanstack", "add-customer", bob.path(), "--yes"], &said[..]].concat();
    for _ in 0..2 {
        let ended = provisor(&args, &env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with("Leanstack knows the customer C-77 since "), "{ended:?}");
    }
    let ended = provisor(&[&args[..], &["--json"]].concat(), &env).await;
    assert!(ended.json()["known_at"].is_string(), "{ended:?}");
    assert_eq!(house.sent_paths(), ["POST /v1/enterprise/add_customer"]);
    assert_eq!(house.sent()[0].1["customer"]["phone"], "31612345678");
    assert_eq!(house.sandbox.state().customers().len(), 1);
    assert_eq!(house.deeds().await, ["customer_introduced alice a new reseller"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_not_made_known_unasked_unread_or_where_nobody_would() {
    let house = House::new().await;
    let (env, bob) = (house.advised_operator(), bob());
    let incomplete = json!({ "reference": "C-78", "first_name": "Bob", "last_name": "Brown",
                             "email": "bob@example.com", "phone": "+31612345678" });
    let incomplete = Paper::new(&incomplete.to_string());
    let nameless = Paper::new("{}");
    for (file, tail, env, code, word) in [
        (&bob, &[][..], &env, 2, "--yes"),
        (&bob, &["--yes"], &house.operator(), 2, "leanstack.access_token"),
        (&incomplete, &["--yes"], &env, 1, "address: is required"),
        (&nameless, &["--yes"], &env, 1, "reference: is required"),
        // Nobody is there to carry it out.
        (&bob, &["--yes", "--wait", "1"], &env, 1, "does not know the customer C-77 yet"),
    ] {
        let args = [&["leanstack", "add-customer", file.path()], tail].concat();
        let ended = provisor(&args, env).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    let mut unused = env.clone();
    unused.insert("PROVISOR_LEANSTACK__ENABLED".to_owned(), "false".to_owned());
    let ended = provisor(&["leanstack", "add-customer", bob.path(), "--yes"], &unused).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("leanstack.enabled"), "{ended:?}");
    assert_eq!(house.sent(), vec![]);
}
