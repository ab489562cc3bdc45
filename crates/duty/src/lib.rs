//! The functional core: who may do what in one case.
//!
//! Pure: no I/O, no async, no clock, no random number. Start reading at [`decide`], which answers a
//! [`request`](request::Submission) with [`record`]s, then at [`State::apply`](state::State::apply), which turns records into [`state`]. Both together
//! are the product: anyone with a copy of the log can run them again and see the same verdicts.

pub mod action;
pub mod canonical;
pub mod conflict;
pub mod course;
mod decide;
pub mod edition;
pub mod facts;
mod fold;
pub mod freeze;
pub mod jwt;
pub mod language;
pub mod log_key;
pub mod name;
pub mod passkey;
pub mod principal;
pub mod quorum;
pub mod record;
pub mod refusal;
pub mod release;
pub mod request;
pub mod shared;
pub mod signature;
mod slice;
pub mod ssh;
pub mod state;
pub mod statement;
pub mod subject;
mod tagged;
pub mod tally;
mod text;
pub mod time;

pub use decide::{
    Decision, Foresight, Headroom, Line, Outlook, Room, Share, Signature, Signing, StageView, Way,
    decide, decide_with, differs, ending, foresee, headroom, may_sign, release_for, says, stages,
};
pub use fold::FoldError;

/// Version of the fold. A state that was written down is read again by this version alone: the number is raised whenever
/// the same records would come to another [`State`](state::State), or the same state to other bytes.
pub const CORE: &str = concat!(env!("CARGO_PKG_VERSION"), " state 5");
