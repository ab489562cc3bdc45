//! Pins: what a server says of a tool, as it was when the release was made.
//!
//! A tool's description and schemas are instructions to a model. A server that changes them after they were reviewed can
//! so make an agent do other things (tool poisoning). A release therefore holds them, one file for each tool:
//! `tools/<server>.<tool>.json`, with the fields of MCP's `Tool` that a model or a client goes by.

use std::collections::{BTreeMap, BTreeSet};

use duty::{canonical::Digest, release::Tool};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{files, problem::Problems, types::Type};

/// Where pins are.
pub(crate) const FOLDER: &str = "tools/";

/// A tool as its server describes it: the fields of `Tool` of the Model Context Protocol that are pinned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pin {
    /// Its name at the server, without the server's prefix.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub input_schema: Map<String, Value>,
    /// JSON Schema of its structured answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Map<String, Value>>,
    /// What the server says of its behaviour: hints, which no rule goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Map<String, Value>>,
}

impl Pin {
    /// SHA-256 over the canonical JSON of `{"fractions", "tool"}`. Canonical JSON here has whole numbers only, so that in
    /// `tool` each other number is its text, and `fractions` lists where, as JSON pointers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut tool = serde_json::to_value(self).expect("INVARIANT: a pin is JSON");
        let mut fractions = Vec::new();
        spell_fractions(&mut tool, "", &mut fractions);
        Digest::of(&json!({"fractions": fractions, "tool": tool}))
            .expect("INVARIANT: without fractions every value has a canonical form")
    }

    /// The text of its file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("INVARIANT: a pin is JSON");
        text + "\n"
    }

    /// The path of its file in a release, where it is a tool of `server`.
    ///
    /// # Errors
    /// Where its name cannot be part of a path, or its text is longer than a file of a release may be.
    pub fn path(&self, server: &str) -> Result<String, String> {
        let path = format!("{FOLDER}{server}.{}.json", self.name);
        if !files::belongs(&path) || server.contains('.') {
            return Err(format!(
                "`{}` of server `{server}` has a name that no file can have",
                self.name
            ));
        }
        match self.to_text().len() {
            bytes if bytes > files::LONGEST => Err(format!(
                "`{}` of server `{server}` is described in {bytes} bytes, and a file of a release holds {}",
                self.name,
                files::LONGEST
            )),
            _ => Ok(path),
        }
    }

    /// An entry for `team.toml` to begin with. It is taken to have an effect, whatever the server says of it, until whoever
    /// writes the release says otherwise.
    #[must_use]
    pub fn entry(&self, server: &str) -> String {
        let name = toml::Value::String(format!("{server}.{}", self.name));
        let mut lines = vec!["[[tool]]".to_owned(), format!("name = {name}")];
        let hint = |name: &str| self.annotations.as_ref()?.get(name)?.as_bool();
        let said = match hint("readOnlyHint") {
            Some(true) => {
                "the server says that it only reads: `false` if you trust that, without `idempotency`"
            }
            _ => "`false` if it only reads, without `idempotency`",
        };
        lines.push(format!("effect = true # {said}"));
        lines.push(
            "idempotency = false # or the argument that takes the grant's id as a key, left out of `args`".to_owned(),
        );
        let typed = self.types().into_iter().map(|(name, t)| {
            let name = toml::Value::String(name);
            format!("{name} = \"{t}\"")
        });
        let typed: Vec<_> = typed.collect();
        lines.push(format!("args = {{ {} }}", typed.join(", ")));
        lines.join("\n") + "\n"
    }

    /// The types of its arguments in the words of `team.toml`. What has no type that rules see is `Any`.
    #[must_use]
    pub fn types(&self) -> BTreeMap<String, String> {
        typed_fields(&self.input_schema)
    }
}

fn typed_fields(schema: &Map<String, Value>) -> BTreeMap<String, String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let required: BTreeSet<_> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let typed = properties.into_iter().flatten().map(|(name, schema)| {
        let (plain, nullable) = typed(schema);
        let optional = nullable || !required.contains(name.as_str());
        (
            name.clone(),
            format!("{plain}{}", if optional { "?" } else { "" }),
        )
    });
    typed.collect()
}

const ANY: &str = "Any";

/// A type of JSON Schema in the words of `team.toml`, and whether it may be null.
fn typed(schema: &Value) -> (String, bool) {
    let is_null = |sort: &Value| sort.as_str() == Some("null");
    let any = (ANY.to_owned(), false);
    let ways = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(ways) = ways.and_then(Value::as_array) {
        let (nulls, others): (Vec<_>, Vec<_>) = ways
            .iter()
            .partition(|way| way.get("type").is_some_and(is_null));
        return match others[..] {
            [one] => (typed(one).0, !nulls.is_empty()),
            _ => any,
        };
    }
    let (sort, nullable) = match schema.get("type") {
        Some(Value::Array(sorts)) => {
            match sorts.iter().filter(|s| !is_null(s)).collect::<Vec<_>>()[..] {
                [one] => (one.as_str(), sorts.iter().any(is_null)),
                _ => return any,
            }
        }
        Some(sort) => (sort.as_str(), false),
        None => (None, false),
    };
    let texts = schema.get("enum").and_then(Value::as_array);
    let plain = match sort {
        Some("string") => "String".to_owned(),
        Some("integer") => "Long".to_owned(),
        Some("boolean") => "Bool".to_owned(),
        Some("number") => "Decimal".to_owned(),
        Some("array") => match schema.get("items").map(typed) {
            Some((of, false)) if !of.contains(ANY) => format!("Set<{of}>"),
            _ => ANY.to_owned(),
        },
        Some("object") => record(schema).unwrap_or_else(|| ANY.to_owned()),
        None if texts.is_some_and(|t| !t.is_empty() && t.iter().all(Value::is_string)) => {
            "String".to_owned()
        }
        _ => ANY.to_owned(),
    };
    (plain, nullable)
}

/// An object of exactly these fields, where its schema allows no others.
fn record(schema: &Value) -> Option<String> {
    let schema = schema.as_object()?;
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return None;
    }
    let fields = typed_fields(schema).into_iter();
    let fields: Vec<_> = fields.map(|(name, t)| format!("{name}: {t}")).collect();
    let written = format!("{{{}}}", fields.join(", "));
    // A name can be one that the words of `team.toml` do not hold.
    written.parse::<Type>().ok().map(|_| written)
}

/// Puts its text in place of each number that canonical JSON does not hold, and says where.
fn spell_fractions(value: &mut Value, at: &str, found: &mut Vec<String>) {
    let token = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Number(n) if n.as_i64().is_none_or(|n| n.unsigned_abs() > LARGEST) => {
            found.push(at.to_owned());
            *value = Value::String(n.to_string());
        }
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                spell_fractions(item, &format!("{at}/{i}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                spell_fractions(field, &format!("{at}/{}", token(key)), found);
            }
        }
        _ => {}
    }
}

/// The largest whole number that canonical JSON holds.
const LARGEST: u64 = (1 << 53) - 1;

/// Reads a release's pins and puts their digests into its tools.
pub(crate) fn read(
    files: &BTreeMap<String, String>,
    tools: &mut BTreeMap<String, Tool>,
    problems: &mut Problems,
) -> BTreeMap<String, Pin> {
    let mut pins = BTreeMap::new();
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
        let tool = path
            .strip_prefix(FOLDER)
            .and_then(|p| p.strip_suffix(".json"));
        let tool = tool.unwrap_or_default();
        let pin: Pin = match serde_json::from_str(text) {
            Ok(pin) => pin,
            Err(why) => {
                problems.add(
                    path,
                    format!("is no pin: {why}; write it with `counterfoil release pin`"),
                );
                continue;
            }
        };
        if tool.split_once('.').map(|(_, name)| name) != Some(pin.name.as_str()) {
            problems.add(
                path,
                format!(
                    "pins `{}`; a pin's file is `tools/<server>.<tool>.json`",
                    pin.name
                ),
            );
        }
        match tools.get_mut(tool) {
            None => problems.add(path, format!("pins a tool that `team.toml` does not name: add a `[[tool]]` `{tool}`, or remove the file")),
            Some(known) if known.by_caller => problems.add(path, "pins a tool that no server is asked for: its effect is its caller's"),
            Some(known) => known.pinned = Some(pin.digest()),
        }
        pins.insert(tool.to_owned(), pin);
    }
    let pinned: BTreeSet<_> = pins
        .keys()
        .filter_map(|name| name.split_once('.'))
        .map(|(server, _)| server)
        .collect();
    for tool in tools
        .values()
        .filter(|t| t.pinned.is_none() && !t.by_caller)
    {
        let server = tool.name.split_once('.').map(|(server, _)| server);
        if server.is_some_and(|s| pinned.contains(s)) {
            problems.add(
                format!("team.toml [[tool]] {}", tool.name),
                "is not pinned, and other tools of its server are: pin all that the release names, or none",
            );
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(schema: Value) -> Pin {
        serde_json::from_value(
            json!({"name": "send", "description": "Sends.", "inputSchema": schema}),
        )
        .unwrap()
    }

    #[test]
    fn every_field_counts_and_a_fraction_is_not_its_text() {
        let base = pin(json!({"properties": {"n": {"default": 0.5}}}));
        let mut others = vec![
            pin(json!({"properties": {"n": {"default": "0.5"}}})),
            pin(json!({"properties": {"n": {"default": 0.25}}})),
        ];
        others.push(Pin {
            title: Some("T".to_owned()),
            ..base.clone()
        });
        others.push(Pin {
            description: None,
            ..base.clone()
        });
        others.push(Pin {
            output_schema: Some(Map::new()),
            ..base.clone()
        });
        others.push(Pin {
            annotations: Some(Map::new()),
            ..base.clone()
        });
        for other in others {
            assert_ne!(base.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_pin_reads_back_as_it_was_written() {
        let schema =
            json!({"x": [0.1, 1e300, -0.0, 0.1 + 0.2, 18_446_744_073_709_551_615_u64, 4.35]});
        let first = pin(schema);
        let again: Pin = serde_json::from_str(&first.to_text()).unwrap();
        assert_eq!(first.digest(), again.digest());
    }

    #[test]
    fn types_come_from_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "to": {"type": "string"},
                "cc": {"type": "array", "items": {"type": "string"}},
                "sort": {"enum": ["a", "b"]},
                "times": {"type": "integer"},
            },
            "required": ["to", "times"],
        });
        let types = pin(schema.clone()).types();
        let types: Vec<_> = types.iter().map(|(n, t)| format!("{n} {t}")).collect();
        assert_eq!(
            types,
            ["cc Set<String>?", "sort String?", "times Long", "to String"]
        );
        let entry: toml::Value = toml::from_str(&pin(schema).entry("mail")).unwrap();
        assert_eq!(entry["tool"][0]["name"].as_str(), Some("mail.send"));
        assert_eq!(entry["tool"][0]["args"]["times"].as_str(), Some("Long"));
    }

    #[test]
    fn what_real_servers_say_has_a_type() {
        let schema = json!({"properties": {
            "amount": {"type": "number"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "when": {"type": ["string", "null"]},
            "to": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name"], "additionalProperties": false},
            "open": {"type": "object", "properties": {"name": {"type": "string"}}},
            "odd": {"type": "object", "properties": {"a b": {"type": "string"}}, "additionalProperties": false},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "rows": {"type": "array", "items": {"type": "object"}},
            "points": {"type": "array", "items": {"type": "number"}},
            "anything": {},
        }, "required": ["amount", "note", "when", "to", "open", "odd", "either", "rows", "points", "anything"]});
        let types = pin(schema.clone()).types();
        let types: Vec<_> = types.iter().map(|(n, t)| format!("{n} {t}")).collect();
        assert_eq!(
            types,
            [
                "amount Decimal",
                "anything Any",
                "either Any",
                "note String?",
                "odd Any",
                "open Any",
                "points Set<Decimal>",
                "rows Any",
                "to {age: Long?, name: String}",
                "when String?"
            ]
        );
        for (_, t) in pin(schema.clone()).types() {
            t.parse::<Type>().unwrap();
        }
        assert!(toml::from_str::<toml::Value>(&pin(schema).entry("mail")).is_ok());
    }

    #[test]
    fn only_names_that_are_files_have_a_path() {
        let named = |name: &str| Pin {
            name: name.to_owned(),
            ..pin(json!({}))
        };
        assert_eq!(named("send").path("mail").unwrap(), "tools/mail.send.json");
        assert!(named("a/b").path("mail").is_err());
        assert!(named("send").path("mail.x").is_err());
        let long = Pin {
            description: Some("x".repeat(files::LONGEST)),
            ..named("send")
        };
        assert!(long.path("mail").unwrap_err().contains("bytes"));
    }
}
