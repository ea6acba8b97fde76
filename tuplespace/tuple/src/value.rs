//! A field's value and its kind.
//!
//! No floats: they compare and print differently on different machines, and
//! tuples are agreed state.

use alloc::{string::String, vec::Vec};

use crate::codec;

/// One field of a tuple.
///
/// The order of the variants is the wire format and the order of values of
/// different kinds. Two values are equal only when kind and content are: the
/// text `"1"`, the integer `1` and `true` all differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "std", derive(serde::Serialize))]
pub enum Value {
    /// The absence of a value, equal to itself only.
    Nil,
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// UTF-8 text, compared by its bytes: no normalisation, no wildcards.
    Text(String),
    /// Bytes.
    Bytes(#[cfg_attr(feature = "std", serde(serialize_with = "crate::wire::bytes"))] Vec<u8>),
    /// A list of values, at most [`crate::limits::MAX_DEPTH`] levels.
    List(Vec<Value>),
}

/// The kind of a [`Value`]; the order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize))]
pub enum Kind {
    /// [`Value::Nil`].
    Nil,
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Int`].
    Int,
    /// [`Value::Text`].
    Text,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::List`].
    List,
}

impl Kind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 6] = [
        Self::Nil,
        Self::Bool,
        Self::Int,
        Self::Text,
        Self::Bytes,
        Self::List,
    ];

    /// The kind's name in the text form, without its question mark.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::List => "list",
        }
    }

    /// The kind called `name`, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Value {
    /// The value's kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Nil,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::List(_) => Kind::List,
        }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if these are some (text is not).
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The list's elements, if this is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// Length of the canonical encoding in bytes, computed without encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Nil => 0,
            Self::Bool(_) => 1,
            Self::Int(number) => codec::varint_len(codec::zigzag(*number)),
            Self::Text(text) => codec::prefixed_len(text.len()),
            Self::Bytes(bytes) => codec::prefixed_len(bytes.len()),
            Self::List(elements) => {
                codec::varint_len(elements.len() as u64)
                    + elements.iter().map(Self::encoded_len).sum::<usize>()
            }
        }
    }

    /// Whether at most `levels` lists lie inside one another. Looks no deeper
    /// than that, so a value of any depth is safe to ask about.
    pub(crate) fn nests_within(&self, levels: usize) -> bool {
        match self {
            Self::List(elements) => match levels.checked_sub(1) {
                Some(inner) => elements.iter().all(|value| value.nests_within(inner)),
                None => false,
            },
            _ => true,
        }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Nil
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.as_slice().into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Self>) -> Self {
        Self::List(elements)
    }
}
