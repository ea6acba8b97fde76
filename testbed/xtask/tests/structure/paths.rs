//! The paths that a file of Rust names: what it imports, and what it calls by its full name.

/// One name brought into scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// Where from, as written.
    pub(crate) path: Vec<String>,
    /// Under which name; `*` for all of them.
    pub(crate) name: String,
    /// Whether others see it here (`pub use`, `pub(crate) use`, …).
    pub(crate) public: bool,
}

/// What a file names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) imports: Vec<Import>,
    /// Paths of two parts or more outside of imports.
    pub(crate) paths: Vec<Vec<String>>,
    /// Every word outside of imports.
    pub(crate) words: Vec<String>,
    /// `mod name;`
    pub(crate) children: Vec<String>,
    /// Types that this file has an `impl` of.
    pub(crate) implements: Vec<String>,
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads tokens of code.
pub(crate) fn read(tokens: &[&str]) -> Named {
    let mut named = Named::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let next = tokens.get(at + 1).copied();
        match *token {
            "use" if next != Some("<") => {
                // `pub use`, `pub(crate) use`.
                let public = matches!(before, Some(&"pub" | &")"));
                let mut tree = Tree {
                    tokens,
                    at: at + 1,
                    public,
                    imports: &mut named.imports,
                };
                tree.read(&[]);
                at = tree.at;
                continue;
            }
            "mod" if tokens.get(at + 2) == Some(&";") => {
                named.children.extend(next.map(str::to_owned));
            }
            // As an item, not in a signature.
            "impl" if matches!(before, None | Some(&("}" | "{" | ";" | "]" | "unsafe"))) => {
                named.implements.extend(self_type(&tokens[at + 1..]))
            }
            _ => {}
        }
        if is_word(token) && before != Some(&"::") {
            let path = path_at(&tokens[at..]);
            // `pub(in super::super)` says who may see, not what is known.
            let is_visibility = before == Some(&"in") && at > 1 && tokens[at - 2] == "(";
            if path.len() > 1 && !is_visibility {
                named.paths.push(path);
            }
            named.words.push((*token).to_owned());
        }
        at += 1;
    }
    named
}

fn path_at(tokens: &[&str]) -> Vec<String> {
    let mut path = Vec::new();
    for pair in tokens.chunks(2) {
        match pair {
            [word, "::"] if is_word(word) => path.push((*word).to_owned()),
            [word, ..] if is_word(word) => {
                path.push((*word).to_owned());
                break;
            }
            _ => break,
        }
    }
    path
}

/// The name of the type an `impl` is for, given what follows the word.
fn self_type(tokens: &[&str]) -> Option<String> {
    let head: Vec<&str> = tokens.iter().copied().take_while(|t| *t != "{").collect();
    let from = head.iter().rposition(|token| *token == "for");
    let mut depth = 0_usize;
    let mut name = None;
    for token in &head[from.map_or(0, |at| at + 1)..] {
        match *token {
            "<" => depth += 1,
            ">" => depth = depth.saturating_sub(1),
            "where" => break,
            word if depth == 0 && is_word(word) => name = Some(word.to_owned()),
            _ => {}
        }
    }
    name
}

struct Tree<'t> {
    tokens: &'t [&'t str],
    at: usize,
    public: bool,
    imports: &'t mut Vec<Import>,
}

impl Tree<'_> {
    /// One branch of a tree of imports, up to what ends it.
    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut name = None;
        while let Some(token) = self.tokens.get(self.at).copied() {
            match token {
                ";" | "," | "}" => break,
                "::" => {}
                "{" => {
                    self.at += 1;
                    self.branches(&path);
                    return;
                }
                "as" => {
                    self.at += 1;
                    name = self.tokens.get(self.at).copied();
                }
                "*" => name = Some("*"),
                // `{self, …}` is the module itself.
                "self" if !path.is_empty() => {}
                word => path.push(word.to_owned()),
            }
            self.at += 1;
        }
        let Some(last) = path.last() else {
            return;
        };
        self.imports.push(Import {
            name: name.unwrap_or(last).to_owned(),
            path,
            public: self.public,
        });
    }

    fn branches(&mut self, prefix: &[String]) {
        while let Some(token) = self.tokens.get(self.at).copied() {
            match token {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                _ => self.read(prefix),
            }
        }
    }
}

#[cfg(test)]
fn named(text: &str) -> Named {
    read(&crate::source::tokens(text))
}

#[test]
fn trees_of_imports_are_read() {
    let named = named(
        "use crate::{a, b::{self, C as D, e::*}}; pub(crate) use super::f::G; fn h() -> impl I + use<> {}",
    );
    let imports: Vec<_> = named
        .imports
        .iter()
        .map(|import| {
            format!(
                "{} as {} {}",
                import.path.join("::"),
                import.name,
                import.public
            )
        })
        .collect();
    assert_eq!(
        imports,
        [
            "crate::a as a false",
            "crate::b as b false",
            "crate::b::C as D false",
            "crate::b::e as * false",
            "super::f::G as G true",
        ]
    );
}

#[test]
fn paths_modules_and_types_are_read() {
    let named = named(
        "mod a; impl<T: B> C<T> {} impl d::E for crate::f::G { fn h() { i::j(); Vec::<K>::new() } }",
    );
    assert_eq!(named.children, ["a"]);
    assert_eq!(named.implements, ["C", "G"]);
    let paths: Vec<_> = named.paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["d::E", "crate::f::G", "i::j"]);
}
