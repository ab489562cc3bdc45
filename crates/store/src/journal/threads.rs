//! The journal's three threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{MOST_UNPUBLISHED, Published, Shared, State, Stop};
use crate::Snapshots;
use crate::StoreError;
use crate::disk::Disk;
use crate::publish::Publisher;
use crate::snapshots::Settle;
use crate::wal::{Closed, Entry, Group, Writer};

/// From one checkpoint to the next, and from the first record after a pause to its checkpoint.
/// Tests, which wait for many, shorten it.
const BETWEEN: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 200 });
const GATHER: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 20 });

/// From one attempt at a signature to the next, where the signer failed: at first, and at most. Doubled in between.
const SIGNER_PAUSES: (Duration, Duration) = if cfg!(test) {
    (Duration::from_millis(5), Duration::from_millis(20))
} else {
    (Duration::from_millis(500), Duration::from_secs(30))
};

/// From one look for snapshots that are to be put in their places to the next, while records wait to be published.
const SETTLE: Duration = Duration::from_millis(5);

/// Unpublished bytes that are reason enough for a checkpoint.
const ENOUGH: usize = 16 << 20;

/// Bytes of records in one batch of the write-ahead log, about; a group is never split.
const BATCH: usize = 8 << 20;

/// How long records wait at most that nobody waits for.
const PATIENCE: Duration = Duration::from_millis(20);

/// The committer: makes everything queued durable, one sync a batch.
pub(super) fn commit(shared: &Shared, mut writer: Writer) {
    guarded(shared, || {
        while let Some(batch) = next_batch(shared) {
            let end = batch.last().map_or(0, Entry::end);
            let written = writer.append(batch.iter());
            match &written {
                // Told before those who wait are looked for: whoever still reads the old number is among them.
                Ok(()) => drop(shared.committed.send_replace(writer.next())),
                Err(error) => shared.fail(error),
            }
            let mut state = shared.lock();
            if written.is_ok() {
                let idle = state.durable.is_empty();
                state.unpublished += batch.iter().map(Entry::bytes).sum::<usize>();
                for entry in batch {
                    match entry {
                        Entry::Group(group) => state.durable.push(group),
                        Entry::Snapshot(_, sealed) => state.unsettled.push(sealed),
                    }
                }
                // The publisher, once it has something, waits for its time or for enough.
                if idle || state.unpublished >= ENOUGH {
                    shared.changed.notify_all();
                }
            }
            let later = state.waiting.split_off(&(end + 1));
            let waited = std::mem::replace(&mut state.waiting, later);
            drop(state);
            for done in waited.into_values().flatten() {
                // Whoever dropped the ticket does not want to know.
                let _ = done.send(written.clone());
            }
            written?;
        }
        Ok(())
    });
    let mut state = shared.lock();
    state.ended = true;
    let left = std::mem::take(&mut state.waiting);
    let why = state.stopped();
    drop(state);
    shared.changed.notify_all();
    for done in left.into_values().flatten() {
        let _ = done.send(Err(why.clone()));
    }
}

/// Everything queued, up to a batch; `None` when it is time to end.
fn next_batch(shared: &Shared) -> Option<Vec<Entry>> {
    let mut state = shared.lock();
    // After some work more is likely to come soon, and is looked for without being told.
    let mut awake = true;
    loop {
        let over = state.failure.is_some() || state.stop == Some(Stop::AtOnce);
        let groups = state.enqueued > *shared.committed.borrow();
        if over || (!groups && state.stop.is_some()) {
            return None;
        }
        let now = Instant::now();
        let due = state.since.map(|since| since + PATIENCE);
        let wanted = !state.waiting.is_empty() || state.stop.is_some();
        let room = state.unpublished <= MOST_UNPUBLISHED;
        if groups && room && (wanted || due.is_none_or(|due| now >= due)) {
            let (batch, rest) = take_batch(&mut state);
            state.since = rest.then_some(now);
            return Some(batch);
        }
        let until = match due {
            Some(due) if groups && room => Some(due),
            _ if awake => Some(now + PATIENCE),
            _ => None,
        };
        let (guard, late) = match until {
            Some(until) => {
                let waited = shared.appended.wait_timeout(state, until - now);
                let (guard, timed) = waited.unwrap_or_else(PoisonError::into_inner);
                (guard, timed.timed_out())
            }
            None => {
                state.dozes = true;
                let waited = shared.appended.wait(state);
                let mut guard = waited.unwrap_or_else(PoisonError::into_inner);
                guard.dozes = false;
                (guard, false)
            }
        };
        state = guard;
        awake = !late;
    }
}

/// What goes first in the queue, and whether records are left in it.
fn take_batch(state: &mut State) -> (Vec<Entry>, bool) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(entry) = state.queue.pop_front() {
        bytes += entry.bytes();
        batch.push(entry);
        if bytes >= BATCH {
            break;
        }
    }
    state.queued -= bytes;
    let left = |entry: &Entry| matches!(entry, Entry::Group(_));
    (batch, state.queue.iter().any(left))
}

/// The publisher: puts snapshots in their places, and durable records under a checkpoint, every 200 ms at most.
pub(super) fn publish(shared: &Shared, mut publisher: Publisher, snapshots: &Snapshots) {
    guarded(shared, || {
        let mut last: Option<Instant> = None;
        while let Some(groups) = next_publication(shared, &mut last, snapshots)? {
            for group in &groups {
                publisher.take(group)?;
            }
            drop(groups);
            let bytes = publisher.taken();
            publisher.prepare()?;
            let note = signed(shared, &publisher)?;
            publisher.complete(&note)?;
            let size = publisher.size();
            shared.published.send_modify(|published| {
                let failure = published.failure.take();
                *published = Published {
                    size,
                    note,
                    failure,
                    waiting: None,
                };
            });
            shared.lock().unpublished -= bytes;
            shared.tell_all();
        }
        Ok(())
    });
    shared.lock().published = true;
    shared.tell_all();
}

/// The tidier: removes segments of the write-ahead log that are not needed any more. That has snapshots forced to the device,
/// which may take long, and nobody waits for it.
pub(super) fn tidy(shared: &Shared, closed: &Closed, disk: &Disk, snapshots: &Settle) {
    guarded(shared, || {
        loop {
            let size = {
                let mut state = shared.lock();
                loop {
                    if state.failure.is_some() || state.stop == Some(Stop::AtOnce) {
                        return Ok(());
                    }
                    let size = shared.published.borrow().size;
                    if closed.has_old(size) {
                        break size;
                    }
                    if state.published {
                        return Ok(());
                    }
                    state = shared.wait(state);
                }
            };
            closed.remove(disk, size, snapshots)?;
        }
    });
}

/// The signed checkpoint, asked for until the signer answers. What is committed stays so meanwhile; a journal that is
/// closed asks once more and leaves the rest to the next start.
fn signed(shared: &Shared, publisher: &Publisher) -> Result<Vec<u8>, StoreError> {
    let mut pause = SIGNER_PAUSES.0;
    loop {
        let stopping = shared.lock().stop.is_some();
        let why = match publisher.sign() {
            Err(why @ StoreError::Signer { .. }) if !stopping => why.to_string(),
            other => return other,
        };
        shared
            .published
            .send_modify(|published| published.waiting = Some(why));
        let end = Instant::now() + pause;
        let mut state = shared.lock();
        while state.stop.is_none() && Instant::now() < end {
            state = wait_until(shared, state, end - Instant::now());
        }
        drop(state);
        pause = (pause * 2).min(SIGNER_PAUSES.1);
    }
}

/// What is to be published next, when it is time; `None` when it is time to end. Until then snapshots are put in their places, a
/// few at a time, so that whoever waits for an answer meets no burst of them; all that stand before the groups are there.
fn next_publication(
    shared: &Shared,
    last: &mut Option<Instant>,
    snapshots: &Snapshots,
) -> Result<Option<Vec<Group>>, StoreError> {
    let mut state = shared.lock();
    let mut due: Option<Instant> = None;
    loop {
        if state.failure.is_some() || state.stop == Some(Stop::AtOnce) {
            return Ok(None);
        }
        let now = Instant::now();
        let mut groups = Vec::new();
        if !state.durable.is_empty() {
            let next = || last.map_or(now, |last| last + BETWEEN).max(now + GATHER);
            let due = *due.get_or_insert_with(next);
            if now >= due || state.ended || state.unpublished >= ENOUGH {
                groups = std::mem::take(&mut state.durable);
            }
        }
        // Taken with the groups: each snapshot that stands before one of them is here, or in its place.
        let unsettled = std::mem::take(&mut state.unsettled);
        if !unsettled.is_empty() {
            drop(state);
            for sealed in &unsettled {
                snapshots.settle(sealed)?;
            }
            state = shared.lock();
            let full = state.unpublished > MOST_UNPUBLISHED;
            state.unpublished -= unsettled.iter().map(|s| s.file.len()).sum::<usize>();
            if full {
                shared.appended.notify_one();
            }
        }
        if !groups.is_empty() {
            *last = Some(now);
            return Ok(Some(groups));
        }
        if !unsettled.is_empty() {
            continue;
        }
        state = match due {
            // Nobody tells of further snapshots.
            Some(due) => wait_until(shared, state, (due - now).min(SETTLE)),
            None if state.ended => return Ok(None),
            None => shared.wait(state),
        };
    }
}

pub(super) fn wait_until<'a>(
    shared: &Shared,
    state: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    let (state, _) = shared
        .changed
        .wait_timeout(state, time)
        .unwrap_or_else(PoisonError::into_inner);
    state
}

/// Runs a thread's work; its error, or its panic, stops the journal with the reason.
fn guarded(shared: &Shared, work: impl FnOnce() -> Result<(), StoreError>) {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(&error),
        Err(panic) => shared.fail(&StoreError::Stopped {
            why: reason(&*panic),
        }),
    }
}

/// What a panic said.
pub(super) fn reason(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "a fault in the program: {}",
        said.unwrap_or_else(|| "no reason".to_owned())
    )
}
