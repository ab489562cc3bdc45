//! Writing canonical JSON straight from a value, without a tree in between.
//!
//! Each object is written in the order of its fields; where that is not the canonical order, its fields are moved when it
//! ends. What has no canonical form stops it: the slow way then says why, and where.

use std::fmt;

use serde::ser::{self, Impossible, Serialize};

use super::{MAX_INTEGER, by_utf_16, number, plain};

/// Appends the canonical form of `value`; `None` where it has none.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Option<()> {
    value.serialize(&mut Writer { out }).ok()
}

/// That a value has no canonical form here.
#[derive(Debug)]
pub(super) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no canonical form")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn integer(&mut self, magnitude: u64, negative: bool) -> Result<(), Stop> {
        if magnitude > MAX_INTEGER {
            return Err(Stop);
        }
        if negative {
            self.out.push(b'-');
        }
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = magnitude;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        // Most text needs no escape, and is copied whole.
        if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
            return Ok(());
        }
        plain(text, self.out).map_err(|_| Stop)
    }

    fn named(&mut self, variant: &'static str) -> Result<(), Stop> {
        self.out.push(b'{');
        self.text(variant)?;
        self.out.push(b':');
        Ok(())
    }
}

impl<'w, 'a> ser::Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Items<'w, 'a>;
    type SerializeTuple = Items<'w, 'a>;
    type SerializeTupleStruct = Items<'w, 'a>;
    type SerializeTupleVariant = Items<'w, 'a>;
    type SerializeMap = Fields<'w, 'a>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = Fields<'w, 'a>;

    fn serialize_bool(self, v: bool) -> Result<(), Stop> {
        self.out
            .extend_from_slice(if v { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, v: i8) -> Result<(), Stop> {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), Stop> {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), Stop> {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<(), Stop> {
        self.integer(v.unsigned_abs(), v < 0)
    }

    fn serialize_u8(self, v: u8) -> Result<(), Stop> {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), Stop> {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), Stop> {
        self.serialize_u64(v.into())
    }

    fn serialize_u64(self, v: u64) -> Result<(), Stop> {
        self.integer(v, false)
    }

    fn serialize_f32(self, _: f32) -> Result<(), Stop> {
        Err(Stop)
    }

    fn serialize_f64(self, v: f64) -> Result<(), Stop> {
        number::write(v, self.out).map_err(|_| Stop)
    }

    fn serialize_char(self, v: char) -> Result<(), Stop> {
        self.text(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), Stop> {
        self.text(v)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Stop> {
        Err(Stop)
    }

    fn serialize_none(self) -> Result<(), Stop> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Stop> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.named(variant)?;
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'w, 'a>, Stop> {
        self.out.push(b'[');
        Ok(Items {
            writer: self,
            first: true,
            end: b"]",
        })
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'w, 'a>, Stop> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'w, 'a>, Stop> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'w, 'a>, Stop> {
        self.named(variant)?;
        let items = self.serialize_seq(Some(len))?;
        Ok(Items {
            end: b"]}",
            ..items
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Fields<'w, 'a>, Stop> {
        Ok(Fields::new(self, len.unwrap_or(0), b""))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Fields<'w, 'a>, Stop> {
        Ok(Fields::new(self, len, b""))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'w, 'a>, Stop> {
        self.named(variant)?;
        Ok(Fields::new(self, len, b"}"))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Stop> {
        // Written in place; escaped afterwards where it must be, which digests and times never need.
        use std::io::Write as _;
        let start = self.out.len();
        self.out.push(b'"');
        write!(self.out, "{value}").map_err(|_| Stop)?;
        let fine = |b: &u8| *b >= b' ' && *b != b'"' && *b != b'\\';
        if self.out[start + 1..].iter().all(fine) {
            self.out.push(b'"');
            return Ok(());
        }
        self.out.truncate(start);
        self.text(&value.to_string())
    }
}

/// An array that is being written.
struct Items<'w, 'a> {
    writer: &'w mut Writer<'a>,
    first: bool,
    end: &'static [u8],
}

impl Items<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        if !std::mem::take(&mut self.first) {
            self.writer.out.push(b',');
        }
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.out.extend_from_slice(self.end);
    }
}

macro_rules! items {
    ($($kind:ident $method:ident)*) => {$(
        impl ser::$kind for Items<'_, '_> {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
                self.item(value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close();
                Ok(())
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// An object that is being written.
struct Fields<'w, 'a> {
    writer: &'w mut Writer<'a>,
    /// Where it begins, after its brace.
    start: usize,
    /// Each field: its key as text, and where `"key":value` stands, without commas.
    fields: Vec<(Key, usize, usize)>,
    sorted: bool,
    end: &'static [u8],
}

enum Key {
    Known(&'static str),
    Told(String),
}

impl Key {
    fn text(&self) -> &str {
        match self {
            Self::Known(text) => text,
            Self::Told(text) => text,
        }
    }
}

impl<'w, 'a> Fields<'w, 'a> {
    fn new(writer: &'w mut Writer<'a>, len: usize, end: &'static [u8]) -> Self {
        writer.out.push(b'{');
        Self {
            start: writer.out.len(),
            writer,
            fields: Vec::with_capacity(len),
            sorted: true,
            end,
        }
    }

    fn key(&mut self, key: Key) -> Result<(), Stop> {
        if let Some((last, ..)) = self.fields.last() {
            match by_utf_16(last.text(), key.text()) {
                std::cmp::Ordering::Less => {}
                _ => self.sorted = false,
            }
            self.writer.out.push(b',');
        }
        let start = self.writer.out.len();
        self.writer.text(key.text())?;
        self.writer.out.push(b':');
        self.fields.push((key, start, start));
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        value.serialize(&mut *self.writer)?;
        let (.., end) = self.fields.last_mut().ok_or(Stop)?;
        *end = self.writer.out.len();
        Ok(())
    }

    fn close(mut self) -> Result<(), Stop> {
        let out = &mut *self.writer.out;
        if !self.sorted {
            self.fields
                .sort_by(|(a, ..), (b, ..)| by_utf_16(a.text(), b.text()));
            if self
                .fields
                .windows(2)
                .any(|pair| pair[0].0.text() == pair[1].0.text())
            {
                // A tree would keep the last of two fields of one name.
                return Err(Stop);
            }
            let mut moved = Vec::with_capacity(out.len() - self.start);
            for (i, (_, start, end)) in self.fields.iter().enumerate() {
                if i > 0 {
                    moved.push(b',');
                }
                moved.extend_from_slice(&out[*start..*end]);
            }
            out.truncate(self.start);
            out.extend_from_slice(&moved);
        }
        out.push(b'}');
        out.extend_from_slice(self.end);
        Ok(())
    }
}

impl ser::SerializeMap for Fields<'_, '_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        let text = key.serialize(KeyText)?;
        self.key(Key::Told(text))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.value(value)
    }

    fn end(self) -> Result<(), Stop> {
        self.close()
    }
}

macro_rules! structs {
    ($($kind:ident)*) => {$(
        impl ser::$kind for Fields<'_, '_> {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Stop> {
                self.key(Key::Known(key))?;
                self.value(value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

/// Takes a key of a map that is text, or a word; every other key goes the slow way.
struct KeyText;

macro_rules! no_key {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, _: $type) -> Result<String, Stop> {
            Err(Stop)
        })*
    };
}

impl ser::Serializer for KeyText {
    type Ok = String;
    type Error = Stop;
    type SerializeSeq = Impossible<String, Stop>;
    type SerializeTuple = Impossible<String, Stop>;
    type SerializeTupleStruct = Impossible<String, Stop>;
    type SerializeTupleVariant = Impossible<String, Stop>;
    type SerializeMap = Impossible<String, Stop>;
    type SerializeStruct = Impossible<String, Stop>;
    type SerializeStructVariant = Impossible<String, Stop>;

    fn serialize_str(self, v: &str) -> Result<String, Stop> {
        Ok(v.to_owned())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, Stop> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, Stop> {
        value.serialize(self)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<String, Stop> {
        Ok(value.to_string())
    }

    no_key! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_f32(f32) serialize_f64(f64)
        serialize_char(char) serialize_bytes(&[u8]) serialize_unit_struct(&'static str)
    }

    fn serialize_none(self) -> Result<String, Stop> {
        Err(Stop)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, Stop> {
        Err(Stop)
    }

    fn serialize_unit(self) -> Result<String, Stop> {
        Err(Stop)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Stop> {
        Err(Stop)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Stop> {
        Err(Stop)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Stop> {
        Err(Stop)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Stop> {
        Err(Stop)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Stop> {
        Err(Stop)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Stop> {
        Err(Stop)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Stop> {
        Err(Stop)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Stop> {
        Err(Stop)
    }
}
