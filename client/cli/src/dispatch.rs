//! Runs what was typed: the one place that knows what each command needs.
//!
//! On top of all commands. The shell, which runs commands too, and the completion script
//! are given their declaration from here, so that no command knows the list.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Cli, Command},
    commands::shell::Commands,
    event_loop::{block_on, with_links},
    exit::{Exit, Failure},
    log,
    print::Printer,
};

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli, printer: &Printer) -> Result<Exit, Failure> {
    if !matches!(cli.command, Command::Node(_)) {
        log::to_stderr(cli.global.verbose);
    }
    dispatch(cli, printer)
}

/// Runs a command of a program that is set up.
fn dispatch(cli: Cli, printer: &Printer) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Demo(command) => command.run(printer),
        Command::Dev(command) => command.run(printer),
        Command::Node(command) => command.run(global, printer),
        Command::Cluster(command) => command.run(printer),
        Command::Status(command) => block_on(command.run(global, printer)),
        Command::Operation(command) => with_links(command.run(global, printer)),
        Command::Group(command) => with_links(command.run(global, printer)),
        Command::Export(command) => with_links(command.run(global, printer)),
        Command::Import(command) => with_links(command.run(global, printer)),
        Command::Watch(command) => with_links(command.run(global, printer)),
        Command::Lock(command) => with_links(command.run(global, printer)),
        Command::Elect(command) => with_links(command.run(global, printer)),
        Command::Shell(command) => command.run(SHELL, global, printer),
        Command::Access(command) => with_links(command.run(global, printer)),
        Command::Space(command) => with_links(command.run(global, printer)),
        Command::Ext(command) => with_links(command.run(global, printer)),
        Command::Fault(command) => block_on(command.run(global, printer)),
        Command::Audit(command) => command.run(global, printer),
        Command::Bench(command) => command.run(global, printer),
        Command::Attack(command) => command.run(global, printer),
        Command::Sim(command) => command.run(printer),
        Command::Config(command) => command.run(global, printer),
        Command::Context(command) => command.run(printer),
        Command::Completion(command) => command.run(Cli::command(), printer),
    }
}

/// What the shell can do with a line.
const SHELL: Commands = Commands {
    declared: Cli::command,
    run: run_in_shell,
};

/// Runs the words of a line of the shell.
fn run_in_shell(typed: Vec<OsString>) -> Result<Exit, Failure> {
    let cli = match Cli::try_parse_from(typed) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let _ = error.print();
            return Ok(exit);
        }
    };
    let own = matches!(
        cli.command,
        Command::Shell(_)
            | Command::Dev(_)
            | Command::Node(_)
            | Command::Demo(_)
            | Command::Attack(_)
    );
    if own {
        let failure = Failure::usage("that runs on and on, or sets up a place of its own");
        return Err(failure.next("run it outside of this shell"));
    }
    let printer = Printer::new(&cli.global);
    dispatch(cli, &printer)
}
