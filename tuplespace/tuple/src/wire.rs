//! serde for tuples and templates, with the limits enforced while reading.
//!
//! In postcard these give the bytes of [`crate::codec`]. Values are read by
//! hand rather than by derive, so that a list nested without end is refused at
//! its ninth level instead of exhausting the stack.

use alloc::{string::String, vec::Vec};
use core::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{DeserializeSeed, EnumAccess, Error, SeqAccess, VariantAccess, Visitor},
};

use crate::{
    Field, Limit, Template, Tuple, Value,
    limits::{MAX_DEPTH, MAX_FIELDS},
};

/// Writes bytes as bytes, not as a sequence of numbers (postcard spells both alike).
pub(crate) fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads what [`bytes`] wrote.
pub(crate) fn byte_buf<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_byte_buf(Bytes)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    // Self-describing formats without bytes (JSON) hold a sequence of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

struct ByteBuf;

impl<'de> DeserializeSeed<'de> for ByteBuf {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        byte_buf(deserializer)
    }
}

/// The tag of a value's variant; its order is that of [`Value`].
#[derive(Deserialize)]
#[serde(variant_identifier)]
enum Tag {
    Nil,
    Bool,
    Int,
    Text,
    Bytes,
    List,
}

const TAGS: &[&str] = &["Nil", "Bool", "Int", "Text", "Bytes", "List"];

/// Reads a value in which at most `levels` lists lie inside one another.
#[derive(Clone, Copy)]
struct Nested {
    levels: usize,
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_enum("Value", TAGS, self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, content) = access.variant::<Tag>()?;
        match tag {
            Tag::Nil => content.unit_variant().map(|()| Value::Nil),
            Tag::Bool => content.newtype_variant().map(Value::Bool),
            Tag::Int => content.newtype_variant().map(Value::Int),
            Tag::Text => content.newtype_variant::<String>().map(Value::Text),
            Tag::Bytes => content.newtype_variant_seed(ByteBuf).map(Value::Bytes),
            Tag::List => {
                let levels = self
                    .levels
                    .checked_sub(1)
                    .ok_or_else(|| A::Error::custom(Limit::TooDeep))?;
                content
                    .newtype_variant_seed(Elements { levels })
                    .map(Value::List)
            }
        }
    }
}

struct Elements {
    levels: usize,
}

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Value>, A::Error> {
        // The announced length is the sender's word; elements are what counts.
        let mut elements = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(MAX_FIELDS));
        let nested = Nested {
            levels: self.levels,
        };
        while let Some(element) = seq.next_element_seed(nested)? {
            elements.push(element);
        }
        Ok(elements)
    }
}

/// Reads at most [`MAX_FIELDS`] of anything.
struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_FIELDS} fields")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut fields = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(MAX_FIELDS));
        while let Some(field) = seq.next_element()? {
            if fields.len() == MAX_FIELDS {
                return Err(A::Error::custom(Limit::TooManyFields));
            }
            fields.push(field);
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested { levels: MAX_DEPTH }.deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Tuple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields =
            deserializer.deserialize_newtype_struct("Tuple", Fields::<Value>(PhantomData))?;
        Self::new(fields).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields =
            deserializer.deserialize_newtype_struct("Template", Fields::<Field>(PhantomData))?;
        Self::new(fields).map_err(D::Error::custom)
    }
}
