//! Templates: what a reader asks for, and what matching means.

use alloc::{string::String, vec::Vec};

use crate::{
    Kind, Limit, Tuple, Value, codec,
    limits::{MAX_DEPTH, MAX_FIELDS, MAX_TEMPLATE_BYTES},
};

/// What one field of a tuple must be. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize))]
pub enum Field {
    /// Equal to this value. A wildcard is never a value: `"*"` is plain text.
    Exact(Value),
    /// Anything (`_`).
    Any,
    /// Any value of this kind (`?int`).
    OfKind(Kind),
    /// An integer in the half-open range (`10..20`). At least one bound is
    /// given; a range whose bounds cross is legal and matches nothing.
    Range {
        /// Smallest integer that matches; `None` for no lower bound.
        from: Option<i64>,
        /// First integer that no longer matches; `None` for no upper bound.
        to: Option<i64>,
    },
    /// Text that begins with this (`"img/"*`), compared by bytes.
    TextPrefix(String),
    /// Bytes that begin with these (`0x"ca"*`).
    BytesPrefix(
        #[cfg_attr(
            feature = "std",
            serde(
                serialize_with = "crate::wire::bytes",
                deserialize_with = "crate::wire::byte_buf"
            )
        )]
        Vec<u8>,
    ),
}

impl Field {
    /// Whether `value` is what this field asks for.
    #[must_use]
    pub fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Exact(wanted), _) => wanted == value,
            (Self::OfKind(kind), _) => *kind == value.kind(),
            (Self::Range { from, to }, Value::Int(number)) => {
                from.is_none_or(|from| from <= *number) && to.is_none_or(|to| *number < to)
            }
            (Self::TextPrefix(prefix), Value::Text(text)) => text.starts_with(prefix.as_str()),
            (Self::BytesPrefix(prefix), Value::Bytes(bytes)) => bytes.starts_with(prefix),
            _ => false,
        }
    }

    /// Length of the canonical encoding in bytes, computed without encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let bound_len = |bound: &Option<i64>| {
            1 + bound.map_or(0, |number| codec::varint_len(codec::zigzag(number)))
        };
        1 + match self {
            Self::Exact(value) => value.encoded_len(),
            Self::Any => 0,
            Self::OfKind(_) => 1,
            Self::Range { from, to } => bound_len(from) + bound_len(to),
            Self::TextPrefix(prefix) => codec::prefixed_len(prefix.len()),
            Self::BytesPrefix(prefix) => codec::prefixed_len(prefix.len()),
        }
    }
}

impl<T: Into<Value>> From<T> for Field {
    fn from(value: T) -> Self {
        Self::Exact(value.into())
    }
}

impl From<core::ops::Range<i64>> for Field {
    fn from(range: core::ops::Range<i64>) -> Self {
        Self::Range {
            from: Some(range.start),
            to: Some(range.end),
        }
    }
}

impl From<core::ops::RangeFrom<i64>> for Field {
    fn from(range: core::ops::RangeFrom<i64>) -> Self {
        Self::Range {
            from: Some(range.start),
            to: None,
        }
    }
}

impl From<core::ops::RangeTo<i64>> for Field {
    fn from(range: core::ops::RangeTo<i64>) -> Self {
        Self::Range {
            from: None,
            to: Some(range.end),
        }
    }
}

/// What a whole tuple must be: one [`Field`] for each of its fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "std", derive(serde::Serialize))]
pub struct Template(Vec<Field>);

impl Template {
    /// Makes a template of `fields`.
    ///
    /// # Errors
    /// The [`Limit`] that the fields break.
    pub fn new(fields: Vec<Field>) -> Result<Self, Limit> {
        if fields.len() > MAX_FIELDS {
            return Err(Limit::TooManyFields);
        }
        for field in &fields {
            match field {
                Field::Exact(value) if !value.nests_within(MAX_DEPTH) => {
                    return Err(Limit::TooDeep);
                }
                Field::Range {
                    from: None,
                    to: None,
                } => return Err(Limit::UnboundedRange),
                _ => {}
            }
        }
        let template = Self(fields);
        if template.encoded_len() > MAX_TEMPLATE_BYTES {
            return Err(Limit::TooLarge);
        }
        Ok(template)
    }

    /// Makes a template of fields whose limits the caller has checked.
    pub(crate) const fn trusted(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    /// The template that only tuples equal to `tuple` match.
    #[must_use]
    pub fn exact(tuple: Tuple) -> Self {
        Self(tuple.into_fields().into_iter().map(Field::Exact).collect())
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// Number of fields; only tuples with as many can match.
    #[must_use]
    pub fn arity(&self) -> usize {
        self.0.len()
    }

    /// The fields themselves.
    #[must_use]
    pub fn into_fields(self) -> Vec<Field> {
        self.0
    }

    /// Whether `tuple` has as many fields and each is what this asks for.
    #[must_use]
    pub fn matches(&self, tuple: &Tuple) -> bool {
        self.0.len() == tuple.arity()
            && self
                .0
                .iter()
                .zip(tuple.fields())
                .all(|(field, value)| field.matches(value))
    }

    /// Length of the canonical encoding in bytes, computed without encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        codec::varint_len(self.0.len() as u64)
            + self.0.iter().map(Field::encoded_len).sum::<usize>()
    }
}

impl From<Tuple> for Template {
    fn from(tuple: Tuple) -> Self {
        Self::exact(tuple)
    }
}
