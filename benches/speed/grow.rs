//! What an order costs when there are few and when there are many, and by how many daemons.

use crate::{
    bars::Report,
    orders::{Task, carry_out},
    server::Server,
};

/// Orders in flight, and how many are carried out then.
const IN_FLIGHT: [(u32, u32); 4] = [(1, 60), (10, 500), (100, 2000), (1000, 4000)];

const DAEMONS: [u32; 3] = [1, 2, 4];

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    println!("in flight  daemons  orders/s  daemons µs  PostgreSQL µs  transactions  WAL KiB");
    for daemons in DAEMONS {
        for (in_flight, orders) in IN_FLIGHT {
            let url = server.migrated("bench_grow").await?;
            let task = Task { earlier: 1000, orders, in_flight: Some(in_flight), daemons };
            let cost = carry_out(server, &url, task).await?;
            println!(
                "{in_flight:>9}  {daemons:>7}  {:>8.0}  {:>10.0}  {:>13.0}  {:>12.1}  {:>7.1}",
                cost.rate,
                cost.daemon_us,
                cost.postgres_us,
                cost.transactions,
                cost.wal / 1024.0
            );
            let of = format!("{in_flight} in flight, {daemons} daemons");
            report.row(&format!("{of}: orders"), cost.rate, "/s");
            report.row(&format!("{of}: daemons' processor time"), cost.daemon_us, "µs");
            report.row(&format!("{of}: PostgreSQL's processor time"), cost.postgres_us, "µs");
            report.row(&format!("{of}: transactions"), cost.transactions, "");
        }
    }
    server.drop("bench_grow").await
}
