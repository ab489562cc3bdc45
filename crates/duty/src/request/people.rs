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
