//! A metric with labels, of which every known series exists from the start and no unknown one can be made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus::core::{
    Atomic, Collector, GenericCounterVec, GenericGaugeVec, MetricVec, MetricVecBuilder, Number,
};
use prometheus::{HistogramOpts, HistogramVec, Opts, Registry};

/// In the place of a label's value that is not known.
const OTHER: &str = "other";

/// The values that each label may have, and the combinations that exist from the start.
#[derive(Debug)]
pub(super) struct LabelSets {
    known: BTreeSet<Vec<String>>,
}

impl LabelSets {
    /// No combination yet.
    pub(super) fn none() -> Self {
        Self { known: BTreeSet::new() }
    }

    /// Every combination of the labels' values.
    pub(super) fn product(labels: &[&[&str]]) -> Self {
        let begun = Self { known: BTreeSet::from([Vec::new()]) };
        labels.iter().fold(begun, |sets, values| sets.and(values))
    }

    /// These, each with every value of one label more.
    pub(super) fn and(&self, values: &[&str]) -> Self {
        let known = self.known.iter().flat_map(|begun| {
            values.iter().map(|value| begun.iter().cloned().chain([(*value).to_owned()]).collect())
        });
        Self { known: known.collect() }
    }

    /// Those of both.
    pub(super) fn union(self, other: Self) -> Self {
        Self { known: self.known.into_iter().chain(other.known).collect() }
    }

    fn iter(&self) -> impl Iterator<Item = Vec<&str>> {
        self.known.iter().map(|values| values.iter().map(String::as_str).collect())
    }

    /// The values themselves, or, if that combination is not known, `other` for each that stands in none.
    fn bounded<'a>(&self, values: &[&'a str]) -> Vec<&'a str> {
        if self.known.iter().any(|known| known.iter().eq(values)) {
            return values.to_vec();
        }
        let stands_somewhere = |at: usize, value: &str| {
            self.known.iter().any(|known| known.get(at).is_some_and(|known| known == value))
        };
        let bound = |(at, value): (usize, &&'a str)| {
            if stands_somewhere(at, value) { *value } else { OTHER }
        };
        values.iter().enumerate().map(bound).collect()
    }
}

/// Registers it, and gives the handle by which it is used.
pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// The same for a metric with labels, with all its series.
fn register_all<B: MetricVecBuilder + 'static>(
    registry: &Registry,
    vec: MetricVec<B>,
    sets: &LabelSets,
) -> Result<MetricVec<B>, prometheus::Error> {
    let vec = register(registry, vec)?;
    for values in sets.iter() {
        vec.get_metric_with_label_values(&values)?;
    }
    Ok(vec)
}

/// Counters of one name.
#[derive(Debug)]
pub(super) struct Counters<P: Atomic> {
    vec: GenericCounterVec<P>,
    sets: LabelSets,
}

impl<P: Atomic + 'static> Counters<P> {
    pub(super) fn new(
        registry: &Registry,
        opts: Opts,
        labels: &[&str],
        sets: LabelSets,
    ) -> Result<Self, prometheus::Error> {
        let vec = register_all(registry, GenericCounterVec::new(opts, labels)?, &sets)?;
        Ok(Self { vec, sets })
    }

    pub(super) fn inc(&self, values: &[&str]) {
        self.vec.with_label_values(&self.sets.bounded(values)).inc();
    }
}

/// Histograms of one name.
#[derive(Debug)]
pub(super) struct Histograms {
    vec: HistogramVec,
    sets: LabelSets,
}

impl Histograms {
    pub(super) fn new(
        registry: &Registry,
        opts: HistogramOpts,
        labels: &[&str],
        sets: LabelSets,
    ) -> Result<Self, prometheus::Error> {
        let vec = register_all(registry, HistogramVec::new(opts, labels)?, &sets)?;
        Ok(Self { vec, sets })
    }

    pub(super) fn observe(&self, values: &[&str], seconds: f64) {
        self.vec.with_label_values(&self.sets.bounded(values)).observe(seconds);
    }
}

/// Gauges of one name.
#[derive(Debug)]
pub(super) struct Gauges<P: Atomic> {
    vec: GenericGaugeVec<P>,
    sets: LabelSets,
    /// Series with `other` in them that were needed once: `replace` brings them back to 0 too.
    others: Mutex<BTreeSet<Vec<String>>>,
}

impl<P: Atomic + 'static> Gauges<P> {
    pub(super) fn new(
        registry: &Registry,
        opts: Opts,
        labels: &[&str],
        sets: LabelSets,
    ) -> Result<Self, prometheus::Error> {
        let vec = register_all(registry, GenericGaugeVec::new(opts, labels)?, &sets)?;
        Ok(Self { vec, sets, others: Mutex::default() })
    }

    pub(super) fn set(&self, values: &[&str], to: P::T) {
        self.vec.with_label_values(&self.sets.bounded(values)).set(to);
    }

    /// Sets every series: to what is given, or to 0. No series passes through 0 on its way, for a scrape may look any time.
    pub(super) fn replace<'a, const N: usize>(
        &self,
        given: impl IntoIterator<Item = ([&'a str; N], P::T)>,
    ) {
        let nothing = P::T::from_i64(0);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let existing = self.sets.known.iter().chain(others.iter());
        let mut values: BTreeMap<Vec<String>, P::T> =
            existing.map(|labels| (labels.clone(), nothing)).collect();
        for (labels, value) in given {
            let labels = self.sets.bounded(&labels).into_iter().map(str::to_owned).collect();
            *values.entry(labels).or_insert(nothing) += value;
        }
        for (labels, value) in values {
            self.vec.with_label_values(&labels).set(value);
            if !self.sets.known.contains(&labels) {
                others.insert(labels);
            }
        }
    }
}
