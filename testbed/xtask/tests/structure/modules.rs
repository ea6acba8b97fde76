//! The modules of a crate know each other in one direction only.
//!
//! A module is a file. One knows another when it imports or names something of it; a name that
//! a third one re-exports counts as the name of where it is defined. A parent that passes on
//! what its children define, and does nothing else with it, does not know them. The methods of
//! one large type may be spread over the children of its module ([`PARTS`]): those files are
//! read as one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{graph::Graph, paths, source};

/// Folders of crates whose modules have an order.
const CRATES: &[&str] = &[
    "bft/core",
    "bft/quic",
    "client/cli",
    "client/core",
    "client/lib",
    "kernel/api",
    "kernel/codec",
    "kernel/node",
    "kernel/replica",
    "kernel/service",
];

/// A type whose `impl` blocks stand in files below the module that declares it.
struct Parts {
    folder: &'static str,
    module: &'static str,
    name: &'static str,
}

/// Types whose methods are spread over several files, a concern each.
const PARTS: &[Parts] = &[
    Parts {
        folder: "bft/core",
        module: "crate::replica",
        name: "Replica",
    },
    Parts {
        folder: "kernel/service",
        module: "crate",
        name: "Kernel",
    },
    Parts {
        folder: "kernel/replica",
        module: "crate::driver",
        name: "Driver",
    },
];

/// A circle that is known and to be cut.
struct Known {
    folder: &'static str,
    /// Without the `crate::` they begin with; the root is `crate`.
    modules: &'static [&'static str],
}

impl Known {
    /// Whether a circle is this one, or what is left of it.
    fn holds(&self, circle: &BTreeSet<&str>) -> bool {
        let short = |name: &&str| name.strip_prefix("crate::").unwrap_or(name).to_owned();
        let mut names = circle.iter().map(short);
        names.all(|name| self.modules.contains(&name.as_str()))
    }
}

/// Circles that are still there. Nothing is added here: who cuts one takes its line away.
const KNOWN: &[Known] = &[];

/// How often a name may be passed on before it counts as defined.
const MAX_REEXPORTS: usize = 8;

/// A file of a crate.
struct Module {
    parent: Option<String>,
    named: paths::Named,
}

/// The modules of a crate by their paths, `crate` first.
struct Modules(BTreeMap<String, Module>);

impl Modules {
    /// Reads the crate in a folder; nothing if there is none.
    fn read(folder: &Path) -> Option<Self> {
        let source = folder.join("src");
        let root = ["lib.rs", "main.rs"].map(|name| source.join(name));
        let root = root.into_iter().find(|path| path.is_file())?;
        let mut modules = Self(BTreeMap::new());
        modules.add("crate", None, &root, &source);
        Some(modules)
    }

    /// Adds the module in `file`, whose children stand in `folder`.
    fn add(&mut self, name: &str, parent: Option<&str>, file: &Path, folder: &Path) {
        let text = std::fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let code = source::code(&text);
        let (tokens, tests) = source::without_tests(&source::tokens(&code));
        let named = paths::read(&tokens);
        for child in &named.children {
            if tests.contains(&child.as_str()) {
                continue;
            }
            let own = folder.join(child);
            let files: [PathBuf; 2] = [folder.join(format!("{child}.rs")), own.join("mod.rs")];
            if let Some(file) = files.into_iter().find(|file| file.is_file()) {
                self.add(&format!("{name}::{child}"), Some(name), &file, &own);
            }
        }
        let parent = parent.map(str::to_owned);
        self.0.insert(name.to_owned(), Module { parent, named });
    }

    /// The module that defines what a path names, seen from `from`; nothing if that is
    /// another crate's, or a name that `from` defines itself.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let child = format!("{from}::{first}");
        let start = match first.as_str() {
            "crate" => "crate".to_owned(),
            "self" => from.to_owned(),
            "super" => self.0.get(from)?.parent.clone()?,
            _ if self.0.contains_key(&child) => child,
            _ => return self.imported(from, path, depth),
        };
        self.descend(start, rest, depth)
    }

    /// What a path names that begins with an imported name.
    fn imported(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        if depth == MAX_REEXPORTS {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let imports = &self.0.get(from)?.named.imports;
        let import = imports
            .iter()
            .find(|import| import.name == *first && import.path.first() != Some(first))?;
        let full: Vec<String> = import.path.iter().chain(rest).cloned().collect();
        self.resolve(from, &full, depth + 1)
    }

    fn descend(&self, mut at: String, path: &[String], depth: usize) -> Option<String> {
        for (index, word) in path.iter().enumerate() {
            let child = format!("{at}::{word}");
            if word == "super" {
                at = self.0.get(&at)?.parent.clone()?;
            } else if self.0.contains_key(&child) {
                at = child;
            } else {
                return self.defined(&at, &path[index..], depth).or(Some(at));
            }
        }
        Some(at)
    }

    /// Where a name that `at` only passes on is defined.
    fn defined(&self, at: &str, path: &[String], depth: usize) -> Option<String> {
        if depth == MAX_REEXPORTS {
            return None;
        }
        let found = self.imported(at, path, depth);
        if found.is_some() {
            return found;
        }
        let imports = &self.0.get(at)?.named.imports;
        let globs = imports
            .iter()
            .filter(|import| import.public && import.name == "*");
        globs
            .filter_map(|import| self.resolve(at, &import.path, depth + 1))
            .find(|module| self.0.contains_key(&format!("{module}::{}", path[0])))
    }

    /// Whose part a module is.
    fn whole(&self, folder: &str, name: &str) -> String {
        let module = &self.0[name];
        let part = PARTS.iter().find(|parts| {
            parts.folder == folder
                && name.starts_with(&format!("{}::", parts.module))
                && module
                    .named
                    .implements
                    .iter()
                    .any(|name| name == parts.name)
        });
        part.map_or(name, |part| part.module).to_owned()
    }

    fn graph(&self, folder: &str) -> Graph {
        let mut graph = Graph::default();
        for (name, module) in &self.0 {
            let from = self.whole(folder, name);
            let named = &module.named;
            for import in &named.imports {
                let Some(to) = self.resolve(name, &import.path, 0) else {
                    continue;
                };
                let passes_on = import.public
                    && to.starts_with(&format!("{name}::"))
                    && !named.words.contains(&import.name);
                if !passes_on {
                    graph.add(&from, &self.whole(folder, &to), &import.name);
                }
            }
            for path in &named.paths {
                if let Some(to) = self.resolve(name, path, 0) {
                    graph.add(&from, &self.whole(folder, &to), &path.join("::"));
                }
            }
        }
        graph
    }
}

#[test]
fn no_circle_among_the_modules_of_a_crate() {
    let root = crate::root();
    let mut wrong = String::new();
    for folder in CRATES {
        let Some(modules) = Modules::read(&root.join(folder)) else {
            continue;
        };
        let graph = modules.graph(folder);
        let circles = graph.circles();
        let known: Vec<&Known> = KNOWN.iter().filter(|k| k.folder == *folder).collect();
        for circle in &circles {
            if !known.iter().any(|known| known.holds(circle)) {
                let arrows = graph.inside(circle);
                wrong.push_str(&format!("{folder}: a circle of {circle:?}\n{arrows}"));
            }
        }
        for known in known {
            if !circles.iter().any(|circle| known.holds(circle)) {
                wrong.push_str(&format!(
                    "{folder}: the known circle of {:?} is no more: take it off the list\n",
                    known.modules
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The test reads what it thinks it reads: some arrows that must be there.
#[test]
fn arrows_of_this_workspace_are_seen() {
    let modules = Modules::read(&crate::root().join("bft/core")).unwrap();
    let seen = |from: &str, path: &str| {
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        modules.resolve(from, &path, 0)
    };
    // Through a re-export, and from a child.
    let verified = Some("crate::verification::verified".to_owned());
    assert_eq!(
        seen("crate::slot", "crate::verification::Verified"),
        verified
    );
    let replica = Some("crate::replica".to_owned());
    assert_eq!(seen("crate::replica::agree", "super::Replica"), replica);
    assert_eq!(seen("crate::slot", "std::sync::Arc"), None);
    let graph = modules.graph("bft/core");
    let inside = |names: [&'static str; 2]| graph.inside(&BTreeSet::from(names));
    assert!(inside(["crate::verification::batch", "crate::effects"]).contains("Input"));
    assert!(inside(["crate::replica", "crate::message"]).contains("PeerMessage"));
}
