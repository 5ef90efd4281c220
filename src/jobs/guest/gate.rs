//! Who is let to an upstream, of what waits: new orders, what is under way, and what only looks.

use std::time::{Duration, Instant};

use super::{Guest, Host};
use crate::{queue::Gate, upstream::ljpc::Ljpc};

/// How long who only looks waits for a place in the budget that nobody else wants: some places at the usual pace.
const SPARE_WAIT_MAX: Duration = Duration::from_secs(1);

impl<U: Host> Guest<U> {
    /// Whether a run that looks for evidence, and may go on another time, may make its next request now: its first one has
    /// its place in the budget, the others have one only where nobody else wants it. Else they would come before all that
    /// is not yet claimed, new orders among it, for whoever waits in the midst of a run is served first.
    pub async fn may_go_on_looking(&self, prepaid: &mut bool) -> bool {
        if !*prepaid {
            *prepaid = self.budget.spare_within(SPARE_WAIT_MAX).await.unwrap_or_else(|error| {
                tracing::warn!(error = %crate::causes::causes(&error), "no request could be spared");
                false
            });
        }
        *prepaid
    }
}

impl Gate for Guest<Ljpc> {
    fn admit(&self, max: usize) -> usize {
        if self.is_paused() {
            return 0;
        }
        // A line that would wait for its place among the requests would only use up its lease.
        let max = max.min(self.in_flight.free());
        if self.circuits.get("").is_none() {
            return self.budget.take(max);
        }
        // Also a line that is only looked at has its place in the budget: the circuit may close meanwhile.
        let now = Instant::now();
        self.with_looks(|looks| {
            let taken = self.budget.take(max.min(looks.left(now)));
            looks.take(taken);
            taken
        })
    }

    fn give_back(&self, n: usize) {
        self.budget.give_back(n);
        self.with_looks(|looks| looks.give_back(n));
    }

    fn lack(&self) {
        // The watch rings the alarm when the pause is over.
        if self.is_paused() {
            return;
        }
        // No place is free: a slot in hand would ring at once, and again and again.
        if self.in_flight.free() == 0 {
            return self.in_flight.want();
        }
        // A circuit rings the alarm itself when it closes.
        let open = self.circuits.get("").is_some();
        if !open || self.with_looks(|looks| looks.left(Instant::now())) > 0 {
            self.budget.want();
        }
    }
}
