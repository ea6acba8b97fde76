//! Daily commands of the project: `cargo xtask COMMAND`.
//!
//! Plain std, so that it builds in a second on a fresh clone.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may stop"
    )
)]

mod mutants;
mod recipes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  mutants         plant the known bugs of testbed/mutants in a copy and see that the tests
                  notice each; `cargo xtask mutants --help` says more
  recipes build   build the extensions in extensions/recipes and put the modules beside
                  their sources, with a record of compiler, linker and digests
  recipes check   prove that the committed modules are built from their sources: rebuild
                  and compare, or, with another compiler, rebuild and test
  scenarios update
                  put the answers that the pages in testbed/sim/scenarios get into them;
                  read the difference before you commit it
  help            print this
";

/// What a command says when it cannot go on: what happened and what to do.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["mutants", "--help" | "-h"] => {
            print!("{}", mutants::HELP);
            Ok(())
        }
        ["mutants", words @ ..] => mutants::run(words),
        ["recipes", "build"] => recipes::build(),
        ["recipes", "check"] => recipes::check(),
        ["scenarios", "update"] => scenarios_update(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("xtask: no such command: {}\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Plays every scenario and writes down what it answers.
fn scenarios_update() -> Outcome {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["test", "--quiet", "--package", "bezant-sim"])
        .args(["--test", "scenarios"])
        .env("BEZANT_SCENARIOS_UPDATE", "1")
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err("some pages could not be played to their end; the others are up to date".to_owned())
}

/// The repository.
fn root() -> Outcome<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            "the repository is not where it was when xtask was built; build it anew".into()
        })
}
