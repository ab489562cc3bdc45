//! What an auditor runs: verification, re-performance, queries, and the story of a case.
//!
//! Everything starts from a copy of a log, held by somebody who need not trust whoever made it. [`verify`](verify())
//! checks every byte and every signature; [`reperform`](reperform()) decides every request again; [`Index`] answers
//! questions fast and can be thrown away; [`case_story`] and [`replay`](replay()) tell one case from its beginning to its end.
//!
//! | module | what |
//! |---|---|
//! | [`source`] | opens a data directory, a copy of a log, or its URL |
//! | [`reader`] | records in order |
//! | [`verify`](mod@verify) | every byte, record, signature and snapshot |
//! | [`reperform`](mod@reperform) | every decision, recommendation and retrieval again |
//! | [`index`] | a projection for queries |
//! | [`story`], [`replay`](mod@replay) | one case |
//! | [`proof`] | one record and its clauses in a file that verifies offline |
//! | [`control`] | controls: assertions over every record, and attempted violations |
//! | [`exceptions`](mod@exceptions) | what waits for triage |
//! | [`approvers`](mod@approvers) | how people sign |
//! | [`overrides`](mod@overrides) | how often humans decided against each agent, and why |

mod ahead;
mod error;
mod keys;
mod library;
mod pretend;
mod rerun;
mod vault;
mod walk;
mod words;

pub mod approvers;
pub mod control;
pub mod exceptions;
pub mod index;
pub mod overrides;
pub mod proof;
pub mod reader;
pub mod reperform;
pub mod replay;
pub mod source;
pub mod story;
pub mod verify;

pub use approvers::{Approver, approvers};
pub use error::EvidenceError;
pub use exceptions::{ExceptionLine, exceptions};
pub use index::{COMPARED, CaseFilter, CaseRow, Index, Query, Reliance, Row, Summary};
pub use overrides::{Overrides, overrides};
pub use reader::{for_each_record, head};
pub use reperform::{Disagreement, ReperformError, ReperformOptions, ReperformReport, reperform};
pub use replay::{Step, replay};
pub use source::{Opened, S3Access, open, open_at, open_s3};
pub use story::{Story, case_story};
pub use vault::{Kept, Vault};
pub use verify::{Fault, VerifyOptions, VerifyReport, verify, verify_with};
pub use walk::{Group, for_each_group};
pub use words::describe;
