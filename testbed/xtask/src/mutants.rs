//! The tests are tested: known bugs are planted, and what must notice them must.
//!
//! Each file of testbed/mutants plants one bug in a copy of the tree and names,
//! in advance, the test or the simulator's rule that fails because of it. A bug
//! that nobody notices, that can no longer be planted, or that does not compile
//! is a failure of the tests. Two canaries keep the command itself honest: a
//! patch without a bug, which must not be noticed, and an obvious bug.

mod check;
mod patch;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Outcome;
use check::{Builder, Program, Verdict, program_of};
use patch::{Check, Patch};
use tree::Tree;

/// What `cargo xtask mutants --help` and a wrong flag print.
pub(crate) const HELP: &str = "\
cargo xtask mutants [WORD...] [--list] [-o json]

  Plants each bug of testbed/mutants whose name or header has one of the words (all
  without any), and the canaries. Everything happens in target/mutants.

  --list    say what would be planted, and plant nothing
  -o json   print the results as JSON
";

/// What became of one patch.
#[derive(Debug)]
struct Planted {
    patch: Patch,
    /// Empty if all is as it must be.
    trouble: String,
    seconds: u64,
}

#[derive(Debug, Default)]
struct Flags {
    words: Vec<String>,
    list: bool,
    json: bool,
}

fn flags(words: &[&str]) -> Option<Flags> {
    let mut flags = Flags::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--list" => flags.list = true,
            "-o" | "--output" => match words.next() {
                Some(&"json") => flags.json = true,
                Some(&"table") => flags.json = false,
                _ => return None,
            },
            flag if flag.starts_with('-') => return None,
            word => flags.words.push(word.to_lowercase()),
        }
    }
    Some(flags)
}

/// Runs the command.
pub(crate) fn run(words: &[&str]) -> Outcome {
    let Some(flags) = flags(words) else {
        return Err(format!("no such words\n\n{HELP}"));
    };
    let root = crate::root()?;
    let patches = read(&root.join("testbed/mutants"))?;
    let chosen = choose(patches, &flags.words)?;
    if flags.list {
        for patch in &chosen {
            println!(
                "{}\n    {}\n    source: {}",
                patch.name, patch.bug, patch.source
            );
            for check in &patch.checks {
                println!("    {}", check.describe());
            }
        }
        return Ok(());
    }
    let began = Instant::now();
    let scratch = root.join("target/mutants");
    let tree = Tree::copy(&root, &scratch.join("tree"))?;
    let builder = Builder {
        tree: tree.root.clone(),
        target: scratch.join("build"),
    };
    let checks: BTreeSet<&Check> = chosen.iter().flat_map(|patch| &patch.checks).collect();
    if !flags.json {
        println!("{} bugs, {} checks", chosen.len(), checks.len());
    }
    unplanted(&builder, &checks)?;
    if !flags.json {
        println!(
            "{:4} s  nothing planted: every check holds",
            began.elapsed().as_secs()
        );
    }
    let mut results = Vec::new();
    for patch in chosen {
        let result = plant(&tree, &builder, patch);
        if !flags.json {
            print_one(&result);
        }
        let lies = result.patch.canary && !result.trouble.is_empty();
        results.push(result);
        if lies {
            break;
        }
    }
    if flags.json {
        println!("{}", json(&results));
    }
    conclude(&results, began.elapsed().as_secs(), flags.json)
}

/// All patches, by name, canaries first.
fn read(folder: &Path) -> Outcome<Vec<Patch>> {
    let at = |path: &Path, error| format!("{}: {error}", path.display());
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| at(folder, error))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "patch"))
        .collect();
    paths.sort();
    let mut patches = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| at(&path, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        patches.push(Patch::parse(&name, &text)?);
    }
    patches.sort_by_key(|patch| !patch.canary);
    let harmless = patches.iter().filter(|patch| patch.harmless).count();
    let obvious = patches.iter().filter(|p| p.canary && !p.harmless).count();
    if harmless == 0 || obvious == 0 {
        return Err("a canary that passes and one that fails must be there".to_owned());
    }
    Ok(patches)
}

/// The canaries, and the patches that have one of the words.
fn choose(patches: Vec<Patch>, words: &[String]) -> Outcome<Vec<Patch>> {
    let has = |patch: &Patch| {
        let mut text = format!("{} {} {}", patch.name, patch.bug, patch.source);
        for check in &patch.checks {
            text.push(' ');
            text.push_str(&check.describe());
        }
        let text = text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    let all = words.is_empty();
    if !all && !patches.iter().any(has) {
        return Err(format!("no bug has any of: {}", words.join(" ")));
    }
    let chosen = patches.into_iter();
    Ok(chosen.filter(|p| all || p.canary || has(p)).collect())
}

/// Without a bug every check holds; otherwise its failure would say nothing.
fn unplanted(builder: &Builder, checks: &BTreeSet<&Check>) -> Outcome {
    let mut programs: BTreeMap<(&str, Vec<&str>), Program> = BTreeMap::new();
    let ranges: BTreeSet<(u64, u64)> = checks.iter().filter_map(|check| check.seeds()).collect();
    let mut searched = BTreeSet::new();
    for check in checks {
        let key = program_of(check);
        if !programs.contains_key(&key) {
            programs.insert(key.clone(), builder.build(check)?);
        }
        let Some(program) = programs.get(&key) else {
            continue;
        };
        let check = match check {
            Check::Rule { seeds, .. } => &Check::Rule {
                rule: "any".to_owned(),
                seeds: seeds.clone(),
            },
            test @ Check::Test { .. } => *test,
        };
        // Seeds that a wider search runs, too, need not run twice.
        if let Some((from, to)) = check.seeds() {
            let wider = |(a, b): &(u64, u64)| *a <= from && to <= *b && (*a, *b) != (from, to);
            if ranges.iter().any(wider) || !searched.insert((from, to)) {
                continue;
            }
        }
        match builder.run(program, check)? {
            Verdict::Held => {}
            verdict => {
                return Err(format!(
                    "{} does not hold before anything is planted ({verdict:?}); repair that first",
                    check.describe()
                ));
            }
        }
    }
    Ok(())
}

/// Plants one bug, looks who notices, and takes it out again.
fn plant(tree: &Tree, builder: &Builder, patch: Patch) -> Planted {
    let began = Instant::now();
    let noticed = patch
        .apply(&tree.root)
        .map_err(|what| format!("does not apply: {what}"))
        .and_then(|()| notice(builder, &patch));
    let restored = patch.files().try_for_each(|file| tree.restore(file));
    Planted {
        trouble: noticed.and(restored).err().unwrap_or_default(),
        seconds: began.elapsed().as_secs(),
        patch,
    }
}

/// Whether all that must notice a planted bug does.
fn notice(builder: &Builder, patch: &Patch) -> Outcome {
    for check in &patch.checks {
        let program = builder
            .build(check)
            .map_err(|what| format!("does not compile: {what}"))?;
        let wanted = if patch.harmless {
            Verdict::Held
        } else {
            Verdict::Failed
        };
        let verdict = builder.run(&program, check)?;
        if verdict == wanted {
            continue;
        }
        return Err(match verdict {
            Verdict::Held => format!("not noticed by {}", check.describe()),
            Verdict::Failed => format!("noticed by {} although it is no bug", check.describe()),
            Verdict::Astray(what) => format!("{}: {what}", check.describe()),
        });
    }
    Ok(())
}

fn verdict(result: &Planted) -> &'static str {
    match (result.trouble.is_empty(), result.patch.harmless) {
        (true, true) => "passes",
        (true, false) => "noticed",
        (false, _) => "FAILED",
    }
}

fn print_one(result: &Planted) {
    println!(
        "{:4} s  {:7}  {}",
        result.seconds,
        verdict(result),
        result.patch.name
    );
    for line in result.trouble.lines() {
        println!("                 {line}");
    }
}

fn conclude(results: &[Planted], seconds: u64, quiet: bool) -> Outcome {
    let failed: Vec<&Planted> = results.iter().filter(|r| !r.trouble.is_empty()).collect();
    if failed.iter().any(|result| result.patch.canary) {
        return Err("a canary did not do what it must: nothing here can be believed".to_owned());
    }
    if !failed.is_empty() {
        let names: Vec<&str> = failed.iter().map(|r| r.patch.name.as_str()).collect();
        return Err(format!(
            "{} of {} bugs: {}; a bug that is not noticed lacks a test, one that does not apply is made anew",
            failed.len(),
            results.len(),
            names.join(", ")
        ));
    }
    if !quiet {
        println!("all {} as they must be, in {seconds} s", results.len());
    }
    Ok(())
}

fn json(results: &[Planted]) -> String {
    let text = |text: &str| {
        let mut out = String::from("\"");
        for sign in text.chars() {
            match sign {
                '"' | '\\' => out.extend(['\\', sign]),
                '\n' => out.push_str("\\n"),
                sign if sign.is_control() => out.push(' '),
                sign => out.push(sign),
            }
        }
        out.push('"');
        out
    };
    let one = |result: &Planted| {
        let patch = &result.patch;
        let checks: Vec<String> = patch.checks.iter().map(|c| text(&c.describe())).collect();
        format!(
            "  {{\"name\": {}, \"bug\": {}, \"source\": {}, \"checks\": [{}], \"ok\": {}, \"trouble\": {}, \"seconds\": {}}}",
            text(&patch.name),
            text(&patch.bug),
            text(&patch.source),
            checks.join(", "),
            result.trouble.is_empty(),
            text(&result.trouble),
            result.seconds
        )
    };
    let rows: Vec<String> = results.iter().map(one).collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_can_be_read_and_has_a_name_of_its_own() {
        let patches = read(&crate::root().unwrap().join("testbed/mutants")).unwrap();
        assert!(patches.len() > 30);
        assert!(patches.first().unwrap().canary);
        let bugs: BTreeSet<_> = patches.iter().map(|patch| &patch.bug).collect();
        assert_eq!(bugs.len(), patches.len());
    }

    /// Whoever changes a line in which a bug is planted plants it anew.
    #[test]
    fn every_patch_fits_the_tree() {
        let root = crate::root().unwrap();
        let patches = read(&root.join("testbed/mutants")).unwrap();
        let planted = patches.iter().map(|patch| (patch, patch.planted(&root)));
        let misfits: Vec<_> = planted
            .filter_map(|(patch, planted)| Some(format!("{}: {}", patch.name, planted.err()?)))
            .collect();
        assert!(misfits.is_empty(), "{misfits:#?}");
    }

    #[test]
    fn flags_and_words_are_told_apart() {
        let both = flags(&["View", "-o", "json", "--list"]).unwrap();
        assert_eq!(both.words, ["view"]);
        assert!(both.json && both.list);
        assert!(flags(&["--lst"]).is_none() && flags(&["-o", "xml"]).is_none());
    }
}
