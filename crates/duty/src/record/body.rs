//! What a record says happened: a body for each kind.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Basis, CapLine, CaseOutcome, Counted, ExceptionSort, RecordError, Route, Usage};
use crate::{
    canonical::{Digest, reader::Reader},
    name::{ItemId, PrincipalId, ReasonCode, StageName, ThresholdId},
    refusal::Refusal,
    release::{Level, RuleHit, Tier, Unit},
    request::Request,
    statement::Choice,
    subject::SubjectId,
    time::Time,
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        /// What happened, by kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Body {
            $($(#[$doc])* $name($name),)*
        }

        impl Body {
            /// Every kind of record.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The kind, as written in the envelope.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind,)* }
            }

            pub(super) fn parse(kind: &str, raw: &RawValue) -> Result<Self, RecordError> {
                let fault = |e: serde_json::Error| RecordError::Body { kind: kind.to_owned(), why: e.to_string() };
                match kind {
                    $($kind => serde_json::from_str(raw.get()).map(Self::$name).map_err(fault),)*
                    _ => Err(RecordError::Kind(kind.to_owned())),
                }
            }

            /// The body, where it can be read in one pass.
            pub(super) fn read(kind: &str, reader: &mut Reader<'_>) -> Option<Self> {
                match kind {
                    $($kind => reader.value().map(Self::$name).ok(),)*
                    _ => None,
                }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl From<$name> for Body {
                fn from(body: $name) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}

bodies! {
    /// The log began.
    LogOpened "log.opened" {
        /// The request.
        request: Request,
    }
    /// A principal was added.
    PrincipalAdded "principal.added" {
        /// The request.
        request: Request,
    }
    /// A principal ended.
    PrincipalRevoked "principal.revoked" {
        /// The request.
        request: Request,
    }
    /// A principal got another credential.
    CredentialAdded "credential.added" {
        /// The request.
        request: Request,
    }
    /// A credential ended by itself.
    CredentialRevoked "credential.revoked" {
        /// The request.
        request: Request,
    }
    /// A person passed a training.
    CertificationRecorded "certification.recorded" {
        /// The request.
        request: Request,
    }
    /// What a person passed of a course does not count any more.
    CertificationEnded "certification.ended" {
        /// The request.
        request: Request,
    }
    /// A certification is over soon, or was over.
    CertificationExpiring "certification.expiring" {
        /// The request.
        request: Request,
        /// When.
        expires: Time,
    }
    /// A group was made.
    GroupCreated "group.created" {
        /// The request.
        request: Request,
    }
    /// A principal joined a group.
    GroupJoined "group.joined" {
        /// The request.
        request: Request,
    }
    /// A principal left a group.
    GroupLeft "group.left" {
        /// The request.
        request: Request,
    }
    /// Another key took over from the log's.
    LogKeyRotated "log.key.rotated" {
        /// The request.
        request: Request,
    }
    /// A file of a release came into the log.
    FileRecorded "file.recorded" {
        /// The request.
        request: Request,
        /// SHA-256 of the content.
        digest: Digest,
    }
    /// Files were named as one release.
    ReleaseBuilt "release.built" {
        /// The request.
        request: Request,
        /// The release's digest.
        digest: Digest,
    }
    /// A human signed a release as its author.
    ReleaseSigned "release.signed" {
        /// The request.
        request: Request,
    }
    /// What control tests came to for a release.
    ControlsTested "controls.tested" {
        /// The request.
        request: Request,
        /// Whether each of them passed.
        passed: bool,
    }
    /// An environment points at a release.
    ReleasePromoted "release.promoted" {
        /// The request.
        request: Request,
    }
    /// A human signed a threshold.
    ThresholdSigned "threshold.signed" {
        /// The request.
        request: Request,
    }
    /// A case opened.
    CaseOpened "case.opened" {
        /// The request.
        request: Request,
    }
    /// An agent may call a tool without effect.
    CallPermitted "call.permitted" {
        /// The request.
        request: Request,
        /// The call.
        call: ItemId,
        /// The rule that permits it.
        rule: RuleHit,
    }
    /// The tool answered, or did not.
    CallAnswered "call.answered" {
        /// The request.
        request: Request,
    }
    /// Clauses were looked for.
    ClausesRetrieved "clauses.retrieved" {
        /// The request.
        request: Request,
    }
    /// The language model of an agent is asked; the question goes out now.
    ModelCalled "model.called" {
        /// The request.
        request: Request,
        /// The call.
        call: ItemId,
        /// The most tokens that the answer may have.
        max_tokens: u32,
    }
    /// It answered, or did not.
    ModelAnswered "model.answered" {
        /// The request.
        request: Request,
        /// What is wrong with the name under which it answered; such an answer does not count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drift: Option<String>,
    }
    /// An agent recommended.
    RecommendationMade "recommendation.made" {
        /// The request.
        request: Request,
        /// Digest of the recommended action.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    }
    /// What the recommendations come to.
    VerdictReached "verdict.reached" {
        /// The action's digest.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// The risk tier; none where there is no action to judge.
        #[serde(skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
        /// Where the case goes.
        route: Route,
        /// Why.
        reasons: Vec<RuleHit>,
        /// Under which thresholds the action counts where splitting is looked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        counted: Vec<Counted>,
    }
    /// A threshold covers the action, and room is reserved under its caps.
    ThresholdApplied "threshold.applied" {
        /// Which.
        threshold: ThresholdId,
        /// Its digest, as signed.
        digest: Digest,
        /// The grant that it stands behind.
        grant: ItemId,
        /// The amount reserved; none where nothing is summed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<i64>,
        /// In what amounts are counted, where it is not in whole units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<Unit>,
        /// The key that it counts under, where there are keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The longest window of its caps; uses older than this can be forgotten.
        window_minutes: u32,
        /// What is used, this action included.
        used: Usage,
        /// The caps that this brings near their ends, and that were not told to be near within their windows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        near: Vec<CapLine>,
    }
    /// Room under a threshold is free again.
    ThresholdReleased "threshold.released" {
        /// Which.
        threshold: ThresholdId,
        /// The grant that it stood behind.
        grant: ItemId,
    }
    /// A threshold ends soon, or has ended.
    ThresholdEnding "threshold.ending" {
        /// The request.
        request: Request,
        /// Its digest, as signed.
        digest: Digest,
        /// When it ends.
        expires: Time,
    }
    /// Humans must sign.
    ApprovalRequested "approval.requested" {
        /// The request for approval.
        approval: ItemId,
        /// The action's digest.
        digest: Digest,
        /// The risk tier.
        tier: Tier,
        /// How many distinct humans.
        humans: u32,
        /// When it expires.
        expires: Time,
        /// When those who may sign are reminded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind: Option<Time>,
        /// When others are told that nobody signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        escalate: Option<Time>,
    }
    /// A human said yes or no.
    ApprovalGiven "approval.given" {
        /// The request.
        request: Request,
        /// The stage that it counts in; none where there is only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<StageName>,
        /// How many humans have said yes, this one included.
        have: u32,
        /// How many must.
        need: u32,
        /// For how many seconds the signature is remembered, so that the person's next one can be judged.
        #[serde(default, skip_serializing_if = "is_zero")]
        remember_seconds: u32,
    }
    /// A human decided against the agents' recommendation.
    OverrideRecorded "override.recorded" {
        /// The request for approval.
        approval: ItemId,
        /// What the human decided.
        decision: Choice,
        /// What the agents had recommended, like `proceed/refuse`.
        agents: String,
        /// Why, in a word of the release's list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<ReasonCode>,
    }
    /// A human took a yes back.
    ApprovalWithdrawn "approval.withdrawn" {
        /// The request.
        request: Request,
        /// How many humans stand behind the request now.
        have: u32,
        /// How many must.
        need: u32,
    }
    /// A grant is void: those who stood behind it are too few. The case waits for signatures again.
    GrantVoided "grant.voided" {
        /// The grant.
        grant: ItemId,
        /// Why, for people.
        why: String,
    }
    /// Those who may sign were reminded.
    ApprovalReminded "approval.reminded" {
        /// The request.
        request: Request,
        /// Who.
        to: Vec<PrincipalId>,
    }
    /// Others were told that nobody signed.
    ApprovalEscalated "approval.escalated" {
        /// The request.
        request: Request,
        /// Who.
        to: Vec<PrincipalId>,
    }
    /// A human lets another sign for them.
    DelegationMade "delegation.made" {
        /// The request.
        request: Request,
    }
    /// A delegation ended before its time.
    DelegationEnded "delegation.ended" {
        /// The request.
        request: Request,
    }
    /// What is said of a principal changed.
    AttributesSet "attributes.set" {
        /// The request.
        request: Request,
    }
    /// One approved action may be executed, once.
    GrantIssued "grant.issued" {
        /// The grant.
        grant: ItemId,
        /// The action's digest.
        digest: Digest,
        /// What it stands on.
        basis: Basis,
        /// When it expires.
        expires: Time,
    }
    /// The grant is consumed; the call goes out now.
    GrantUsed "grant.used" {
        /// The request.
        request: Request,
        /// The action's digest.
        digest: Digest,
        /// The rule of the executor's permission set.
        rule: RuleHit,
        /// How safe this record must be before the call goes out.
        level: Level,
        /// Whether nothing goes out, since the environment has simulated effects.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        simulated: bool,
        /// Where its user carries the effect out: when it must have said what came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report_by: Option<Time>,
    }
    /// What came of it.
    OutcomeRecorded "outcome.recorded" {
        /// The request.
        request: Request,
    }
    /// A decision that was made elsewhere was taken down.
    DecisionRecorded "decision.recorded" {
        /// The request.
        request: Request,
        /// Digest of its action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    }
    /// A request for approval expired.
    ApprovalExpired "approval.expired" {
        /// The request.
        request: Request,
        /// Which.
        approval: ItemId,
    }
    /// A grant expired unused.
    GrantExpired "grant.expired" {
        /// The request.
        request: Request,
        /// Which.
        grant: ItemId,
    }
    /// A case came to no verdict in time, or can come to none.
    CaseLapsed "case.lapsed" {
        /// The request.
        request: Request,
    }
    /// Something that a human must triage.
    ExceptionRaised "exception.raised" {
        /// The exception.
        exception: ItemId,
        /// What sort.
        sort: ExceptionSort,
        /// What happened, for people.
        text: String,
    }
    /// A human triaged an exception.
    ExceptionTriaged "exception.triaged" {
        /// The request.
        request: Request,
    }
    /// A case ended.
    CaseClosed "case.closed" {
        /// How.
        outcome: CaseOutcome,
        /// Why, for people.
        why: String,
    }
    /// A data subject is under legal hold: nothing of it is erased.
    HoldPlaced "hold.placed" {
        /// The request.
        request: Request,
    }
    /// One legal hold ended.
    HoldLifted "hold.lifted" {
        /// The request.
        request: Request,
    }
    /// A human asked that what is kept of a data subject be erased.
    ErasureRequested "erasure.requested" {
        /// The request.
        request: Request,
    }
    /// A second human confirmed it.
    ErasureConfirmed "erasure.confirmed" {
        /// The request.
        request: Request,
    }
    /// The retention of what is kept of a data subject is over, by the release in force.
    RetentionEnded "retention.ended" {
        /// The request.
        request: Request,
    }
    /// The snapshots of a data subject are no more: their key is destroyed, and their files are removed.
    SubjectErased "subject.erased" {
        /// The data subject.
        subject: SubjectId,
        /// The record in which it was asked for, or in which its retention ended.
        asked: u64,
        /// Who asked, and who confirmed; nobody where its retention ended.
        by: Vec<PrincipalId>,
    }
    /// An agent, a team, a tool or everything stopped.
    FreezePlaced "freeze.placed" {
        /// The request.
        request: Request,
    }
    /// One freeze was lifted.
    FreezeLifted "freeze.lifted" {
        /// The request.
        request: Request,
    }
    /// A human signed that an action cannot wait for its approvers.
    GlassSigned "glass.signed" {
        /// The request.
        request: Request,
        /// How many have signed so, this one included.
        have: u32,
        /// How many must.
        need: u32,
    }
    /// An action was let through in an emergency: an alarm.
    GlassBroken "glass.broken" {
        /// The request for approval that was passed over.
        approval: ItemId,
        /// The grant that was given.
        grant: ItemId,
        /// Who signed.
        signers: Vec<PrincipalId>,
        /// Who could have approved and was not asked.
        skipped: Vec<PrincipalId>,
        /// When somebody else must have reviewed it.
        review_by: Time,
    }
    /// A human reviewed an emergency.
    GlassReviewed "glass.reviewed" {
        /// The request.
        request: Request,
    }
    /// Nobody reviewed an emergency in its time: an alarm.
    GlassOverdue "glass.overdue" {
        /// The request.
        request: Request,
    }
    /// A request was refused.
    RequestRefused "request.refused" {
        /// The request.
        request: Request,
        /// Why, and what would make it pass.
        refusal: Refusal,
        /// The clock's reading, where it stood before the last record.
        #[serde(skip_serializing_if = "Option::is_none")]
        clock: Option<Time>,
    }
}

impl Body {
    /// The request that the record carries, if it is the first of its decision.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::LogOpened(b) => Some(&b.request),
            Self::PrincipalAdded(b) => Some(&b.request),
            Self::PrincipalRevoked(b) => Some(&b.request),
            Self::CredentialAdded(b) => Some(&b.request),
            Self::CredentialRevoked(b) => Some(&b.request),
            Self::CertificationRecorded(b) => Some(&b.request),
            Self::CertificationEnded(b) => Some(&b.request),
            Self::CertificationExpiring(b) => Some(&b.request),
            Self::GroupCreated(b) => Some(&b.request),
            Self::GroupJoined(b) => Some(&b.request),
            Self::GroupLeft(b) => Some(&b.request),
            Self::LogKeyRotated(b) => Some(&b.request),
            Self::FileRecorded(b) => Some(&b.request),
            Self::ReleaseBuilt(b) => Some(&b.request),
            Self::ReleaseSigned(b) => Some(&b.request),
            Self::ControlsTested(b) => Some(&b.request),
            Self::ReleasePromoted(b) => Some(&b.request),
            Self::ThresholdSigned(b) => Some(&b.request),
            Self::ThresholdEnding(b) => Some(&b.request),
            Self::CaseOpened(b) => Some(&b.request),
            Self::CallPermitted(b) => Some(&b.request),
            Self::CallAnswered(b) => Some(&b.request),
            Self::ClausesRetrieved(b) => Some(&b.request),
            Self::ModelCalled(b) => Some(&b.request),
            Self::ModelAnswered(b) => Some(&b.request),
            Self::RecommendationMade(b) => Some(&b.request),
            Self::ApprovalGiven(b) => Some(&b.request),
            Self::GrantUsed(b) => Some(&b.request),
            Self::OutcomeRecorded(b) => Some(&b.request),
            Self::DecisionRecorded(b) => Some(&b.request),
            Self::ApprovalExpired(b) => Some(&b.request),
            Self::GrantExpired(b) => Some(&b.request),
            Self::CaseLapsed(b) => Some(&b.request),
            Self::ExceptionTriaged(b) => Some(&b.request),
            Self::HoldPlaced(b) => Some(&b.request),
            Self::HoldLifted(b) => Some(&b.request),
            Self::ErasureRequested(b) => Some(&b.request),
            Self::ErasureConfirmed(b) => Some(&b.request),
            Self::RetentionEnded(b) => Some(&b.request),
            Self::FreezePlaced(b) => Some(&b.request),
            Self::FreezeLifted(b) => Some(&b.request),
            Self::GlassSigned(b) => Some(&b.request),
            Self::GlassReviewed(b) => Some(&b.request),
            Self::GlassOverdue(b) => Some(&b.request),
            Self::ApprovalWithdrawn(b) => Some(&b.request),
            Self::ApprovalReminded(b) => Some(&b.request),
            Self::ApprovalEscalated(b) => Some(&b.request),
            Self::DelegationMade(b) => Some(&b.request),
            Self::DelegationEnded(b) => Some(&b.request),
            Self::AttributesSet(b) => Some(&b.request),
            Self::RequestRefused(b) => Some(&b.request),
            Self::VerdictReached(_)
            | Self::ThresholdApplied(_)
            | Self::ThresholdReleased(_)
            | Self::ApprovalRequested(_)
            | Self::OverrideRecorded(_)
            | Self::GrantIssued(_)
            | Self::GrantVoided(_)
            | Self::ExceptionRaised(_)
            | Self::CaseClosed(_)
            | Self::SubjectErased(_)
            | Self::GlassBroken(_) => None,
        }
    }
}
