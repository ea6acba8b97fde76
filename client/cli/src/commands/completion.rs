//! `bezant completion SHELL`: a completion script on standard output.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{
    args::Cli,
    exit::{Exit, Failure},
    print::Printer,
};

/// Flags of `bezant completion`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "bezant", &mut script);
        printer.line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Ok)
    }
}
