//! An auditor's checks over logs made by the core with the example's release.

#![expect(clippy::unwrap_used, reason = "a test that fails should stop there")]

mod again;
mod approving;
mod asked;
mod controls;
mod credentials;
mod edited;
mod erased;
mod every;
#[expect(dead_code, reason = "the bench uses more of it")]
#[path = "../../benches/everything/mod.rs"]
mod everything;
mod mirror;
mod resume;
mod tamper;
mod world;
