//! Records: the one envelope, and a body per kind.
//!
//! A record is canonical JSON (RFC 8785). One decision makes one or more records that are appended together: the first
//! carries the request whole in `body.request`, so that it can be decided again; those after it are its consequences and
//! name it in `cause`.

mod body;
mod parts;
mod quick;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::value::RawValue;

pub use self::{
    body::*,
    parts::{Basis, CapLine, CaseOutcome, Counted, ExceptionSort, Route, Usage},
};
use crate::{
    canonical::{self, CanonicalError, Digest},
    name::{CaseId, CredentialId, Environment, PrincipalId},
    principal::Role,
    release::ClauseRef,
    time::Time,
};

/// The version of the envelope.
pub const VERSION: u32 = 1;

/// The longest record, in bytes: an entry of a tiled log has a 16-bit length.
pub const LONGEST: usize = 65_535;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log, from 0.
    pub seq: u64,
    /// When; never before the record ahead of it.
    pub time: Time,
    /// The record that this is a consequence of; none where the record carries a request itself.
    pub cause: Option<u64>,
    /// The environment, for what belongs to one.
    pub env: Option<Environment>,
    /// The case, for what belongs to one.
    pub case: Option<CaseId>,
    /// Who asked for it.
    pub actor: Actor,
    /// The release in force, for what was decided under one.
    pub release: Option<Digest>,
    /// The clauses behind it.
    pub clauses: Vec<ClauseRef>,
    /// What happened.
    pub body: Body,
}

/// Who asked for what a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The principal.
    pub id: PrincipalId,
    /// The role it acted in; none where it had no right to act at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The human answerable for it, for an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// The credential it came with.
    pub credential: CredentialId,
}

impl Record {
    /// The canonical bytes: what the log holds.
    ///
    /// # Errors
    /// Where a number in it has no exact canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::to_vec(self)
    }

    /// Reads a record, strictly: known fields only, canonical form, known version.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        match quick::read(bytes) {
            Some(record) => Ok(record),
            None => Self::from_bytes_compared(bytes),
        }
    }

    /// As [`Record::from_bytes`], always by writing the record again and comparing: what that must agree with.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes_compared(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Self::from_bytes_unchecked(bytes)?;
        if record.to_bytes()? != bytes {
            return Err(CanonicalError::NotCanonical.into());
        }
        Ok(record)
    }

    /// Reads a record whose bytes are known to come from [`Record::to_bytes`]: as [`Record::from_bytes`], but without
    /// writing it again to compare.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes_unchecked(bytes: &[u8]) -> Result<Self, RecordError> {
        let e: Envelope<'_> =
            serde_json::from_slice(bytes).map_err(|e| RecordError::Envelope(e.to_string()))?;
        if e.v != VERSION {
            return Err(RecordError::Version(e.v));
        }
        Ok(Self {
            seq: e.seq,
            time: e.time,
            cause: e.cause,
            env: e.env,
            case: e.case,
            actor: e.actor,
            release: e.release,
            clauses: e.clauses,
            body: Body::parse(&e.kind, e.body)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    v: u32,
    seq: u64,
    time: Time,
    cause: Option<u64>,
    env: Option<Environment>,
    case: Option<CaseId>,
    kind: String,
    actor: Actor,
    release: Option<Digest>,
    #[serde(default)]
    clauses: Vec<ClauseRef>,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Record", 11)?;
        s.serialize_field("v", &VERSION)?;
        s.serialize_field("seq", &self.seq)?;
        s.serialize_field("time", &self.time)?;
        if let Some(cause) = &self.cause {
            s.serialize_field("cause", cause)?;
        }
        if let Some(env) = &self.env {
            s.serialize_field("env", env)?;
        }
        if let Some(case) = &self.case {
            s.serialize_field("case", case)?;
        }
        s.serialize_field("kind", self.body.kind())?;
        s.serialize_field("actor", &self.actor)?;
        if let Some(release) = &self.release {
            s.serialize_field("release", release)?;
        }
        if !self.clauses.is_empty() {
            s.serialize_field("clauses", &self.clauses)?;
        }
        s.serialize_field("body", &self.body)?;
        s.end()
    }
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The envelope is wrong.
    #[error("not a record: {0}")]
    Envelope(String),
    /// The body does not fit its kind.
    #[error("not a `{kind}` record: {why}")]
    Body {
        /// The kind that it says it is.
        kind: String,
        /// What is wrong.
        why: String,
    },
    /// A kind that this version does not know.
    #[error("`{0}` is not a kind of record that this version knows; a newer version may")]
    Kind(String),
    /// A version that this one does not know.
    #[error("the record is of version {0}, and this program knows version {VERSION}")]
    Version(u32),
    /// Not in canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}
