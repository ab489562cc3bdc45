//! What is counted of webhooks, for monitoring: per receiver, by the name that its operator gave it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use duty::time::Time;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    pub(super) endpoint: String,
}

/// Counters since the process started, and what waits now.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) delivered: Family<Of, Counter>,
    pub(super) failures: Family<Of, Counter>,
    waiting: Mutex<BTreeMap<String, Time>>,
}

impl Meter {
    /// A receiver whose counts begin at zero, so that they are there before anything happens.
    pub(super) fn begin(&self, endpoint: &str) {
        let of = Of {
            endpoint: endpoint.to_owned(),
        };
        let _zero = self.delivered.get_or_create(&of);
        let _zero = self.failures.get_or_create(&of);
    }

    pub(super) fn taken(&self, endpoint: &str) {
        let endpoint = endpoint.to_owned();
        self.delivered.get_or_create(&Of { endpoint }).inc();
    }

    pub(super) fn failed(&self, endpoint: &str) {
        let endpoint = endpoint.to_owned();
        self.failures.get_or_create(&Of { endpoint }).inc();
    }

    /// An event of this time waits to be taken, until what is answered is dropped.
    pub(super) fn waits(&self, endpoint: &str, since: Time) -> Waiting<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(endpoint.to_owned(), since);
        Waiting(self, endpoint.to_owned())
    }

    /// Since when the oldest event of a receiver waits.
    pub(super) fn oldest(&self, endpoint: &str) -> Option<Time> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(endpoint).copied()
    }
}

/// An event that waits.
pub(super) struct Waiting<'m>(&'m Meter, String);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&self.1);
    }
}
