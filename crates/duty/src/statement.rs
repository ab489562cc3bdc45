//! What humans sign: canonical JSON statements that verify offline, years later, with nothing but the log.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, Digest},
    name::{
        CaseId, Course, CredentialId, Environment, ItemId, PrincipalId, ReasonCode, StageName,
        ThresholdId,
    },
    principal::{Proof, Role},
    signature::{Checked, Signature},
    subject::SubjectId,
    time::Time,
};

/// A statement with its signature.
///
/// The signature is over the canonical JSON of the statement: an Ed25519 key's (RFC 8032), an SSH key's or a passkey's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What is stated.
    pub statement: T,
    /// By the credential that the statement names.
    pub signature: Signature,
}

impl<T: Serialize> Signed<T> {
    /// Whether the signature is `key`'s.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn verify(&self, key: &Proof) -> Result<(), String> {
        self.verify_knowing(key, None)
    }

    /// As [`Signed::verify`]; what was verified before is not verified again.
    pub(crate) fn verify_knowing(
        &self,
        key: &Proof,
        checked: Option<&Checked>,
    ) -> Result<(), String> {
        let bytes = canonical::to_vec(&self.statement).map_err(|e| e.to_string())?;
        let known = checked.and_then(|c| c.answer(key, &bytes, &self.signature));
        known.unwrap_or_else(|| key.verify(&bytes, &self.signature))
    }
}

/// A signed statement of whatever sort.
pub trait Proven {
    /// The log that it is meant for, by origin.
    fn log(&self) -> &str;
    /// Whether the type line is the one that belongs to this statement.
    fn typed(&self) -> bool;
    /// Who signs.
    fn signer(&self) -> &PrincipalId;
    /// With which credential.
    fn credential(&self) -> &CredentialId;
    /// The signature.
    fn signature(&self) -> &Signature;
    /// Whether the signature is `key`'s.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn verify(&self, key: &Proof) -> Result<(), String>;
    /// The same, kept for whoever decides later; none where the statement has no canonical form.
    fn check(&self, key: &Proof) -> Option<Checked>;
}

impl<T: Statement> Proven for Signed<T> {
    fn log(&self) -> &str {
        self.statement.log()
    }
    fn typed(&self) -> bool {
        self.statement.typed()
    }
    fn signer(&self) -> &PrincipalId {
        self.statement.signer()
    }
    fn credential(&self) -> &CredentialId {
        self.statement.credential()
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn verify(&self, key: &Proof) -> Result<(), String> {
        self.verify_knowing(key, None)
    }
    fn check(&self, key: &Proof) -> Option<Checked> {
        let bytes = canonical::to_vec(&self.statement).ok()?;
        Some(Checked::new(key, bytes, &self.signature))
    }
}

/// Something that a human signs.
pub trait Statement: Serialize {
    /// The log that it is meant for, by origin, so that it means nothing in another.
    fn log(&self) -> &str;
    /// Who signs.
    fn signer(&self) -> &PrincipalId;
    /// With which credential.
    fn credential(&self) -> &CredentialId;
    /// Whether the type line is the one that belongs to this statement.
    fn typed(&self) -> bool;
}

macro_rules! statements {
    ($($name:ident $text:literal;)*) => {$(
        impl $name {
            /// The value of the `statement` field, which keeps one sort of statement from passing for another.
            pub const TYPE: &'static str = $text;
        }

        impl Statement for $name {
            fn log(&self) -> &str {
                &self.log
            }
            fn signer(&self) -> &PrincipalId {
                &self.signer
            }
            fn credential(&self) -> &CredentialId {
                &self.credential
            }
            fn typed(&self) -> bool {
                self.statement == Self::TYPE
            }
        }
    )*};
}

statements! {
    ApprovalStatement "counterfoil/approval/v1";
    WithdrawalStatement "counterfoil/withdrawal/v1";
    DelegationStatement "counterfoil/delegation/v1";
    DelegationEndStatement "counterfoil/delegation-end/v1";
    CredentialStatement "counterfoil/credential/v1";
    CompletionStatement "counterfoil/completion/v1";
    ThresholdStatement "counterfoil/threshold/v1";
    TriageStatement "counterfoil/triage/v1";
    ReleaseStatement "counterfoil/release/v1";
    PromotionStatement "counterfoil/promotion/v1";
    UnfreezeStatement "counterfoil/unfreeze/v1";
    GlassStatement "counterfoil/break-glass/v1";
    GlassReviewStatement "counterfoil/break-glass-review/v1";
    HoldStatement "counterfoil/hold/v1";
    LiftStatement "counterfoil/hold-lift/v1";
    ErasureStatement "counterfoil/erasure/v1";
    ConfirmationStatement "counterfoil/erasure-confirmation/v1";
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Yes to exactly this action.
    Approve,
    /// No.
    Reject,
}

/// A human's yes or no on one action digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStatement {
    /// [`ApprovalStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The request for approval that this answers.
    pub approval: ItemId,
    /// The case.
    pub case: CaseId,
    /// Digest of the action.
    pub action: Digest,
    /// The release under which it was asked.
    pub release: Digest,
    /// The environment.
    pub env: Environment,
    /// When the request expires.
    pub expires: Time,
    /// When it was signed, by the signer's own clock: a yes that was given too soon stays so, whenever it is sent.
    pub signed: Time,
    /// Yes or no.
    pub decision: Choice,
    /// Whether the signer knowingly differs from the agents' recommendation.
    #[serde(rename = "override")]
    pub overrides: bool,
    /// Why; needed for an override and for a rejection.
    pub reason: String,
    /// Why in a word, from the release's list: for an override, where the release has such a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ReasonCode>,
    /// The stage that it counts in: needed where the signer may sign in more than one that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// The human for whom a deputy signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf: Option<PrincipalId>,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that a yes of theirs, or one that was given in their name, counts no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalStatement {
    /// [`WithdrawalStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The request for approval.
    pub approval: ItemId,
    /// Digest of the action that the yes was to.
    pub action: Digest,
    /// Why.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that another may sign approvals for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationStatement {
    /// [`DelegationStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// Who may sign for the signer.
    pub deputy: PrincipalId,
    /// In which role of the signer.
    pub role: Role,
    /// In force from here.
    pub starts: Time,
    /// In force before here.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// Who signs: the delegator.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's end to a delegation, before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationEndStatement {
    /// [`DelegationEndStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The record that holds the delegation.
    pub delegation: u64,
    /// Why.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that a new credential is theirs, signed with that very credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialStatement {
    /// [`CredentialStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// The new credential, which signs.
    pub credential: CredentialId,
}

/// An assessor's word that somebody else passed a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionStatement {
    /// [`CompletionStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// Who passed it.
    pub trainee: PrincipalId,
    /// The course.
    pub course: Course,
    /// SHA-256 of the content that was passed.
    pub content: Digest,
    /// When.
    pub completed: Time,
    /// It counts before here at most.
    pub expires: Time,
    /// Who assessed it, and signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's signature under a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdStatement {
    /// [`ThresholdStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The threshold.
    pub threshold: ThresholdId,
    /// Its digest.
    pub digest: Digest,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that a release is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseStatement {
    /// [`ReleaseStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The release.
    pub release: Digest,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's decision that an environment runs a release from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionStatement {
    /// [`PromotionStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The environment.
    pub env: Environment,
    /// The release.
    pub release: Digest,
    /// The release that the environment points at now, where it points at one: what the signer compared it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
    /// The record of the control tests that the signer relies on: the newest ones of this release. None for an environment
    /// with simulated effects that was never tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<u64>,
    /// Why.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that exactly this action cannot wait for its approvers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassStatement {
    /// [`GlassStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The request for approval that is passed over.
    pub approval: ItemId,
    /// The case.
    pub case: CaseId,
    /// Digest of the action.
    pub action: Digest,
    /// The release under which it was asked.
    pub release: Digest,
    /// The environment.
    pub env: Environment,
    /// When the request for approval expires.
    pub expires: Time,
    /// Why it cannot wait.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A second human's finding on an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassReviewStatement {
    /// [`GlassReviewStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The grant that was given.
    pub grant: ItemId,
    /// Whether it was right to break the glass.
    pub justified: bool,
    /// What was found.
    pub finding: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's word that a freeze may end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfreezeStatement {
    /// [`UnfreezeStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The record that placed it.
    pub freeze: u64,
    /// What was found, and why it may go on.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's finding on an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriageStatement {
    /// [`TriageStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The exception.
    pub exception: ItemId,
    /// What was found and done.
    pub finding: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's order that nothing of a data subject be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldStatement {
    /// [`HoldStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The data subject.
    pub subject: SubjectId,
    /// Why; no personal data.
    pub reason: String,
    /// The law, contract or policy clause behind it, as whoever signs names it. It belongs to no release, and is not looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's end to one hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftStatement {
    /// [`LiftStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The data subject.
    pub subject: SubjectId,
    /// The record that placed the hold.
    pub hold: u64,
    /// Why; no personal data.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A human's request that what is kept of a data subject be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureStatement {
    /// [`ErasureStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The data subject.
    pub subject: SubjectId,
    /// Why; no personal data.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}

/// A second human's yes to exactly one such request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationStatement {
    /// [`ConfirmationStatement::TYPE`].
    pub statement: String,
    /// Origin of the log.
    pub log: String,
    /// The data subject.
    pub subject: SubjectId,
    /// The record of the request.
    pub request: u64,
    /// Why, where there is more to say; no personal data.
    pub reason: String,
    /// Who signs.
    pub signer: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
}
