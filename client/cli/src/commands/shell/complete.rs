//! Completes words of the shell: commands, flags, names of spaces.

use std::{cell::RefCell, time::Duration};

use rustyline::{
    Context, Helper, completion::Completer, highlight::Highlighter, hint::Hinter,
    validate::Validator,
};

use super::words;
use crate::{connect::Service, event_loop::with_links, flags::Global};

/// How long a person waits for the names of spaces.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Knows the commands, and which spaces there are.
pub(super) struct Completion {
    root: clap::Command,
    global: Global,
    spaces: RefCell<Option<Vec<String>>>,
}

impl Completion {
    pub(super) fn new(mut root: clap::Command, global: &Global) -> Self {
        root.build();
        Self {
            root,
            global: global.clone(),
            spaces: RefCell::default(),
        }
    }

    /// There may be other spaces now.
    pub(super) fn forget(&mut self) {
        self.spaces.take();
    }

    /// All that the word after these may be.
    fn candidates(&self, before: &[String], word: &str) -> Vec<String> {
        let mut command = &self.root;
        let mut given = 0;
        for word in before {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None if word.starts_with('-') => {}
                None => given += 1,
            }
        }
        if word.starts_with('-') {
            let flags = command.get_arguments().filter_map(clap::Arg::get_long);
            return flags.map(|flag| format!("--{flag}")).collect();
        }
        if command.has_subcommands() {
            let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            return visible.map(|sub| sub.get_name().to_owned()).collect();
        }
        let mut positionals = command.get_positionals();
        match positionals.nth(given) {
            Some(argument) if argument.get_id() == "space" => self.spaces(),
            _ => Vec::new(),
        }
    }

    fn spaces(&self) -> Vec<String> {
        let mut spaces = self.spaces.borrow_mut();
        // Whoever completes a word is not told of errors: there is just nothing to offer.
        spaces
            .get_or_insert_with(|| self.ask().unwrap_or_default())
            .clone()
    }

    fn ask(&self) -> Option<Vec<String>> {
        let global = Global {
            timeout: TIMEOUT,
            ..self.global.clone()
        };
        let asked = with_links(async {
            let service = Service::connect(&global).await?;
            let spaces = service.client().spaces().await;
            service.close().await;
            Ok(spaces)
        });
        let spaces = asked.ok()?.ok()?.into_inner();
        Some(
            spaces
                .iter()
                .map(|space| space.as_str().to_owned())
                .collect(),
        )
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = words::unfinished(line.get(..pos).unwrap_or(line));
        let mut found = self.candidates(&typed.before, &typed.word);
        found.retain(|candidate| candidate.starts_with(&typed.word));
        found.sort();
        Ok((typed.at, found))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Validator for Completion {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::{CommandFactory as _, Parser as _};

    fn candidates(line: &str) -> Vec<String> {
        let cli = Cli::try_parse_from(["bezant", "shell"]).unwrap();
        let completion = Completion::new(Cli::command(), &cli.global);
        *completion.spaces.borrow_mut() = Some(vec!["jobs".to_owned(), "locks".to_owned()]);
        let history = rustyline::history::DefaultHistory::new();
        let context = Context::new(&history);
        completion.complete(line, line.len(), &context).unwrap().1
    }

    #[test]
    fn commands_flags_and_spaces_are_completed() {
        assert_eq!(candidates("rd"), ["rd", "rd-all", "rdp"]);
        assert_eq!(candidates("space c"), ["create"]);
        assert_eq!(candidates("rdp "), ["jobs", "locks"]);
        assert_eq!(candidates("rdp jo"), ["jobs"]);
        assert_eq!(candidates("rdp jobs "), [""; 0]);
        assert!(candidates("rd-all jobs (_) --li").contains(&"--limit".to_owned()));
        assert_eq!(candidates("nonsense jo"), [""; 0]);
    }
}
