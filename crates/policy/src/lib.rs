//! Policy documents into clauses, retrieval over them, Cedar rules, decision tables: a release, by content hash.
//!
//! Everything here is pure once a release is loaded: the same question has the same answer for ever. Only
//! [`Release::from_dir`] reads files.

mod ask;
mod bind;
mod cedar;
mod clause;
mod compare;
mod course;
mod diff;
mod edition;
mod explain;
mod files;
mod header;
mod index;
mod lint;
mod offer;
mod pin;
mod place;
mod plain;
mod problem;
mod redact;
mod release;
mod retrieval;
mod schema;
mod table;
mod team;
mod template;
mod threshold;
mod touches;
mod types;

pub use clause::Clause;
pub use compare::{ClauseChange, Fate, clauses_of, compare};
pub use diff::{Change, Direction, diff};
pub use index::{Answer, Indexed};
pub use lint::{Finding, lint};
pub use pin::Pin;
pub use problem::{Problem, ReleaseErrors};
pub use redact::{Redacted, Redaction};
pub use release::{Release, ToEmbed};
pub use retrieval::{
    Counts, Embedder, Found, Place, Query, TermMatch, Vector, embedded_text, vector_files,
};
pub use table::{Matter, TableVerdict};
pub use team::{AgentPlan, Form, LanguagePlan};
pub use template::Template;
pub use touches::{Touch, touches};
