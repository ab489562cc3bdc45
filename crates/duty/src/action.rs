//! An action: a tool call with exact arguments, known by its digest.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canonical::{CanonicalError, Digest};

/// A tool call with exact arguments.
///
/// Its digest is SHA-256 over the canonical JSON of `{"arguments": …, "tool": …}`: change one byte of the arguments and
/// it is another action (I3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// `<server>.<tool>`.
    pub tool: String,
    /// The arguments as they will be sent.
    pub arguments: Map<String, Value>,
}

impl Action {
    /// The digest that approvals and grants bind to.
    ///
    /// # Errors
    /// [`CanonicalError`] where an argument has no exact canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Digest::of(self)
    }

    /// A whole-number argument.
    #[must_use]
    pub fn integer(&self, field: &str) -> Option<i64> {
        self.arguments.get(field)?.as_i64()
    }

    /// A text argument.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.arguments.get(field)?.as_str()
    }
}
