//! Records into events.

use std::collections::BTreeMap;

use duty::{
    record::{Body, Record},
    request::Request,
    statement::{Signed, Statement},
};

use super::{Event, Signature, Teller, What};
use crate::describe;

impl Teller<'_> {
    pub(super) fn event(&self, record: &Record) -> Event {
        Event {
            seq: record.seq,
            time: record.time,
            kind: record.body.kind(),
            actor: record.actor.id.clone(),
            role: record.actor.role.map(|r| r.word()),
            owner: record.actor.owner.clone(),
            clauses: record.clauses.iter().map(|c| c.id.clone()).collect(),
            text: describe(record),
            what: self.what(record),
        }
    }

    /// Whether a signature is that of the key which the log records for the signer.
    pub(super) fn signature<T: Statement>(&self, record: &Record, signed: &Signed<T>) -> Signature {
        let s = &signed.statement;
        let key = self.keys.get(&(s.signer().clone(), s.credential().clone()));
        Signature {
            signer: s.signer().clone(),
            credential: s.credential().clone(),
            time: record.time,
            seq: record.seq,
            verified: s.typed() && key.is_some_and(|key| signed.verify(key).is_ok()),
        }
    }

    fn what(&self, record: &Record) -> What {
        match (&record.body, record.body.request()) {
            (Body::RequestRefused(b), _) => What::Refused {
                code: b.refusal.code.word(),
                why: b.refusal.why.clone(),
                remedy: b.refusal.remedy.clone(),
            },
            (_, Some(request)) => self.asked(record, request),
            (Body::VerdictReached(b), None) => What::Judged {
                tier: b.tier.map(|t| t.word()),
                route: b.route.word(),
                reasons: b.reasons.clone(),
            },
            (Body::ThresholdApplied(b), None) => What::Covered {
                threshold: b.threshold.to_string(),
                digest: b.digest,
                signed_by: self
                    .thresholds
                    .get(&(b.threshold.to_string(), b.digest))
                    .into_iter()
                    .flatten()
                    .filter(|s| s.seq < record.seq)
                    .cloned()
                    .collect(),
                amount: b.amount,
                unit: b.unit,
                key: b.key.clone(),
                used: b.used.all_sum,
            },
            (Body::ApprovalRequested(b), None) => What::Asked {
                approval: b.approval.clone(),
                humans: b.humans,
                expires: b.expires,
            },
            (Body::GrantIssued(b), None) => What::Granted {
                grant: b.grant.clone(),
                basis: b.basis.clone(),
                expires: b.expires,
            },
            _ => What::Noted,
        }
    }

    fn asked(&self, record: &Record, request: &Request) -> What {
        match (&record.body, request) {
            (Body::CaseOpened(_), Request::OpenCase(r)) => What::Opened {
                snapshot: r.snapshot,
            },
            (Body::CallPermitted(b), Request::Call(r)) => What::Called {
                call: b.call.clone(),
                action: r.action.clone(),
                rule: b.rule.clone(),
            },
            (Body::CallAnswered(_), Request::Answer(r)) => What::Answered {
                call: r.call.clone(),
                snapshot: r.snapshot,
                facts: r
                    .facts
                    .iter()
                    .flat_map(|(namespace, fields)| {
                        fields.iter().map(move |(field, value)| {
                            (format!("{namespace}.{field}"), value.to_string())
                        })
                    })
                    .collect::<BTreeMap<_, _>>(),
                problem: r.problem.clone(),
            },
            (Body::ClausesRetrieved(_), Request::Retrieve(r)) => What::Retrieved {
                query: r.query.clone(),
                found: r
                    .ranking
                    .iter()
                    .map(|c| (c.clause.id.clone(), c.score_milli))
                    .collect(),
            },
            (Body::RecommendationMade(b), Request::Recommend(r)) => What::Recommended {
                duty: r.duty,
                stance: r.stance,
                confidence: r.confidence,
                rationale: r.rationale.clone(),
                model: r.model.clone(),
                row: r.row.clone(),
                action: r.action.clone(),
                digest: b.digest,
                inputs: r.inputs.clone(),
            },
            (Body::ApprovalGiven(_), Request::Approve(r)) => What::Signed {
                approval: r.statement.approval.clone(),
                decision: r.statement.decision,
                overrides: r.statement.overrides,
                reason: r.statement.reason.clone(),
                signature: self.signature(record, r),
            },
            (Body::GrantUsed(b), Request::UseGrant(r)) => What::Executed {
                grant: r.grant.clone(),
                action: r.action.clone(),
                rule: b.rule.clone(),
            },
            (Body::OutcomeRecorded(_), Request::RecordOutcome(r)) => What::Resulted {
                outcome: r.outcome.word(),
                detail: r.detail.clone(),
                snapshot: r.snapshot,
            },
            _ => What::Noted,
        }
    }
}
