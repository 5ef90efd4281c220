//! `queue pause` and `queue resume`.

use std::time::Duration;

use provisor::db::{
    guests::Trials,
    operators::pauses::{Deed, Pausable},
    wakes::Lane,
};
use serde_json::{Value, json};

use super::asking::on_a_terminal;
use crate::{
    binary::provisor,
    doubt::database,
    house::{House, eventually, hosting},
    order_show::show,
};

impl House {
    /// What the events that are of no order tell, without who tells it: `queue_paused lane email`.
    pub(crate) async fn deeds(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', event, detail ->> 'by', detail ->> 'why', detail ->> 'what')
             FROM provisor.operator_events ORDER BY at",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("deeds can be read")
    }

    /// Whether irreversible requests are made, how much is paused, and how many circuits are open.
    async fn standing(&self) -> (bool, usize, i64) {
        let timeline = database(self).timeline().await.expect("it is read");
        let circuits = self.world.value("SELECT count(*) FROM provisor.circuits").await;
        (timeline.is_confirmed(), self.paused().await.len(), circuits)
    }

    async fn paused(&self) -> Vec<Value> {
        let stats = self.done(&["queue", "stats", "--json"]).await.json();
        stats["paused"].as_array().expect("a list").clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_paused_lane_is_claimed_before_it_goes_on() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let pause = ["queue", "pause", "--lane", "email", "--by", "alice", "--why", "wrong template"];
    let told = house.done(&pause).await.stdout;
    let hint = "Paused: lane email. Let it go on: provisor queue resume --lane email\n";
    assert_eq!(told, hint);
    let again = house.done(&pause).await.stdout;
    assert!(again.contains("Nothing to do: lane email is paused already."), "{again}");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    let owed = "SELECT count(*) FROM provisor.email_outbox WHERE status = 'queued'";
    assert!(house.world.value::<i64>(owed).await > 0, "the order goes on, its emails wait");
    assert!(house.sandbox.state().mails().is_empty());
    let paused = house.paused().await;
    let row = (&paused[0]["lane"], &paused[0]["by"], &paused[0]["why"]);
    assert_eq!(row, (&json!("email"), &json!("alice"), &json!("wrong template")), "{paused:?}");
    let shown = house.done(&["queue", "stats"]).await.stdout;
    assert!(shown.contains("paused: lane email, by alice since"), "{shown}");

    let other = house.done(&["queue", "resume", "--lane", "poll", "--by", "bob"]).await.stdout;
    assert!(other.contains("Nothing to do: lane poll was not paused."), "{other}");
    let resumed = house.done(&["queue", "resume", "--lane", "email", "--by", "bob"]).await.stdout;
    assert!(resumed.contains("Goes on: lane email."), "{resumed}");
    house.until_emailed().await;
    assert!(house.paused().await.is_empty());
    let deeds = [
        r#"queue_paused alice wrong template ["lane email"]"#,
        r#"queue_resumed bob ["lane email"]"#,
    ];
    assert_eq!(house.deeds().await, deeds);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_of_a_paused_upstream_and_the_order_says_why_it_waits() {
    let house = House::new().await;
    house.done(&["queue", "pause", "--upstream", "ljpc", "--by", "alice"]).await;
    let daemon = house.operators_daemon();
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(house.requests("POST", "/").is_empty());
    let shown = show(&house, "SHOP-1").await;
    assert!(
        shown
            .contains("placed after `provisor queue resume --upstream ljpc` (alice has paused it)"),
        "{shown}"
    );
    // A mended key is none of its business.
    house.done(&["queue", "resume", "--circuits"]).await;
    assert_eq!(house.paused().await.len(), 1);
    let resumed = house.done(&["queue", "resume", "--by", "bob"]).await.stdout;
    assert!(resumed.contains("What was paused goes on."), "{resumed}");
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.posts("SHOP-1").len(), house.bought("SHOP-1/0")), (1, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_everything_is_paused_and_idle_daemons_stay_idle() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    house.done(&["queue", "pause"]).await;
    assert_eq!(house.paused().await.len(), 7, "five lanes, and two upstreams");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    // What is due and can't be claimed keeps nobody busy: the claims of a second are counted.
    let claims = "SELECT coalesce(sum(run_token), 0)::bigint FROM provisor.wakes";
    let before: i64 = house.world.value(claims).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(house.world.value::<i64>(claims).await, before);
    assert_eq!(house.line_status("SHOP-1", 0).await, "pending");
    house.done(&["queue", "resume"]).await;
    eventually("it goes on", async || house.line_status("SHOP-1", 0).await == "completed").await;
    let wrong = provisor(&["queue", "pause", "--lane", "fast"], &house.operator()).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("place, retry, poll, email, audit"), "{wrong:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_confirmed_by_whoever_is_asked_and_says_yes() {
    let house = House::new().await;
    house.done(&["queue", "pause", "--lane", "email"]).await;
    house.world.run("UPDATE provisor.timeline SET confirmed = 'FFFFFFFF'").await;
    for answer in ["n\n", "\n"] {
        let (is_good, shown) = on_a_terminal(&house, &["queue", "resume"], answer).await;
        assert!(!is_good, "{shown}");
        for word in ["Have you looked", "[y/N]", "not agreed to"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert_eq!(house.standing().await, (false, 1, 0), "{answer:?}");
    }
    // What is paused alone is let go on without a question, and confirms nothing.
    house.done(&["queue", "resume", "--lane", "email"]).await;
    assert_eq!(house.standing().await, (false, 0, 0));
    let (is_good, shown) = on_a_terminal(&house, &["queue", "resume"], "y\n").await;
    assert!(is_good && shown.contains("restore is confirmed"), "{shown}");
    assert_eq!(house.standing().await, (true, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_comes_while_one_is_asked_is_not_confirmed() {
    let house = House::new().await;
    let db = database(&house);
    let deed = Deed { by: "alice", why: None };
    let everything = [Pausable::Lane(Lane::Email)];
    let trials = Trials { interval: Duration::from_secs(10) };
    for later in ["FFFFFFFE", "FFFFFFFF"] {
        let seen = db.timeline().await.unwrap();
        house.world.run(&format!("UPDATE provisor.timeline SET confirmed = '{later}'")).await;
        let resumed = db.resume(&seen, &everything, trials, deed).await.unwrap();
        assert!(resumed.is_none(), "{resumed:?}");
    }
    let seen = db.timeline().await.unwrap();
    for confirmed in [true, false] {
        let resumed = db.resume(&seen, &everything, trials, deed).await.unwrap();
        // The second comes after somebody else has confirmed it.
        assert_eq!(resumed.map(|it| it.confirmed), Some(confirmed));
    }
    assert_eq!(house.deeds().await, ["failover_confirmed alice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_does_all_of_it_or_nothing() {
    let house = House::new().await;
    house.done(&["queue", "pause", "--lane", "email", "--by", "alice"]).await;
    house
        .world
        .run(
            "UPDATE provisor.timeline SET confirmed = 'FFFFFFFF';
             INSERT INTO provisor.circuits (provider, endpoint, reason) VALUES ('ljpc', '', 'HTTP 503');
             -- The last of its notes fails, as if the command were killed there.
             ALTER TABLE provisor.events ADD CONSTRAINT killed CHECK (event <> 'circuits_closed')",
        )
        .await;
    let resume = ["queue", "resume", "--yes", "--by", "bob", "--why", "looked"];
    house.refused(&resume, 1, &[]).await;
    assert_eq!(house.standing().await, (false, 1, 1));
    assert_eq!(house.deeds().await, [r#"queue_paused alice ["lane email"]"#]);
    house.refused(&["queue", "resume", "--circuits"], 1, &[]).await;
    assert_eq!(house.standing().await, (false, 1, 1));

    house.world.run("ALTER TABLE provisor.events DROP CONSTRAINT killed").await;
    house.done(&resume).await;
    assert_eq!(house.standing().await, (true, 0, 0));
    let deeds = house.deeds().await;
    let told: Vec<&str> = deeds.iter().map(|deed| deed.split(" [").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "queue_paused alice",
            "failover_confirmed bob looked",
            "queue_resumed bob looked",
            "circuits_closed bob looked"
        ]
    );
}
