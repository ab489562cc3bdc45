//! What records say of language models.

use super::{mismatch, model_index, take_part};
use crate::{
    language::{ModelCall, ModelHeard, Spent, reserve},
    record::{Body, Record},
    request::{ModelResult, Request},
    state::State,
};

impl State {
    pub(super) fn take_of_model(&mut self, record: &Record) -> Result<(), String> {
        match &record.body {
            Body::ModelCalled(b) => {
                let Request::CallModel(request) = &b.request else {
                    return mismatch();
                };
                let agent = &record.actor.id;
                let reserved = reserve(b.max_tokens, request.bytes);
                let case = self.case(record)?;
                take_part(case, record);
                case.models.push(ModelCall {
                    agent: agent.clone(),
                    time: record.time,
                    attempt: request.attempt,
                    reserved,
                    answer: None,
                });
                let env = case.env.clone();
                let by_agent = self.spent.entry(env).or_default();
                let spent = by_agent.entry(agent.clone()).or_default();
                let today = spent.on(Spent::day_of(record.time));
                *spent = Spent {
                    calls: today.calls.saturating_add(1),
                    tokens: today.tokens.saturating_add(reserved),
                    ..today
                };
                Ok(())
            }
            Body::ModelAnswered(b) => {
                let Request::AnswerModel(request) = &b.request else {
                    return mismatch();
                };
                let case = self.case(record)?;
                let call = model_index(&request.call).and_then(|i| case.models.get_mut(i));
                let call = call.ok_or("no such call of a model")?;
                let counts = match (request.tokens, request.result) {
                    (Some(t), _) => u64::from(t.input) + u64::from(t.output),
                    (None, ModelResult::Refused | ModelResult::Unsent) => 0,
                    (None, _) => call.reserved,
                };
                call.answer = Some(ModelHeard {
                    result: request.result,
                    snapshot: request.snapshot,
                    problem: request.problem.clone(),
                    drifted: b.drift.is_some(),
                    spent: counts,
                });
                let (agent, env) = (call.agent.clone(), case.env.clone());
                let (day, reserved) = (Spent::day_of(call.time), call.reserved);
                let by_agent = self.spent.get_mut(&env);
                let spent = by_agent.and_then(|s| s.get_mut(&agent));
                // What was reserved on a day that is over counts no more.
                if let Some(spent) = spent.filter(|spent| spent.day == day) {
                    let tokens = spent.tokens.saturating_sub(reserved);
                    spent.tokens = tokens.saturating_add(counts);
                }
                Ok(())
            }
            _ => mismatch(),
        }
    }
}
