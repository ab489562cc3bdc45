//! Releases: files, tests, environments, thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    name::{Environment, ThresholdId},
};

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFile {
    /// Its text, UTF-8; together with its envelope at most 65,535 bytes of canonical JSON.
    pub content: String,
}

/// Files that make a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRelease {
    /// Paths with the SHA-256 of their content. The release's digest is over this map's canonical JSON.
    pub files: BTreeMap<String, Digest>,
}

/// What control tests came to: attempted violations of a release's controls, each of which must be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordControlTests {
    /// The release whose very files were tested.
    pub release: Digest,
    /// SHA-256 over the canonical JSON of the catalogue of controls.
    pub catalogue: Digest,
    /// SHA-256 of the program that ran them.
    pub binary: Digest,
    /// Each test that was run; at least one.
    pub results: Vec<ControlTestResult>,
}

/// What one control test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlTestResult {
    /// Id of the control in the catalogue, like `SOD-01`.
    pub control: String,
    /// Name of the test.
    pub test: String,
    /// Whether the violation was refused as it must be.
    pub passed: bool,
    /// What was seen, shortly.
    pub detail: String,
}

/// Point an environment without effects at a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// Which.
    pub environment: Environment,
    /// At what.
    pub release: Digest,
}

/// See [`Request::NoteEnding`](super::Request::NoteEnding).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteEnding {
    /// The environment whose release holds the threshold.
    pub environment: Environment,
    /// Which.
    pub threshold: ThresholdId,
}
