//! What may be asked of the core. Every door of the system translates to one of these.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{EnumAccess, Error, VariantAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    action::Action,
    canonical::Digest,
    facts::Facts,
    freeze::Scope,
    language::Tokens,
    name::{CaseId, Course, CredentialId, Environment, GroupId, ItemId, PrincipalId, ThresholdId},
    principal::{Duty, NewPrincipal, Proof, Role},
    quorum::Attributes,
    release::ClauseRef,
    signature::Signature,
    statement::{
        ApprovalStatement, CompletionStatement, ConfirmationStatement, CredentialStatement,
        DelegationEndStatement, DelegationStatement, ErasureStatement, GlassReviewStatement,
        GlassStatement, HoldStatement, LiftStatement, PromotionStatement, Proven, ReleaseStatement,
        Signed, Statement, ThresholdStatement, TriageStatement, UnfreezeStatement,
        WithdrawalStatement,
    },
    subject::SubjectId,
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

/// Begin the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenLog {
    /// The log's origin, as in its checkpoints.
    pub origin: String,
    /// The first principals: an admin and a service.
    pub principals: Vec<NewPrincipal>,
}

/// End a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokePrincipal {
    /// Whom.
    pub principal: PrincipalId,
    /// Why.
    pub reason: String,
}

/// Another credential for a principal that is there already: an admin asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Added", into = "Added")]
pub struct AddCredential {
    /// What proves it.
    pub proof: Proof,
    /// Whose it is, its id, and what stands behind that.
    pub whose: Whose,
}

/// Whose a new credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A person's, as the field `possession`: signed with the credential itself, which shows that the person holds it.
    Shown(Signed<CredentialStatement>),
    /// An agent's or a service's, as the field `given`: the admin says so, as when a principal is added.
    Given(Given),
}

/// See [`Whose::Given`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Whose it is.
    pub principal: PrincipalId,
    /// Its id.
    pub credential: CredentialId,
}

impl AddCredential {
    /// Whose it is to be.
    #[must_use]
    pub fn principal(&self) -> &PrincipalId {
        match &self.whose {
            Whose::Shown(possession) => &possession.statement.signer,
            Whose::Given(given) => &given.principal,
        }
    }

    /// Its id.
    #[must_use]
    pub fn credential(&self) -> &CredentialId {
        match &self.whose {
            Whose::Shown(possession) => &possession.statement.credential,
            Whose::Given(given) => &given.credential,
        }
    }

    /// What was signed with it; none where it does not sign.
    #[must_use]
    pub fn possession(&self) -> Option<&Signed<CredentialStatement>> {
        match &self.whose {
            Whose::Shown(possession) => Some(possession),
            Whose::Given(_) => None,
        }
    }
}

/// [`AddCredential`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    proof: Proof,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    possession: Option<Signed<CredentialStatement>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given: Option<Given>,
}

impl TryFrom<Added> for AddCredential {
    type Error = String;

    fn try_from(added: Added) -> Result<Self, String> {
        let whose = match (added.possession, added.given) {
            (Some(possession), None) => Whose::Shown(possession),
            (None, Some(given)) => Whose::Given(given),
            _ => return Err("it has `possession` or `given`, and one of them".to_owned()),
        };
        Ok(Self {
            proof: added.proof,
            whose,
        })
    }
}

impl From<AddCredential> for Added {
    fn from(request: AddCredential) -> Self {
        let (possession, given) = match request.whose {
            Whose::Shown(possession) => (Some(possession), None),
            Whose::Given(given) => (None, Some(given)),
        };
        Self {
            proof: request.proof,
            possession,
            given,
        }
    }
}

/// End one credential: it signs nothing more, and approvals that were given with it do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeCredential {
    /// Which.
    pub credential: CredentialId,
    /// Why.
    pub reason: String,
}

/// Another key took over from the log's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateLogKey {
    /// The statement as both keys signed it: a signed note, byte for byte as the log's file `keys` holds it.
    pub statement: String,
}

/// See [`Request::EndRetention`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndRetention {
    /// The data subject.
    pub subject: SubjectId,
}

/// See [`Request::Freeze`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What stops.
    pub scope: Scope,
    /// Why.
    pub reason: String,
}

/// See [`Request::NoteOverdue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteOverdue {
    /// The grant that was given in the emergency.
    pub grant: ItemId,
}

/// See [`Request::SetAttributes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAttributes {
    /// Of whom.
    pub principal: PrincipalId,
    /// All that is said from now on: what is not here is said no more.
    pub attributes: Attributes,
    /// Why.
    pub reason: String,
}

/// See [`Request::NoteWaiting`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteWaiting {
    /// The request for approval that waits.
    pub approval: ItemId,
}

/// See [`Request::NoteEnding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteEnding {
    /// The environment whose release holds the threshold.
    pub environment: Environment,
    /// Which.
    pub threshold: ThresholdId,
}

/// A person passed a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certify {
    /// The person.
    pub principal: PrincipalId,
    /// The course.
    pub course: Course,
    /// In force before here.
    pub expires: Time,
}

/// A person passed a course, as somebody else assessed it and an admin takes it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// The person.
    pub principal: PrincipalId,
    /// The course.
    pub course: Course,
    /// SHA-256 of the content that was passed.
    pub content: Digest,
    /// When.
    pub completed: Time,
    /// It counts before here at most.
    pub expires: Time,
    /// Who assessed it.
    pub assessor: PrincipalId,
}

/// See [`Request::EndCertification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndCertification {
    /// The person.
    pub principal: PrincipalId,
    /// The course.
    pub course: Course,
    /// Why.
    pub reason: String,
}

/// See [`Request::NoteExpiring`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteExpiring {
    /// The environment whose release asks for the course.
    pub environment: Environment,
    /// The person.
    pub principal: PrincipalId,
    /// The course.
    pub course: Course,
}

/// See [`Request::CreateGroup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// Its id, never used before.
    pub group: GroupId,
    /// The roles that whoever is in it holds, in order, each once.
    pub roles: Vec<Role>,
}

/// See [`Request::JoinGroup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinGroup {
    /// Which.
    pub group: GroupId,
    /// Who.
    pub principal: PrincipalId,
}

/// See [`Request::LeaveGroup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveGroup {
    /// Which.
    pub group: GroupId,
    /// Who.
    pub principal: PrincipalId,
    /// Why.
    pub reason: String,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFile {
    /// Its text, UTF-8; together with its envelope at most 65,535 bytes of canonical JSON.
    pub content: String,
}

/// Files that make a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRelease {
    /// Paths with the SHA-256 of their content. The release's digest is over this map's canonical JSON.
    pub files: BTreeMap<String, Digest>,
}

/// What control tests came to: attempted violations of a release's controls, each of which must be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordControlTests {
    /// The release whose very files were tested.
    pub release: Digest,
    /// SHA-256 over the canonical JSON of the catalogue of controls.
    pub catalogue: Digest,
    /// SHA-256 of the program that ran them.
    pub binary: Digest,
    /// Each test that was run; at least one.
    pub results: Vec<ControlTestResult>,
}

/// What one control test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlTestResult {
    /// Id of the control in the catalogue, like `SOD-01`.
    pub control: String,
    /// Name of the test.
    pub test: String,
    /// Whether the violation was refused as it must be.
    pub passed: bool,
    /// What was seen, shortly.
    pub detail: String,
}

/// Point an environment without effects at a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// Which.
    pub environment: Environment,
    /// At what.
    pub release: Digest,
}

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

/// Ask the language model that an agent runs on. It is recorded before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallModel {
    /// In which case.
    pub case: CaseId,
    /// The model, as the release pins it.
    pub model: String,
    /// SHA-256 of the prompt that the agent runs on.
    pub prompt: Digest,
    /// What is asked beside the messages: JSON text.
    pub parameters: String,
    /// Commitment to the body, byte for byte as it is sent.
    pub snapshot: Digest,
    /// The body's length in bytes.
    pub bytes: u32,
    /// The how manieth time the question is sent, from 1.
    pub attempt: u32,
    /// How many values of each kind were put out of what is sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, u32>,
}

/// What came of a call of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelResult {
    /// It said a next step, in the form that was asked for.
    Usable,
    /// It said something else.
    Malformed,
    /// The endpoint answered that it does not answer.
    Refused,
    /// It certainly was not sent.
    Unsent,
    /// No answer came.
    Lost,
}

impl ModelResult {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Lost => "lost",
        }
    }

    /// Whether the model said nothing, so that the same question may be sent again.
    #[must_use]
    pub fn failed(self) -> bool {
        match self {
            Self::Usable | Self::Malformed => false,
            Self::Refused | Self::Unsent | Self::Lost => true,
        }
    }
}

/// What a language model answered, or that it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerModel {
    /// The recorded call, `<case>.m<n>`.
    pub call: ItemId,
    /// What came of it.
    pub result: ModelResult,
    /// Commitment to the body of the answer, where one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// The name under which the model answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens that the endpoint counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The status of the HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From sending to the whole answer.
    pub latency_ms: u32,
    /// Why it is not usable; no personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
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

/// Use a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseGrant {
    /// Which.
    pub grant: ItemId,
    /// The action, exactly as approved.
    pub action: Action,
    /// As [`Call::described`].
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
