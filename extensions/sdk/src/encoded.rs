//! Tuples and templates as they pass between guest and host: encoded.
//!
//! Most extensions hand tuples on, or look at a field or two. Building trees of values
//! for that would make a module three times as large and a call three times as dear,
//! so these types write and read the encoding in place. [`TupleBytes::decode`] and
//! `From` lead to and from the trees where they are wanted.

use alloc::vec::Vec;

use bezant_tuple::{
    Kind, Template, Tuple, Value,
    codec::{self, Reader},
};

use crate::raw;

/// Room for most tuples an extension makes.
const ROOM: usize = 96;

const INT: u8 = 2;
const TEXT: u8 = 3;

/// An encoded tuple. Made field by field:
/// `TupleBytes::new().text("counter").text(name).int(7)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TupleBytes(Vec<u8>);

/// An encoded template. Made field by field:
/// `TemplateBytes::new().text("counter").text(name).of_kind(Kind::Int)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateBytes(Vec<u8>);

/// Reads the fields of a tuple in order.
#[derive(Clone, Debug)]
pub struct Fields<'a>(Reader<'a>);

/// Reads the fields of a template in order, where they are exact.
#[derive(Clone, Debug)]
pub struct ExactFields<'a>(Reader<'a>);

/// An encoding without fields. At most 32 fields fit into one byte of count; the host
/// refuses more, as it does everything else that is no tuple.
fn empty() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM);
    bytes.push(0);
    bytes
}

/// Counts one more field.
fn one_more(bytes: &mut [u8]) {
    if let Some(count) = bytes.first_mut() {
        *count = count.saturating_add(1);
    }
}

impl Default for TupleBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl TupleBytes {
    /// The tuple without fields.
    #[must_use]
    pub fn new() -> Self {
        Self(empty())
    }

    /// Bytes that the host wrote.
    pub(crate) fn from_host(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        one_more(&mut self.0);
        self.0.push(TEXT);
        codec::put_bytes(&mut self.0, text.as_bytes());
        self
    }

    /// Adds an integer.
    #[must_use]
    pub fn int(mut self, number: i64) -> Self {
        one_more(&mut self.0);
        self.0.push(INT);
        codec::put_int(&mut self.0, number);
        self
    }

    /// Adds any value.
    #[must_use]
    pub fn value(mut self, value: &Value) -> Self {
        one_more(&mut self.0);
        codec::put_value(&mut self.0, value);
        self
    }

    /// Reads the fields in order, from the first.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields(after_count(&self.0))
    }

    /// The tuple as a tree of values.
    #[must_use]
    pub fn decode(&self) -> Tuple {
        // Only more fields than a tuple may have can be wrong, and the author put them.
        codec::decode_tuple(&self.0).unwrap_or_else(|_| raw::stop())
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Tuple> for TupleBytes {
    fn from(tuple: &Tuple) -> Self {
        Self(codec::encode_tuple(tuple))
    }
}

impl Default for TemplateBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl TemplateBytes {
    /// The template without fields.
    #[must_use]
    pub fn new() -> Self {
        Self(empty())
    }

    /// Bytes that the host wrote.
    pub(crate) fn from_host(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Adds a field that is exactly this text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        one_more(&mut self.0);
        self.0.extend_from_slice(&[0, TEXT]);
        codec::put_bytes(&mut self.0, text.as_bytes());
        self
    }

    /// Adds a field that is exactly this integer.
    #[must_use]
    pub fn int(mut self, number: i64) -> Self {
        one_more(&mut self.0);
        self.0.extend_from_slice(&[0, INT]);
        codec::put_int(&mut self.0, number);
        self
    }

    /// Adds a field that is exactly this value.
    #[must_use]
    pub fn value(mut self, value: &Value) -> Self {
        one_more(&mut self.0);
        self.0.push(0);
        codec::put_value(&mut self.0, value);
        self
    }

    /// Adds a field that is anything.
    #[must_use]
    pub fn any(mut self) -> Self {
        one_more(&mut self.0);
        self.0.push(1);
        self
    }

    /// Adds a field that is any value of a kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        one_more(&mut self.0);
        // The order of the kinds is the encoding.
        self.0.extend_from_slice(&[2, kind as u8]);
        self
    }

    /// Reads the exact fields in order, from the first.
    #[must_use]
    pub fn fields(&self) -> ExactFields<'_> {
        ExactFields(after_count(&self.0))
    }

    /// The template as a tree of fields.
    #[must_use]
    pub fn decode(&self) -> Template {
        codec::decode_template(&self.0).unwrap_or_else(|_| raw::stop())
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Template> for TemplateBytes {
    fn from(template: &Template) -> Self {
        Self(codec::encode_template(template))
    }
}

fn after_count(bytes: &[u8]) -> Reader<'_> {
    // One byte, because a tuple has fewer than 128 fields.
    Reader::new(bytes.get(1..).unwrap_or_default())
}

/// The next value, if it is a text.
fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    if reader.byte() != Ok(TEXT) {
        return None;
    }
    reader.bytes().ok().map(raw::text)
}

/// The next value, if it is an integer.
fn int(reader: &mut Reader<'_>) -> Option<i64> {
    if reader.byte() != Ok(INT) {
        return None;
    }
    reader.int().ok()
}

impl<'a> Fields<'a> {
    /// The next field, if it is a text; after `None` read no further.
    pub fn text(&mut self) -> Option<&'a str> {
        text(&mut self.0)
    }

    /// The next field, if it is an integer; after `None` read no further.
    pub fn int(&mut self) -> Option<i64> {
        int(&mut self.0)
    }

    /// The next field; after `None` read no further.
    pub fn value(&mut self) -> Option<Value> {
        self.0.value().ok()
    }
}

impl<'a> ExactFields<'a> {
    fn exact(&mut self) -> Option<&mut Reader<'a>> {
        (self.0.byte() == Ok(0)).then_some(&mut self.0)
    }

    /// The next field, if it is exactly a text; after `None` read no further.
    pub fn text(&mut self) -> Option<&'a str> {
        self.exact().and_then(text)
    }

    /// The next field, if it is exactly an integer; after `None` read no further.
    pub fn int(&mut self) -> Option<i64> {
        self.exact().and_then(int)
    }

    /// The next field, if it is an exact value; after `None` read no further.
    pub fn value(&mut self) -> Option<Value> {
        self.exact().and_then(|reader| reader.value().ok())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bezant_tuple::Field;

    use super::*;

    #[test]
    fn what_is_built_is_what_the_codec_writes() {
        let long = "x".repeat(200);
        let values = vec![
            Value::from("counter"),
            Value::from(long.as_str()),
            Value::Int(i64::MIN),
            Value::Nil,
        ];
        let built = TupleBytes::new()
            .text("counter")
            .text(&long)
            .int(i64::MIN)
            .value(&Value::Nil);
        let tuple = Tuple::new(values);
        assert_eq!(Ok(built.decode()), tuple);
        assert_eq!(tuple.map(|tuple| TupleBytes::from(&tuple)), Ok(built));
    }

    #[test]
    fn a_built_template_is_what_the_codec_writes() {
        let fields = vec![
            Field::from("a"),
            Field::from(300),
            Field::Exact(Value::Bool(true)),
            Field::Any,
            Field::OfKind(Kind::List),
        ];
        let built = TemplateBytes::new()
            .text("a")
            .int(300)
            .value(&Value::Bool(true))
            .any()
            .of_kind(Kind::List);
        let template = Template::new(fields);
        assert_eq!(Ok(built.decode()), template);
        assert_eq!(template.map(|t| TemplateBytes::from(&t)), Ok(built));
    }

    #[test]
    fn fields_are_read_in_order() {
        let tuple = TupleBytes::new().text("ä").int(-5).value(&Value::Nil);
        let mut fields = tuple.fields();
        assert_eq!(fields.text(), Some("ä"));
        assert_eq!(fields.int(), Some(-5));
        assert_eq!(fields.value(), Some(Value::Nil));
        assert_eq!(fields.int(), None, "the end");
        assert_eq!(tuple.fields().int(), None, "another kind");
    }

    #[test]
    fn only_exact_fields_are_read() {
        let template = TemplateBytes::new().int(7).text("a").any();
        let mut fields = template.fields();
        assert_eq!((fields.int(), fields.text()), (Some(7), Some("a")));
        assert_eq!(fields.value(), None);
        assert_eq!(TemplateBytes::new().any().fields().text(), None);
    }
}
