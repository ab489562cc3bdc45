//! What may be asked of the core. Every door of the system translates to one of these.

mod case;
mod grant;
mod log;
mod model;
mod people;
mod release;

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{EnumAccess, Error, VariantAccess, Visitor},
};
use serde_json::value::RawValue;

pub use self::{
    case::{
        Answer, Call, Expire, OpenCase, Quote, Ranked, Recommend, RecordDecision, Retrieve, Stance,
    },
    grant::{FoundBy, NoteOverdue, NoteWaiting, Outcome, RecordOutcome, UseGrant},
    log::{EndRetention, Freeze, OpenLog, RotateLogKey},
    model::{AnswerModel, CallModel, ModelResult},
    people::{
        AddCredential, Certify, Complete, CreateGroup, EndCertification, Given, JoinGroup,
        LeaveGroup, NoteExpiring, RevokeCredential, RevokePrincipal, SetAttributes, Whose,
    },
    release::{
        BuildRelease, ControlTestResult, NoteEnding, Promote, RecordControlTests, RecordFile,
    },
};
use crate::{
    name::{CaseId, CredentialId, PrincipalId},
    principal::{NewPrincipal, Proof},
    signature::Signature,
    statement::{
        ApprovalStatement, CompletionStatement, ConfirmationStatement, DelegationEndStatement,
        DelegationStatement, ErasureStatement, GlassReviewStatement, GlassStatement, HoldStatement,
        LiftStatement, PromotionStatement, Proven, ReleaseStatement, Signed, Statement,
        ThresholdStatement, TriageStatement, UnfreezeStatement, WithdrawalStatement,
    },
    tagged,
    time::Time,
};

/// A request, who makes it, and when: all that [`crate::decide`] learns from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The clock's reading. The core never looks at a clock.
    pub clock: Time,
    /// Who asks, as authenticated by the door.
    pub principal: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
    /// What is asked.
    pub request: Request,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Begin the log.
    OpenLog(OpenLog),
    /// Add a principal.
    AddPrincipal(NewPrincipal),
    /// End a principal: none of its credentials counts any more.
    RevokePrincipal(RevokePrincipal),
    /// Give a principal another credential.
    AddCredential(AddCredential),
    /// End one credential.
    RevokeCredential(RevokeCredential),
    /// Record that a person passed a training.
    Certify(Certify),
    /// Record that a person passed a course, as somebody else assessed it.
    Complete(Complete),
    /// Say that somebody else passed a course, signed.
    Assess(Signed<CompletionStatement>),
    /// End what a person passed of a course.
    EndCertification(EndCertification),
    /// Take down that a certification is over soon by a release in force.
    NoteExpiring(NoteExpiring),
    /// Make a group.
    CreateGroup(CreateGroup),
    /// Put a principal into a group.
    JoinGroup(JoinGroup),
    /// Take a principal out of a group.
    LeaveGroup(LeaveGroup),
    /// Put a file of a release into the log.
    RecordFile(RecordFile),
    /// Name files of the log as one release.
    BuildRelease(BuildRelease),
    /// Sign a release as its author.
    SignRelease(Signed<ReleaseStatement>),
    /// Take down what control tests came to for a release.
    RecordControlTests(RecordControlTests),
    /// Point an environment without effects at a release.
    Promote(Promote),
    /// Point any environment at a release, signed.
    PromoteSigned(Signed<PromotionStatement>),
    /// Sign a threshold.
    SignThreshold(Signed<ThresholdStatement>),
    /// Open a case.
    OpenCase(OpenCase),
    /// Call a tool that has no effect.
    Call(Call),
    /// Record what a tool answered.
    Answer(Answer),
    /// Record what retrieval found in the release's policies.
    Retrieve(Retrieve),
    /// Ask the language model of an agent.
    CallModel(CallModel),
    /// Record what it answered.
    AnswerModel(AnswerModel),
    /// Recommend.
    Recommend(Recommend),
    /// Say yes or no, signed.
    Approve(Signed<ApprovalStatement>),
    /// Use a grant: the one way to call a tool that has an effect.
    UseGrant(UseGrant),
    /// Record what came of it.
    RecordOutcome(RecordOutcome),
    /// Take down a decision that was made elsewhere.
    RecordDecision(RecordDecision),
    /// End what has expired in a case.
    Expire(Expire),
    /// Triage an exception, signed.
    Triage(Signed<TriageStatement>),
    /// Take down that another key took over from the log's.
    RotateLogKey(RotateLogKey),
    /// Put a data subject under legal hold, signed.
    PlaceHold(Signed<HoldStatement>),
    /// End a legal hold, signed.
    LiftHold(Signed<LiftStatement>),
    /// Ask that what is kept of a data subject be erased, signed.
    RequestErasure(Signed<ErasureStatement>),
    /// Confirm that as a second person, signed.
    ConfirmErasure(Signed<ConfirmationStatement>),
    /// Erase a data subject whose retention is over by the release in force.
    EndRetention(EndRetention),
    /// Stop one agent, team, tool or everything, at once.
    Freeze(Freeze),
    /// Lift a freeze, signed.
    Unfreeze(Signed<UnfreezeStatement>),
    /// Let an action through in an emergency, signed.
    BreakGlass(Signed<GlassStatement>),
    /// Say what was found about an emergency, signed.
    ReviewGlass(Signed<GlassReviewStatement>),
    /// Take down that an emergency was not reviewed in its time.
    NoteOverdue(NoteOverdue),
    /// Take down that a threshold of a release in force ends soon.
    NoteEnding(NoteEnding),
    /// Say anew what is said of a principal.
    SetAttributes(SetAttributes),
    /// Take a yes back, signed.
    Withdraw(Signed<WithdrawalStatement>),
    /// Let another human sign for oneself, signed.
    Delegate(Signed<DelegationStatement>),
    /// End that before its time, signed.
    EndDelegation(Signed<DelegationEndStatement>),
    /// Remind whoever has to sign, or tell others that nobody did.
    NoteWaiting(NoteWaiting),
}

struct ByType;

/// Reading by `type`; an exhaustive match keeps the list whole.
macro_rules! by_type {
    ($($name:ident $word:literal)*) => {
        impl Request {
            /// The words of `type`.
            pub const TYPES: &'static [&'static str] = &[$($word),*];

            /// Its word in `type`.
            #[must_use]
            pub fn word(&self) -> &'static str {
                match self { $(Self::$name(_) => $word,)* }
            }
        }

        impl<'de> Deserialize<'de> for Request {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(tagged::BY_TYPE, ByType)
            }
        }

        impl<'de> Visitor<'de> for ByType {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Request, D::Error> {
                let raw = <Box<RawValue>>::deserialize(deserializer)?;
                match &*tagged::tag::<D::Error>(&raw)? {
                    $($word => tagged::rest(&raw).map(Request::$name),)*
                    other => Err(Error::unknown_variant(other, Request::TYPES)),
                }
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Request, A::Error> {
                let (tag, rest) = data.variant::<&str>()?;
                match tag {
                    $($word => rest.newtype_variant().map(Request::$name),)*
                    other => Err(Error::unknown_variant(other, Request::TYPES)),
                }
            }
        }
    };
}

by_type! {
    OpenLog "open_log"
    AddPrincipal "add_principal"
    RevokePrincipal "revoke_principal"
    AddCredential "add_credential"
    RevokeCredential "revoke_credential"
    Certify "certify"
    Complete "complete"
    Assess "assess"
    EndCertification "end_certification"
    NoteExpiring "note_expiring"
    CreateGroup "create_group"
    JoinGroup "join_group"
    LeaveGroup "leave_group"
    RecordFile "record_file"
    BuildRelease "build_release"
    SignRelease "sign_release"
    RecordControlTests "record_control_tests"
    Promote "promote"
    PromoteSigned "promote_signed"
    SignThreshold "sign_threshold"
    OpenCase "open_case"
    Call "call"
    Answer "answer"
    Retrieve "retrieve"
    CallModel "call_model"
    AnswerModel "answer_model"
    Recommend "recommend"
    Approve "approve"
    UseGrant "use_grant"
    RecordOutcome "record_outcome"
    RecordDecision "record_decision"
    Expire "expire"
    Triage "triage"
    RotateLogKey "rotate_log_key"
    PlaceHold "place_hold"
    LiftHold "lift_hold"
    RequestErasure "request_erasure"
    ConfirmErasure "confirm_erasure"
    EndRetention "end_retention"
    Freeze "freeze"
    Unfreeze "unfreeze"
    BreakGlass "break_glass"
    ReviewGlass "review_glass"
    NoteOverdue "note_overdue"
    NoteEnding "note_ending"
    SetAttributes "set_attributes"
    Withdraw "withdraw"
    Delegate "delegate"
    EndDelegation "end_delegation"
    NoteWaiting "note_waiting"
}

impl Request {
    /// The case that the request is about.
    #[must_use]
    pub fn case(&self) -> Option<CaseId> {
        match self {
            Self::OpenCase(r) => Some(r.case.clone()),
            Self::Call(r) => Some(r.case.clone()),
            Self::Answer(r) => r.call.case(),
            Self::Retrieve(r) => Some(r.case.clone()),
            Self::CallModel(r) => Some(r.case.clone()),
            Self::AnswerModel(r) => r.call.case(),
            Self::Recommend(r) => Some(r.case.clone()),
            Self::Approve(r) => Some(r.statement.case.clone()),
            Self::BreakGlass(r) => Some(r.statement.case.clone()),
            Self::Withdraw(r) => r.statement.approval.case(),
            Self::NoteWaiting(r) => r.approval.case(),
            Self::UseGrant(r) => r.grant.case(),
            Self::RecordOutcome(r) => r.grant.case(),
            Self::RecordDecision(r) => Some(r.case.clone()),
            Self::Expire(r) => Some(r.case.clone()),
            Self::Triage(r) => r.statement.exception.case(),
            Self::OpenLog(_)
            | Self::AddPrincipal(_)
            | Self::RevokePrincipal(_)
            | Self::AddCredential(_)
            | Self::RevokeCredential(_)
            | Self::Certify(_)
            | Self::Complete(_)
            | Self::Assess(_)
            | Self::EndCertification(_)
            | Self::NoteExpiring(_)
            | Self::CreateGroup(_)
            | Self::JoinGroup(_)
            | Self::LeaveGroup(_)
            | Self::RecordFile(_)
            | Self::BuildRelease(_)
            | Self::SignRelease(_)
            | Self::RecordControlTests(_)
            | Self::Promote(_)
            | Self::PromoteSigned(_)
            | Self::SignThreshold(_)
            | Self::RotateLogKey(_)
            | Self::PlaceHold(_)
            | Self::LiftHold(_)
            | Self::RequestErasure(_)
            | Self::ConfirmErasure(_)
            | Self::EndRetention(_)
            | Self::Freeze(_)
            | Self::Unfreeze(_)
            | Self::ReviewGlass(_)
            | Self::NoteOverdue(_)
            | Self::SetAttributes(_)
            | Self::Delegate(_)
            | Self::EndDelegation(_)
            | Self::NoteEnding(_) => None,
        }
    }

    /// Who signed it, and with what, where the request carries its own proof: no door can then speak for a human, and it
    /// needs nobody's token.
    #[must_use]
    pub fn signer(&self) -> Option<(&PrincipalId, &CredentialId)> {
        self.proved().map(|(who, with, _)| (who, with))
    }

    /// Whether the signature that the request carries is `key`'s over its statement; no where it carries none.
    #[must_use]
    pub fn holds_under(&self, key: &Proof) -> bool {
        match self {
            Self::Approve(r) => r.verify(key).is_ok(),
            Self::SignThreshold(r) => r.verify(key).is_ok(),
            Self::SignRelease(r) => r.verify(key).is_ok(),
            Self::PromoteSigned(r) => r.verify(key).is_ok(),
            Self::Triage(r) => r.verify(key).is_ok(),
            Self::PlaceHold(r) => r.verify(key).is_ok(),
            Self::LiftHold(r) => r.verify(key).is_ok(),
            Self::RequestErasure(r) => r.verify(key).is_ok(),
            Self::ConfirmErasure(r) => r.verify(key).is_ok(),
            Self::Unfreeze(r) => r.verify(key).is_ok(),
            Self::BreakGlass(r) => r.verify(key).is_ok(),
            Self::ReviewGlass(r) => r.verify(key).is_ok(),
            Self::Assess(r) => r.verify(key).is_ok(),
            Self::Withdraw(r) => r.verify(key).is_ok(),
            Self::Delegate(r) => r.verify(key).is_ok(),
            Self::EndDelegation(r) => r.verify(key).is_ok(),
            // None of the others is signed: a new signed sort that is forgotten here is on nobody's account.
            _ => false,
        }
    }

    /// The same, with the signature.
    #[must_use]
    pub fn proved(&self) -> Option<(&PrincipalId, &CredentialId, &Signature)> {
        let signed = self.signed()?;
        Some((signed.signer(), signed.credential(), signed.signature()))
    }

    /// The signed statement that is its proof.
    #[must_use]
    pub fn signed(&self) -> Option<&dyn Proven> {
        fn of<T: Statement>(signed: &Signed<T>) -> Option<&dyn Proven> {
            Some(signed)
        }
        match self {
            Self::Approve(r) => of(r),
            Self::Assess(r) => of(r),
            Self::SignThreshold(r) => of(r),
            Self::SignRelease(r) => of(r),
            Self::PromoteSigned(r) => of(r),
            Self::Triage(r) => of(r),
            Self::PlaceHold(r) => of(r),
            Self::LiftHold(r) => of(r),
            Self::RequestErasure(r) => of(r),
            Self::ConfirmErasure(r) => of(r),
            Self::Unfreeze(r) => of(r),
            Self::BreakGlass(r) => of(r),
            Self::ReviewGlass(r) => of(r),
            Self::Withdraw(r) => of(r),
            Self::Delegate(r) => of(r),
            Self::EndDelegation(r) => of(r),
            Self::OpenLog(_)
            | Self::AddPrincipal(_)
            | Self::RevokePrincipal(_)
            | Self::AddCredential(_)
            | Self::RevokeCredential(_)
            | Self::Certify(_)
            | Self::Complete(_)
            | Self::EndCertification(_)
            | Self::NoteExpiring(_)
            | Self::CreateGroup(_)
            | Self::JoinGroup(_)
            | Self::LeaveGroup(_)
            | Self::RecordFile(_)
            | Self::BuildRelease(_)
            | Self::RecordControlTests(_)
            | Self::Promote(_)
            | Self::OpenCase(_)
            | Self::Call(_)
            | Self::Answer(_)
            | Self::Retrieve(_)
            | Self::CallModel(_)
            | Self::AnswerModel(_)
            | Self::Recommend(_)
            | Self::UseGrant(_)
            | Self::RecordOutcome(_)
            | Self::RecordDecision(_)
            | Self::Expire(_)
            | Self::RotateLogKey(_)
            | Self::EndRetention(_)
            | Self::Freeze(_)
            | Self::NoteOverdue(_)
            | Self::SetAttributes(_)
            | Self::NoteWaiting(_)
            | Self::NoteEnding(_) => None,
        }
    }
}
