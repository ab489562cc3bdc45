//! The way through a log that deciding again needs: group by group, each with the state before it.

use std::num::NonZero;

use duty::{record::Record, signature::Checked, state::State};
use ledger::Source;

use crate::{
    EvidenceError,
    ahead::{self, Read},
    library::Library,
};

/// A group: the record of a request, and its consequences.
pub(crate) struct Group<'a> {
    /// The state before it.
    pub(crate) before: &'a State,
    /// The files so far.
    pub(crate) library: &'a Library,
    /// Its records; never empty.
    pub(crate) records: &'a [Record],
    /// The signature of its request, where it was verified.
    pub(crate) checked: Option<&'a Checked>,
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
