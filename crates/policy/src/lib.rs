//! Policy documents into clauses, retrieval over them, Cedar rules, decision tables: a release, by content hash.
//!
//! Everything here is pure once a release is loaded: the same question has the same answer for ever. Only
//! [`Release::from_dir`] reads files.

mod ask;
mod cedar;
mod clause;
mod course;
mod diff;
mod explain;
mod files;
mod index;
mod lint;
mod plain;
mod problem;
mod release;
mod retrieval;
mod schema;
mod table;
mod team;
mod template;
mod threshold;

pub use clause::Clause;
pub use diff::{Change, Direction, diff};
pub use index::{Answer, Indexed};
pub use lint::{Finding, lint};
pub use problem::{Problem, ReleaseErrors};
pub use release::Release;
pub use retrieval::Found;
pub use table::TableVerdict;
pub use team::AgentPlan;
pub use template::Template;
