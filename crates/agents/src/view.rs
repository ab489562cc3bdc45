//! What an agent's model is shown: made of a case as the log's state holds it, of what the core refused, and of snapshots. Nothing
//! else goes in, so that whoever holds the log and the snapshots can make it again.

use duty::{
    canonical::Digest,
    name::{CaseId, PrincipalId},
    principal::Duty,
    refusal::{Code, Refusal},
    release::{ClauseRef, Rules},
    request::ModelResult,
    state::{CallAnswer, Case},
};
use policy::Release;
use serde_json::Value;

use crate::model::{Answered, Unusable, View};

/// Whose view it is.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The case's id.
    pub id: &'a CaseId,
    /// The case as it stands.
    pub case: &'a Case,
    /// The release that it falls under.
    pub release: &'a Release,
    /// The agent.
    pub agent: &'a PrincipalId,
    /// What it is to do.
    pub duty: Duty,
}

/// What the core refused in one part, since its runner began. It is in the log as refusals and not as calls, so the model is
/// told of it apart.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// Calls.
    pub calls: Vec<Answered>,
    /// Recommendations: why.
    pub said: Vec<String>,
}

/// The view, where `read` gives the bytes of a snapshot.
///
/// # Errors
/// What `read` says.
pub fn view<E>(
    place: &Place<'_>,
    refused: &Refused,
    read: &dyn Fn(&Digest) -> Result<Vec<u8>, E>,
) -> Result<View, E> {
    let Place {
        id,
        case,
        release,
        agent,
        duty,
    } = *place;
    let mut answers = Vec::new();
    for call in case.calls.iter().filter(|c| c.agent == *agent) {
        let answer = match &call.answer {
            None => continue,
            Some(CallAnswer::Problem(why)) => Err(why.clone()),
            Some(CallAnswer::Snapshot(digest)) => {
                serde_json::from_slice::<Value>(&read(digest)?).map_err(|e| e.to_string())
            }
        };
        answers.push(Answered {
            action: call.action.clone(),
            answer,
        });
    }
    answers.extend_from_slice(&refused.calls);
    let mut unusable = unusable(case, agent, read)?;
    unusable.extend(refused.said.iter().map(|why| Unusable {
        said: Vec::new(),
        why: why.clone(),
    }));
    let plan = release.agent(agent);
    Ok(View {
        case: id.clone(),
        environment: case.env.clone(),
        duty,
        prompt: plan.map(|p| p.prompt.clone()).unwrap_or_default(),
        subject: case.subject.clone(),
        source: read(&case.snapshot)?,
        answers,
        found: found(case, release, agent),
        proposal: match duty {
            Duty::Review => case.prepared.as_ref().map(|(_, said)| said.clone()),
            Duty::Prepare | Duty::Approve | Duty::Execute => None,
        },
        unusable,
        attempt: next_attempt(case, agent),
    })
}

/// Whether a language model may say otherwise what was refused: what it cites is its own to mend, and it is told what was
/// wrong.
pub(crate) fn may_say_again(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Code::BadCitation | Code::NotPermitted | Code::Malformed
    )
}

/// What the agent's model said in the case that could not be used.
fn unusable<E>(
    case: &Case,
    agent: &PrincipalId,
    read: &dyn Fn(&Digest) -> Result<Vec<u8>, E>,
) -> Result<Vec<Unusable>, E> {
    let own = case.models.iter().filter(|m| m.agent == *agent);
    let heard = own.filter_map(|m| m.answer.as_ref());
    let unusable = heard.filter(|a| a.result == ModelResult::Malformed);
    unusable
        .map(|a| {
            Ok(Unusable {
                said: a
                    .snapshot
                    .as_ref()
                    .map(read)
                    .transpose()?
                    .unwrap_or_default(),
                why: a.problem.clone().unwrap_or_default(),
            })
        })
        .collect()
}

/// The how manieth time an agent's model is asked the same, when it is asked next.
fn next_attempt(case: &Case, agent: &PrincipalId) -> u32 {
    let last = case.models.iter().rfind(|m| m.agent == *agent);
    let failed = last.filter(|m| m.answer.as_ref().is_some_and(|a| a.result.failed()));
    failed.map_or(1, |m| m.attempt.saturating_add(1))
}

fn found(case: &Case, release: &Release, agent: &PrincipalId) -> Vec<(String, Vec<ClauseRef>)> {
    let own = case.retrieved.get(agent).into_iter().flatten();
    own.map(|retrieval| {
        let clauses = retrieval
            .clauses
            .iter()
            .filter_map(|id| release.clause(id, retrieval.at).cloned());
        (retrieval.query.clone(), clauses.collect())
    })
    .collect()
}
