//! What a model answered, held to what it was offered: known names, known arguments of known types, clauses that were found,
//! words that stand in them. Whatever does not fit is an error in words that the model can be told.

use std::collections::BTreeMap;

use duty::{
    action::Action,
    name::PrincipalId,
    release::ClauseRef,
    request::{Quote, Stance},
    says,
};
use policy::{Redacted, Release};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::form::{Asked, Called, Offer, What};
use crate::model::{Said, Step, View};

/// As long as a rationale may be, in characters.
const RATIONALE: usize = 2_000;
/// As long as a query may be, in characters.
const QUERY: usize = 400;

/// Looking for clauses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find {
    query: String,
}

/// Recommending.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recommended {
    stance: Stance,
    confidence: u8,
    rationale: String,
    clauses: Vec<String>,
    #[serde(default)]
    quotes: Vec<Quote>,
    #[serde(default)]
    action: Option<Proposed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposed {
    tool: String,
    arguments: Map<String, Value>,
}

/// What a model may always answer with; `effects` are the tools that it may recommend, with what each takes.
pub(super) fn own_offers(effects: &[(String, Value)]) -> [Offer; 2] {
    let actions: Vec<Value> = effects
        .iter()
        .map(|(tool, schema)| {
            json!({
                "type": "object",
                "properties": {"tool": {"const": tool}, "arguments": schema},
                "required": ["tool", "arguments"],
                "additionalProperties": false,
            })
        })
        .collect();
    let mut properties = json!({
        "stance": {
            "enum": ["proceed", "refuse", "refer"],
            "description": "proceed: do the action. refuse: do not. refer: a human should decide.",
        },
        "confidence": {"type": "integer", "minimum": 0, "maximum": 100},
        "rationale": {"type": "string", "maxLength": RATIONALE, "description": "One to three plain sentences."},
        "clauses": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "Ids of the clauses relied on, each found by find_clauses.",
        },
        "quotes": {
            "type": "array",
            "description": "Words of those clauses, exactly as they stand there.",
            "items": {
                "type": "object",
                "properties": {"clause": {"type": "string"}, "words": {"type": "string"}},
                "required": ["clause", "words"],
                "additionalProperties": false,
            },
        },
    });
    if !actions.is_empty() {
        properties["action"] = json!({
            "description": "The exact action; left out where none can be formed.",
            "anyOf": actions,
        });
    }
    let object = |properties: Value, required: Value| {
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    };
    [
        Offer {
            name: "find_clauses".to_owned(),
            what: What::Find,
            description: "Looks for clauses of the policies. Only what it finds can be cited."
                .to_owned(),
            schema: object(
                json!({"query": {"type": "string", "maxLength": QUERY}}),
                json!(["query"]),
            ),
        },
        Offer {
            name: "recommend".to_owned(),
            what: What::Recommend,
            description: "Ends your part with a recommendation. It carries nothing out.".to_owned(),
            schema: object(
                properties,
                json!(["stance", "confidence", "rationale", "clauses"]),
            ),
        },
    ]
}

/// The steps that the calls mean.
///
/// # Errors
/// What is wrong with them, for the model.
pub(super) fn steps(
    release: &Release,
    agent: &PrincipalId,
    view: &View,
    asked: &Asked,
    redacted: &Redacted<'_>,
    calls: &[Called],
) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for call in calls {
        let offer = asked.offers.iter().find(|o| o.name == call.name);
        let offer = offer.ok_or_else(|| {
            let names: Vec<_> = asked.offers.iter().map(|o| o.name.as_str()).collect();
            format!(
                "there is no function `{}`; those are offered: {}",
                call.name,
                names.join(", ")
            )
        })?;
        steps.push(match &offer.what {
            What::Tool(tool) => {
                let action = action(redacted, tool, &call.arguments);
                release.takes(&action)?;
                Step::Call(action)
            }
            What::Find => {
                let find: Find = fitting(&call.name, &call.arguments)?;
                let length = find.query.chars().count();
                if find.query.trim().is_empty() || length > QUERY {
                    return Err(format!("`query` has 1 to {QUERY} characters"));
                }
                // It stands in a record: what was put out stays out.
                Step::Retrieve(redacted.again(&find.query))
            }
            What::Recommend => {
                let said: Recommended = fitting(&call.name, &call.arguments)?;
                Step::Recommend(Box::new(recommended(release, agent, view, redacted, said)?))
            }
        });
    }
    let ends = |step: &Step| matches!(step, Step::Recommend(_));
    if steps.len() > 1 && steps.iter().any(ends) {
        return Err("`recommend` ends your part: call it alone, when you have read all".to_owned());
    }
    Ok(steps)
}

fn fitting<T: serde::de::DeserializeOwned>(
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments.clone()))
        .map_err(|e| format!("the arguments of `{name}` do not fit its schema: {e}"))
}

fn action(redacted: &Redacted<'_>, tool: &str, arguments: &Map<String, Value>) -> Action {
    let given = arguments
        .iter()
        .map(|(name, value)| (name.clone(), redacted.restore(value)));
    Action {
        tool: tool.to_owned(),
        arguments: given.collect(),
    }
}

fn recommended(
    release: &Release,
    agent: &PrincipalId,
    view: &View,
    redacted: &Redacted<'_>,
    said: Recommended,
) -> Result<Said, String> {
    if said.confidence > 100 {
        return Err("`confidence` is a percent: 0 to 100".to_owned());
    }
    let length = said.rationale.chars().count();
    if said.rationale.trim().is_empty() || length > RATIONALE {
        return Err(format!("`rationale` has 1 to {RATIONALE} characters"));
    }
    let found: BTreeMap<&str, &ClauseRef> = view
        .found
        .iter()
        .flat_map(|(_, found)| found)
        .map(|clause| (clause.id.as_str(), clause))
        .collect();
    let mut clauses: Vec<ClauseRef> = Vec::new();
    for id in &said.clauses {
        let clause = found.get(id.as_str()).ok_or_else(|| {
            format!("clause `{id}` was not found; cite only clauses that find_clauses found")
        })?;
        if !clauses.contains(clause) {
            clauses.push((*clause).clone());
        }
    }
    if clauses.is_empty() {
        return Err(
            "no clause is cited; look for clauses with find_clauses and cite what you rely on"
                .to_owned(),
        );
    }
    for quote in &said.quotes {
        let cited = clauses.iter().find(|c| c.id == quote.clause);
        let cited =
            cited.ok_or_else(|| format!("clause `{}` is quoted and not cited", quote.clause))?;
        let text = release.cited(cited).map_or("", |c| c.text.as_str());
        if !says(text, &quote.words) {
            return Err(format!(
                "clause `{}` does not say the words that are quoted from it; quote exactly, or quote nothing",
                quote.clause
            ));
        }
    }
    let proposed = said
        .action
        .map(|p| proposed(release, agent, redacted, &p))
        .transpose()?;
    if said.stance == Stance::Proceed && proposed.is_none() {
        return Err("to proceed needs the exact `action`; without one, refer or refuse".to_owned());
    }
    Ok(Said {
        stance: said.stance,
        action: proposed,
        confidence: said.confidence,
        rationale: redacted.again(said.rationale.trim()),
        clauses,
        quotes: said.quotes,
        row: None,
    })
}

fn proposed(
    release: &Release,
    agent: &PrincipalId,
    redacted: &Redacted<'_>,
    proposed: &Proposed,
) -> Result<Action, String> {
    let effects = super::prompt::effects(release, agent);
    if !effects.contains(&proposed.tool.as_str()) {
        return Err(format!(
            "`{}` is no action that can be recommended; those are: {}",
            proposed.tool,
            effects.join(", ")
        ));
    }
    let action = action(redacted, &proposed.tool, &proposed.arguments);
    release.takes(&action)?;
    duty::canonical::to_vec(&action).map_err(|e| e.to_string())?;
    Ok(action)
}
