//! A planted bug: a unified diff below a header that says what it is for.
//!
//! The header is lines of `Word: text`, a text going on where the next line is
//! indented; it ends at the first `--- `. A hunk is put where its old lines
//! stand, wherever that is by now: they must be there exactly once, or the patch
//! no longer applies. Line numbers are for other tools.

use std::path::{Path, PathBuf};

use crate::Outcome;

/// What must fail because of a planted bug.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// A test: its package, its target (`lib` or the name of one in `tests/`), its name.
    Test {
        package: String,
        target: String,
        name: String,
    },
    /// A rule of the simulator, within these seeds.
    Rule { rule: String, seeds: String },
}

impl Check {
    /// What to print.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Test {
                package,
                target,
                name,
            } => format!("{package}/{target} {name}"),
            Self::Rule { rule, seeds } => format!("rule {rule}, seeds {seeds}"),
        }
    }

    /// The seeds of a rule's check: first, and the one behind the last.
    pub(super) fn seeds(&self) -> Option<(u64, u64)> {
        let Self::Rule { seeds, .. } = self else {
            return None;
        };
        let (from, to) = seeds.split_once("..")?;
        Some((from.parse().ok()?, to.parse().ok()?))
    }

    fn test(text: &str) -> Option<Self> {
        let (place, name) = text.split_once(' ')?;
        let (package, target) = place.split_once('/')?;
        Some(Self::Test {
            package: package.to_owned(),
            target: target.to_owned(),
            name: name.trim().to_owned(),
        })
    }

    fn rule(text: &str) -> Option<Self> {
        let (rule, seeds) = text.split_once(' ')?;
        let check = Self::Rule {
            rule: rule.to_owned(),
            seeds: seeds.trim().to_owned(),
        };
        let (from, to) = check.seeds()?;
        (from < to).then_some(check)
    }
}

/// Lines to be found, and what takes their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hunk {
    old: String,
    new: String,
}

/// A planted bug.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// The file's name without its ending.
    pub(super) name: String,
    /// What the bug is.
    pub(super) bug: String,
    /// Who had it, or which rule it breaks.
    pub(super) source: String,
    /// What must fail; one at least.
    pub(super) checks: Vec<Check>,
    /// It changes nothing: its checks must hold.
    pub(super) harmless: bool,
    /// It shows that the command itself can be believed.
    pub(super) canary: bool,
    files: Vec<(PathBuf, Vec<Hunk>)>,
}

impl Patch {
    /// Reads a patch.
    pub(super) fn parse(name: &str, text: &str) -> Outcome<Self> {
        let wrong = |what: &str| format!("{name}: {what}; testbed/mutants/README.md says how");
        let at = text
            .find("\n--- ")
            .ok_or_else(|| wrong("no diff in it"))?
            .saturating_add(1);
        let (header, diff) = text.split_at(at);
        let mut patch = Self {
            name: name.to_owned(),
            bug: String::new(),
            source: String::new(),
            checks: Vec::new(),
            harmless: false,
            canary: false,
            files: files(diff).map_err(|what| wrong(&what))?,
        };
        for (word, value) in fields(header) {
            let value = value.as_str();
            match word {
                "Bug" => patch.bug = value.to_owned(),
                "Source" => patch.source = value.to_owned(),
                "Test" => patch
                    .checks
                    .push(Check::test(value).ok_or_else(|| wrong("a Test without a name"))?),
                "Rule" => patch
                    .checks
                    .push(Check::rule(value).ok_or_else(|| wrong("a Rule without seeds"))?),
                "Canary" if value == "passes" || value == "fails" => {
                    patch.canary = true;
                    patch.harmless = value == "passes";
                }
                _ => return Err(wrong(&format!("{word:?} is no word of a header"))),
            }
        }
        if patch.bug.is_empty() || patch.source.is_empty() || patch.checks.is_empty() {
            return Err(wrong("Bug, Source and a Test or Rule must be named"));
        }
        Ok(patch)
    }

    /// The files it changes.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Changes the tree at `root`; nothing if any hunk does not fit.
    pub(super) fn apply(&self, root: &Path) -> Outcome {
        for (path, text) in self.planted(root)? {
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// The files of the tree at `root` as this patch leaves them.
    pub(super) fn planted(&self, root: &Path) -> Outcome<Vec<(PathBuf, String)>> {
        let mut changed = Vec::new();
        for (path, hunks) in &self.files {
            let whole = root.join(path);
            let mut text = std::fs::read_to_string(&whole)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            for hunk in hunks {
                text = put(&text, hunk).map_err(|what| format!("{}: {what}", path.display()))?;
            }
            changed.push((whole, text));
        }
        Ok(changed)
    }
}

/// The header's words with their texts.
fn fields(header: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in header.lines().filter(|line| !line.trim().is_empty()) {
        let going_on = line.starts_with(char::is_whitespace);
        match (fields.last_mut(), line.split_once(':')) {
            (Some((_, text)), _) if going_on => {
                text.push(' ');
                text.push_str(line.trim());
            }
            (_, Some((word, text))) => fields.push((word, text.trim().to_owned())),
            (_, None) => fields.push((line, String::new())),
        }
    }
    fields
}

/// The files of a unified diff, with their hunks.
fn files(diff: &str) -> Result<Vec<(PathBuf, Vec<Hunk>)>, String> {
    let mut files: Vec<(PathBuf, Vec<Hunk>)> = Vec::new();
    for line in diff.lines() {
        if line.starts_with("--- ") {
            continue;
        }
        if let Some(path) = line.strip_prefix("+++ ") {
            let path = path.strip_prefix("b/").unwrap_or(path);
            files.push((PathBuf::from(path), Vec::new()));
            continue;
        }
        let (_, hunks) = files.last_mut().ok_or("a hunk of no file")?;
        if line.starts_with("@@") {
            hunks.push(Hunk::default());
            continue;
        }
        let hunk = hunks.last_mut().ok_or("a line of no hunk")?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
        if !matches!(kind, " " | "-" | "+") {
            return Err(format!("{line:?} is no line of a diff"));
        }
        for (side, others) in [(&mut hunk.old, "+"), (&mut hunk.new, "-")] {
            if kind != others {
                side.push_str(rest);
                side.push('\n');
            }
        }
    }
    if files.iter().any(|(_, hunks)| hunks.is_empty()) {
        return Err("a file without hunks".to_owned());
    }
    Ok(files)
}

/// Puts a hunk where its old lines stand.
fn put(text: &str, hunk: &Hunk) -> Result<String, String> {
    let first = hunk.old.lines().next().unwrap_or_default();
    let mut places = text
        .match_indices(&hunk.old)
        .filter(|(at, _)| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'));
    let Some((at, _)) = places.next().filter(|_| !hunk.old.is_empty()) else {
        return Err(format!("the lines from {first:?} on are not there"));
    };
    if places.next().is_some() {
        return Err(format!("the lines from {first:?} on are there twice"));
    }
    let (before, rest) = text.split_at(at);
    let after = rest.strip_prefix(&hunk.old).unwrap_or_default();
    Ok(format!("{before}{}{after}", hunk.new))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Bug: votes are counted twice,
  and more
Source: nobody's
Test: bezant-bft/protocol votes::one_voter_counts_once
Rule: agreement 0..10

--- a/f.rs
+++ b/f.rs
@@ -1,3 +1,3 @@
 a
-b
+c
 d
";

    #[test]
    fn a_patch_is_read() {
        let patch = Patch::parse("x", TEXT).unwrap();
        assert_eq!(patch.bug, "votes are counted twice, and more");
        assert_eq!(patch.checks.len(), 2);
        assert_eq!(patch.checks[1].describe(), "rule agreement, seeds 0..10");
        assert!(!patch.canary && !patch.harmless);
        assert_eq!(patch.files().collect::<Vec<_>>(), [Path::new("f.rs")]);
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for (from, to) in [
            ("Source: nobody's\n", ""),
            ("Bug:", "Bag:"),
            ("0..10", "10..10"),
            ("/protocol", ""),
            ("--- a/f.rs\n", ""),
            ("@@ -1,3 +1,3 @@\n", ""),
            ("\n-b", "\n?b"),
            (
                "Test: bezant-bft/protocol votes::one_voter_counts_once\nRule: agreement 0..10\n",
                "",
            ),
        ] {
            assert!(
                Patch::parse("x", &TEXT.replace(from, to)).is_err(),
                "{from}"
            );
        }
    }

    #[test]
    fn a_hunk_goes_where_its_lines_stand_and_only_there() {
        let hunk = Hunk {
            old: "a\nb\n".into(),
            new: "c\n".into(),
        };
        assert_eq!(put("x\na\nb\ny\n", &hunk).unwrap(), "x\nc\ny\n");
        assert_eq!(put("a\nb\n", &hunk).unwrap(), "c\n");
        assert!(put("x\na\ny\nb\n", &hunk).is_err());
        assert!(
            put("aa\nb\n", &hunk).is_err(),
            "the first line is another one"
        );
        assert!(put("a\nb\na\nb\n", &hunk).unwrap_err().contains("twice"));
    }
}
