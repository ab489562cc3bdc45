//! Reading a request by its `type` without a tree in between.
//!
//! What `serde` derives for an internally tagged enum keeps the whole value aside first, since the tag may come last; and in
//! canonical JSON it does. Here the text is gone through twice instead: for the tag, then for the request.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer as _, Error, IgnoredAny, MapAccess, Visitor,
    value::{BorrowedStrDeserializer, MapAccessDeserializer, StringDeserializer},
};
use serde_json::value::RawValue;

/// The field that holds the tag.
pub(crate) const TAG: &str = "type";

/// The name under which a type that is read by its tag asks for itself: whoever can tell the tag at once answers with an
/// enum, everybody else with the whole value.
pub(crate) const BY_TYPE: &str = "counterfoil::by_type";

/// The tag of an object.
pub(crate) fn tag<E: Error>(raw: &RawValue) -> Result<Cow<'_, str>, E> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        #[serde(borrow, rename = "type")]
        tag: Cow<'a, str>,
    }
    let tag: Tag<'_> = serde_json::from_str(raw.get()).map_err(E::custom)?;
    Ok(tag.tag)
}

/// The object without its tag.
pub(crate) fn rest<'de, T: Deserialize<'de>, E: Error>(raw: &'de RawValue) -> Result<T, E> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer
        .deserialize_map(Untagged(PhantomData))
        .map_err(E::custom)
}

struct Untagged<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Untagged<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a `type`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Fields(map)))
    }
}

/// The fields of an object but for its tag.
struct Fields<A>(A);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.0.next_key::<Key<'de>>()? {
                None => return Ok(None),
                Some(key) if key.0 == TAG => {
                    self.0.next_value::<IgnoredAny>()?;
                }
                Some(Key(Cow::Borrowed(key))) => {
                    return seed
                        .deserialize(BorrowedStrDeserializer::new(key))
                        .map(Some);
                }
                Some(Key(Cow::Owned(key))) => {
                    return seed.deserialize(StringDeserializer::new(key)).map(Some);
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}
