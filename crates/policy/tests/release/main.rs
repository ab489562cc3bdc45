//! A release from outside: what it answers, and what is said of a wrong one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approval;
mod rules;
mod search;
mod small;
mod table;
mod threshold;
mod types;
mod written;
