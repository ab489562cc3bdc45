//! Reading a value from canonical JSON in one pass, without writing it again to compare.
//!
//! What this reader takes is the canonical form of what it gives: no space, keys in order and each once, every string and
//! number in its one spelling. It takes less than all canonical JSON: where a value's type could read two spellings as one
//! (`null` for an absent field, a list or object whose type is told by what is in it), and where a spelling is rare, it
//! stops. Whoever calls then reads in the slow way, which decides, and says what is wrong.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

use super::{MAX_INTEGER, number};
use crate::tagged::{self, TAG};

/// That the reader does not take this; the slow way knows why.
#[derive(Debug)]
pub(crate) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not taken in one pass")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Text that is read from its beginning to its end.
pub(crate) struct Reader<'de> {
    text: &'de str,
    at: usize,
    /// What tagged objects are expected to be; found by looking ahead where it is none.
    expected: Option<&'static str>,
}

impl<'de> Reader<'de> {
    pub(crate) fn new(text: &'de str, expected: Option<&'static str>) -> Self {
        Self {
            text,
            at: 0,
            expected,
        }
    }

    /// Reads exactly this.
    pub(crate) fn expect(&mut self, what: &str) -> Result<(), Stop> {
        if self.take(what) { Ok(()) } else { Err(Stop) }
    }

    /// A value.
    pub(crate) fn value<T: Deserialize<'de>>(&mut self) -> Result<T, Stop> {
        T::deserialize(self)
    }

    /// A value, if `before` stands ahead of it.
    pub(crate) fn value_after<T: Deserialize<'de>>(
        &mut self,
        before: &str,
    ) -> Result<Option<T>, Stop> {
        if self.take(before) {
            self.value().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whether everything was read.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    fn rest(&self) -> &'de [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn take(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what.as_bytes());
        if there {
            self.at += what.len();
        }
        there
    }

    fn byte(&mut self, byte: u8) -> Result<(), Stop> {
        if self.rest().first() == Some(&byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Stop)
        }
    }

    /// A string without escapes, as it stands.
    fn plain(&mut self) -> Result<&'de str, Stop> {
        match self.string()? {
            Cow::Borrowed(text) => Ok(text),
            Cow::Owned(_) => Err(Stop),
        }
    }

    fn string(&mut self) -> Result<Cow<'de, str>, Stop> {
        self.byte(b'"')?;
        let start = self.at;
        self.at += special(self.rest());
        let text = &self.text[start..self.at];
        match self.rest().first() {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.escaped(text.to_owned()).map(Cow::Owned),
            _ => Err(Stop),
        }
    }

    /// The rest of a string from its first escape on.
    fn escaped(&mut self, mut text: String) -> Result<String, Stop> {
        loop {
            let start = self.at;
            self.at += special(self.rest());
            text.push_str(&self.text[start..self.at]);
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(text);
                }
                [b'\\', b'u', digits @ ..] => {
                    text.push(control(digits).ok_or(Stop)?);
                    self.at += 6;
                }
                [b'\\', letter, ..] => {
                    text.push(match letter {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        _ => return Err(Stop),
                    });
                    self.at += 2;
                }
                _ => return Err(Stop),
            }
        }
    }

    /// Magnitude, and whether it is negative.
    fn integer(&mut self) -> Result<(u64, bool), Stop> {
        let negative = self.take("-");
        let rest = self.rest();
        // Sixteen digits hold every integer that is exact.
        let digits = rest.iter().take(17).take_while(|b| b.is_ascii_digit());
        let (mut magnitude, mut count) = (0_u64, 0);
        for digit in digits {
            magnitude = magnitude * 10 + u64::from(digit - b'0');
            count += 1;
        }
        let spelt = match rest.first() {
            Some(b'0') => count == 1 && !negative,
            _ => count > 0,
        };
        if !spelt || magnitude > MAX_INTEGER {
            return Err(Stop);
        }
        self.at += count;
        Ok((magnitude, negative))
    }

    /// The fraction that begins here; none where it is an integer.
    fn fraction(&mut self) -> Result<Option<f64>, Stop> {
        let part = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'0'..=b'9');
        let length = self.rest().iter().take_while(|b| part(b)).count();
        let text = &self.text[self.at..self.at + length];
        if !text.bytes().any(|b| b == b'.' || b == b'e') {
            return Ok(None);
        }
        let fraction = number::read(text).ok_or(Stop)?;
        self.at += length;
        Ok(Some(fraction))
    }

    /// The tag of the object that begins here: its own field `type`.
    fn tag_ahead(&self) -> Result<&'de str, Stop> {
        let mut ahead = Reader::new(self.text, None);
        ahead.at = self.at;
        let mut depth = 0_u32;
        loop {
            match ahead.rest().first().ok_or(Stop)? {
                b'"' => {
                    let key = ahead.string()?;
                    if depth == 1 && key == TAG && ahead.take(":") {
                        return ahead.plain();
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1).filter(|d| *d > 0).ok_or(Stop)?,
                _ => {}
            }
            ahead.at += 1;
        }
    }
}

/// How many bytes come before the first that ends a string or needs a look: `"`, `\`, or a control character.
fn special(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let mut at = 0;
    // Eight at a time. A borrow can mark a byte above one that is special, but never the first: that one counts.
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
        let found = zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
            | (word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGHS);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    let is_special = |b: &u8| *b < b' ' || *b == b'"' || *b == b'\\';
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The control character that four digits stand for, where these are its one spelling.
fn control(digits: &[u8]) -> Option<char> {
    let [b'0', b'0', high @ (b'0' | b'1'), low, ..] = digits else {
        return None;
    };
    let low = match low {
        b'0'..=b'9' => low - b'0',
        b'a'..=b'f' => low - b'a' + 10,
        _ => return None,
    };
    let code = (high - b'0') * 16 + low;
    // These have a letter.
    let lettered = matches!(code, 0x8 | 0x9 | 0xa | 0xc | 0xd);
    (!lettered).then(|| char::from(code))
}

macro_rules! forward {
    ($($method:ident)* => $to:ident) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.$to(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Stop;

    /// Only for what is plain: what a list or an object means to a type that asks so is not known here.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.rest().first() {
            Some(b'"') => self.deserialize_str(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'-' | b'0'..=b'9') => match self.fraction()? {
                Some(fraction) => visitor.visit_f64(fraction),
                None => self.deserialize_i64(visitor),
            },
            _ => Err(Stop),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.take("true") {
            visitor.visit_bool(true)
        } else {
            self.expect("false")?;
            visitor.visit_bool(false)
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.integer()? {
            (magnitude, false) => visitor.visit_u64(magnitude),
            // It is at most 2^53.
            (magnitude, true) => visitor.visit_i64(-(magnitude as i64)),
        }
    }

    forward! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
            => deserialize_i64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    forward! { deserialize_string deserialize_identifier => deserialize_str }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.rest().first() == Some(&b'n') {
            return Err(Stop);
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if name != tagged::BY_TYPE {
            return visitor.visit_newtype_struct(self);
        }
        let tag = match self.expected {
            Some(tag) => tag,
            None => self.tag_ahead()?,
        };
        visitor.visit_enum(Tagged { reader: self, tag })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.byte(b'[')?;
        visitor.visit_seq(Items {
            reader: self,
            first: true,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(Fields::begin(self, None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_map(visitor)
    }

    /// Only by a word.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.plain()?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    forward! {
        deserialize_f32 deserialize_f64 deserialize_char deserialize_bytes deserialize_byte_buf deserialize_unit
            => deserialize_ignored_any
    }
}

struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        // After a comma the next byte begins a value, which no `]` does.
        if self.reader.take("]") {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.byte(b',')?;
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The fields of an object.
struct Fields<'r, 'de> {
    reader: &'r mut Reader<'de>,
    last: Option<&'de str>,
    /// The tag that is still to come, and is not handed on.
    tag: Option<&'de str>,
}

impl<'r, 'de> Fields<'r, 'de> {
    fn begin(reader: &'r mut Reader<'de>, tag: Option<&'de str>) -> Result<Self, Stop> {
        reader.byte(b'{')?;
        Ok(Self {
            reader,
            last: None,
            tag,
        })
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        loop {
            if self.reader.take("}") {
                return if self.tag.is_none() {
                    Ok(None)
                } else {
                    Err(Stop)
                };
            }
            if self.last.is_some() {
                self.reader.byte(b',')?;
            }
            let key = self.reader.plain()?;
            // For ASCII, the order of bytes is that of UTF-16 units.
            if !key.is_ascii() || self.last.is_some_and(|last| last >= key) {
                return Err(Stop);
            }
            self.last = Some(key);
            self.reader.byte(b':')?;
            if key == TAG
                && let Some(tag) = self.tag.take()
            {
                if self.reader.plain()? != tag {
                    return Err(Stop);
                }
                continue;
            }
            return seed
                .deserialize(BorrowedStrDeserializer::new(key))
                .map(Some);
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(&mut *self.reader)
    }
}

/// An object whose field `type` says what it is.
struct Tagged<'r, 'de> {
    reader: &'r mut Reader<'de>,
    tag: &'de str,
}

impl<'de> EnumAccess<'de> for Tagged<'_, 'de> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        let tag = seed.deserialize(BorrowedStrDeserializer::new(self.tag))?;
        Ok((tag, self))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'_, 'de> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Err(Stop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        Err(Stop)
    }
}

impl<'de> de::Deserializer<'de> for Tagged<'_, 'de> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(Fields::begin(self.reader, Some(self.tag))?)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
