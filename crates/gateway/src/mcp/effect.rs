//! A call with an effect, through the duties: prepared by its caller, reviewed and executed by the rest of the team.
//!
//! One call runs once: the same call that comes while it runs waits for the same answer, and one that comes before its answer
//! was told is told what became of it.
//!
//! Its steps are taken ahead, and the disk is waited for twice: by the executor, before the effect, and for the outcome, before
//! the answer.

use std::sync::Arc;

use duty::{
    canonical::Digest,
    name::{CaseId, PrincipalId},
    principal::Duty,
    record::{Body, CaseOutcome, Record},
    release::{Ask, ClauseRef, Permission, Rules},
    request::{Call, Outcome, Recommend, Request, Stance},
    state::Case,
};
use engine::{Ahead, EngineError, Executed};
use serde_json::{Value, json};

use super::{
    Gate, Hand, Moved,
    call::{Answered, Asked},
    caller::Caller,
    held::{Begun, Key},
    reply::{Reply, Waits},
};
use crate::feed;

/// What a recommendation says where the agent gives no reason of its own.
const RATIONALE: &str = "The agent called the tool through MCP and gave no reason.";

/// Takes a call through the duties; joins the same call where it is under way. It goes on where the client goes away.
pub(super) async fn through(gate: &Arc<Gate>, caller: &Caller, asked: Asked) -> Answered {
    let action = match asked.action.digest() {
        Ok(digest) => digest,
        Err(e) => return (Reply::Failed(e.to_string()), None),
    };
    let key = Key {
        agent: caller.seat.principal.clone(),
        environment: caller.environment.clone(),
        action,
    };
    let answered = gate.flights.join(&key, || {
        let (gate, caller, key) = (Arc::clone(gate), caller.clone(), key.clone());
        async move { run(&gate, &caller, &asked, &key).await }
    });
    let Some((reply, case)) = answered.await else {
        return (Reply::Unavailable("the call ended badly".to_owned()), None);
    };
    // Told now: the same call is another one from here on.
    if let (true, Some(case)) = (reply.is_final(), &case) {
        gate.held.told_in(&key.agent, &key.environment, case);
    }
    (reply, case)
}

async fn run(gate: &Gate, caller: &Caller, asked: &Asked, key: &Key) -> Answered {
    let mut ahead = Ahead::default();
    let (reply, case) = attempt(gate, caller, asked, key, &mut ahead).await;
    (durable(gate, ahead, reply).await, case)
}

/// A reply that may be told: what it rests on is durable.
pub(super) async fn durable(gate: &Gate, ahead: Ahead, reply: Reply) -> Reply {
    let reply = ahead.with(reply).durable(&gate.engine).await;
    reply.unwrap_or_else(Reply::from)
}

async fn attempt(
    gate: &Gate,
    caller: &Caller,
    asked: &Asked,
    key: &Key,
    ahead: &mut Ahead,
) -> Answered {
    if let Some(begun) = gate.held.find(key) {
        if let Some(reply) = resume(gate, &begun, ahead).await {
            return (reply, Some(begun.case));
        }
        // Its case may be one that a crash took before it was durable: then it must not be found again.
        gate.held.told_in(&key.agent, &key.environment, &begun.case);
    }
    let (case, _alone) = match &asked.case {
        Some(case) => (case.clone(), None),
        None => match gate.lanes.take(caller, &asked.source(), ahead).await {
            Ok((case, alone)) => (case, Some(alone)),
            Err(reply) => return (reply, None),
        },
    };
    let reply = begin(gate, caller, asked, key, &case, ahead).await;
    if asked.case.is_none() && stands_open(gate, &case) {
        gate.lanes.give_back(caller, &asked.source(), &case).await;
    }
    (reply, Some(case))
}

fn stands_open(gate: &Gate, case: &CaseId) -> bool {
    gate.engine.read(|state| {
        let case = state.cases.get(case);
        case.is_some_and(|case| case.prepared.is_none())
    })
}

async fn begin(
    gate: &Gate,
    caller: &Caller,
    asked: &Asked,
    key: &Key,
    case: &CaseId,
    ahead: &mut Ahead,
) -> Reply {
    let Some(hand) = gate.team.hold(case) else {
        return Reply::Unavailable(format!("case `{case}` is in other hands; try again"));
    };
    let begun = Begun {
        case: case.clone(),
        since: gate.engine.read(|state| state.size),
    };
    if let Err(why) = gate.held.note(key, &begun) {
        return Reply::Unavailable(why);
    }
    if let Err(e) = prepare(gate, caller, asked, case, ahead).await {
        return e.into();
    }
    advance(gate, &*hand, case, ahead).await
}

/// The caller's own part: what the release binds to the action is found, cited, and the action recommended.
async fn prepare(
    gate: &Gate,
    caller: &Caller,
    asked: &Asked,
    case: &CaseId,
    ahead: &mut Ahead,
) -> Result<(), EngineError> {
    let (engine, seat) = (&gate.engine, &caller.seat);
    let agent = &seat.principal;
    let standing = engine.read(|state| state.cases.get(case).map(|c| Standing::of(c, caller)));
    let bound = standing.as_ref().map(|standing| {
        let ask = Ask {
            principal: agent,
            action: &asked.action,
            case: case.as_str(),
            subject: &standing.subject,
            environment: &caller.environment,
            facts: &standing.facts,
        };
        let permitted = matches!(caller.release.permission(&ask), Permission::Allow(_));
        permitted.then(|| caller.release.bound(&ask))
    });
    let (Some(standing), Some(Some(bound))) = (standing, bound) else {
        // The core says why, and the log has it.
        let attempt = Request::Call(Call {
            case: case.clone(),
            action: asked.action.clone(),
            described: None,
        });
        engine.submit(seat, attempt).await?;
        return Err(EngineError::NoTarget(asked.action.tool.clone()));
    };
    let query = asked.action.tool.replace(['.', '_', '-'], " ");
    let found = engine.retrieve_ahead(seat, case, &query).await?.onto(ahead);
    let is_bound = |clause: &ClauseRef| {
        let mut bound = bound.iter().filter_map(|hit| hit.clause.as_deref());
        bound.any(|id| id == clause.id)
    };
    let found = found.into_iter().map(|ranked| ranked.clause);
    let plan = caller.release.team().agent(agent);
    let request = Request::Recommend(Recommend {
        case: case.clone(),
        duty: Duty::Prepare,
        stance: Stance::Proceed,
        action: Some(asked.action.clone()),
        confidence: asked.confidence.unwrap_or(100),
        rationale: asked
            .rationale
            .clone()
            .unwrap_or_else(|| RATIONALE.to_owned()),
        clauses: found.filter(is_bound).collect(),
        quotes: Vec::new(),
        model: plan.and_then(|plan| plan.model.clone()).unwrap_or_default(),
        prompt: plan.map(|plan| plan.prompt),
        row: None,
        inputs: standing.inputs,
    });
    engine.submit_ahead(seat, request).await?.onto(ahead);
    Ok(())
}

/// What the caller knows of its case.
struct Standing {
    subject: String,
    facts: duty::facts::Facts,
    inputs: Vec<Digest>,
}

impl Standing {
    fn of(case: &Case, caller: &Caller) -> Self {
        Self {
            subject: case.subject.clone(),
            facts: case.facts.clone(),
            inputs: seen(case, &caller.seat.principal),
        }
    }
}

/// A recommendation names so many answers at most, the last ones: it must fit into a record.
const MOST_INPUTS: usize = 256;

/// Commitments to the case's source, and to the answers that the agent got in it last.
pub(super) fn seen(case: &Case, agent: &PrincipalId) -> Vec<Digest> {
    let mut seen: Vec<_> = case.answers_to(agent).rev().take(MOST_INPUTS).collect();
    seen.push(case.snapshot);
    seen.reverse();
    seen
}

/// Lets the team go on with a case in hand, and says where that leads.
pub(super) async fn advance(
    gate: &Gate,
    hand: &dyn Hand,
    case: &CaseId,
    ahead: &mut Ahead,
) -> Reply {
    match hand.advance().await.map(|moved| moved.onto(ahead)) {
        Err(why) => Reply::Unavailable(why),
        Ok(Moved {
            executed: Some(executed),
            ..
        }) => of_execution(executed),
        Ok(Moved { decided, .. }) => match of_verdict(&decided) {
            Some(reply) => reply,
            None => waits(gate, case, ahead).unwrap_or_else(|| {
                Reply::Unavailable(format!("case `{case}` ended meanwhile; call again"))
            }),
        },
    }
}

pub(super) fn of_execution(executed: Executed) -> Reply {
    match executed.outcome {
        Outcome::Succeeded => Reply::Done(
            executed
                .answer
                .unwrap_or_else(|| json!({"status": "done", "detail": executed.detail})),
        ),
        Outcome::Failed => Reply::Failed(executed.detail),
        Outcome::Unknown => Reply::Unknown(executed.detail),
    }
}

/// How the verdict ended the case, where it did.
pub(super) fn of_verdict(decided: &[Record]) -> Option<Reply> {
    decided.iter().find_map(|record| match &record.body {
        Body::CaseClosed(closed) => Some(Reply::Ended(closed.outcome.word(), closed.why.clone())),
        _ => None,
    })
}

/// What a case that is under way waits for; none where it ended.
fn waits(gate: &Gate, id: &CaseId, ahead: &mut Ahead) -> Option<Reply> {
    let found = gate.engine.look(|state| {
        let case = state.cases.get(id)?;
        if case.outcome == Some(Outcome::Unknown) {
            return Some(Reply::Unknown("the target's answer was lost".to_owned()));
        }
        let status = match case.stage() {
            "waiting" => "pending_approval",
            "granted" | "executing" => "pending_execution",
            _ => "pending_review",
        };
        let approval = case.approval.as_ref();
        Some(Reply::Waits(Waits {
            status,
            case: id.clone(),
            approval: approval.map(|approval| approval.id.clone()),
            expires: match &case.grant {
                Some(grant) => Some(grant.expires),
                None => approval.map(|approval| approval.expires),
            },
        }))
    });
    found.onto(ahead)
}

/// What became of a call that was begun before; none where nothing did, so that it begins anew.
pub(super) async fn resume(gate: &Gate, begun: &Begun, ahead: &mut Ahead) -> Option<Reply> {
    let case = &begun.case;
    let stage = gate
        .engine
        .read(|state| state.cases.get(case).map(|case| case.stage()));
    match stage {
        Some("open") => None,
        Some("prepared" | "granted") => {
            let Some(hand) = gate.team.hold(case) else {
                return waits(gate, case, ahead);
            };
            Some(advance(gate, &*hand, case, ahead).await)
        }
        Some(_) => waits(gate, case, ahead),
        None => {
            let ended = gate.engine.read(|state| state.closed.get(case).copied())?;
            Some(ending(gate, begun, ended).await)
        }
    }
}

/// How a case ended, from the log.
async fn ending(gate: &Gate, begun: &Begun, ended: CaseOutcome) -> Reply {
    let case = begun.case.clone();
    let last = Last::default();
    let read = feed::each(
        &gate.engine,
        begun.since,
        last,
        move |last: &mut Last, r| {
            if r.case.as_ref() == Some(&case) {
                match &r.body {
                    Body::OutcomeRecorded(b) => {
                        if let Request::RecordOutcome(outcome) = &b.request {
                            last.detail.clone_from(&outcome.detail);
                            last.snapshot = outcome.snapshot;
                        }
                    }
                    Body::CaseClosed(b) => last.why = Some(b.why.clone()),
                    _ => {}
                }
            }
            last.why.is_none()
        },
    );
    let last = match read.await {
        Ok(last) => last,
        Err(why) => return Reply::Unavailable(why),
    };
    let Some(why) = last.why else {
        return Reply::Unavailable(format!(
            "how case `{}` ended is not in the log where it was looked for; call again",
            begun.case
        ));
    };
    match ended {
        CaseOutcome::Executed => match answer_of(gate, last.snapshot) {
            Ok(answer) => Reply::Done(
                answer.unwrap_or_else(|| json!({"status": "done", "detail": last.detail})),
            ),
            Err(why) => Reply::Unavailable(why),
        },
        CaseOutcome::Failed => Reply::Failed(last.detail),
        other => Reply::Ended(other.word(), why),
    }
}

/// What the log says last of a case.
#[derive(Default)]
struct Last {
    detail: String,
    snapshot: Option<Digest>,
    why: Option<String>,
}

fn answer_of(gate: &Gate, snapshot: Option<Digest>) -> Result<Option<Value>, String> {
    let Some(digest) = snapshot else {
        return Ok(None);
    };
    let kept = gate.engine.snapshots().get(digest.as_bytes());
    let bytes = kept.map_err(|e| e.to_string())?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
