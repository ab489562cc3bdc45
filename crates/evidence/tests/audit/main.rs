//! An auditor's checks over logs made by the core with the example's release.

mod again;
mod asked;
mod mirror;
mod tamper;
mod world;
