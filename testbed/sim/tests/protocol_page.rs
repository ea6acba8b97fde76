//! The page on the protocol names code and tests: what it names is there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

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
