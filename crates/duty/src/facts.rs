//! Facts: what systems of record answered about a case. Risk is judged from these, never from an agent's words.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canonical::{Fraction, MAX_INTEGER, normalise};

/// Facts by namespace (`vendor`), then by field (`sanctioned`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, BTreeMap<String, Scalar>>);

impl Facts {
    /// The fact at `path`, written `namespace.field`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Scalar> {
        let (namespace, field) = path.split_once('.')?;
        self.0.get(namespace)?.get(field)
    }

    /// Adds one fact; a later answer replaces an earlier one.
    pub fn insert(&mut self, namespace: &str, field: &str, value: Scalar) {
        self.0
            .entry(namespace.to_owned())
            .or_default()
            .insert(field.to_owned(), value);
    }

    /// Replaces every namespace that `later` speaks of, whole, so that facts of two answers never mix.
    pub fn replace(&mut self, later: &Facts) {
        for (namespace, fields) in &later.0 {
            self.0.insert(namespace.clone(), fields.clone());
        }
    }

    /// All facts of the scalar fields of `answer`, under `namespace`; `only` names the fields to take, all where `None`.
    ///
    /// Lists, objects, nulls, and numbers that are not exact are not facts and are passed over.
    #[must_use]
    pub fn of_answer(
        namespace: &str,
        answer: &Map<String, Value>,
        only: Option<&[String]>,
    ) -> Self {
        let mut fields = BTreeMap::new();
        for (field, value) in answer {
            if only.is_none_or(|only| only.contains(field))
                && let Some(scalar) = Scalar::of(value)
            {
                fields.insert(field.clone(), scalar);
            }
        }
        Self(BTreeMap::from([(namespace.to_owned(), fields)]))
    }

    /// The facts of a namespace.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&BTreeMap<String, Scalar>> {
        self.0.get(name)
    }

    /// Namespaces with their fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &BTreeMap<String, Scalar>)> {
        self.0.iter()
    }
}

/// A plain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number within ±(2^53 − 1).
    Int(i64),
    /// A number that is not whole.
    Fraction(Fraction),
    /// Text.
    Text(String),
}

impl Scalar {
    /// The scalar that `value` is, if it is one.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(Self::Bool(*b)),
            Value::Number(_) => {
                let mut value = value.clone();
                normalise(&mut value);
                let whole = value.as_i64().filter(|n| n.unsigned_abs() <= MAX_INTEGER);
                let fraction = || Fraction::new(value.as_f64()?).map(Self::Fraction);
                whole.map(Self::Int).or_else(fraction)
            }
            Value::String(s) => Some(Self::Text(s.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(n) => Value::from(*n),
            Self::Fraction(n) => Value::from(n.get()),
            Self::Text(s) => Value::from(s.as_str()),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Fraction(n) => write!(f, "{n}"),
            Self::Text(s) => f.write_str(s),
        }
    }
}
