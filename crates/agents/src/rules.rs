//! The built-in rule model: reads what the team file lists, then a decision table of the release decides.
//!
//! Deterministic and offline, so that a decision can be re-performed from its snapshots.

use std::{collections::BTreeSet, sync::Arc};

use duty::{
    action::Action,
    facts::Facts,
    name::PrincipalId,
    release::{Ask, ClauseRef, Rules},
};
use engine::target::BoxFuture;
use policy::{AgentPlan, Matter, Release};
use serde_json::Value;

use crate::{
    desk::Desk,
    model::{Answered, Model, ModelError, Said, Step, View},
};

/// The rule model of one agent.
pub struct RuleModel {
    release: Arc<Release>,
    agent: PrincipalId,
    id: String,
}

impl RuleModel {
    /// The model of `agent`; none where the release gives it no table.
    #[must_use]
    pub fn new(release: Arc<Release>, agent: &PrincipalId) -> Option<Self> {
        let id = release.team().agent(agent)?.model.clone()?;
        Some(Self {
            release,
            agent: agent.clone(),
            id,
        })
    }

    fn step(&self, view: &View) -> Result<Step, String> {
        let plan = self
            .release
            .agent(&self.agent)
            .ok_or("the release has no such agent")?;
        let facts = facts(&self.release, &view.answers);
        if let Some(read) = next_read(plan, view, &facts) {
            return Ok(Step::Call(read));
        }
        let matter = Matter {
            environment: &view.environment,
            case: &view.case,
            subject: &view.subject,
            facts: &facts,
            proposed: view.proposal.as_ref().and_then(|p| p.action.as_ref()),
        };
        let verdict = self
            .release
            .decide_table(&self.agent, &matter)
            .ok_or("the release gives this agent no table")?;
        let found = match view.found.last() {
            Some((query, found)) if *query == verdict.query => found,
            _ => return Ok(Step::Retrieve(verdict.query)),
        };
        let action = plan
            .action
            .as_ref()
            .and_then(|a| a.fill(&view.subject, &facts));
        let bound = action.as_ref().map(|action| {
            let ask = Ask {
                principal: &self.agent,
                action,
                case: view.case.as_str(),
                subject: &view.subject,
                environment: &view.environment,
                facts: &facts,
            };
            let bound = self.release.bound(&ask).into_iter();
            bound.filter_map(|hit| hit.clause).collect()
        });
        let clauses = cited(&verdict.cite, &bound.unwrap_or_default(), found);
        let rationale = match &verdict.problem {
            None => verdict.rationale,
            Some(problem) => format!("{} ({problem})", verdict.rationale),
        };
        Ok(Step::Recommend(Box::new(Said {
            stance: verdict.stance,
            action,
            confidence: verdict.confidence,
            rationale,
            clauses,
            quotes: Vec::new(),
            row: Some(verdict.row),
        })))
    }
}

impl Model for RuleModel {
    fn id(&self) -> &str {
        &self.id
    }

    fn next<'a>(
        &'a self,
        view: &'a View,
        _: &'a Desk<'a>,
    ) -> BoxFuture<'a, Result<Vec<Step>, ModelError>> {
        let step = self
            .step(view)
            .map(|step| vec![step])
            .map_err(|why| ModelError::Cannot {
                model: self.id.clone(),
                why,
            });
        Box::pin(std::future::ready(step))
    }
}

/// All scalar fields of the agent's own answers, by the namespace of their tool.
fn facts(release: &Release, answers: &[Answered]) -> Facts {
    let mut facts = Facts::default();
    for answered in answers {
        let tool = release.team().tools.get(&answered.action.tool);
        if let (Some(namespace), Ok(Value::Object(fields))) =
            (tool.and_then(|t| t.facts_as.as_deref()), &answered.answer)
        {
            facts.replace(&Facts::of_answer(namespace, fields, None));
        }
    }
    facts
}

/// The first listed read that can be formed and was not made.
fn next_read(plan: &AgentPlan, view: &View, facts: &Facts) -> Option<Action> {
    let reads = plan.reads.iter();
    reads
        .filter_map(|read| read.fill(&view.subject, facts))
        .find(|read| !view.answers.iter().any(|a| a.action == *read))
}

/// The clauses of the row that retrieval found; where it found none of them, the best that it did find, so that a human
/// sees at least what the question was about. Then those that the release binds to the action.
fn cited(wanted: &[String], bound: &BTreeSet<String>, found: &[ClauseRef]) -> Vec<ClauseRef> {
    let of_row = |c: &&ClauseRef| wanted.contains(&c.id);
    let best = found.first().filter(|_| !found.iter().any(|c| of_row(&c)));
    let cited = found
        .iter()
        .filter(|c| of_row(c) || best == Some(c) || bound.contains(&c.id));
    cited.cloned().collect()
}
