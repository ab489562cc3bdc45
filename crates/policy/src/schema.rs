//! A Cedar schema from the tools that `team.toml` declares, and what is wrong with rules by it.
//!
//! Rules are validated strictly: an argument or fact that no tool has, a comparison of a number with a text, an optional
//! argument that is read without `has`, and a rule that could never hold are refused when the release is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};

use crate::{
    problem::{Problems, line_at},
    types::{Fields, record_in_schema},
};

/// What a tool takes and what its answers bring.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolTypes {
    pub(crate) args: Option<Fields>,
    /// Under which namespace its facts are, and their types where they are declared.
    pub(crate) facts: Option<(String, Option<Fields>)>,
}

/// The schema of all tools; none where one does not declare its types.
pub(crate) fn of_tools(
    tools: &BTreeMap<String, ToolTypes>,
    problems: &mut Problems,
) -> Option<Validator> {
    if !untyped(tools).is_empty() {
        return None;
    }
    let mut namespaces: BTreeMap<&str, Fields> = BTreeMap::new();
    for (tool, types) in tools {
        let Some((namespace, Some(fields))) = &types.facts else {
            continue;
        };
        let known = namespaces.entry(namespace).or_default();
        for (name, t) in fields {
            if known.get(name).is_some_and(|k| k.plain != t.plain) {
                problems.add(
                    format!("team.toml [[tool]] {tool}"),
                    format!(
                        "says that fact `{namespace}.{name}` is {}, and another tool says otherwise",
                        t.plain
                    ),
                );
            }
            known.insert(name.clone(), t.clone());
        }
    }
    let text = written(tools, &namespaces);
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, _)) => Some(Validator::new(schema)),
        Err(e) => {
            problems.add("team.toml", format!("its tools make no schema: {e}"));
            None
        }
    }
}

/// The tools that do not declare the types of their arguments, or of facts that they bring.
pub(crate) fn untyped(tools: &BTreeMap<String, ToolTypes>) -> Vec<&str> {
    let lacks = |t: &ToolTypes| t.args.is_none() || matches!(t.facts, Some((_, None)));
    let lacking = tools.iter().filter(|(_, t)| lacks(t));
    lacking.map(|(name, _)| name.as_str()).collect()
}

fn written(tools: &BTreeMap<String, ToolTypes>, namespaces: &BTreeMap<&str, Fields>) -> String {
    let mut text = "entity Agent;\nentity Case;\ntype Facts = {\n".to_owned();
    for (namespace, fields) in namespaces {
        // Until the tool was called there is none of them.
        let _ = writeln!(text, "  {namespace:?}?: {{{}}},", record_in_schema(fields));
    }
    text.push_str("};\n");
    for (tool, types) in tools {
        let none = Fields::new();
        let args = record_in_schema(types.args.as_ref().unwrap_or(&none));
        let _ = writeln!(
            text,
            "action {tool:?} appliesTo {{ principal: [Agent], resource: [Case], context: {{ args: {{{args}}}, env: String, facts: Facts, subject: String }} }};"
        );
    }
    text
}

/// The declared types of facts by namespace: of two tools that bring one namespace, both.
pub(crate) fn fact_types(tools: &BTreeMap<String, ToolTypes>) -> BTreeMap<String, Fields> {
    let mut namespaces: BTreeMap<String, Fields> = BTreeMap::new();
    for types in tools.values() {
        if let Some((namespace, Some(fields))) = &types.facts {
            let known = namespaces.entry(namespace.clone()).or_default();
            known.extend(fields.clone());
        }
    }
    namespaces
}

/// Validates policies that are named `<file>#<id>`; `text` is what they were read from, where places in it mean something.
pub(crate) fn validate(
    validator: &Validator,
    place: &str,
    text: Option<&str>,
    set: &PolicySet,
    problems: &mut Problems,
) {
    use miette::Diagnostic;
    let result = validator.validate(set, ValidationMode::Strict);
    let mut said = BTreeSet::new();
    let mut add = |id: String, e: &dyn Diagnostic| {
        let offset = e.labels().and_then(|mut l| l.next()).map(|l| l.offset());
        let at = match (text, offset) {
            (Some(text), Some(offset)) => format!("{place}:{}", line_at(text, offset)),
            _ => place.to_owned(),
        };
        let rule = id.split_once('#').map_or("", |(_, id)| id);
        let rule = if rule.is_empty() {
            String::new()
        } else {
            format!("rule `{rule}` ")
        };
        // Cedar begins with the policy's id, which stands before it here.
        let what = e.to_string();
        let what = what
            .strip_prefix(&format!("for policy `{id}`, "))
            .unwrap_or(&what);
        let help = e.help().map_or_else(
            || "the types are those of the tools in `team.toml`".to_owned(),
            |h| h.to_string(),
        );
        said.insert((at, format!("{rule}is not valid: {what}; {help}")));
    };
    for e in result.validation_errors() {
        add(e.policy_id().to_string(), e);
    }
    for e in result.validation_warnings() {
        add(e.policy_id().to_string(), e);
    }
    for (at, what) in said {
        problems.add(at, what);
    }
}
