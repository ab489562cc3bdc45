//! A Cedar schema from the tools that `team.toml` declares, and what is wrong with rules by it.
//!
//! Rules are validated strictly: an argument or fact that no tool has, a comparison of a number with a text, an optional
//! argument that is read without `has`, and a rule that could never hold are refused when the release is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use serde_json::{Map, Value, json};

use crate::problem::{Problems, line_at};

/// A type of an argument or a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    plain: Plain,
    /// Written with `?`: it may be absent.
    optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Plain {
    Text,
    Long,
    Bool,
    Set(Box<Plain>),
}

pub(crate) type Fields = BTreeMap<String, Type>;

/// What a tool takes and what its answers bring.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolTypes {
    pub(crate) args: Option<Fields>,
    /// Under which namespace its facts are, and their types where they are declared.
    pub(crate) facts: Option<(String, Option<Fields>)>,
}

impl Type {
    /// As JSON Schema says it.
    pub(crate) fn json_schema(&self) -> Value {
        self.plain.json_schema()
    }

    /// Whether it may be absent.
    pub(crate) fn is_optional(&self) -> bool {
        self.optional
    }
}

impl std::str::FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (plain, optional) = match text.strip_suffix('?') {
            Some(plain) => (plain, true),
            None => (text, false),
        };
        let plain = plain_of(plain).ok_or_else(|| {
            format!(
                "`{text}` is no type; write String, Long, Bool or Set<…> of one, with `?` where it may be absent"
            )
        })?;
        Ok(Self { plain, optional })
    }
}

fn plain_of(text: &str) -> Option<Plain> {
    match text {
        "String" => Some(Plain::Text),
        "Long" => Some(Plain::Long),
        "Bool" => Some(Plain::Bool),
        _ => {
            let inner = text.strip_prefix("Set<")?.strip_suffix('>')?;
            Some(Plain::Set(Box::new(plain_of(inner)?)))
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("String"),
            Self::Long => f.write_str("Long"),
            Self::Bool => f.write_str("Bool"),
            Self::Set(of) => write!(f, "Set<{of}>"),
        }
    }
}

impl Plain {
    fn json_schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Long => json!({"type": "integer"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Set(of) => json!({"type": "array", "items": of.json_schema()}),
        }
    }

    fn is_of(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Long, Value::Number(n)) => n.as_i64().is_some(),
            (Self::Set(of), Value::Array(items)) => items.iter().all(|i| of.is_of(i)),
            _ => false,
        }
    }
}

impl ToolTypes {
    /// Whether arguments are as they are declared; nothing is asked of a tool that declares none.
    pub(crate) fn takes(&self, tool: &str, given: &Map<String, Value>) -> Result<(), String> {
        let Some(args) = &self.args else {
            return Ok(());
        };
        for (name, value) in given {
            let Some(declared) = args.get(name) else {
                let names: Vec<_> = args.keys().map(|n| format!("`{n}`")).collect();
                return Err(format!(
                    "`{tool}` takes no argument `{name}`; it takes {}",
                    names.join(", ")
                ));
            };
            if !declared.plain.is_of(value) {
                return Err(format!(
                    "argument `{name}` of `{tool}` is no {}",
                    declared.plain
                ));
            }
        }
        let absent = args
            .iter()
            .find(|(name, t)| !t.optional && !given.contains_key(*name));
        match absent {
            Some((name, t)) => Err(format!(
                "argument `{name}` ({}) of `{tool}` is not given",
                t.plain
            )),
            None => Ok(()),
        }
    }
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
        let _ = writeln!(text, "  {namespace:?}?: {{{}}},", record(fields));
    }
    text.push_str("};\n");
    for (tool, types) in tools {
        let none = Fields::new();
        let args = record(types.args.as_ref().unwrap_or(&none));
        let _ = writeln!(
            text,
            "action {tool:?} appliesTo {{ principal: [Agent], resource: [Case], context: {{ args: {{{args}}}, env: String, facts: Facts, subject: String }} }};"
        );
    }
    text
}

fn record(fields: &Fields) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, t)| {
            let mark = if t.optional { "?" } else { "" };
            format!("{name:?}{mark}: {}", t.plain)
        })
        .collect();
    fields.join(", ")
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
