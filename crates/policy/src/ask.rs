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
    place::Place,
    types::{self, Fields},
};

/// The entity type of principals.
pub(crate) const AGENT: &str = "Agent";
/// The entity type of actions.
pub(crate) const ACTION: &str = "Action";
/// The entity type of resources.
pub(crate) const CASE: &str = "Case";

/// A part of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Arguments,
    Environment,
    Facts,
    Subject,
    /// What a reviewer's table finds besides, where an action was prepared.
    Proposed,
}

impl Part {
    const ALL: [Self; 5] = [
        Self::Arguments,
        Self::Environment,
        Self::Facts,
        Self::Subject,
        Self::Proposed,
    ];

    /// What rules call it.
    fn word(self) -> &'static str {
        match self {
            Self::Arguments => "args",
            Self::Environment => "env",
            Self::Facts => "facts",
            Self::Subject => "subject",
            Self::Proposed => "tool",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.word() == word)
    }
}

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

impl<'a> Question<'a> {
    /// The question, ready for however many rules: plain conditions read it as it is, and Cedar's values are made of it
    /// where one is not plain.
    ///
    /// # Errors
    /// Where it cannot be put: an argument that is not as declared, or has no value for rules.
    pub(crate) fn pose(self) -> Result<Posed<'a>, String> {
        types::check_facts(self.facts, self.types.facts)?;
        // One by one, and not through Cedar's own JSON form, in which an agent's `__entity` would mean something.
        types::check_arguments(self.action, self.types.args, self.args)?;
        Ok(Posed::of_question(self, &NOTHING))
    }

    /// Principal, action and resource.
    pub(crate) fn scope(&self) -> [EntityUID; 3] {
        let [agent, action, case] = &*TYPES;
        let ids = [
            (agent, self.principal),
            (action, self.action),
            (case, self.case),
        ];
        ids.map(|(kind, id)| EntityUID::from_components(kind.clone(), Eid::new(id), None))
    }

    /// The question as Cedar takes it.
    pub(crate) fn request(&self) -> Request {
        let namespaces = self.facts.iter().map(|(name, fields)| {
            let declared = self.types.facts.get(name);
            let seen = fields.iter().filter_map(|(field, fact)| {
                let declared = declared.and_then(|d| d.get(field));
                Some((field.as_str(), types::fact(declared, fact)?))
            });
            (name.as_str(), Cedar::record(seen, None))
        });
        let parts = [
            (Part::Arguments, types::record(self.types.args, self.args)),
            (Part::Environment, Cedar::from(self.env)),
            (Part::Facts, Cedar::record(namespaces, None)),
            (Part::Subject, Cedar::from(self.subject)),
        ];
        let proposed = self
            .proposed
            .map(|tool| (Part::Proposed, Cedar::from(tool)));
        let parts = parts.into_iter().chain(proposed);
        let fields = parts.map(|(part, value)| (part.word(), value));
        let context = match Cedar::record(fields, None).value {
            ValueKind::Record(fields) => Context::Value(fields),
            _ => unreachable!("INVARIANT: a record is a record"),
        };
        let [principal, action, resource] =
            self.scope().map(|uid| EntityUIDEntry::known(uid, None));
        Request::new_unchecked(principal, action, resource, Some(context))
    }

    pub(crate) fn part(&'a self, part: Part) -> Option<Place<'a>> {
        Some(match part {
            Part::Arguments => Place::Object(self.args, self.types.args),
            Part::Environment => Place::Text(self.env),
            Part::Facts => Place::Facts(self.facts, self.types.facts),
            Part::Subject => Place::Text(self.subject),
            Part::Proposed => Place::Text(self.proposed?),
        })
    }
}

/// Rules see no entity store: all that they may know is in the question.
static NOTHING: LazyLock<Entities> = LazyLock::new(Entities::new);

/// The three entity types; parsing their names for every question costs more than asking it.
static TYPES: LazyLock<[EntityType; 3]> = LazyLock::new(|| {
    [AGENT, ACTION, CASE]
        .map(|name| EntityType::from_str(name).expect("INVARIANT: a constant word is a type name"))
});

#[cfg(test)]
mod tests {
    use cedar_policy::RestrictedExpression as Written;
    use cedar_policy_core::{
        ast::{Expr, Literal, SlotEnv},
        evaluator::Evaluator,
        extensions::Extensions,
    };
    use duty::facts::Scalar;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::index::Indexed;

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
            posed.request().context()
        );
    }

    /// What arguments are declared as, where they are.
    const ARGUMENTS: &[(&str, &str)] = &[
        ("to", "String?"),
        ("n", "Long?"),
        ("sum", "Decimal?"),
        ("sure", "Bool?"),
        ("hidden", "Any?"),
        ("names", "Set<String>?"),
        ("sums", "Set<Decimal>?"),
        ("row", "{k: String?, n: Decimal?, x: Any?}?"),
        ("rows", "Set<{k: String}>?"),
    ];

    /// Plain ones and others, over all that can be declared; many fail on many questions.
    const CONDITIONS: &[&str] = &[
        "context.args.to == \"x\"",
        "[\"x\", \"y\"].contains(context.args.to)",
        "context.args.to like \"x*\"",
        "context.args.to == context.facts.inv.to",
        "context.args has to && context.args.to != context.subject",
        "context.args.n > 2",
        "context.args.n * 9223372036854775807 > 0",
        "context.args has n || context.env == \"dev\"",
        "context.args.sum == decimal(\"2.0\")",
        "context.args.sum.lessThan(decimal(\"2.5\"))",
        "context.args has sum",
        "context.args.sum == context.args.n",
        "context.args.sum == context.facts.inv.sum",
        "context.args.sure",
        "context.args.sure && context.facts.inv.sure",
        "context.args has hidden",
        "context.args.hidden == 1",
        "context.args has names && context.args.names.contains(\"x\")",
        "context.args.names.contains(context.facts.inv.to)",
        "context.args.names == [\"x\"]",
        "context.args.names == [\"x\", \"x\"]",
        "context.args.names == \"x\"",
        "context.args.names.isEmpty()",
        "context.args.sums.contains(decimal(\"2.0\"))",
        "context.args.sums.contains(2)",
        "context.args.row.k == \"x\"",
        "context.args.row has k",
        "context.args has row.k",
        "context.args has row.k.deep",
        "context.args.row has x",
        "context.args.row == {k: \"x\"}",
        "context.args.row == {k: \"x\", n: decimal(\"2.0\")}",
        "context.args.rows.contains({k: \"x\"})",
        "context.args.rows.contains(\"x\")",
        "context.args == {}",
        "context.args.missing",
        "context has tool && context.tool == \"t.x\"",
        "context.facts has inv && context.facts.inv has n && context.facts.inv.n <= 2",
        "context.facts has inv.n",
        "context.facts.inv.n == context.args.n",
        "context.facts.inv has part",
        "context.facts.inv.part == 1",
        "context.facts.inv has sum",
        "context.facts.inv.sum == 2",
        "context.facts.inv.sum == decimal(\"2.0\")",
        "context.facts.none has n",
        "context.facts == {}",
        "context has facts.inv.n",
        "context has nothing",
        "if context.args has n then context.args.n == 1 else context.facts.inv.n == 1",
        "context.subject",
        "context.env == context.subject || context.args.n == context.facts.inv.n",
        "principal == Agent::\"ana\" && context.args.n == 1",
    ];

    fn argument(name: &str) -> BoxedStrategy<Value> {
        let word = || prop::sample::select(vec!["x", "y", "xy", "s"]);
        let number = || 0..4_i64;
        let sum = || prop::sample::select(vec![json!(2), json!(2.5), json!(0.0001), json!(-1)]);
        let of = match name {
            "to" => word().prop_map(Value::from).boxed(),
            "n" => number().prop_map(Value::from).boxed(),
            "sum" => sum().boxed(),
            "sure" => any::<bool>().prop_map(Value::from).boxed(),
            "names" => prop::collection::vec(word(), 0..3)
                .prop_map(Value::from)
                .boxed(),
            "sums" => prop::collection::vec(sum(), 0..3)
                .prop_map(Value::from)
                .boxed(),
            "row" => (word(), sum(), number())
                .prop_map(|(k, n, x)| json!({"k": k, "n": n, "x": x}))
                .boxed(),
            "rows" => prop::collection::vec(word().prop_map(|k| json!({"k": k})), 0..3)
                .prop_map(Value::from)
                .boxed(),
            _ => any_json().boxed(),
        };
        prop_oneof![4 => of, 1 => Just(Value::Null)].boxed()
    }

    fn arguments() -> impl Strategy<Value = Map<String, Value>> {
        let each = ARGUMENTS.iter().map(|(name, _)| {
            prop::option::weighted(0.7, argument(name))
                .prop_map(|v| v.map(|v| ((*name).to_owned(), v)))
        });
        let each: Vec<_> = each.collect();
        each.prop_map(|fields| fields.into_iter().flatten().collect())
    }

    fn known() -> impl Strategy<Value = Facts> {
        let word = prop::sample::select(vec!["x", "s"]).prop_map(Value::from);
        let field = (
            prop::sample::select(vec!["to", "n", "sum", "part", "sure"]),
            prop_oneof![
                word,
                (0..4_i64).prop_map(Value::from),
                Just(json!(2.5)),
                any::<bool>().prop_map(Value::from)
            ],
        );
        prop::collection::vec(field, 0..6).prop_map(|fields| {
            let mut facts = Facts::default();
            for (name, value) in fields {
                facts.insert("inv", name, Scalar::of(&value).unwrap());
            }
            facts
        })
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
            let request = posed.request();
            prop_assert_eq!(request.context(), Some(expected.as_ref()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Plain conditions read a question as it is; Cedar reads the values made of it.
        #[test]
        fn a_question_is_read_as_cedar_reads_it(
            args in arguments(), known in known(), typed in any::<bool>(), proposed in prop::option::of(Just("t.x")),
        ) {
            let fields = |text: &[(&str, &str)]| -> Fields {
                text.iter().map(|(name, t)| ((*name).to_owned(), t.parse().unwrap())).collect()
            };
            let (declared, of_facts) = (fields(ARGUMENTS), fields(&[("sum", "Decimal"), ("n", "Long")]));
            let of_facts = BTreeMap::from([("inv".to_owned(), of_facts)]);
            let question = Question {
                principal: "ana", action: "t.x", case: "c1", subject: "s", env: "dev",
                args: &args, proposed, facts: &known,
                types: Types { args: typed.then_some(&declared), facts: &of_facts },
            };
            let Ok(posed) = question.pose() else { return Ok(()) };
            let request = posed.request();
            let evaluator = Evaluator::new(request, &NOTHING, Extensions::all_available());
            for (condition, set, whole) in SETS.iter() {
                let answer = set.answer(&posed);
                match evaluator.interpret(whole, &SlotEnv::new()) {
                    Ok(value) => match value.value_kind() {
                        ValueKind::Lit(Literal::Bool(holds)) => {
                            prop_assert_eq!(answer.allowed, *holds, "{}", condition);
                            prop_assert!(answer.faults.is_empty(), "{}: {:?}", condition, answer.faults);
                        }
                        _ => prop_assert_eq!(answer.faults.len(), 1, "{}", condition),
                    },
                    Err(e) => prop_assert_eq!(&answer.faults[0].1, &e.to_string(), "{}", condition),
                }
            }
        }
    }

    /// Each condition, the set of the one rule that has it, and that rule as one expression.
    static SETS: LazyLock<Vec<(&str, Indexed, Expr)>> = LazyLock::new(|| {
        let conditions = CONDITIONS.iter().map(|condition| {
            let text = format!(
                "permit (principal, action == Action::\"t.x\", resource) when {{ {condition} }};"
            );
            let policy = cedar_policy::Policy::parse(None, text).unwrap();
            let ast: &cedar_policy_core::ast::Policy = policy.as_ref();
            let whole = ast.condition();
            (*condition, Indexed::from_iter([policy]), whole)
        });
        conditions.collect()
    });
}
