//! The parser: one token of look-ahead, recursion only into lists, whose depth
//! is bounded before it happens.

use alloc::{string::String, vec::Vec};

use super::ParseError;
use crate::{
    Field, Kind, Limit, Template, Tuple, Value,
    limits::{MAX_DEPTH, MAX_FIELDS},
};

const A_VALUE: &str = "a value";
const VALUES: &str = "write a value: 42, \"text\", true, nil, 0x\"cafe\" or [1, 2]";
const PATTERNS: &str = "_ ?int 10..20 \"img/\"* belong to templates; a tuple or list holds values";
const QUOTES: &str =
    "text needs double quotes: \"job\"; in a shell put the whole tuple in single quotes";
const FLOATS: &str = "there are no floats: scale to an integer, or write it as text";
const KINDS: &str = "the kinds are ?nil ?bool ?int ?text ?bytes ?list";

type Parsed<T> = Result<T, ParseError>;

pub(super) fn value(text: &str) -> Parsed<Value> {
    let mut parser = Parser::new(text);
    parser.skip_space();
    let value = parser.value(MAX_DEPTH)?;
    parser.end()?;
    Ok(value)
}

pub(super) fn tuple(text: &str) -> Parsed<Tuple> {
    let mut parser = Parser::new(text);
    parser.open(
        "a tuple, which begins with `(`",
        "write something like (\"job\", 42)",
    )?;
    let fields = parser.sequence(&FIELDS_OF_TUPLE, |parser| parser.value(MAX_DEPTH))?;
    parser.end()?;
    Tuple::new(fields).map_err(|limit| parser.outside(limit))
}

pub(super) fn template(text: &str) -> Parsed<Template> {
    let mut parser = Parser::new(text);
    parser.open(
        "a template, which begins with `(`",
        "write something like (\"job\", ?int, _)",
    )?;
    let fields = parser.sequence(&FIELDS_OF_TEMPLATE, Parser::field)?;
    parser.end()?;
    Template::new(fields).map_err(|limit| parser.outside(limit))
}

/// What a bracketed list of items allows and says.
struct Sequence {
    close: char,
    most: usize,
    separator: &'static str,
    holds_patterns: bool,
}

const FIELDS_OF_TUPLE: Sequence = Sequence {
    close: ')',
    most: MAX_FIELDS,
    separator: "`,` or `)`",
    holds_patterns: false,
};

const FIELDS_OF_TEMPLATE: Sequence = Sequence {
    holds_patterns: true,
    ..FIELDS_OF_TUPLE
};

const ELEMENTS: Sequence = Sequence {
    close: ']',
    most: usize::MAX,
    separator: "`,` or `]`",
    holds_patterns: false,
};

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn eat_char(&mut self, token: char) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    /// Takes characters as long as they are `wanted`.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    fn skip_space(&mut self) {
        self.run(char::is_whitespace);
    }

    fn error(&self, at: usize, expected: &'static str, next: &'static str) -> ParseError {
        ParseError::new(self.text, at, expected, next)
    }

    fn fail<T>(&self, expected: &'static str, next: &'static str) -> Parsed<T> {
        Err(self.error(self.at, expected, next))
    }

    /// A limit that only the whole breaks.
    fn outside(&self, limit: Limit) -> ParseError {
        match limit {
            Limit::TooLarge => self.error(
                0,
                "at most 65536 bytes once encoded",
                "store a reference to the data instead of the data",
            ),
            Limit::TooManyFields => self.error(0, "at most 32 fields", "group fields in a list"),
            Limit::TooDeep => self.error(0, "at most 8 levels of lists", "flatten the lists"),
            Limit::UnboundedRange => self.error(0, "ranges with a bound", "write ?int instead"),
        }
    }

    fn open(&mut self, expected: &'static str, next: &'static str) -> Parsed<()> {
        self.skip_space();
        if self.eat_char('(') {
            Ok(())
        } else {
            self.fail(expected, next)
        }
    }

    fn end(&mut self) -> Parsed<()> {
        self.skip_space();
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail("the end of the text", "remove what follows")
        }
    }

    /// Items up to the closing bracket, the opening one being read.
    fn sequence<T>(
        &mut self,
        kind: &Sequence,
        item: impl Fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.eat_char(kind.close) {
                return Ok(items);
            }
            if items.len() == kind.most {
                return self.fail("at most 32 fields", "group some of the fields in a list");
            }
            items.push(item(self)?);
            self.skip_space();
            if !self.eat_char(',') && self.peek() != Some(kind.close) {
                let pattern = self.rest().starts_with('*') || self.rest().starts_with("..");
                let next = match self.peek() {
                    _ if pattern && !kind.holds_patterns => PATTERNS,
                    Some('*') => "a prefix is text or bytes with the * right behind: \"img/\"*",
                    None => "close the bracket",
                    Some(_) => "separate items with commas, or close the bracket",
                };
                return self.fail(kind.separator, next);
            }
        }
    }

    fn field(&mut self) -> Parsed<Field> {
        let start = self.at;
        if self.eat_char('_') {
            if self.peek().is_some_and(is_word) {
                return Err(self.error(start, "a field", QUOTES));
            }
            return Ok(Field::Any);
        }
        if self.eat_char('?') {
            let name = self.run(is_word);
            return Kind::named(name)
                .map(Field::OfKind)
                .ok_or_else(|| self.error(start + 1, "the name of a kind", KINDS));
        }
        if self.eat("..") {
            if !self.at_number() {
                return self.fail(
                    "an upper bound",
                    "a range has at least one bound; for any integer write ?int",
                );
            }
            let to = Some(self.integer()?);
            return Ok(Field::Range { from: None, to });
        }
        let value = self.value(MAX_DEPTH)?;
        Ok(match value {
            Value::Text(prefix) if self.eat_char('*') => Field::TextPrefix(prefix),
            Value::Bytes(prefix) if self.eat_char('*') => Field::BytesPrefix(prefix),
            Value::Int(from) if self.eat("..") => {
                let to = if self.at_number() {
                    Some(self.integer()?)
                } else {
                    None
                };
                Field::Range {
                    from: Some(from),
                    to,
                }
            }
            value => Field::Exact(value),
        })
    }

    fn value(&mut self, levels: usize) -> Parsed<Value> {
        if self.at_number() && !self.rest().starts_with("0x") {
            return self.integer().map(Value::Int);
        }
        match self.peek() {
            Some('"') => self.quoted().map(Value::Text),
            Some('0') => self.bytes().map(Value::Bytes),
            Some('[') => {
                let Some(inner) = levels.checked_sub(1) else {
                    return self.fail("at most 8 levels of lists", "flatten the lists");
                };
                self.next();
                self.sequence(&ELEMENTS, |parser| parser.value(inner))
                    .map(Value::List)
            }
            Some(c) if is_word(c) => self.word(),
            Some('?' | '.' | '*') => self.fail(A_VALUE, PATTERNS),
            Some('\'') => self.fail(A_VALUE, QUOTES),
            Some('(') => self.fail(A_VALUE, "tuples do not nest; write a list: [1, 2]"),
            _ => self.fail(A_VALUE, VALUES),
        }
    }

    fn word(&mut self) -> Parsed<Value> {
        let start = self.at;
        match self.run(is_word) {
            "nil" => Ok(Value::Nil),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "_" => Err(self.error(start, A_VALUE, PATTERNS)),
            _ => Err(self.error(start, A_VALUE, QUOTES)),
        }
    }

    fn at_number(&self) -> bool {
        self.peek().is_some_and(|c| c == '-' || c.is_ascii_digit())
    }

    fn integer(&mut self) -> Parsed<i64> {
        const EXPECTED: &str = "an integer";
        let start = self.at;
        self.eat_char('-');
        let digits = self.run(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return self.fail("a digit", "write an integer like -42");
        }
        if digits.len() > 1 && digits.starts_with('0') {
            let next = "write it without leading zeros, or as text";
            return Err(self.error(start, EXPECTED, next));
        }
        let rest = self.rest();
        if rest.starts_with('.') && !rest.starts_with("..") {
            return Err(self.error(start, EXPECTED, FLOATS));
        }
        if self.peek().is_some_and(is_word) {
            let next = "integers are decimal digits only; bytes are written 0x\"cafe\"";
            return Err(self.error(start, EXPECTED, next));
        }
        let number = self.text.get(start..self.at).unwrap_or("");
        number.parse().map_err(|_| {
            let expected = "an integer from -9223372036854775808 to 9223372036854775807";
            self.error(start, expected, "write a larger one as text or bytes")
        })
    }

    fn quoted(&mut self) -> Parsed<String> {
        let start = self.at;
        self.next();
        let mut content = String::new();
        loop {
            content.push_str(self.run(|c| c != '"' && c != '\\'));
            match self.next() {
                Some('"') => return Ok(content),
                Some(_) => content.push(self.escape()?),
                None => {
                    let expected = "text with a `\"` at its end";
                    return Err(self.error(start, expected, "add the closing double quote"));
                }
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Parsed<char> {
        let start = self.at.saturating_sub(1);
        let unknown = |parser: &Self| {
            let next = r#"the escapes are \" \\ \n \r \t \u{1f600}; a backslash is \\"#;
            parser.error(start, "an escape", next)
        };
        match self.next() {
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                if !self.eat_char('{') {
                    return Err(unknown(self));
                }
                let digits = self.run(|c| c.is_ascii_hexdigit());
                if !self.eat_char('}') || digits.len() > 6 {
                    return Err(unknown(self));
                }
                u32::from_str_radix(digits, 16)
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| {
                        self.error(start, "a character", "write the number of a Unicode scalar")
                    })
            }
            _ => Err(unknown(self)),
        }
    }

    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        let start = self.at;
        if !self.eat("0x\"") {
            let next = "bytes are written 0x\"cafe\"; integers are decimal";
            return Err(self.error(start, "bytes", next));
        }
        let digits = self.run(|c| c.is_ascii_hexdigit());
        if !self.eat_char('"') {
            return self.fail(
                "a hexadecimal digit or `\"`",
                "bytes are written 0x\"cafe\"",
            );
        }
        let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
        if !odd.is_empty() {
            let next = "every byte is two digits; add a leading 0";
            return Err(self.error(start, "an even number of digits", next));
        }
        Ok(pairs
            .iter()
            .map(|[high, low]| nibble(*high) << 4 | nibble(*low))
            .collect())
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The value of a hexadecimal digit; the caller has checked that it is one.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}
