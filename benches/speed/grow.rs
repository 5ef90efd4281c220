//! What an order costs when there are few and when there are many, and by how many daemons.

use crate::{bars::Report, orders::Installation, server::Server};

/// Orders in flight, and how many are carried out then. From many to few: with few, sessions that still plan each of their
/// statements for the first time would be all that is seen.
const IN_FLIGHT: [(u32, u32); 4] = [(1000, 3000), (100, 1500), (10, 600), (1, 200)];

const DAEMONS: [u32; 3] = [1, 2, 4];

/// Orders that are there when it begins.
const EARLIER: u32 = 1000;

/// An order is done when it is first asked about. By default that is after two seconds, and with few in flight nothing else
/// would be measured.
const SETTINGS: &[(&str, &str)] = &[("POLL__INITIAL_INTERVAL", "10ms")];

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    println!(
        "in flight at most  in fact  daemons  orders/s  daemons µs  PostgreSQL µs  statements  WAL KiB"
    );
    for daemons in DAEMONS {
        let url = server.migrated("bench_grow").await?;
        let mut installation = Installation::start(server, url, daemons, SETTINGS, EARLIER).await?;
        for (in_flight, orders) in IN_FLIGHT {
            let cost = installation.carry_out(orders, Some(in_flight)).await?;
            println!(
                "{in_flight:>17}  {:>7.0}  {daemons:>7}  {:>8.0}  {:>10.0}  {:>13.0}  {:>10.1}  {:>7.1}",
                cost.open,
                cost.rate,
                cost.used.daemon,
                cost.used.postgres,
                cost.statements,
                cost.wal / 1024.0
            );
            let of = format!("{in_flight} in flight, {daemons} daemons");
            report.row(&format!("{of}: orders"), cost.rate, "/s");
            report.row(&format!("{of}: daemons' processor time"), cost.used.daemon, "µs");
            report.row(&format!("{of}: PostgreSQL's processor time"), cost.used.postgres, "µs");
            report.row(&format!("{of}: statements"), cost.statements, "");
            report.row(&format!("{of}: open in fact"), cost.open, "");
        }
        installation.end().await?;
    }
    server.drop("bench_grow").await
}
