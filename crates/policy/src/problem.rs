//! What is wrong with a release: all of it at once, each with its place.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, and line, id or key where known.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Everything that is wrong with a release; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ReleaseErrors(pub Vec<Problem>);

impl fmt::Display for ReleaseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(f, "the release has {} {many}", self.0.len())?;
        self.0.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

/// Collects problems while loading.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem {
            place: place.into(),
            what: what.into(),
        });
    }

    pub(crate) fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finish(mut self) -> Result<(), ReleaseErrors> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        Err(ReleaseErrors(self.0))
    }
}

/// The line, from 1, of a byte offset in a text.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|b| **b == b'\n').count() + 1
}

/// Reads a TOML file; what is wrong has its line.
pub(crate) fn read_toml<T: serde::de::DeserializeOwned>(
    path: &str,
    text: &str,
    problems: &mut Problems,
) -> Option<T> {
    toml::from_str(text)
        .map_err(|e| {
            let line = e.span().map_or(1, |s| line_at(text, s.start));
            problems.add(format!("{path}:{line}"), e.message().to_owned());
        })
        .ok()
}
