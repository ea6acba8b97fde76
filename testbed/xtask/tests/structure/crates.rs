//! Which crate may know which, as the manifests say.
//!
//! `bft/core` never names a tuple and `tuplespace` never names a replica; only `kernel/`
//! composes the two. What is pure knows nothing that does I/O, and nothing of the product knows
//! the testbed. [`TABLE`] is the whole rule; a crate without a row, and a dependency that its
//! row does not name, fail here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What one crate may know of the others of this repository.
struct Row {
    package: &'static str,
    may_know: &'static [&'static str],
    /// What its tests and examples may know besides.
    tests_may_know: &'static [&'static str],
}

const fn row(package: &'static str, may_know: &'static [&'static str]) -> Row {
    Row {
        package,
        may_know,
        tests_may_know: &[],
    }
}

/// Who may know whom; from the bottom up. A row may stand here before its crate does.
const TABLE: &[Row] = &[
    row("bezant-codec", &[]),
    row("bezant-tuple", &[]),
    row("bezant-tuplespace", &["bezant-tuple", "bezant-codec"]),
    row("bezant-bft", &["bezant-codec"]),
    row("bezant-quic", &["bezant-bft", "bezant-codec"]),
    row(
        "bezant-manifest",
        &["bezant-codec", "bezant-tuple", "bezant-tuplespace"],
    ),
    Row {
        package: "bezant-api",
        may_know: &[
            "bezant-codec",
            "bezant-manifest",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
        tests_may_know: &["bezant-bft"],
    },
    row(
        "bezant-extensions",
        &[
            "bezant-codec",
            "bezant-manifest",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row(
        "bezant-sdk",
        &["bezant-codec", "bezant-tuple", "bezant-tuplespace"],
    ),
    row(
        "bezant-kernel",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-codec",
            "bezant-extensions",
            "bezant-manifest",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row(
        "bezant-replica",
        &["bezant-api", "bezant-bft", "bezant-codec", "bezant-kernel"],
    ),
    row(
        "bezant-node",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-codec",
            "bezant-kernel",
            "bezant-quic",
            "bezant-replica",
        ],
    ),
    row(
        "bezant-session",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-codec",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row(
        "bezant-client",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-codec",
            "bezant-manifest",
            "bezant-quic",
            "bezant-session",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row(
        "bezant",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-client",
            "bezant-codec",
            "bezant-extensions",
            "bezant-kernel",
            "bezant-lab",
            "bezant-manifest",
            "bezant-node",
            "bezant-sim",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row("bezant-model", &["bezant-tuple", "bezant-tuplespace"]),
    row(
        "bezant-sim",
        &[
            "bezant-api",
            "bezant-bft",
            "bezant-codec",
            "bezant-extensions",
            "bezant-kernel",
            "bezant-manifest",
            "bezant-model",
            "bezant-replica",
            "bezant-session",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    Row {
        package: "bezant-lab",
        may_know: &[
            "bezant-api",
            "bezant-bft",
            "bezant-client",
            "bezant-codec",
            "bezant-extensions",
            "bezant-kernel",
            "bezant-manifest",
            "bezant-node",
            "bezant-quic",
            "bezant-replica",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
        tests_may_know: &["bezant-sim"],
    },
    row(
        "bezant-differential",
        &[
            "bezant-api",
            "bezant-codec",
            "bezant-extensions",
            "bezant-manifest",
            "bezant-tuple",
            "bezant-tuplespace",
        ],
    ),
    row("xtask", &["bezant-codec"]),
];

/// Tests may know the dumb model of tuple-space semantics, whoever they test.
const ANY_TEST_MAY_KNOW: &[&str] = &["bezant-model"];

/// Dependencies that are there against the table, and to be cut. Nothing is added here: who
/// cuts one takes its line away.
const TOLERATED: &[(&str, &str)] = &[];

/// Crates of others that do what a pure crate must not: sockets, clocks, files, threads that
/// are not asked for, ambient randomness.
const IMPURE: &[&str] = &[
    "axum",
    "getrandom",
    "hyper",
    "mio",
    "quinn",
    "rustix",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
];

/// Crates that must know nothing impure, themselves or through others of this repository.
const PURE: &[&str] = &[
    "bezant-api",
    "bezant-bft",
    "bezant-codec",
    "bezant-extensions",
    "bezant-kernel",
    "bezant-manifest",
    "bezant-model",
    "bezant-replica",
    "bezant-session",
    "bezant-sim",
    "bezant-tuple",
    "bezant-tuplespace",
];

/// A crate of this repository, as its manifest says.
#[derive(Debug, Default)]
struct Manifest {
    knows: BTreeSet<String>,
    tests_know: BTreeSet<String>,
}

/// Reads the name, and the names of packages depended on. Enough of TOML for manifests that
/// cargo accepts and that give a dependency a line of its own or a section of its own.
fn read(text: &str) -> Option<(String, Manifest)> {
    let mut name = None;
    let mut manifest = Manifest::default();
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            section = head.trim_end_matches(']').trim();
            if let Some((kind, package)) = section.rsplit_once('.')
                && let Some(known) = manifest.of(kind)
            {
                known.insert(package.to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let quoted = |value: &str| value.split('"').nth(1).map(str::to_owned);
        if section == "package" && key.trim() == "name" {
            name = quoted(value);
        } else if let Some(known) = manifest.of(section) {
            let renamed = value.split_once("package").and_then(|(_, of)| quoted(of));
            let key = key.trim().trim_end_matches(".workspace").to_owned();
            known.insert(renamed.unwrap_or(key));
        }
    }
    Some((name?, manifest))
}

impl Manifest {
    /// The list that a section adds to.
    fn of(&mut self, section: &str) -> Option<&mut BTreeSet<String>> {
        // `target.'cfg(unix)'.dependencies` is a list of dependencies, too.
        let kind = section.rsplit_once('.').map_or(section, |(_, kind)| kind);
        match kind {
            _ if section.starts_with("workspace") => None,
            "dependencies" | "build-dependencies" => Some(&mut self.knows),
            "dev-dependencies" => Some(&mut self.tests_know),
            _ => None,
        }
    }
}

/// The crates below a folder; not those that are built for extensions, which know the SDK only.
fn find(folder: &Path, found: &mut BTreeMap<String, Manifest>) {
    let manifest = folder.join("Cargo.toml");
    if let Ok(text) = std::fs::read_to_string(&manifest) {
        found.extend(read(&text));
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str());
        if !matches!(name, None | Some("target" | "src" | "recipes" | "starter")) {
            find(&folder, found);
        }
    }
}

fn crates() -> BTreeMap<String, Manifest> {
    let mut found = BTreeMap::new();
    for wing in [
        "bft",
        "client",
        "extensions",
        "kernel",
        "testbed",
        "tuplespace",
    ] {
        find(&crate::root().join(wing), &mut found);
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn every_crate_knows_only_what_it_may() {
    let crates = crates();
    let is_own = |name: &&String| crates.contains_key(*name);
    let mut wrong = Vec::new();
    for (package, manifest) in &crates {
        let Some(row) = TABLE.iter().find(|row| row.package == package) else {
            wrong.push(format!("{package} has no row"));
            continue;
        };
        let is_tolerated = |name: &str| TOLERATED.contains(&(package.as_str(), name));
        for name in manifest.knows.iter().filter(is_own) {
            if !row.may_know.contains(&name.as_str()) && !is_tolerated(name) {
                wrong.push(format!("{package} must not know {name}"));
            }
        }
        for name in manifest.tests_know.iter().filter(is_own) {
            let name = name.as_str();
            let may = row.may_know.contains(&name)
                || row.tests_may_know.contains(&name)
                || ANY_TEST_MAY_KNOW.contains(&name)
                || name == package;
            if !may {
                wrong.push(format!("the tests of {package} must not know {name}"));
            }
        }
    }
    for (package, name) in TOLERATED {
        let knows = crates
            .get(*package)
            .is_some_and(|m| m.knows.contains(*name));
        if !knows {
            wrong.push(format!(
                "{package} does not know {name} any more: take it off the list"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The table itself has a direction: read from the bottom up, nobody knows a crate below whom
/// it stands.
#[test]
fn the_table_has_no_circle() {
    let mut graph = crate::graph::Graph::default();
    for row in TABLE {
        for name in row.may_know {
            graph.add(row.package, name, "");
        }
    }
    assert_eq!(graph.circles(), Vec::<BTreeSet<&str>>::new());
}

/// The simulator above all: it runs a cluster from a seed, so it knows neither sockets nor
/// files.
#[test]
fn pure_crates_know_nothing_impure() {
    let crates = crates();
    let mut wrong = Vec::new();
    for package in PURE {
        let mut open = vec![*package];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            let Some(manifest) = crates.get(at).filter(|_| seen.insert(at)) else {
                continue;
            };
            for name in &manifest.knows {
                if IMPURE.contains(&name.as_str()) {
                    wrong.push(format!("{package} knows {name} through {at}"));
                }
                open.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What the standard library has of the same, in the source of crates that no list of lints
/// holds to it.
#[test]
fn the_simulator_names_neither_sockets_nor_files() {
    let mut open = vec![crate::root().join("testbed/sim/src")];
    let mut wrong = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = crate::source::code(&text);
            let (tokens, _) = crate::source::without_tests(&crate::source::tokens(&code));
            let named = crate::paths::read(&tokens);
            let imports = named.imports.iter().map(|import| &import.path);
            for path_named in imports.chain(&named.paths) {
                let words: Vec<&str> = path_named.iter().map(String::as_str).collect();
                if let ["std", "fs" | "net" | "os" | "process" | "env", ..] = words[..] {
                    let place = path.display();
                    wrong.push(format!("{place} names {}", words.join("::")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn manifests_are_read() {
    let text = r#"
[package]
name = "a"
[dependencies]
b.workspace = true
c = { path = "../c", package = "d" }
[dependencies.e]
version = "1"
[target.'cfg(unix)'.dependencies]
f = "1"
[dev-dependencies]
g.workspace = true
"#;
    let (name, manifest) = read(text).unwrap();
    assert_eq!(name, "a");
    let knows: Vec<_> = manifest.knows.iter().map(String::as_str).collect();
    // A section of its own has keys that are no packages.
    assert_eq!(knows, ["b", "d", "e", "f"]);
    assert!(manifest.tests_know.contains("g"));
}
