//! Recommending: what an agent must have seen, cited and run on before its words count.

use super::{
    Desk, Place, Ruled,
    cite::{bound, well_cited},
    gather::{ask, known_tool},
    keep::malformed,
    language::as_heard,
};
use crate::{
    canonical::Digest,
    principal::Duty,
    record::RecommendationMade,
    refusal::{Code, Refusal},
    release::Agent,
    request::Recommend,
    state::Case,
};

impl Desk<'_> {
    pub(super) fn recommend(&mut self, request: &Recommend) -> Ruled {
        let id = &request.case;
        let case = self.case(id)?;
        let rules = self.rules_in_force(case)?;
        if !matches!(request.duty, Duty::Prepare | Duty::Review) {
            return Err(malformed("only those who prepare or review recommend"));
        }
        let agent = self.agent(rules, id, case, &[request.duty])?;
        in_turn(case, request)?;
        as_released(case, agent, request)?;
        well_cited(rules, case, agent, request, self.now)?;
        well_informed(case, agent, request)?;
        as_heard(case, agent, request)?;
        if request.confidence > 100 {
            return Err(malformed("confidence is at most 100 percent"));
        }
        let digest = match &request.action {
            Some(action) => {
                known_tool(rules, action)?;
                bound(rules, &ask(&agent.id, action, id, case), request, self.now)?;
                Some(action.digest().map_err(|e| malformed(e.to_string()))?)
            }
            None => None,
        };
        let body = RecommendationMade {
            request: self.request(),
            digest,
        };
        self.write(
            Place::case(id, case),
            Some(request.duty.role()),
            request.clauses.clone(),
            body,
        );
        match &case.prepared {
            Some((_, prepared)) if request.duty == Duty::Review => {
                self.verdict(rules, id, case, prepared, request)
            }
            _ => Ok(()),
        }
    }
}

/// Prepare once, then review once.
fn in_turn(case: &Case, request: &Recommend) -> Ruled {
    let why = match request.duty {
        Duty::Prepare if case.prepared.is_some() => "it was prepared already",
        Duty::Review if case.prepared.is_none() => "nothing is prepared yet",
        Duty::Review if case.reviewed.is_some() => "it was reviewed already",
        _ => return Ok(()),
    };
    Err(Refusal::new(
        Code::WrongState,
        format!("case `{}`: {why}", request.case),
        "each duty recommends once, in its turn",
    ))
}

/// The model and the prompt are those that the release pins.
fn as_released(case: &Case, agent: &Agent, request: &Recommend) -> Ruled {
    if agent.model.as_ref() == Some(&request.model) {
        return match request.prompt {
            Some(prompt) if prompt == agent.prompt => Ok(()),
            None if case.env.simulated() => Ok(()),
            prompt => Err(Refusal::new(
                Code::ModelDrifted,
                format!(
                    "`{}` ran on {}, and the release pins prompt {}",
                    agent.id,
                    prompt.map_or("a prompt it does not name".to_owned(), |p| format!(
                        "prompt {}",
                        p.short()
                    )),
                    agent.prompt.short()
                ),
                "run the pinned prompt and name its digest, or release the new one",
            )),
        };
    }
    Err(Refusal::new(
        Code::ModelDrifted,
        format!(
            "`{}` ran on `{}`, and the release pins `{}`",
            agent.id,
            request.model,
            agent.model.as_deref().unwrap_or("none")
        ),
        "run the pinned model, or release the new one",
    ))
}

/// The inputs are commitments that this case knows, and a reviewer has seen the source itself.
fn well_informed(case: &Case, agent: &Agent, request: &Recommend) -> Ruled {
    let answers: Vec<Digest> = case
        .answers_to(&agent.id)
        .chain(said(case, agent))
        .collect();
    let unknown = request
        .inputs
        .iter()
        .find(|i| **i != case.snapshot && !answers.contains(i));
    if let Some(unknown) = unknown {
        return Err(malformed(format!(
            "input {} is neither the case's source nor an answer that `{}` got in it",
            unknown.short(),
            agent.id
        )));
    }
    if request.duty == Duty::Review && !request.inputs.contains(&case.snapshot) {
        return Err(Refusal::new(
            Code::SourcesMissing,
            "the review does not name the source snapshot among its inputs",
            "review from the source, not from the analyst's words",
        ));
    }
    Ok(())
}

/// What the agent's language model said in the case.
fn said(case: &Case, agent: &Agent) -> impl Iterator<Item = Digest> {
    let own = case.models.iter().filter(|m| m.agent == agent.id);
    own.filter_map(|m| m.answer.as_ref()?.snapshot)
}
