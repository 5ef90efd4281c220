//! PUT /api/hosting/v1/dns/zones/{domain}/records: the complete set of managed records takes the place of the one before.
//! There is no version to compare with: read, merge, write, read back.

use serde::{Deserialize, Serialize};

use super::{Named, Record};
use crate::{
    clock::Deadline,
    order::name::DomainName,
    upstream::{
        Answer, Connected, PreparedRequest, UpstreamError,
        ljpc::{
            Ljpc,
            by_name::is_written,
            endpoints,
            envelope::payload,
            wire::{lenient, object},
        },
    },
};

/// One replacement of a zone's records.
#[derive(Clone, Debug, Serialize)]
pub struct ReplaceRecords {
    /// Whose zone.
    #[serde(skip)]
    pub domain: DomainName,
    /// The complete set; none clears the zone. A refusal's `records.N` counts in it, from 0.
    pub records: Vec<Record>,
}

impl ReplaceRecords {
    /// The request, fixed byte by byte.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let endpoint = &endpoints::REPLACE_RECORDS;
        PreparedRequest::json(endpoint, endpoint.path_of_name(&self.domain), self, vec![])
    }
}

/// Records that were replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplacedRecords {
    /// Whether upstream's name servers have them; `false` is normal until the domain is delegated to these.
    pub synced: Option<bool>,
    /// Who manages the zone, as upstream says it: `manual`.
    pub source: Option<String>,
    /// The echo of the records; `None` if it can't be read, which is for a reading of the zone to clear up.
    pub records: Option<Vec<Record>>,
    /// The HTTP status, 200 as documented.
    pub http_status: u16,
    /// The answer's id.
    pub jti: Option<String>,
}

#[derive(Deserialize)]
struct Replaced {
    #[serde(deserialize_with = "object")]
    zone: Named,
    #[serde(default, deserialize_with = "lenient")]
    records: Option<Vec<Record>>,
    #[serde(default, deserialize_with = "lenient")]
    synced: Option<bool>,
}

impl Ljpc {
    /// Replaces a zone's records over a connection that [`Ljpc::connect`] opened to [`endpoints::REPLACE_RECORDS`]. To be
    /// called once the intent is committed, and once for each intent. `domain` is the one that `prepared` names.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx about another zone; `Rejected` with 409 for
    /// a zone that LJPc's own panel manages, which is final.
    pub async fn replace_records(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        domain: &DomainName,
        deadline: Deadline,
    ) -> Result<ReplacedRecords, UpstreamError> {
        self.send(connected, prepared, deadline, |answer| read(domain, answer)).await
    }
}

pub(in crate::upstream::ljpc) fn read(
    domain: &DomainName,
    answer: &Answer,
) -> Result<ReplacedRecords, UpstreamError> {
    let payload = payload(&endpoints::REPLACE_RECORDS, answer)?;
    let Replaced { zone, records, synced } = payload.parse()?;
    if !is_written(domain, &zone.domain) {
        return Err(payload.broken("the answer is about another zone"));
    }
    Ok(ReplacedRecords {
        synced,
        source: zone.source,
        records,
        http_status: payload.status,
        jti: payload.jti,
    })
}
