//! The steps of a case up to its verdict.

use serde::{Deserialize, Serialize};

use crate::{
    action::Action,
    canonical::Digest,
    facts::Facts,
    name::{CaseId, Environment, ItemId},
    principal::Duty,
    release::ClauseRef,
    time::Time,
};

/// Open a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCase {
    /// Its id, never used before.
    pub case: CaseId,
    /// Where it runs.
    pub environment: Environment,
    /// What it is about: a reference, no personal data.
    pub subject: String,
    /// Commitment to the source snapshot.
    pub snapshot: Digest,
}

/// Call a tool that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// In which case.
    pub case: CaseId,
    /// The tool and its arguments.
    pub action: Action,
    /// Digest of the tool as its server describes it now, as the engine saw it; none where nobody looked, or where the
    /// server does not offer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Digest>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The permitted call.
    pub call: ItemId,
    /// Commitment to the answer's bytes; none where there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// The facts that the release takes from it.
    pub facts: Facts,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What retrieval found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieve {
    /// In which case.
    pub case: CaseId,
    /// What was looked for.
    pub query: String,
    /// The query's vector, where the release ranks by meaning too: base64 of one signed byte per dimension. With it the
    /// ranking can be made again without the model that embedded the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// The moment whose clauses in force were searched; none where that is the record's own time, or all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    /// What was found, best first; then what the release binds to an action and was not among the best.
    pub ranking: Vec<Ranked>,
}

/// One clause in a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranked {
    /// The clause.
    pub clause: ClauseRef,
    /// Its score in thousandths, in the measure of the release's retrieval; larger is better.
    pub score_milli: i64,
}

/// What an agent recommends to do with the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stance {
    /// Do it.
    Proceed,
    /// Do not.
    Refuse,
    /// A human should decide.
    Refer,
}

impl Stance {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Refuse => "refuse",
            Self::Refer => "refer",
        }
    }
}

/// What an agent decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recommend {
    /// In which case.
    pub case: CaseId,
    /// Under which duty: prepare or review.
    pub duty: Duty,
    /// What should be done.
    pub stance: Stance,
    /// The exact action, where one could be formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// In whole percent.
    pub confidence: u8,
    /// In plain sentences; no personal data.
    pub rationale: String,
    /// The clauses relied on, each found by retrieval in this case.
    pub clauses: Vec<ClauseRef>,
    /// Words of those clauses on which it rests; each must stand in its clause's text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<Quote>,
    /// The model that decided, like `rules/<digest>`.
    pub model: String,
    /// SHA-256 of the prompt that the agent ran on; not needed where effects are simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Digest>,
    /// What in the model decided, where it can say: a row of a decision table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Commitments to everything the agent saw.
    pub inputs: Vec<Digest>,
}

/// Words quoted from a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// Id of a clause that the recommendation cites.
    pub clause: String,
    /// Words that follow each other in its text. Blanks, line ends, the form of quotation marks and dashes and Unicode's
    /// compatible forms do not count; case does.
    pub words: String,
}

/// A decision that was made, and perhaps carried out, where this log authorised nothing: it is taken down and changes nothing
/// else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDecision {
    /// In which case; it ends with this.
    pub case: CaseId,
    /// What was decided.
    pub stance: Stance,
    /// The action that it was about, where there was one; its tool need not be one of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// In whole percent.
    pub confidence: u8,
    /// In plain sentences; no personal data.
    pub rationale: String,
    /// The clauses relied on; each must be one of the release.
    pub clauses: Vec<ClauseRef>,
    /// The model that decided, or the name of what did.
    pub model: String,
    /// Where it was decided: the name of a system.
    pub system: String,
}

/// End what has expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// In which case.
    pub case: CaseId,
}
