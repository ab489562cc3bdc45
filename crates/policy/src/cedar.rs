//! Cedar in a release: one condition language for permissions, risk, tables and thresholds.
//!
//! Asked with principal `Agent::"<id>"`, action `Action::"<server>.<tool>"`, resource `Case::"<id>"` and a context of
//! `args`, `env`, `facts`, `subject`. No schema yet: an attribute that is absent is an evaluation error, and every caller
//! here takes an error for the careful side.

use std::{collections::BTreeMap, str::FromStr};

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, RestrictedExpression,
};
use duty::facts::{Facts, Scalar};
use duty::release::RuleHit;
use serde_json::{Map, Value};

use crate::problem::Problems;

/// The rules of one file.
#[derive(Debug)]
pub(crate) struct RuleFile {
    path: String,
    set: PolicySet,
    rules: BTreeMap<String, Rule>,
}

/// One rule with its annotations.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) forbids: bool,
    pub(crate) notes: BTreeMap<String, String>,
}

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
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The rules that determine the decision: permits where allowed, forbids where not.
    pub(crate) holding: Vec<String>,
    /// Rules with what went wrong in them.
    pub(crate) faults: Vec<(String, String)>,
}

impl RuleFile {
    /// Reads a file; every policy needs `@id`, unique in it, and `@clause` naming a clause of the release.
    pub(crate) fn parse(
        path: &str,
        text: &str,
        known: &[&str],
        has_clause: &dyn Fn(&str) -> bool,
        problems: &mut Problems,
    ) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            set: PolicySet::new(),
            rules: BTreeMap::new(),
        };
        let parsed = match PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                for e in e.iter() {
                    problems.add(located(path, text, e), e.to_string());
                }
                return file;
            }
        };
        if parsed.templates().next().is_some() {
            problems.add(
                path,
                "templates with slots are not used in a release; write the rule out",
            );
        }
        for policy in parsed.policies() {
            file.take(policy, known, has_clause, problems);
        }
        if file.rules.is_empty() {
            problems.add(path, "holds no rule");
        }
        file
    }

    fn take(
        &mut self,
        policy: &Policy,
        known: &[&str],
        has_clause: &dyn Fn(&str) -> bool,
        problems: &mut Problems,
    ) {
        let notes: BTreeMap<String, String> = policy
            .annotations()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let Some(id) = notes.get("id").filter(|id| !id.is_empty()).cloned() else {
            problems.add(
                &self.path,
                format!("rule `{}` has no `@id(\"…\")`", first_line(policy)),
            );
            return;
        };
        let place = format!("{}#{id}", self.path);
        match notes.get("clause") {
            None => problems.add(&place, "names no clause; add `@clause(\"…\")`"),
            Some(clause) if !has_clause(clause) => {
                problems.add(
                    &place,
                    format!("names clause `{clause}`, which no policy document has"),
                );
            }
            Some(_) => {}
        }
        for key in notes.keys() {
            if !["id", "clause", "why"].contains(&key.as_str()) && !known.contains(&key.as_str()) {
                problems.add(&place, format!("`@{key}` means nothing here"));
            }
        }
        if self.rules.contains_key(&id) {
            problems.add(&place, "is there twice; ids are unique in a file");
            return;
        }
        let rule = Rule {
            id: id.clone(),
            forbids: policy.effect() == Effect::Forbid,
            notes,
        };
        if let Err(e) = self.set.add(policy.new_id(PolicyId::new(&id))) {
            problems.add(&place, e.to_string());
        }
        self.rules.insert(id, rule);
    }

    /// A single condition as a file of its own: how a threshold's scope is evaluated.
    pub(crate) fn condition(condition: &str) -> Result<PolicySet, String> {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let set = PolicySet::from_str(&text).map_err(|e| e.to_string())?;
        // A condition that closes its brace could smuggle in a rule of its own.
        if set.policies().count() != 1 {
            return Err("is more than one condition".to_owned());
        }
        Ok(set)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// Each rule as a set of its own.
    pub(crate) fn single(&self, id: &str) -> PolicySet {
        let policy = self.set.policy(&PolicyId::new(id)).cloned();
        PolicySet::from_policies(policy).unwrap_or_default()
    }

    pub(crate) fn hit(&self, id: &str, why: Option<&str>) -> RuleHit {
        let rule = self.rules.get(id);
        let said = rule.and_then(|r| r.notes.get("why").map(String::as_str));
        RuleHit {
            rule: format!("{}#{id}", self.path),
            why: why.or(said).unwrap_or(id).to_owned(),
            clause: rule.and_then(|r| r.notes.get("clause").cloned()),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    pub(crate) fn set(&self) -> &PolicySet {
        &self.set
    }
}

/// Asks a set of rules.
///
/// # Errors
/// Where the question itself cannot be put: an argument that is no Cedar value.
pub(crate) fn ask(set: &PolicySet, question: &Question<'_>) -> Result<Answer, String> {
    let request = request(question)?;
    let response = Authorizer::new().is_authorized(&request, set, &Entities::empty());
    let diagnostics = response.diagnostics();
    let mut holding: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    holding.sort();
    let faults = diagnostics.errors().map(|e| match e {
        cedar_policy::AuthorizationError::PolicyEvaluationError(e) => {
            (e.policy_id().to_string(), e.inner().to_string())
        }
    });
    let mut faults: Vec<_> = faults.collect();
    faults.sort();
    Ok(Answer {
        allowed: response.decision() == Decision::Allow,
        holding,
        faults,
    })
}

fn request(q: &Question<'_>) -> Result<Request, String> {
    let entity = |kind: &str, id: &str| {
        EntityTypeName::from_str(kind)
            .map(|kind| EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
            .map_err(|e| e.to_string())
    };
    let namespaces = q.facts.iter().map(|(name, fields)| {
        let fields = fields
            .iter()
            .map(|(field, value)| (field.clone(), scalar(value)));
        let record = RestrictedExpression::new_record(fields).map_err(|e| e.to_string())?;
        Ok((name.clone(), record))
    });
    let namespaces = namespaces.collect::<Result<Vec<_>, String>>()?;
    let facts = RestrictedExpression::new_record(namespaces).map_err(|e| e.to_string())?;
    let context = Context::from_pairs([
        ("args".to_owned(), record(q.args)?),
        (
            "env".to_owned(),
            RestrictedExpression::new_string(q.env.to_owned()),
        ),
        ("facts".to_owned(), facts),
        (
            "subject".to_owned(),
            RestrictedExpression::new_string(q.subject.to_owned()),
        ),
    ])
    .map_err(|e| e.to_string())?;
    Request::new(
        entity("Agent", q.principal)?,
        entity("Action", q.action)?,
        entity("Case", q.case)?,
        context,
        None,
    )
    .map_err(|e| e.to_string())
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

fn first_line(policy: &Policy) -> String {
    policy
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn located(path: &str, text: &str, e: &cedar_policy::ParseError) -> String {
    use miette::Diagnostic as _;
    let offset = e
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|l| l.offset());
    match offset {
        Some(offset) => {
            let line = text
                .as_bytes()
                .iter()
                .take(offset)
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            format!("{path}:{line}")
        }
        None => path.to_owned(),
    }
}
