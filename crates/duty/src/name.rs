//! Names of things: short ASCII words that are safe in a URL, a file name, a log line and a Cedar entity.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const LONGEST: usize = 64;

fn check(s: &str, what: &str) -> Result<(), String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let starts = s.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if starts && s.len() <= LONGEST && s.bytes().all(fine) && !s.contains("..") {
        Ok(())
    } else {
        Err(format!(
            "`{}` is not a {what}: 1 to {LONGEST} letters, digits, `-`, `_` and single `.`, beginning with a letter or digit",
            s.escape_debug()
        ))
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                check(s, $what).map(|()| Self(s.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                crate::text::parse(d)
            }
        }
    )*};
}

names! {
    /// Names a principal: an agent, a human or a service.
    PrincipalId "principal id";
    /// Names a credential of a principal.
    CredentialId "credential id";
    /// Names a case.
    CaseId "case id";
    /// Names an environment: dev, staging, prod.
    Environment "environment";
    /// Names something that belongs to a case and is counted in it: a call, an approval, a grant, an exception.
    ItemId "item id";
    /// Names a training course.
    Course "course";
    /// Names a group of principals.
    GroupId "group id";
    /// Names a threshold.
    ThresholdId "threshold id";
    /// Names something that is said of a principal, like its department.
    Attribute "name of an attribute";
    /// Names a stage of an approval.
    StageName "name of a stage";
    /// Names a reason for which a human may decide against the agents.
    ReasonCode "reason code";
}

impl ItemId {
    /// The id of the `n`th item of a sort in a case: `<case>.<letter><n>`.
    ///
    /// Case ids may be as long as names may be, so the item's name may be longer than one that is parsed; cases are
    /// therefore held to [`CaseId::LONGEST`] when they open.
    #[must_use]
    pub(crate) fn of(case: &CaseId, letter: char, n: u32) -> Self {
        Self(format!("{case}.{letter}{n}"))
    }

    /// The id of something that belongs to no case, from the place of its record in the log: `x<seq>`.
    #[must_use]
    pub(crate) fn outside(seq: u64) -> Self {
        Self(format!("x{seq}"))
    }

    /// The case that this item belongs to; none for what belongs to no case.
    #[must_use]
    pub fn case(&self) -> Option<CaseId> {
        self.0
            .rsplit_once('.')
            .and_then(|(case, _)| case.parse().ok())
    }
}

impl Environment {
    /// Whether effects are simulated there: in `dev`, and in any environment whose name begins with `dev-`. No target is
    /// called for an effect. In every other one effects are real, and [I7](crate::decide) holds.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.as_str() == "dev" || self.as_str().starts_with("dev-")
    }
}

impl CaseId {
    /// The longest case id, so that ids of its items are names too.
    pub const LONGEST: usize = 48;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_words() {
        for good in ["a", "ap-0001", "A.b_c", "9"] {
            assert!(good.parse::<CaseId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a b",
            "../x",
            "a..b",
            "é",
            "a/b",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<CaseId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_item_knows_its_case() {
        let case: CaseId = "ap-1.x".parse().unwrap();
        assert_eq!(ItemId::of(&case, 'a', 3).case(), Some(case));
    }
}
