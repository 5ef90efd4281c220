//! Looking for what became of what is in doubt, and noting what was looked at and seen.

use super::{CarryOutLine, Stop, stop_for};
use crate::{
    db::lines::LoadedLine,
    order::{
        ContactHandle, LineStatus,
        decide::Query,
        doubt::{
            is_past_grace,
            probe::{IdSeen, OrderSeen, Probe, ProbeStep, compare},
        },
        facts::{DomainReading, Known, Placement, ProbeReading, SitesReading, ZoneReading},
        name::DomainName,
    },
    upstream::{UpstreamError, ljpc},
};

/// The most ids that one run reads: it must end within its lease.
const IDS_MAX: usize = 10;

impl CarryOutLine {
    /// Whether there is a new site for the line's name, in the list that is kept. An old list is asked to be read anew.
    pub(super) async fn read_sites(&self, loaded: &LoadedLine) -> SitesReading {
        let facts = &loaded.facts;
        let (Some(domain), Some(placement)) = (&facts.progress.domain, facts.latest()) else {
            return SitesReading::Unanswered;
        };
        let db = self.ledger.db();
        let age_max = self.waiting.patience.evidence_interval;
        match db
            .new_sites((loaded.line_id, placement.n), domain, placement.intended_at, age_max)
            .await
        {
            Ok(seen) => {
                if seen.is_stale
                    && let Err(error) = db.poke(crate::jobs::SITES_WAKE.0).await
                {
                    tracing::warn!(error = %crate::causes::causes(&error), "the list of sites stays old");
                }
                let told = match &seen.reading {
                    SitesReading::New { sites, others_wait, .. } => {
                        let others =
                            if *others_wait { ", and another line waits for one" } else { "" };
                        let ids: Vec<String> = sites.iter().map(ToString::to_string).collect();
                        let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
                        format!("new for {domain} among {} sites: {ids}{others}", seen.listed)
                    }
                    SitesReading::NothingBefore | SitesReading::Unanswered => {
                        "no listing from before the order was sent".to_owned()
                    }
                };
                self.note(loaded, placement, "the sites", &told).await;
                seen.reading
            }
            Err(error) => {
                tracing::warn!(error = %crate::causes::causes(&error), "the sites can't be looked at");
                SitesReading::Unanswered
            }
        }
    }

    /// Reads the next order ids, and keeps how far it has come.
    pub(super) async fn read_ids(
        &self,
        loaded: &LoadedLine,
        n: i32,
        prepaid: &mut bool,
    ) -> Result<ProbeReading, Stop> {
        let facts = &loaded.facts;
        let found = facts.placements.iter().find(|it| it.step == facts.main_step() && it.n == n);
        let Some((placement, floor)) = found.and_then(|it| Some((it, it.order_id_floor?))) else {
            return Ok(ProbeReading::GivesUp);
        };
        let mut probe = placement.probe.clone().unwrap_or_else(|| Probe::above(floor));
        let reading = match self.read_on(loaded, placement, &mut probe, prepaid).await {
            // Orders can't be asked about for now; that hides nothing of what the sites show.
            Err(Stop::Later(_)) => Ok(ProbeReading::Unanswered),
            reading => reading,
        };
        if let Err(error) =
            self.ledger.db().keep_probe(loaded.line_id, (n, placement.intended_at), &probe).await
        {
            tracing::warn!(error = %crate::causes::causes(&error), "the ids will be read again");
        }
        let told = match &reading {
            Ok(ProbeReading::Found { id, .. }) => format!("LJPc order {id} is this one"),
            Ok(ProbeReading::Unanswered) => format!("no answer now; {}", probe.told()),
            Ok(_) | Err(_) => probe.told(),
        };
        self.note(loaded, placement, "the order ids", &told).await;
        reading
    }

    async fn read_on(
        &self,
        loaded: &LoadedLine,
        placement: &Placement,
        probe: &mut Probe,
        prepaid: &mut bool,
    ) -> Result<ProbeReading, Stop> {
        let (now, patience) = (loaded.facts.now, &self.waiting.patience);
        let mut read = probe.clone();
        read.note_end(now);
        let may_repeat =
            is_past_grace(&loaded.facts, patience) && read.has_rested(now, patience.in_doubt_grace);
        let mut end = ProbeReading::More;
        for _ in 0..IDS_MAX {
            let id = match read.step(may_repeat) {
                ProbeStep::Read(id) => id,
                step @ (ProbeStep::Waits | ProbeStep::Absent | ProbeStep::GivesUp) => {
                    end = to_reading(step, &read);
                    break;
                }
            };
            if !self.guest.may_go_on_looking(prepaid).await {
                end = ProbeReading::Yields;
                break;
            }
            let request = self.guest.ljpc().order(id);
            let seen = match self.ask(&ljpc::endpoints::GET_ORDER, prepaid, request).await? {
                Ok(order) => {
                    let cost = order.total_price;
                    match compare(&loaded.facts, placement, &to_order_seen(order)) {
                        None => return Ok(ProbeReading::Found { id, cost }),
                        Some(seen) => seen,
                    }
                }
                Err(UpstreamError::Rejected { status: 404, .. }) => IdSeen::Unknown,
                Err(UpstreamError::Rejected { status: 403, .. }) => IdSeen::Other,
                Err(error) => {
                    end = unanswered(&error)?;
                    read.fail(id);
                    break;
                }
            };
            read.learn(id, seen);
        }
        if read == *probe {
            return Ok(end);
        }
        // Did the key see anything at all meanwhile?
        match self.sees_ours(placement, prepaid).await? {
            Some(true) => *probe = read,
            Some(false) => {
                probe.go_blind();
                return Ok(ProbeReading::GivesUp);
            }
            None => return Ok(ProbeReading::Unanswered),
        }
        Ok(end)
    }

    /// Whether the order that ids are counted from is shown, with a tag of ours; `None`: no answer that can be used.
    async fn sees_ours(
        &self,
        placement: &Placement,
        prepaid: &mut bool,
    ) -> Result<Option<bool>, Stop> {
        let Some(floor) = placement.order_id_floor else { return Ok(Some(false)) };
        let request = self.guest.ljpc().order(floor);
        match self.ask(&ljpc::endpoints::GET_ORDER, prepaid, request).await? {
            Ok(order) => Ok(Some(!to_order_seen(order).tags.is_empty())),
            Err(UpstreamError::Rejected { .. }) => Ok(Some(false)),
            Err(error) => unanswered(&error).map(|_| None),
        }
    }

    /// Notes what a line in doubt was shown by a question about its name.
    pub(super) async fn note_reading(&self, loaded: &LoadedLine, query: &Query, known: &Known) {
        let (LineStatus::InDoubt, Some(placement)) =
            (loaded.facts.progress.status, loaded.facts.latest())
        else {
            return;
        };
        let (at, seen) = match query {
            Query::Domain(_) => ("the name", known.domain.as_ref().map(tell_domain)),
            Query::Zone(_) => ("the zone", known.zone.as_ref().map(tell_zone)),
            Query::Contact(_) => {
                ("the contacts", known.contact.as_ref().map(|it| tell_contact(it.as_ref())))
            }
            Query::Catalogue
            | Query::Order(_)
            | Query::Tlds
            | Query::Offer(..)
            | Query::ContactDetail(_)
            | Query::Alternatives(_)
            | Query::Sites
            | Query::OrderIds { .. } => return,
        };
        if let Some(seen) = seen {
            self.note(loaded, placement, at, &seen).await;
        }
    }

    /// What is noted is for people: without it nothing is decided otherwise.
    async fn note(&self, loaded: &LoadedLine, placement: &Placement, at: &str, seen: &str) {
        let which = (placement.step, placement.n, placement.intended_at);
        failpoint!("evidence.seen");
        if let Err(error) = self.ledger.db().note_look(loaded.line_id, which, at, seen).await {
            tracing::warn!(error = %crate::causes::causes(&error), at, seen, "a look was not noted");
        }
        failpoint!("evidence.noted");
    }
}

fn unanswered(error: &UpstreamError) -> Result<ProbeReading, Stop> {
    match stop_for(error) {
        Stop::Retry => Ok(ProbeReading::Unanswered),
        stop @ (Stop::Stale | Stop::Later(_)) => Err(stop),
    }
}

fn to_reading(step: ProbeStep, probe: &Probe) -> ProbeReading {
    match step {
        ProbeStep::Read(_) => ProbeReading::More,
        ProbeStep::Waits => ProbeReading::Waits,
        ProbeStep::Absent => probe
            .first_ended_at()
            .map_or(ProbeReading::Waits, |first_ended_at| ProbeReading::Absent { first_ended_at }),
        ProbeStep::GivesUp => ProbeReading::GivesUp,
    }
}

fn tell_domain(reading: &DomainReading) -> String {
    match reading {
        DomainReading::Seen(seen) => {
            let handle = seen.contact_handle.as_ref().map_or("no contact", |handle| &handle.0);
            let status = seen.status.as_deref().unwrap_or("no status");
            format!("shown with {status}, {handle}")
        }
        DomainReading::NotOurs => "LJPc shows none of this account (404)".to_owned(),
        DomainReading::Unanswered => "no answer".to_owned(),
    }
}

fn tell_zone(reading: &ZoneReading) -> String {
    match reading {
        ZoneReading::Records(records) => format!("{} records", records.len()),
        ZoneReading::None => "no zone".to_owned(),
        ZoneReading::Unanswered => "no answer".to_owned(),
    }
}

fn tell_contact(found: Option<&ContactHandle>) -> String {
    found.map_or_else(|| "none with these details".to_owned(), |it| format!("{it} has them"))
}

/// An order as it is compared with what was sent.
fn to_order_seen(order: ljpc::OrderDetail) -> OrderSeen {
    let mut lines = order.order_lines.into_iter();
    let (line, others) = (lines.next(), lines.next());
    let echoes = [order.summary.as_deref(), line.as_ref().and_then(|it| it.description.as_deref())];
    let tags = echoes.into_iter().flatten().filter_map(ljpc::tag_of).map(str::to_owned).collect();
    // An order of ours has one line.
    let item = line.filter(|_| others.is_none()).map(|line| line.cart_item).unwrap_or_default();
    let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let name = text("domain").or_else(|| Some(format!("{}.{}", text("sld")?, text("tld")?)));
    OrderSeen {
        tags,
        item_type: text("type"),
        domain: name.and_then(|it| DomainName::parse(&it).ok()).map(|it| it.as_str().to_owned()),
        space_id: item.get("space_id").and_then(serde_json::Value::as_i64),
        billing_period: text("billing_period"),
        created_at: order.created_at,
        cost: order.total_price,
    }
}
