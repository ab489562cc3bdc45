//! What follows a verdict: approvals that wait, grants and what came of them.

use serde::{Deserialize, Serialize};

use crate::{action::Action, canonical::Digest, name::ItemId};

/// See [`Request::NoteWaiting`](super::Request::NoteWaiting).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteWaiting {
    /// The request for approval that waits.
    pub approval: ItemId,
}

/// Use a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseGrant {
    /// Which.
    pub grant: ItemId,
    /// The action, exactly as approved.
    pub action: Action,
    /// As [`Call::described`](super::Call::described).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Digest>,
}

/// What is known of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The target says that it was done.
    Succeeded,
    /// The target says that it was not done, or the call certainly never left.
    Failed,
    /// Nobody can say.
    Unknown,
}

impl Outcome {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// How an outcome became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// The target's own answer to the call.
    Answer,
    /// Looking it up at the target by the grant's id, afterwards.
    Lookup,
    /// The process ended between using the grant and recording the outcome.
    Recovery,
    /// Nothing was called: the environment has simulated effects.
    Simulated,
    /// Whoever used the grant carried the effect out, and says so.
    Caller,
    /// Whoever used the grant was to carry the effect out, and has not said in time what came of it.
    Overdue,
}

/// Record what came of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordOutcome {
    /// Which.
    pub grant: ItemId,
    /// What is known.
    pub outcome: Outcome,
    /// How it became known.
    pub found_by: FoundBy,
    /// The target's words, shortly; no personal data.
    pub detail: String,
    /// Commitment to the target's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
}

/// See [`Request::NoteOverdue`](super::Request::NoteOverdue).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteOverdue {
    /// The grant that was given in the emergency.
    pub grant: ItemId,
}
