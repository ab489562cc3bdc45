//! Policy documents in Markdown into clauses with stable ids.
//!
//! A clause is a heading `### <ID> <Title>` with the text up to the next heading. Its version is the edition that the
//! document's comment states, see [`crate::header`].

use std::collections::BTreeMap;

use duty::{canonical::Digest, edition::Edition, release::ClauseRef, time::Time};
use serde_json::json;

use crate::{edition::Documents, header::Header, problem::Problems};

/// A clause of a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Stable across editions: `PAY-2.1`.
    pub id: String,
    /// The document's edition.
    pub version: String,
    /// The heading's words.
    pub title: String,
    /// The exact text, line ends as `\n`, blank ends cut.
    pub text: String,
    /// The document's title.
    pub document: String,
    /// The section's heading.
    pub section: String,
    /// Its edition is in force from here.
    pub from: Time,
    /// Its edition is in force before here; none where no end is known.
    pub until: Option<Time>,
    /// SHA-256 over the canonical JSON of `{"id", "text", "title", "version"}`.
    pub digest: Digest,
}

impl Clause {
    /// The digest of a clause with these parts: what records hold beside its id and version.
    #[must_use]
    pub fn digest_of(id: &str, version: &str, title: &str, text: &str) -> Digest {
        digest(id, version, title, text)
    }

    /// Whether its edition is in force at a moment.
    #[must_use]
    pub fn in_force(&self, at: Time) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// What records cite, with its time.
    #[must_use]
    pub fn edition(&self) -> Edition {
        Edition {
            clause: self.reference(),
            from: self.from,
            until: self.until,
        }
    }

    /// What records cite.
    #[must_use]
    pub fn reference(&self) -> ClauseRef {
        ClauseRef {
            id: self.id.clone(),
            version: self.version.clone(),
            digest: self.digest,
        }
    }
}

/// All clauses of the documents in `files` (path to text), in order of path and place.
pub(crate) fn parse_all<'a>(
    files: impl Iterator<Item = (&'a String, &'a String)>,
    problems: &mut Problems,
) -> Vec<Clause> {
    let mut documents = Documents::default();
    let mut read = Vec::new();
    for (path, text) in files {
        let (header, found) = parse(path, text, problems);
        documents.take(path, &header, problems);
        read.push((path, header, found));
    }
    let periods = documents.periods(problems);
    let mut clauses = Vec::new();
    // The document of an id, and where each edition of it is.
    let mut places: BTreeMap<String, (String, BTreeMap<String, String>)> = BTreeMap::new();
    for (path, header, found) in read {
        let period = periods.get(&(header.document.as_str(), header.edition.as_str()));
        for (line, mut clause) in found {
            let place = format!("{path}:{line}");
            let (document, editions) = places
                .entry(clause.id.clone())
                .or_insert_with(|| (header.document.clone(), BTreeMap::new()));
            let elsewhere = match editions.get(&header.edition) {
                _ if *document != header.document => editions.values().next(),
                same => same,
            };
            if let Some(first) = elsewhere {
                problems.add(
                    place,
                    format!(
                        "clause `{}` is at {first} too; ids are unique across all documents, and within an edition of one, give one of them another",
                        clause.id
                    ),
                );
                continue;
            }
            editions.insert(header.edition.clone(), place);
            if let Some(period) = period {
                (clause.from, clause.until) = (period.from, period.until);
            }
            clauses.push(clause);
        }
    }
    if clauses.is_empty() {
        problems.add(
            "policies/",
            "no clause at all; write policy documents with headings like `### PAY-2.1 Small payments`",
        );
    }
    clauses
}

fn parse(path: &str, text: &str, problems: &mut Problems) -> (Header, Vec<(usize, Clause)>) {
    let text = text.replace("\r\n", "\n");
    let header = Header::read(path, head(&text), problems);
    let (mut document, mut section) = (String::new(), String::new());
    let mut open: Option<Open<'_>> = None;
    let mut found = Vec::new();
    let mut fence = None;
    for (i, line) in text.split('\n').enumerate() {
        if line.trim_start().starts_with("```") {
            fence = fence.xor(Some(i + 1));
        }
        let heading = fence.is_none().then(|| heading(line)).flatten();
        let Some((level, words)) = heading else {
            if let Some(open) = &mut open {
                open.lines.push(line);
            }
            continue;
        };
        found.extend(open.take());
        match level {
            1 => words.clone_into(&mut document),
            2 => words.clone_into(&mut section),
            4.. => problems.add(
                format!("{path}:{}", i + 1),
                format!(
                    "`{words}` is a heading deeper than a clause; write it as text, or as a clause with `###`"
                ),
            ),
            _ => match words.split_once(' ') {
                Some((id, title)) if is_clause_id(id) => {
                    open = Some(Open {
                        line: i + 1,
                        id: id.to_owned(),
                        title: title.trim().to_owned(),
                        section: section.clone(),
                        lines: Vec::new(),
                    });
                }
                _ => problems.add(
                    format!("{path}:{}", i + 1),
                    format!("`{words}` does not begin with a clause id like `PAY-2.1` and a title"),
                ),
            },
        }
    }
    found.extend(open);
    if let Some(line) = fence {
        // All clauses after it would be taken for code.
        problems.add(
            format!("{path}:{line}"),
            "a code fence that is never closed",
        );
    }
    if document.is_empty() {
        problems.add(path, "no title; begin with a heading of the first level");
    }
    let clauses = found.into_iter().map(|open| {
        let text = open.lines.join("\n").trim().to_owned();
        if text.is_empty() {
            let place = format!("{path}:{}", open.line);
            problems.add(place, format!("clause `{}` has no text", open.id));
        }
        let digest = digest(&open.id, &header.edition, &open.title, &text);
        let clause = Clause {
            id: open.id,
            version: header.edition.clone(),
            title: open.title,
            text,
            document: document.clone(),
            section: open.section,
            from: header.from,
            until: header.until,
            digest,
        };
        (open.line, clause)
    });
    let clauses = clauses.collect();
    (header, clauses)
}

/// What stands before the first section or clause.
fn head(text: &str) -> &str {
    let end = ["\n## ", "\n### "]
        .iter()
        .filter_map(|mark| text.find(mark));
    &text[..end.min().unwrap_or(text.len())]
}

/// A clause whose text is still being read.
struct Open<'a> {
    line: usize,
    id: String,
    title: String,
    section: String,
    lines: Vec<&'a str>,
}

fn digest(id: &str, version: &str, title: &str, text: &str) -> Digest {
    let value = json!({"id": id, "version": version, "title": title, "text": text});
    Digest::of(&value).expect("INVARIANT: text has a canonical form")
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let words = line.trim_start_matches('#');
    let level = line.len() - words.len();
    (level > 0 && words.starts_with(' ')).then(|| (level, words.trim()))
}

/// Letters, a dash, numbers with points between: `PAY-2.1`.
pub(crate) fn is_clause_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(letters, numbers)| {
        !letters.is_empty()
            && letters.bytes().all(|b| b.is_ascii_uppercase())
            && numbers
                .split('.')
                .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(text: &str) -> (Vec<Clause>, Result<(), crate::ReleaseErrors>) {
        let files = BTreeMap::from([("policies/a.md".to_owned(), text.to_owned())]);
        let mut problems = Problems::default();
        let clauses = parse_all(files.iter(), &mut problems);
        (clauses, problems.finish())
    }

    const HEAD: &str = "# Pay\n\n<!-- document: PAY, edition: 3 -->\n\n## One\n\n";

    #[test]
    fn a_clause_is_its_heading_and_the_text_up_to_the_next() {
        let (clauses, fine) = parse_one(&format!(
            "{HEAD}### PAY-1.1 Small ones\r\n\r\nText,\nmore.\n\n### PAY-1.2 B\n\nC\n"
        ));
        fine.unwrap();
        assert_eq!(clauses.len(), 2);
        assert_eq!(clauses[0].text, "Text,\nmore.");
        assert_eq!(
            (clauses[0].version.as_str(), clauses[0].title.as_str()),
            ("3", "Small ones")
        );
    }

    #[test]
    fn two_clauses_of_one_id_name_both_places() {
        let (_, wrong) = parse_one(&format!("{HEAD}### PAY-1.1 A\n\nx\n\n### PAY-1.1 B\n\ny\n"));
        let message = wrong.unwrap_err().to_string();
        assert!(message.contains("policies/a.md:11"), "{message}");
        assert!(message.contains("policies/a.md:7 too"), "{message}");
    }

    #[test]
    fn what_would_swallow_clauses_is_named() {
        let fence = format!("{HEAD}### PAY-1.1 A\n\n```\n\n### PAY-1.2 B\n\ny\n");
        let message = parse_one(&fence).1.unwrap_err().to_string();
        assert!(
            message.contains("policies/a.md:9: a code fence"),
            "{message}"
        );
        let closed = fence.replace("### PAY-1.2", "```\n\n### PAY-1.2");
        let (clauses, fine) = parse_one(&closed);
        fine.unwrap();
        assert_eq!(clauses.len(), 2);
        let deep = format!("{HEAD}### PAY-1.1 A\n\nx\n\n#### PAY-1.2 B\n\ny\n");
        let message = parse_one(&deep).1.unwrap_err().to_string();
        assert!(
            message.contains("policies/a.md:11: `PAY-1.2 B` is a heading deeper"),
            "{message}"
        );
    }

    #[test]
    fn a_document_without_edition_or_ids_is_named() {
        let (_, wrong) = parse_one("# Pay\n\n### Small ones\n\nx\n");
        let message = wrong.unwrap_err().to_string();
        assert!(
            message.contains("no edition") && message.contains("does not begin with a clause id"),
            "{message}"
        );
    }
}
