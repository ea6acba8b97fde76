//! Building and running what must notice a planted bug.
//!
//! A program is built by cargo and then run on its own, so that one that never
//! ends can be ended. What counts is the name of the test and that an assertion
//! of the tests failed, or the name of the simulator's rule; never a wording.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::patch::Check;
use crate::Outcome;

/// What a program may take. The longest takes a tenth of it.
const TIME: Duration = Duration::from_secs(180);

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The test passed, the rule was kept.
    Held,
    /// The named assertion failed, the named rule was broken.
    Failed,
    /// Something else happened; what.
    Astray(String),
}

/// A program that runs checks.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    folder: PathBuf,
}

/// Builds and runs checks in one tree.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) tree: PathBuf,
    pub(super) target: PathBuf,
}

/// What to build for a check: the package and the words that choose its target.
pub(super) fn program_of(check: &Check) -> (&str, Vec<&str>) {
    match check {
        Check::Test {
            package, target, ..
        } if target == "lib" => (package, vec!["test", "--no-run", "--lib"]),
        Check::Test {
            package, target, ..
        } => (package, vec!["test", "--no-run", "--test", target]),
        Check::Rule { .. } => ("bezant-sim", vec!["build", "--example", "seek"]),
    }
}

impl Builder {
    /// Builds the program of a check; what the compiler said if it cannot be built.
    pub(super) fn build(&self, check: &Check) -> Outcome<Program> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let (package, words) = program_of(check);
        let output = Command::new(cargo)
            .current_dir(&self.tree)
            .args(words)
            .args(["--quiet", "--package", package, "--message-format", "json"])
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(first_error(&said, &String::from_utf8_lossy(&output.stderr)));
        }
        let program = said.lines().rev().find_map(|line| {
            let path = word(line, "executable")?;
            let manifest = word(line, "manifest_path")?;
            Some(Program {
                path: PathBuf::from(path),
                folder: Path::new(&manifest).parent()?.to_path_buf(),
            })
        });
        program.ok_or_else(|| format!("cargo built no program of {package}"))
    }

    /// Runs a check with its program.
    pub(super) fn run(&self, program: &Program, check: &Check) -> Outcome<Verdict> {
        Ok(match check {
            Check::Test { name, target, .. } => {
                match output(program, &["--exact", name, "--test-threads", "1"])? {
                    Some(said) => verdict_of_test(&said, name, target),
                    None => Verdict::Astray("did not end".to_owned()),
                }
            }
            Check::Rule { rule, seeds } => match output(program, &[rule, seeds])? {
                Some(said) => verdict_of_rule(&said, rule),
                None => Verdict::Astray("did not end".to_owned()),
            },
        })
    }
}

/// What a program prints; nothing if it does not end in time.
fn output(program: &Program, words: &[&str]) -> Outcome<Option<String>> {
    let mut child = Command::new(&program.path)
        .args(words)
        .current_dir(&program.folder)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.path.display()))?;
    let Some(mut stdout) = child.stdout.take() else {
        return Err("a program without an output".to_owned());
    };
    let (send, receive) = sync_channel(1);
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = stdout.read_to_end(&mut said);
        // Nobody listens any more if it took too long.
        let _late = send.send(read.map(|_| said));
    });
    let said = receive.recv_timeout(TIME);
    if matches!(said, Err(RecvTimeoutError::Timeout)) {
        let _ended = child.kill();
    }
    let ended = child.wait();
    let _joined = reader.join();
    ended.map_err(|error| format!("{}: {error}", program.path.display()))?;
    match said {
        Ok(Ok(said)) => Ok(Some(String::from_utf8_lossy(&said).into_owned())),
        Ok(Err(error)) => Err(format!("{}: {error}", program.path.display())),
        Err(_) => Ok(None),
    }
}

/// Judges a run of one test by what the test harness says of it.
fn verdict_of_test(said: &str, name: &str, target: &str) -> Verdict {
    let line = format!("test {name} ... ");
    let result = said
        .lines()
        .find_map(|said| said.strip_prefix(line.as_str()));
    match result {
        Some("ok") => Verdict::Held,
        Some("FAILED") => {
            let place = said.lines().find_map(|line| {
                let (_, place) = line.split_once("' panicked at ").or_else(|| {
                    // With the thread's number between.
                    line.strip_prefix("thread '")?.split_once(" panicked at ")
                })?;
                Some(place.trim_end_matches(':').to_owned())
            });
            match place {
                Some(place) if target == "lib" || place.contains("/tests/") => Verdict::Failed,
                Some(place) => Verdict::Astray(format!("no assertion failed: panic at {place}")),
                None => Verdict::Astray("failed without an assertion".to_owned()),
            }
        }
        _ => Verdict::Astray(format!("no test is called {name}")),
    }
}

/// Judges a search for a seed that breaks a rule.
fn verdict_of_rule(said: &str, rule: &str) -> Verdict {
    let broken = |line: &str| {
        let (_, rest) = line.strip_prefix("seed ")?.split_once(" breaks ")?;
        rest.split_once(':').map(|(name, _)| name.to_owned())
    };
    let mut names: Vec<String> = said.lines().filter_map(broken).collect();
    if names.iter().any(|name| name == rule) || (rule == "any" && !names.is_empty()) {
        return Verdict::Failed;
    }
    names.sort();
    names.dedup();
    if !names.is_empty() {
        return Verdict::Astray(format!("broke {} instead", names.join(", ")));
    }
    if said.lines().any(|line| line.starts_with("no seed of ")) {
        Verdict::Held
    } else {
        Verdict::Astray("the search ended early".to_owned())
    }
}

/// The text after `"key":"` in a line of JSON, if it needs no unescaping.
fn word(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{key}\":\""))?;
    let (word, _) = rest.split_once('"')?;
    (!word.contains('\\')).then(|| word.to_owned())
}

/// The first error among the compiler's messages.
fn first_error(messages: &str, stderr: &str) -> String {
    let error = messages
        .lines()
        .find(|line| line.contains("\"level\":\"error\""))
        .and_then(|line| {
            let (_, rendered) = line.split_once("\"rendered\":\"")?;
            let (first, _) = rendered.split_once("\\n\"").unwrap_or((rendered, ""));
            Some(first.replace("\\n", "\n").replace("\\\"", "\""))
        });
    error.unwrap_or_else(|| stderr.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_fails_by_an_assertion_of_the_tests() {
        let said = |result: &str, place: &str| {
            format!(
                "\nrunning 1 test\ntest a::b ... {result}\n\nfailures:\n\n---- a::b stdout ----\n\nthread 'a::b' (77) panicked at {place}:1:2:\nassertion failed\n"
            )
        };
        let verdict = |result, place, target| verdict_of_test(&said(result, place), "a::b", target);
        let tests = "bft/core/tests/protocol/a.rs";
        assert_eq!(verdict("ok", tests, "protocol"), Verdict::Held);
        assert_eq!(verdict("FAILED", tests, "protocol"), Verdict::Failed);
        let source = "bft/core/src/slot.rs";
        assert!(matches!(
            verdict("FAILED", source, "protocol"),
            Verdict::Astray(_)
        ));
        assert_eq!(verdict("FAILED", source, "lib"), Verdict::Failed);
        assert!(matches!(
            verdict_of_test("running 0 tests", "a::b", "lib"),
            Verdict::Astray(_)
        ));
    }

    #[test]
    fn a_rule_is_broken_by_its_name() {
        let said = "seed 3 breaks stuck: x\nseed 4 breaks agreement: y: z\n";
        assert_eq!(verdict_of_rule(said, "agreement"), Verdict::Failed);
        assert!(matches!(
            verdict_of_rule(said, "no-gap"),
            Verdict::Astray(_)
        ));
        let none = "no seed of 0..4 breaks no-gap\n";
        assert_eq!(verdict_of_rule(none, "no-gap"), Verdict::Held);
        assert!(matches!(verdict_of_rule("", "no-gap"), Verdict::Astray(_)));
    }

    #[test]
    fn words_of_cargos_messages_are_found() {
        let line =
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","executable":"/b/c"}"#;
        assert_eq!(word(line, "executable").as_deref(), Some("/b/c"));
        assert_eq!(
            word(line, "manifest_path").as_deref(),
            Some("/a/Cargo.toml")
        );
        assert_eq!(word(r#"{"executable":null}"#, "executable"), None);
    }
}
