//! Daemons behind a pooler that lends sessions by the transaction, with `queue.listen = false`.

use serde_json::{Value, json};
use sqlx::{Executor as _, Row as _, raw_sql};

use crate::{
    house::{House, eventually, hosting},
    pooler::{Mode, Pooler},
    verdict::times,
};

/// Sessions that are lent, to far more clients.
const SESSIONS: u32 = 3;

/// Orders of the storm.
const ORDERS: usize = 30;

/// Notes under which durability each statement that changes something is committed: by the owner's triggers, which see what
/// its own transaction has set.
const WATCH: &str = "
    CREATE UNLOGGED TABLE public.watched (what text, claim boolean, setting text);
    CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.watched VALUES (TG_TABLE_NAME || ' ' || TG_OP, false, current_setting('synchronous_commit'));
        RETURN NULL;
    END $$;
    CREATE FUNCTION public.watch_wake() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.watched
        VALUES ('wakes UPDATE', NEW.run_token > OLD.run_token, current_setting('synchronous_commit'));
        RETURN NULL;
    END $$;
    DO $$
    DECLARE name text;
    BEGIN
        FOR name IN SELECT relname FROM pg_class
                    WHERE relnamespace = 'provisor'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                      AND relname <> 'wakes' LOOP
            EXECUTE format('CREATE TRIGGER watched AFTER INSERT OR UPDATE OR DELETE ON provisor.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION public.watch()', name);
        END LOOP;
    END $$;
    CREATE TRIGGER watched AFTER INSERT OR DELETE ON provisor.wakes FOR EACH STATEMENT EXECUTE FUNCTION public.watch();
    CREATE TRIGGER watched_each AFTER UPDATE ON provisor.wakes FOR EACH ROW EXECUTE FUNCTION public.watch_wake();
";

/// An order of another shape each: hosting, a name with its records, both.
fn order(n: usize) -> Value {
    let name = format!("{n}.nl");
    let register = json!({ "kind": "domain_register", "domain": name, "auto_renew": n.is_multiple_of(2),
                           "dns": [{ "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 }] });
    let lines = match n % 3 {
        0 => json!([hosting(&name)]),
        1 => json!([register]),
        _ => json!([register, hosting(&name)]),
    };
    let customer = json!({ "reference": format!("C-{}", n % 7), "first_name": "Bob", "last_name": "Brown",
                           "email": "bob@example.com", "phone": "+31612345678", "address": "Teststreet 1",
                           "postal_code": "1234AB", "city": "Testcity", "country": "NL" });
    json!({ "reference": format!("SHOP-{n}"), "customer": customer, "lines": lines })
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_orders_are_delivered_and_only_claims_are_asynchronous() {
    let house = House::new().await;
    raw_sql(WATCH).execute(&house.world.pool).await.expect("the triggers are made");
    let pooler = Pooler::before(&house.world.server, Mode::Transaction, SESSIONS).await;
    for fault in ["process_then_drop", "drop", "rate_limit"] {
        house.fault(
            &json!({ "endpoint": "LJPc *", "fault": fault, "probability": 0.02, "times": 20 }),
        );
    }
    let url = pooler.url();
    let settings = [
        ("DATABASE__URL", url.as_str()),
        ("QUEUE__LISTEN", "false"),
        ("POLL__TRANSFER_MAX_INTERVAL", "500ms"),
        ("LJPC__EVIDENCE_INTERVAL", "200ms"),
    ];
    let daemons = [house.daemon(&settings), house.daemon(&settings)];
    for n in 0..ORDERS * times() {
        house.world.submit(&order(n)).await.expect("the order is well formed");
    }
    house.assert_exactly_once().await;
    assert!(house.lines("completed").await > 30, "{}", house.lines("completed").await);
    for daemon in daemons {
        daemon.stop().await;
    }
    assert_only_claims_were_asynchronous(&house).await;
    assert_nothing_is_left(&pooler).await;
    // What a session knows and another one asks for, or has already.
    let log = house.world.server.log();
    assert!(!log.contains("prepared statement"), "{log}");
    assert!(!log.contains("LISTEN"), "{log}");
    assert!(!pooler.log().contains("unsupported startup parameter"), "{}", pooler.log());
}

async fn assert_only_claims_were_asynchronous(house: &House) {
    let rows = sqlx::query(
        "SELECT what, claim, setting, count(*) FROM public.watched GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    .fetch_all(&house.world.pool)
    .await
    .expect("it was watched");
    let (mut claims, mut others) = (0, 0);
    for row in &rows {
        let (what, claim, setting): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
        let count: i64 = row.get(3);
        assert_eq!(setting, if claim { "off" } else { "on" }, "{what}, {count} times");
        *(if claim { &mut claims } else { &mut others }) += count;
    }
    assert!(claims > 60 && others > 200, "{claims} claims, {others} other changes");
}

/// Looks into every session that was lent: each is held by a transaction, so that the next one is another.
async fn assert_nothing_is_left(pooler: &Pooler) {
    let mut clients = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..SESSIONS {
        let mut client = pooler.connect().await.expect("the pooler answers");
        client.execute("BEGIN").await.expect("a transaction");
        let row = client
            .fetch_one(raw_sql(
                "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements),
                        current_setting('synchronous_commit'), current_setting('lock_timeout'),
                        (SELECT count(*) FROM pg_listening_channels()),
                        (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
                        (SELECT count(*) FROM pg_cursors)",
            ))
            .await
            .expect("the session can be looked into");
        seen.insert(row.get::<i32, _>(0));
        assert_eq!(row.get::<i64, _>(1), 0, "prepared statements");
        assert_eq!(row.get::<String, _>(2), "on", "synchronous_commit");
        assert_eq!(row.get::<String, _>(3), "0", "lock_timeout");
        assert_eq!(row.get::<i64, _>(4), 0, "channels");
        assert_eq!(row.get::<i64, _>(5), 0, "advisory locks");
        assert_eq!(row.get::<i64, _>(6), 0, "cursors");
        clients.push(client);
    }
    assert_eq!(seen.len(), usize::try_from(SESSIONS).expect("a few"), "all sessions");
}

/// What the mode is for: the driver's own manner, which names its statements by counting, fails here.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_of_ones_own_allows_a_lent_one_does_not() {
    let house = House::new().await;
    let pooler = Pooler::before(&house.world.server, Mode::Transaction, 1).await;
    let mut first = pooler.connect().await.expect("the pooler answers");
    let mut second = pooler.connect().await.expect("the pooler answers");
    let ask = "SELECT count(*) FROM provisor.orders WHERE id = $1";
    let asked = sqlx::query(ask).bind(1_i64).fetch_one(&mut first).await;
    asked.expect("the first one is alone");
    let met = sqlx::query(ask).bind(1_i64).fetch_one(&mut second).await.expect_err("a clash");
    let code = met.as_database_error().and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("42P05"), "{met}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_that_lends_whole_sessions_nothing_is_different() {
    let house = House::new().await;
    let pooler = Pooler::before(&house.world.server, Mode::Session, 20).await;
    // Only a notification makes anybody look.
    let url = pooler.url();
    let settings = [("DATABASE__URL", url.as_str()), ("QUEUE__POLL_INTERVAL", "10m")];
    let daemon = house.daemon(&settings);
    let listeners = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    eventually("it listens", async || house.world.value::<i64>(listeners).await > 0).await;
    house.submit_some(0..6).await;
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 6);
    daemon.stop().await;
}
