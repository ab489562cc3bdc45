//! Types of arguments and facts as `team.toml` declares them, and values of these types for rules.
//!
//! `String`, `Long`, `Bool`, `Decimal`, `Any`, `Set<…>` and `{name: …}`; with `?` where a value may be absent or null.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

use cedar_policy_core::{
    ast::{ExtensionFunction, Name, PartialValue, Value as Cedar},
    extensions::Extensions,
};
use duty::{canonical::ten_thousandths, facts::Scalar};
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

    /// The value as rules see it; none where they do not.
    ///
    /// # Errors
    /// Why it is not of this type, about the value at `at`.
    fn seen(&self, at: &str, value: &Value) -> Result<Option<Cedar>, String> {
        let seen = match (self, value) {
            (Self::Any, _) => return Ok(None),
            (Self::Text, Value::String(s)) => Cedar::from(s.as_str()),
            (Self::Bool, Value::Bool(b)) => Cedar::from(*b),
            (Self::Long, Value::Number(n)) if n.is_i64() => {
                Cedar::from(n.as_i64().unwrap_or_default())
            }
            (Self::Decimal, Value::Number(n)) => {
                decimal(n).map_err(|why| format!("{at} is no Decimal: {why}"))?
            }
            (Self::Set(of), Value::Array(items)) => {
                let items = items.iter().map(|item| of.seen(at, item));
                let items: Vec<_> = items.collect::<Result<_, _>>()?;
                Cedar::set(items.into_iter().flatten(), None)
            }
            (Self::Record(fields), Value::Object(given)) => record(fields, at, given)?,
            _ => return Err(format!("{at} is no {self}")),
        };
        Ok(Some(seen))
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

/// Arguments as their tool declares them.
///
/// # Errors
/// What is not as declared, in words.
pub(crate) fn arguments(
    tool: &str,
    declared: &Fields,
    given: &Map<String, Value>,
) -> Result<Cedar, String> {
    if let Some(name) = given.keys().find(|name| !declared.contains_key(*name)) {
        let names: Vec<_> = declared.keys().map(|n| format!("`{n}`")).collect();
        return Err(format!(
            "`{tool}` takes no argument `{name}`; it takes {}",
            names.join(", ")
        ));
    }
    fields(declared, given, |name| {
        format!("argument `{name}` of `{tool}`")
    })
    .map_err(|wrong| match wrong {
        Wrong::Value(why) => why,
        Wrong::Absent(name, t) => format!("argument `{name}` ({t}) of `{tool}` is not given"),
    })
}

fn record(declared: &Fields, at: &str, given: &Map<String, Value>) -> Result<Cedar, String> {
    if let Some(name) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(format!("{at} has no field `{name}`"));
    }
    fields(declared, given, |name| format!("`{name}` in {at}")).map_err(|wrong| match wrong {
        Wrong::Value(why) => why,
        Wrong::Absent(name, t) => format!("{at} lacks `{name}` ({t})"),
    })
}

enum Wrong<'t> {
    Value(String),
    Absent(&'t str, &'t Plain),
}

fn fields<'t>(
    declared: &'t Fields,
    given: &Map<String, Value>,
    at: impl Fn(&str) -> String,
) -> Result<Cedar, Wrong<'t>> {
    let mut seen = Vec::with_capacity(given.len());
    for (name, t) in declared {
        match given.get(name) {
            None | Some(Value::Null) if t.optional => {}
            None => return Err(Wrong::Absent(name, &t.plain)),
            Some(value) => {
                let value = t.plain.seen(&at(name), value).map_err(Wrong::Value)?;
                seen.extend(value.map(|value| (name.as_str(), value)));
            }
        }
    }
    Ok(Cedar::record(seen, None))
}

/// JSON of no declared type. Null, fractions and numbers of more than 64 bits have no value for rules then.
///
/// # Errors
/// What has none, and what to do.
pub(crate) fn undeclared(value: &Value) -> Result<Cedar, String> {
    match value {
        Value::Bool(b) => Ok(Cedar::from(*b)),
        Value::String(s) => Ok(Cedar::from(s.as_str())),
        Value::Number(n) => n.as_i64().map(Cedar::from).ok_or_else(|| {
            format!("`{n}` is no whole number of 64 bits; declare its argument as Decimal or Any in `team.toml`")
        }),
        Value::Array(items) => {
            let items = items.iter().map(undeclared);
            Ok(Cedar::set(items.collect::<Result<Vec<_>, _>>()?, None))
        }
        Value::Object(fields) => undeclared_record(fields),
        Value::Null => Err(
            "null is no value for rules; leave the argument out, or declare it with `?` in `team.toml`"
                .to_owned(),
        ),
    }
}

/// As [`undeclared`], of an object's fields.
pub(crate) fn undeclared_record(fields: &Map<String, Value>) -> Result<Cedar, String> {
    let fields = fields
        .iter()
        .map(|(name, v)| Ok((name.as_str(), undeclared(v)?)));
    let fields = fields.collect::<Result<Vec<_>, String>>()?;
    Ok(Cedar::record(fields, None))
}

/// A fact as rules see it; none for a fraction that is not declared as Decimal, so that a rule that reads it cannot be
/// evaluated.
///
/// # Errors
/// Why it is no Decimal, where it is declared as one and is a number.
pub(crate) fn fact(
    at: &str,
    declared: Option<&Type>,
    fact: &Scalar,
) -> Result<Option<Cedar>, String> {
    let number = match fact {
        Scalar::Bool(b) => return Ok(Some(Cedar::from(*b))),
        Scalar::Text(s) => return Ok(Some(Cedar::from(s.as_str()))),
        Scalar::Int(n) => Number::from(*n),
        Scalar::Fraction(_) => match fact.to_json() {
            Value::Number(n) => n,
            _ => return Ok(None),
        },
    };
    if declared.is_some_and(|t| t.plain == Plain::Decimal) {
        let decimal =
            decimal(&number).map_err(|why| format!("fact `{at}` is no Decimal: {why}"))?;
        return Ok(Some(decimal));
    }
    Ok(number.as_i64().map(Cedar::from))
}

/// Cedar's decimal of a number.
fn decimal(n: &Number) -> Result<Cedar, String> {
    let n = ten_thousandths(n)?;
    let (sign, n) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
    let text = format!("{sign}{}.{:04}", n / 10_000, n % 10_000);
    match DECIMAL.call(&[Cedar::from(text)]) {
        Ok(PartialValue::Value(value)) => Ok(value),
        Ok(PartialValue::Residual(_)) => Err("its value is not known".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// Cedar's own constructor, which takes text.
static DECIMAL: LazyLock<&'static ExtensionFunction> = LazyLock::new(|| {
    let name = Name::from_str("decimal").expect("INVARIANT: a constant word is a name");
    let all = Extensions::all_available();
    all.func(&name)
        .expect("INVARIANT: Cedar has decimals here, as Cargo.toml asks")
});
