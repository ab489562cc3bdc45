//! Verification: every byte of the log, every record, every signature of a human, every snapshot.
//!
//! The ledger proves that the bytes are those of the checkpoint and that the checkpoint is the key holder's. That is not
//! enough: whoever holds that key could sign a forged record. So every record is also read strictly and folded, and every
//! signature of a human must be that of the key which the log had recorded for them by then.

mod custody;
mod parse;
mod record;

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use duty::time::Time;
use ledger::{Source, SourceError, Verifier};
use serde::Serialize;

use record::Inspector;

/// A log found right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The log's origin.
    pub origin: String,
    /// Records.
    pub size: u64,
    /// Root of the tree, in hexadecimal.
    pub root: String,
    /// Time of the first record.
    pub first: Option<Time>,
    /// Time of the last record.
    pub last: Option<Time>,
    /// Requests decided.
    pub decisions: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Signatures of humans that were checked.
    pub signatures: u64,
    /// Files of releases whose digest was checked.
    pub files: u64,
    /// Releases whose digest was checked.
    pub releases: u64,
    /// Snapshots that match their commitment.
    pub snapshots: u64,
    /// Snapshots that are sealed with a key that is not here, so that only the key's id was checked.
    pub sealed: u64,
    /// Snapshots that records commit to and that are not here.
    pub absent: u64,
    /// Snapshots that records commit to and whose data subject was erased, by a record of the log.
    pub erased: u64,
    /// What is odd without being wrong: snapshots that no record commits to.
    pub warnings: Vec<String>,
}

/// The first thing found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Fault {
    /// The record, where it can be told.
    pub record: Option<u64>,
    /// The file, with the byte where it can be told.
    pub place: String,
    /// What is wrong.
    pub why: String,
    /// Whether the copy could not be read to its end, so that nothing is said of what it holds.
    pub unreadable: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seq) = self.record {
            write!(f, "record {seq}, ")?;
        }
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Verifies a log: every byte against `vkey` (the text of a verifier key), every record against those before it, every
/// signature of a human, and every snapshot in `snapshots`, if that is given.
///
/// With `since`, a checkpoint seen earlier, the log must continue it.
///
/// # Errors
/// The first [`Fault`], with the exact place.
pub fn verify(
    source: &(dyn Source + Sync),
    vkey: &str,
    since: Option<&[u8]>,
    snapshots: Option<&Path>,
) -> Result<VerifyReport, Fault> {
    let verifier = Verifier::from_vkey(vkey.trim()).map_err(|e| Fault {
        record: None,
        place: "the verifier key".to_owned(),
        why: e.to_string(),
        unreadable: true,
    })?;
    let watched = Watched {
        source,
        failed: AtomicBool::new(false),
    };
    let mut inspector = Inspector::new(verifier.name(), snapshots.is_some());
    let checked = parse::in_parallel(&mut inspector, &watched, &verifier, since);
    let verified = checked.map_err(|mut fault| {
        fault.unreadable = watched.failed.load(Ordering::Relaxed);
        fault
    })?;
    same_keys(&verified, &inspector.rotations)?;
    let mut report = inspector.report;
    report.size = verified.size;
    report.root = hex::encode(verified.root);
    if *verified.keys.key() != verifier {
        let now = verified.keys.key();
        let why = format!("the key given was replaced; the log's key of today is {now}");
        report.warnings.push(why);
    }
    if let Some(dir) = snapshots {
        inspector
            .custody
            .check(dir, &inspector.state.erased, &mut report)?;
    }
    Ok(report)
}

/// The log's records tell of the same changes of its key as the statements beside it, each at its place. Only the last may
/// be missing, from a log that ends where it stands.
fn same_keys(verified: &ledger::Verified, recorded: &[(u64, String)]) -> Result<(), Fault> {
    let stated = verified.keys.statements().iter();
    let stated = stated.map(|s| (s.statement.size, s.note.as_str()));
    let mut stated = stated.filter(|(size, _)| *size < verified.size);
    let mut recorded = recorded.iter().map(|(seq, note)| (*seq, note.as_str()));
    loop {
        let (stated, recorded) = (stated.next(), recorded.next());
        if stated != recorded {
            let seq = recorded.or(stated).map(|(seq, _)| seq);
            return Err(Fault {
                record: seq,
                place: ledger::tile::KEYS.to_owned(),
                why: "the changes of the log's key that its records tell of are not those stated beside it".to_owned(),
                unreadable: false,
            });
        }
        if stated.is_none() {
            return Ok(());
        }
    }
}

/// A source that remembers whether it failed to answer, which says nothing against the log.
struct Watched<'a> {
    source: &'a (dyn Source + Sync),
    failed: AtomicBool,
}

impl Watched<'_> {
    fn note<T>(&self, answer: Result<T, SourceError>) -> Result<T, SourceError> {
        if matches!(answer, Err(SourceError::Failed { .. })) {
            self.failed.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl Source for Watched<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.note(self.source.read(path))
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        self.note(self.source.list())
    }
}
