//! Canonical JSON (RFC 8785) and digests over it.
//!
//! RFC 8785 prints numbers as IEEE 754 doubles, so an integer beyond 2^53 would silently become its neighbour and two
//! different payloads would share a digest. Such numbers are refused here, at the boundary; a whole number is an integer and
//! nothing else, and a fraction is the double that it names (`number.rs`).

mod number;
mod numbers;
pub(crate) mod reader;
mod writer;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use number::{
    Fraction, check_text, from_ten_thousandths, normalise, normalise_fields, ten_thousandths,
};

/// The largest integer, either way from zero, that RFC 8785 keeps exact: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Serialises `value` as canonical JSON.
///
/// # Errors
/// [`CanonicalError`] where the value holds an integer beyond [`MAX_INTEGER`] or a whole number as a double (see
/// [`normalise`]), or is not JSON at all.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(1024);
    if writer::write(value, &mut out).is_some() {
        return Ok(out);
    }
    by_tree(value)
}

/// The slow way, which also says why a value has no canonical form.
fn by_tree<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let tree = serde_json::to_value(value).map_err(|e| CanonicalError::NotJson(e.to_string()))?;
    check(&tree)?;
    if !numbers::are_exact(value) {
        // A tree has null in its place.
        return Err(CanonicalError::NotJson(
            "it holds a number that JSON has not".to_owned(),
        ));
    }
    let mut out = Vec::with_capacity(1024);
    write(&tree, &mut out)?;
    Ok(out)
}

/// Writes a value that passed [`check`]. What RFC 8785 asks beyond plain JSON is the order of keys, by UTF-16 units, and its
/// spelling of fractions; `serde_json` escapes strings as it asks.
fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by(|(a, _), (b, _)| by_utf_16(a, b));
            out.push(b'{');
            for (i, (key, item)) in fields.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                plain(key, out)?;
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
        Value::Number(n) if n.is_f64() => number::write(n.as_f64().unwrap_or(f64::NAN), out)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain(value, out)?,
    }
    Ok(())
}

fn plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, value).map_err(|e| CanonicalError::NotJson(e.to_string()))
}

fn by_utf_16(a: &str, b: &str) -> std::cmp::Ordering {
    // For ASCII, bytes are the units.
    if a.is_ascii() && b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Parses `bytes` strictly: they must be the canonical form of what they say, byte for byte.
///
/// # Errors
/// [`CanonicalError`] saying what is not canonical or not of the expected shape.
pub fn from_slice<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let parsed: T =
        serde_json::from_slice(bytes).map_err(|e| CanonicalError::NotJson(e.to_string()))?;
    if to_vec(&parsed)? != bytes {
        return Err(CanonicalError::NotCanonical);
    }
    Ok(parsed)
}

/// Refuses numbers that canonical JSON cannot hold exactly.
///
/// # Errors
/// [`CanonicalError::Number`] naming the first such number and its place as a JSON pointer.
pub fn check(value: &Value) -> Result<(), CanonicalError> {
    check_at(value, &mut String::new())
}

/// As [`check`], of any value: made into a tree only to say what is wrong with it.
pub(crate) fn check_numbers<T: Serialize>(value: &T) -> Result<(), CanonicalError> {
    if numbers::are_exact(value) {
        return Ok(());
    }
    check(&serde_json::to_value(value).unwrap_or_default())
}

fn check_at(value: &Value, at: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Number(n) => {
            let exact = n.as_i64().map(i64::unsigned_abs).or_else(|| n.as_u64());
            let exact = match exact {
                Some(n) => n <= MAX_INTEGER,
                None => n.as_f64().is_some_and(number::is_fraction),
            };
            if exact {
                return Ok(());
            }
            Err(CanonicalError::Number {
                at: at.clone(),
                number: n.to_string(),
            })
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                descend(item, &i.to_string(), at)?;
            }
            Ok(())
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                descend(item, key, at)?;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn descend(value: &Value, step: &str, at: &mut String) -> Result<(), CanonicalError> {
    let len = at.len();
    at.push('/');
    at.push_str(step);
    check_at(value, at)?;
    at.truncate(len);
    Ok(())
}

/// Why a value has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that would not survive RFC 8785 exactly.
    #[error(
        "the number `{number}` at `{at}` is neither an integer within ±(2^53 - 1) nor a fraction; write it as a string or in larger units"
    )]
    Number {
        /// A JSON pointer.
        at: String,
        /// The number as it was written.
        number: String,
    },
    /// A number that would be rounded.
    #[error(
        "the number `{number}` at byte {at} has more digits than a double holds, and would become `{rounded}`; write it so, or as a string"
    )]
    Rounded {
        /// Where it begins.
        at: usize,
        /// The number as it was written.
        number: String,
        /// What it would become.
        rounded: String,
    },
    /// The bytes are not the JSON that was expected.
    #[error("{0}")]
    NotJson(String),
    /// The bytes are JSON, but not in canonical form.
    #[error("the bytes are not canonical JSON (RFC 8785)")]
    NotCanonical,
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of raw bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of a value's canonical JSON.
    ///
    /// # Errors
    /// As [`to_vec`].
    pub fn of<T: Serialize>(value: &T) -> Result<Self, CanonicalError> {
        Ok(Self::of_bytes(&to_vec(value)?))
    }

    /// A digest that was computed elsewhere: a commitment to a snapshot.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hexadecimal(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        from_hex(s)
            .map(Self)
            .ok_or_else(|| format!("`{s}` is not a digest: 64 lower-case hexadecimal digits"))
    }
}

/// Lower-case hexadecimal digits of bytes, twice as many; every record has a few of these.
pub(crate) fn hexadecimal<'t>(bytes: &[u8], digits: &'t mut [u8]) -> &'t str {
    hex::encode_to_slice(bytes, digits).expect("INVARIANT: there is room for two digits a byte");
    std::str::from_utf8(digits).expect("INVARIANT: digits are ASCII")
}

/// Bytes from lower-case hexadecimal digits; every record has a few of these.
fn from_hex(s: &str) -> Option<[u8; 32]> {
    /// What each byte stands for as a digit; 16 or more where it is none.
    const DIGITS: [u8; 256] = {
        let mut digits = [u8::MAX; 256];
        let mut n = 0;
        while n < 16 {
            digits[b"0123456789abcdef"[n as usize] as usize] = n;
            n += 1;
        }
        digits
    };
    let text: &[u8; 64] = s.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen < 16).then_some(bytes)
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(hexadecimal(&self.0, &mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parse(d)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn two_payloads_beyond_2_53_do_not_share_a_digest() {
        // serde_json_canonicalizer alone rounds both to 9007199254740992.
        for n in [9_007_199_254_740_992_u64, 9_007_199_254_740_993] {
            let error = Digest::of(&json!({"amount": {"cents": n}})).unwrap_err();
            assert!(error.to_string().contains("/amount/cents"), "{error}");
        }
        assert!(Digest::of(&json!(9_007_199_254_740_991_u64)).is_ok());
        assert!(Digest::of(&json!(-9_007_199_254_740_992_i64)).is_err());
        assert!(Digest::of(&json!(i64::MIN)).is_err());
        assert!(Digest::of(&json!(1.0)).is_err());
        assert!(Digest::of(&json!(1e300)).is_err());
    }

    #[test]
    fn a_number_that_is_not_exact_is_found_wherever_it_stands() {
        let beyond = MAX_INTEGER + 1;
        for wrong in [
            json!(beyond),
            json!(-(beyond as i64)),
            json!(1e16),
            json!(1.0),
            json!(-0.0),
            json!(u64::MAX),
        ] {
            for place in [
                wrong.clone(),
                json!([1, wrong]),
                json!({"a": {"b": [null, true, "x", {"c": wrong}]}}),
            ] {
                assert!(!numbers::are_exact(&place), "{place}");
                assert_eq!(check_numbers(&place), check(&place));
                assert!(check(&place).is_err());
            }
            let named = BTreeMap::from([("a", Some((1_u8, wrong)))]);
            assert!(check_numbers(&named).is_err());
        }
        assert!(numbers::are_exact(&json!([
            MAX_INTEGER,
            -(MAX_INTEGER as i64),
            "9007199254740993",
            0.5,
            -1e-300
        ])));
    }

    #[test]
    fn key_order_and_spacing_do_not_matter_but_unicode_form_does() {
        let a: Value = serde_json::from_str(r#"{"b": 1, "a": "x"}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":"x","b":1}"#).unwrap();
        assert_eq!(Digest::of(&a).unwrap(), Digest::of(&b).unwrap());
        assert_ne!(
            Digest::of(&json!("\u{e9}")).unwrap(),
            Digest::of(&json!("e\u{301}")).unwrap()
        );
    }

    #[test]
    fn rfc_8785_sorts_by_utf_16_units() {
        let bytes = to_vec(&json!({"\u{10000}": 1, "\u{ffff}": 2})).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"\u{10000}\":1,\"\u{ffff}\":2}"
        );
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in ".*", n in -(MAX_INTEGER as i64)..=(MAX_INTEGER as i64), b: bool) {
            let value = json!({"z": text, "a": [n, b, null], "m": {"k": n}});
            let bytes = to_vec(&value).unwrap();
            let again: Value = from_slice(&bytes).unwrap();
            prop_assert_eq!(to_vec(&again).unwrap(), bytes);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_general_canonicaliser(
            keys in prop::collection::vec(prop_oneof!["[a-z]{0,4}", ".{0,4}", "[\u{e000}-\u{ffff}\u{10000}-\u{10010}]{1,3}"], 0..8),
            text in any::<String>(),
            n in -(MAX_INTEGER as i64)..=MAX_INTEGER as i64,
            f in number::tests::fraction(),
        ) {
            let mut fields = serde_json::Map::new();
            for (i, key) in keys.iter().enumerate() {
                let value = match i % 5 {
                    0 => Value::from(text.as_str()),
                    1 => Value::from(n),
                    4 => serde_json::json!([f, {"f": -f}]),
                    2 => serde_json::json!([true, null, {key.as_str(): text.as_str()}]),
                    _ => serde_json::json!({"z": n, "a": {}, "é": []}),
                };
                fields.insert(key.clone(), value);
            }
            let value = Value::Object(fields);
            prop_assert!(numbers::are_exact(&value));
            let bytes = to_vec(&value).unwrap();
            prop_assert_eq!(&bytes, &serde_json_canonicalizer::to_vec(&value).unwrap());
            prop_assert_eq!(&bytes, &by_tree(&value).unwrap());
        }
    }
}
