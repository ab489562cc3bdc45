//! Redaction: what a language model is not to see is put out of what is sent to it, and put back into what it proposes.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// `[[redact]]` in `team.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenRedact {
    /// A built-in kind, or the name of one's own.
    kind: String,
    /// A regular expression, for one's own.
    pattern: Option<String>,
}

/// What to put out, in order.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    kind: String,
    pattern: Regex,
    /// What a match must also be, so that few are taken that are none.
    holds: fn(&str) -> bool,
}

/// The built-in kinds: a pattern that finds all, and a check that leaves out what is none.
type BuiltIn = (&'static str, &'static str, fn(&str) -> bool);

const BUILT_IN: [BuiltIn; 4] = [
    (
        "iban",
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        is_iban,
    ),
    (
        "email",
        r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\b",
        |_| true,
    ),
    ("card", r"\b[0-9](?:[ -]?[0-9]){12,18}\b", is_card),
    ("phone", r"\+[0-9][0-9 ().-]{6,18}[0-9]\b", |_| true),
];

/// A name is part of the placeholder.
fn is_name(kind: &str) -> bool {
    !kind.is_empty()
        && kind.len() <= 32
        && kind
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
}

impl Redaction {
    pub(crate) fn parse(written: Vec<WrittenRedact>, wrong: &mut dyn FnMut(String)) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for w in written {
            let built_in = BUILT_IN.iter().find(|(kind, ..)| *kind == w.kind);
            let (pattern, holds) = match (&w.pattern, built_in) {
                (None, Some((_, pattern, holds))) => ((*pattern).to_owned(), *holds),
                (Some(pattern), None) => (pattern.clone(), (|_| true) as fn(&str) -> bool),
                (Some(_), Some(_)) => {
                    wrong(format!(
                        "`{}` is built in; give a pattern of your own another name",
                        w.kind
                    ));
                    continue;
                }
                (None, None) => {
                    let known: Vec<_> = BUILT_IN.iter().map(|(kind, ..)| *kind).collect();
                    wrong(format!(
                        "`{}` needs a `pattern`; built in are {}",
                        w.kind,
                        known.join(", ")
                    ));
                    continue;
                }
            };
            if !is_name(&w.kind) {
                wrong(format!(
                    "`{}` is no name: small letters, digits and `-`",
                    w.kind
                ));
            }
            if rules.iter().any(|r| r.kind == w.kind) {
                wrong(format!("`{}` is there twice", w.kind));
            }
            match Regex::new(&pattern) {
                Ok(pattern) if pattern.is_match("") => {
                    wrong(format!(
                        "the pattern of `{}` matches nothing at all",
                        w.kind
                    ));
                }
                Ok(pattern) => rules.push(Rule {
                    kind: w.kind,
                    pattern,
                    holds,
                }),
                Err(e) => wrong(format!("the pattern of `{}`: {e}", w.kind)),
            }
        }
        Self { rules }
    }

    /// The kinds that are put out.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules
            .iter()
            .map(|r| (r.kind.as_str(), r.pattern.as_str()))
    }

    /// A fresh list of what was put out.
    #[must_use]
    pub fn begin(&self) -> Redacted<'_> {
        Redacted {
            rules: self,
            placeholders: BTreeMap::new(),
            values: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }
}

/// What was put out of a case's texts. The same value has the same placeholder, in order of first sight.
#[derive(Clone, Debug)]
pub struct Redacted<'r> {
    rules: &'r Redaction,
    placeholders: BTreeMap<(String, String), String>,
    values: BTreeMap<String, String>,
    counts: BTreeMap<String, u32>,
}

impl Redacted<'_> {
    /// The text with placeholders, like `[[iban-1]]`.
    pub fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let rules = self.rules;
        for rule in &rules.rules {
            let mut out = String::with_capacity(text.len());
            let mut from = 0;
            for found in rule.pattern.find_iter(&text) {
                if !(rule.holds)(found.as_str()) {
                    continue;
                }
                out.push_str(&text[from..found.start()]);
                out.push_str(&self.placeholder(&rule.kind, found.as_str()));
                from = found.end();
            }
            out.push_str(&text[from..]);
            text = out;
        }
        text
    }

    /// A JSON value with placeholders in its texts and keys.
    pub fn json(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|i| self.json(i)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (self.text(name), self.json(value)))
                    .collect(),
            ),
            // A number of an account may be written as a number.
            Value::Number(n) => match self.text(&n.to_string()) {
                text if text == n.to_string() => value.clone(),
                text => Value::String(text),
            },
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    /// Words that others made of such texts, with placeholders: for what is to stand in a record.
    #[must_use]
    pub fn again(&self, words: &str) -> String {
        self.clone().text(words)
    }

    /// How many values of each kind were put out.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u32> {
        &self.counts
    }

    /// The value with what was put out put back, where a text holds a placeholder.
    #[must_use]
    pub fn restore(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.restore_text(text)),
            Value::Array(items) => items.iter().map(|i| self.restore(i)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.restore(value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn restore_text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("[[") {
            let (before, after) = rest.split_at(start);
            out.push_str(before);
            let end = after.find("]]").map(|end| end + 2);
            match end.and_then(|end| Some((self.values.get(&after[..end])?, end))) {
                Some((value, end)) => {
                    out.push_str(value);
                    rest = &after[end..];
                }
                None => {
                    out.push_str("[[");
                    rest = &after[2..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn placeholder(&mut self, kind: &str, value: &str) -> String {
        let key = (kind.to_owned(), value.to_owned());
        if let Some(known) = self.placeholders.get(&key) {
            return known.clone();
        }
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let placeholder = format!("[[{kind}-{count}]]");
        self.placeholders.insert(key, placeholder.clone());
        self.values.insert(placeholder.clone(), value.to_owned());
        placeholder
    }
}

/// ISO 13616: its letters as numbers, the first four places last, modulo 97.
fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let (front, back) = plain.split_at(4);
    let mut rest = 0_u32;
    for c in back.chars().chain(front.chars()) {
        let Some(digit) = c.to_digit(36) else {
            return false;
        };
        rest = (rest * if digit > 9 { 100 } else { 10 } + digit) % 97;
    }
    rest == 1
}

/// ISO 7812: the check digit by Luhn.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = digits.iter().rev().enumerate().map(|(i, d)| match i % 2 {
        0 => *d,
        _ if d * 2 > 9 => d * 2 - 9,
        _ => d * 2,
    });
    (13..=19).contains(&digits.len()) && doubled.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redaction(kinds: &[(&str, Option<&str>)]) -> Redaction {
        let written = kinds.iter().map(|(kind, pattern)| WrittenRedact {
            kind: (*kind).to_owned(),
            pattern: pattern.map(str::to_owned),
        });
        Redaction::parse(written.collect(), &mut |wrong| panic!("{wrong}"))
    }

    #[test]
    fn what_is_put_out_is_named_the_same_everywhere_and_put_back() {
        let rules = redaction(&[
            ("iban", None),
            ("email", None),
            ("card", None),
            ("phone", None),
            ("badge", Some(r"B-[0-9]{4}")),
        ]);
        let mut redacted = rules.begin();
        let said = redacted.text(
            "pay DE89 3704 0044 0532 0130 00 or GB82WEST12345698765432, ask ann@example.org (+49 30 901820) or B-1234, \
             card 4111 1111 1111 1111, not DE88 3704 0044 0532 0130 00",
        );
        assert_eq!(
            said,
            "pay [[iban-1]] or [[iban-2]], ask [[email-1]] ([[phone-1]]) or [[badge-1]], card [[card-1]], \
             not DE88 3704 0044 0532 0130 00"
        );
        let json = redacted.json(
            &json!({"account": "GB82WEST12345698765432", "n": [1, true, 4111111111111111_u64]}),
        );
        assert_eq!(
            json,
            json!({"account": "[[iban-2]]", "n": [1, true, "[[card-2]]"]})
        );
        let back = json!({"account": "[[iban-1]]", "note": "to [[iban-2]], [[iban-9]] and [[ [[badge-1]]"});
        assert_eq!(
            redacted.restore(&back),
            json!({
                "account": "DE89 3704 0044 0532 0130 00",
                "note": "to GB82WEST12345698765432, [[iban-9]] and [[ B-1234",
            })
        );
        assert_eq!(redacted.counts()["iban"], 2);
    }

    #[test]
    fn a_rule_that_cannot_work_is_no_rule() {
        for (kind, pattern) in [
            ("ssn", None),
            ("iban", Some("x")),
            ("Bad Name", Some("x")),
            ("open", Some("(")),
            ("all", Some("x*")),
        ] {
            let written = vec![WrittenRedact {
                kind: kind.to_owned(),
                pattern: pattern.map(str::to_owned),
            }];
            let mut wrong = Vec::new();
            Redaction::parse(written, &mut |w| wrong.push(w));
            assert_eq!(wrong.len(), 1, "{kind} {wrong:?}");
        }
    }
}
