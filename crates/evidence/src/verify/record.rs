//! What must be true of each record, given those before it.

use duty::{
    canonical::Digest,
    record::{Actor, Body, Record},
    request::Request,
    state::State,
    statement::{Signed, Statement},
    time::Time,
};

use super::{VerifyReport, custody::Custody};

/// Takes the records in order.
pub(super) struct Inspector {
    /// What was counted so far.
    pub(super) report: VerifyReport,
    /// Every commitment to a snapshot, where they are asked for.
    pub(super) custody: Custody,
    /// Statements of the log's keys, with the record that holds each.
    pub(super) rotations: Vec<(u64, String)>,
    collect: bool,
    /// The state so far.
    pub(super) state: State,
    group: Option<Head>,
}

/// The record of the request whose consequences follow.
struct Head {
    seq: u64,
    time: Time,
    actor: Actor,
    refused: bool,
}

impl Inspector {
    pub(super) fn new(origin: &str, collect: bool) -> Self {
        Self {
            report: VerifyReport {
                origin: origin.to_owned(),
                size: 0,
                root: String::new(),
                first: None,
                last: None,
                decisions: 0,
                refusals: 0,
                signatures: 0,
                files: 0,
                releases: 0,
                snapshots: 0,
                sealed: 0,
                absent: 0,
                erased: 0,
                warnings: Vec::new(),
            },
            custody: Custody::default(),
            rotations: Vec::new(),
            collect,
            state: State::default(),
            group: None,
        }
    }

    /// Judges one record, and takes it down.
    pub(super) fn inspect(&mut self, seq: u64, record: &Record) -> Result<(), String> {
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
        self.contained(record)?;
        if !is_refusal(record) {
            self.signed(record)?;
        }
        self.state.apply(record).map_err(|e| e.why)?;
        self.report.first.get_or_insert(record.time);
        self.report.last = Some(record.time);
        if self.collect {
            self.custody.take(record, &self.state);
        }
        Ok(())
    }

    /// Consequences follow their request at once, at its time, and are asked for by the same principal.
    fn grouped(&mut self, record: &Record) -> Result<(), String> {
        let Some(cause) = record.cause else {
            self.report.decisions += 1;
            self.report.refusals += u64::from(is_refusal(record));
            self.group = Some(Head {
                seq: record.seq,
                time: record.time,
                actor: record.actor.clone(),
                refused: is_refusal(record),
            });
            return Ok(());
        };
        let Some(head) = self.group.as_ref().filter(|head| head.seq == cause) else {
            return Err(format!(
                "it names record {cause} as its cause, and the request ahead of it is another"
            ));
        };
        if head.refused {
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
    fn contained(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::LogOpened(_), Some(Request::OpenLog(r))) => {
                if r.origin == self.report.origin {
                    return Ok(());
                }
                Err(format!(
                    "the log was opened as `{}`, and its checkpoint is of `{}`",
                    r.origin, self.report.origin
                ))
            }
            (Body::LogKeyRotated(_), Some(Request::RotateLogKey(r))) => {
                self.rotations.push((record.seq, r.statement.clone()));
                Ok(())
            }
            (Body::FileRecorded(b), Some(Request::RecordFile(r))) => {
                self.report.files += 1;
                same("the file", b.digest, Digest::of_bytes(r.content.as_bytes()))
            }
            (Body::ReleaseBuilt(b), Some(Request::BuildRelease(r))) => {
                self.report.releases += 1;
                let absent = r
                    .files
                    .iter()
                    .find(|(_, digest)| !self.state.files.contains_key(digest));
                if let Some((path, _)) = absent {
                    return Err(format!(
                        "the release names `{path}`, which the log does not hold"
                    ));
                }
                same(
                    "the release",
                    b.digest,
                    Digest::of(&r.files).map_err(|e| e.to_string())?,
                )
            }
            (Body::RecommendationMade(b), Some(Request::Recommend(r))) => {
                let action = r.action.as_ref().map(|a| a.digest()).transpose();
                if action.map_err(|e| e.to_string())? == b.digest {
                    Ok(())
                } else {
                    Err("its digest is not that of the recommended action".to_owned())
                }
            }
            (Body::GrantUsed(b), Some(Request::UseGrant(r))) => same(
                "the action",
                b.digest,
                r.action.digest().map_err(|e| e.to_string())?,
            ),
            (
                Body::LogOpened(_)
                | Body::FileRecorded(_)
                | Body::ReleaseBuilt(_)
                | Body::RecommendationMade(_)
                | Body::GrantUsed(_),
                _,
            ) => Err("its request is not of its kind".to_owned()),
            _ => Ok(()),
        }
    }

    /// A human's signature is that of the key which the log recorded for them.
    fn signed(&mut self, record: &Record) -> Result<(), String> {
        match record.body.request() {
            Some(Request::Approve(signed)) => self.verifies(record, signed),
            Some(Request::SignThreshold(signed)) => self.verifies(record, signed),
            Some(Request::Triage(signed)) => self.verifies(record, signed),
            Some(Request::PlaceHold(signed)) => self.verifies(record, signed),
            Some(Request::LiftHold(signed)) => self.verifies(record, signed),
            Some(Request::RequestErasure(signed)) => self.verifies(record, signed),
            Some(Request::ConfirmErasure(signed)) => self.verifies(record, signed),
            _ => Ok(()),
        }
    }

    fn verifies<T: Statement>(
        &mut self,
        record: &Record,
        signed: &Signed<T>,
    ) -> Result<(), String> {
        let s = &signed.statement;
        if !s.typed() || s.log() != self.report.origin {
            return Err("its statement is of another sort or meant for another log".to_owned());
        }
        if *s.signer() != record.actor.id || *s.credential() != record.actor.credential {
            return Err(format!(
                "its statement is signed as `{}` and its actor is `{}`",
                s.signer(),
                record.actor.id
            ));
        }
        let principal = self.state.principals.get(s.signer());
        let key = principal
            .filter(|p| !p.revoked)
            .and_then(|p| p.key(s.credential()));
        let key = key.ok_or_else(|| {
            format!(
                "the log records no key in force `{}` for `{}`",
                s.credential(),
                s.signer()
            )
        })?;
        if !signed.verifies(key) {
            return Err(format!(
                "the signature is not that of `{}` with the recorded key `{}`",
                s.signer(),
                s.credential()
            ));
        }
        self.report.signatures += 1;
        Ok(())
    }
}

pub(super) fn is_refusal(record: &Record) -> bool {
    matches!(record.body, Body::RequestRefused(_))
}

fn same(what: &str, recorded: Digest, found: Digest) -> Result<(), String> {
    if recorded == found {
        Ok(())
    } else {
        Err(format!(
            "{what} has the digest {found}, and the record says {recorded}"
        ))
    }
}
