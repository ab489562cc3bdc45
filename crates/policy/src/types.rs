//! Types of arguments and facts as `team.toml` declares them, and values of these types for rules.
//!
//! `String`, `Long`, `Bool`, `Decimal`, `Any`, `Set<…>` and `{name: …}`; with `?` where a value may be absent or null.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

use cedar_policy_core::{
    ast::{ExtensionFunction, Name, PartialValue, Value as Cedar},
    extensions::Extensions,
};
use duty::{
    canonical::ten_thousandths,
    facts::{Facts, Scalar},
};
use serde_json::{Map, Number, Value, json};

/// A type of an argument or a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) plain: Plain,
    /// Written with `?`: it may be absent, or null, which is absent for rules.
    optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Text,
    Long,
    Bool,
    /// Cedar's: four digits after the point.
    Decimal,
    /// Any JSON, which rules do not see.
    Any,
    Set(Box<Plain>),
    Record(Fields),
}

pub(crate) type Fields = BTreeMap<String, Type>;

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = Words { rest: text.trim() };
        let read = words.whole().filter(|_| words.rest.is_empty());
        read.filter(|t| t.plain.has_a_meaning()).ok_or_else(|| {
            format!(
                "`{text}` is no type; write String, Long, Bool, Decimal, Any (which rules do not see), Set<…> of one that they see, or {{name: …, …}}, with `?` where it may be absent"
            )
        })
    }
}

impl Type {
    /// As JSON Schema says it.
    pub(crate) fn json_schema(&self) -> Value {
        match (self.optional, self.plain.json_schema()) {
            (true, Value::Object(schema)) if !schema.is_empty() => {
                json!({"anyOf": [schema, {"type": "null"}]})
            }
            (_, schema) => schema,
        }
    }

    /// Whether it may be absent.
    pub(crate) fn is_optional(&self) -> bool {
        self.optional
    }
}

/// The JSON Schema of an object of exactly these fields, all but those that are `left_out`.
pub(crate) fn object_schema(fields: &Fields, left_out: Option<&str>) -> Map<String, Value> {
    let fields = fields
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != left_out);
    let properties = fields
        .clone()
        .map(|(name, t)| (name.clone(), t.json_schema()));
    let required = fields.filter(|(_, t)| !t.is_optional());
    Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties.collect())),
        (
            "required".to_owned(),
            required.map(|(name, _)| name.as_str()).collect(),
        ),
        ("additionalProperties".to_owned(), json!(false)),
    ])
}

/// The text of a type that is still to be read.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    fn take(&mut self, what: &str) -> bool {
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest).trim_start();
        rest.is_some()
    }

    fn whole(&mut self) -> Option<Type> {
        Some(Type {
            plain: self.plain()?,
            optional: self.take("?"),
        })
    }

    fn plain(&mut self) -> Option<Plain> {
        if self.take("{") {
            return self.record();
        }
        let of = self.word()?;
        if of == "Set" {
            let inner = self.take("<").then(|| self.plain())??;
            return self.take(">").then(|| Plain::Set(Box::new(inner)));
        }
        match of {
            "String" => Some(Plain::Text),
            "Long" => Some(Plain::Long),
            "Bool" => Some(Plain::Bool),
            "Decimal" => Some(Plain::Decimal),
            "Any" => Some(Plain::Any),
            _ => None,
        }
    }

    fn record(&mut self) -> Option<Plain> {
        let mut fields = Fields::new();
        while !self.take("}") {
            if !fields.is_empty() && !self.take(",") {
                return None;
            }
            let name = self.word()?.to_owned();
            if !self.take(":") || fields.insert(name, self.whole()?).is_some() {
                return None;
            }
        }
        Some(Plain::Record(fields))
    }

    fn word(&mut self) -> Option<&'t str> {
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
        let length = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("String"),
            Self::Long => f.write_str("Long"),
            Self::Bool => f.write_str("Bool"),
            Self::Decimal => f.write_str("Decimal"),
            Self::Any => f.write_str("Any"),
            Self::Set(of) => write!(f, "Set<{of}>"),
            Self::Record(fields) => {
                let fields = fields.iter().map(|(name, t)| format!("{name}: {t}"));
                write!(f, "{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.plain, if self.optional { "?" } else { "" })
    }
}

impl Plain {
    /// A set of what rules do not see would be another set to them than it is.
    fn has_a_meaning(&self) -> bool {
        match self {
            Self::Set(of) => of.is_seen() && of.has_a_meaning(),
            Self::Record(fields) => fields.values().all(|t| t.plain.has_a_meaning()),
            Self::Text | Self::Long | Self::Bool | Self::Decimal | Self::Any => true,
        }
    }

    /// The type of a set's items.
    pub(crate) fn items(&self) -> Option<&Self> {
        match self {
            Self::Set(of) => Some(of),
            _ => None,
        }
    }

    /// The types of a record's fields.
    pub(crate) fn fields(&self) -> Option<&Fields> {
        match self {
            Self::Record(fields) => Some(fields),
            _ => None,
        }
    }

    /// Whether rules see all of it.
    fn is_seen(&self) -> bool {
        match self {
            Self::Any => false,
            Self::Set(of) => of.is_seen(),
            Self::Record(fields) => fields.values().all(|t| t.plain.is_seen()),
            Self::Text | Self::Long | Self::Bool | Self::Decimal => true,
        }
    }

    fn json_schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Long => json!({"type": "integer"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Decimal => {
                json!({"type": "number", "description": "At most four fractional digits."})
            }
            Self::Any => json!({}),
            Self::Set(of) => json!({"type": "array", "items": of.json_schema()}),
            Self::Record(fields) => Value::Object(object_schema(fields, None)),
        }
    }

    /// As a Cedar schema has it.
    pub(crate) fn in_schema(&self) -> String {
        match self {
            Self::Text => "__cedar::String".to_owned(),
            Self::Long => "__cedar::Long".to_owned(),
            Self::Bool => "__cedar::Bool".to_owned(),
            Self::Decimal => "__cedar::decimal".to_owned(),
            Self::Set(of) => format!("Set<{}>", of.in_schema()),
            Self::Record(fields) => format!("{{{}}}", record_in_schema(fields)),
            Self::Any => String::new(),
        }
    }

    /// Whether a value is of this type; `at` names its place.
    ///
    /// # Errors
    /// Why it is not, in words.
    fn check(&self, at: &dyn Fn() -> String, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Any, _) | (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => {
                Ok(())
            }
            (Self::Long, Value::Number(n)) if n.is_i64() => Ok(()),
            (Self::Decimal, Value::Number(n)) => ten_thousandths(n)
                .map(|_| ())
                .map_err(|why| format!("{} is no Decimal: {why}", at())),
            (Self::Set(of), Value::Array(items)) => {
                items.iter().try_for_each(|item| of.check(at, item))
            }
            (Self::Record(fields), Value::Object(given)) => check_record(fields, at, given),
            _ => Err(format!("{} is no {self}", at())),
        }
    }
}

pub(crate) fn record_in_schema(fields: &Fields) -> String {
    let seen = fields.iter().filter(|(_, t)| t.plain != Plain::Any);
    let fields: Vec<_> = seen
        .map(|(name, t)| {
            let mark = if t.is_optional() { "?" } else { "" };
            format!("{name:?}{mark}: {}", t.plain.in_schema())
        })
        .collect();
    fields.join(", ")
}

/// Whether arguments are as their tool declares them; where it declares none, whether they have a value for rules.
///
/// # Errors
/// What is not so, in words.
pub(crate) fn check_arguments(
    tool: &str,
    declared: Option<&Fields>,
    given: &Map<String, Value>,
) -> Result<(), String> {
    let Some(declared) = declared else {
        return given.values().try_for_each(check_undeclared);
    };
    if let Some(name) = given.keys().find(|name| !declared.contains_key(*name)) {
        let names: Vec<_> = declared.keys().map(|n| format!("`{n}`")).collect();
        return Err(format!(
            "`{tool}` takes no argument `{name}`; it takes {}",
            names.join(", ")
        ));
    }
    check_fields(declared, given, |name| {
        format!("argument `{name}` of `{tool}`")
    })
    .map_err(|wrong| match wrong {
        Wrong::Value(why) => why,
        Wrong::Absent(name, t) => format!("argument `{name}` ({t}) of `{tool}` is not given"),
    })
}

fn check_record(
    declared: &Fields,
    at: &dyn Fn() -> String,
    given: &Map<String, Value>,
) -> Result<(), String> {
    if let Some(name) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(format!("{} has no field `{name}`", at()));
    }
    check_fields(declared, given, |name| format!("`{name}` in {}", at())).map_err(|wrong| {
        match wrong {
            Wrong::Value(why) => why,
            Wrong::Absent(name, t) => format!("{} lacks `{name}` ({t})", at()),
        }
    })
}

enum Wrong<'t> {
    Value(String),
    Absent(&'t str, &'t Plain),
}

fn check_fields<'t>(
    declared: &'t Fields,
    given: &Map<String, Value>,
    at: impl Fn(&str) -> String,
) -> Result<(), Wrong<'t>> {
    for (name, t) in declared {
        match given.get(name) {
            None | Some(Value::Null) if t.optional => {}
            None => return Err(Wrong::Absent(name, &t.plain)),
            Some(value) => t.plain.check(&|| at(name), value).map_err(Wrong::Value)?,
        }
    }
    Ok(())
}

/// Whether JSON of no declared type has a value for rules. Null, fractions and numbers of more than 64 bits have none.
///
/// # Errors
/// What has none, and what to do.
fn check_undeclared(value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(n) if n.is_i64() => Ok(()),
        Value::Number(n) => Err(format!(
            "`{n}` is no whole number of 64 bits; declare its argument as Decimal or Any in `team.toml`"
        )),
        Value::Array(items) => items.iter().try_for_each(check_undeclared),
        Value::Object(fields) => fields.values().try_for_each(check_undeclared),
        Value::Null => Err(
            "null is no value for rules; leave the argument out, or declare it with `?` in `team.toml`"
                .to_owned(),
        ),
    }
}

/// Whether the facts that are declared as Decimal are one, where they are numbers.
///
/// # Errors
/// Which is none, and why.
pub(crate) fn check_facts(
    facts: &Facts,
    declared: &BTreeMap<String, Fields>,
) -> Result<(), String> {
    for (namespace, fields) in facts.iter() {
        let declared = declared.get(namespace).into_iter().flatten();
        for (field, _) in declared.filter(|(_, t)| t.plain == Plain::Decimal) {
            if let Some(n) = fields.get(field).and_then(number) {
                ten_thousandths(&n)
                    .map_err(|why| format!("fact `{namespace}.{field}` is no Decimal: {why}"))?;
            }
        }
    }
    Ok(())
}

/// What rules see of a value that was checked, or of a part of it; none where they see nothing.
pub(crate) fn value(declared: Option<&Plain>, json: &Value) -> Option<Cedar> {
    Some(match (declared, json) {
        (Some(Plain::Any), _) | (_, Value::Null) => return None,
        (_, Value::Bool(b)) => Cedar::from(*b),
        (_, Value::String(s)) => Cedar::from(s.as_str()),
        (Some(Plain::Decimal), Value::Number(n)) => decimal(n)?,
        (_, Value::Number(n)) => Cedar::from(n.as_i64()?),
        (_, Value::Array(items)) => {
            let of = declared.and_then(Plain::items);
            Cedar::set(items.iter().filter_map(|item| value(of, item)), None)
        }
        (_, Value::Object(fields)) => record(declared.and_then(Plain::fields), fields),
    })
}

/// As [`value`], of an object's fields.
pub(crate) fn record(declared: Option<&Fields>, fields: &Map<String, Value>) -> Cedar {
    let seen = fields.iter().filter_map(|(name, json)| {
        let of = declared.and_then(|d| d.get(name)).map(|t| &t.plain);
        Some((name.as_str(), value(of, json)?))
    });
    Cedar::record(seen, None)
}

/// A fact as rules see it; none for a fraction that is not declared as Decimal, so that a rule that reads it cannot be
/// evaluated.
pub(crate) fn fact(declared: Option<&Type>, fact: &Scalar) -> Option<Cedar> {
    match fact {
        Scalar::Bool(b) => Some(Cedar::from(*b)),
        Scalar::Text(s) => Some(Cedar::from(s.as_str())),
        _ if declared.is_some_and(|t| t.plain == Plain::Decimal) => decimal(&number(fact)?),
        Scalar::Int(n) => Some(Cedar::from(*n)),
        Scalar::Fraction(_) => None,
    }
}

fn number(fact: &Scalar) -> Option<Number> {
    match fact {
        Scalar::Int(n) => Some(Number::from(*n)),
        Scalar::Fraction(n) => Number::from_f64(n.get()),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    }
}

/// Cedar's decimal of a number that has one.
fn decimal(n: &Number) -> Option<Cedar> {
    let n = ten_thousandths(n).ok()?;
    let (sign, n) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
    let text = format!("{sign}{}.{:04}", n / 10_000, n % 10_000);
    match DECIMAL.call(&[Cedar::from(text)]) {
        Ok(PartialValue::Value(value)) => Some(value),
        Ok(PartialValue::Residual(_)) | Err(_) => None,
    }
}

/// Cedar's own constructor, which takes text.
static DECIMAL: LazyLock<&'static ExtensionFunction> = LazyLock::new(|| {
    let name = Name::from_str("decimal").expect("INVARIANT: a constant word is a name");
    let all = Extensions::all_available();
    all.func(&name)
        .expect("INVARIANT: Cedar has decimals here, as Cargo.toml asks")
});
