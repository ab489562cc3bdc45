//! Running the built-in agents again: the same snapshots, the same table, the same retrieval.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use duty::{
    canonical::Digest,
    facts::Facts,
    name::{CaseId, PrincipalId},
    principal::Duty,
    release::{Ask, Rules},
    request::{Recommend, Retrieve},
    state::{CallAnswer, Case},
    time::Time,
};
use policy::{Matter, Query, Release, TableVerdict, Vector};
use serde_json::{Value, json};

use crate::{EvidenceError, Kept, Vault};

/// What the models of the built-in rule model begin with; the digest of the table follows.
const RULES: &str = "rules/";

/// How many clauses a retrieval records.
const FOUND: usize = 8;

/// Retrievals that are remembered; cases of a kind ask the same.
const REMEMBERED: usize = 4096;

/// A step that comes out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What the record says.
    pub(crate) recorded: Value,
    /// What came out now.
    pub(crate) again: Value,
    /// From what.
    pub(crate) inputs: Value,
}

/// What running a step again comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rerun {
    /// The same.
    Same,
    /// Something else.
    Differs(Box<Difference>),
    /// A snapshot that is needed is not here, or its key.
    NotHere,
    /// The model is not the built-in rule model.
    OtherModel,
}

impl Rerun {
    fn differs(recorded: Value, again: Value, inputs: Value) -> Self {
        Self::Differs(Box::new(Difference {
            recorded,
            again,
            inputs,
        }))
    }
}

/// Ids of clauses with their scores, best first.
type Ranking = Vec<(String, i64)>;

/// Runs steps again.
pub(crate) struct Rerunner<'a> {
    vault: Option<&'a Vault>,
    found: RefCell<HashMap<Asked, Rc<Ranking>>>,
}

/// What a ranking depends on.
#[derive(PartialEq, Eq, Hash)]
struct Asked {
    release: Digest,
    query: String,
    vector: Option<String>,
    until: Option<Time>,
}

impl<'a> Rerunner<'a> {
    pub(crate) fn new(vault: Option<&'a Vault>) -> Self {
        Self {
            vault,
            found: RefCell::default(),
        }
    }

    /// One recommendation, from the snapshots of the agent's own answers.
    pub(crate) fn recommendation(
        &self,
        release: &Release,
        agent: &PrincipalId,
        case: &Case,
        recorded: &Recommend,
    ) -> Result<Rerun, EvidenceError> {
        if !recorded.model.starts_with(RULES) {
            return Ok(Rerun::OtherModel);
        }
        let Some(facts) = self.facts(release, agent, case)? else {
            return Ok(Rerun::NotHere);
        };
        let matter = Matter {
            environment: &case.env,
            case: &recorded.case,
            subject: &case.subject,
            facts: &facts,
            proposed: match recorded.duty {
                Duty::Review => case.action(),
                Duty::Prepare | Duty::Approve | Duty::Execute => None,
            },
        };
        let verdict = release.decide_table(agent, &matter);
        let Some(verdict) = verdict else {
            return Ok(differs(
                recorded,
                Value::from("the release gives this agent no table"),
                &facts,
            ));
        };
        let plan = release.agent(agent).and_then(|plan| plan.action.as_ref());
        let action = plan.and_then(|template| template.fill(&case.subject, &facts));
        let bound = action.as_ref().map(|action| {
            let ask = Ask {
                principal: agent,
                action,
                case: recorded.case.as_str(),
                subject: &case.subject,
                environment: &case.env,
                facts: &facts,
            };
            let bound = release.bound(&ask).into_iter();
            bound.filter_map(|hit| hit.clause).collect()
        });
        let bound: BTreeSet<String> = bound.unwrap_or_default();
        let same = recorded.stance == verdict.stance
            && recorded.confidence == verdict.confidence
            && recorded.row.as_deref() == Some(verdict.row.as_str())
            && recorded.rationale == rationale(&verdict)
            && recorded.action == action
            && well_cited(agent, case, recorded, &verdict, &bound);
        if same {
            return Ok(Rerun::Same);
        }
        let again = json!({
            "stance": verdict.stance,
            "confidence": verdict.confidence,
            "row": verdict.row,
            "rationale": rationale(&verdict),
            "action": action,
            "query": verdict.query,
            "may_cite": verdict.cite,
        });
        Ok(differs(recorded, again, &facts))
    }

    /// One retrieval that was recorded at a moment, over the clauses of the release that were in force. The query's vector is
    /// taken as it was recorded: no model is asked again.
    pub(crate) fn retrieval(&self, release: &Release, recorded: &Retrieve, time: Time) -> Rerun {
        let was: Vec<_> = recorded
            .ranking
            .iter()
            .map(|r| (r.clause.id.clone(), r.score_milli))
            .collect();
        let inputs = json!({ "query": recorded.query, "release": release.digest() });
        match self.search(release, recorded, recorded.as_of.unwrap_or(time)) {
            Ok(found) if *found == was => Rerun::Same,
            Ok(found) => Rerun::differs(json!(was), json!(*found), inputs),
            Err(why) => {
                let again = Value::from(format!("retrieval failed: {why}"));
                Rerun::differs(json!(was), again, inputs)
            }
        }
    }

    fn search(
        &self,
        release: &Release,
        recorded: &Retrieve,
        at: Time,
    ) -> Result<Rc<Ranking>, String> {
        let vector = recorded.vector.as_deref().map(Vector::read).transpose()?;
        let key = Asked {
            release: release.digest(),
            query: recorded.query.clone(),
            vector: recorded.vector.clone(),
            // Between two changes of editions every moment finds the same.
            until: release.next_change(at),
        };
        if let Some(found) = self.found.borrow().get(&key) {
            return Ok(Rc::clone(found));
        }
        let query = Query {
            text: &recorded.query,
            vector: vector.as_ref(),
            at,
        };
        let found = release.search(&query, FOUND)?;
        let found = found.into_iter().map(|f| (f.clause.id, f.score_milli));
        let found: Rc<Ranking> = Rc::new(found.collect());
        let mut cache = self.found.borrow_mut();
        if cache.len() >= REMEMBERED {
            cache.clear();
        }
        cache.insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// All scalar fields of the agent's own answers, by the namespace of their tool; none where a snapshot is not here, or its key.
    fn facts(
        &self,
        release: &Release,
        agent: &PrincipalId,
        case: &Case,
    ) -> Result<Option<Facts>, EvidenceError> {
        let mut facts = Facts::default();
        for call in case.calls.iter().filter(|c| c.agent == *agent) {
            let Some(CallAnswer::Snapshot(commitment)) = &call.answer else {
                continue;
            };
            let kept = match self.vault {
                Some(vault) => vault.get(commitment)?,
                None => Kept::Absent,
            };
            let Kept::Bytes(bytes) = kept else {
                return Ok(None);
            };
            let tool = release.team().tools.get(&call.action.tool);
            let namespace = tool.and_then(|t| t.facts_as.as_deref());
            if let (Some(namespace), Ok(Value::Object(fields))) =
                (namespace, serde_json::from_slice(&bytes))
            {
                facts.replace(&Facts::of_answer(namespace, &fields, None));
            }
        }
        Ok(Some(facts))
    }
}

/// What the rule model says where a row could not be evaluated.
fn rationale(verdict: &TableVerdict) -> String {
    match &verdict.problem {
        None => verdict.rationale.clone(),
        Some(problem) => format!("{} ({problem})", verdict.rationale),
    }
}

/// The agent looked for what the row says, and cites of what it found only what the row says, or else the best found, and
/// what the release binds to the action.
fn well_cited(
    agent: &PrincipalId,
    case: &Case,
    recorded: &Recommend,
    verdict: &TableVerdict,
    bound: &BTreeSet<String>,
) -> bool {
    let Some(last) = case.retrieved.get(agent).and_then(|r| r.last()) else {
        return false;
    };
    let of_row = |id: &String| verdict.cite.contains(id);
    let best = last.clauses.first();
    let best = best.filter(|_| !last.clauses.iter().any(of_row));
    last.query == verdict.query
        && recorded.clauses.iter().all(|cited| {
            last.clauses.contains(&cited.id)
                && (of_row(&cited.id) || best == Some(&cited.id) || bound.contains(&cited.id))
        })
}

fn differs(recorded: &Recommend, again: Value, facts: &Facts) -> Rerun {
    Rerun::differs(json!(recorded), again, json!({ "facts": facts }))
}

/// The case of a request, in the state before it.
pub(crate) fn case_of<'s>(state: &'s duty::state::State, id: &CaseId) -> Option<&'s Case> {
    state.cases.get(id).map(|case| &**case)
}
