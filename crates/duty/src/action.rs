//! An action: a tool call with exact arguments, known by its digest.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::canonical::{self, CanonicalError, Digest};

/// A tool call with exact arguments.
///
/// Its digest is SHA-256 over the canonical JSON of `{"arguments": …, "tool": …}`: change one byte of the arguments and
/// it is another action (I3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// `<server>.<tool>`.
    pub tool: String,
    /// The arguments as they will be sent: their numbers as [`canonical::normalise`] writes them, whoever spelt them how.
    #[serde(deserialize_with = "normal")]
    pub arguments: Map<String, Value>,
}

impl Action {
    /// A call of a tool, with the numbers of its arguments in their one form.
    #[must_use]
    pub fn new(tool: String, mut arguments: Map<String, Value>) -> Self {
        canonical::normalise_fields(&mut arguments);
        Self { tool, arguments }
    }

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

fn normal<'de, D: Deserializer<'de>>(d: D) -> Result<Map<String, Value>, D::Error> {
    let mut arguments = Map::deserialize(d)?;
    canonical::normalise_fields(&mut arguments);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Action {
        serde_json::from_str(&format!(r#"{{"tool":"t.x","arguments":{arguments}}}"#)).unwrap()
    }

    #[test]
    fn one_number_in_any_spelling_is_one_action() {
        let one = read(r#"{"n":1,"more":[{"z":0}],"f":0.5}"#);
        for spelt in [
            r#"{"n":1.0,"more":[{"z":-0}],"f":0.50}"#,
            r#"{"f":5e-1,"n":1e0,"more":[{"z":0.0e5}]}"#,
            r#"{"n":10E-1,"f":0.5E+0,"more":[{"z":-0.0}]}"#,
        ] {
            assert_eq!(read(spelt), one);
            assert_eq!(read(spelt).digest(), one.digest());
        }
        for other in [
            r#"{"n":1.0000000000000002,"more":[{"z":0}],"f":0.5}"#,
            r#"{"n":"1","more":[{"z":0}],"f":0.5}"#,
            r#"{"n":1,"more":[{"z":5e-324}],"f":0.5}"#,
            r#"{"n":1,"more":[{"z":null}],"f":0.5}"#,
            r#"{"n":1,"more":[{}],"f":0.5}"#,
        ] {
            assert_ne!(read(other).digest().unwrap(), one.digest().unwrap());
        }
        assert!(read(r#"{"n":9007199254740992.0}"#).digest().is_err());
        assert!(read(r#"{"n":1e16}"#).digest().is_err());
    }

    #[test]
    fn null_and_absent_are_different_actions() {
        let (null, absent) = (read(r#"{"a":null}"#), read("{}"));
        assert_ne!(null.digest().unwrap(), absent.digest().unwrap());
    }
}
