//! What a route does, and what it answers: carried out now, or told again from the log.

use std::sync::Arc;

use duty::{
    action::Action,
    name::{CaseId, Environment, ItemId},
    record::{Body, CaseOutcome, Record, Route},
    request::{FoundBy, OpenCase, Outcome, Request},
    time::Time,
};
use engine::{Begun, Engine, EngineError, Seat};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{problem::Problem, shape};
use crate::feed;

/// What a route does.
#[derive(Clone)]
pub(super) enum Act {
    /// Has a request decided.
    Submit(Box<Request>),
    /// Calls a tool without effect.
    Call { case: CaseId, action: Action },
    /// Looks for clauses.
    Retrieve { case: CaseId, query: String },
    /// Uses a grant.
    Use { grant: ItemId, action: Action },
    /// Reports what came of a grant.
    Report {
        grant: ItemId,
        outcome: Outcome,
        detail: String,
        result: Option<Value>,
    },
    /// Opens a case over its source.
    Open {
        case: CaseId,
        environment: Environment,
        subject: String,
        source: Vec<u8>,
    },
}

/// What was decided.
#[derive(Serialize, JsonSchema)]
pub(super) struct Decided {
    /// The number of the first record.
    record: u64,
    /// The case.
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    /// Where the verdict sends the case, where there is one: `threshold`, `approval`, `refused` or `referred`.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// The risk tier that the verdict found.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// The request for approval that waits now.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The grant that was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// How the case ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// The records, in order.
    #[schemars(with = "Vec<shape::Record>")]
    records: Vec<Value>,
}

/// What came of a call.
#[derive(Serialize, JsonSchema)]
pub(super) struct CallAnswer {
    /// The call.
    call: String,
    /// The tool's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Commitment to the answer: an input to name in a recommendation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Sha256>")]
    snapshot: Option<String>,
}

/// What retrieval found.
#[derive(Serialize, JsonSchema)]
pub(super) struct Found {
    /// Best first.
    ranking: Vec<FoundClause>,
}

#[derive(Serialize, JsonSchema)]
struct FoundClause {
    /// The clause, to be cited as it is.
    #[schemars(with = "shape::Clause")]
    clause: Value,
    /// Its score in thousandths; larger is better.
    score_milli: i64,
}

/// What became of a grant that was used.
#[derive(Serialize, JsonSchema)]
pub(super) struct Used {
    /// The grant; also the idempotency key for the target.
    grant: String,
    /// Whether whoever used the grant carries the action out now, and reports.
    carry_out: bool,
    /// By when it must have reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Moment>")]
    report_by: Option<Time>,
    /// Whether effects are simulated, so that nothing was done and nothing is to be.
    simulated: bool,
    /// What came of it, where the engine carried it out: `succeeded`, `failed` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// The target's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Act {
    /// Carries it out.
    pub(super) async fn perform(self, engine: &Arc<Engine>, seat: &Seat) -> Result<Value, Problem> {
        match self {
            Self::Submit(request) => Ok(decided(&engine.submit(seat, *request).await?)),
            Self::Open {
                case,
                environment,
                subject,
                source,
            } => {
                let request = Request::OpenCase(OpenCase {
                    case,
                    environment,
                    snapshot: engine.keep(&subject, source).await?,
                    subject,
                });
                Ok(decided(&engine.submit(seat, request).await?))
            }
            Self::Call { case, action } => {
                let called = engine.call(seat, &case, action).await?;
                let (answer, problem) = match called.answer {
                    Ok(value) => (Some(value), None),
                    Err(problem) => (None, Some(problem)),
                };
                Ok(json!(CallAnswer {
                    call: called.call.to_string(),
                    answer,
                    problem,
                    snapshot: called.snapshot.map(|s| s.to_string()),
                }))
            }
            Self::Retrieve { case, query } => {
                Ok(json!({"ranking": engine.retrieve(seat, &case, &query).await?}))
            }
            Self::Use { grant, action } => {
                let begun = engine.begin(seat, &grant, action).await?;
                Ok(json!(used(&grant, begun)))
            }
            Self::Report {
                grant,
                outcome,
                detail,
                result,
            } => {
                let records = engine
                    .report(seat, &grant, outcome, &detail, result.as_ref())
                    .await?;
                Ok(decided(&records))
            }
        }
    }

    /// Whether a record is the first of what came of this, asked by `seat`.
    fn began(&self, seat: &Seat, record: &Record) -> bool {
        let Some(request) = record.body.request() else {
            return false;
        };
        if record.actor.id != seat.principal || record.actor.credential != seat.credential {
            return false;
        }
        match (self, request) {
            (Self::Submit(asked), request) => **asked == *request,
            (Self::Open { case, .. }, Request::OpenCase(r)) => r.case == *case,
            (Self::Call { case, action }, Request::Call(r)) => {
                r.case == *case && r.action == *action
            }
            (Self::Retrieve { case, query }, Request::Retrieve(r)) => {
                r.case == *case && r.query == *query
            }
            (Self::Use { grant, action }, Request::UseGrant(r)) => {
                r.grant == *grant && r.action == *action
            }
            (Self::Report { grant, outcome, .. }, Request::RecordOutcome(r)) => {
                r.grant == *grant && r.outcome == *outcome && r.found_by == FoundBy::Caller
            }
            _ => false,
        }
    }

    /// What came of this before, from the log after `since`; none where the log knows of nothing.
    pub(super) async fn recall(
        &self,
        engine: &Arc<Engine>,
        seat: &Seat,
        since: u64,
    ) -> Result<Option<Result<Value, Problem>>, Problem> {
        let (act, who) = (self.clone(), seat.clone());
        let group = feed::each(
            engine,
            since,
            Vec::new(),
            move |group: &mut Vec<Record>, r| match group.first() {
                None => {
                    if act.began(&who, r) {
                        group.push(r.clone());
                    }
                    true
                }
                Some(first) => {
                    let of_it = r.cause == Some(first.seq);
                    if of_it {
                        group.push(r.clone());
                    }
                    of_it
                }
            },
        );
        let group = group.await.map_err(Problem::unavailable)?;
        let Some(first) = group.first() else {
            return Ok(None);
        };
        if let Body::RequestRefused(b) = &first.body {
            return Ok(Some(Err(Problem::refused(&b.refusal))));
        }
        let told = match (self, &first.body) {
            (Self::Call { .. }, Body::CallPermitted(b)) => {
                answered(engine, first.seq, &b.call).await?
            }
            (Self::Retrieve { .. }, Body::ClausesRetrieved(b)) => match &b.request {
                Request::Retrieve(r) => json!({"ranking": r.ranking}),
                _ => Value::Null,
            },
            (Self::Use { grant, .. }, Body::GrantUsed(b)) => {
                let begun = match (b.simulated, b.report_by) {
                    (true, _) => Begun::Simulated,
                    (false, Some(report_by)) => Begun::Go { report_by },
                    (false, None) => Begun::Done(ended(engine, first.seq, grant).await?),
                };
                json!(used(grant, begun))
            }
            _ => decided(&group),
        };
        Ok(Some(Ok(told)))
    }
}

/// What was decided, with what a caller goes on with.
fn decided(records: &[Record]) -> Value {
    let mut decided = Decided {
        record: records.first().map_or(0, |r| r.seq),
        case: records
            .first()
            .and_then(|r| r.case.as_ref().map(ToString::to_string)),
        route: None,
        tier: None,
        approval: None,
        grant: None,
        ended: None,
        records: records.iter().map(|r| json!(r)).collect(),
    };
    for record in records {
        match &record.body {
            Body::VerdictReached(b) => {
                decided.route = Some(Route::word(b.route).to_owned());
                decided.tier = b.tier.map(|t| t.word().to_owned());
            }
            Body::ApprovalRequested(b) => decided.approval = Some(b.approval.to_string()),
            Body::GrantIssued(b) => decided.grant = Some(b.grant.to_string()),
            Body::CaseClosed(b) => {
                decided.ended = Some(CaseOutcome::word(b.outcome).to_owned());
            }
            _ => {}
        }
    }
    json!(decided)
}

fn used(grant: &ItemId, begun: Begun) -> Used {
    let mut used = Used {
        grant: grant.to_string(),
        carry_out: false,
        report_by: None,
        simulated: false,
        outcome: None,
        detail: None,
    };
    match begun {
        Begun::Go { report_by } => {
            used.carry_out = true;
            used.report_by = Some(report_by);
        }
        Begun::Simulated => {
            used.simulated = true;
            used.outcome = Some(Outcome::Succeeded.word().to_owned());
            used.detail = Some("simulated: no target was called".to_owned());
        }
        Begun::Done(done) => {
            used.outcome = Some(done.outcome.word().to_owned());
            used.detail = Some(done.detail);
        }
    }
    used
}

/// The answer to a call as it was recorded; asked for anew where a crash left it open.
async fn answered(engine: &Arc<Engine>, since: u64, call: &ItemId) -> Result<Value, Problem> {
    let of = call.clone();
    let found = feed::each(engine, since, None, move |found, r| {
        if let Body::CallAnswered(b) = &r.body
            && let Request::Answer(answer) = &b.request
            && answer.call == of
        {
            *found = Some((answer.snapshot, answer.problem.clone()));
        }
        found.is_none()
    });
    let (snapshot, problem) = match found.await.map_err(Problem::unavailable)? {
        Some(found) => found,
        None => {
            let called = engine.answer_call(call).await?;
            (called.snapshot, called.answer.err())
        }
    };
    let answer = match snapshot {
        Some(digest) => {
            let kept = engine.snapshots().get(digest.as_bytes());
            let bytes = kept.map_err(EngineError::from)?;
            bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        }
        None => None,
    };
    Ok(json!(CallAnswer {
        call: call.to_string(),
        answer,
        problem,
        snapshot: snapshot.map(|s| s.to_string()),
    }))
}

/// The outcome of a grant as it was recorded.
async fn ended(
    engine: &Arc<Engine>,
    since: u64,
    grant: &ItemId,
) -> Result<engine::Executed, Problem> {
    let of = grant.clone();
    let found = feed::each(engine, since, None, move |found, r| {
        if let Body::OutcomeRecorded(b) = &r.body
            && let Request::RecordOutcome(outcome) = &b.request
            && outcome.grant == of
        {
            *found = Some(engine::Executed {
                outcome: outcome.outcome,
                detail: outcome.detail.clone(),
                answer: None,
            });
        }
        found.is_none()
    });
    let found = found.await.map_err(Problem::unavailable)?;
    found.ok_or_else(|| {
        Problem::unavailable(format!(
            "what came of `{grant}` is not in the log yet; come again"
        ))
        .after(1)
    })
}
