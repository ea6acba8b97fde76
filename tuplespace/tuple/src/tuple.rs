//! A tuple: an ordered list of values within the limits.

use alloc::vec::Vec;

use crate::{
    Limit, Value, codec,
    limits::{MAX_DEPTH, MAX_FIELDS, MAX_TUPLE_BYTES},
};

/// An ordered list of values, within the [limits](crate::limits). May be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "std", derive(serde::Serialize))]
pub struct Tuple(Vec<Value>);

impl Tuple {
    /// Makes a tuple of `fields`.
    ///
    /// # Errors
    /// The [`Limit`] that the fields break.
    pub fn new(fields: Vec<Value>) -> Result<Self, Limit> {
        if fields.len() > MAX_FIELDS {
            return Err(Limit::TooManyFields);
        }
        // Depth first: the length of a value is computed by recursion.
        if !fields.iter().all(|value| value.nests_within(MAX_DEPTH)) {
            return Err(Limit::TooDeep);
        }
        let tuple = Self(fields);
        if tuple.encoded_len() > MAX_TUPLE_BYTES {
            return Err(Limit::TooLarge);
        }
        Ok(tuple)
    }

    /// Makes a tuple of fields whose limits the caller has checked (the codec
    /// does while it reads).
    pub(crate) const fn trusted(fields: Vec<Value>) -> Self {
        Self(fields)
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Value] {
        &self.0
    }

    /// The field at `position`, counted from 0.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&Value> {
        self.0.get(position)
    }

    /// Number of fields.
    #[must_use]
    pub fn arity(&self) -> usize {
        self.0.len()
    }

    /// The fields themselves.
    #[must_use]
    pub fn into_fields(self) -> Vec<Value> {
        self.0
    }

    /// Length of the canonical encoding in bytes, computed without encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        codec::varint_len(self.0.len() as u64)
            + self.0.iter().map(Value::encoded_len).sum::<usize>()
    }
}
