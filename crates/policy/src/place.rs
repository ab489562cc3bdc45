//! Places in what rules read: a context as Cedar has it, or a question that none was made of yet. To a plain condition
//! both read the same, and the second costs no copies (`ask.rs` compares).

use std::collections::BTreeMap;

use cedar_policy_core::ast::{Context, Literal, Value, ValueKind};
use duty::facts::{Facts, Scalar};
use serde_json::{Map, Value as Json};

use crate::{
    ask::{Part, Question},
    types::{Fields, Plain as Declared},
};

/// A place, by reference.
#[derive(Clone, Copy)]
pub(crate) enum Place<'v> {
    /// The root of a context.
    Context(&'v Context),
    Value(&'v Value),
    /// The root of a question, which was checked against what is declared.
    Question(&'v Question<'v>),
    Text(&'v str),
    Facts(&'v Facts, &'v BTreeMap<String, Fields>),
    Namespace(&'v BTreeMap<String, Scalar>, Namespace<'v>),
    Fact(&'v Scalar, Namespace<'v>, &'v str),
    Object(&'v Map<String, Json>, Option<&'v Fields>),
    /// Neither null nor an object, nor hidden from rules.
    Json(&'v Json, Option<&'v Declared>),
}

/// A namespace of facts, by name, with what is declared of facts. It is looked up for numbers alone.
#[derive(Clone, Copy)]
pub(crate) struct Namespace<'v> {
    declared: &'v BTreeMap<String, Fields>,
    name: &'v str,
}

impl Namespace<'_> {
    fn is_decimal(self, field: &str) -> bool {
        let declared = self.declared.get(self.name).and_then(|d| d.get(field));
        declared.is_some_and(|t| t.plain == Declared::Decimal)
    }
}

/// It has no fields.
pub(crate) struct NoRecord;

impl<'v> Place<'v> {
    /// The field of a root: as [`Place::field`], with what its name says told ahead.
    pub(crate) fn part(self, part: Option<Part>, name: &'v str) -> Result<Option<Self>, NoRecord> {
        match self {
            Self::Question(question) => Ok(part.and_then(|part| question.part(part))),
            other => other.field(name),
        }
    }

    /// The field of this name; none where the record lacks it.
    pub(crate) fn field(self, name: &'v str) -> Result<Option<Self>, NoRecord> {
        Ok(match self {
            Self::Context(Context::Value(fields)) => fields.get(name).map(Self::Value),
            Self::Value(value) => match value.value_kind() {
                ValueKind::Record(fields) => fields.get(name).map(Self::Value),
                _ => return Err(NoRecord),
            },
            Self::Question(question) => Part::named(name).and_then(|part| question.part(part)),
            Self::Facts(facts, declared) => facts
                .namespace(name)
                .map(|fields| Self::Namespace(fields, Namespace { declared, name })),
            // A fraction is there where it is declared as what rules can compute with.
            Self::Namespace(fields, namespace) => match fields.get(name) {
                Some(Scalar::Fraction(_)) if !namespace.is_decimal(name) => None,
                fact => fact.map(|fact| Self::Fact(fact, namespace, name)),
            },
            Self::Object(fields, declared) => {
                let declared = declared.and_then(|d| d.get(name)).map(|t| &t.plain);
                fields.get(name).and_then(|json| Self::of(json, declared))
            }
            Self::Context(_) | Self::Text(_) | Self::Fact(..) | Self::Json(..) => {
                return Err(NoRecord);
            }
        })
    }

    /// None for what rules do not see.
    fn of(json: &'v Json, declared: Option<&'v Declared>) -> Option<Self> {
        match (json, declared) {
            (Json::Null, _) | (_, Some(Declared::Any)) => None,
            (Json::Object(fields), declared) => {
                Some(Self::Object(fields, declared.and_then(Declared::fields)))
            }
            (json, declared) => Some(Self::Json(json, declared)),
        }
    }

    /// The value there; none where it takes Cedar to tell.
    pub(crate) fn seen(self) -> Option<Seen<'v>> {
        match self {
            Self::Value(value) => Some(Seen::of(value)),
            Self::Text(text) => Some(Seen::Text(text)),
            Self::Fact(fact, namespace, name) => match fact {
                Scalar::Bool(b) => Some(Seen::Bool(*b)),
                Scalar::Text(text) => Some(Seen::Text(text)),
                Scalar::Int(n) if !namespace.is_decimal(name) => Some(Seen::Long(*n)),
                Scalar::Int(_) | Scalar::Fraction(_) => None,
            },
            Self::Json(json, declared) => match json {
                Json::Bool(b) => Some(Seen::Bool(*b)),
                Json::String(text) => Some(Seen::Text(text)),
                Json::Number(n) if declared != Some(&Declared::Decimal) => {
                    n.as_i64().map(Seen::Long)
                }
                Json::Array(items) => Some(Seen::Items(items, declared.and_then(Declared::items))),
                Json::Number(_) | Json::Object(_) | Json::Null => None,
            },
            Self::Context(_)
            | Self::Question(_)
            | Self::Facts(..)
            | Self::Namespace(..)
            | Self::Object(..) => None,
        }
    }
}

/// A value by reference.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'v> {
    Bool(bool),
    Long(i64),
    Text(&'v str),
    /// A set that Cedar did not see yet, with the type of its items.
    Items(&'v [Json], Option<&'v Declared>),
    /// None of these, as Cedar has it.
    Other(&'v Value),
}

impl<'v> Seen<'v> {
    pub(crate) fn of(value: &'v Value) -> Self {
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(b)) => Self::Bool(*b),
            ValueKind::Lit(Literal::Long(n)) => Self::Long(*n),
            ValueKind::Lit(Literal::String(s)) => Self::Text(s),
            _ => Self::Other(value),
        }
    }

    /// Whether they are the same; none where it takes Cedar to tell. Values of two kinds are never the same.
    pub(crate) fn is(self, other: Self) -> Option<bool> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Other(a), Self::Other(b)) => a == b,
            (Self::Items(..), Self::Items(..) | Self::Other(_))
            | (Self::Other(_), Self::Items(..)) => return None,
            _ => false,
        })
    }

    /// Whether it is a set that contains the item; none where it takes Cedar to tell.
    pub(crate) fn contains(self, item: Self) -> Option<bool> {
        match self {
            Self::Items(items, of) => {
                let items = items.iter().filter_map(|json| Place::of(json, of));
                any_is(items.map(Place::seen), item)
            }
            Self::Other(value) => match value.value_kind() {
                ValueKind::Set(set) => any_is(set.iter().map(|v| Some(Seen::of(v))), item),
                _ => None,
            },
            Self::Bool(_) | Self::Long(_) | Self::Text(_) => None,
        }
    }
}

/// Whether one of several is this; none where it takes Cedar to tell.
pub(crate) fn any_is<'v>(
    several: impl Iterator<Item = Option<Seen<'v>>>,
    this: Seen<'v>,
) -> Option<bool> {
    let mut told = Some(false);
    for one in several {
        match one.and_then(|one| one.is(this)) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => told = None,
        }
    }
    told
}
