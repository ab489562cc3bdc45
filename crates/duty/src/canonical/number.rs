//! Numbers that are not whole, and the one form of every number.
//!
//! A number that reads as an integer is that integer, however it was spelt. A fraction is an IEEE 754 double with the
//! spelling of RFC 8785, which is that of ECMAScript: the shortest that reads back as the same double. Every double of
//! 2^53 and beyond is whole, so that all fractions are within the bounds of integers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Number, Value};

use super::{CanonicalError, MAX_INTEGER};

pub(super) fn is_fraction(n: f64) -> bool {
    n.is_finite() && n.fract() != 0.0
}

/// Appends the spelling of a fraction.
pub(super) fn write(n: f64, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    if !is_fraction(n) {
        return Err(CanonicalError::Number {
            at: String::new(),
            number: n.to_string(),
        });
    }
    out.extend_from_slice(ryu_js::Buffer::new().format(n).as_bytes());
    Ok(())
}

/// The fraction of which this is the spelling.
pub(super) fn read(text: &str) -> Option<f64> {
    let n: f64 = text.parse().ok()?;
    (is_fraction(n) && ryu_js::Buffer::new().format(n) == text).then_some(n)
}

/// Gives every number in `value` its one form: a whole number that is exact as an integer (`1.0` and `1e0` are 1, `-0` is
/// 0). What has no exact form stays, and is refused when it is written.
pub fn normalise(value: &mut Value) {
    match value {
        Value::Number(n) => {
            let whole = n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0);
            if let Some(whole) = whole.filter(|f| f.abs() <= MAX_INTEGER as f64) {
                *n = Number::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => normalise_fields(fields),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// As [`normalise`], of an object's fields.
pub fn normalise_fields(fields: &mut Map<String, Value>) {
    fields.values_mut().for_each(normalise);
}

/// Refuses JSON text with a number that a reader would round: what a double, in its shortest spelling, is not equal to. For
/// doors, since whoever has read the text cannot tell any more. The text was found to be JSON before.
///
/// # Errors
/// [`CanonicalError::Rounded`] for the first such number.
pub fn check_text(text: &[u8]) -> Result<(), CanonicalError> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = after_string(text, at),
            b'-' | b'0'..=b'9' => {
                let part = |b: &&u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = text[at..].iter().take_while(part).count();
                survives(&text[at..at + length], at)?;
                at += length;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn after_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

fn survives(number: &[u8], at: usize) -> Result<(), CanonicalError> {
    // Up to fifteen digits every integer is exact.
    if number.len() <= 15 && number.iter().all(u8::is_ascii_digit) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(number);
    let read: f64 = text.parse().unwrap_or(f64::NAN);
    let mut buffer = ryu_js::Buffer::new();
    let rounded = buffer.format(read);
    if read.is_finite() && Digits::of(&text) == Digits::of(rounded) {
        return Ok(());
    }
    Err(CanonicalError::Rounded {
        at,
        number: text.into_owned(),
        rounded: rounded.to_owned(),
    })
}

/// A decimal number by value: 0.digits × 10^exponent.
#[derive(PartialEq, Eq)]
struct Digits {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
}

impl Digits {
    fn of(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{part}");
        let digits = all.trim_start_matches('0');
        let leading = (all.len() - digits.len()) as i64;
        let digits = digits.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Self {
                negative: false,
                digits,
                exponent: 0,
            };
        }
        // A power that is no i64 is one that no double has.
        let power = power.parse::<i64>().unwrap_or(i64::MAX / 2);
        Self {
            negative,
            digits,
            exponent: power.saturating_add(whole.len() as i64 - leading),
        }
    }
}

/// A number in ten-thousandths, exactly.
///
/// # Errors
/// Why it has none, in words: more than four fractional digits, or more than 64 bits hold.
pub fn ten_thousandths(n: &Number) -> Result<i64, String> {
    let text = match n.as_f64().filter(|_| n.is_f64()) {
        Some(f) => ryu_js::Buffer::new().format(f).to_owned(),
        None => n.to_string(),
    };
    let d = Digits::of(&text);
    let places = d.digits.len() as i64 - d.exponent;
    if places > 4 {
        return Err(format!("`{text}` has more than four fractional digits"));
    }
    let shift = u32::try_from(4 - places).ok();
    let scaled = shift.and_then(|s| {
        let digits = if d.digits.is_empty() { "0" } else { &d.digits };
        let n: i64 = digits.parse().ok()?;
        n.checked_mul(10_i64.checked_pow(s)?)
    });
    let scaled =
        scaled.ok_or_else(|| format!("`{text}` is too large to be exact in ten-thousandths"))?;
    Ok(if d.negative { -scaled } else { scaled })
}

/// Ten-thousandths as people write them: `2505000` is `250.5`.
#[must_use]
pub fn from_ten_thousandths(n: i64) -> String {
    let (magnitude, sign) = (n.unsigned_abs(), if n < 0 { "-" } else { "" });
    let (whole, part) = (magnitude / 10_000, magnitude % 10_000);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:04}");
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

/// A number that is not whole: a finite double with a part after the point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Fraction(f64);

// INVARIANT: it is finite, and so equal to itself.
impl Eq for Fraction {}

impl Fraction {
    /// None for a whole number, and for what is none.
    #[must_use]
    pub fn new(n: f64) -> Option<Self> {
        is_fraction(n).then_some(Self(n))
    }

    /// The double.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ryu_js::Buffer::new().format(self.0))
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = f64::deserialize(d)?;
        Self::new(n).ok_or_else(|| D::Error::custom("a whole number is written as one"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::canonical::{check, from_slice, to_vec};

    /// Fractions of every size, and of few digits.
    pub(in crate::canonical) fn fraction() -> impl Strategy<Value = f64> {
        let of_bits = any::<u64>().prop_map(f64::from_bits);
        let few = (-1_000_000_000_i64..1_000_000_000, 1..8_i32)
            .prop_map(|(n, places)| n as f64 / 10_f64.powi(places));
        let small = (-1e-4..1e-4_f64).prop_map(|n| n);
        prop_oneof![of_bits, few, small].prop_filter("a fraction", |n| is_fraction(*n))
    }

    /// RFC 8785, appendix B: bits of a double, and its spelling.
    const SAMPLES: &[(u64, &str)] = &[
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];

    #[test]
    fn the_samples_of_the_rfc_are_spelt_as_it_says_or_refused() {
        for (bits, spelling) in SAMPLES {
            let n = f64::from_bits(*bits);
            assert_eq!(ryu_js::Buffer::new().format(n), *spelling);
            let mut value = Value::from(n);
            normalise(&mut value);
            if n != 0.0 && (!is_fraction(n) && n.abs() > MAX_INTEGER as f64) {
                assert!(
                    check(&value).is_err() && to_vec(&value).is_err(),
                    "{spelling}"
                );
                continue;
            }
            let bytes = to_vec(&value).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), *spelling);
            assert_eq!(from_slice::<Value>(&bytes).unwrap(), value);
            check_text(spelling.as_bytes()).unwrap();
        }
        for bits in [0x7fff_ffff_ffff_ffff_u64, 0x7ff0_0000_0000_0000] {
            assert!(to_vec(&f64::from_bits(bits)).is_err());
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_refused_where_it_would_be_rounded() {
        // RFC 8785, 3.2.2: `333333333.33333329` becomes `333333333.3333333` there, and `1E30` is kept.
        let numbers = "[333333333.3333333, 4.50, 2e-3, 0.000000000000000000000000001]";
        check_text(numbers.as_bytes()).unwrap();
        let mut value: Value = serde_json::from_str(numbers).unwrap();
        normalise(&mut value);
        assert_eq!(
            to_vec(&value).unwrap(),
            b"[333333333.3333333,4.5,0.002,1e-27]"
        );
        let error = check_text(b"{\"n\": [1, 333333333.33333329]}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the number `333333333.33333329` at byte 10 has more digits than a double holds, and would become `333333333.3333333`; write it so, or as a string"
        );
    }

    #[test]
    fn numbers_that_would_be_rounded_are_found_wherever_they_stand() {
        for fine in [
            "0",
            "-0",
            "-0.0",
            "1.0",
            "100e-2",
            "1E3",
            "0.1",
            "0.10",
            "9007199254740991",
            "1e16",
            "\"0.10000000000000000555\"",
            "{\"9007199254740993\": \"\\\"9007199254740993\"}",
            "5e-324",
            "123.4560e1",
            "0e999999999999999999999",
        ] {
            check_text(fine.as_bytes()).unwrap();
        }
        for rounded in [
            "9007199254740993",
            "0.1000000000000000055511151231257827",
            "1.00000000000000001",
            "1e400",
            "-1e-400",
            "4.9e-324",
            "9007199254740993.0",
            "1e99999999999999999999",
            "0.30000000000000001",
            "4503599627370497.3",
        ] {
            for place in [
                rounded.to_owned(),
                format!("[1.5,{rounded}]"),
                format!("{{\"a\\\\\": {{\"b\" : {rounded} }}}}"),
            ] {
                assert!(check_text(place.as_bytes()).is_err(), "{place}");
            }
        }
    }

    #[test]
    fn ten_thousandths_are_exact_or_none() {
        let of = |value: Value| ten_thousandths(value.as_number().unwrap());
        assert_eq!(of(json!(250.5)), Ok(2_505_000));
        assert_eq!(of(json!(-0.0001)), Ok(-1));
        assert_eq!(of(json!(0)), Ok(0));
        assert_eq!(of(json!(0.3)), Ok(3_000));
        assert_eq!(of(json!(1200)), Ok(12_000_000));
        assert_eq!(
            of(json!(922_337_203_685_477_i64)),
            Ok(9_223_372_036_854_770_000)
        );
        assert!(of(json!(0.00001)).unwrap_err().contains("more than four"));
        assert!(of(json!(1e-7)).unwrap_err().contains("more than four"));
        assert!(of(json!(MAX_INTEGER)).unwrap_err().contains("too large"));
        // The sum of two doubles is not what it seems.
        assert!(of(json!(0.1 + 0.2)).is_err());
    }

    proptest! {
        #[test]
        fn a_fraction_has_one_spelling_that_reads_back(n in fraction()) {
            let bytes = to_vec(&n).unwrap();
            prop_assert_eq!(&bytes, &serde_json_canonicalizer::to_vec(&n).unwrap());
            let text = std::str::from_utf8(&bytes).unwrap();
            prop_assert_eq!(read(text), Some(n));
            prop_assert_eq!(from_slice::<Value>(&bytes).unwrap(), Value::from(n));
            check_text(&bytes).unwrap();
            for other in [format!("{text}0"), format!("0{text}"), format!("+{text}"), format!("{n:e}"), format!("{n:.400}")] {
                if other != text && other.parse::<f64>().map_or(true, |read| read == n) {
                    prop_assert_eq!(read(&other), None);
                    prop_assert!(from_slice::<Value>(other.as_bytes()).is_err());
                }
            }
        }

        #[test]
        fn what_is_taken_at_the_door_is_what_was_written(digits in "[1-9][0-9]{0,24}", point in 0_usize..25) {
            let point = point.min(digits.len());
            let (whole, part) = digits.split_at(point);
            let text = format!("{}.{}", if whole.is_empty() { "0" } else { whole }, if part.is_empty() { "0" } else { part });
            let mut value: Value = serde_json::from_str(&text).unwrap();
            normalise(&mut value);
            if check_text(text.as_bytes()).is_ok() && let Ok(bytes) = to_vec(&value) {
                let text = text.trim_end_matches('0').trim_end_matches('.');
                let written = String::from_utf8(bytes).unwrap();
                prop_assert!(Digits::of(&written) == Digits::of(text), "{text} became {written}");
            }
        }

        #[test]
        fn ten_thousandths_come_back(n in -(1_i64 << 52)..1_i64 << 52) {
            let text = from_ten_thousandths(n);
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(ten_thousandths(value.as_number().unwrap()), Ok(n));
        }
    }
}
