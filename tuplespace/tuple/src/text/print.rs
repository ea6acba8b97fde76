//! Canonical printing of values, tuples and templates.

use core::fmt::{self, Display, Formatter, Write};

use crate::{Field, Template, Tuple, Value};

/// Whether a character may appear as itself. White space other than a blank,
/// control characters and those that are invisible or reverse the direction of
/// writing are escaped: a printed tuple must not look like another one.
pub(super) fn is_plain(c: char) -> bool {
    let deceptive = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    c == ' ' || !(deceptive || c.is_control() || c.is_whitespace())
}

fn text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            plain if is_plain(plain) => f.write_char(plain)?,
            other => write!(f, "\\u{{{:x}}}", u32::from(other))?,
        }
    }
    f.write_char('"')
}

fn bytes(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("0x\"")?;
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    f.write_char('"')
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    let mut separator = "";
    for item in items {
        f.write_str(separator)?;
        item.fmt(f)?;
        separator = ", ";
    }
    Ok(())
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(content) => text(f, content),
            Self::Bytes(content) => bytes(f, content),
            Self::List(elements) => {
                f.write_char('[')?;
                separated(f, elements)?;
                f.write_char(']')
            }
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => value.fmt(f),
            Self::Any => f.write_char('_'),
            Self::OfKind(kind) => write!(f, "?{}", kind.name()),
            Self::Range { from, to } => {
                if let Some(from) = from {
                    write!(f, "{from}")?;
                }
                f.write_str("..")?;
                if let Some(to) = to {
                    write!(f, "{to}")?;
                }
                Ok(())
            }
            Self::TextPrefix(prefix) => {
                text(f, prefix)?;
                f.write_char('*')
            }
            Self::BytesPrefix(prefix) => {
                bytes(f, prefix)?;
                f.write_char('*')
            }
        }
    }
}

impl Display for Tuple {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        separated(f, self.fields())?;
        f.write_char(')')
    }
}

impl Display for Template {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        separated(f, self.fields())?;
        f.write_char(')')
    }
}
