//! Reading the ledger's rows of lines.

use std::collections::HashMap;

use crate::order::{
    ContactHandle, LineId, Money, SiteId, UnknownName, UpstreamOrderId, facts::Placement,
};

/// The placements of lines, of each line the one that was intended last at the end.
pub(super) async fn select(
    connection: &mut sqlx::PgConnection,
    lines: &[i64],
) -> Result<HashMap<LineId, Vec<Result<Placement, UnknownName>>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT e.line_id, e.step, e.n, e.state, e.live, e.upstream_order_id, e.site_id, e.price, e.contact_handle,
                  e.intended_at, e.order_id_floor, e.probe,
                  (SELECT a.detail FROM provisor.attempts a WHERE a.effect_id = e.id
                   ORDER BY a.started_at DESC LIMIT 1) AS detail
           FROM provisor.effects e WHERE e.line_id = ANY ($1)
           ORDER BY e.line_id, e.intended_at, e.id"#,
        lines,
    )
    .fetch_all(connection)
    .await?;
    let mut placements: HashMap<LineId, Vec<Result<Placement, UnknownName>>> = HashMap::new();
    for row in rows {
        let placement = row.step.parse().and_then(|step| {
            Ok(Placement {
                step,
                n: row.n,
                state: row.state.parse()?,
                live: row.live,
                upstream_order_id: row.upstream_order_id.map(UpstreamOrderId),
                site_id: row.site_id.map(SiteId),
                price: row.price.map(Money),
                contact_handle: row.contact_handle.map(ContactHandle),
                detail: row.detail,
                intended_at: row.intended_at,
                order_id_floor: row.order_id_floor.map(UpstreamOrderId),
                probe: row.probe.and_then(|stored| serde_json::from_value(stored).ok()),
            })
        });
        placements.entry(LineId(row.line_id)).or_default().push(placement);
    }
    Ok(placements)
}
