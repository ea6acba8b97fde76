//! `bezant shell`: commands one after the other, with completion and history.
//!
//! A line is a command as it is typed after `bezant`, but that tuples need no quotes. From a
//! terminal the shell goes on whatever becomes of a command; from a file or a pipe it ends
//! with the first that fails, as a script should.

mod complete;
pub(super) mod words;

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf};

use clap::{Args, ValueEnum as _};
use rustyline::{CompletionType, Config, Editor, error::ReadlineError, history::DefaultHistory};

use self::complete::Completion;
use crate::{
    contexts,
    exit::{Exit, Failure},
    flags::Global,
    print::Printer,
};

/// Most lines of history that are kept.
const HISTORY: usize = 1_000;

const PROMPT: &str = "bezant> ";

/// The commands a shell runs, as they are declared and run outside of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commands {
    /// Their declaration, for completion.
    pub(crate) declared: fn() -> clap::Command,
    /// Runs one, given the words with the program's name first; prints its help if asked to.
    pub(crate) run: fn(Vec<OsString>) -> Result<Exit, Failure>,
}

/// Read commands line by line, without `bezant` and without quotes around tuples
///
/// The tab key completes commands, flags and names of spaces; what was typed is kept beside
/// the contexts. From a file or a pipe it ends with the first command that fails, with that
/// command's exit code.
#[derive(Debug, Args)]
pub(crate) struct Shell {}

impl Shell {
    pub(crate) fn run(
        self,
        commands: Commands,
        global: &Global,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        let person = std::io::stdin().is_terminal();
        let history = person.then(history_file).transpose()?;
        let mut editor = editor(commands, global).map_err(|error| unusable(&error))?;
        if let Some(history) = &history
            && let Err(error) = editor.load_history(history)
        {
            tracing::debug!(%error, "shell history not loaded");
        }
        if person {
            printer.note("commands as after bezant, tuples without quotes; help lists them, exit or Ctrl-D ends");
        }
        let exit = lines(&mut editor, commands, global, printer, person);
        if let Some(history) = &history
            && let Err(error) = editor.save_history(history)
        {
            printer.note(&format!("{} was not written: {error}", history.display()));
        }
        exit
    }
}

type Lines = Editor<Completion, DefaultHistory>;

fn editor(commands: Commands, global: &Global) -> Result<Lines, ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor = Lines::with_config(config)?;
    editor.set_helper(Some(Completion::new((commands.declared)(), global)));
    Ok(editor)
}

/// Beside the contexts.
fn history_file() -> Result<PathBuf, Failure> {
    Ok(contexts::path()?.with_file_name("history"))
}

fn unusable(error: &ReadlineError) -> Failure {
    Failure::error(format!("no line can be read: {error}"))
}

fn lines(
    editor: &mut Lines,
    commands: Commands,
    global: &Global,
    printer: &Printer,
    person: bool,
) -> Result<Exit, Failure> {
    let mut last = Exit::Ok;
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            // What was typed so far is dropped.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(last),
            Err(error) => return Err(unusable(&error)),
        };
        let Some(ended) = command(&line, commands, global) else {
            return Ok(last);
        };
        let exit = ended.unwrap_or_else(|failure| {
            printer.failure(&failure);
            failure.exit
        });
        // That nothing matched is an answer.
        if !person && !matches!(exit, Exit::Ok | Exit::NoMatch) {
            return Ok(exit);
        }
        last = if person { Exit::Ok } else { exit };
        if let Some(completion) = editor.helper_mut() {
            completion.forget();
        }
    }
}

/// Runs a line; `None` if it asks to end.
fn command(line: &str, commands: Commands, global: &Global) -> Option<Result<Exit, Failure>> {
    let words = match words::words(line) {
        Ok(words) => words,
        Err(open) => {
            let failure = Failure::usage(open.to_string());
            return Some(Err(failure.next("close it on the same line")));
        }
    };
    match words.first().map(String::as_str) {
        None => return Some(Ok(Exit::Ok)),
        Some("exit" | "quit") => return None,
        _ => {}
    }
    let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    if let Some(help) = words.first_mut().filter(|word| *word == "help") {
        *help = "--help".into();
    }
    let typed = [OsString::from("bezant")].into_iter();
    let typed = typed.chain(flags(global)).chain(words);
    Some((commands.run)(typed.collect()))
}

/// The flags this shell was started with, for each of its commands, which may say otherwise.
fn flags(global: &Global) -> Vec<OsString> {
    let mut flags = Vec::<OsString>::new();
    let mut flag = |name: &str, value: OsString| flags.extend([name.into(), value]);
    if let Some(cluster) = &global.cluster {
        flag("--cluster", cluster.into());
    }
    if let Some(context) = &global.context {
        flag("--context", context.into());
    }
    if let Some(key) = &global.key {
        flag("--key", key.into());
    }
    let timeout = format!("{}ms", global.timeout.as_millis());
    flag("--timeout", timeout.into());
    if let Some(output) = global.output.to_possible_value() {
        flag("--output", output.get_name().into());
    }
    flags.extend((0..global.verbose).map(|_| OsString::from("--verbose")));
    if global.no_color {
        flags.push("--no-color".into());
    }
    flags
}
