//! Refusals: which rule, why, which clause, and what would make it pass.

use serde::{Deserialize, Serialize};

/// A refusal, as it stands in the record and in the answer to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which rule refused.
    pub code: Code,
    /// Why, in one sentence.
    pub why: String,
    /// What would make it pass.
    pub remedy: String,
    /// The release's rule that spoke, or that came nearest to permitting, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The clause behind it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: Code, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
            remedy: remedy.into(),
            rule: None,
            clause: None,
        }
    }

    pub(crate) fn rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    pub(crate) fn clause(mut self, clause: Option<String>) -> Self {
        self.clause = clause;
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.word(), self.why)?;
        if let Some(rule) = &self.rule {
            write!(f, " [rule {rule}]")?;
        }
        if let Some(clause) = &self.clause {
            write!(f, " [clause {clause}]")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $word:literal $invariant:expr;)*) => {
        /// The rules of the core that can refuse. Deliberately exhaustive: a caller that handles refusals must decide about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The word used in records.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The invariant that the rule upholds, where it is one of those.
            #[must_use]
            pub fn invariant(self) -> Option<&'static str> {
                match self { $(Self::$variant => $invariant,)* }
            }
        }
    };
}

codes! {
    /// The log is begun already, or not yet.
    LogState "log-state" None;
    /// Nobody by this id, or no such credential of theirs.
    UnknownPrincipal "unknown-principal" Some("I2");
    /// The principal or credential was revoked.
    Revoked "revoked" Some("I2");
    /// The principal's role does not hold this.
    NotYourDuty "not-your-duty" Some("I2");
    /// One principal, owner or credential on two sides of a case or an erasure.
    NotIndependent "not-independent" Some("I2");
    /// The approver owns an agent of the case, or is named by a disqualifying fact.
    Conflicted "conflicted" Some("I2");
    /// Only a human may do this.
    NotHuman "not-human" Some("I4");
    /// The signature is not the signer's over exactly this.
    BadSignature "bad-signature" Some("I4");
    /// What was signed is not what is asked: another action, case, release, environment, expiry or log.
    WrongBinding "wrong-binding" Some("I3");
    /// Already used, already given, already decided.
    Replayed "replayed" Some("I3");
    /// Too late.
    Expired "expired" Some("I3");
    /// The environment has moved to another release since.
    ReleaseMoved "release-moved" Some("I3");
    /// No certification in force.
    NotCertified "not-certified" Some("I4");
    /// A yes that came sooner than it can have been read.
    TooSoon "too-soon" Some("I4");
    /// The person has signed as much within the hour as the release lets one person sign.
    TooMany "too-many" Some("I4");
    /// Whoever answers for the agent was revoked, or is not certified as the release asks of an owner.
    OwnerLapsed "owner-lapsed" Some("I4");
    /// The quorum is not complete.
    QuorumMissing "quorum-missing" Some("I4");
    /// The threshold is not signed, not in force, or has no room.
    ThresholdClosed "threshold-closed" Some("I5");
    /// A citation of what does not exist, was not retrieved, or nothing cited at all.
    BadCitation "bad-citation" Some("I6");
    /// The permission set forbids it or does not permit it.
    NotPermitted "not-permitted" None;
    /// The tool has an effect: only a grant may call it.
    NeedsGrant "needs-grant" Some("I1");
    /// The case, call, approval, grant or exception is not there, or not in a state for this.
    WrongState "wrong-state" None;
    /// The agent has read in the case as often as an agent may.
    CaseFull "case-full" None;
    /// An override or rejection without its reason, or an override not said to be one.
    ReasonMissing "reason-missing" None;
    /// A review that has not seen the sources.
    SourcesMissing "sources-missing" None;
    /// The model or the prompt is not the one that the release pins.
    ModelDrifted "model-drifted" None;
    /// A recommendation that does not rest on what the agent's language model said.
    ModelUnheard "model-unheard" None;
    /// The agent's language model has used what the release lets it use.
    OverBudget "over-budget" None;
    /// Its server does not describe the tool as the release pins it.
    ToolChanged "tool-changed" None;
    /// The clock stands before the last record.
    ClockBehind "clock-behind" Some("I11");
    /// Nobody signed the release as its author.
    AuthorMissing "author-missing" Some("I7");
    /// Its own author would promote it.
    AuthorPromotes "author-promotes" Some("I7");
    /// No control tests passed for exactly this release.
    TestsMissing "tests-missing" Some("I7");
    /// The release is not there to be asked.
    PolicyMissing "policy-missing" Some("I11");
    /// A legal hold is in force, and wins over erasure.
    LegalHold "legal-hold" None;
    /// The log holds no case about the subject, or the subject was erased already.
    NothingToErase "nothing-to-erase" None;
    /// Cases about the subject are under way, and open work needs its sources.
    WorkOpen "work-open" None;
    /// The subject was erased: nothing more is kept of it.
    SubjectErased "subject-erased" None;
    /// No retention is over for the subject by the release in force.
    RetentionRuns "retention-runs" None;
    /// An emergency of theirs waits for its review, or the release knows none.
    GlassClosed "glass-closed" Some("I4");
    /// No delegation in force lets this person sign for that one, or none can be made so.
    NotDelegated "not-delegated" Some("I2");
    /// The release lists this among what always needs a human.
    HumanStep "human-step" Some("I5");
    /// An override without a reason code of the release's list, or a code where there is none to give.
    CodeMissing "code-missing" None;
    /// A freeze is in force.
    Frozen "frozen" Some("I11");
    /// The request is malformed.
    Malformed "malformed" None;
}
