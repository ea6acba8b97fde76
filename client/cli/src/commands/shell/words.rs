//! Splits a line into words like a shell; a tuple needs no quotes.

/// What is not closed at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Unclosed(char);

impl std::fmt::Display for Unclosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.0 {
            '(' => "a parenthesis",
            '\\' => "a backslash at the end",
            _ => "a quote",
        };
        write!(f, "{what} is not closed")
    }
}

/// A word on its way.
#[derive(Debug, Default)]
struct Word {
    text: String,
    begun: bool,
    begins_at: usize,
    /// How many parentheses are open; within them everything stands as it is.
    depth: usize,
}

/// Cuts a line into its words. `'…'` stands for what is in it, `"…"` too but for `\"` and
/// `\\`, a backslash for the next character; from `(` to its `)` everything is one word as it
/// is written; `#` where a word would begin ends the line.
///
/// # Errors
/// [`Unclosed`].
pub(in super::super) fn words(line: &str) -> Result<Vec<String>, Unclosed> {
    let mut cut = scan(line);
    match cut.open {
        Some(open) => Err(Unclosed(open)),
        None => {
            cut.words.extend(cut.last.map(|last| last.text));
            Ok(cut.words)
        }
    }
}

/// A line whose last word is still being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// The words before the last one.
    pub(super) before: Vec<String>,
    /// The last one; empty if the line ends with space.
    pub(super) word: String,
    /// Where in the line it begins.
    pub(super) at: usize,
}

/// Cuts a line for completion, so that nothing has to be closed.
pub(super) fn unfinished(line: &str) -> Unfinished {
    let cut = scan(line);
    let (at, word) = match cut.last {
        Some(last) => (last.begins_at, last.text),
        None => (line.len(), String::new()),
    };
    Unfinished {
        before: cut.words,
        word,
        at,
    }
}

/// A line cut into words.
struct Scanned {
    /// Those that are followed by space.
    words: Vec<String>,
    /// The one at which the line ends, if it does not end with space.
    last: Option<Word>,
    /// What is not closed.
    open: Option<char>,
}

fn scan(line: &str) -> Scanned {
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !word.begun && (c.is_whitespace() || c == '#') {
            if c == '#' {
                return Scanned {
                    words,
                    last: None,
                    open: None,
                };
            }
            continue;
        }
        if !word.begun {
            word.begun = true;
            word.begins_at = at;
        }
        // Within parentheses everything is kept, quotes and backslashes too.
        let keep = word.depth > 0;
        if escaped {
            escaped = false;
            word.text.push(c);
            continue;
        }
        match (quote, c) {
            (Some('\''), '\'') => {
                quote = None;
                continue;
            }
            (Some('\''), _) => {}
            (_, '\\') => {
                escaped = true;
                if !keep {
                    continue;
                }
            }
            (Some(_), '"') => {
                quote = None;
                if !keep {
                    continue;
                }
            }
            (Some(_), _) => {}
            (None, '"') => {
                quote = Some('"');
                if !keep {
                    continue;
                }
            }
            (None, '\'') if !keep => {
                quote = Some('\'');
                continue;
            }
            (None, '(') => word.depth += 1,
            (None, ')') => word.depth = word.depth.saturating_sub(1),
            (None, c) if c.is_whitespace() && !keep => {
                words.push(std::mem::take(&mut word).text);
                continue;
            }
            (None, _) => {}
        }
        word.text.push(c);
    }
    let open = match quote {
        Some(quote) => Some(quote),
        None if escaped => Some('\\'),
        None => (word.depth > 0).then_some('('),
    };
    Scanned {
        words,
        last: word.begun.then_some(word),
        open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_one_word_as_it_stands() {
        for (line, expected) in [
            ("", vec![]),
            ("  # nothing", vec![]),
            (
                r#"out jobs ("build", 42, [1, "a) \" b"]) --lease 5s"#,
                vec![
                    "out",
                    "jobs",
                    r#"("build", 42, [1, "a) \" b"])"#,
                    "--lease",
                    "5s",
                ],
            ),
            ("out jobs '(1, 2)'  # so", vec!["out", "jobs", "(1, 2)"]),
            (
                r#"out jobs "(\"a\", 2)""#,
                vec!["out", "jobs", r#"("a", 2)"#],
            ),
            (r"a\ b 'c d'e", vec!["a b", "c de"]),
            ("count jobs (_, 4..)", vec!["count", "jobs", "(_, 4..)"]),
            ("a#b '' c", vec!["a#b", "", "c"]),
            (r#"x ("it's")"#, vec!["x", r#"("it's")"#]),
        ] {
            assert_eq!(
                words(line),
                Ok(expected.iter().map(|w| (*w).to_owned()).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        for (line, open) in [
            ("out jobs (1, 2", '('),
            ("out jobs 'a", '\''),
            ("out jobs \"a", '"'),
            ("out jobs (\"a", '"'),
            ("out \\", '\\'),
        ] {
            assert_eq!(words(line), Err(Unclosed(open)), "{line}");
        }
    }

    #[test]
    fn the_last_word_may_be_unfinished() {
        for (line, before, at, word) in [
            ("ou", &[][..], 0, "ou"),
            ("", &[], 0, ""),
            ("out jo", &["out"], 4, "jo"),
            ("out ", &["out"], 4, ""),
        ] {
            let found = unfinished(line);
            assert_eq!(found.before, before, "{line}");
            assert_eq!((found.at, found.word.as_str()), (at, word), "{line}");
        }
    }
}
