//! What must be true of each record, given those before it.

use std::sync::Arc;

use duty::{
    record::{Actor, Body, ExceptionSort, Record},
    refusal::Code,
    request::{AddCredential, Request},
    state::State,
    statement::{Proven, Statement},
    time::Time,
};

use serde::{Deserialize, Serialize};

use super::{VerifyReport, alone::Alone, closed::Closed, custody::Custody};
use crate::keys::Keys;

/// Takes the records in order.
pub(super) struct Inspector {
    /// What the records so far come to.
    pub(super) known: Known,
    /// Every commitment to a snapshot, where they are asked for.
    pub(super) custody: Option<Custody>,
    /// Keys under which signatures were found good.
    keys: Arc<Keys>,
}

/// What the records so far come to, as far as those that follow are judged by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// What was counted so far.
    pub(super) report: VerifyReport,
    /// Statements of the log's keys, with the record that holds each.
    pub(super) rotations: Vec<(u64, String)>,
    /// Without closed cases, and without subjects that have no open one: they would grow with the log.
    pub(super) state: State,
    closed: Closed,
    group: Option<Head>,
}

/// The record of the request whose consequences follow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    seq: u64,
    time: Time,
    actor: Actor,
    refused: bool,
    /// Whether it was refused because a tool changed, which a human is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tool_changed: bool,
}

impl Known {
    pub(super) fn new(origin: &str) -> Self {
        Self {
            report: VerifyReport {
                origin: origin.to_owned(),
                ..VerifyReport::default()
            },
            rotations: Vec::new(),
            state: State::default(),
            closed: Closed::default(),
            group: None,
        }
    }

    /// Records so far.
    pub(super) fn size(&self) -> u64 {
        self.state.size
    }

    /// Takes out of the state what is kept shorter, or not needed here.
    fn shorten(&mut self) {
        while let Some((case, _)) = self.state.closed.pop_first() {
            self.closed.insert(&case);
        }
        // Each subject is looked at again only when as many came as are left.
        if self.state.subjects.len() > 2 * self.state.cases.len() + 1024 {
            self.state.subjects.retain(|_, cases| cases.open > 0);
        }
    }
}

impl Inspector {
    pub(super) fn new(known: Known, custody: Option<Custody>, keys: Arc<Keys>) -> Self {
        Self {
            known,
            custody,
            keys,
        }
    }

    /// Judges one record, and takes it down.
    pub(super) fn inspect(
        &mut self,
        seq: u64,
        record: &Record,
        alone: &Alone,
    ) -> Result<(), String> {
        if record.seq != seq {
            return Err(format!(
                "it says that it is record {}, and stands at {seq}",
                record.seq
            ));
        }
        if (seq == 0) != matches!(record.body, Body::LogOpened(_)) && !is_refusal(record) {
            return Err("a log begins with `log.opened`, and only there".to_owned());
        }
        self.grouped(record)?;
        self.contained(record, alone)?;
        if !is_refusal(record) {
            self.signed(record, alone)?;
        }
        self.opened_once(record)?;
        let known = &mut self.known;
        known.state.apply(record).map_err(|e| e.why)?;
        known.shorten();
        known.report.first.get_or_insert(record.time);
        known.report.last = Some(record.time);
        if let Some(custody) = &mut self.custody {
            custody.take(record, &known.state);
        }
        Ok(())
    }

    /// A case is opened once.
    fn opened_once(&self, record: &Record) -> Result<(), String> {
        if let Body::CaseOpened(_) = record.body
            && let Some(Request::OpenCase(r)) = record.body.request()
            && (self.known.state.cases.contains_key(&r.case) || self.known.closed.contains(&r.case))
        {
            return Err(format!("case `{}` was opened before", r.case));
        }
        Ok(())
    }

    /// Consequences follow their request at once, at its time, and are asked for by the same principal.
    fn grouped(&mut self, record: &Record) -> Result<(), String> {
        let Some(cause) = record.cause else {
            self.known.report.decisions += 1;
            self.known.report.refusals += u64::from(is_refusal(record));
            self.known.group = Some(Head {
                seq: record.seq,
                time: record.time,
                actor: record.actor.clone(),
                refused: is_refusal(record),
                tool_changed: is_refusal_of_a_changed_tool(record),
            });
            return Ok(());
        };
        let Some(head) = self.known.group.as_ref().filter(|head| head.seq == cause) else {
            return Err(format!(
                "it names record {cause} as its cause, and the request ahead of it is another"
            ));
        };
        if head.refused && !(head.tool_changed && tells_of_a_changed_tool(record)) {
            return Err(format!("it follows from record {cause}, which was refused"));
        }
        if record.time != head.time {
            return Err(format!(
                "its time {} is not that of its cause, {}",
                record.time, head.time
            ));
        }
        if record.actor.id != head.actor.id || record.actor.credential != head.actor.credential {
            return Err(format!(
                "its actor is not that of its cause, `{}`",
                head.actor.id
            ));
        }
        Ok(())
    }

    /// Digests in the record are those of what it holds; the log's origin is the checkpoint's.
    fn contained(&mut self, record: &Record, alone: &Alone) -> Result<(), String> {
        let known = &mut self.known;
        match (&record.body, record.body.request()) {
            (Body::LogOpened(_), Some(Request::OpenLog(r))) if r.origin != known.report.origin => {
                return Err(format!(
                    "the log was opened as `{}`, and its checkpoint is of `{}`",
                    r.origin, known.report.origin
                ));
            }
            (Body::LogKeyRotated(_), Some(Request::RotateLogKey(r))) => {
                known.rotations.push((record.seq, r.statement.clone()));
            }
            (Body::FileRecorded(_), Some(Request::RecordFile(_))) => known.report.files += 1,
            (Body::ReleaseBuilt(_), Some(Request::BuildRelease(r))) => {
                known.report.releases += 1;
                let absent = r
                    .files
                    .iter()
                    .find(|(_, digest)| !known.state.files.contains_key(digest));
                if let Some((path, _)) = absent {
                    return Err(format!(
                        "the release names `{path}`, which the log does not hold"
                    ));
                }
            }
            _ => {}
        }
        alone.contained.clone()
    }

    /// A human's signature is that of the key which the log recorded for them.
    fn signed(&mut self, record: &Record, alone: &Alone) -> Result<(), String> {
        match record.body.request() {
            Some(Request::AddCredential(r)) => self.possessed(r, alone),
            request => match request.and_then(Request::signed) {
                Some(signed) => self.verifies(record, signed, alone),
                None => Ok(()),
            },
        }
    }

    /// Whoever got a credential that signs showed that they hold it.
    fn possessed(&mut self, request: &AddCredential, alone: &Alone) -> Result<(), String> {
        let Some(possession) = request.possession() else {
            return match request.proof.signs() {
                false => Ok(()),
                true => Err(format!(
                    "nothing shows that `{}` holds the key of `{}`",
                    request.principal(),
                    request.credential()
                )),
            };
        };
        let s = &possession.statement;
        if !s.typed() || s.log != self.known.report.origin {
            return Err("its statement is of another sort or meant for another log".to_owned());
        }
        if alone.signed_with.as_ref() != Some(&request.proof) {
            let good = possession.verify(&request.proof);
            good.map_err(|why| {
                format!(
                    "nothing shows that `{}` holds the key of `{}`: {why}",
                    s.signer, s.credential
                )
            })?;
        }
        self.known.report.signatures += 1;
        Ok(())
    }

    fn verifies(&mut self, record: &Record, s: &dyn Proven, alone: &Alone) -> Result<(), String> {
        if !s.typed() || s.log() != self.known.report.origin {
            return Err("its statement is of another sort or meant for another log".to_owned());
        }
        if *s.signer() != record.actor.id || *s.credential() != record.actor.credential {
            return Err(format!(
                "its statement is signed as `{}` and its actor is `{}`",
                s.signer(),
                record.actor.id
            ));
        }
        let principal = self.known.state.principals.get(s.signer());
        let key = principal
            .filter(|p| !p.revoked)
            .filter(|p| !p.ended.contains(s.credential()))
            .and_then(|p| p.key(s.credential()));
        let key = key.ok_or_else(|| {
            format!(
                "the log records no key in force `{}` for `{}`",
                s.credential(),
                s.signer()
            )
        })?;
        principal.map_or(Ok(()), |p| p.counts(s.credential(), s.signature()))?;
        if alone.signed_with.as_ref() != Some(key) {
            s.verify(key).map_err(|why| {
                format!(
                    "the signature is not that of `{}` with the recorded key `{}`: {why}",
                    s.signer(),
                    s.credential()
                )
            })?;
            self.keys.insert(s.signer(), s.credential(), key);
        }
        self.known.report.signatures += 1;
        Ok(())
    }
}

fn is_refusal_of_a_changed_tool(record: &Record) -> bool {
    matches!(&record.body, Body::RequestRefused(b) if b.refusal.code == Code::ToolChanged)
}

/// The one consequence that a refused request may have.
fn tells_of_a_changed_tool(record: &Record) -> bool {
    matches!(&record.body, Body::ExceptionRaised(b) if b.sort == ExceptionSort::ToolChanged)
}

pub(super) fn is_refusal(record: &Record) -> bool {
    matches!(record.body, Body::RequestRefused(_))
}
