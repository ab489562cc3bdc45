//! Verification: every byte of the log, every record, every signature of a human, every snapshot.
//!
//! The ledger proves that the bytes are those of the checkpoint and that the checkpoint is the key holder's. That is not
//! enough: whoever holds that key could sign a forged record. So every record is also read strictly and folded, and every
//! signature of a human must be that of the key which the log had recorded for them by then.

mod alone;
mod closed;
mod custody;
mod keep;
mod parse;
mod record;
mod rows;

use std::{
    fmt, io,
    num::NonZero,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use duty::time::Time;
use ledger::{Source, SourceError, Verifier, verify::Start};
use serde::{Deserialize, Serialize};

use custody::Custody;
use keep::{Keeper, Kept};
use parse::Given;
use record::{Inspector, Known};
use rows::Rows;

use crate::keys::Keys;

/// Bundles after which a check writes down where it is, unless told otherwise: about a quarter of a million records.
pub const KEEP_EVERY: u64 = 1024;

/// How a log is verified, and what with. The default is from the beginning, without snapshots, on all cores.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// A checkpoint seen earlier, which the log must continue.
    pub since: Option<&'a [u8]>,
    /// Snapshots to check against the commitments in the log.
    pub snapshots: Option<&'a Path>,
    /// A file that says where an earlier check had come to, and is told where this one comes to; it may not be there yet.
    pub state: Option<&'a Path>,
    /// Bundles after which `state` is written; [`KEEP_EVERY`] where it is none.
    pub keep_every: Option<u64>,
    /// Threads that read; one for each core where it is none. A source that answers slowly wants more.
    pub threads: Option<NonZero<usize>>,
    /// Told how many records were checked, and of how many.
    pub progress: Option<&'a dyn Fn(u64, u64)>,
}

impl fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("snapshots", &self.snapshots)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A log found right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    let options = VerifyOptions {
        since,
        snapshots,
        ..VerifyOptions::default()
    };
    verify_with(source, vkey, options)
}

/// As [`verify`], with all that can be chosen.
///
/// With a `state`, what an earlier check found right is not read again: its records, and the files that it compared. The log
/// must continue what was checked, and every checkpoint seen then. The state is the checker's own, and is believed.
///
/// # Errors
/// As [`verify`]; also where the state cannot be used.
pub fn verify_with(
    source: &(dyn Source + Sync),
    vkey: &str,
    options: VerifyOptions<'_>,
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
    let kept = match options.state {
        Some(path) => Kept::read(path, verifier.name())?,
        None => None,
    };
    let custody = gathering(&options, kept.as_ref())?;
    let kept = kept.unwrap_or_else(|| Kept {
        start: Start::default(),
        checkpoints: Vec::new(),
        commitments: None,
        known: Known::new(verifier.name()),
    });
    let keeper = options.state.map(|path| {
        let every = options.keep_every.unwrap_or(KEEP_EVERY);
        let from = kept.start.frontier.size();
        Keeper::new(path, every, from, &kept.checkpoints)
    });
    let keeper = keeper.transpose()?;
    let since: Vec<&[u8]> = kept
        .checkpoints
        .iter()
        .map(String::as_bytes)
        .chain(options.since)
        .collect();
    let keys = Arc::new(Keys::default());
    let mut inspector = Inspector::new(kept.known, custody, Arc::clone(&keys));
    let cores = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let given = Given {
        source: &watched,
        verifier: &verifier,
        since: &since,
        start: &kept.start,
        threads: options.threads.unwrap_or_else(cores),
        keys: &keys,
    };
    let checked = parse::in_parallel(&mut inspector, &given, &mut |at, inspector| {
        if let Some(progress) = options.progress {
            progress(at.frontier.size(), at.size);
        }
        let Some(keeper) = keeper.as_ref().filter(|keeper| keeper.is_due(at)) else {
            return Ok(());
        };
        let gathered = inspector.custody.as_mut().map(Custody::keep).transpose();
        let gathered = gathered.map_err(|e| commitments_lost(options.state, &e))?;
        keeper.write(at, &inspector.known, gathered)
    });
    let verified = checked.map_err(|mut fault| {
        // What is wrong with a record was read.
        let away = fault.record.is_none() && watched.failed.load(Ordering::Relaxed);
        fault.unreadable |= away;
        fault
    })?;
    same_keys(&verified, &inspector.known.rotations)?;
    let mut report = inspector.known.report;
    report.size = verified.size;
    report.root = hex::encode(verified.root);
    if *verified.keys.key() != verifier {
        let now = verified.keys.key();
        let why = format!("the key given was replaced; the log's key of today is {now}");
        report.warnings.push(why);
    }
    if let (Some(dir), Some(custody)) = (options.snapshots, &mut inspector.custody) {
        custody.check(dir, &inspector.known.state.erased, &mut report)?;
    }
    if let Some(keeper) = keeper {
        keeper.confirm(&verified.note)?;
    }
    Ok(report)
}

/// Where commitments to snapshots are gathered, if they are asked for now or were by an earlier check.
fn gathering(options: &VerifyOptions<'_>, kept: Option<&Kept>) -> Result<Option<Custody>, Fault> {
    let before = kept.map(|kept| kept.commitments);
    let rows = match (options.state, before) {
        (Some(path), Some(None)) if options.snapshots.is_some() => {
            let why = "the earlier check took no snapshots into account".to_owned();
            return Err(keep::wrong(path, why));
        }
        (Some(path), Some(Some(count))) => Rows::lasting(&keep::commitments(path), count),
        _ if options.snapshots.is_none() => return Ok(None),
        (Some(path), _) => Rows::lasting(&keep::commitments(path), 0),
        (None, _) => Rows::passing(),
    };
    let rows = rows.map_err(|e| commitments_lost(options.state, &e))?;
    Ok(Some(Custody::new(rows)))
}

fn commitments_lost(state: Option<&Path>, e: &io::Error) -> Fault {
    let path = state.map(keep::commitments).unwrap_or_default();
    keep::wrong(&path, e.to_string())
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

    fn pause(&self) -> bool {
        self.source.pause()
    }
}
