//! The log itself: its beginning, its key, what stops, and what is kept no longer.

use serde::{Deserialize, Serialize};

use crate::{freeze::Scope, principal::NewPrincipal, subject::SubjectId};

/// Begin the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenLog {
    /// The log's origin, as in its checkpoints.
    pub origin: String,
    /// The first principals: an admin and a service.
    pub principals: Vec<NewPrincipal>,
}

/// Another key took over from the log's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateLogKey {
    /// The statement as both keys signed it: a signed note, byte for byte as the log's file `keys` holds it.
    pub statement: String,
}

/// See [`Request::Freeze`](super::Request::Freeze).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What stops.
    pub scope: Scope,
    /// Why.
    pub reason: String,
}

/// See [`Request::EndRetention`](super::Request::EndRetention).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndRetention {
    /// The data subject.
    pub subject: SubjectId,
}
