//! `policy check`: what would be said of a call that nobody makes.

use std::{path::Path, sync::Arc};

use duty::{
    Foresight, Outlook,
    action::Action,
    canonical,
    facts::Facts,
    foresee,
    name::{CaseId, Environment, PrincipalId},
    refusal::Refusal,
    release::{Ask, RuleHit, Rules, Unit},
    state::State,
};
use engine::clock::{Clock, SystemClock};
use policy::Release;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::release::find;
use crate::{
    cli::PolicyCheck,
    fail::{Failure, named},
    show,
};

/// Asks, prints, and fails with the code of a refusal where it would be refused.
pub(crate) fn run(check: &PolicyCheck) -> Result<(), Failure> {
    let action = Action::new(check.tool.clone(), given("--args", &check.args)?);
    let principal: PrincipalId = named(&check.agent)?;
    let place = Place::of(check)?;
    if place.release.team().agent(&principal).is_none() {
        let agents = place.release.team().agents.iter();
        let agents: Vec<_> = agents.map(|a| format!("`{}`", a.id)).collect();
        return Err(Failure::usage(format!(
            "the release has no agent `{principal}`; there are {}",
            agents.join(", ")
        )));
    }
    let ask = Ask {
        principal: &principal,
        action: &action,
        case: &place.case,
        subject: &place.subject,
        environment: &place.environment,
        facts: &place.facts,
    };
    let foreseen = foresee(&place.state, &*place.release, ask, SystemClock.now());
    let refusal = match &foreseen {
        Ok(foresight) => foresight.permission.as_ref().err(),
        Err(refusal) => Some(refusal),
    };
    let asked = json!({"agent": principal, "tool": action.tool, "arguments": action.arguments,
        "environment": place.environment, "release": place.release.digest(), "case": check.case});
    if check.form.json {
        let (foresight, rule) = match &foreseen {
            Ok(f) => (Some(f), f.permission.as_ref().ok()),
            Err(_) => (None, None),
        };
        show::json(&json!({
            "asked": asked,
            "allowed": refusal.is_none(),
            "rule": rule,
            "refusal": refusal,
            "risk": foresight.map(|f| json!({"tier": f.risk.tier, "rules": f.risk.hits})),
            "effect": foresight.map(|f| f.effect),
            "human_must_sign": foresight.map(must_sign),
            "signing": foresight.and_then(|f| f.signing.as_ref()),
            "covered_by": foresight.and_then(|f| f.covered_by.as_ref()),
            "thresholds": foresight.map(|f| &f.thresholds),
        }));
    } else {
        said(&action, refusal, foreseen.as_ref().ok());
    }
    match refusal {
        None => Ok(()),
        Some(_) => Err(Failure::refused(format!(
            "`{principal}` may not call `{}` so; nothing was recorded",
            action.tool
        ))),
    }
}

/// Where the call would be made.
struct Place {
    state: State,
    release: Arc<Release>,
    case: String,
    subject: String,
    environment: Environment,
    facts: Facts,
}

impl Place {
    fn of(check: &PolicyCheck) -> Result<Self, Failure> {
        let dir = &check.dir.dir;
        if let Some(id) = &check.case {
            let state = super::state_of(dir)?;
            let id: CaseId = named(id)?;
            let case = state.cases.get(&id).ok_or_else(|| {
                Failure::usage(match state.closed.get(&id) {
                    Some(outcome) => format!(
                        "case `{id}` has ended: {}; give its facts with `--facts`",
                        outcome.word()
                    ),
                    None => format!("there is no case `{id}`; `case list` shows them"),
                })
            })?;
            let release = match &check.release {
                Some(name) => release(dir, &state, name)?,
                None => super::release_in_log(dir, &state, case.release)?,
            };
            return Ok(Self {
                release,
                case: id.to_string(),
                subject: case.subject.clone(),
                environment: case.env.clone(),
                facts: case.facts.clone(),
                state,
            });
        }
        let environment: Environment = named(check.env.as_deref().unwrap_or("staging"))?;
        // A release in a directory can be asked without a log: then nothing is signed and nothing is used.
        let alone = check
            .release
            .as_deref()
            .is_some_and(|r| Path::new(r).is_dir());
        let state = if alone && !dir.exists() {
            State::default()
        } else {
            super::state_of(dir)?
        };
        let release = match &check.release {
            Some(name) => release(dir, &state, name)?,
            None => {
                let digest = state.environments.get(&environment).ok_or_else(|| {
                    Failure::usage(format!(
                        "environment `{environment}` points at no release; promote one, or name one with `--release`"
                    ))
                })?;
                super::release_in_log(dir, &state, *digest)?
            }
        };
        Ok(Self {
            release,
            case: "hypothetical".to_owned(),
            subject: check.subject.clone(),
            environment,
            facts: given("--facts", &check.facts)?,
            state,
        })
    }
}

fn release(dir: &Path, state: &State, name: &str) -> Result<Arc<Release>, Failure> {
    let path = Path::new(name);
    if path.is_dir() {
        return Release::from_dir(path)
            .map(Arc::new)
            .map_err(Failure::usage);
    }
    super::release_in_log(dir, state, find(state, name)?)
}

/// JSON as it is given: itself, or `@` and a file.
fn given<T: DeserializeOwned>(option: &str, text: &str) -> Result<T, Failure> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = std::fs::read_to_string(path)
                .map_err(|e| Failure::usage(format!("{option} `{path}`: {e}")))?;
            read.as_str()
        }
        None => text,
    };
    let read = serde_json::from_str(text).map_err(|e| {
        Failure::usage(format!(
            "{option}: {e}; give a JSON object, or `@` and a file that holds one"
        ))
    })?;
    canonical::check_text(text.as_bytes()).map_err(|e| Failure::usage(format!("{option}: {e}")))?;
    Ok(read)
}

fn must_sign(foresight: &Foresight) -> bool {
    foresight.effect && foresight.covered_by.is_none()
}

fn said(action: &Action, refusal: Option<&Refusal>, foresight: Option<&Foresight>) {
    show::line(&show::action(action));
    match (refusal, foresight.map(|f| &f.permission)) {
        (Some(refusal), _) => {
            show::line(&format!("refused: {}", refusal.why));
            if let Some(rule) = &refusal.rule {
                show::line(&format!(
                    "  rule {rule}{}",
                    clause(refusal.clause.as_deref())
                ));
            }
            show::line(&format!("  to make it pass: {}", refusal.remedy));
        }
        (None, Some(Ok(hit))) => show::line(&format!("allowed: {}", rule(hit))),
        (None, _) => {}
    }
    let Some(foresight) = foresight else { return };
    if !foresight.effect {
        show::line("it has no effect: nobody signs");
        return;
    }
    show::line(&format!("risk {}:", foresight.risk.tier.word()));
    for hit in &foresight.risk.hits {
        show::line(&format!("  {}", rule(hit)));
    }
    for outlook in &foresight.thresholds {
        show::line(&threshold(outlook));
    }
    for step in &foresight.human_steps {
        show::line(&rule(step));
    }
    let Some(signing) = &foresight.signing else {
        return;
    };
    match &foresight.covered_by {
        Some(id) => show::line(&format!(
            "nobody signs where both agents agree: threshold `{id}` covers it"
        )),
        None => show::line(&format!(
            "{} must sign ({}){}; executed once its records are {}",
            if signing.humans == 1 {
                "one human".to_owned()
            } else {
                format!("{} humans", signing.humans)
            },
            signing.stages.join("; "),
            clause(Some(&signing.clause)),
            signing.level.word()
        )),
    }
}

fn threshold(outlook: &Outlook) -> String {
    let clause = clause(Some(&outlook.clause));
    match (&outlook.room, &outlook.why_not) {
        (Some(room), _) => {
            let sum = |left: Option<i64>| {
                left.map_or(String::new(), |n| {
                    format!(" ({} in sum)", Unit::say(room.unit, n))
                })
            };
            let of_key = room.key_count.map_or(String::new(), |count| {
                format!(", {count} for the same key{}", sum(room.key_sum))
            });
            format!(
                "threshold `{}`{clause} covers it; after it there is room for {} more in all{}{of_key}",
                outlook.threshold,
                room.count,
                sum(room.sum)
            )
        }
        (None, why) => format!(
            "threshold `{}`{clause} does not cover it: {}",
            outlook.threshold,
            why.as_deref().unwrap_or("it does not apply")
        ),
    }
}

fn rule(hit: &RuleHit) -> String {
    format!(
        "{} ({}){}",
        hit.why,
        hit.rule,
        clause(hit.clause.as_deref())
    )
}

fn clause(id: Option<&str>) -> String {
    id.map(|id| format!(", clause {id}")).unwrap_or_default()
}
