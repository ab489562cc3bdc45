//! Principals and what they may prove themselves with.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    jwt::Subject,
    name::{CredentialId, PrincipalId},
    passkey::Passkey,
    quorum::Attributes,
    ssh::SshKey,
};

/// What sort of principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A piece of software that decides, owned by a human.
    Agent,
    /// A person.
    Human,
    /// A piece of software that does as told: the engine, an intake.
    Service,
}

impl PrincipalKind {
    /// Whether principals of this kind may hold a role.
    #[must_use]
    pub fn may_hold(self, role: Role) -> bool {
        let of_agents = matches!(role, Role::Analyst | Role::Reviewer | Role::Executor);
        let of_humans = matches!(role, Role::Approver | Role::Owner);
        match self {
            Self::Agent => of_agents || role == Role::Intake,
            Self::Human => !matches!(role, Role::Service | Role::Intake),
            Self::Service => !of_agents && !of_humans,
        }
    }

    /// Whether principals of this kind may prove themselves with something of this sort: humans sign with keys of their own,
    /// agents come with tokens or certificates, services also locally.
    #[must_use]
    pub fn may_come_with(self, proof: &Proof) -> bool {
        match proof {
            Proof::Ed25519 { .. } | Proof::Passkey(_) | Proof::Ssh { .. } => self == Self::Human,
            Proof::Token { .. } | Proof::Jwt(_) | Proof::Certificate { .. } => self != Self::Human,
            Proof::Local => self == Self::Service,
        }
    }
}

/// What a principal may take part as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Prepares.
    Analyst,
    /// Reviews.
    Reviewer,
    /// Executes.
    Executor,
    /// Approves: humans only.
    Approver,
    /// Answers for agents and signs thresholds: humans only.
    Owner,
    /// Reads everything, changes nothing.
    Auditor,
    /// Keeps principals, releases and certifications.
    Admin,
    /// The platform itself: opens cases, records answers, outcomes and expiries.
    Service,
    /// Opens cases from outside, and does nothing else by that.
    Intake,
}

impl Role {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Reviewer => "reviewer",
            Self::Executor => "executor",
            Self::Approver => "approver",
            Self::Owner => "owner",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Service => "service",
            Self::Intake => "intake",
        }
    }
}

/// A duty: the incompatible things to do in one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duty {
    /// Work out what should be done.
    Prepare,
    /// Check it from the sources.
    Review,
    /// Answer for it.
    Approve,
    /// Do it.
    Execute,
}

impl Duty {
    /// The four, in the order in which a case goes through them.
    pub const ALL: [Self; 4] = [Self::Prepare, Self::Review, Self::Approve, Self::Execute];

    /// The role that holds this duty.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Prepare => Role::Analyst,
            Self::Review => Role::Reviewer,
            Self::Approve => Role::Approver,
            Self::Execute => Role::Executor,
        }
    }

    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Review => "review",
            Self::Approve => "approve",
            Self::Execute => "execute",
        }
    }
}

/// A credential, as far as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Its id, unique in the log.
    pub id: CredentialId,
    /// What proves it.
    pub proof: Proof,
}

/// What proves a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Proof {
    /// An Ed25519 key (RFC 8032): signs statements.
    Ed25519 {
        /// The public key, 32 bytes in base64.
        public: PublicKey,
    },
    /// A WebAuthn passkey: signs statements with assertions.
    Passkey(Passkey),
    /// An SSH key: signs statements by `PROTOCOL.sshsig`.
    Ssh {
        /// The public key, as in OpenSSH's public key files, without comment.
        public: SshKey,
    },
    /// A random bearer token of at least 128 bits.
    Token {
        /// SHA-256 of the token's text.
        sha256: Digest,
    },
    /// A JSON Web Token (RFC 7519) that an identity provider signs. Which providers, and with which keys, is the door's to know.
    Jwt(Subject),
    /// A TLS client certificate (RFC 8446). Its key, so that a certificate that is renewed for the same key is the same.
    Certificate {
        /// SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 5280) in DER.
        spki: Digest,
    },
    /// Held by the process that owns the data directory; never leaves it.
    Local,
}

/// An Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// Where the bytes are no point of the curve, or one of small order, under which signatures mean nothing.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, String> {
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| "the bytes are not an Ed25519 public key".to_owned())?;
        if key.is_weak() {
            return Err(
                "the Ed25519 public key is of small order: anybody could sign for it".to_owned(),
            );
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` (64 bytes in base64) is this key's over `message`, by RFC 8032's strict rules.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        BASE64_STANDARD
            .decode(signature)
            .is_ok_and(|bytes| self.verifies_bytes(message, &bytes))
    }

    /// The same of a signature's 64 bytes.
    #[must_use]
    pub fn verifies_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64_STANDARD.encode(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes: [u8; 32] = BASE64_STANDARD
            .decode(String::deserialize(d)?)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| serde::de::Error::custom("a public key is 32 bytes in base64"))?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

/// A principal as it is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPrincipal {
    /// Its id.
    pub id: PrincipalId,
    /// What sort.
    pub kind: PrincipalKind,
    /// What it may take part as, in order, each once.
    pub roles: Vec<Role>,
    /// The human answerable for it: needed for an agent, and only for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// The agent that it acts for, where it is another's sub-agent: both count as one in every case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acts_for: Option<PrincipalId>,
    /// What is said of it, like its department; stages of an approval may ask for it.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// What it proves itself with.
    pub credentials: Vec<Credential>,
}
