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

    pub(crate) fn finish(mut self) -> Result<(), ReleaseErrors> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        Err(ReleaseErrors(self.0))
    }
}
