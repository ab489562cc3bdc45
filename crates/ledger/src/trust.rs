//! Trust policies (`c2sp.org/tlog-policy`): which logs are known, which witnesses, and how many of them make a quorum.

use std::collections::BTreeMap;

use crate::cosignature::Witness;
use crate::note::{Note, NoteError, Verifier};

/// A trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The logs, each with its URL where one is told.
    pub logs: Vec<(Verifier, Option<String>)>,
    /// The witnesses in the order of the file.
    pub witnesses: Vec<Listed>,
    quorum: Rule,
}

/// A witness of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the policy, which need not be the key's.
    pub name: String,
    /// Its key.
    pub witness: Witness,
    /// Its submission prefix (`tlog-witness`), where one is told.
    pub url: Option<String>,
}

/// Who has to have cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Nobody,
    Witness(usize),
    AtLeast(usize, Vec<Rule>),
}

/// Why a text is no trust policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trust policy: {why}")]
pub struct PolicyError {
    /// Line, from 1; one past the last where something is missing.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// Who of a policy cosigned a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cosigned {
    /// The witnesses, by their place in [`Policy::witnesses`], with the time of each, in seconds since 1970.
    pub by: BTreeMap<usize, u64>,
    /// Whether that is a quorum.
    pub quorum: bool,
}

impl Policy {
    /// A policy that asks for no witness.
    #[must_use]
    pub fn none() -> Self {
        Self {
            logs: Vec::new(),
            witnesses: Vec::new(),
            quorum: Rule::Nobody,
        }
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`] with the line.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut last = 0;
        for (number, line) in (1..).zip(text.split('\n')) {
            last = number;
            let read = reader.line(line);
            read.map_err(|why| PolicyError { line: number, why })?;
        }
        let quorum = reader.quorum.ok_or_else(|| PolicyError {
            line: last,
            why: "no `quorum` line; without witnesses it is `quorum none`".to_owned(),
        })?;
        Ok(Self {
            logs: reader.logs,
            witnesses: reader.witnesses,
            quorum,
        })
    }

    /// Whether it asks for any cosignature.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.quorum != Rule::Nobody
    }

    /// Whether these witnesses, by their places, make a quorum.
    #[must_use]
    pub fn is_quorum(&self, by: &BTreeMap<usize, u64>) -> bool {
        self.quorum.holds(by)
    }

    /// Verifies the cosignatures on a note. Lines of unknown keys, and of keys that cannot be verified here, are passed
    /// over, as the specification asks.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] for a line of a known witness that does not fit the text.
    pub fn verify(&self, note: &Note) -> Result<Cosigned, NoteError> {
        let mut by = BTreeMap::new();
        for (place, listed) in self.witnesses.iter().enumerate() {
            if !listed.witness.is_verifiable() {
                continue;
            }
            for line in note
                .signatures
                .iter()
                .filter(|line| listed.witness.made(line))
            {
                by.insert(place, listed.witness.verify(&note.text, line)?);
            }
        }
        let quorum = self.is_quorum(&by);
        Ok(Cosigned { by, quorum })
    }
}

impl Rule {
    fn holds(&self, by: &BTreeMap<usize, u64>) -> bool {
        match self {
            Self::Nobody => true,
            Self::Witness(place) => by.contains_key(place),
            Self::AtLeast(count, rules) => {
                rules.iter().filter(|rule| rule.holds(by)).count() >= *count
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<(Verifier, Option<String>)>,
    witnesses: Vec<Listed>,
    /// Witnesses and groups by name; taken out when they become a member of a group, since each may be only once.
    named: BTreeMap<String, Option<Rule>>,
    quorum: Option<Rule>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(bad) = line.chars().find(|c| c.is_ascii_control() && *c != '\t') {
            return Err(format!("the control character {bad:?}"));
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
        match words[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey] => self.log(vkey, None),
            ["log", vkey, url] => self.log(vkey, Some(url)),
            ["witness", name, vkey] => self.witness(name, vkey, None),
            ["witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            ["group", name, count, ref members @ ..] if !members.is_empty() => {
                self.group(name, count, members)
            }
            ["quorum", name] => self.set_quorum(name),
            _ => Err(
                "it is none of `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME…`, `quorum NAME`"
                    .to_owned(),
            ),
        }
    }

    fn log(&mut self, vkey: &str, url: Option<&str>) -> Result<(), String> {
        let log = Verifier::from_vkey(vkey).map_err(|why| why.to_string())?;
        if self.logs.iter().any(|(other, _)| other.key() == log.key()) {
            return Err("the log is there twice".to_owned());
        }
        self.logs.push((log, url.map(str::to_owned)));
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&str>) -> Result<(), String> {
        let witness = Witness::from_vkey(vkey).map_err(|why| why.to_string())?;
        let twice = |other: &Listed| other.witness.key() == witness.key();
        if self.witnesses.iter().any(twice) {
            return Err("a witness with this key is there already".to_owned());
        }
        self.define(name, Rule::Witness(self.witnesses.len()))?;
        self.witnesses.push(Listed {
            name: name.to_owned(),
            witness,
            url: url.map(str::to_owned),
        });
        Ok(())
    }

    fn group(&mut self, name: &str, count: &str, members: &[&str]) -> Result<(), String> {
        let count = match count {
            "all" => members.len(),
            "any" => 1,
            number => crate::checkpoint::decimal(number)
                .and_then(|k| usize::try_from(k).ok())
                .filter(|k| (1..=members.len()).contains(k))
                .ok_or_else(|| {
                    let most = members.len();
                    format!("`{number}` is none of `all`, `any`, 1 to {most}")
                })?,
        };
        let rules = members.iter().map(|member| self.take(member));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        self.define(name, Rule::AtLeast(count, rules))
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("a second `quorum`".to_owned());
        }
        self.quorum = Some(match name {
            "none" => Rule::Nobody,
            name => self.take(name)?,
        });
        Ok(())
    }

    fn define(&mut self, name: &str, rule: Rule) -> Result<(), String> {
        if name == "none" || self.named.contains_key(name) {
            return Err(format!("the name `{name}` is taken"));
        }
        self.named.insert(name.to_owned(), Some(rule));
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<Rule, String> {
        let place = self
            .named
            .get_mut(name)
            .ok_or_else(|| format!("`{name}` is not defined above"))?;
        // Each witness counts in one way only, or a group could count it twice.
        place
            .take()
            .ok_or_else(|| format!("`{name}` is a member of a group already"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosignature::Cosigner;

    fn cosigner(seed: u8) -> Cosigner {
        Cosigner::from_seed(&format!("witness.example/{seed}"), &[seed; 32]).unwrap()
    }

    fn text() -> String {
        let mut text = "# two houses\n".to_owned();
        for (seed, name) in [(1, "X1"), (2, "X2"), (3, "X3"), (4, "Y1"), (5, "Y2")] {
            text += &format!(
                "witness {name}\t{} http://w/{seed}\n",
                cosigner(seed).witness()
            );
        }
        text + "group X 2 X1 X2 X3\ngroup Y any Y1 Y2\n group X-and-Y  all X Y\nquorum X-and-Y\n"
    }

    #[test]
    fn counts_groups_of_groups() {
        let policy = Policy::parse(&text()).unwrap();
        assert_eq!(policy.witnesses[4].url.as_deref(), Some("http://w/5"));
        let holds = |places: &[usize]| policy.is_quorum(&places.iter().map(|p| (*p, 0)).collect());
        assert!(holds(&[0, 1, 3]) && holds(&[1, 2, 4]) && holds(&[0, 1, 2, 3, 4]));
        assert!(!holds(&[]) && !holds(&[0, 1]) && !holds(&[0, 3, 4]) && !holds(&[3]));
        assert!(policy.asks() && !Policy::parse("quorum none").unwrap().asks());
    }

    #[test]
    fn verifies_the_lines_of_known_witnesses() {
        let policy = Policy::parse(&text()).unwrap();
        let body = "log\n1\nroot\n";
        let signatures = [1, 2, 4, 9].map(|seed| cosigner(seed).cosign(body, u64::from(seed)));
        let mut note = Note {
            text: body.to_owned(),
            signatures: signatures.to_vec(),
        };
        let found = policy.verify(&note).unwrap();
        assert_eq!(found.by, BTreeMap::from([(0, 1), (1, 2), (3, 4)]));
        assert!(found.quorum);
        note.signatures.remove(0);
        assert!(!policy.verify(&note).unwrap().quorum);
        note.text.push('x');
        assert!(policy.verify(&note).is_err());
    }

    #[test]
    fn refuses_what_is_no_policy_with_its_line() {
        let key = cosigner(1).witness();
        for (text, line, why) in [
            (String::new(), 1, "no `quorum` line"),
            ("quorum none\nquorum none".to_owned(), 2, "a second"),
            ("quorum W".to_owned(), 1, "not defined above"),
            (format!("witness none {key}"), 1, "is taken"),
            (
                format!("witness a {key}\nwitness b {key}"),
                2,
                "there already",
            ),
            (format!("witness a {key}\ngroup g 2 a"), 2, "1 to 1"),
            (
                format!("witness a {key}\ngroup g 1 a\ngroup h 1 a"),
                3,
                "member of a group",
            ),
            ("witness a b".to_owned(), 1, "not a verifier key"),
            ("log\u{b}x".to_owned(), 1, "control character"),
            ("hello".to_owned(), 1, "none of"),
        ] {
            let found = Policy::parse(&text).unwrap_err();
            assert_eq!(found.line, line, "{text}");
            assert!(found.why.contains(why), "{found}");
        }
    }
}
