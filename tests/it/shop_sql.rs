//! `docs/SHOP_SQL.md`, run as it stands: its SQL by the users that it names, its documents to their ends, its faults.
//!
//! What a fence says after the language is for this test: `owner` (run by the database's owner, else by the shop),
//! `delivered` (run once a daemon has delivered), and beside a document the status that its order reaches. In SQL, the
//! comment `-- → a | b` is a row that the statement above it answers, with `…` for any value, and `-- ERROR` its error.

use provisor::order::{LineKind, LineStatus, status::OrderStatus};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, ValueRef as _, postgres::PgRow};

use crate::{documents, house::House, world::World};

const PAGE: &str = include_str!("../../docs/SHOP_SQL.md");

/// A fenced piece of the page.
struct Block {
    language: &'static str,
    mark: &'static str,
    text: String,
    /// Where it begins, for whoever has to mend it.
    line: usize,
}

/// A statement, with what the page says that comes of it.
struct Statement {
    sql: String,
    rows: Vec<String>,
    error: Option<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (index, line) in PAGE.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(info) => {
                let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
                blocks.push(Block { language, mark, text: String::new(), line: index + 1 });
                is_open = true;
            }
            None if is_open => {
                let block = blocks.last_mut().expect("one is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!is_open, "a fence is not closed");
    blocks
}

/// A statement ends with the line that ends with a semicolon; what it answers is told below it.
fn statements(block: &Block) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut sql = String::new();
    for line in block.text.lines() {
        if let Some(row) = line.strip_prefix("-- →") {
            statements.last_mut().expect("a statement").rows.push(row.trim().to_owned());
        } else if let Some(error) = line.strip_prefix("-- ERROR ") {
            statements.last_mut().expect("a statement").error = Some(error.to_owned());
        } else {
            sql.push_str(line);
            sql.push('\n');
            if line.ends_with(';') {
                let sql = std::mem::take(&mut sql);
                statements.push(Statement { sql, rows: Vec::new(), error: None });
            }
        }
    }
    assert_eq!(sql.trim(), "", "line {}: a statement does not end", block.line);
    statements
}

/// Runs a block's statements, and holds what comes of each against what the page says.
async fn run(block: &Block, connection: &mut PgConnection) {
    for Statement { sql, rows, error } in statements(block) {
        let told = format!("the block of line {}: {sql}", block.line);
        let answer = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *connection).await;
        match (answer, error) {
            (Ok(answered), None) => {
                let answered: Vec<Vec<String>> = answered.iter().map(cells).collect();
                let fits = answered.len() == rows.len()
                    && answered.iter().zip(&rows).all(|(cells, row)| is_row(cells, row));
                assert!(fits, "{told} answers {answered:?}");
            }
            (Err(sqlx::Error::Database(raised)), Some(error)) => {
                let raised = format!("{}: {}", raised.code().unwrap_or_default(), raised.message());
                assert_eq!(raised, error, "{told}");
            }
            (answer, error) => panic!("{told} answers {answer:?}, and the page says {error:?}"),
        }
    }
}

/// A row's values, as psql shows them.
fn cells(row: &PgRow) -> Vec<String> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index).expect("a column");
            if value.is_null() { "" } else { value.as_str().expect("text") }.to_owned()
        })
        .collect()
}

fn is_row(cells: &[String], row: &str) -> bool {
    let shown: Vec<&str> = row.split('|').map(str::trim).collect();
    let is_cell = |(cell, shown): (&String, &&str)| {
        if *shown == "…" { !cell.is_empty() } else { cell.as_str() == *shown }
    };
    cells.len() == shown.len() && cells.iter().zip(&shown).all(is_cell)
}

/// The page's documents as orders, each with the status that it shall reach.
fn orders() -> Vec<(Value, &'static str)> {
    let documents = blocks().into_iter().filter(|block| block.language == "json");
    documents
        .enumerate()
        .map(|(n, block)| {
            let lines: Value = serde_json::from_str(&block.text)
                .unwrap_or_else(|error| panic!("the block of line {}: {error}", block.line));
            let mut order = documents::example(&format!("PAGE-{n}"));
            order["lines"] = if lines.is_array() { lines } else { json!([lines]) };
            (order, block.mark)
        })
        .collect()
}

/// The names that an order changes, and does not bring along.
fn names_needed(order: &Value) -> Vec<&str> {
    let lines = order["lines"].as_array().expect("lines");
    let brought = |line: &Value, kind: &str| line["kind"] == kind;
    let (comes, changes): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| brought(line, "domain_register"));
    changes
        .into_iter()
        .filter(|line| brought(line, "domain_update") || brought(line, "dns"))
        .filter(|line| comes.iter().all(|other| other["domain"] != line["domain"]))
        .map(|line| line["domain"].as_str().expect("a name"))
        .collect()
}

/// Roles are the server's: one that an earlier run left would be in the way of the page's CREATE ROLE.
async fn forget_the_role(world: &World) {
    world.run("DROP ROLE IF EXISTS webshop").await;
}

#[tokio::test]
async fn everything_on_the_page_for_shops_runs() {
    let house = House::new().await;
    forget_the_role(&house.world).await;
    let blocks = blocks();
    let sql = |mark: &'static str| {
        blocks.iter().filter(move |block| block.language == "sql" && block.mark == mark)
    };
    for block in sql("owner") {
        run(block, &mut house.world.connection().await).await;
    }
    // Each by a connection of its own, since one that listens is told something at any time.
    for block in sql("") {
        run(block, &mut house.world.acting_as("webshop").await).await;
    }
    let orders = orders();
    for (order, _) in &orders {
        for name in names_needed(order) {
            house.sandbox.state().put_domain(&json!({ "domain": name })).expect("a name");
        }
        house.world.submit(order).await.unwrap_or_else(|error| panic!("{order}: {error}"));
    }
    let daemon = house.daemon(&[]);
    for (order, status) in &orders {
        house.until_order(order["reference"].as_str().expect("a reference"), status).await;
    }
    house.until_order("SHOP-1001", "completed").await;
    for block in sql("delivered") {
        run(block, &mut house.world.acting_as("webshop").await).await;
    }
    daemon.stop().await;
    let marks = ["", "owner", "delivered"];
    assert!(blocks.iter().all(|block| block.language != "sql" || marks.contains(&block.mark)));
    house.world.run("DROP OWNED BY webshop CASCADE").await;
    forget_the_role(&house.world).await;
}

#[tokio::test]
async fn the_page_s_faults_are_those_of_the_sandbox() {
    let house = House::new().await;
    let mut bodies = 0;
    for block in blocks().iter().filter(|block| block.language == "sh") {
        for command in block.text.split("curl ").skip(1) {
            let (address, body) = command.split_once(" -d '").expect("a body");
            let body = body.split_once('\'').expect("its end").0;
            let body: Value = serde_json::from_str(body).expect("JSON");
            let state = house.sandbox.state();
            match address.split_once('/').expect("a path").1 {
                "_sandbox/faults" => drop(state.add_fault(&body).expect("a fault")),
                "_sandbox/domains" => drop(state.put_domain(&body).expect("a domain")),
                other => panic!("{other} is no such endpoint"),
            }
            bodies += 1;
        }
    }
    assert!(bodies > 5, "only {bodies} were found");
}

#[test]
fn the_page_names_every_kind_and_every_status() {
    let statuses = OrderStatus::ALL.iter().map(|status| status.as_str());
    for status in statuses.chain(LineStatus::ALL.iter().map(|status| status.as_str())) {
        assert!(PAGE.contains(&format!("\n| `{status}` |")), "{status} is not in its table");
    }
    let orders = orders();
    let of_operators = [LineKind::ContactCreate, LineKind::ContactUpdate];
    for kind in LineKind::ALL.iter().filter(|kind| !of_operators.contains(kind)) {
        let kind = kind.as_str();
        let is_shown = orders.iter().any(|(order, _)| {
            order["lines"].as_array().expect("lines").iter().any(|line| line["kind"] == kind)
        });
        assert!(is_shown, "no document shows a line of the kind {kind}");
    }
}
