//! A question put to Cedar: a request built once, asked of as many sets of rules as need be.
//!
//! Asked with principal `Agent::"<id>"`, action `Action::"<server>.<tool>"`, resource `Case::"<id>"` and a context of
//! `args`, `env`, `facts`, `subject`. No schema yet: an attribute that is absent is an evaluation error, and every caller
//! takes an error for the careful side.

use std::{str::FromStr, sync::LazyLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityId, EntityTypeName,
    EntityUid, PolicySet, Request, RestrictedExpression,
};
use duty::facts::{Facts, Scalar};
use serde_json::{Map, Value};

/// The entity type of principals.
pub(crate) const AGENT: &str = "Agent";
/// The entity type of actions.
pub(crate) const ACTION: &str = "Action";
/// The entity type of resources.
pub(crate) const CASE: &str = "Case";

/// What rules find in their context.
pub(crate) const CONTEXT: [&str; 4] = ["args", "env", "facts", "subject"];

/// A question to the rules.
pub(crate) struct Question<'a> {
    pub(crate) principal: &'a str,
    pub(crate) action: &'a str,
    pub(crate) case: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) env: &'a str,
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) facts: &'a Facts,
}

/// Which rules hold, and which could not be evaluated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The rules that determine the decision, in order of id: permits where allowed, forbids where not.
    pub(crate) holding: Vec<String>,
    /// Rules with what went wrong in them, in order of id.
    pub(crate) faults: Vec<(String, String)>,
}

impl Question<'_> {
    /// The question as Cedar takes it.
    ///
    /// # Errors
    /// Where it cannot be put: an argument that is no Cedar value.
    pub(crate) fn request(&self) -> Result<Request, String> {
        let namespaces = self.facts.iter().map(|(name, fields)| {
            let fields = fields
                .iter()
                .map(|(field, value)| (field.clone(), scalar(value)));
            let record = RestrictedExpression::new_record(fields).map_err(|e| e.to_string())?;
            Ok((name.clone(), record))
        });
        let namespaces = namespaces.collect::<Result<Vec<_>, String>>()?;
        let facts = RestrictedExpression::new_record(namespaces).map_err(|e| e.to_string())?;
        let text = |s: &str| RestrictedExpression::new_string(s.to_owned());
        let context = [
            record(self.args)?,
            text(self.env),
            facts,
            text(self.subject),
        ];
        let context = Context::from_pairs(CONTEXT.map(str::to_owned).into_iter().zip(context))
            .map_err(|e| e.to_string())?;
        let [agent, action, case] = &*TYPES;
        Request::new(
            entity(agent, self.principal),
            entity(action, self.action),
            entity(case, self.case),
            context,
            None,
        )
        .map_err(|e| e.to_string())
    }
}

/// Asks a set of rules.
pub(crate) fn ask(set: &PolicySet, request: &Request) -> Answer {
    let response = Authorizer::new().is_authorized(request, set, &NOTHING);
    let diagnostics = response.diagnostics();
    let mut holding: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    holding.sort();
    let faults = diagnostics.errors().map(|e| match e {
        AuthorizationError::PolicyEvaluationError(e) => {
            (e.policy_id().to_string(), e.inner().to_string())
        }
    });
    let mut faults: Vec<_> = faults.collect();
    faults.sort();
    Answer {
        allowed: response.decision() == Decision::Allow,
        holding,
        faults,
    }
}

/// Rules see no entity store: all that they may know is in the question.
static NOTHING: LazyLock<Entities> = LazyLock::new(Entities::empty);

/// The three entity types; parsing their names for every question costs more than asking it.
static TYPES: LazyLock<[EntityTypeName; 3]> = LazyLock::new(|| {
    [AGENT, ACTION, CASE].map(|name| {
        EntityTypeName::from_str(name).expect("INVARIANT: a constant word is a type name")
    })
});

fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// JSON to Cedar values one by one, and not through Cedar's own JSON form, in which an agent's `__entity` would mean
/// something.
fn value(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Bool(b) => Ok(RestrictedExpression::new_bool(*b)),
        Value::String(s) => Ok(RestrictedExpression::new_string(s.clone())),
        Value::Number(n) => n
            .as_i64()
            .map(RestrictedExpression::new_long)
            .ok_or_else(|| format!("`{n}` is no whole number of 64 bits")),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(self::value)
                .collect::<Result<Vec<_>, _>>()?;
            Ok(RestrictedExpression::new_set(items))
        }
        Value::Object(fields) => record(fields),
        Value::Null => Err("null is no value for rules; leave the argument out".to_owned()),
    }
}

fn record(fields: &Map<String, Value>) -> Result<RestrictedExpression, String> {
    let fields = fields.iter().map(|(name, v)| Ok((name.clone(), value(v)?)));
    let fields = fields.collect::<Result<Vec<_>, String>>()?;
    RestrictedExpression::new_record(fields).map_err(|e| e.to_string())
}

fn scalar(scalar: &Scalar) -> RestrictedExpression {
    match scalar {
        Scalar::Bool(b) => RestrictedExpression::new_bool(*b),
        Scalar::Int(n) => RestrictedExpression::new_long(*n),
        Scalar::Text(s) => RestrictedExpression::new_string(s.clone()),
    }
}
