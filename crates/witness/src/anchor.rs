//! Anchors: copies of checkpoints in places that whoever runs the log cannot change.
//!
//! A checkpoint holds an origin, a size and a hash, so nothing about anybody leaves the platform. Each is kept under the
//! name `<size, 20 digits>.checkpoint`. A copy is never replaced: a second checkpoint of one size is a fork, and is told.
//!
//! | kind | what keeps it from being changed |
//! |---|---|
//! | [`directory`] | another machine's permissions: a mount that this one can only add to |
//! | [`s3`] | Object Lock in compliance mode: nobody can delete it before its time, the account's owner included |
//! | [`timestamp`] | the signature of a time-stamp authority (RFC 3161) |
//! | [`webhook`] | whoever receives it |

pub mod config;
pub mod directory;
pub mod s3;
pub mod schedule;
pub mod timestamp;
pub mod webhook;

use std::io::Read as _;
use std::time::Duration;

use ledger::note::Note;
use ledger::proof::{self, Tiles};
use ledger::{Checkpoint, Source, Verifier};

/// Most bytes of an answer that are read.
const LONGEST: u64 = 1 << 20;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place for checkpoints.
pub trait Anchor: Send + Sync {
    /// Keeps a checkpoint's note for good. The same again is fine.
    ///
    /// # Errors
    /// Why it is not kept, in words for an operator.
    fn keep(&self, checkpoint: &Kept) -> Result<(), String>;

    /// All that is kept, in any order; `None` of a place that cannot be asked.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn kept(&self) -> Result<Option<Vec<Kept>>, String>;
}

/// A checkpoint at an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its size.
    pub size: u64,
    /// Its signed note.
    pub note: Vec<u8>,
}

impl Kept {
    /// Reads a note; verifies nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(note: &[u8]) -> Result<Self, String> {
        let parsed = Note::parse(note).map_err(|why| why.to_string())?;
        let head = Checkpoint::from_text(&parsed.text).map_err(|why| why.to_string())?;
        Ok(Self {
            size: head.size,
            note: note.to_vec(),
        })
    }

    /// The name it is kept under.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:020}{SUFFIX}", self.size)
    }

    /// Whether two notes are of one tree head, whoever else signed them.
    fn says_the_same(&self, note: &[u8]) -> bool {
        let text = |note: &[u8]| Note::parse(note).map(|note| note.text);
        matches!((text(&self.note), text(note)), (Ok(ours), Ok(theirs)) if ours == theirs)
    }

    /// What to do about a note found under the name of this one.
    fn beside(&self, found: &[u8]) -> Result<(), String> {
        if self.says_the_same(found) {
            return Ok(());
        }
        Err(format!(
            "another checkpoint of {} records is kept there already: the log has two histories",
            self.size
        ))
    }
}

/// Ends the name of a kept checkpoint.
const SUFFIX: &str = ".checkpoint";

/// What an anchor says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Checkpoints that fit the log.
    pub fit: usize,
    /// The largest of them.
    pub newest: u64,
}

/// A checkpoint at an anchor that the log does not fit: the first one, in order of size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of {size} records does not fit the log: {why}; the last one that fits has {fits} records"
)]
pub struct Divergence {
    /// Its size.
    pub size: u64,
    /// Size of the last checkpoint there that fits: the log diverges after it.
    pub fits: u64,
    /// What is wrong.
    pub why: String,
}

/// Compares what an anchor keeps with a log of `size` records that was verified.
///
/// # Errors
/// The first [`Divergence`].
pub fn compare(
    log: &dyn Source,
    size: u64,
    keys: &[Verifier],
    mut kept: Vec<Kept>,
) -> Result<Compared, Divergence> {
    kept.sort_by_key(|kept| kept.size);
    let tiles = Tiles::new(log, size);
    let mut compared = Compared { fit: 0, newest: 0 };
    for kept in kept {
        let diverges = |why: String| Divergence {
            size: kept.size,
            fits: compared.newest,
            why,
        };
        let opened = keys
            .iter()
            .map(|key| Checkpoint::open(&kept.note, key, true));
        let mut refused = "there is no key to check it with".to_owned();
        let mut head = None;
        for opened in opened {
            match opened {
                Ok(opened) => head = Some(opened),
                Err(why) => refused = why.to_string(),
            }
        }
        let head = head.ok_or_else(|| diverges(refused))?;
        if head.size > size {
            return Err(diverges(format!(
                "the log has {size} records: it was cut, or is an older copy"
            )));
        }
        let root = proof::root(&tiles, head.size).map_err(|why| diverges(why.to_string()))?;
        if root != head.root {
            return Err(diverges(
                "its root is another: the log was rewritten".to_owned(),
            ));
        }
        compared.fit += 1;
        compared.newest = head.size;
    }
    Ok(compared)
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    config.into()
}

/// Status and body of an answer.
fn body(mut answer: ureq::http::Response<ureq::Body>) -> Result<(u16, Vec<u8>), String> {
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    let reader = answer.body_mut().as_reader();
    reader
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(|why| why.to_string())?;
    Ok((status, bytes))
}

/// The words of an answer that is not what was asked for.
fn said(status: u16, body: &[u8]) -> String {
    let words = String::from_utf8_lossy(body);
    let words = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let words: String = words.take(200).collect();
    format!("the server answers {status}: {}", words.trim())
}
