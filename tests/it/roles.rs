//! Who may do what, how the schema comes to be in a shared cluster, and how long history is kept.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::documents;
use crate::intake::refusal;
use crate::{
    house::{House, hosting},
    world::World,
};
use provisor::db::{Database, Purpose};

/// The objects of the schema, of the kinds that `pg_class` knows by these letters: r and p are tables, S sequences.
async fn relations(world: &World, kinds: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT 'provisor.' || quote_ident(c.relname) FROM pg_class AS c
         WHERE c.relnamespace = 'provisor'::regnamespace AND c.relkind::text = ANY (string_to_array($1, NULL))",
    )
    .bind(kinds)
    .fetch_all(&world.pool)
    .await
    .expect("the catalogue")
}

async fn tries(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(sql)).await.map(drop)
}

#[tokio::test]
async fn the_storefront_may_do_what_the_contract_says_and_nothing_else() {
    let world = World::new().await;
    let mut shop = world.acting_as("provisor_storefront").await;
    let document = documents::example("S-1");
    for allowed in [
        format!("SELECT provisor.submit_order('{document}')"),
        format!("SELECT * FROM provisor.validate_order('{document}')"),
        format!(
            "INSERT INTO provisor.order_intake (payload) VALUES ('{document}') RETURNING order_id"
        ),
        "SELECT provisor.set_auto_renew('example.nl', false)".to_owned(),
        "SELECT provisor.update_customer('{\"reference\": \"C-77\"}')".to_owned(),
        "SELECT provisor.cancel_order('S-1')".to_owned(),
        "TABLE provisor.order_status".to_owned(),
        "TABLE provisor.line_status".to_owned(),
        "TABLE provisor.domain_status".to_owned(),
        "TABLE provisor.site_status".to_owned(),
        "TABLE provisor.order_events".to_owned(),
        "LISTEN provisor_order_status".to_owned(),
    ] {
        tries(&mut shop, allowed.clone())
            .await
            .unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    let mut refused = vec!["SELECT payload FROM provisor.order_intake".to_owned()];
    let tables = relations(&world, "rp").await;
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        refused.push(format!("SELECT FROM {table}"));
        refused.push(format!("DELETE FROM {table}"));
        refused.push(format!("INSERT INTO {table} DEFAULT VALUES"));
    }
    for sequence in relations(&world, "S").await {
        refused.push(format!("SELECT nextval('{sequence}')"));
    }
    for refused in refused {
        assert_eq!(refusal(tries(&mut shop, refused.clone()).await).0, "42501", "{refused}");
    }
}

#[tokio::test]
async fn functions_are_for_the_roles_that_they_were_granted_to() {
    let world = World::new().await;
    let executable = |role: &'static str| {
        let world = &world;
        async move {
            let names: Vec<String> = sqlx::query_scalar(
                "SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'provisor'::regnamespace
                 AND has_function_privilege($1, p.oid, 'EXECUTE') ORDER BY p.proname",
            )
            .bind(role)
            .fetch_all(&world.pool)
            .await
            .expect("the catalogue");
            names
        }
    };
    let shop =
        ["cancel_order", "set_auto_renew", "submit_order", "update_customer", "validate_order"];
    assert_eq!(executable("public").await, <[String; 0]>::default());
    assert_eq!(executable("provisor_readonly").await, <[String; 0]>::default());
    assert_eq!(executable("provisor_storefront").await, shop);
    let unpinned: Vec<String> = sqlx::query_scalar(
        "SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'provisor'::regnamespace AND p.prosecdef
         AND NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig)",
    )
    .fetch_all(&world.pool)
    .await
    .expect("the catalogue");
    assert_eq!(unpinned, <[String; 0]>::default(), "SECURITY DEFINER without a pinned search_path");
}

/// What each role may do with each thing of the schema, as the server itself judges it: a line for each thing with which a
/// role may do anything, and its verbs; with the columns, where it may do so with some alone.
#[tokio::test]
async fn every_role_may_do_with_every_object_what_is_written_down_and_no_more() {
    const RIGHTS: &str = "
        WITH roles (role) AS (
            VALUES ('public'), ('provisor_storefront'), ('provisor_worker'), ('provisor_readonly')),
        verbs (kinds, verb) AS (
            VALUES ('rpv', 'SELECT'), ('rpv', 'INSERT'), ('rpv', 'UPDATE'), ('rpv', 'DELETE'), ('rpv', 'TRUNCATE'),
                   ('rpv', 'REFERENCES'), ('rpv', 'TRIGGER'), ('S', 'USAGE'), ('S', 'SELECT'), ('S', 'UPDATE')),
        relations AS (
            SELECT c.oid, c.relname AS name, c.relkind::text AS kind, c.relispartition AS is_part
            FROM pg_class c WHERE c.relnamespace = 'provisor'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')),
        rights AS (
            SELECT role, name, is_part, verb,
                   CASE WHEN kind = 'S' THEN has_sequence_privilege(role, oid, verb)
                        ELSE has_table_privilege(role, oid, verb) END AS is_whole,
                   CASE WHEN kind <> 'S' AND verb IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') THEN (
                       SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
                       WHERE a.attrelid = oid AND a.attnum > 0 AND NOT a.attisdropped
                         AND has_column_privilege(role, oid, a.attnum, verb)) END AS columns
            FROM relations CROSS JOIN roles JOIN verbs ON position(kind IN kinds) > 0),
        told AS (
            SELECT role, name, is_part,
                   string_agg(CASE WHEN is_whole THEN verb ELSE verb || ' (' || columns || ')' END, ', '
                              ORDER BY verb) AS may
            FROM rights WHERE is_whole OR columns IS NOT NULL GROUP BY role, name, is_part
            UNION ALL
            SELECT role, p.proname || '()', false, 'EXECUTE'
            FROM roles JOIN pg_proc p ON p.pronamespace = 'provisor'::regnamespace
                 AND has_function_privilege(role, p.oid, 'EXECUTE')
            UNION ALL
            SELECT role, '(the schema)', false, string_agg(verb, ', ' ORDER BY verb)
            FROM roles CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS v (verb)
            WHERE has_schema_privilege(role, 'provisor', verb) GROUP BY role)
        SELECT role, name, is_part, may FROM told ORDER BY role, name COLLATE \"C\"";
    let world = World::new().await;
    let rights: Vec<(String, String, bool, String)> =
        sqlx::query_as(RIGHTS).fetch_all(&world.pool).await.expect("the catalogue");
    // Partitions come and go: nobody may reach one by its own name.
    let parts: Vec<_> = rights.iter().filter(|(_, _, is_part, _)| *is_part).collect();
    assert!(parts.is_empty(), "{parts:?}");
    let (mut lines, mut before) = (Vec::new(), "");
    for (role, name, _, may) in &rights {
        if role != before {
            lines.push(role.clone());
            before = role;
        }
        lines.push(format!("    {name}: {may}"));
    }
    insta::assert_snapshot!("rights", lines.join("\n"));
}

#[tokio::test]
async fn the_worker_may_write_and_the_reader_sees_no_personal_data() {
    let world = World::new().await;
    world.submit(&documents::example("R-1")).await.expect("a good document");
    let mut worker = world.acting_as("provisor_worker").await;
    for allowed in [
        "UPDATE provisor.order_lines SET status = 'placing', sent = true WHERE line = 0",
        "SELECT document FROM provisor.orders",
        "INSERT INTO provisor.events (order_id, event) VALUES (1, 'something')",
        "INSERT INTO provisor.processes (owner) VALUES (gen_random_uuid())",
        "DELETE FROM provisor.processes",
        "DELETE FROM provisor.transfer_secrets",
        "SELECT provisor.poke(17)",
        "SELECT provisor.maintain_partitions()",
        "SELECT provisor.forget_ended(100)",
        // What `run` looks at before it claims anything.
        "SELECT max(version) FROM provisor.schema_migrations",
    ] {
        tries(&mut worker, allowed.to_owned())
            .await
            .unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for refused in
        ["DELETE FROM provisor.orders", "DELETE FROM provisor.effects", "DROP TABLE provisor.wakes"]
    {
        assert_eq!(refusal(tries(&mut worker, refused.to_owned()).await).0, "42501", "{refused}");
    }
    let mut reader = world.acting_as("provisor_readonly").await;
    for allowed in [
        "TABLE provisor.order_status",
        "TABLE provisor.wakes",
        "SELECT state FROM provisor.effects",
        "SELECT kind, severity, subject FROM provisor.findings",
        "SELECT ended_at FROM provisor.audit_runs",
    ] {
        tries(&mut reader, allowed.to_owned())
            .await
            .unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for refused in [
        "SELECT FROM provisor.customers",
        "SELECT document FROM provisor.orders",
        "SELECT wish FROM provisor.order_lines",
        "SELECT FROM provisor.transfer_secrets",
        "SELECT detail FROM provisor.attempts",
        "SELECT detail FROM provisor.findings",
        "SELECT figures FROM provisor.audit_runs",
        "SELECT customer_id FROM provisor.reminders",
        "SELECT provisor.submit_order('{}')",
        "UPDATE provisor.wakes SET lane = 0",
    ] {
        assert_eq!(refusal(tries(&mut reader, refused.to_owned()).await).0, "42501", "{refused}");
    }
}

/// The statement that makes the roles, with other names.
fn make_roles(prefix: &str) -> String {
    let migration = sqlx::migrate!("./migrations")
        .iter()
        .find(|migration| migration.description == "roles")
        .expect("there is a migration of this name")
        .sql
        .as_str()
        .to_owned();
    let end = migration.find("END $$;").expect("the roles come first") + "END $$;".len();
    migration[..end].replace("provisor_", prefix)
}

#[tokio::test]
async fn who_may_not_create_roles_is_told_what_to_run() {
    let world = World::new().await;
    let prefix = format!("r{}_", uuid::Uuid::new_v4().simple());
    world.run(&format!("CREATE ROLE {prefix}owner; CREATE ROLE {prefix}worker")).await;
    let mut owner = world.acting_as(&format!("{prefix}owner")).await;
    let error = tries(&mut owner, make_roles(&prefix)).await.expect_err("it may not");
    owner.close().await.expect("closed");
    world.run(&format!("DROP ROLE {prefix}owner; DROP ROLE {prefix}worker")).await;
    let error = error.into_database_error().expect("by the database");
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    assert_eq!(error.code(), "42501");
    assert_eq!(
        error.message(),
        format!(
            "the role {prefix}storefront does not exist, and {prefix}owner may not create roles"
        )
    );
    let hint =
        format!("CREATE ROLE {prefix}storefront NOLOGIN; CREATE ROLE {prefix}readonly NOLOGIN;");
    assert_eq!(error.hint(), Some(hint.as_str()));
}

#[tokio::test]
async fn roles_may_be_made_by_many_at_once() {
    let world = World::new().await;
    let prefix = format!("r{}_", uuid::Uuid::new_v4().simple());
    let statement = make_roles(&prefix);
    let all = (0..10).map(|_| world.run(&statement));
    futures_util::future::join_all(all).await;
    for role in ["storefront", "worker", "readonly"] {
        world.run(&format!("DROP ROLE {prefix}{role}")).await;
    }
}

#[tokio::test]
async fn migrations_may_run_in_several_databases_at_once() {
    let worlds = futures_util::future::join_all((0..4).map(|_| World::empty())).await;
    // Two processes in each.
    let runs = worlds.iter().chain(&worlds).map(|world| async {
        let database = Database::new(&world.url(), 1, Purpose::General).expect("a database URL");
        database.migrate().await
    });
    for result in futures_util::future::join_all(runs).await {
        result.expect("each of them ends well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_needs_no_more_than_the_workers_role() {
    let house = House::new().await;
    let login = format!("it_{}", uuid::Uuid::new_v4().simple());
    house.world.run(&format!("CREATE ROLE {login} LOGIN IN ROLE provisor_worker")).await;
    let daemon = house.daemon(&[("DATABASE__URL", &house.world.url_as(&login))]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    daemon.stop().await;
    house.world.run(&format!("DROP ROLE {login}")).await;
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_after_three_years() {
    let world = World::new().await;
    let partitions = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits AS i
                      JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'provisor.events'::regclass";
    let expected: String = world
        .value(
            "SELECT 'events_other ' || string_agg(to_char(date_trunc('month', now() AT TIME ZONE 'UTC')
                 + n * interval '1 month', '\"events_y\"YYYY\"m\"MM'), ' ' ORDER BY n)
             FROM generate_series(0, 2) AS n",
        )
        .await;
    assert_eq!(world.value::<String>(partitions).await, expected);
    world
        .run(
            "CREATE TABLE provisor.events_y2001m01 PARTITION OF provisor.events
                 FOR VALUES FROM ('2001-01-01 00:00+00') TO ('2001-02-01 00:00+00');
             INSERT INTO provisor.events (order_id, event, at) VALUES (1, 'old', '2001-01-15')",
        )
        .await;
    let runs = (0..6).map(|_| world.run("SELECT provisor.maintain_partitions()"));
    futures_util::future::join_all(runs).await;
    assert_eq!(world.value::<String>(partitions).await, expected);
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.events").await, 0);
}

#[tokio::test]
async fn a_month_that_is_already_in_the_default_partition_stays_there() {
    let world = World::new().await;
    let latest: String = world
        .value(
            "SELECT max(relname)::text FROM pg_class WHERE relname ~ '^events_y[0-9]{4}m[0-9]{2}$'",
        )
        .await;
    world.run(&format!("DROP TABLE provisor.{latest}")).await;
    world
        .run(
            "INSERT INTO provisor.events (order_id, event, at)
             VALUES (1, 'early', date_trunc('month', now()) + interval '2 months 5 days')",
        )
        .await;
    world.run("SELECT provisor.maintain_partitions()").await;
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.events_other").await, 1);
}

#[tokio::test]
async fn wakes_of_what_ended_long_ago_are_forgotten_a_few_at_a_time() {
    let world = World::new().await;
    for n in 0..3 {
        world.submit(&documents::example(&format!("G-{n}"))).await.expect("a good document");
    }
    let left = "SELECT count(*) FROM provisor.wakes";
    let forget = "SELECT forgotten FROM provisor.forget_ended(4)";
    world.run("UPDATE provisor.wakes SET due_at = 'infinity'").await;
    assert_eq!(world.value::<i32>(forget).await, 0, "nothing has ended");
    world
        .run(
            "UPDATE provisor.order_lines SET status = 'completed', updated_at = now() - interval '31 days'
             WHERE order_id < 3;
             UPDATE provisor.order_lines SET status = 'completed' WHERE order_id = 3;
             UPDATE provisor.email_outbox SET status = 'sent', settled_at = now() - interval '31 days' WHERE order_id = 1;
             UPDATE provisor.wakes SET due_at = now() WHERE id = 17",
        )
        .await;
    assert_eq!(world.value::<i64>(left).await, 9);
    assert_eq!(world.value::<i32>(forget).await, 4);
    for _ in 0..2 {
        assert_eq!(world.value::<i32>(forget).await, 0, "the rest is due, recent or open");
    }
    assert_eq!(world.value::<i64>(left).await, 5);
}

/// A call looks at ten, and the next one goes on behind them: names, whose wakes stay, hide nothing for good.
#[tokio::test]
async fn what_rests_for_long_hides_nothing_that_ended_long_ago() {
    let world = World::new().await;
    let ended = async |order: i64| {
        world.run(&format!("ALTER SEQUENCE provisor.orders_id_seq RESTART {order}")).await;
        world.submit(&documents::example(&format!("G-{order}"))).await.expect("a good document");
        world
            .run(&format!(
                "DELETE FROM provisor.wakes WHERE due_at < 'infinity';
                 UPDATE provisor.orders SET finished_at = now() - interval '31 days';
                 INSERT INTO provisor.wakes (id, lane, due_at) VALUES ({order} * 16 + 3, 4, 'infinity')"
            ))
            .await;
    };
    let forget = async || {
        let told = "SELECT concat(forgotten, CASE WHEN is_through THEN ', through' END) FROM provisor.forget_ended(1)";
        world.value::<String>(told).await
    };
    world
        .run(
            "INSERT INTO provisor.wakes (id, lane, due_at)
             SELECT n * 16 + 4, 4, 'infinity' FROM generate_series(1, 25) AS n",
        )
        .await;
    ended(100).await;
    ended(101).await;
    let mut found = Vec::new();
    for _ in 0..5 {
        found.push(forget().await);
    }
    // Ten names, ten more, then the order behind the last five, and the one behind it.
    assert_eq!(found, ["0", "0", "1", "1", "0, through"]);
    ended(1).await;
    assert_eq!(forget().await, "1");
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.wakes").await, 25);
}
