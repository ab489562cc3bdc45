//! What is built into the program: the release, the data, and what should become of it.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

static RELEASE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/release");
static DATA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data");
static ANSWERS: &str = include_str!("../answers.csv");

/// The files of the release by their path inside it, like `permissions/analyst.cedar` or `courses/payment-approval.md`.
#[must_use]
pub fn release_files() -> BTreeMap<String, String> {
    files(&RELEASE)
}

/// The files of the books by name, like `invoices.csv`.
#[must_use]
pub fn data_files() -> BTreeMap<String, String> {
    files(&DATA)
}

/// The ids of the invoices in their order, like `R0001`: the subjects of the cases.
#[must_use]
pub fn rows() -> Vec<String> {
    answers().into_iter().map(|answer| answer.row).collect()
}

/// What should become of every invoice, in the order of the invoices. For tests and summaries only.
#[must_use]
pub fn answers() -> Vec<Answer> {
    csv::Reader::from_reader(ANSWERS.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .expect("INVARIANT: the built-in answers are what the generator wrote, as a test asserts")
}

/// What should become of one invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The invoice's row id.
    pub row: String,
    /// What sort of invoice it is, like `duplicate-format`.
    pub kind: String,
    /// Whether something is wrong with it.
    pub trap: Trap,
    /// Where it must end up.
    pub expected: Expected,
    /// Why, for people.
    pub note: String,
}

/// Whether something is wrong with an invoice, so that it must never be paid by agents alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trap {
    /// Something is wrong.
    Yes,
    /// It is what it seems.
    No,
}

/// Where an invoice must end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Paid under the threshold, without a human.
    Auto,
    /// Waits for one approver.
    OneHuman,
    /// Waits for two approvers.
    TwoHumans,
    /// Referred to a human without a payment to approve: none could be formed.
    Human,
    /// Refused: no approval can release it.
    Refused,
}

fn files(dir: &Dir<'_>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(dir, &mut files);
    files
}

fn collect(dir: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in dir.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        let text = file
            .contents_utf8()
            .expect("INVARIANT: every shipped file is text");
        files.insert(path, text.to_owned());
    }
    for inner in dir.dirs() {
        collect(inner, files);
    }
}
