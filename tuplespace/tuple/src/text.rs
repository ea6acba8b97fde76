//! The text form, the same in the command line, documents, logs and errors.
//!
//! ```text
//! ("job", 42, ?int, _, "img/"*, 10..20)
//! ```
//!
//! | written | meaning |
//! |---|---|
//! | `nil` `true` `false` `-42` | values |
//! | `"text"` | text, with `\" \\ \n \r \t \u{1f600}` |
//! | `0x"cafe"` | bytes, in hexadecimal |
//! | `[1, "a", []]` | a list of values |
//! | `_` | anything (templates only, as all below) |
//! | `?nil ?bool ?int ?text ?bytes ?list` | any value of that kind |
//! | `10..20` `10..` `..20` | integers from 10, up to but not including 20 |
//! | `"img/"*` `0x"ca"*` | text or bytes that begin so |
//!
//! White space between tokens and a comma after the last item are allowed.
//! Printing is canonical and what it prints parses to the same thing again:
//! [`core::fmt::Display`] and [`core::str::FromStr`] of [`Value`], [`Tuple`] and
//! [`Template`] are inverse.

mod error;
mod parse;
mod print;

use core::str::FromStr;

pub use error::ParseError;

use crate::{Template, Tuple, Value};

impl FromStr for Value {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::value(text)
    }
}

impl FromStr for Tuple {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::tuple(text)
    }
}

impl FromStr for Template {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::template(text)
    }
}
