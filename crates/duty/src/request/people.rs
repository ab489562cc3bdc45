//! Who there is, with which credentials, in which groups, and what they passed.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    name::{Course, CredentialId, Environment, GroupId, PrincipalId},
    principal::{Proof, Role},
    quorum::Attributes,
    statement::{CredentialStatement, Signed},
    time::Time,
};

/// End a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokePrincipal {
    /// Whom.
    pub principal: PrincipalId,
    /// Why.
    pub reason: String,
}

/// Another credential for a person: an admin asks, and the signature shows that the person holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddCredential {
    /// What proves it.
    pub proof: Proof,
    /// Whose it is and its id, signed with the credential itself.
    pub possession: Signed<CredentialStatement>,
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

/// See [`Request::SetAttributes`](super::Request::SetAttributes).
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

/// See [`Request::CreateGroup`](super::Request::CreateGroup).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// Its id, never used before.
    pub group: GroupId,
    /// The roles that whoever is in it holds, in order, each once.
    pub roles: Vec<Role>,
}

/// See [`Request::JoinGroup`](super::Request::JoinGroup).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinGroup {
    /// Which.
    pub group: GroupId,
    /// Who.
    pub principal: PrincipalId,
}

/// See [`Request::LeaveGroup`](super::Request::LeaveGroup).
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

/// See [`Request::EndCertification`](super::Request::EndCertification).
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

/// See [`Request::NoteExpiring`](super::Request::NoteExpiring).
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
