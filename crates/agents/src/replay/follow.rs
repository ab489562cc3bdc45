//! What has to follow an answer, and whether what the log says followed is that.

use std::collections::VecDeque;

use duty::{
    action::Action,
    name::PrincipalId,
    refusal::Refusal,
    release::Rules,
    request::{ModelResult, Recommend},
    state::Case,
    time::Time,
};
use policy::Release;
use serde_json::{Value, json};

use super::{Difference, differ, show};
use crate::{
    escalation::{self, ESCALATED},
    model::{Answered, Step},
    runner::{MOST_STEPS, endless},
    view::{Refused, may_say_again},
};

/// One agent in one case, as the log goes on.
#[derive(Debug, Default)]
pub(super) struct Follow {
    due: VecDeque<Due>,
    /// What was refused in this part, in order.
    refused: Vec<Told>,
    questions: usize,
    /// Nothing is known of what has to follow, or something else did: the rest is not judged until the next question.
    lost: bool,
}

/// Something that has to come.
#[derive(Clone, Debug)]
enum Due {
    /// This step.
    Step(Step),
    /// That the case is referred, for one of these reasons.
    Refer {
        whys: Vec<String>,
        /// What may come in its place.
        or: Or,
    },
    /// The next question.
    Ask,
}

/// What may come in the place of a referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Or {
    Nothing,
    /// The next question.
    Ask,
    /// The next question, of a run that knows nothing of the reason any more.
    AskAnew,
}

/// What a runner is told of a refusal.
#[derive(Clone, Debug)]
enum Told {
    Call(Answered),
    Said(String),
}

/// What an agent did.
pub(super) enum Did<'r> {
    Call(&'r Action),
    Retrieve(&'r str),
    Recommend(&'r Recommend),
}

/// Where it did it.
pub(super) struct Here<'r> {
    pub(super) case: &'r Case,
    pub(super) agent: &'r PrincipalId,
    pub(super) release: &'r Release,
    pub(super) time: Time,
}

impl Follow {
    /// What the runner may have been told was refused: all of it, or, where it began anew after some of it, the rest.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let from = |first: usize| {
            let mut refused = Refused::default();
            for told in &self.refused[first..] {
                match told {
                    Told::Call(call) => refused.calls.push(call.clone()),
                    Told::Said(why) => refused.said.push(why.clone()),
                }
            }
            refused
        };
        (0..=self.refused.len()).map(from).collect()
    }

    /// The agent asks its model. What was still due, where it was not taken; an error where it may not be left out.
    pub(super) fn asks(&mut self) -> Result<Option<String>, String> {
        self.questions += 1;
        let lost = std::mem::take(&mut self.lost);
        let due = std::mem::take(&mut self.due);
        match due.front() {
            _ if lost => Ok(None),
            None | Some(Due::Ask | Due::Refer { or: Or::Ask, .. }) => Ok(None),
            Some(Due::Refer {
                or: Or::Nothing, ..
            }) => Err(words(&due)),
            Some(
                Due::Step(_)
                | Due::Refer {
                    or: Or::AskAnew, ..
                },
            ) => Ok(Some(words(&due))),
        }
    }

    /// What is still due, in words.
    pub(super) fn due(&self) -> Option<String> {
        (!self.lost && !self.due.is_empty()).then(|| words(&self.due))
    }

    /// The answer cannot be read.
    pub(super) fn lose(&mut self) {
        self.due.clear();
        self.lost = true;
    }

    /// The answer says these steps.
    pub(super) fn says(&mut self, steps: Vec<Step>) {
        self.due = steps.into_iter().map(Due::Step).collect();
    }

    /// Another model answered.
    pub(super) fn drifted(&mut self, why: &str) {
        self.refer(vec![why.to_owned()], Or::AskAnew);
    }

    /// No answer came.
    pub(super) fn silent(&mut self, why: &str) {
        let whys = vec![escalation::no_answer(why), escalation::too_late(why)];
        self.refer(whys, Or::Ask);
    }

    /// The core let it not be asked.
    pub(super) fn over_budget(&mut self, why: &str) {
        self.refer(vec![why.to_owned()], Or::AskAnew);
    }

    /// The answer cannot be used: `why`, which the case does not hold yet.
    pub(super) fn unusable(
        &mut self,
        case: &Case,
        agent: &PrincipalId,
        repairs: usize,
        why: Option<&str>,
    ) {
        let heard = case.models.iter().filter(|m| m.agent == *agent);
        let heard = heard.filter_map(|m| m.answer.as_ref());
        let mut before: Vec<&str> = heard
            .filter(|a| a.result == ModelResult::Malformed)
            .map(|a| a.problem.as_deref().unwrap_or_default())
            .collect();
        before.extend(why);
        let said = self.refused.iter().filter_map(|told| match told {
            Told::Said(why) => Some(why.as_str()),
            Told::Call(_) => None,
        });
        let said: Vec<&str> = said.collect();
        // A run that was cut off has forgotten the first of what was refused.
        let lists = (0..=said.len()).map(|first| [&before[..], &said[first..]].concat());
        let (over, within): (Vec<_>, Vec<_>) = lists.partition(|list| list.len() > repairs);
        let whys = over
            .iter()
            .map(|list| escalation::unusable(list.len(), list.last().copied().unwrap_or_default()));
        let whys: Vec<String> = whys.collect();
        match (whys.is_empty(), within.is_empty()) {
            (true, _) => self.due = VecDeque::from([Due::Ask]),
            (false, true) => self.refer(whys, Or::Nothing),
            (false, false) => self.refer(whys, Or::Ask),
        }
    }

    /// What the core refused.
    pub(super) fn refuse(
        &mut self,
        did: &Did<'_>,
        refusal: &Refusal,
        case: &Case,
        agent: &PrincipalId,
        repairs: usize,
    ) {
        match did {
            Did::Call(action) => self.refused.push(Told::Call(Answered {
                action: (*action).clone(),
                answer: Err(refusal.to_string()),
            })),
            Did::Recommend(_) if may_say_again(refusal) => {
                self.refused.push(Told::Said(refusal.to_string()));
                if !self.lost {
                    self.unusable(case, agent, repairs, None);
                }
            }
            Did::Recommend(_) | Did::Retrieve(_) => {}
        }
    }

    /// It has recommended.
    pub(super) fn part_is_over(&mut self) {
        self.refused.clear();
        self.questions = 0;
    }

    /// It did something: what is wrong with that, beside what had to follow.
    pub(super) fn did(&mut self, here: &Here<'_>, did: &Did<'_>) -> Option<Difference> {
        if self.lost {
            return None;
        }
        let wrong = match (self.due.front(), did) {
            (Some(Due::Step(Step::Call(action))), Did::Call(done)) if action == *done => None,
            (Some(Due::Step(Step::Retrieve(query))), Did::Retrieve(done)) if query == done => None,
            (Some(Due::Step(Step::Recommend(said))), Did::Recommend(made)) => {
                let found = differ::recommendation(made, said);
                let found: Vec<_> = found
                    .into_iter()
                    .map(|d| json!({"what": d.what, "recorded": d.recorded, "again": d.again}))
                    .collect();
                (!found.is_empty())
                    .then(|| otherwise("what was recommended", json!(made), json!(found)))
            }
            // What the referral rests on is looked for first, and may be looked for again after a run was cut off.
            (Some(Due::Refer { .. } | Due::Ask) | None, Did::Retrieve(query))
                if **query == escalation::query(here.release, here.time) && self.may_refer() =>
            {
                return None;
            }
            (Some(Due::Refer { whys, .. }), Did::Recommend(made)) => referred(here, made, whys),
            (Some(Due::Ask) | None, Did::Recommend(made)) if self.questions >= MOST_STEPS => {
                referred(here, made, &[endless(here.agent, &made.case)])
            }
            (_, did) => Some(otherwise(
                "what the agent did next",
                done(did),
                match self.due.is_empty() {
                    true => Value::from("nothing more: its model said no such thing"),
                    false => Value::from(words(&self.due)),
                },
            )),
        };
        match wrong {
            None => {
                self.due.pop_front();
                None
            }
            Some(wrong) => {
                self.lose();
                Some(wrong)
            }
        }
    }

    fn may_refer(&self) -> bool {
        matches!(self.due.front(), Some(Due::Refer { .. })) || self.questions >= MOST_STEPS
    }

    fn refer(&mut self, whys: Vec<String>, or: Or) {
        self.due = VecDeque::from([Due::Refer { whys, or }]);
    }
}

/// What is wrong with a referral for one of these reasons.
fn referred(here: &Here<'_>, made: &Recommend, whys: &[String]) -> Option<Difference> {
    let retrieved = here.case.retrieved.get(here.agent);
    let last = retrieved.and_then(|r| r.last());
    let found = last.map_or(&[][..], |last| &last.clauses);
    let cited = escalation::cited(here.release, found, |id| id.as_str());
    let cited = cited.and_then(|id| here.release.clause(id, last?.at).cloned());
    let mut fits = None;
    for why in whys {
        let again = escalation::said(cited.clone(), why);
        let found = differ::recommendation(made, &again);
        if found.is_empty() {
            return None;
        }
        fits.get_or_insert(again);
    }
    let again = fits.map(|said| {
        json!({"stance": said.stance, "rationale": said.rationale, "clauses": said.clauses, "row": ESCALATED})
    });
    Some(otherwise(
        "what was recommended",
        json!(made),
        again.unwrap_or_default(),
    ))
}

fn otherwise(what: &str, recorded: Value, again: Value) -> Difference {
    Difference {
        what: what.to_owned(),
        recorded,
        again,
    }
}

fn done(did: &Did<'_>) -> Value {
    match did {
        Did::Call(action) => json!({"called": action}),
        Did::Retrieve(query) => json!({"looked for": query}),
        Did::Recommend(made) => json!({"recommended": made}),
    }
}

fn words(due: &VecDeque<Due>) -> String {
    let words = due.iter().map(|due| match due {
        Due::Step(step) => show::step(step),
        Due::Refer { whys, .. } => format!("refers the case to a human: {}", whys.join("; or: ")),
        Due::Ask => "asks its model again".to_owned(),
    });
    words.collect::<Vec<_>>().join(", ")
}
