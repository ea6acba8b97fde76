//! The canonical encoding by hand: the same bytes as postcard, without serde.
//!
//! Guests of the sandbox link this, so it brings no formatting machinery and no
//! generic code, and never panics. The layout is postcard's (its specification
//! at <https://postcard.jamesmunns.com/wire-format>): unsigned LEB128 lengths and
//! tags, zigzag integers, length-prefixed text, bytes and sequences. Unlike
//! postcard's reader this one refuses every second spelling by itself: over-long
//! integers, bytes left over, values outside the [limits](crate::limits). What
//! it allocates is proportional to what it has read.

use alloc::{string::String, vec::Vec};

use crate::{
    Field, Kind, Limit, Template, Tuple, Value,
    limits::{MAX_DEPTH, MAX_FIELDS, MAX_TEMPLATE_BYTES, MAX_TUPLE_BYTES},
};

/// Why bytes were not a value, tuple or template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[cfg_attr(feature = "std", error("the bytes end in the middle of a value"))]
    Truncated,
    /// An integer longer than it need be, or wider than 64 bits.
    #[cfg_attr(
        feature = "std",
        error("an integer is not in its one canonical spelling")
    )]
    BadInteger,
    /// A tag, truth value or option mark that does not exist.
    #[cfg_attr(feature = "std", error("an unknown tag"))]
    BadTag,
    /// Text that is not UTF-8.
    #[cfg_attr(feature = "std", error("text that is not UTF-8"))]
    BadText,
    /// Bytes left over after the value.
    #[cfg_attr(feature = "std", error("bytes left over after the value"))]
    Trailing,
    /// A value outside the limits.
    #[cfg_attr(feature = "std", error("{0}"))]
    Limit(Limit),
}

impl From<Limit> for DecodeError {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

/// Encodes `value`.
#[must_use]
pub fn encode_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.encoded_len());
    put_value(&mut out, value);
    out
}

/// Encodes `tuple`.
#[must_use]
pub fn encode_tuple(tuple: &Tuple) -> Vec<u8> {
    let mut out = Vec::with_capacity(tuple.encoded_len());
    put_tuple(&mut out, tuple);
    out
}

/// Encodes `template`.
#[must_use]
pub fn encode_template(template: &Template) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.encoded_len());
    put_template(&mut out, template);
    out
}

/// Decodes one value from the whole of `bytes`.
///
/// # Errors
/// [`DecodeError`] for anything but the canonical spelling of a value.
pub fn decode_value(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    reader.finish().map(|()| value)
}

/// Decodes one tuple from the whole of `bytes`.
///
/// # Errors
/// [`DecodeError`] for anything but the canonical spelling of a tuple.
pub fn decode_tuple(bytes: &[u8]) -> Result<Tuple, DecodeError> {
    let mut reader = Reader::new(bytes);
    let tuple = reader.tuple()?;
    reader.finish().map(|()| tuple)
}

/// Decodes one template from the whole of `bytes`.
///
/// # Errors
/// [`DecodeError`] for anything but the canonical spelling of a template.
pub fn decode_template(bytes: &[u8]) -> Result<Template, DecodeError> {
    let mut reader = Reader::new(bytes);
    let template = reader.template()?;
    reader.finish().map(|()| template)
}

/// Appends `number` as unsigned LEB128.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

/// Appends a signed integer: zigzag, then LEB128.
pub fn put_int(out: &mut Vec<u8>, number: i64) {
    put_varint(out, zigzag(number));
}

/// Appends `bytes` behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the encoding of `value`.
pub fn put_value(out: &mut Vec<u8>, value: &Value) {
    out.push(kind_tag(value.kind()));
    match value {
        Value::Nil => {}
        Value::Bool(truth) => out.push(u8::from(*truth)),
        Value::Int(number) => put_int(out, *number),
        Value::Text(text) => put_bytes(out, text.as_bytes()),
        Value::Bytes(bytes) => put_bytes(out, bytes),
        Value::List(elements) => {
            put_varint(out, elements.len() as u64);
            for element in elements {
                put_value(out, element);
            }
        }
    }
}

/// Appends the encoding of `field`.
pub fn put_field(out: &mut Vec<u8>, field: &Field) {
    match field {
        Field::Exact(value) => {
            out.push(0);
            put_value(out, value);
        }
        Field::Any => out.push(1),
        Field::OfKind(kind) => out.extend_from_slice(&[2, kind_tag(*kind)]),
        Field::Range { from, to } => {
            out.push(3);
            put_bound(out, *from);
            put_bound(out, *to);
        }
        Field::TextPrefix(prefix) => {
            out.push(4);
            put_bytes(out, prefix.as_bytes());
        }
        Field::BytesPrefix(prefix) => {
            out.push(5);
            put_bytes(out, prefix);
        }
    }
}

/// Appends the encoding of `tuple`.
pub fn put_tuple(out: &mut Vec<u8>, tuple: &Tuple) {
    put_varint(out, tuple.arity() as u64);
    for value in tuple.fields() {
        put_value(out, value);
    }
}

/// Appends the encoding of `template`.
pub fn put_template(out: &mut Vec<u8>, template: &Template) {
    put_varint(out, template.arity() as u64);
    for field in template.fields() {
        put_field(out, field);
    }
}

fn put_bound(out: &mut Vec<u8>, bound: Option<i64>) {
    match bound {
        None => out.push(0),
        Some(number) => {
            out.push(1);
            put_int(out, number);
        }
    }
}

const fn kind_tag(kind: Kind) -> u8 {
    match kind {
        Kind::Nil => 0,
        Kind::Bool => 1,
        Kind::Int => 2,
        Kind::Text => 3,
        Kind::Bytes => 4,
        Kind::List => 5,
    }
}

const fn low_bits(number: u64) -> u8 {
    (number & 0x7f) as u8
}

/// Maps small magnitudes of either sign to small numbers.
#[expect(clippy::cast_sign_loss, reason = "zigzag reinterprets the bits")]
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[expect(clippy::cast_possible_wrap, reason = "zigzag reinterprets the bits")]
const fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

/// Encoded length of `number` as LEB128: one byte for every seven bits begun.
pub(crate) const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Encoded length of `length` bytes behind their length.
pub(crate) const fn prefixed_len(length: usize) -> usize {
    varint_len(length as u64) + length
}

/// Reads canonical encodings one after another, for messages of several parts.
///
/// After an error the reader's place is unspecified; drop it.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left over.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Reads a truth value.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but 0 and 1.
    pub fn truth(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadTag),
        }
    }

    /// Reads an unsigned LEB128 integer in its shortest spelling.
    ///
    /// # Errors
    /// [`DecodeError::BadInteger`] for a longer spelling or more than 64 bits.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds the 64th bit only.
            if shift > 63 || (shift == 63 && bits > 1) {
                return Err(DecodeError::BadInteger);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(DecodeError::BadInteger);
                }
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// Reads a signed integer.
    ///
    /// # Errors
    /// As [`Reader::varint`].
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }

    /// Reads the length of something of which every element takes a byte at
    /// least, so that no more than the bytes left can be announced.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when more is announced.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        match usize::try_from(self.varint()?) {
            Ok(length) if length <= self.rest.len() => Ok(length),
            _ => Err(DecodeError::Truncated),
        }
    }

    /// Reads bytes behind their length.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when they are not all there.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads text behind its length.
    ///
    /// # Errors
    /// [`DecodeError::BadText`] when it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::BadText)
    }

    /// Reads one value.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but a canonical value within the depth limit.
    pub fn value(&mut self) -> Result<Value, DecodeError> {
        self.nested(MAX_DEPTH)
    }

    /// Reads one tuple.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but a canonical tuple within the limits.
    pub fn tuple(&mut self) -> Result<Tuple, DecodeError> {
        let before = self.rest.len();
        let count = self.field_count()?;
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            fields.push(self.value()?);
        }
        // Canonical bytes are as long as the encoder would make them.
        if before - self.rest.len() > MAX_TUPLE_BYTES {
            return Err(Limit::TooLarge.into());
        }
        Ok(Tuple::trusted(fields))
    }

    /// Reads one template.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but a canonical template within the limits.
    pub fn template(&mut self) -> Result<Template, DecodeError> {
        let before = self.rest.len();
        let count = self.field_count()?;
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            fields.push(self.field()?);
        }
        if before - self.rest.len() > MAX_TEMPLATE_BYTES {
            return Err(Limit::TooLarge.into());
        }
        Ok(Template::trusted(fields))
    }

    fn field_count(&mut self) -> Result<usize, DecodeError> {
        let count = self.length()?;
        if count > MAX_FIELDS {
            return Err(Limit::TooManyFields.into());
        }
        Ok(count)
    }

    fn nested(&mut self, levels: usize) -> Result<Value, DecodeError> {
        Ok(match self.kind()? {
            Kind::Nil => Value::Nil,
            Kind::Bool => Value::Bool(self.truth()?),
            Kind::Int => Value::Int(self.int()?),
            Kind::Text => Value::Text(String::from(self.text()?)),
            Kind::Bytes => Value::Bytes(Vec::from(self.bytes()?)),
            Kind::List => {
                let inner = levels.checked_sub(1).ok_or(Limit::TooDeep)?;
                let count = self.length()?;
                // Not the announced count: nested lists could each announce
                // all the bytes left.
                let mut elements = Vec::with_capacity(count.min(MAX_FIELDS));
                for _ in 0..count {
                    elements.push(self.nested(inner)?);
                }
                Value::List(elements)
            }
        })
    }

    fn field(&mut self) -> Result<Field, DecodeError> {
        Ok(match self.byte()? {
            0 => Field::Exact(self.value()?),
            1 => Field::Any,
            2 => Field::OfKind(self.kind()?),
            3 => match (self.bound()?, self.bound()?) {
                (None, None) => return Err(Limit::UnboundedRange.into()),
                (from, to) => Field::Range { from, to },
            },
            4 => Field::TextPrefix(String::from(self.text()?)),
            5 => Field::BytesPrefix(Vec::from(self.bytes()?)),
            _ => return Err(DecodeError::BadTag),
        })
    }

    fn kind(&mut self) -> Result<Kind, DecodeError> {
        let tag = self.byte()?;
        Kind::ALL
            .get(usize::from(tag))
            .copied()
            .ok_or(DecodeError::BadTag)
    }

    fn bound(&mut self) -> Result<Option<i64>, DecodeError> {
        if self.truth()? {
            self.int().map(Some)
        } else {
            Ok(None)
        }
    }
}
