//! Documents and comments name pages, files, tests and rules: what they name is there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of functions in Rust sources, and of scenarios.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                names(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| {
                let (_, rest) = line.split_once("fn ")?;
                let end = rest.find(['(', '<'])?;
                Some(rest[..end].to_owned())
            });
            found.extend(functions);
        } else if let Some(page) = name.strip_suffix(".txt") {
            found.insert(page.to_owned());
        }
    }
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_named_for_a_rule_exists() {
    let page = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let mut known = BTreeSet::new();
    for folder in [
        "bft",
        "client",
        "kernel",
        "testbed",
        "tuplespace",
        "extensions",
    ] {
        names(&root().join(folder), &mut known);
    }
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| rule | code | test |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, code, tests] = cells.as_slice() else {
            panic!("a row has three cells: {row}");
        };
        for path in quoted(code) {
            assert!(root().join(path).exists(), "there is no {path}: {row}");
        }
        assert!(quoted(tests).next().is_some(), "no test is named: {row}");
        for test in quoted(tests) {
            assert!(
                known.contains(test),
                "there is no test or scenario {test}: {row}"
            );
        }
        count += 1;
    }
    assert!(count > 20, "the table was not found: {count} rows");
}

/// All sources and documents, by their path in the project.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                texts(&path, found);
            }
        } else if name.ends_with(".rs") || name.ends_with(".md") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

fn all_texts() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    texts(&root(), &mut found);
    assert!(found.len() > 300, "the sources were not found");
    found
}

/// What of a text is for people: a document as a whole, of a source its comments.
fn prose(path: &Path, text: &str) -> String {
    if path.extension().is_some_and(|end| end == "md") {
        return text.to_owned();
    }
    let comments = text.lines().map(str::trim_start);
    let comments = comments.filter_map(|line| {
        let line = line.strip_prefix("//")?;
        Some(line.trim_start_matches(['/', '!']).trim())
    });
    comments.collect::<Vec<_>>().join("\n")
}

/// A page that a text cites, with the heading or term it names there: a path, and a text between
/// quotes behind it.
fn pages(text: &str) -> Vec<(String, Option<String>)> {
    let text = text.replace('\n', " ");
    let mut found = Vec::new();
    for (at, _) in text.match_indices(".md") {
        let is_path = |c: char| c.is_alphanumeric() || "._/-".contains(c);
        let begin = text[..at].rfind(|c| !is_path(c)).map_or(0, |before| {
            before + text[before..].chars().next().map_or(1, char::len_utf8)
        });
        let rest = &text[at + 3..];
        if rest.starts_with(|c: char| is_path(c) && c != '.') || begin == at {
            continue;
        }
        let rest = rest.trim_start_matches(['`', ')']);
        let heading = rest
            .strip_prefix(", \"")
            .and_then(|rest| rest.split_once('"'));
        let heading = heading.map(|(heading, _)| heading.to_owned());
        found.push((text[begin..at + 3].to_owned(), heading));
    }
    found
}

#[test]
fn every_page_that_is_cited_exists() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in all_texts() {
        for (page, heading) in pages(&prose(&path, &text)) {
            let places = [root().join(&page), path.with_file_name(&page)];
            let Some(place) = places.iter().find(|place| place.exists()) else {
                wrong.push(format!("{}: there is no {page}", path.display()));
                continue;
            };
            count += 1;
            let Some(heading) = heading else { continue };
            let text = fs::read_to_string(place).unwrap();
            let named = |line: &str| {
                line.starts_with('#') && line.contains(&heading)
                    || line.contains(&format!("**{heading}"))
            };
            if !text.lines().any(named) {
                wrong.push(format!("{}: {page} has no {heading:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "pages were not looked for: {count}");
}

/// The folders whose files are named by their path in the project.
const FOLDERS: [&str; 7] = [
    "bft/",
    "client/",
    "docs/",
    "extensions/",
    "kernel/",
    "testbed/",
    "tuplespace/",
];

#[test]
fn every_file_that_is_cited_exists() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in all_texts() {
        for line in prose(&path, &text).lines() {
            for code in quoted(line) {
                let is_path = FOLDERS.iter().any(|folder| code.starts_with(folder))
                    && !code.contains(['*', ' ', '\u{2026}', '<', ':']);
                if is_path {
                    count += 1;
                    if !root().join(code).exists() {
                        wrong.push(format!("{}: there is no {code}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 150, "files were not looked for: {count}");
}

/// Whether a name is as long as that of a test: four words at least.
fn is_long(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 3 && name.chars().all(is_word)
}

/// Whether a name is that of a planted bug: `304-a-majority-decides`.
fn is_bug(name: &str) -> bool {
    name.len() > 4
        && name.is_char_boundary(3)
        && name[..3].chars().all(|c| c.is_ascii_digit())
        && name[3..].starts_with('-')
}

#[test]
fn every_test_and_planted_bug_that_is_cited_exists() {
    let all = all_texts();
    let mut known = BTreeSet::new();
    names(&root().join("testbed/sim/scenarios"), &mut known);
    for (path, text) in &all {
        if path.extension().is_some_and(|end| end == "rs") {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
                known.extend(words.filter(|word| is_long(word)).map(str::to_owned));
            }
        }
    }
    let bugs = fs::read_dir(root().join("testbed/mutants")).unwrap();
    let bugs: BTreeSet<String> = bugs
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".patch").map(str::to_owned))
        .collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in &all {
        let prose = prose(path, text);
        for code in prose.lines().flat_map(quoted).filter(|code| is_long(code)) {
            count += 1;
            if !known.contains(code) {
                wrong.push(format!("{}: there is no {code}", path.display()));
            }
        }
        let words = prose.split(|c: char| !c.is_alphanumeric() && c != '-');
        for bug in words.filter(|word| is_bug(word) && word.matches('-').count() > 1) {
            // The pages of decisions are named alike.
            let page = root().join("docs/decisions").join(format!("{bug}.md"));
            if !bugs.contains(bug) && !page.exists() {
                wrong.push(format!("{}: there is no planted bug {bug}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "names were not looked for: {count}");
}
