//! Editions of a clause: an id stays, its text changes, and each edition has its time.

use crate::{release::ClauseRef, time::Time};

/// An edition of a clause, with the time in which it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The clause, with the edition as its version.
    pub clause: ClauseRef,
    /// In force from here.
    pub from: Time,
    /// In force before here; none where no end is known.
    pub until: Option<Time>,
}

impl Edition {
    /// Whether it is in force at a moment.
    #[must_use]
    pub fn in_force(&self, at: Time) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Why it is not in force at a moment; for people.
    pub(crate) fn absence(&self, at: Time) -> String {
        match self.until {
            _ if at < self.from => format!("comes into force at {}", self.from),
            Some(until) if until <= at => format!("is out of force since {until}"),
            _ => "is in force".to_owned(),
        }
    }
}
