//! The binary `bezant`: every command that a person or a script uses.
//!
//! `args` declares what can be typed and `dispatch` runs it, `commands` has one file per command or
//! family, and the rest is what they share: the flags of all (`flags`), where the cluster is
//! (`target`, `contexts`), how to reach it (`connect`, `admin`), how to read arguments (`parse`),
//! how to speak (`print`) and how to fail (`exit`). Nothing here decides anything about the
//! protocol; that is bezant-client's and bezant-node's.
//!
//! Data goes to standard output, everything else to standard error.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

/// A replica makes and drops many small pieces, and glibc's allocator takes its time.
#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod admin;
mod args;
mod commands;
mod connect;
mod contexts;
mod dispatch;
mod event_loop;
mod evidence;
mod exit;
mod flags;
mod log;
mod parse;
mod print;
mod said;
mod target;
mod values;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{args::Cli, print::Printer};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; those are no failure.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let printer = Printer::new(&cli.global);
    match dispatch::run(cli, &printer) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            printer.failure(&failure);
            failure.exit.into()
        }
    }
}
