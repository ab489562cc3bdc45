//! The same questions again, to the models as they are now. Nothing of it is recorded, no tool is called, and nothing rests on
//! what they say.

use std::{collections::BTreeMap, time::Instant};

use duty::{
    freeze, language,
    name::{ItemId, PrincipalId},
    release::Rules,
    request::ModelResult,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Asked, Difference, Material, Replayed, Verdict, differ, show};
use crate::{
    endpoint::{Came, Endpoints},
    language::{compose, judge},
    model::{Said, Step},
};

/// What asking again would send, before it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Questions, each sent once.
    pub questions: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Tokens that they may come to: all that the answers may have, and one for each four bytes of the questions.
    pub tokens: u64,
    /// How many go to which endpoint, as `models.toml` names it.
    pub endpoints: BTreeMap<String, usize>,
    /// Questions that cannot be asked again, with why not.
    pub left_out: Vec<(ItemId, String)>,
}

/// One question, asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The recorded call.
    pub call: ItemId,
    /// Whose model.
    pub agent: PrincipalId,
    /// The model, as the release pins it.
    pub model: String,
    /// What came of it now.
    pub now: Outcome,
    /// What came of it then.
    pub then: Outcome,
    /// Whether the model says to do the same: the same calls, queries, stance, action, confidence and clauses. Its words, tokens
    /// and time may be others.
    pub verdict: Verdict,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// In a word.
    pub result: ModelResult,
    /// The name under which the model answered.
    pub model: Option<String>,
    /// Tokens in and out.
    pub tokens: Option<(u32, u32)>,
    /// Milliseconds.
    pub latency_ms: u32,
    /// What it says, in words; or why there is nothing.
    pub says: Vec<String>,
}

impl Live {
    /// Whether no answer came.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.now.result.failed()
    }
}

impl Replayed {
    /// What asking again would send: each question once, however often it was sent then, and the first `most` of them.
    ///
    /// # Errors
    /// Where a freeze stops the agent, or the endpoint is not set up, in words.
    pub fn plan(&self, endpoints: &Endpoints, most: Option<usize>) -> Result<Plan, String> {
        let mut plan = Plan::default();
        for (asked, material) in self.again() {
            let material = match material {
                Ok(_) if most.is_some_and(|most| plan.questions >= most) => continue,
                Ok(material) => material,
                Err(why) => {
                    plan.left_out.push((asked.call.clone(), why.to_owned()));
                    continue;
                }
            };
            let team = material.release.team();
            let step = freeze::Step {
                team: Some(team),
                agent: Some(&asked.agent),
                tool: None,
            };
            if let Some((record, freeze)) = self.state.frozen(step) {
                return Err(format!(
                    "`{}` is frozen since record {record} (`{}`): its model is not asked",
                    asked.agent, freeze.reason
                ));
            }
            let pinned = team.agent(&asked.agent).and_then(|a| a.language.as_ref());
            let language = material.release.agent(&asked.agent);
            let language = language.and_then(|a| a.language.as_ref());
            let (Some(pinned), Some(language)) = (pinned, language) else {
                continue;
            };
            endpoints.named(&language.endpoint)?;
            let bytes = u32::try_from(material.body.len()).unwrap_or(u32::MAX);
            plan.questions += 1;
            plan.bytes += u64::from(bytes);
            plan.tokens += language::reserve(pinned.max_tokens, bytes);
            *plan.endpoints.entry(language.endpoint.clone()).or_default() += 1;
        }
        Ok(plan)
    }

    /// Asks again, one question after the other, and says each as it comes. `most` as in [`Replayed::plan`].
    ///
    /// # Errors
    /// Where an endpoint is not set up, in words.
    pub async fn ask(
        &self,
        endpoints: &Endpoints,
        most: Option<usize>,
        said: &mut dyn FnMut(Live),
    ) -> Result<(), String> {
        let again = self.again().filter_map(|(a, m)| Some((a, m.ok()?)));
        for (asked, material) in again.take(most.unwrap_or(usize::MAX)) {
            if let Some(live) = ask(asked, material, endpoints).await? {
                said(live);
            }
        }
        Ok(())
    }

    /// Every question once, with what it takes to ask it.
    fn again(&self) -> impl Iterator<Item = (&Asked, Result<&Material, &'static str>)> {
        let last = |at: usize, asked: &Asked| {
            let later = self.asked[at + 1..].iter().find(|a| a.agent == asked.agent);
            later.is_none_or(|next| next.attempt == 1)
        };
        let questions = self.asked.iter().enumerate();
        let questions = questions.filter(move |(at, asked)| last(*at, asked));
        questions.map(|(_, asked)| {
            let material = match (&asked.material, &asked.question, &asked.answer) {
                (None, ..) => Err("a snapshot is not here"),
                (Some(_), question, _) if *question != Verdict::Same => {
                    Err("the question made again is another than the recorded one")
                }
                (Some(_), _, Some(Verdict::NotHere { .. } | Verdict::Damaged { .. })) => {
                    Err("the recorded answer is not here to be compared with")
                }
                (Some(material), ..) => Ok(material),
            };
            (asked, material)
        })
    }
}

async fn ask(
    asked: &Asked,
    material: &Material,
    endpoints: &Endpoints,
) -> Result<Option<Live>, String> {
    let release = &*material.release;
    let plan = release
        .agent(&asked.agent)
        .and_then(|p| p.language.as_ref());
    let pinned = release.team().agent(&asked.agent);
    let pinned = pinned.and_then(|a| a.language.as_ref());
    let (Some(plan), Some(pinned)) = (plan, pinned) else {
        return Ok(None);
    };
    let endpoint = endpoints.named(&plan.endpoint)?;
    let composed = compose(release, &asked.agent, &material.view)?;
    let began = Instant::now();
    let came = endpoint.send(plan, &material.body).await;
    let latency_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    let (reply, steps) = match came {
        Came::Unsent(why) => (crate::Reply::none(ModelResult::Unsent, why), None),
        Came::Lost(why) => (crate::Reply::none(ModelResult::Lost, why), None),
        Came::Answer { status, body, .. } => {
            let judged = judge(release, plan, &material.view, &composed, status, body);
            (judged.reply, judged.steps)
        }
    };
    let says = steps.ok_or_else(|| reply.problem.clone().unwrap_or_default());
    let heard = asked.heard.as_ref();
    let then = Outcome {
        result: heard.map_or(ModelResult::Lost, |h| h.result),
        model: heard.and_then(|h| h.model.clone()),
        tokens: heard.and_then(|h| h.tokens),
        latency_ms: heard.map_or(0, |h| h.latency_ms),
        says: asked.says.clone(),
    };
    let mut differences = Vec::new();
    match &material.steps {
        _ if reply.result.failed() => {}
        None => differences.push(Difference {
            what: "whether an answer came".to_owned(),
            recorded: json!(then.result),
            again: json!(reply.result),
        }),
        Some(recorded) => compare(recorded, &says, &mut differences),
    }
    if let Some(name) = &reply.model
        && !pinned.answers_as.contains(name)
    {
        differences.push(Difference {
            what: "the model that answered, which the release does not pin".to_owned(),
            recorded: json!(then.model),
            again: json!(name),
        });
    }
    Ok(Some(Live {
        call: asked.call.clone(),
        agent: asked.agent.clone(),
        model: asked.model.clone(),
        now: Outcome {
            result: reply.result,
            model: reply.model,
            tokens: reply.tokens.map(|t| (t.input, t.output)),
            latency_ms,
            says: show::says(&says),
        },
        then,
        verdict: Verdict::of(differences),
    }))
}

type Says = Result<Vec<Step>, String>;

/// Whether two answers say to do the same.
fn compare(recorded: &Says, again: &Says, found: &mut Vec<Difference>) {
    let (Ok(then), Ok(now)) = (recorded, again) else {
        if recorded.is_ok() != again.is_ok() {
            found.push(Difference {
                what: "whether it can be used".to_owned(),
                recorded: json!(show::says(recorded)),
                again: json!(show::says(again)),
            });
        }
        return;
    };
    for at in 0..then.len().max(now.len()) {
        match (then.get(at), now.get(at)) {
            (Some(Step::Recommend(then)), Some(Step::Recommend(now))) => said(then, now, found),
            (then, now) if then == now => {}
            (then, now) => {
                let words =
                    |step: Option<&Step>| step.map_or(Value::Null, |s| show::step(s).into());
                found.push(Difference {
                    what: format!("step {}", at + 1),
                    recorded: words(then),
                    again: words(now),
                });
            }
        }
    }
}

fn said(then: &Said, now: &Said, found: &mut Vec<Difference>) {
    differ::differs("the stance", &then.stance, &now.stance, found);
    differ::differs("the action", &then.action, &now.action, found);
    differ::differs("the confidence", &then.confidence, &now.confidence, found);
    let ids = |said: &Said| {
        let mut ids: Vec<_> = said.clauses.iter().map(|c| c.id.clone()).collect();
        ids.sort();
        ids
    };
    differ::differs("the clauses", &ids(then), &ids(now), found);
}
