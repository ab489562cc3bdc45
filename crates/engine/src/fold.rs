//! The fold, written down: what a start goes on from, and what `rebuild` holds against the whole log.
//!
//! A fold file says what the *published* log came to, and is made of its records and of the fold before it alone: whoever
//! writes it reads them like any other reader, takes no lock that an append waits for, and holds no second state meanwhile.

mod keeper;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use duty::{
    canonical::Digest,
    record::{Body, Record},
    request::Request,
    state::State,
};
use ledger::{
    Checkpoint, Options,
    verify::{Start, verify_from},
};
use serde::{Deserialize, Serialize};
use store::{DataDir, Fold, Folds, StoreError};

pub(crate) use keeper::Keeper;

/// Hears what is worth an operator's attention, a line each.
pub type Tell = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// Tells in the log of the program.
#[must_use]
pub fn in_log() -> Tell {
    std::sync::Arc::new(|line| tracing::warn!("{line}"))
}

/// Version of what folds: a fold that another one wrote is not used.
pub const CORE: &str = duty::CORE;

/// What records come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folded {
    /// The state.
    pub state: State,
    /// The text of every file of a release that the log holds: decisions need it, and its record may be on cold storage.
    pub files: BTreeMap<Digest, String>,
}

/// As [`Folded`], borrowed.
#[derive(Serialize)]
struct Written<'a> {
    state: &'a State,
    files: BTreeMap<&'a Digest, &'a String>,
}

impl Folded {
    /// Takes one more record down, from its bytes.
    ///
    /// # Errors
    /// Why it cannot follow.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record = Record::from_bytes_unchecked(bytes).map_err(|e| e.to_string())?;
        if let (Body::FileRecorded(body), Some(Request::RecordFile(request))) =
            (&record.body, record.body.request())
        {
            self.files.insert(body.digest, request.content.clone());
        }
        self.state.apply(&record).map_err(|e| e.to_string())
    }

    /// Reads what [`Folded::to_bytes`] wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(fold: &Fold) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(&fold.state).map_err(|e| e.to_string())?;
        if read.state.size != fold.size {
            return Err(format!("its state is of {} records", read.state.size));
        }
        let wrong =
            |(digest, text): &(&Digest, &String)| Digest::of_bytes(text.as_bytes()) != **digest;
        match read.files.iter().find(wrong) {
            Some((digest, _)) => Err(format!("a file in it does not have the digest {digest}")),
            None => Ok(read),
        }
    }

    /// The one form in which it is written down.
    ///
    /// # Errors
    /// What cannot be written, in words.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        to_bytes(&self.state, self.files.iter())
    }
}

/// Plain JSON: every map in the state is ordered, so that the same state is the same bytes.
pub(crate) fn to_bytes<'a>(
    state: &State,
    files: impl Iterator<Item = (&'a Digest, &'a String)>,
) -> Result<Vec<u8>, String> {
    let files = files.collect();
    serde_json::to_vec(&Written { state, files }).map_err(|e| e.to_string())
}

/// What the published log of a data directory comes to, from its newest fold on. Nobody's lock is taken: a server may run.
///
/// # Errors
/// [`StoreError`] where the log cannot be read or does not verify.
pub fn published(dir: &Path, tell: &Tell) -> Result<Folded, StoreError> {
    let folds = Folds::at(dir, CORE)?;
    let mut folded = newest(&folds, tell)?;
    catch_up(&folds, &mut folded, &|| false)?;
    Ok(folded)
}

/// What the newest fold that can be trusted says; nothing where there is none.
pub(crate) fn newest(folds: &Folds, tell: &Tell) -> Result<Folded, StoreError> {
    let found = folds.newest_trusted(&mut Folded::read, &mut |line| tell(&line))?;
    Ok(found.map(|(_, folded)| folded).unwrap_or_default())
}

/// Folds the published records after those that are folded; they are verified against the checkpoint. None where `stop`
/// asked to end.
pub(crate) fn catch_up(
    folds: &Folds,
    folded: &mut Folded,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Checkpoint>, StoreError> {
    let (log, head) = (folds.log()?, folds.head()?);
    let known = folded.state.size;
    let corrupt = |fault: ledger::Fault| StoreError::Corrupt {
        place: format!("log/{}", fault.place),
        why: fault.why,
    };
    let start = Start::of_tiles(&log, known, &head, folds.keys()).map_err(corrupt)?;
    // A log that grows has files beyond the checkpoint.
    let options = Options {
        ignore_strays: true,
        ..Options::default()
    };
    let mut stopped = false;
    let verified = verify_from(
        &log,
        folds.keys().key(),
        &start,
        options,
        &mut |index, bytes| {
            stopped |= stop();
            if stopped {
                return Err("it was to stop".to_owned());
            }
            match index {
                index if index < known => Ok(()),
                _ => folded.take(bytes),
            }
        },
    );
    match verified {
        Ok(verified) => Ok(Some(verified.checkpoint)),
        Err(_) if stopped => Ok(None),
        Err(fault) => Err(corrupt(fault)),
    }
}

/// What [`rebuild`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records folded; the new fold is of so many.
    pub size: u64,
    /// Folds that say what the log comes to.
    pub same: Vec<u64>,
    /// Folds that say something else, or are not what was signed: why, and where they were put.
    pub wrong: Vec<(u64, String, PathBuf)>,
    /// Folds of another version, which were not compared.
    pub other: Vec<(u64, String)>,
}

/// Verifies and folds the whole published log, holds every fold that is there against it, puts those that differ aside, and
/// writes a new one.
///
/// # Errors
/// [`StoreError`] where the log does not verify or fold, or the new fold cannot be written.
pub fn rebuild(dir: &DataDir) -> Result<Rebuilt, StoreError> {
    let folds = Folds::of(dir, CORE);
    let head = folds.head()?;
    let mut done = Rebuilt::default();
    let mut before = BTreeMap::new();
    for size in folds.found(&mut |_| {})? {
        match folds.read(size, &head) {
            Ok(fold) => {
                before.insert(size, fold.state);
            }
            Err(why) if why.is_other_version() => done.other.push((size, why.to_string())),
            Err(why) => done.set_aside(&folds, size, why.to_string())?,
        }
    }
    let mut folded = Folded::default();
    let mut differ = Vec::new();
    let log = folds.log()?;
    let mut compare = |folded: &Folded| -> Result<(), String> {
        let Some(said) = before.remove(&folded.state.size) else {
            return Ok(());
        };
        if folded.to_bytes()? == said {
            done.same.push(folded.state.size);
        } else {
            differ.push(folded.state.size);
        }
        Ok(())
    };
    let options = Options {
        ignore_strays: true,
        ..Options::default()
    };
    let whole = Start::default();
    let verified = verify_from(
        &log,
        folds.keys().key(),
        &whole,
        options,
        &mut |_, bytes| {
            folded.take(bytes)?;
            compare(&folded)
        },
    );
    let verified = verified.map_err(|fault| StoreError::Corrupt {
        place: format!("log/{}", fault.place),
        why: fault.why,
    })?;
    for size in differ {
        let why = "the log comes to another state than it says".to_owned();
        done.set_aside(&folds, size, why)?;
    }
    write(&folds, &verified.checkpoint, folded.to_bytes())?;
    done.size = verified.size;
    Ok(done)
}

impl Rebuilt {
    fn set_aside(&mut self, folds: &Folds, size: u64, why: String) -> Result<(), StoreError> {
        let aside = folds.set_aside(size)?;
        self.wrong.push((size, why, aside));
        Ok(())
    }
}

/// Writes what the log of this checkpoint came to.
pub(crate) fn write(
    folds: &Folds,
    head: &Checkpoint,
    state: Result<Vec<u8>, String>,
) -> Result<(), StoreError> {
    let state = state.map_err(|why| StoreError::Corrupt {
        place: "the state".to_owned(),
        why,
    })?;
    folds.write(&Fold {
        size: head.size,
        root: head.root,
        state,
    })
}
