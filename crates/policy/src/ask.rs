//! A question put to Cedar: a request built once, asked of as many sets of rules as need be.
//!
//! Asked with principal `Agent::"<id>"`, action `Action::"<server>.<tool>"`, resource `Case::"<id>"` and a context of
//! `args`, `env`, `facts`, `subject`; a reviewer's table also sees the `tool` that was proposed. An attribute that is absent is an evaluation error, and every caller takes an error for
//! the careful side.

use std::{collections::BTreeMap, str::FromStr, sync::LazyLock};

use cedar_policy_core::{
    ast::{
        Context, Eid, EntityType, EntityUID, EntityUIDEntry, Request, Value as Cedar, ValueKind,
    },
    entities::Entities,
};
use duty::facts::Facts;
use serde_json::{Map, Value};

use crate::{
    index::Posed,
    types::{self, Fields},
};

/// The entity type of principals.
pub(crate) const AGENT: &str = "Agent";
/// The entity type of actions.
pub(crate) const ACTION: &str = "Action";
/// The entity type of resources.
pub(crate) const CASE: &str = "Case";

/// What rules find in their context.
const CONTEXT: [&str; 4] = ["args", "env", "facts", "subject"];
/// What a reviewer's table finds besides, where an action was prepared.
const PROPOSED: &str = "tool";

/// A question to the rules.
pub(crate) struct Question<'a> {
    pub(crate) principal: &'a str,
    pub(crate) action: &'a str,
    pub(crate) case: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) env: &'a str,
    pub(crate) args: &'a Map<String, Value>,
    /// The tool that `args` are for, where `action` is a duty.
    pub(crate) proposed: Option<&'a str>,
    pub(crate) facts: &'a Facts,
    pub(crate) types: Types<'a>,
}

/// What is declared of what a question holds.
#[derive(Clone, Copy)]
pub(crate) struct Types<'a> {
    /// Of the action's arguments; none where its tool declares none.
    pub(crate) args: Option<&'a Fields>,
    /// Of facts, by namespace.
    pub(crate) facts: &'a BTreeMap<String, Fields>,
}

impl Question<'_> {
    /// The question as Cedar takes it, its values made once for however many rules.
    ///
    /// # Errors
    /// Where it cannot be put: an argument that is not as declared, or has no value for rules.
    pub(crate) fn pose(&self) -> Result<Posed<'static>, String> {
        let namespaces = self.facts.iter().map(|(name, fields)| {
            let declared = self.types.facts.get(name);
            let mut seen = Vec::with_capacity(fields.len());
            for (field, value) in fields {
                let declared = declared.and_then(|d| d.get(field));
                let value = types::fact(&format!("{name}.{field}"), declared, value)?;
                seen.extend(value.map(|value| (field.as_str(), value)));
            }
            Ok((name.as_str(), Cedar::record(seen, None)))
        });
        let namespaces = namespaces.collect::<Result<Vec<_>, String>>()?;
        // One by one, and not through Cedar's own JSON form, in which an agent's `__entity` would mean something.
        let args = match self.types.args {
            Some(declared) => types::arguments(self.action, declared, self.args)?,
            None => types::undeclared_record(self.args)?,
        };
        let values = [
            args,
            Cedar::from(self.env),
            Cedar::record(namespaces, None),
            Cedar::from(self.subject),
        ];
        let proposed = self.proposed.map(|tool| (PROPOSED, Cedar::from(tool)));
        let fields = CONTEXT.into_iter().zip(values).chain(proposed);
        let context = match Cedar::record(fields, None).value {
            ValueKind::Record(fields) => Context::Value(fields),
            _ => unreachable!("INVARIANT: a record is a record"),
        };
        let [agent, action, case] = &*TYPES;
        let request = Request::new_unchecked(
            entity(agent, self.principal),
            entity(action, self.action),
            entity(case, self.case),
            Some(context),
        );
        Ok(Posed::new(request, &NOTHING))
    }
}

/// Rules see no entity store: all that they may know is in the question.
static NOTHING: LazyLock<Entities> = LazyLock::new(Entities::new);

/// The three entity types; parsing their names for every question costs more than asking it.
static TYPES: LazyLock<[EntityType; 3]> = LazyLock::new(|| {
    [AGENT, ACTION, CASE]
        .map(|name| EntityType::from_str(name).expect("INVARIANT: a constant word is a type name"))
});

fn entity(kind: &EntityType, id: &str) -> EntityUIDEntry {
    EntityUIDEntry::known(
        EntityUID::from_components(kind.clone(), Eid::new(id), None),
        None,
    )
}

#[cfg(test)]
mod tests {
    use cedar_policy::RestrictedExpression as Written;
    use duty::facts::Scalar;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z_]{1,9}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The same by way of the expressions that Cedar offers for it.
    fn written(value: &Value) -> Written {
        match value {
            Value::Bool(b) => Written::new_bool(*b),
            Value::Number(n) => Written::new_long(n.as_i64().unwrap()),
            Value::String(s) => Written::new_string(s.clone()),
            Value::Array(items) => Written::new_set(items.iter().map(written)),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(k, v)| (k.clone(), written(v)));
                Written::new_record(fields).unwrap()
            }
            Value::Null => unreachable!("the generator makes none"),
        }
    }

    #[test]
    fn declared_values_are_what_cedar_would_make_of_them() {
        let declared = |text: &[(&str, &str)]| -> Fields {
            let fields = text.iter();
            fields
                .map(|(name, t)| ((*name).to_owned(), t.parse().unwrap()))
                .collect()
        };
        let args = declared(&[
            ("d", "Decimal"),
            ("whole", "Decimal?"),
            ("gone", "Long?"),
            ("hidden", "Any"),
            ("rows", "Set<{k: String, n: Decimal?}>"),
        ]);
        let given = json!({
            "d": -0.25, "whole": 3, "gone": null, "hidden": [{"__entity": 1.5}],
            "rows": [{"k": "a", "n": 1e-4}, {"k": "b", "n": null}],
        });
        let mut known = Facts::default();
        known.insert("acc", "balance", Scalar::of(&json!(12.5)).unwrap());
        known.insert("acc", "limit", Scalar::of(&json!(100.0)).unwrap());
        known.insert("acc", "undeclared", Scalar::of(&json!(0.5)).unwrap());
        let facts = declared(&[("balance", "Decimal"), ("limit", "Decimal")]);
        let facts = BTreeMap::from([("acc".to_owned(), facts)]);
        let posed = Question {
            principal: "ana",
            action: "t.x",
            case: "c1",
            subject: "s",
            env: "dev",
            args: given.as_object().unwrap(),
            proposed: None,
            facts: &known,
            types: Types {
                args: Some(&args),
                facts: &facts,
            },
        }
        .pose()
        .unwrap();
        let text = r#"{args: {d: decimal("-0.25"), whole: decimal("3.0"), rows: [{k: "a", n: decimal("0.0001")}, {k: "b"}]},
            env: "dev", facts: {acc: {balance: decimal("12.5"), limit: decimal("100.0")}}, subject: "s"}"#;
        let same = format!("context == {text}").parse().unwrap();
        assert_eq!(
            posed.truth(&same),
            crate::index::Verdict::Yes,
            "{:?}",
            posed.context()
        );
    }

    proptest! {
        #[test]
        fn the_context_is_what_cedar_would_make_of_it(
            args in prop::collection::btree_map("[a-z_]{1,9}", any_json(), 0..5),
            facts in prop::collection::btree_map("[a-z]{1,4}", any::<i64>(), 0..4),
        ) {
            let args: Map<String, Value> = args.into_iter().collect();
            let mut known = Facts::default();
            for (field, n) in &facts {
                known.insert("inv", field, Scalar::Int(*n));
            }
            let question = Question {
                principal: "ana", action: "t.x", case: "c1", subject: "s", env: "dev",
                args: &args, proposed: None, facts: &known, types: Types { args: None, facts: &BTreeMap::new() },
            };
            let facts = if facts.is_empty() { json!({}) } else { json!({ "inv": facts }) };
            let whole = json!({"args": args, "env": "dev", "facts": facts, "subject": "s"});
            let fields = whole.as_object().unwrap().iter().map(|(k, v)| (k.clone(), written(v)));
            let expected = cedar_policy::Context::from_pairs(fields).unwrap();
            let posed = question.pose().unwrap();
            prop_assert_eq!(posed.context(), Some(expected.as_ref()));
        }
    }
}
