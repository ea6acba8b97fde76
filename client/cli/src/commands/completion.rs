//! `bezant completion SHELL`: a completion script on standard output.

use clap::Args;
use clap_complete::Shell;

use crate::{
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
    pub(crate) fn run(
        self,
        mut commands: clap::Command,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut commands, "bezant", &mut script);
        printer.line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Ok)
    }
}
