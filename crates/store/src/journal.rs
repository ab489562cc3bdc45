//! The journal: records in, durable, then published.

mod threads;
mod witnessing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use ledger::Directory;
use ledger::verify::OnEntry;
use tokio::sync::{oneshot, watch};

use crate::datadir::Lock;
use crate::disk::Disk;
use crate::recover::{Recovered, recover};
use crate::snapshots::{Sealed, Settle, Snapshots, Written};
use crate::wal::{Entry, Group};
use crate::{DataDir, StoreError};
use witnessing::Places;
pub use witnessing::{Cosign, Witnessed};

/// Bytes that may wait for the write-ahead log before appending is refused, and for publishing before the write-ahead
/// log waits: memory stays bounded however fast records come.
const MOST_QUEUED: usize = 256 << 20;
const MOST_UNPUBLISHED: usize = 64 << 20;

/// The log of a data directory, open for appending.
///
/// Dropping it stops at once: what is durable is published by the next start. [`Journal::close`] publishes first.
pub struct Journal {
    shared: Arc<Shared>,
    snapshots: Snapshots,
    threads: Vec<JoinHandle<()>>,
}

/// The promise that appended records will be durable.
#[must_use = "records are not durable before their ticket says so"]
pub struct Ticket(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Journal {
    /// Opens the log: verifies what is published, reads the write-ahead log on from there, publishes the rest. Every
    /// record of the log goes to `on_record`, from number 0, in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a log, checkpoint or write-ahead log that was damaged, changed, or put back from an
    /// older copy; [`StoreError::Refused`] with `on_record`'s reason; or that of the system.
    pub fn open(dir: &DataDir, on_record: &mut OnEntry<'_>) -> Result<Self, StoreError> {
        Self::open_on(&Disk::default(), dir, 0, on_record)
    }

    /// As [`Journal::open`], where what the first `known` records come to is known already, from a
    /// [`Fold`](crate::Fold) that was trusted: they are not handed on, and bundles before them are not read. The tree's right
    /// edge, and every byte after it, are verified as ever.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_from(
        dir: &DataDir,
        known: u64,
        on_record: &mut OnEntry<'_>,
    ) -> Result<Self, StoreError> {
        Self::open_on(&Disk::default(), dir, known, on_record)
    }

    pub(crate) fn open_on(
        disk: &Disk,
        dir: &DataDir,
        known: u64,
        on_record: &mut OnEntry<'_>,
    ) -> Result<Self, StoreError> {
        let Recovered {
            writer,
            publisher,
            note,
        } = recover(disk, dir, known, on_record)?;
        let size = writer.next();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                enqueued: size,
                ..State::default()
            }),
            appended: Condvar::new(),
            changed: Condvar::new(),
            committed: watch::Sender::new(size),
            published: watch::Sender::new(Published {
                size,
                note,
                failure: None,
                waiting: None,
            }),
            witnessed: watch::Sender::default(),
            _lock: dir.hold(),
        });
        let closed = writer.closed();
        let settle = Settle::of(disk, dir.path())?;
        let snapshots = Snapshots::on(disk, dir.path());
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(crate::disk::at(dir.path()))
        };
        let mut journal = Self {
            shared: Arc::clone(&shared),
            snapshots: snapshots.clone(),
            threads: Vec::new(),
        };
        let [committing, publishing, tidying] = [(); 3].map(|()| Arc::clone(&shared));
        let run = Box::new(move || threads::commit(&committing, writer));
        journal.threads.push(start("journal-commit", run)?);
        let run = Box::new(move || threads::publish(&publishing, publisher, &snapshots));
        journal.threads.push(start("journal-publish", run)?);
        let disk = disk.clone();
        let run = Box::new(move || threads::tidy(&tidying, &closed, &disk, &settle));
        journal.threads.push(start("journal-tidy", run)?);
        Ok(journal)
    }

    /// Has every published checkpoint cosigned from now on. To be called once at most.
    ///
    /// # Errors
    /// [`StoreError`] of the system.
    pub fn witness(&mut self, dir: &DataDir, cosign: Box<dyn Cosign>) -> Result<(), StoreError> {
        let log = crate::datadir::log(dir.path());
        let places = Places {
            temporary: crate::wal::temporary(&dir.path().join("wal")).join("witnessed"),
            log: log.clone(),
        };
        self.shared
            .witnessed
            .send_modify(|witnessed| witnessed.asked = true);
        let shared = Arc::clone(&self.shared);
        let source = Directory::new(&log);
        let thread = std::thread::Builder::new()
            .name("journal-witness".to_owned())
            .spawn(move || witnessing::witness(&shared, cosign, source, &Disk::default(), &places))
            .map_err(crate::disk::at(dir.path()))?;
        self.threads.push(thread);
        Ok(())
    }

    /// How far witnesses are.
    #[must_use]
    pub fn witnessed(&self) -> Witnessed {
        self.shared.witnessed.borrow().clone()
    }

    /// Waits until a quorum of witnesses has cosigned a checkpoint of at least `size` records. The future borrows nothing,
    /// and ends with the journal; how long to wait is the caller's matter.
    ///
    /// # Errors
    /// [`StoreError::Unwitnessed`] where there are no witnesses; [`StoreError::Stopped`].
    pub fn wait_witnessed(
        &self,
        size: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let mut witnessed = self.shared.witnessed.subscribe();
        async move {
            if !witnessed.borrow().asked {
                return Err(StoreError::Unwitnessed);
            }
            let seen = witnessed
                .wait_for(|now| now.at.is_some() && now.size >= size)
                .await;
            seen.map(|_| ()).map_err(|_| StoreError::Stopped {
                why: "it was closed".to_owned(),
            })
        }
    }

    /// Enqueues records that are appended in one piece, whole or not at all. `first` must be the number of the record
    /// that comes next; calls are in the log in the order they are made. Never waits for the disk.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`], [`StoreError::TooLong`], [`StoreError::Busy`], [`StoreError::Stopped`]. Nothing was
    /// taken then.
    pub fn append(&self, first: u64, records: Vec<Vec<u8>>) -> Result<Ticket, StoreError> {
        let end = self.append_ahead(first, records)?;
        Ok(self.wait_committed(end))
    }

    /// As [`Journal::append`], for records on which more will follow before anybody waits: they are written with those. Answers
    /// the number of the record after them, for [`Journal::wait_committed`]: since the log is one sequence, whoever waits for
    /// a later record has waited for these too. Unwaited for, they are written all the same, after a moment.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_ahead(&self, first: u64, records: Vec<Vec<u8>>) -> Result<u64, StoreError> {
        let group = Group::new(first, &records)?;
        drop(records);
        let mut state = self.shared.open()?;
        if first != state.enqueued {
            return Err(StoreError::OutOfOrder {
                first,
                next: state.enqueued,
            });
        }
        let end = group.end();
        state.enqueued = end;
        state.push(Entry::Group(group));
        state.since.get_or_insert_with(Instant::now);
        let dozes = std::mem::take(&mut state.dozes);
        drop(state);
        if dozes {
            self.shared.appended.notify_one();
        }
        Ok(end)
    }

    /// The snapshots of the data directory, those among them that are not in their places yet.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Takes a snapshot in, which is durable no later than any record that is appended after this; answers its commitment.
    /// [`Journal::snapshots`] has it from now on, and its file is in its place before a checkpoint covers such a record. Never
    /// waits for the disk.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Stopped`]. No record may name it then.
    pub fn attach(&self, written: Written) -> Result<[u8; 32], StoreError> {
        if let Some(sealed) = written.sealed {
            let mut state = self.shared.open()?;
            let next = state.enqueued;
            let sealed = Arc::new(sealed);
            self.snapshots.shelve(&sealed);
            state.push(Entry::Snapshot(next, sealed));
        }
        Ok(written.commitment)
    }

    /// The promise that the first `size` records will be durable. Those that nobody appended yet are not waited for.
    pub fn wait_committed(&self, size: u64) -> Ticket {
        let mut state = self.shared.lock();
        let size = size.min(state.enqueued);
        if self.committed() >= size {
            return Ticket(None);
        }
        let (done, ticket) = oneshot::channel();
        if state.failure.is_some() || state.ended {
            let _ = done.send(Err(state.stopped()));
            return Ticket(Some(ticket));
        }
        state.waiting.entry(size).or_default().push(done);
        drop(state);
        self.shared.appended.notify_one();
        Ticket(Some(ticket))
    }

    /// Follows the number of durable records, which is [`Journal::committed`] at every moment.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// Records that are durable.
    #[must_use]
    pub fn committed(&self) -> u64 {
        *self.shared.committed.borrow()
    }

    /// Size of the published checkpoint.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.shared.published.borrow().size
    }

    /// Note of the published checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        self.shared.published.borrow().note.clone()
    }

    /// Waits until a checkpoint of at least `size` records is published. The future borrows nothing.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] where that will not happen before the next start.
    pub fn wait_published(
        &self,
        size: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let mut published = self.shared.published.subscribe();
        drop(self.wait_committed(size));
        async move {
            let seen = published
                .wait_for(|now| now.size >= size || now.failure.is_some())
                .await;
            let stopped = |why: &str| {
                Err(StoreError::Stopped {
                    why: why.to_owned(),
                })
            };
            match seen {
                Ok(now) if now.size >= size => Ok(()),
                Ok(now) => stopped(now.failure.as_deref().unwrap_or_default()),
                Err(_) => stopped("it was closed"),
            }
        }
    }

    /// As [`Journal::wait_published`], for threads.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub fn wait_published_blocking(&self, size: u64) -> Result<(), StoreError> {
        drop(self.wait_committed(size));
        let mut state = self.shared.lock();
        while self.published() < size {
            if let Some(why) = &state.failure {
                return Err(StoreError::Stopped {
                    why: why.to_string(),
                });
            }
            state = self.shared.wait(state);
        }
        Ok(())
    }

    /// Why the next checkpoint waits for its signature, while it does: records are taken and committed all the same, up to
    /// the bytes that memory should hold.
    #[must_use]
    pub fn unsigned(&self) -> Option<String> {
        self.shared.published.borrow().waiting.clone()
    }

    /// The failure that stopped the journal, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.lock().failure.as_ref().map(ToString::to_string)
    }

    /// Publishes all that was appended, and stops.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] with the failure that stopped the journal before it could publish.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop(Stop::Publish);
        match self.failure() {
            Some(why) => Err(StoreError::Stopped { why }),
            None => Ok(()),
        }
    }

    fn stop(&mut self, stop: Stop) {
        self.shared.lock().stop.get_or_insert(stop);
        self.shared.tell_all();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                self.shared.fail(&StoreError::Stopped {
                    why: threads::reason(&*panic),
                });
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop(Stop::AtOnce);
    }
}

impl Ticket {
    /// Waits until the records are durable.
    ///
    /// # Errors
    /// The failure of the write. The records may then be in the log or not: the next start tells, and takes a group
    /// whole or not at all.
    pub async fn durable(self) -> Result<(), StoreError> {
        match self.0 {
            Some(done) => done.await.unwrap_or_else(|_| Err(dropped())),
            None => Ok(()),
        }
    }

    /// As [`Ticket::durable`], for threads. Not to be called from async code, where it panics.
    ///
    /// # Errors
    /// As [`Ticket::durable`].
    pub fn durable_blocking(self) -> Result<(), StoreError> {
        match self.0 {
            Some(done) => done.blocking_recv().unwrap_or_else(|_| Err(dropped())),
            None => Ok(()),
        }
    }
}

fn dropped() -> StoreError {
    StoreError::Stopped {
        why: "it was closed before the records were written".to_owned(),
    }
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// After publishing everything.
    Publish,
    /// After the batch being written.
    AtOnce,
}

/// What journal, committer and publisher share.
struct Shared {
    state: Mutex<State>,
    /// Signalled at every change that the committer may wait for. It alone waits here, so that an append, by far the
    /// most frequent change, wakes no other thread.
    appended: Condvar,
    /// Signalled at every change of the state that another thread may wait for.
    changed: Condvar,
    /// Number of the record after the last durable one.
    committed: watch::Sender<u64>,
    published: watch::Sender<Published>,
    witnessed: watch::Sender<Witnessed>,
    /// The data directory stays locked as long as any thread may write to it.
    _lock: Arc<Lock>,
}

/// Those who wait for records to be durable, by the record after.
type Waiting = BTreeMap<u64, Vec<oneshot::Sender<Result<(), StoreError>>>>;

#[derive(Default)]
struct State {
    /// Number of the record after the last one enqueued.
    enqueued: u64,
    /// What is to be made durable, its bytes, and who waits for it.
    queue: VecDeque<Entry>,
    queued: usize,
    waiting: Waiting,
    /// Since when records are in the queue.
    since: Option<Instant>,
    /// Whether the committer must be told of records that nobody waits for.
    dozes: bool,
    /// Durable groups to be published, durable snapshots to be put in their places, and the bytes of both.
    durable: Vec<Group>,
    unsettled: Vec<Arc<Sealed>>,
    unpublished: usize,
    failure: Option<Arc<str>>,
    stop: Option<Stop>,
    /// Whether the committer has ended, so that nothing more becomes durable; and whether the publisher has.
    ended: bool,
    published: bool,
}

impl State {
    fn push(&mut self, entry: Entry) {
        self.queued += entry.bytes();
        self.queue.push_back(entry);
    }

    /// Why nothing more is taken.
    fn stopped(&self) -> StoreError {
        let why = self.failure.as_deref().unwrap_or("it was closed");
        StoreError::Stopped {
            why: why.to_owned(),
        }
    }
}

struct Published {
    size: u64,
    note: Vec<u8>,
    failure: Option<Arc<str>>,
    /// Why the next checkpoint waits for its signature.
    waiting: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Shared::lock`], where more is taken.
    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        if state.failure.is_some() {
            return Err(state.stopped());
        }
        if state.queued > MOST_QUEUED {
            return Err(StoreError::Busy {
                bytes: state.queued,
            });
        }
        Ok(state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes every thread that waits for a change.
    fn tell_all(&self) {
        self.appended.notify_all();
        self.changed.notify_all();
    }

    /// Stops the journal for good. The first reason stays.
    fn fail(&self, error: &StoreError) {
        let why = {
            let mut state = self.lock();
            Arc::clone(
                state
                    .failure
                    .get_or_insert_with(|| error.to_string().into()),
            )
        };
        self.published.send_modify(|published| {
            published.failure.get_or_insert(why);
        });
        self.tell_all();
    }
}
