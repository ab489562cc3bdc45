//! The core from outside: one case through its duties, attacks on it, and laws over random histories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approvals;
mod caller;
mod citing;
mod conflicts;
mod credentials;
mod delegations;
mod duties;
mod elsewhere;
mod erasure;
mod fatigue;
mod foresee;
mod freezes;
mod glass;
mod groups;
mod keys;
mod language;
mod lapses;
mod laws;
mod pins;
mod promotion;
mod reading;
mod thresholds;
mod training;
mod world;
