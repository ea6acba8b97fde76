//! What a text that is no tuple or template looks like to its author.

use alloc::string::String;
use core::fmt;

use super::print::is_plain;

/// Characters shown on either side of the caret.
const SHOWN: usize = 38;

/// Where a text stopped being a tuple or template, what was expected there, and
/// what to write instead.
///
/// Prints as four lines:
///
/// ```text
/// byte 8: expected a field, found `job`
///   ("job", job)
///           ^
/// text needs double quotes: "job"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    column: usize,
    expected: &'static str,
    found: String,
    next: &'static str,
    line: String,
    caret: usize,
}

impl ParseError {
    pub(super) fn new(
        input: &str,
        column: usize,
        expected: &'static str,
        next: &'static str,
    ) -> Self {
        let (before, after) = input.split_at_checked(column).unwrap_or((input, ""));
        let (line, caret) = excerpt(before, after);
        Self {
            column,
            expected,
            found: found(after),
            next,
            line,
            caret,
        }
    }

    /// Offset into the text, in bytes from 0.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What would have been right there.
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        self.expected
    }

    /// What was there.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What to do about it.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        self.next
    }
}

/// The line around the place, shortened to what fits a terminal, and how many
/// characters of it come before the place.
fn excerpt(before: &str, after: &str) -> (String, usize) {
    let shown = |c: char| if is_plain(c) { c } else { '\u{fffd}' };
    let mut line = String::new();
    let start = before.rsplit('\n').next().unwrap_or("");
    let skipped = start.chars().count().saturating_sub(SHOWN);
    if skipped > 0 {
        line.push('…');
    }
    line.extend(start.chars().skip(skipped).map(shown));
    let caret = line.chars().count();
    let rest = after.split('\n').next().unwrap_or("");
    line.extend(rest.chars().take(SHOWN).map(shown));
    if rest.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    (line, caret)
}

/// Names the word or character at the beginning of `after`.
fn found(after: &str) -> String {
    const WORD: usize = 20;
    let Some(first) = after.chars().next() else {
        return "the end of the text".into();
    };
    let mut name = String::from("`");
    if first.is_alphanumeric() {
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        name.extend(after.chars().take_while(word).take(WORD));
    } else if is_plain(first) {
        name.push(first);
    } else {
        name.extend(first.escape_unicode());
    }
    name.push('`');
    name
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            column,
            expected,
            found,
            next,
            line,
            caret,
        } = self;
        writeln!(f, "byte {column}: expected {expected}, found {found}")?;
        writeln!(f, "  {line}")?;
        writeln!(f, "  {:caret$}^", "")?;
        f.write_str(next)
    }
}

impl core::error::Error for ParseError {}
