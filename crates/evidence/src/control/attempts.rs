//! The attempted violations, by family of controls. Each plays in a scene of its own; each must be refused, or seen.

mod access;
mod human;
mod log;
mod quorum;
mod rules;
mod separation;
mod threshold;

use policy::Release;

pub(super) use self::{
    access::*, human::*, log::*, quorum::*, rules::*, separation::*, threshold::*,
};
use super::scene::Lead;

/// What an attempt came to; the error of the attempt itself is a control that failed.
pub(super) enum Tried {
    /// Refused, or seen: how.
    Held(String),
    /// The release offers nothing to try it on: why.
    NotApplicable(String),
}

/// An attempt.
pub(super) type Attempt = fn(&Release) -> Lead<Tried>;

/// What was refused, or seen.
pub(super) fn held(what: impl Into<String>) -> Lead<Tried> {
    Ok(Tried::Held(what.into()))
}

const CASE: &str = "attempt";
const ADMIN: &str = "scene-admin";
const ENGINE: &str = "scene-engine";
