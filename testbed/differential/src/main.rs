//! Generated modules through the engine, to look for what no hand-written one tries.
//!
//! `cargo run --release -- replicas --modules 100000 --seed 1` makes modules that call the host
//! with whatever comes, checks them as a registration would, and runs those that pass on
//! replicas of which one has run all before, one is new, and one was given the spaces' state:
//! reply, fuel and content of the spaces must be the same, a check must not take longer than
//! its bound, and nothing may panic. It prints a digest over all that came of it: that of a
//! debug build (`cargo run -- …`) must be the same.
//!
//! `cargo run --release -- engines --modules 10000 --seed 1` compares the results of modules
//! that import nothing with those of wasmtime.

mod engines;
mod generate;
mod replicas;

use std::process::ExitCode;

/// What is wanted.
struct Wanted {
    modules: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: u64| {
        let at = args.iter().position(|arg| arg == name);
        let text = at.and_then(|at| args.get(at + 1));
        text.map_or(Some(otherwise), |text| text.parse().ok())
    };
    let (Some(modules), Some(seed)) = (number("--modules", 1_000), number("--seed", 1)) else {
        eprintln!("--modules and --seed take a number");
        return ExitCode::from(2);
    };
    let wanted = Wanted { modules, seed };
    let done = match args.first().map(String::as_str) {
        Some("replicas") => replicas::run(&wanted),
        Some("engines") => engines::run(&wanted),
        _ => {
            eprintln!("name what to compare: replicas or engines");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(difference) => {
            eprintln!("{difference}");
            ExitCode::FAILURE
        }
    }
}
