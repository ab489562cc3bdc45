//! What is counted of calls, for monitoring: by what they came to, never by whose they are or what they ask.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    result: &'static str,
}

/// Calls that were answered since the process started.
#[derive(Clone, Debug)]
pub struct Calls {
    answered: Family<Of, Counter>,
    took: Histogram,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            took: Histogram::new(BARS),
        }
    }
}

impl Calls {
    /// Names them in a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mcp_calls",
            "tools/call answered, by what came of it: done, failed, refused, pending_approval, cancelled and others",
            self.answered.clone(),
        );
        registry.register_with_unit(
            "mcp_call",
            "From a tools/call to its answer, the target's own time included",
            Unit::Seconds,
            self.took.clone(),
        );
    }

    pub(super) fn answered(&self, result: &'static str, took: Duration) {
        self.answered.get_or_create(&Of { result }).inc();
        self.took.observe(took.as_secs_f64());
    }
}

/// Ends of the bars, in seconds: from a governed call alone to a target that takes its time.
const BARS: [f64; 12] = [
    0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0,
];
