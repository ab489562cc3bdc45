//! Editions of documents in one release: which clause is in force when.
//!
//! Several files may be one document: parts of one edition, or editions that follow each other. An edition ends where the
//! next begins, or on the last day that it states.

use std::collections::BTreeMap;

use duty::{edition::Edition, time::Time};

use crate::{clause::Clause, header::Header, problem::Problems};

/// The files of a document, by edition.
#[derive(Debug, Default)]
pub(crate) struct Documents(BTreeMap<String, BTreeMap<String, (String, Header)>>);

impl Documents {
    /// Takes the header of a file; parts of one edition must agree.
    pub(crate) fn take(&mut self, path: &str, header: &Header, problems: &mut Problems) {
        let editions = self.0.entry(header.document.clone()).or_default();
        match editions.get(&header.edition) {
            Some((first, other)) if (other.from, other.until) != (header.from, header.until) => {
                problems.add(
                    path,
                    format!(
                        "is edition {} of `{}` as `{first}` is, and states other days; parts of one edition have the same",
                        header.edition, header.document
                    ),
                );
            }
            Some(_) => {}
            None => {
                let entry = (path.to_owned(), header.clone());
                editions.insert(header.edition.clone(), entry);
            }
        }
    }

    /// From when to when each edition of each document is in force.
    pub(crate) fn periods(&self, problems: &mut Problems) -> BTreeMap<(&str, &str), Period> {
        let mut periods = BTreeMap::new();
        for (document, editions) in &self.0 {
            let mut in_order: Vec<_> = editions.iter().collect();
            in_order.sort_by_key(|(edition, (_, header))| (header.from, *edition));
            for (i, (edition, (path, header))) in in_order.iter().enumerate() {
                let next = in_order
                    .get(i + 1)
                    .map(|(_, (path, next))| (path, next.from));
                let mut until = header.until;
                if let Some((other, from)) = next {
                    if from == header.from {
                        problems.add(
                            path,
                            format!("and `{other}` are editions of `{document}` that come into force on one day"),
                        );
                    }
                    if until.is_some_and(|until| until > from) {
                        problems.add(
                            path,
                            format!("is in force until after the day on which `{other}`, the next edition of `{document}`, comes into force"),
                        );
                    }
                    until = until.or(Some(from));
                }
                let period = Period {
                    from: header.from,
                    until,
                };
                periods.insert((document.as_str(), edition.as_str()), period);
            }
        }
        periods
    }
}

/// The time in which an edition is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: Time,
    pub(crate) until: Option<Time>,
}

/// The editions of each clause, by id, the earliest first.
pub(crate) fn by_id(clauses: &[Clause]) -> BTreeMap<String, Vec<Edition>> {
    let mut ids: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for clause in clauses {
        ids.entry(clause.id.clone())
            .or_default()
            .push(clause.edition());
    }
    ids.values_mut()
        .for_each(|editions| editions.sort_by_key(|e| e.from));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::parse_all;

    fn parse(files: &[(&str, &str)]) -> (Vec<Clause>, String) {
        let files: BTreeMap<String, String> = files
            .iter()
            .map(|(path, head)| {
                let text =
                    format!("# Pay\n\n<!-- {head} -->\n\n### PAY-1.1 A\n\nText of {path}.\n");
                (format!("policies/{path}.md"), text)
            })
            .collect();
        let mut problems = Problems::default();
        let clauses = parse_all(files.iter(), &mut problems);
        let said = problems.finish().err().map(|e| e.to_string());
        (clauses, said.unwrap_or_default())
    }

    #[test]
    fn an_edition_ends_where_the_next_begins() {
        let (clauses, said) = parse(&[
            ("new", "document: PAY, edition: 2, effective: 2027-01-01"),
            ("old", "document: PAY, edition: 1, effective: 2026-01-01"),
        ]);
        assert_eq!(said, "");
        let editions = &by_id(&clauses)["PAY-1.1"];
        assert_eq!(editions.len(), 2);
        assert_eq!(editions[0].clause.version, "1");
        assert_eq!(editions[0].until, Some(editions[1].from));
        assert!(editions[1].until.is_none());
        let last = Time::from_millis(editions[1].from.millis() - 1);
        assert!(editions[0].in_force(last) && !editions[1].in_force(last));
        assert!(!editions[0].in_force(editions[1].from));
        assert!(!editions[0].in_force(Time::EPOCH));
    }

    #[test]
    fn editions_that_are_in_force_at_once_are_named() {
        let (_, said) = parse(&[
            (
                "a",
                "document: PAY, edition: 1, effective: 2026-01-01, until: 2027-01-01",
            ),
            ("b", "document: PAY, edition: 2, effective: 2027-01-01"),
        ]);
        assert!(
            said.contains("policies/a.md: is in force until after"),
            "{said}"
        );
        let (_, said) = parse(&[
            ("a", "document: PAY, edition: 1"),
            ("b", "document: PAY, edition: 2"),
        ]);
        assert!(said.contains("come into force on one day"), "{said}");
        let (_, said) = parse(&[
            ("a", "document: PAY, edition: 1, effective: 2026-01-01"),
            ("b", "document: PAY, edition: 1, effective: 2027-01-01"),
        ]);
        assert!(said.contains("states other days"), "{said}");
        let (_, said) = parse(&[
            ("a", "document: PAY, edition: 1"),
            ("b", "document: QAY, edition: 1"),
        ]);
        assert!(
            said.contains("clause `PAY-1.1` is at policies/a.md:5 too"),
            "{said}"
        );
    }
}
