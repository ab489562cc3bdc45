//! Language models: whether an agent's model may be asked now, and what its answer is good for.

use super::{Desk, Place, Ruled, gather::may_read, keep::malformed};
use crate::{
    canonical::Digest,
    fold::model_index,
    freeze::Step,
    language::{Language, Spent, reserve},
    name::{CaseId, ItemId},
    principal::{Duty, Role},
    record::{ExceptionSort, ModelAnswered, ModelCalled},
    refusal::{Code, Refusal},
    release::Agent,
    request::{AnswerModel, CallModel, ModelResult, Recommend, Stance},
    state::Case,
};

impl Desk<'_> {
    pub(super) fn call_model(&mut self, request: &CallModel) -> Ruled {
        let id = &request.case;
        let case = self.case(id)?;
        let rules = self.rules_in_force(case)?;
        let agent = self.agent(rules, id, case, &[Duty::Prepare, Duty::Review])?;
        self.not_frozen(Step {
            team: Some(rules.team()),
            agent: Some(&agent.id),
            tool: None,
        })?;
        let language = agent.language.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::NotPermitted,
                format!("the release gives `{}` no language model", agent.id),
                "let it run on the model of the release",
            )
        })?;
        if !may_read(case, agent.duty) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("it is not the turn of `{}` in case `{id}`", agent.id),
                "prepare asks its model before it recommends, review after that",
            ));
        }
        as_pinned(agent, language, request)?;
        in_order(case, agent, language, request)?;
        self.within_budget(case, agent, language, request)?;
        let body = ModelCalled {
            request: self.request(),
            call: next_model(id, case),
            max_tokens: language.max_tokens,
        };
        self.write(
            Place::case(id, case),
            Some(agent.duty.role()),
            Vec::new(),
            body,
        );
        Ok(())
    }

    pub(super) fn answer_model(&mut self, request: &AnswerModel) -> Ruled {
        self.holds(Role::Service)?;
        let (id, case) = self.item_case(&request.call)?;
        let call = model_index(&request.call)
            .and_then(|i| case.models.get(i))
            .ok_or_else(|| {
                Refusal::new(
                    Code::WrongState,
                    format!("there is no call of a model `{}`", request.call),
                    "name a call that was recorded",
                )
            })?;
        if call.answer.is_some() {
            return Err(Refusal::new(
                Code::Replayed,
                format!("`{}` was answered already", request.call),
                "make another call",
            ));
        }
        let said = matches!(request.result, ModelResult::Usable | ModelResult::Malformed);
        if said && request.snapshot.is_none() {
            return Err(malformed("what a model said is a snapshot"));
        }
        if (request.result == ModelResult::Usable) == request.problem.is_some() {
            return Err(malformed(
                "an answer is usable, or has a problem: one of the two",
            ));
        }
        let rules = self.rules(case.release)?;
        let language = rules
            .team()
            .agent(&call.agent)
            .and_then(|a| a.language.as_ref())
            .ok_or_else(|| {
                Refusal::new(
                    Code::PolicyMissing,
                    format!("the release gives `{}` no language model", call.agent),
                    "restore the release's files from the log",
                )
            })?;
        let drift = said.then(|| drift(language, request)).flatten();
        let body = ModelAnswered {
            request: self.request(),
            drift: drift.clone(),
        };
        self.write(
            Place::case(&id, case),
            Some(Role::Service),
            Vec::new(),
            body,
        );
        if let Some(text) = drift {
            let text = format!("{}: {text}", call.agent);
            self.raise_in(&id, case, ExceptionSort::ModelDrifted, text);
        }
        Ok(())
    }

    fn within_budget(
        &self,
        case: &Case,
        agent: &Agent,
        language: &Language,
        request: &CallModel,
    ) -> Ruled {
        let more = reserve(language.max_tokens, request.bytes);
        let own = case.models.iter().filter(|m| m.agent == agent.id);
        let (mut calls, mut tokens) = (0_u32, 0_u64);
        for call in own {
            calls = calls.saturating_add(1);
            tokens = tokens.saturating_add(call.counts());
        }
        let spent = self.state.spent.get(&case.env);
        let spent = spent.and_then(|s| s.get(&agent.id)).copied();
        let day = spent.unwrap_or_default().on(Spent::day_of(self.now));
        let budget = &language.budget;
        let over = |what: &str, used: u64, more: u64, most: Option<u64>| {
            let most = most.filter(|most| used.saturating_add(more) > *most)?;
            Some(Refusal::new(
                Code::OverBudget,
                format!(
                    "`{}` has used {used} of {most} {what}, and this call may take {more}",
                    agent.id
                ),
                "let a human decide the case, or release a larger budget",
            ))
        };
        let count = |most: Option<u32>| most.map(u64::from);
        let refusal = over(
            "calls in this case",
            calls.into(),
            1,
            count(budget.case_calls),
        )
        .or_else(|| over("tokens in this case", tokens, more, budget.case_tokens))
        .or_else(|| over("calls today", day.calls.into(), 1, count(budget.day_calls)))
        .or_else(|| over("tokens today", day.tokens, more, budget.day_tokens));
        refusal.map_or(Ok(()), Err)
    }
}

/// Model, prompt and parameters are those of the release (CHG-01).
fn as_pinned(agent: &Agent, language: &Language, request: &CallModel) -> Ruled {
    let drifted = |what: &str| {
        Err(Refusal::new(
            Code::ModelDrifted,
            format!("`{}` asks {what} that the release does not pin", agent.id),
            "ask as the release says, or release the change",
        ))
    };
    if agent.model.as_ref() != Some(&request.model) {
        return drifted(&format!("a model `{}`", request.model));
    }
    if request.prompt != agent.prompt {
        return drifted(&format!("with a prompt {}", request.prompt.short()));
    }
    if request.parameters != language.parameters {
        return drifted(&format!("with parameters `{}`", request.parameters));
    }
    Ok(())
}

/// One call at a time, and the same question again only as often as the release says.
fn in_order(case: &Case, agent: &Agent, language: &Language, request: &CallModel) -> Ruled {
    let last = case.models.iter().rfind(|m| m.agent == agent.id);
    if last.is_some_and(|m| m.answer.is_none()) {
        return Err(Refusal::new(
            Code::WrongState,
            format!("the last call of `{}` has no answer yet", agent.id),
            "record what came of it first",
        ));
    }
    let failed = last.filter(|m| m.answer.as_ref().is_some_and(|a| a.result.failed()));
    let attempt = failed.map_or(1, |m| m.attempt.saturating_add(1));
    if request.attempt != attempt {
        return Err(malformed(format!(
            "this is attempt {attempt}, not {}",
            request.attempt
        )));
    }
    if attempt > language.attempts {
        return Err(Refusal::new(
            Code::OverBudget,
            format!(
                "the model of `{}` did not answer in {} attempts",
                agent.id, language.attempts
            ),
            "let a human decide the case",
        ));
    }
    Ok(())
}

/// What is wrong with the name under which a model answered.
fn drift(language: &Language, request: &AnswerModel) -> Option<String> {
    let allowed = || {
        let names: Vec<_> = language
            .answers_as
            .iter()
            .map(|n| format!("`{n}`"))
            .collect();
        names.join(" or ")
    };
    match &request.model {
        Some(name) if language.answers_as.contains(name) => None,
        Some(name) => Some(format!(
            "`{name}` answered, and the release pins {}",
            allowed()
        )),
        // Whatever it was, nothing rests on it.
        None if request.result == ModelResult::Malformed => None,
        None => Some(format!(
            "the answer names no model, and the release pins {}",
            allowed()
        )),
    }
}

/// Whoever runs on a language model recommends what the model said last, and what it said is in the log. Where it said
/// nothing that stands, its case goes to a human.
pub(super) fn as_heard(case: &Case, agent: &Agent, request: &Recommend) -> Ruled {
    if agent.language.is_none() || (request.stance == Stance::Refer && request.action.is_none()) {
        return Ok(());
    }
    match heard(case, agent) {
        Some(snapshot) if request.inputs.contains(&snapshot) => Ok(()),
        Some(snapshot) => Err(Refusal::new(
            Code::ModelUnheard,
            format!(
                "the recommendation does not name the last answer of its model, {}, among its inputs",
                snapshot.short()
            ),
            "recommend what the model said, or refer the case to a human",
        )),
        None => Err(Refusal::new(
            Code::ModelUnheard,
            format!("the model of `{}` has said nothing that stands", agent.id),
            "refer the case to a human, without an action",
        )),
    }
}

/// The last answer of the agent's model, where it stands.
fn heard(case: &Case, agent: &Agent) -> Option<Digest> {
    let last = case.models.iter().rfind(|m| m.agent == agent.id)?;
    last.answer.as_ref().filter(|a| a.stands())?.snapshot
}

fn next_model(id: &CaseId, case: &Case) -> ItemId {
    let number = u32::try_from(case.models.len() + 1).unwrap_or(u32::MAX);
    ItemId::of(id, 'm', number)
}
