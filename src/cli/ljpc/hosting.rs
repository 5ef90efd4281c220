//! Sites and orders.

use anyhow::anyhow;
use serde_json::{Value, json};

use super::{facts, listing, told};
use crate::{
    cli::{
        Failed,
        output::{self, cell, time},
    },
    order::{SiteId, UpstreamOrderId},
    upstream::ljpc::{Ljpc, OrderDetail, SimpleStatus},
};

pub(super) async fn list_sites(ljpc: &Ljpc, json: bool) -> Result<(), Failed> {
    let sites = ljpc.all_sites().await.map_err(told)?;
    listing(&sites, json, ["ID", "DOMAIN", "STATUS", "DISK GB"], |site| {
        [
            cell(Some(site.id)),
            cell(site.domain.as_ref()),
            cell(site.status.as_ref()),
            cell(site.disk_space_gb),
        ]
    })
}

pub(super) async fn show_site(ljpc: &Ljpc, id: SiteId, json: bool) -> Result<(), Failed> {
    let site = ljpc.site(id).await.map_err(told)?;
    let bytes = |bytes: Option<i64>| cell(bytes.map(|bytes| format!("{bytes} bytes")));
    let shown = [
        ("site", cell(Some(site.id))),
        ("domain", cell(site.domain.as_ref())),
        ("status", cell(site.status.as_ref())),
        ("disk space", cell(site.disk_space_gb.map(|gib| format!("{gib} GiB")))),
        ("used by files", bytes(site.disk_used_bytes)),
        ("used by mail", bytes(site.email_used_bytes)),
        ("quota", bytes(site.disk_quota_bytes)),
    ];
    facts(&site, json, &shown)
}

pub(super) async fn print_login(ljpc: &Ljpc, id: SiteId, json: bool) -> Result<(), Failed> {
    let url = ljpc.login(id).await.map_err(told)?;
    let url = url.ok_or_else(|| anyhow!("LJPc has no login URL for site {id}: try again later"))?;
    output::note(&format!(
        "A URL into the control panel of site {id}, a secret: it works once, for whoever opens it."
    ));
    if json {
        return Ok(output::json(&json!({ "site_id": id, "url": url.expose() }))?);
    }
    output::line(url.expose());
    Ok(())
}

pub(super) async fn show_order(ljpc: &Ljpc, id: UpstreamOrderId, json: bool) -> Result<(), Failed> {
    let order = ljpc.order(id).await.map_err(told)?;
    let mut shown = vec![
        ("order", cell(Some(order.id))),
        ("status", cell(Some(simple_status(&order)))),
        ("raw status", cell(Some(&order.status))),
        ("summary", cell(order.summary.as_ref())),
        ("total price", cell(order.total_price.map(|total| format!("{total} EUR without VAT")))),
        ("placed", time(order.created_at)),
    ];
    shown.extend(order.order_lines.iter().map(|line| {
        let price = cell(line.price);
        ("ordered", format!("{} ({price})", cell(line.description.as_ref())))
    }));
    shown.extend(order.lines.iter().map(|line| {
        let what = format!("{} {}", cell(Some(&line.kind)), cell(Some(&line.state)));
        let site = line.site_id.map(|site| format!(", site {site}")).unwrap_or_default();
        let domain = line.domain.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        ("delivered", cell(Some(format!("line {}: {what}{site}{domain}", line.index))))
    }));
    facts(&to_json(&order), json, &shown)
}

fn simple_status(order: &OrderDetail) -> &str {
    match &order.simple_status {
        SimpleStatus::Pending => "pending",
        SimpleStatus::Processing => "processing",
        SimpleStatus::Completed => "completed",
        SimpleStatus::Failed => "failed",
        SimpleStatus::Unknown(other) => other,
    }
}

/// All of an order but the auth codes in it.
fn to_json(order: &OrderDetail) -> Value {
    let ordered = order.order_lines.iter().map(|line| {
        let mut item = line.cart_item.clone();
        if let Some(item) = item.as_object_mut() {
            item.remove("auth_code");
        }
        json!({ "description": line.description, "price": line.price, "cart_item": item })
    });
    let delivered = order.lines.iter().map(|line| {
        json!({ "index": line.index, "type": line.kind, "state": line.state,
                "site_id": line.site_id, "domain": line.domain })
    });
    json!({
        "id": order.id,
        "status": order.status,
        "simple_status": simple_status(order),
        "summary": order.summary,
        "total_price": order.total_price,
        "created_at": order.created_at,
        "order_lines": ordered.collect::<Vec<_>>(),
        "lines": delivered.collect::<Vec<_>>(),
    })
}
