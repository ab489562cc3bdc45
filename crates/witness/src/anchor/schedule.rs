//! When checkpoints go to anchors, and how that went.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Kept, config::Anchors};

/// The file in the data directory that says how anchors fare.
pub const FILE: &str = "anchors.state.json";

/// Seconds between two attempts at an anchor that failed: one minute, doubled up to an hour.
const FIRST: u64 = 60;
const MOST: u64 = 3600;

/// How anchors fare, by name. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States(pub BTreeMap<String, State>);

/// How one anchor fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Size of the newest checkpoint that is kept there.
    pub size: u64,
    /// When it came there.
    pub at: u64,
    /// Attempts that failed since then.
    pub failures: u32,
    /// When the last one was made.
    pub tried: u64,
    /// What it said.
    pub problem: Option<String>,
}

impl States {
    /// Those of the data directory at `dir`; empty where nothing is known yet.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        // Only what is shown and when to try again hangs on it: a broken file is begun anew.
        let text = fs::read(dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes them, in one step.
    ///
    /// # Errors
    /// The system's, with the file.
    pub fn write(&self, dir: &Path) -> Result<(), String> {
        let path = dir.join(FILE);
        let bytes = serde_json::to_vec_pretty(self).map_err(|why| why.to_string())?;
        store::secret::write_secret(&path, &bytes).map_err(|why| why.to_string())
    }

    /// Takes a checkpoint to every anchor that is due at `now`, or to all of them; answers what went wrong.
    pub fn run(
        &mut self,
        anchors: &Anchors,
        note: &Kept,
        now: u64,
        all: bool,
    ) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        self.0.retain(|name, _| anchors.anchors.contains_key(name));
        for (name, anchor) in &anchors.anchors {
            let state = self.0.entry(name.clone()).or_default();
            if !all && !state.is_due(now, anchors.every.as_secs(), note.size) {
                continue;
            }
            state.tried = now;
            match anchor.keep(note) {
                Ok(()) => {
                    (state.size, state.at) = (note.size, now);
                    (state.failures, state.problem) = (0, None);
                }
                Err(why) => {
                    state.failures = state.failures.saturating_add(1);
                    state.problem = Some(why.clone());
                    wrong.push((name.clone(), why));
                }
            }
        }
        wrong
    }
}

impl State {
    fn is_due(&self, now: u64, every: u64, size: u64) -> bool {
        match self.failures {
            0 => size > self.size && now >= self.at.saturating_add(every) || self.at == 0,
            failures => {
                let wait = FIRST.saturating_mul(1 << (failures - 1).min(16)).min(MOST);
                now >= self.tried.saturating_add(wait.min(every))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_when_grown_and_time_is_up_or_after_a_failure() {
        let fresh = State::default();
        assert!(fresh.is_due(5, 3600, 0));
        let kept = State {
            size: 10,
            at: 1000,
            tried: 1000,
            ..State::default()
        };
        assert!(!kept.is_due(4599, 3600, 11) && kept.is_due(4600, 3600, 11));
        assert!(!kept.is_due(9999, 3600, 10));
        let failed = |failures| State {
            failures,
            problem: Some("away".to_owned()),
            ..kept.clone()
        };
        assert!(!failed(1).is_due(1059, 36_000, 10) && failed(1).is_due(1060, 36_000, 10));
        assert!(!failed(3).is_due(1239, 36_000, 10) && failed(3).is_due(1240, 36_000, 10));
        assert!(!failed(60).is_due(4599, 36_000, 10) && failed(60).is_due(4600, 36_000, 10));
    }
}
