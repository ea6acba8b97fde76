//! Rust source without what is no code of the crate: comments, literals, and tests.
//!
//! Enough of Rust's lexical rules to find paths in text; it checks nothing else.

/// The same text with comments, strings and characters blanked.
pub(crate) fn code(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let next = text.get(at + 1).copied();
        let end = match (c, next) {
            ('/', Some('/')) => line_end(&text, at),
            ('/', Some('*')) => block_end(&text, at),
            ('"', _) => string_end(&text, at + 1),
            ('r', Some('"' | '#')) if !is_inside_word(&text, at) => {
                raw_string_end(&text, at).unwrap_or(at)
            }
            ('\'', _) => char_end(&text, at),
            _ => at,
        };
        if end == at {
            out.push(c);
            at += 1;
        } else {
            out.push(' ');
            at = end;
        }
    }
    out
}

fn is_inside_word(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    // `br"…"` is a raw string, too.
    before.is_some_and(|c| (c.is_alphanumeric() || *c == '_') && *c != 'b')
}

fn line_end(text: &[char], at: usize) -> usize {
    let rest = text[at..].iter().position(|c| *c == '\n');
    rest.map_or(text.len(), |length| at + length)
}

fn block_end(text: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while let Some(pair) = text.get(at..at + 2) {
        match pair {
            ['/', '*'] => (depth, at) = (depth + 1, at + 2),
            ['*', '/'] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while let Some(c) = text.get(at) {
        match c {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string_end(text: &[char], at: usize) -> Option<usize> {
    let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| {
        text.get(*at) == Some(&'"')
            && text[at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    };
    let close = (open + 1..text.len()).find(closes)?;
    Some(close + 1 + hashes)
}

/// The end of a character, or `at` where a lifetime begins.
fn char_end(text: &[char], at: usize) -> usize {
    match text.get(at + 1..at + 3) {
        Some(['\\', _]) => {
            let close = text[at + 3..].iter().position(|c| *c == '\'');
            close.map_or(text.len(), |length| at + 4 + length)
        }
        Some([_, '\'']) => at + 3,
        _ => at,
    }
}

/// The tokens that paths consist of; every other character is a token of its own.
pub(crate) fn tokens(code: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// The tokens without items that are compiled for tests only, and the names of modules in
/// files of their own that are.
pub(crate) fn without_tests<'t>(tokens: &[&'t str]) -> (Vec<&'t str>, Vec<&'t str>) {
    let mut kept = Vec::new();
    let mut test_modules = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_for_tests = matches!(tokens.get(at..at + 5), Some(["#", "[", "cfg", "(", "test"]))
            || matches!(
                tokens.get(at..at + 7),
                Some(["#", "[", "cfg", "(", "all", "(", "test"])
            );
        if is_for_tests {
            let begin = at;
            at = item_end(tokens, at);
            if let Some(["mod", name, ";"]) = tokens.get(at.saturating_sub(3).max(begin)..at) {
                test_modules.push(*name);
            }
        } else {
            kept.push(*token);
            at += 1;
        }
    }
    (kept, test_modules)
}

/// Where an item with its attributes ends.
fn item_end(tokens: &[&str], mut at: usize) -> usize {
    let mut depth = 0_usize;
    let mut braces = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match *token {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && depth == 0 {
                    // A list of imports goes on.
                    return at + usize::from(tokens.get(at) == Some(&";"));
                }
            }
            // A field or a variant.
            ";" | "," if braces == 0 && depth == 0 => return at,
            _ => {}
        }
    }
    at
}

#[test]
fn only_code_remains() {
    let text =
        "use a::b; // use c::d;\n/* use /* e */ f; */ let x = \"use g;\" 'h' '\\'' r#\"i\"# &'j k";
    let code = code(text);
    let left = tokens(&code).join(" ");
    assert_eq!(left, "use a :: b ; let x = & ' j k");
}

#[test]
fn tests_are_left_out() {
    let text = "fn a() {} #[cfg(test)] #[x(y)] mod tests { fn b() { {} } } #[cfg(test)] use c::{d, e}; \
                #[cfg(test)] mod f; mod g;";
    let all = tokens(text);
    let (kept, modules) = without_tests(&all);
    assert_eq!(kept.join(" "), "fn a ( ) { } mod g ;");
    assert_eq!(modules, ["f"]);
}
