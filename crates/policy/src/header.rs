//! The comment at the head of a policy document: which edition of which document it is, and when that is in force.
//!
//! `<!-- document: PAY, edition: 3, effective: 2026-01-01, until: 2026-12-31, owner: "Doe, Chief" -->`. Both days belong to
//! the time in force, and days are UTC's.

use std::collections::BTreeMap;

use duty::time::Time;

use crate::problem::{Problems, line_at};

/// What may stand in the comment.
const KEYS: &[&str] = &[
    "document",
    "edition",
    "effective",
    "until",
    "owner",
    "source",
    "source-sha256",
];

/// What the comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which document; its path, where the comment does not say.
    pub(crate) document: String,
    pub(crate) edition: String,
    /// In force from here.
    pub(crate) from: Time,
    /// In force before here, where it says so.
    pub(crate) until: Option<Time>,
}

impl Header {
    /// Reads the head of a document, up to its first section or clause.
    pub(crate) fn read(path: &str, head: &str, problems: &mut Problems) -> Self {
        let mut header = Self {
            document: path.to_owned(),
            edition: String::new(),
            from: Time::EPOCH,
            until: None,
        };
        let Some((start, inner)) = comment(head) else {
            problems.add(
                path,
                "no edition; add a comment like `<!-- document: PAY, edition: 3, effective: 2026-01-01, owner: CFO -->` under the title",
            );
            return header;
        };
        let place = format!("{path}:{}", line_at(head, start));
        let mut said = BTreeMap::new();
        for part in parts(inner) {
            let Some((key, value)) = part.split_once(':') else {
                problems.add(
                    &place,
                    format!("`{part}` is no `key: value`; a value with a comma goes in \"…\""),
                );
                continue;
            };
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            if !KEYS.contains(&key) {
                problems.add(
                    &place,
                    format!("`{key}` is not known here; there are {}", KEYS.join(", ")),
                );
            } else if value.is_empty() {
                problems.add(&place, format!("`{key}` is empty"));
            } else if said.insert(key, value).is_some() {
                problems.add(&place, format!("`{key}` is there twice"));
            }
        }
        if let Some(document) = said.get("document") {
            (*document).clone_into(&mut header.document);
        }
        match said.get("edition") {
            Some(edition) => (*edition).clone_into(&mut header.edition),
            None => problems.add(&place, "no `edition`"),
        }
        let mut day = |key: &str| {
            let written = said.get(key)?;
            let day = day(written);
            if day.is_none() {
                problems.add(
                    &place,
                    format!("`{key}: {written}` is no day; write it like `2026-01-31`"),
                );
            }
            day
        };
        header.from = day("effective").unwrap_or(Time::EPOCH);
        // The last day is a whole one.
        header.until = day("until").map(|last| last.plus_minutes(24 * 60));
        if header.until.is_some_and(|until| until <= header.from) {
            problems.add(&place, "`until` is before `effective`");
        }
        header
    }
}

/// The first moment of a day that is written `2026-01-31`.
pub(crate) fn day(written: &str) -> Option<Time> {
    format!("{written}T00:00:00.000Z").parse().ok()
}

/// The first comment that states an edition, and where it begins.
fn comment(head: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    while let Some(at) = head[from..].find("<!--") {
        let start = from + at;
        let inner = &head[start + 4..];
        let end = inner.find("-->")?;
        let inner = &inner[..end];
        if parts(inner).any(|p| {
            p.split_once(':')
                .is_some_and(|(k, _)| k.trim() == "edition")
        }) {
            return Some((start, inner));
        }
        from = start + 4 + end;
    }
    None
}

/// Parts between commas that stand outside of quotation marks.
fn parts(inner: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let split = inner.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    split.map(str::trim).filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> (Header, String) {
        let mut problems = Problems::default();
        let header = Header::read("policies/a.md", head, &mut problems);
        let said = problems.finish().err().map(|e| e.to_string());
        (header, said.unwrap_or_default())
    }

    #[test]
    fn days_are_whole_and_values_may_hold_commas() {
        let (header, said) = read(
            "# A\n<!-- a note -->\n<!-- document: PAY, edition: 4,\n effective: 2026-01-01, until: 2026-12-31, owner: \"A, B\" -->",
        );
        assert_eq!(said, "");
        assert_eq!(
            (header.document.as_str(), header.edition.as_str()),
            ("PAY", "4")
        );
        assert_eq!(header.from.to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!(
            header.until.unwrap().to_string(),
            "2027-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn a_misspelt_key_or_day_is_named_with_its_line() {
        let (_, said) = read("# A\n\n<!-- edition: 1, efective: 2026-01-01, until: 2026-02-30 -->");
        assert!(
            said.contains("policies/a.md:3: `efective` is not known"),
            "{said}"
        );
        assert!(said.contains("`until: 2026-02-30` is no day"), "{said}");
        let (_, said) = read("<!-- edition: 1, effective: 2026-02-01, until: 2026-01-31 -->");
        assert!(said.contains("`until` is before"), "{said}");
    }
}
