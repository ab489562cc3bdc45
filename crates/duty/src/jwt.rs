//! What a JSON Web Token (RFC 7519) says of its bearer, as far as that is a credential: who says it, to whom, of whom.
//!
//! Whether a token holds is a door's to check, with the issuer's keys of the moment. What is here for good is whose it is.

use serde::{Deserialize, Serialize};

use crate::canonical::Digest;

/// The most bytes of each of the three.
const LONGEST: usize = 512;

/// An issuer's word for one of those that it knows, said to one audience. Compared byte by byte, as RFC 7519 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Subject {
    issuer: String,
    audience: String,
    subject: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: String,
    audience: String,
    subject: String,
}

impl Subject {
    /// From the claims `iss`, `aud` and `sub`.
    ///
    /// # Errors
    /// Which of them is empty, too long, or holds what nobody can see.
    pub fn new(issuer: &str, audience: &str, subject: &str) -> Result<Self, String> {
        for (what, text) in [
            ("issuer", issuer),
            ("audience", audience),
            ("subject", subject),
        ] {
            let fine = (1..=LONGEST).contains(&text.len())
                && text.trim() == text
                && !text.chars().any(char::is_control);
            if !fine {
                return Err(format!(
                    "the {what} has 1 to {LONGEST} bytes, no control characters, and no spaces at its ends"
                ));
            }
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// Who says it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// To whom.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Of whom.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What two of them share only where they are the same: none of the three can hold the byte between them.
    pub(crate) fn digest(&self) -> Digest {
        let parts = ["jwt", &self.issuer, &self.audience, &self.subject];
        Digest::of_bytes(parts.join("\0").as_bytes())
    }
}

impl TryFrom<Written> for Subject {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(&written.issuer, &written.audience, &written.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_it_is_has_one_reading() {
        let one = Subject::new("https://id.example", "counterfoil", "ana").unwrap();
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Subject>(&text).unwrap(), one);
        for (issuer, audience, subject) in [
            ("https://id.example/", "counterfoil", "ana"),
            ("https://id.example", "counterfoila", "na"),
            ("https://id.example", "counterfoil", "Ana"),
        ] {
            let other = Subject::new(issuer, audience, subject).unwrap();
            assert_ne!(other.digest(), one.digest());
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_none() {
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", " a", "a ", "a\0b", "a\nb", "\u{7f}", &long] {
            assert!(Subject::new(wrong, "b", "c").is_err(), "{wrong:?}");
            assert!(Subject::new("a", wrong, "c").is_err(), "{wrong:?}");
            assert!(Subject::new("a", "b", wrong).is_err(), "{wrong:?}");
        }
        let more = r#"{"issuer":"a","audience":"b","subject":"c","d":"e"}"#;
        assert!(serde_json::from_str::<Subject>(more).is_err());
    }
}
