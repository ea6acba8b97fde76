//! The committed modules of extensions/recipes: built, recorded, and proved.
//!
//! A module is committed beside its source so that the service needs no second compiler
//! to build. That is only as good as the proof that the one comes from the other, and a
//! byte-for-byte proof needs one compiler: the record names it. With that compiler the
//! check compares bytes; with another it still builds, and runs the recipes' tests on
//! the fresh modules instead. It never passes without having built.

mod toolchain;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bezant_codec::hex::to_hex;
use sha2::{Digest as _, Sha256};

use crate::{Outcome, root};
use toolchain::Toolchain;

/// The recipes, by the name of their crate's folder and module.
const RECIPES: [&str; 14] = [
    "append_only",
    "barrier",
    "counter",
    "delay_queue",
    "double_barrier",
    "election",
    "lock",
    "membership",
    "queue",
    "rate_limiter",
    "rwlock",
    "semaphore",
    "work_queue",
    "write_once",
];

/// Where the record stands in the folder of the recipes.
const RECORD: &str = "BUILT";

/// What the committed modules were built with, and what they are.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    compiler: String,
    linker: String,
    modules: Vec<Digest>,
}

/// A recipe's module.
#[derive(Debug)]
struct Module {
    name: String,
    bytes: Vec<u8>,
}

/// What a module is known by.
#[derive(Debug, PartialEq, Eq)]
struct Digest {
    name: String,
    sha256: String,
}

/// Builds the modules and puts them, with the record, where they are committed.
pub(crate) fn build() -> Outcome {
    let root = root()?;
    let toolchain = Toolchain::find_or_install()?;
    let fresh = build_all(&root, &toolchain)?;
    for module in &fresh {
        let path = committed(&root, &module.name);
        fs::write(&path, &module.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}: {} bytes", path.display(), module.bytes.len());
    }
    let record = Record::of(&toolchain, &fresh);
    let path = recipes(&root).join(RECORD);
    fs::write(&path, record.text()).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("built with {} and {}", record.compiler, record.linker);
    Ok(())
}

/// Proves that the committed modules are built from their sources.
pub(crate) fn check() -> Outcome {
    let root = root()?;
    let path = recipes(&root).join(RECORD);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!(
            "{}: {error}; run `cargo xtask recipes build`",
            path.display()
        )
    })?;
    let record = Record::parse(&text).ok_or_else(|| {
        format!(
            "{} is damaged; run `cargo xtask recipes build`",
            path.display()
        )
    })?;
    let present = RECIPES
        .iter()
        .map(|name| {
            let path = committed(&root, name);
            let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = (*name).to_owned();
            Ok(Module { name, bytes })
        })
        .collect::<Outcome<Vec<_>>>()?;
    if digests(&present) != record.modules {
        return Err(format!(
            "the committed modules are not those that {} speaks of; run `cargo xtask recipes build` and commit all it writes",
            path.display()
        ));
    }
    let toolchain = Toolchain::find_or_install()?;
    let fresh = build_all(&root, &toolchain)?;
    if (&record.compiler, &record.linker) == (&toolchain.compiler, &toolchain.linker) {
        compare(&present, &fresh)?;
        println!(
            "the committed modules are built from their sources, byte for byte, by {}",
            record.compiler
        );
        return Ok(());
    }
    println!(
        "the committed modules were built by {} and {}, here are {} and {}: their bytes cannot be compared, so the fresh modules are tested instead",
        record.compiler, record.linker, toolchain.compiler, toolchain.linker
    );
    test(&root, &fresh)
}

fn compare(present: &[Module], fresh: &[Module]) -> Outcome {
    for (present, fresh) in present.iter().zip(fresh) {
        let (name, committed, built) = (&present.name, &present.bytes, &fresh.bytes);
        if committed != built {
            let at = committed
                .iter()
                .zip(built)
                .position(|(left, right)| left != right);
            return Err(format!(
                "the committed module of {name} ({} bytes) is not what its source gives ({} bytes, first difference at {}); run `cargo xtask recipes build` and commit all it writes",
                committed.len(),
                built.len(),
                at.map_or_else(|| "the end".to_owned(), |at| format!("byte {at}")),
            ));
        }
    }
    Ok(())
}

/// Runs the recipes' tests on the modules given.
fn test(root: &Path, fresh: &[Module]) -> Outcome {
    let folder = root.join("target/recipes/fresh");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for module in fresh {
        let path = folder.join(format!("{}.wasm", module.name));
        fs::write(&path, &module.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args([
            "test",
            "--quiet",
            "--package",
            "bezant-extensions",
            "--test",
            "recipes",
        ])
        .env("BEZANT_RECIPE_MODULES", &folder);
    toolchain::run(
        &mut command,
        "the recipes' tests fail on freshly built modules",
    )
}

/// Builds every recipe; gives the modules in the order of [`RECIPES`].
fn build_all(root: &Path, toolchain: &Toolchain) -> Outcome<Vec<Module>> {
    let target = root.join("target/recipes");
    toolchain.build(root, &recipes(root), &target)?;
    RECIPES
        .iter()
        .map(|name| {
            let file = format!("wasm32-unknown-unknown/release/{name}.wasm");
            let path = target.join(file);
            let bytes = fs::read(&path)
                .map_err(|error| format!("the build left no {}: {error}", path.display()))?;
            let name = (*name).to_owned();
            Ok(Module { name, bytes })
        })
        .collect()
}

fn recipes(root: &Path) -> PathBuf {
    root.join("extensions/recipes")
}

fn committed(root: &Path, name: &str) -> PathBuf {
    recipes(root).join(name).join(format!("{name}.wasm"))
}

fn digests(modules: &[Module]) -> Vec<Digest> {
    modules
        .iter()
        .map(|module| Digest {
            name: module.name.clone(),
            sha256: to_hex(&Sha256::digest(&module.bytes)),
        })
        .collect()
}

impl Record {
    fn of(toolchain: &Toolchain, modules: &[Module]) -> Self {
        Self {
            compiler: toolchain.compiler.clone(),
            linker: toolchain.linker.clone(),
            modules: digests(modules),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "# What the committed modules were built with. Written by `cargo xtask recipes build`.\ncompiler {}\nlinker {}\n",
            self.compiler, self.linker
        );
        for Digest { name, sha256 } in &self.modules {
            let _ = writeln!(text, "sha256 {name} {sha256}");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut record = Self {
            compiler: String::new(),
            linker: String::new(),
            modules: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(' ')? {
                ("compiler", rest) => rest.clone_into(&mut record.compiler),
                ("linker", rest) => rest.clone_into(&mut record.linker),
                ("sha256", rest) => {
                    let (name, sha256) = rest.split_once(' ')?;
                    record.modules.push(Digest {
                        name: name.to_owned(),
                        sha256: sha256.to_owned(),
                    });
                }
                _ => return None,
            }
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, bytes: &[u8]) -> Module {
        Module {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_record_comes_back() {
        let record = Record {
            compiler: "rustc 1.96.0 (abc)".into(),
            linker: "LLD 22.1".into(),
            modules: digests(&[module("counter", &[1]), module("queue", &[])]),
        };
        assert_eq!(Record::parse(&record.text()), Some(record));
        assert_eq!(Record::parse("compiler x\nnonsense"), None);
        assert_eq!(Record::parse("md5 counter 0"), None);
    }

    #[test]
    fn a_difference_is_named() {
        let modules = |bytes: &[u8]| vec![module("queue", bytes)];
        assert_eq!(compare(&modules(&[1, 2]), &modules(&[1, 2])), Ok(()));
        let told = compare(&modules(&[1, 2, 3]), &modules(&[1, 9, 3]));
        assert!(told.is_err_and(|told| told.contains("queue") && told.contains("byte 1")));
        let shorter = compare(&modules(&[1, 2]), &modules(&[1]));
        assert!(shorter.is_err_and(|told| told.contains("the end")));
    }
}
