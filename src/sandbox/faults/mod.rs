//! Faults on demand: what goes wrong next, where, how often and for whom.

mod point;
mod spec;

use std::{
    cell::LazyCell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

pub use self::spec::{FaultError, FaultKind};
pub(super) use self::{
    point::{Phase, Point},
    spec::FaultSpec,
};
use super::{
    dice::{Stream, draw},
    ljpc::Facts,
};

const ACTIVE_MAX: usize = 1_000;

/// A fault that waits for requests to strike.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Names it in the list.
    pub id: u64,
    /// How often it will strike yet.
    pub left: u32,
    /// As it was set.
    #[serde(flatten)]
    spec: Arc<FaultSpec>,
}

/// The active faults, in the order in which they were set. A request is struck by the first that fits.
pub(super) struct Faults {
    active: Mutex<Vec<Listed>>,
    next_id: AtomicU64,
    drawn: AtomicU64,
    seed: u64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            active: Mutex::new(Vec::new()),
            next_id: AtomicU64::new(1),
            drawn: AtomicU64::new(0),
            seed,
        }
    }

    /// Sets a fault, given as JSON.
    pub(super) fn add(&self, json: &[u8]) -> Result<Listed, FaultError> {
        let spec = FaultSpec::read(json)?;
        let mut active = self.lock();
        if active.len() >= ACTIVE_MAX {
            return Err(FaultError::TooMany { most: ACTIVE_MAX });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let listed = Listed { id, left: spec.times, spec: Arc::new(spec) };
        active.push(listed.clone());
        Ok(listed)
    }

    /// The active faults.
    pub(super) fn list(&self) -> Vec<Listed> {
        self.lock().clone()
    }

    /// Removes them all.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    /// The fault that strikes a request here, counted as used. `facts` is asked only if a fault wants to know.
    pub(super) fn take(&self, at: Point, facts: impl FnOnce() -> Facts) -> Option<Arc<FaultSpec>> {
        let mut active = self.lock();
        if active.is_empty() {
            return None;
        }
        let facts = LazyCell::new(facts);
        let struck = active.iter().position(|fault| {
            fault.spec.covers(at)
                && fault.spec.matching.as_ref().is_none_or(|wanted| wanted.fits(&facts))
                && self.happens(&fault.spec)
        })?;
        let fault = active.get_mut(struck)?;
        let spec = Arc::clone(&fault.spec);
        fault.left = fault.left.saturating_sub(1);
        if fault.left == 0 {
            active.remove(struck);
        }
        Some(spec)
    }

    fn happens(&self, spec: &FaultSpec) -> bool {
        spec.probability.is_none_or(|probability| {
            let n = self.drawn.fetch_add(1, Ordering::Relaxed);
            probability.happens(draw(self.seed, Stream::Faults, n))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listed>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sandbox::ljpc::endpoint::Endpoint;

    const ORDERS: Point = Point::Http(Endpoint::PostOrders);
    const SITES: Point = Point::Http(Endpoint::GetSites);

    fn faults(specs: &[Value]) -> Faults {
        let faults = Faults::new(1);
        for spec in specs {
            faults.add(spec.to_string().as_bytes()).unwrap();
        }
        faults
    }

    fn about(domain: &str) -> Facts {
        Facts { domains: vec![domain.to_owned()], ..Facts::default() }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_told() {
        let faults = faults(&[json!({"endpoint": "*", "fault": "drop", "times": 2})]);
        assert!(faults.take(ORDERS, Facts::default).is_some());
        assert_eq!(faults.list()[0].left, 1);
        assert!(faults.take(SITES, Facts::default).is_some());
        assert!(faults.take(ORDERS, Facts::default).is_none());
        assert_eq!(faults.list().len(), 0);
    }

    #[test]
    fn a_fault_strikes_its_own_endpoint_alone() {
        let faults = faults(&[json!({"endpoint": "POST /api/v1/orders", "fault": "drop"})]);
        assert!(faults.take(SITES, Facts::default).is_none());
        assert!(faults.take(Point::Smtp(Phase::Data), Facts::default).is_none());
        assert!(faults.take(ORDERS, Facts::default).is_some());
    }

    #[test]
    fn everything_over_http_is_not_smtp_and_fates_are_for_orders() {
        let faults = faults(&[
            json!({"endpoint": "*", "fault": "fail"}),
            json!({"endpoint": "*", "fault": "drop"}),
        ]);
        assert!(faults.take(Point::Smtp(Phase::Mail), Facts::default).is_none());
        assert_eq!(faults.take(SITES, Facts::default).unwrap().fault, FaultKind::Drop);
        assert_eq!(faults.take(ORDERS, Facts::default).unwrap().fault, FaultKind::Fail);
    }

    #[test]
    fn a_match_looks_for_part_of_a_domain_reference_or_recipient() {
        let faults = faults(&[
            json!({"endpoint": "*", "fault": "drop", "times": 9,
                "match": {"domain": "bad", "reference": "SHOP-1"}}),
            json!({"endpoint": "SMTP RCPT", "fault": "drop", "match": {"recipient": "bob@"}}),
        ]);
        let reference = Some("SHOP-1/0".to_owned());
        assert!(faults.take(ORDERS, || about("bad.nl")).is_none());
        assert!(
            faults
                .take(ORDERS, || Facts { reference: reference.clone(), ..about("a.nl") })
                .is_none()
        );
        assert!(faults.take(ORDERS, || Facts { reference, ..about("verybad.nl") }).is_some());
        let to = |address: &str| Facts { recipients: vec![address.to_owned()], ..Facts::default() };
        assert!(faults.take(Point::Smtp(Phase::Rcpt), || to("eve@example.com")).is_none());
        assert!(faults.take(Point::Smtp(Phase::Rcpt), || to("bob@example.com")).is_some());
    }

    #[test]
    fn facts_are_not_asked_for_where_no_fault_wants_them() {
        let faults = faults(&[json!({"endpoint": "*", "fault": "drop"})]);
        assert!(faults.take(ORDERS, || panic!("asked for")).is_some());
    }

    #[test]
    fn a_probability_strikes_now_and_then() {
        let faults =
            faults(&[json!({"endpoint": "*", "fault": "drop", "times": 1000, "probability": 0.3})]);
        let hits = (0..1_000).filter(|_| faults.take(ORDERS, Facts::default).is_some()).count();
        assert!((230..370).contains(&hits), "{hits}");
    }

    #[test]
    fn the_list_is_bounded_and_can_be_cleared() {
        let faults = Faults::new(1);
        let spec = json!({"endpoint": "*", "fault": "drop"}).to_string();
        for _ in 0..ACTIVE_MAX {
            faults.add(spec.as_bytes()).unwrap();
        }
        assert!(matches!(faults.add(spec.as_bytes()), Err(FaultError::TooMany { .. })));
        assert_eq!((faults.clear(), faults.clear()), (ACTIVE_MAX, 0));
    }
}
