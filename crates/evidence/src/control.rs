//! Controls: what an auditor asks for, each with an assertion over every record of a log, and with control tests, which are
//! violations that are attempted and must be refused.
//!
//! An assertion looks at what the records and their fold say, and never asks the core that decided: a mistake there would
//! show here. A control test plays in a scene of its own ([`test()`]), under the very release that is tested.

mod assertions;
mod attempts;
mod catalogue;
mod scene;
mod tampering;
mod training;

use duty::{canonical::Digest, request::ControlTestResult};
use ledger::Source;
use policy::Release;
use serde::Serialize;
use serde_json::json;

pub use catalogue::{CATALOGUE, Control};

use crate::{EvidenceError, reader::for_each_record};
use attempts::Tried;

/// SHA-256 over the canonical JSON of the catalogue: ids, titles, what is asserted, criteria, and names of tests.
///
/// # Panics
/// Never: the catalogue has a canonical form.
#[must_use]
pub fn catalogue_digest() -> Digest {
    let controls: Vec<_> = CATALOGUE.iter().map(Control::to_json).collect();
    Digest::of(&json!(controls)).expect("INVARIANT: text has a canonical form")
}

/// What one control test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The control.
    pub control: &'static str,
    /// The test.
    pub test: &'static str,
    /// Whether the violation was refused, or seen; none where the release offers nothing to try it on.
    pub passed: Option<bool>,
    /// How, or why not.
    pub detail: String,
}

/// Attempts every violation of the catalogue under a release. In memory, and in temporary directories for what is done to
/// a log; a few seconds.
#[must_use]
pub fn test(release: &Release) -> Vec<Tested> {
    let mut done = Vec::new();
    for control in CATALOGUE {
        for (name, attempt) in control.tests {
            let (passed, detail) = match attempt(release) {
                Ok(Tried::Held(how)) => (Some(true), how),
                Ok(Tried::NotApplicable(why)) => (None, format!("not applicable: {why}")),
                Err(why) => (Some(false), why),
            };
            done.push(Tested {
                control: control.id,
                test: name,
                passed,
                detail,
            });
        }
    }
    done
}

/// As they are recorded. One that did not apply is recorded as passed, and its detail begins with `not applicable`.
#[must_use]
pub fn results(tested: &[Tested]) -> Vec<ControlTestResult> {
    let results = tested.iter().map(|t| ControlTestResult {
        control: t.control.to_owned(),
        test: t.test.to_owned(),
        passed: t.passed.unwrap_or(true),
        detail: t.detail.clone(),
    });
    results.collect()
}

/// What the records say of one control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessed {
    /// The control.
    pub control: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is asserted.
    pub asserts: &'static str,
    /// How many items were looked at: all that there are.
    pub population: u64,
    /// How many of them violate it.
    pub violations: u64,
    /// The first of them, with the record of each.
    pub first: Vec<Violation>,
    /// Whether what was asserted could be looked at; why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_assessed: Option<String>,
}

impl Assessed {
    /// The result, in a word: `satisfied`, `not-satisfied`, or `not-exercised` where there is nothing to look at.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match (self.violations, self.population) {
            (1.., _) => "not-satisfied",
            _ if self.not_assessed.is_some() => "not-assessed",
            (0, 0) => "not-exercised",
            _ => "satisfied",
        }
    }
}

/// An item that violates a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The record that shows it.
    pub record: u64,
    /// What is wrong.
    pub what: String,
}

/// What a whole log says of every control.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Records looked at: the log's size.
    pub size: u64,
    /// Root of the log's tree, where the log was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// SHA-256 of the catalogue.
    pub catalogue: Digest,
    /// Each control.
    pub controls: Vec<Assessed>,
}

impl Report {
    /// Whether nothing violates anything.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.controls.iter().all(|c| c.violations == 0)
    }
}

/// Asserts every control over every record of a log.
///
/// With `vkey`, the log's verifier key, the log is verified and re-performed too (LOG-01, RPL-01); without it those are said
/// not to have been assessed.
///
/// # Errors
/// [`EvidenceError`] where the log cannot be read or folded.
pub fn report(source: &(dyn Source + Sync), vkey: Option<&str>) -> Result<Report, EvidenceError> {
    let mut assertions = assertions::Assertions::default();
    for_each_record(source, 0, &mut |record| assertions.take(record))?;
    assertions.finish(source, vkey)
}
