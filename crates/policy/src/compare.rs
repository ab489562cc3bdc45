//! Two editions of clauses, compared: added, removed, reworded, renumbered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::{
    Release,
    clause::{self, Clause},
    problem::{Problems, ReleaseErrors},
    touches::{Touch, touches},
};

/// What became of a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "sort", rename_all = "lowercase")]
pub enum Fate {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its title or its text says something else: the words, with `[-…-]` for what is gone and `{+…+}` for what is new.
    Reworded {
        /// The title, where that changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The text, where that changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The same words have another id now.
    Renumbered {
        /// The new id.
        to: String,
    },
    /// The same words in another edition: its digest is another.
    Reissued,
}

/// A clause that differs between two editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseChange {
    /// Its id; the old one where it was renumbered.
    pub id: String,
    /// Its title; the new one where that changed.
    pub title: String,
    /// Its version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// What of a release names it.
    pub touches: Vec<Touch>,
}

/// The clauses of one document.
///
/// # Errors
/// All that is wrong with it.
pub fn clauses_of(path: &str, text: &str) -> Result<Vec<Clause>, ReleaseErrors> {
    let files = BTreeMap::from([(path.to_owned(), text.to_owned())]);
    let mut problems = Problems::default();
    let clauses = clause::parse_all(files.iter(), &mut problems);
    problems.finish()?;
    Ok(clauses)
}

/// All clauses that differ, by id. Of a clause with several editions the last one counts. `releases` are those in which is
/// looked for what a change touches: what is new or changed in the second, what is gone in both.
#[must_use]
pub fn compare(
    from: &[Clause],
    to: &[Clause],
    releases: (Option<&Release>, Option<&Release>),
) -> Vec<ClauseChange> {
    let (old, new) = (newest(from), newest(to));
    let ids: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let added = ids.iter().copied().filter(|id| !old.contains_key(id));
    let mut added: Vec<&str> = added.collect();
    let mut changes = Vec::new();
    for id in &ids {
        let (fate, title) = match (old.get(id), new.get(id)) {
            (Some(old), Some(new)) if old.digest == new.digest => continue,
            (Some(old), Some(new)) => (reworded(old, new), &new.title),
            (Some(gone), None) => {
                let words = plain(&gone.text);
                let same = |id: &&str| new.get(id).is_some_and(|c| plain(&c.text) == words);
                match added.iter().position(same) {
                    Some(at) => {
                        let to = added.remove(at).to_owned();
                        (Fate::Renumbered { to }, &gone.title)
                    }
                    None => (Fate::Removed, &gone.title),
                }
            }
            (None, Some(new)) => (Fate::Added, &new.title),
            (None, None) => continue,
        };
        changes.push(ClauseChange {
            id: (*id).to_owned(),
            title: title.clone(),
            from: old.get(id).map(|c| c.version.clone()),
            to: new.get(id).map(|c| c.version.clone()),
            fate,
            touches: Vec::new(),
        });
    }
    let moved: BTreeSet<String> = changes
        .iter()
        .filter_map(|c| match &c.fate {
            Fate::Renumbered { to } => Some(to.clone()),
            _ => None,
        })
        .collect();
    changes.retain(|c| c.fate != Fate::Added || !moved.contains(&c.id));
    for change in &mut changes {
        let looked_at = match change.fate {
            Fate::Removed | Fate::Renumbered { .. } => [releases.0, releases.1],
            _ => [None, releases.1],
        };
        let looked_at = looked_at.into_iter().flatten();
        let places: BTreeSet<_> = looked_at.flat_map(|r| touches(r, &change.id)).collect();
        change.touches = places.into_iter().collect();
    }
    changes
}

fn newest(clauses: &[Clause]) -> BTreeMap<&str, &Clause> {
    let mut newest: BTreeMap<&str, &Clause> = BTreeMap::new();
    for clause in clauses {
        let known = newest.entry(&clause.id).or_insert(clause);
        if clause.from > known.from {
            *known = clause;
        }
    }
    newest
}

fn reworded(old: &Clause, new: &Clause) -> Fate {
    let title = words(&old.title, &new.title);
    let text = words(&old.text, &new.text);
    match (title, text) {
        (None, None) => Fate::Reissued,
        (title, text) => Fate::Reworded { title, text },
    }
}

/// Line ends and indentation are layout.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text with its changes marked word by word; none where no word differs.
fn words(before: &str, after: &str) -> Option<String> {
    let (before, after) = (plain(before), plain(after));
    if before == after {
        return None;
    }
    let mut out = String::new();
    let (mut open, mut run) = (ChangeTag::Equal, String::new());
    let mut close = |tag: ChangeTag, run: &mut String| {
        let said = run.trim_end();
        let blanks = &run[said.len()..];
        match tag {
            ChangeTag::Equal => out.push_str(said),
            ChangeTag::Delete => out.push_str(&format!("[-{said}-]")),
            ChangeTag::Insert => out.push_str(&format!("{{+{said}+}}")),
        }
        out.push_str(blanks);
        run.clear();
    };
    for change in TextDiff::from_words(&before, &after).iter_all_changes() {
        if change.tag() != open && !run.is_empty() {
            close(open, &mut run);
        }
        open = change.tag();
        run.push_str(change.value());
    }
    if !run.is_empty() {
        close(open, &mut run);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(edition: &str, clauses: &[(&str, &str, &str)]) -> Vec<Clause> {
        let mut text = format!("# Pay\n\n<!-- document: PAY, edition: {edition} -->\n\n");
        for (id, title, words) in clauses {
            text.push_str(&format!("### {id} {title}\n\n{words}\n\n"));
        }
        clauses_of("policies/a.md", &text).unwrap()
    }

    #[test]
    fn each_fate_is_told() {
        let old = document(
            "1",
            &[
                ("PAY-1.1", "Same", "Stays as\nit is."),
                ("PAY-1.2", "Limit", "Up to EUR 100 is small."),
                ("PAY-1.3", "Old", "Goes away."),
                ("PAY-1.4", "Moves", "Is elsewhere\nsoon."),
            ],
        );
        let new = document(
            "2",
            &[
                ("PAY-1.1", "Same", "Stays as it is."),
                ("PAY-1.2", "Limits", "Up to EUR 250 is small."),
                ("PAY-1.5", "Moves", "Is elsewhere soon."),
                ("PAY-1.6", "New", "Was not there."),
            ],
        );
        let changes = compare(&old, &new, (None, None));
        let fates: Vec<_> = changes.iter().map(|c| (c.id.as_str(), &c.fate)).collect();
        let reworded = Fate::Reworded {
            title: Some("[-Limit-]{+Limits+}".to_owned()),
            text: Some("Up to EUR [-100-] {+250+} is small.".to_owned()),
        };
        let text = |fate: &Fate| serde_json::to_string(fate).unwrap();
        assert_eq!(fates.len(), 5, "{fates:?}");
        assert_eq!(fates[0], ("PAY-1.1", &Fate::Reissued));
        assert_eq!(fates[1].0, "PAY-1.2");
        assert_eq!(
            text(fates[1].1).replace(' ', ""),
            text(&reworded).replace(' ', "")
        );
        assert_eq!(fates[2], ("PAY-1.3", &Fate::Removed));
        let renumbered = Fate::Renumbered {
            to: "PAY-1.5".to_owned(),
        };
        assert_eq!(fates[3], ("PAY-1.4", &renumbered));
        assert_eq!(fates[4], ("PAY-1.6", &Fate::Added));
        assert!(compare(&old, &old, (None, None)).is_empty());
    }
}
