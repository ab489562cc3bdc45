//! The way through a log that deciding again needs: group by group, each with the state before it.

use std::{num::NonZero, rc::Rc};

use duty::{canonical::Digest, record::Record, signature::Checked, state::State};
use ledger::Source;
use policy::Release;

use crate::{
    EvidenceError,
    ahead::{self, Read, cores},
    library::Library,
};

/// A group: the record of a request, and its consequences.
pub struct Group<'a> {
    /// The state before it.
    pub before: &'a State,
    /// The files so far.
    pub(crate) library: &'a Library,
    /// Its records; never empty.
    pub records: &'a [Record],
    /// The signature of its request, where it was verified.
    pub(crate) checked: Option<&'a Checked>,
}

impl Group<'_> {
    /// A release that the log has built by then.
    ///
    /// # Errors
    /// [`EvidenceError::Release`] where it has not, or what it holds cannot be loaded.
    pub fn release(&self, digest: Digest) -> Result<Rc<Release>, EvidenceError> {
        self.library.release(self.before, digest)
    }
}

/// Goes through the log from its start, group by group; answers the state at its end.
///
/// # Errors
/// What cannot be read or folded, and what `f` says.
pub fn for_each_group(
    source: &(dyn Source + Sync),
    f: &mut dyn FnMut(Group<'_>) -> Result<(), EvidenceError>,
) -> Result<State, EvidenceError> {
    groups(source, cores(), f)
}

/// Goes through the log from its start; it is read on so many threads.
pub(crate) fn groups<E: From<EvidenceError>>(
    source: &(dyn Source + Sync),
    threads: NonZero<usize>,
    f: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
) -> Result<State, E> {
    let mut walk = Walk::default();
    let mut stop = None;
    let read = ahead::for_each(source, threads, &mut |read| {
        if read.record.cause.is_none()
            && let Err(e) = walk.end(f)
        {
            stop = Some(e);
            return Err(EvidenceError::Stopped("stopped".to_owned()));
        }
        walk.take(read);
        Ok(())
    });
    if let Some(e) = stop {
        return Err(e);
    }
    read?;
    walk.end(f)?;
    Ok(walk.state)
}

#[derive(Default)]
struct Walk {
    state: State,
    library: Library,
    group: Vec<Record>,
    checked: Option<Checked>,
}

impl Walk {
    fn take(&mut self, read: Read) {
        if self.group.is_empty() {
            self.checked = read.checked;
        }
        self.group.push(read.record);
    }

    /// The group is whole: it is shown, and then taken down.
    fn end<E: From<EvidenceError>>(
        &mut self,
        f: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.group.is_empty() {
            return Ok(());
        }
        f(Group {
            before: &self.state,
            library: &self.library,
            records: &self.group,
            checked: self.checked.as_ref(),
        })?;
        for record in self.group.drain(..) {
            self.library.take(&record);
            self.state.apply(&record).map_err(EvidenceError::from)?;
        }
        Ok(())
    }
}
