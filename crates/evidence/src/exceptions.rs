//! Exceptions: what a human must triage, and what was found.

use std::collections::HashMap;

use duty::{
    name::{CaseId, ItemId, PrincipalId},
    record::{Body, Record},
    request::Request,
    time::Time,
};
use ledger::Source;
use serde::Serialize;

use crate::{EvidenceError, reader};

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionLine {
    /// Its id.
    pub id: ItemId,
    /// What sort, like `override`.
    pub sort: &'static str,
    /// The case.
    pub case: Option<CaseId>,
    /// When it was raised.
    pub raised: Time,
    /// The record that raised it.
    pub seq: u64,
    /// What happened.
    pub text: String,
    /// What became of it; none while it waits.
    pub triage: Option<Triaged>,
}

/// What became of an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Triaged {
    /// By whom.
    pub by: PrincipalId,
    /// When.
    pub time: Time,
    /// What was found and done.
    pub finding: String,
}

/// All exceptions of a log, in the order in which they were raised.
///
/// # Errors
/// What cannot be read.
pub fn exceptions(source: &dyn Source) -> Result<Vec<ExceptionLine>, EvidenceError> {
    let mut register = Register::default();
    reader::for_each_record(source, 0, &mut |record| {
        register.take(record);
        Ok(())
    })?;
    Ok(register.lines)
}

/// Exceptions so far.
#[derive(Default)]
pub(crate) struct Register {
    pub(crate) lines: Vec<ExceptionLine>,
    places: HashMap<ItemId, usize>,
}

impl Register {
    pub(crate) fn take(&mut self, record: &Record) {
        match &record.body {
            Body::ExceptionRaised(b) => {
                self.places.insert(b.exception.clone(), self.lines.len());
                self.lines.push(ExceptionLine {
                    id: b.exception.clone(),
                    sort: b.sort.word(),
                    case: record.case.clone(),
                    raised: record.time,
                    seq: record.seq,
                    text: b.text.clone(),
                    triage: None,
                });
            }
            Body::ExceptionTriaged(b) => {
                let Request::Triage(r) = &b.request else {
                    return;
                };
                let place = self.places.get(&r.statement.exception);
                if let Some(line) = place.and_then(|i| self.lines.get_mut(*i)) {
                    line.triage = Some(Triaged {
                        by: r.statement.signer.clone(),
                        time: record.time,
                        finding: r.statement.finding.clone(),
                    });
                }
            }
            _ => {}
        }
    }
}
