//! What the engine counts of itself, for monitoring. None of it decides anything, and none of it names a person, a case or an
//! argument: labels are words of the core.

use std::time::Duration;

use duty::{Decision, record::Record};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// A request that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    /// The word of the request.
    request: &'static str,
    /// `taken`, or the code of the refusal.
    answer: &'static str,
}

/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Counters and times since the process started.
#[derive(Clone, Debug)]
pub struct Meter {
    decided: Family<Decided, Counter>,
    records: Family<Kind, Counter>,
    deciding: Histogram,
    durable: Histogram,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            decided: Family::default(),
            records: Family::default(),
            deciding: Histogram::new(FAST),
            durable: Histogram::new(SLOW),
        }
    }
}

impl Meter {
    /// Names them all in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "decisions",
            "Requests decided, by what was asked and how it was answered",
            self.decided.clone(),
        );
        registry.register(
            "records",
            "Records written, by kind: grant.issued, approval.requested, exception.raised and all others",
            self.records.clone(),
        );
        registry.register_with_unit(
            "decision",
            "From the lock to the place in the journal: deciding, and folding what was decided",
            Unit::Seconds,
            self.deciding.clone(),
        );
        registry.register_with_unit(
            "durable",
            "Waits until records are on the disk",
            Unit::Seconds,
            self.durable.clone(),
        );
    }

    pub(crate) fn decided(&self, request: &'static str, decision: &Decision, took: Duration) {
        let answer = decision.refusal.as_ref().map_or("taken", |r| r.code.word());
        let decided = Decided { request, answer };
        self.decided.get_or_create(&decided).inc();
        for kind in decision.records.iter().map(|r: &Record| r.body.kind()) {
            self.records.get_or_create(&Kind { kind }).inc();
        }
        self.deciding.observe(took.as_secs_f64());
    }

    pub(crate) fn durable(&self, took: Duration) {
        self.durable.observe(took.as_secs_f64());
    }
}

/// Ends of the bars of what is a matter of microseconds, in seconds.
const FAST: [f64; 10] = [
    0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0,
];

/// Of what waits for a disk.
const SLOW: [f64; 10] = [
    0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0,
];
