//! The way through a log that deciding again needs: group by group, each with the state before it.

use duty::{record::Record, state::State};
use ledger::Source;

use crate::{EvidenceError, library::Library, reader};

/// A group: the record of a request, and its consequences.
pub(crate) struct Group<'a> {
    /// The state before it.
    pub(crate) before: &'a State,
    /// The files so far.
    pub(crate) library: &'a Library,
    /// Its records; never empty.
    pub(crate) records: &'a [Record],
}

/// Goes through the log from its start.
pub(crate) fn groups<E: From<EvidenceError>>(
    source: &dyn Source,
    f: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
) -> Result<State, E> {
    let mut state = State::default();
    let mut library = Library::default();
    let mut group: Vec<Record> = Vec::new();
    let mut stop = None;
    let read = reader::for_each_owned(source, 0, &mut |record| {
        if record.cause.is_none()
            && let Err(e) = end(&mut state, &mut library, &mut group, f)
        {
            stop = Some(e);
            return Err("stopped".to_owned());
        }
        group.push(record);
        Ok(())
    });
    if let Some(e) = stop {
        return Err(e);
    }
    read?;
    end(&mut state, &mut library, &mut group, f)?;
    Ok(state)
}

fn end<E: From<EvidenceError>>(
    state: &mut State,
    library: &mut Library,
    group: &mut Vec<Record>,
    f: &mut dyn FnMut(Group<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if group.is_empty() {
        return Ok(());
    }
    f(Group {
        before: state,
        library,
        records: group,
    })?;
    for record in group.drain(..) {
        library.take(&record);
        state.apply(&record).map_err(EvidenceError::from)?;
    }
    Ok(())
}
