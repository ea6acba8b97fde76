//! Prints data to standard output in the chosen format,
//! everything else to standard error.

use std::io::{IsTerminal as _, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    flags::{Format, Global},
};

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    pub(crate) verbose: u8,
    colour: bool,
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        // The NO_COLOR convention: set to anything but the empty string.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format: global.output,
            verbose: global.verbose,
            colour: !global.no_color && !unwanted && std::io::stderr().is_terminal(),
        }
    }

    /// Whether programs read the output.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether to collect evidence against replicas that disagree: it takes a moment
    /// longer, and without `-v` only programs would be told.
    pub(crate) const fn proves(&self) -> bool {
        self.verbose > 0 || self.is_json()
    }

    /// Whether a progress bar makes sense: a person is watching.
    pub(crate) fn shows_progress(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// One line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        out(format_args!("{text}\n"))
    }

    /// A value as JSON: indented, or on one line for `jsonl`.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Failure> {
        match self.format {
            Format::Jsonl => self.json_line(value),
            _ => self.line(&serde_json::to_string_pretty(value).map_err(unprintable)?),
        }
    }

    /// A value as JSON on one line whatever the format: for whoever started a process
    /// and reads the line that says it is ready.
    pub(crate) fn json_line<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Failure> {
        self.line(&serde_json::to_string(value).map_err(unprintable)?)
    }

    /// Many objects: an array for `json`, one a line for `jsonl`.
    pub(crate) fn objects(&self, objects: Vec<Value>) -> Result<(), Failure> {
        if self.format == Format::Jsonl {
            return objects.iter().try_for_each(|object| self.json(object));
        }
        self.json(&objects)
    }

    /// A table with `head` above `rows`.
    pub(crate) fn table(&self, head: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(head.to_vec())
            .add_rows(rows);
        // Columns are padded to their width; nobody needs the blanks at the end of a line.
        let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
        self.line(&lines.join("\n"))
    }

    /// A remark for a person, on standard error.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// A failure, on standard error: what happened, where, and what to do next.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.what.is_empty() {
            return;
        }
        let mut text = self.painted("1;31", "error:");
        text.push(' ');
        text.push_str(&failure.what);
        if let Some(at) = &failure.at {
            text.push_str(&format!(" (at {at})"));
        }
        if let Some(next) = &failure.next {
            text.push_str(&format!("\n  {} {next}", self.painted("1", "next:")));
        }
        self.note(&text);
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::error(format!("cannot print: {error}"))
}

/// Writes to standard output; a reader that has gone (`| head`) ends the command quietly.
fn out(text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::new(Exit::Ok, ""),
        _ => Failure::error(format!("cannot write to standard output: {error}")),
    })
}
