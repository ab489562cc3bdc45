//! The real binary with its real target systems, as users and attackers meet it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod archive;
mod attacks;
mod change;
mod clauses;
mod console;
mod crash;
mod credentials;
mod erasure;
mod faults;
mod fold;
mod freeze;
mod glass;
mod identity;
mod import;
mod keys;
mod line;
mod listen;
mod logs;
mod mcp;
mod metrics;
mod models;
mod people;
mod policy;
mod rig;
mod table;
mod tamper;
mod tls;
mod tools;
mod webhooks;
mod witness;
