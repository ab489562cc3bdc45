//! The journal's two threads.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{MOST_UNPUBLISHED, Published, Shared, State, Stop};
use crate::StoreError;
use crate::disk::Disk;
use crate::publish::Publisher;
use crate::wal::{Closed, Group, Writer};

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

/// Unpublished bytes that are reason enough for a checkpoint.
const ENOUGH: usize = 16 << 20;

/// Bytes of records in one batch of the write-ahead log, about; a group is never split.
const BATCH: usize = 8 << 20;

/// The committer: makes everything queued durable, one sync a batch.
pub(super) fn commit(shared: &Shared, mut writer: Writer) {
    guarded(shared, || {
        while let Some((groups, tickets)) = next_batch(shared) {
            let written = writer.append(groups.iter());
            let result = written.clone();
            if let Err(error) = &written {
                shared.fail(error);
            } else {
                let mut state = shared.lock();
                state.committed = writer.next();
                state.unpublished += groups
                    .iter()
                    .map(|group| group.payload.len())
                    .sum::<usize>();
                // The publisher, once it has something, waits for its time or for enough.
                let tell = state.durable.is_empty() || state.unpublished >= ENOUGH;
                state.durable.extend(groups);
                drop(state);
                if tell {
                    shared.changed.notify_all();
                }
            }
            for ticket in tickets {
                // Whoever dropped the ticket does not want to know.
                let _ = ticket.send(result.clone());
            }
            written?;
        }
        Ok(())
    });
    let mut state = shared.lock();
    state.ended = true;
    let left = std::mem::take(&mut state.queue);
    let why = state.failure.as_ref().map(ToString::to_string);
    drop(state);
    shared.changed.notify_all();
    for (_, ticket) in left {
        let why = why.clone().unwrap_or_else(|| "it was closed".to_owned());
        let _ = ticket.send(Err(StoreError::Stopped { why }));
    }
}

type Tickets = Vec<tokio::sync::oneshot::Sender<Result<(), StoreError>>>;

/// Everything queued, up to a batch; `None` when it is time to end.
fn next_batch(shared: &Shared) -> Option<(Vec<Group>, Tickets)> {
    let mut state = shared.lock();
    loop {
        let over = state.failure.is_some() || state.stop == Some(Stop::AtOnce);
        if over || (state.queue.is_empty() && state.stop.is_some()) {
            return None;
        }
        if !state.queue.is_empty() && state.unpublished <= MOST_UNPUBLISHED {
            break;
        }
        state = shared
            .appended
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
    let State { queue, queued, .. } = &mut *state;
    Some(take_batch(queue, queued))
}

fn take_batch(
    queue: &mut VecDeque<(Group, tokio::sync::oneshot::Sender<Result<(), StoreError>>)>,
    queued: &mut usize,
) -> (Vec<Group>, Tickets) {
    let (mut groups, mut tickets, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some((group, ticket)) = queue.pop_front() {
        bytes += group.payload.len();
        groups.push(group);
        tickets.push(ticket);
        if bytes >= BATCH {
            break;
        }
    }
    *queued -= bytes;
    (groups, tickets)
}

/// The publisher: puts durable records under a checkpoint, every 200 ms at most.
pub(super) fn publish(shared: &Shared, mut publisher: Publisher, closed: &Closed, disk: &Disk) {
    guarded(shared, || {
        let mut last: Option<Instant> = None;
        while let Some(groups) = next_publication(shared, &mut last) {
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
            closed.remove(disk, size)?;
        }
        Ok(())
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

/// What is to be published next, when it is time; `None` when it is time to end.
fn next_publication(shared: &Shared, last: &mut Option<Instant>) -> Option<Vec<Group>> {
    let mut state = shared.lock();
    let mut due: Option<Instant> = None;
    loop {
        let over = state.failure.is_some() || state.stop == Some(Stop::AtOnce);
        if over || (state.durable.is_empty() && state.ended) {
            return None;
        }
        if state.durable.is_empty() {
            state = shared.wait(state);
            continue;
        }
        let now = Instant::now();
        let due =
            *due.get_or_insert_with(|| last.map_or(now, |last| last + BETWEEN).max(now + GATHER));
        if now >= due || state.ended || state.unpublished >= ENOUGH {
            *last = Some(now);
            return Some(std::mem::take(&mut state.durable));
        }
        state = wait_until(shared, state, due - now);
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
