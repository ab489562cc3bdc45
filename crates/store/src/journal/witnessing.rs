//! The journal's third thread, where there are witnesses: gets published checkpoints cosigned.

use std::time::{Duration, Instant};

use ledger::{Directory, tile};

use super::threads::wait_until;
use super::{Shared, Stop};
use crate::StoreError;
use crate::disk::Disk;

/// Asks witnesses for cosignatures.
pub trait Cosign: Send {
    /// Has a published checkpoint cosigned; answers its note with the cosignatures of a quorum. `log` holds at least the
    /// tree of that checkpoint, for proofs. Returns within seconds.
    ///
    /// # Errors
    /// Why there is no quorum, in words for an operator.
    fn cosign(&mut self, log: &Directory, note: &[u8]) -> Result<Vec<u8>, String>;
}

/// How far witnesses are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// Whether there are witnesses to ask.
    pub asked: bool,
    /// Size of the newest checkpoint that a quorum cosigned since the start.
    pub size: u64,
    /// Its note.
    pub note: Vec<u8>,
    /// When that was.
    pub at: Option<Instant>,
    /// Why the last attempt failed, where it did.
    pub problem: Option<String>,
}

/// Between two attempts after a failure.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1000 });

pub(super) fn witness(
    shared: &Shared,
    mut cosign: Box<dyn Cosign>,
    log: Directory,
    disk: &Disk,
    place: &Places,
) {
    let mut problem = false;
    while let Some((size, note)) = next(shared, problem) {
        let answer = cosign.cosign(&log, &note);
        let kept = match answer {
            Ok(cosigned) => place
                .keep(disk, &cosigned)
                .map(|()| cosigned)
                .map_err(|why| why.to_string()),
            Err(why) => Err(why),
        };
        problem = kept.is_err();
        shared.witnessed.send_modify(|witnessed| match kept {
            Ok(note) => {
                *witnessed = Witnessed {
                    asked: true,
                    size,
                    note,
                    at: Some(Instant::now()),
                    problem: None,
                };
            }
            Err(why) => witnessed.problem = Some(why),
        });
    }
}

/// Where the cosigned checkpoint goes.
pub(super) struct Places {
    pub(super) temporary: std::path::PathBuf,
    pub(super) log: std::path::PathBuf,
}

impl Places {
    fn keep(&self, disk: &Disk, note: &[u8]) -> Result<(), StoreError> {
        disk.remove(&self.temporary)?;
        disk.put(&self.temporary, &self.log.join(tile::WITNESSED), note)
    }
}

/// The newest published checkpoint that is not cosigned yet; `None` when it is time to end. After a failure only when
/// some time has passed.
fn next(shared: &Shared, problem: bool) -> Option<(u64, Vec<u8>)> {
    let due = Instant::now() + if problem { AGAIN } else { Duration::ZERO };
    let mut state = shared.lock();
    loop {
        if state
            .stop
            .is_some_and(|stop| stop == Stop::AtOnce || state.ended)
            || state.failure.is_some()
        {
            return None;
        }
        let now = Instant::now();
        if now < due {
            state = wait_until(shared, state, due - now);
            continue;
        }
        let done = {
            let witnessed = shared.witnessed.borrow();
            witnessed.at.map(|_| witnessed.size)
        };
        let published = shared.published.borrow();
        // Also a checkpoint that is not new, once: after a start nobody knows whether the quorum holds it.
        if done.is_none_or(|size| size < published.size) {
            return Some((published.size, published.note.clone()));
        }
        drop(published);
        state = shared.wait(state);
    }
}
