//! Re-performance: every recorded decision made again, from the log alone, and every one compared.
//!
//! Deciding is pure, so the same state, rules and request give the same records for ever. Where they do not, either the
//! log was written by something other than the rules it names, or the program that decides has changed.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    num::NonZero,
    path::PathBuf,
};

use duty::{
    canonical::Digest,
    decide_with,
    record::{Body, Record},
    release::Rules,
    release_for,
    request::{Request, Submission},
    subject::SubjectId,
};
use ledger::Source;
use policy::Release;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    EvidenceError, Vault,
    ahead::cores,
    pretend::Pretend,
    rerun::{Rerun, Rerunner, case_of},
    walk::{Group, groups},
};

/// Differences that a what-if keeps whole; further ones are counted.
const KEPT: usize = 1000;

/// How to re-perform.
#[derive(Clone, Debug, Default)]
pub struct ReperformOptions {
    /// A release directory to decide by in place of the log's own releases: what would have been decided under it?
    ///
    /// What only says which release it is stays as recorded (its digest, the agents' models, the digests of clauses and
    /// thresholds with the same id), so that only verdicts differ. The recorded history goes on as it was: differences
    /// are collected, and each is one decision taken otherwise at its place.
    pub release: Option<PathBuf>,
    /// Snapshots, to run the built-in agents again.
    pub snapshots: Option<PathBuf>,
    /// Threads that read ahead; one for each core where it is none. A source that answers slowly wants more.
    pub threads: Option<NonZero<usize>>,
}

/// What was re-performed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReperformReport {
    /// Records read.
    pub records: u64,
    /// Requests decided again.
    pub decisions: u64,
    /// Those of them that were refused.
    pub refusals: u64,
    /// Decisions by the kind of their first record.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// Refusals by code.
    pub by_code: BTreeMap<&'static str, u64>,
    /// Verdicts among the decisions.
    pub verdicts: u64,
    /// Recommendations of the built-in rule model that were run again from their snapshots.
    pub recommendations: u64,
    /// Recommendations whose snapshots are not all here.
    pub recommendations_not_here: u64,
    /// Recommendations whose snapshots were erased, by a record of the log.
    pub recommendations_erased: u64,
    /// Recommendations of other models, which cannot be run again.
    pub recommendations_other: u64,
    /// Retrievals that were run again.
    pub retrievals: u64,
    /// Differences under another release, of which the first 1,000 are kept; always 0 without one.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<Disagreement>,
}

/// A step that comes out otherwise than recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// The record of the request.
    pub seq: u64,
    /// What was re-performed: `decision`, `recommendation` or `retrieval`.
    pub what: &'static str,
    /// What the log says.
    pub recorded: Value,
    /// What came out now.
    pub again: Value,
    /// From what.
    pub inputs: Value,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} of record {} comes out otherwise than recorded\nrecorded: {}\nagain:    {}\ninputs:   {}",
            self.what, self.seq, self.recorded, self.again, self.inputs
        )
    }
}

/// Why re-performance ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReperformError {
    /// A step comes out otherwise.
    #[error("{0}")]
    Disagrees(Box<Disagreement>),
    /// The evidence cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// Decides every request of the log again, from its start, and compares every record.
///
/// # Errors
/// [`ReperformError::Disagrees`] with the first step that comes out otherwise (never under another release, where
/// differences are the answer); [`ReperformError::Evidence`] where the log cannot be read or folded.
pub fn reperform(
    source: &(dyn Source + Sync),
    options: &ReperformOptions,
) -> Result<ReperformReport, ReperformError> {
    let other = match &options.release {
        Some(dir) => Some(
            Release::from_dir(dir).map_err(|e| EvidenceError::ReleaseDir {
                dir: dir.display().to_string(),
                why: e.to_string(),
            })?,
        ),
        None => None,
    };
    let vault = options.snapshots.as_ref().map(Vault::new);
    let mut performer = Performer {
        other: other.as_ref(),
        pretending: HashMap::new(),
        rerunner: Rerunner::new(vault.as_ref()),
        not_here: BTreeMap::new(),
        report: ReperformReport::default(),
    };
    let threads = options.threads.unwrap_or_else(cores);
    let state = groups(source, threads, &mut |group| performer.group(&group))?;
    let mut report = performer.report;
    // Whether what is not here was erased is known at the log's end.
    for (subject, missed) in performer.not_here {
        if state.erased.contains_key(&subject) {
            report.recommendations_erased += missed;
        } else {
            report.recommendations_not_here += missed;
        }
    }
    Ok(report)
}

/// The submission that a recorded request came as.
pub(crate) fn submission(head: &Record, request: &Request) -> Submission {
    let clock = match &head.body {
        Body::RequestRefused(body) => body.clock,
        _ => None,
    };
    Submission {
        clock: clock.unwrap_or(head.time),
        principal: head.actor.id.clone(),
        credential: head.actor.credential.clone(),
        request: request.clone(),
    }
}

/// Decides a group again by the log's own release.
pub(crate) fn again(
    group: &Group<'_>,
    submission: &Submission,
) -> Result<Vec<Record>, EvidenceError> {
    let release = named(group, submission)?;
    let rules = release.as_deref().map(|r| r as &dyn Rules);
    Ok(decide_with(group.before, rules, submission, group.checked).records)
}

fn named(
    group: &Group<'_>,
    submission: &Submission,
) -> Result<Option<std::rc::Rc<Release>>, EvidenceError> {
    release_for(group.before, &submission.request)
        .filter(|digest| group.before.releases.contains_key(digest))
        .map(|digest| group.library.release(group.before, digest))
        .transpose()
}

struct Performer<'a> {
    other: Option<&'a Release>,
    pretending: HashMap<Digest, Pretend<'a>>,
    rerunner: Rerunner<'a>,
    /// Recommendations that could not be run again for want of snapshots, by data subject.
    not_here: BTreeMap<SubjectId, u64>,
    report: ReperformReport,
}

impl Performer<'_> {
    fn group(&mut self, group: &Group<'_>) -> Result<(), ReperformError> {
        let head = &group.records[0];
        self.report.records += group.records.len() as u64;
        let Some(request) = head.body.request() else {
            // The walk begins a group at every record without a cause; only a request may stand there.
            return Err(EvidenceError::Record {
                seq: head.seq,
                why: "it follows from nothing".to_owned(),
            }
            .into());
        };
        let submission = submission(head, request);
        let records = self.decide(group, &submission)?;
        self.count(group.records);
        if records != group.records {
            self.differ(Disagreement {
                seq: head.seq,
                what: "decision",
                recorded: json!(group.records),
                again: json!(records),
                inputs: json!({
                    "clock": submission.clock,
                    "principal": submission.principal,
                    "credential": submission.credential,
                    "request": submission.request,
                    "records_before": group.before.size,
                    "release": release_for(group.before, &submission.request),
                }),
            })?;
        }
        self.rerun(group, head)
    }

    fn decide(
        &mut self,
        group: &Group<'_>,
        submission: &Submission,
    ) -> Result<Vec<Record>, EvidenceError> {
        let Some(other) = self.other else {
            return again(group, submission);
        };
        let Some(recorded) = named(group, submission)? else {
            return Ok(decide_with(group.before, None, submission, group.checked).records);
        };
        let pretend = self
            .pretending
            .entry(recorded.digest())
            .or_insert_with(|| Pretend::new(other, &recorded));
        let pretend = Some(&*pretend as &dyn Rules);
        Ok(decide_with(group.before, pretend, submission, group.checked).records)
    }

    fn rerun(&mut self, group: &Group<'_>, head: &Record) -> Result<(), ReperformError> {
        let (what, id) = match (&head.body, head.body.request()) {
            (Body::RecommendationMade(_), Some(Request::Recommend(r))) => {
                ("recommendation", &r.case)
            }
            (Body::ClausesRetrieved(_), Some(Request::Retrieve(r))) => ("retrieval", &r.case),
            _ => return Ok(()),
        };
        let Some(case) = case_of(group.before, id) else {
            return Ok(());
        };
        let recorded = group.library.release(group.before, case.release)?;
        let release = self.other.unwrap_or(&recorded);
        let result = match head.body.request() {
            Some(Request::Recommend(r)) => {
                self.rerunner
                    .recommendation(release, &head.actor.id, case, r)?
            }
            Some(Request::Retrieve(r)) => self.rerunner.retrieval(release, r),
            _ => return Ok(()),
        };
        match (what, &result) {
            ("retrieval", _) => self.report.retrievals += 1,
            (_, Rerun::NotHere) => {
                let origin = group.before.origin.as_deref().unwrap_or_default();
                let subject = SubjectId::of(origin, &case.subject);
                *self.not_here.entry(subject).or_default() += 1;
            }
            (_, Rerun::OtherModel) => self.report.recommendations_other += 1,
            _ => self.report.recommendations += 1,
        }
        match result {
            Rerun::Differs(difference) => self.differ(Disagreement {
                seq: head.seq,
                what,
                recorded: difference.recorded,
                again: difference.again,
                inputs: difference.inputs,
            }),
            Rerun::Same | Rerun::NotHere | Rerun::OtherModel => Ok(()),
        }
    }

    fn differ(&mut self, disagreement: Disagreement) -> Result<(), ReperformError> {
        if self.other.is_none() {
            return Err(ReperformError::Disagrees(Box::new(disagreement)));
        }
        self.report.differing += 1;
        if self.report.differences.len() < KEPT {
            self.report.differences.push(disagreement);
        }
        Ok(())
    }

    fn count(&mut self, records: &[Record]) {
        self.report.decisions += 1;
        *self
            .report
            .by_kind
            .entry(records[0].body.kind())
            .or_default() += 1;
        if let Body::RequestRefused(body) = &records[0].body {
            self.report.refusals += 1;
            *self
                .report
                .by_code
                .entry(body.refusal.code.word())
                .or_default() += 1;
        }
        let verdicts = records
            .iter()
            .filter(|r| matches!(r.body, Body::VerdictReached(_)));
        self.report.verdicts += verdicts.count() as u64;
    }
}
