//! The thread that writes folds while records come.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use store::{Folds, StoreError};

use super::{Tell, catch_up, newest, write};

/// How often it looks how far the log is.
const LOOK: Duration = Duration::from_secs(1);

/// After a failure.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Bytes of the last fold for which one new record is reason enough for another at the end of a run: writing takes about as
/// long as the next start would need to read the records.
const WORTH: u64 = 1024;

/// Records that are always few enough to be read again.
const FEW: u64 = 64;

/// Writes folds, until it is dropped.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    folds: Folds,
    tell: Tell,
    /// Records from one fold to the next.
    every: u64,
    /// Records of the last fold that was trusted or written.
    last: AtomicU64,
    over: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    /// Goes on from the fold of `last` records.
    pub(crate) fn start(
        folds: Folds,
        last: u64,
        every: u64,
        tell: Tell,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            folds,
            tell,
            every: every.max(1),
            last: AtomicU64::new(last),
            over: Mutex::new(false),
            changed: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let run = move || own.run();
        let thread = thread::Builder::new()
            .name("engine-fold".to_owned())
            .spawn(run);
        let thread = thread.map_err(|why| StoreError::Stopped {
            why: format!("its thread could not be started: {why}"),
        })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread, and writes a last fold where it spares the next start more than it takes.
    pub(crate) fn finish(&self) {
        self.stop();
        if let Err(why) = self.shared.last_one() {
            (self.shared.tell)(&not_written(&why));
        }
    }

    fn stop(&self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            (self.shared.tell)("a fold was not written: a fault in the program");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) {
        let mut told = None;
        while !self.pause(if told.is_some() { LOOK_AGAIN } else { LOOK }) {
            let problem = self.look().err().map(|why| not_written(&why));
            if problem != told {
                (self.tell)(problem.as_deref().unwrap_or("folds are written again"));
            }
            told = problem;
        }
    }

    /// Writes a fold where it is time.
    fn look(&self) -> Result<(), StoreError> {
        let since = self.folds.head()?.size.saturating_sub(self.last());
        if since >= self.every {
            self.advance(&|| *self.lock())?;
        }
        Ok(())
    }

    fn last_one(&self) -> Result<(), StoreError> {
        let since = self.folds.head()?.size.saturating_sub(self.last());
        let file = std::fs::metadata(self.folds.path(self.last()));
        let worth = file.map_or(0, |file| file.len() / WORTH).max(FEW);
        // More than that is the work of a thread that is at it already; nobody should wait for it.
        if (worth..=self.every.saturating_mul(2).max(worth)).contains(&since) {
            self.advance(&|| false)?;
        }
        Ok(())
    }

    /// The fold before, the published records since, the next fold.
    fn advance(&self, stop: &dyn Fn() -> bool) -> Result<(), StoreError> {
        let mut folded = newest(&self.folds, &self.tell)?;
        let Some(head) = catch_up(&self.folds, &mut folded, stop)? else {
            return Ok(());
        };
        let state = folded.to_bytes();
        drop(folded);
        write(&self.folds, &head, state)?;
        self.last.store(head.size, Ordering::Relaxed);
        Ok(())
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Waits; whether it is over.
    fn pause(&self, time: Duration) -> bool {
        let over = self
            .changed
            .wait_timeout_while(self.lock(), time, |over| !*over);
        *over.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_written(why: &StoreError) -> String {
    format!("no fold could be written: {why}; the next start takes longer, and it is tried again")
}
