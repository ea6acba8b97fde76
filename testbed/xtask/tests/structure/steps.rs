//! The state machine of a replica is stepped by its driver, and in the tests by one harness.
//!
//! A second place that steps it is a second driver, which proves nothing about the first
//! (docs/decisions/022-one-driver.md).

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{root, source};

/// Where `Replica::step` and `Replica::hear` may be called, beside the crate that has it.
const STEPPING: &[&str] = &[
    "bft/core/tests/common/mod.rs",
    "kernel/replica/src/driver.rs",
];

/// Folders with source.
const FOLDERS: &[&str] = &[
    "bft",
    "client",
    "extensions",
    "kernel",
    "testbed",
    "tuplespace",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_replica_is_stepped_by_its_driver_and_by_one_harness() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        sources(&root().join(folder), &mut found);
    }
    let steps = |path: &PathBuf| {
        let code = source::code(&fs::read_to_string(path).unwrap());
        let calls = ["replica.step(", "replica.hear("]
            .iter()
            .any(|call| code.contains(call));
        let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let own = relative.starts_with("bft/core/src/");
        (calls && !own).then(|| relative.to_owned())
    };
    let mut stepping: Vec<String> = found.iter().filter_map(steps).collect();
    stepping.sort();
    assert_eq!(stepping, STEPPING);
}
