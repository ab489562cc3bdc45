//! The end of the log, for what a crash kept from the file.

use std::path::Path;

use duty::{
    principal::Duty,
    record::{Body, Record},
    request::Request,
};
use ledger::Directory;

use super::{Begun, Change, Key};

/// What was recommended from a record on, and up to which record: that of the last checkpoint. That an agent recommended it by itself, and not by a call of the tool, cannot be told:
/// the call finds it then, and is told what became of it.
pub(super) fn calls(log: &Path, from: u64) -> Result<(Vec<Change>, u64), String> {
    let mut found = Vec::new();
    let read = evidence::for_each_record(&Directory::new(log), from, &mut |record| {
        found.extend(call(record));
        Ok(())
    });
    let upto = read.map_err(|e| format!("calls that wait, from record {from}: {e}"))?;
    Ok((found, upto))
}

fn call(record: &Record) -> Option<Change> {
    let Body::RecommendationMade(body) = &record.body else {
        return None;
    };
    let Request::Recommend(said) = &body.request else {
        return None;
    };
    if said.duty != Duty::Prepare {
        return None;
    }
    let key = Key {
        agent: record.actor.id.clone(),
        environment: record.env.clone()?,
        action: body.digest?,
    };
    let begun = Begun {
        case: record.case.clone()?,
        since: record.seq,
    };
    Some(Change::Found(key, begun))
}
