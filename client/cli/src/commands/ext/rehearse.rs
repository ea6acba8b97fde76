//! `bezant ext test`: a script of calls, on four replicas that have a hard time.
//!
//! ```text
//! # NAME: COMMAND => ANSWER; without a name the owner asks.
//! space work
//! out work ("todo", "paint")
//! inp work ("task") => ("busy", "paint")
//! ben: agree
//! ben: rd work ("done", _) => waits
//! out work ("done", "paint")
//! ben: served => ("done", "paint")
//! tick 5s
//! ben: end
//! ```
//!
//! The extension is installed once its owner has made the first space. Commands are the
//! operations as on the command line, and `space`, `agree`, `impose SPACE`, `tick DURATION`,
//! `end` (a session ends with all it had) and `served` (what the request that waited longest
//! was answered).

use bezant_codec::hex::to_hex;
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use bezant_api::{Act, Answer, Call, FailureCode, Refused};
use bezant_lab::rehearsal::{Asked, Rehearsal};
use bezant_tuplespace::Outcome;
use clap::Parser;
use serde_json::json;

use super::{
    super::{operation::OperationCommand, shell::words::words},
    on_disk::OnDisk,
    replay,
};
use crate::{
    exit::{Exit, Failure},
    flags::duration,
    print::Printer,
};

/// The owner's name in scripts.
const OWNER: &str = "owner";

/// What a line asks.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_subcommand = true)]
enum Line {
    #[command(flatten)]
    Operation(OperationCommand),
    Space {
        name: String,
    },
    Agree,
    #[command(name = "impose")]
    Attach {
        space: String,
    },
    Tick {
        time: String,
    },
    End,
    Served,
}

/// A line of a script.
struct Step<'s> {
    number: usize,
    text: &'s str,
    client: &'s str,
    line: Line,
    expected: Option<&'s str>,
}

/// How a test went so far.
struct Test<'p> {
    rehearsal: Rehearsal,
    found: OnDisk,
    installed: bool,
    /// What each client waits for.
    waiting: BTreeMap<String, VecDeque<Asked>>,
    traces: bool,
    printer: &'p Printer,
}

/// Runs the script beside a manifest, or another one.
pub(super) fn run(
    manifest: &Path,
    script: Option<PathBuf>,
    traces: bool,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let found = OnDisk::read(manifest)?;
    let script = script.unwrap_or_else(|| manifest.with_extension("test"));
    let place = |number: usize| format!("{}:{number}", script.display());
    let text = fs::read_to_string(&script).map_err(|error| {
        Failure::error(format!("this script cannot be read: {error}"))
            .at(script.display().to_string())
            .next("write one; `bezant ext new` makes an example")
    })?;
    let mut steps = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        steps.extend(parse(number, line).map_err(|failure| failure.at(place(number)))?);
    }
    let rehearsal = Rehearsal::new().ok_or_else(|| Failure::error("there are no four replicas"))?;
    let mut test = Test {
        rehearsal,
        found,
        installed: false,
        waiting: BTreeMap::new(),
        traces,
        printer,
    };
    for step in &steps {
        test.step(step)
            .map_err(|failure| failure.at(place(step.number)))?;
    }
    test.end(steps.len())
}

/// The step of a line, if there is one.
fn parse(number: usize, text: &str) -> Result<Option<Step<'_>>, Failure> {
    let (asked, expected) = match text.rsplit_once("=>") {
        Some((asked, expected)) => (asked, Some(expected.trim())),
        None => (text, None),
    };
    let asked = asked.trim();
    let is_name = |name: &str| name.chars().all(|sign| sign.is_ascii_alphanumeric());
    let (client, asked) = match asked.split_once(':') {
        Some((name, asked)) if is_name(name) => (name, asked.trim()),
        _ => (OWNER, asked),
    };
    let words = words(asked).map_err(|open| Failure::usage(open.to_string()))?;
    if words.is_empty() {
        return Ok(None);
    }
    let line = Line::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::usage(first.trim_start_matches("error: ").to_owned())
            .next("write an operation, or space, agree, impose, tick, end or served")
    })?;
    Ok(Some(Step {
        number,
        text: text.trim(),
        client,
        line,
        expected,
    }))
}

/// An answer as it is written in scripts.
fn spelled(answer: Option<&Answer>) -> String {
    match answer {
        None => "waits".to_owned(),
        Some(Answer::Outcome(Outcome::Done)) => "done".to_owned(),
        Some(Answer::Outcome(Outcome::Match(Some(tuple)))) => tuple.to_string(),
        Some(Answer::Outcome(Outcome::Match(None))) => "no match".to_owned(),
        Some(Answer::Outcome(Outcome::Count(count))) => count.to_string(),
        Some(Answer::Outcome(Outcome::Page { tuples, .. })) => {
            let tuples: Vec<String> = tuples.iter().map(ToString::to_string).collect();
            tuples.join(" ")
        }
        Some(Answer::Refused(Refused::Extension(failure))) => match failure.code {
            FailureCode::Refused(code) => format!("refused with {code}"),
            code => format!("failed: {code}"),
        },
        Some(Answer::Refused(refused)) => format!("refused: {refused}"),
        Some(_) => "done".to_owned(),
    }
}

fn diverged(error: impl std::fmt::Display) -> Failure {
    Failure::error(error.to_string())
        .next("report this: an extension must give the same everywhere, whatever it does")
}

impl Test<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let before = self.rehearsal.fuel();
        self.rehearsal.trace(self.traces);
        let answer = self.carry_out(step)?;
        let burnt = self.rehearsal.fuel().saturating_sub(before);
        if let Some(expected) = step.expected
            && expected != answer
        {
            return Err(Failure::error(format!(
                "this was answered {answer}, not {expected}"
            )));
        }
        if !self.printer.is_json() {
            let fuel = if burnt > 0 {
                format!(" [fuel {burnt}]")
            } else {
                String::new()
            };
            let asked = step
                .text
                .rsplit_once("=>")
                .map_or(step.text, |(asked, _)| asked);
            self.printer
                .line(&format!("{} => {answer}{fuel}", asked.trim()))?;
            for call in self.rehearsal.take_trace() {
                replay::print(&call, self.printer)?;
            }
            for line in self.rehearsal.take_logs() {
                self.printer.line(&format!("  log: {line}"))?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, step: &Step<'_>) -> Result<String, Failure> {
        let hash = self.found.hash;
        let name = |text: &str| {
            let name = text.parse();
            name.map_err(|error| Failure::usage(format!("{text:?} names no space: {error}")))
        };
        let call = match &step.line {
            Line::Tick { time } => {
                let time = duration(time).map_err(Failure::usage)?;
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.rehearsal.tick(ms).map_err(diverged)?;
                return Ok("done".to_owned());
            }
            Line::End => {
                self.rehearsal.end(step.client).map_err(diverged)?;
                return Ok("done".to_owned());
            }
            Line::Served => {
                let waiting = self.waiting.get_mut(step.client);
                let asked = waiting.and_then(VecDeque::pop_front);
                let asked = asked.ok_or_else(|| Failure::usage("nothing of this client waited"))?;
                return Ok(spelled(self.rehearsal.answer(asked)));
            }
            Line::Space { name: space } => Call::CreateSpace {
                space: name(space)?,
            },
            Line::Agree => Call::Acknowledge { hash },
            Line::Attach { space } => Call::Attach {
                space: name(space)?,
                hash,
            },
            Line::Operation(operation) => {
                let Act { space, operation } = operation.clone().into_act()?;
                Call::Space { space, operation }
            }
        };
        let is_space = matches!(call, Call::CreateSpace { .. });
        if !is_space {
            self.install()?;
        }
        let asked = self.rehearsal.ask(step.client, &call).map_err(diverged)?;
        let answer = self.rehearsal.answer(asked);
        if answer.is_none() {
            let waiting = self.waiting.entry(step.client.to_owned()).or_default();
            waiting.push_back(asked);
        }
        Ok(spelled(answer))
    }

    /// Installs the extension, if it is not.
    fn install(&mut self) -> Result<(), Failure> {
        if self.installed {
            return Ok(());
        }
        let call = Call::Register {
            manifest: self.found.manifest.clone(),
            module: self.found.module.clone(),
        };
        let asked = self.rehearsal.ask(OWNER, &call).map_err(diverged)?;
        match self.rehearsal.answer(asked) {
            Some(Answer::Registered { .. }) => {
                self.installed = true;
                Ok(())
            }
            other => Err(Failure::error(format!(
                "it cannot be installed: {}",
                spelled(other)
            ))),
        }
    }

    fn end(&self, steps: usize) -> Result<Exit, Failure> {
        let state = to_hex(&self.rehearsal.state_digest());
        let (proposals, fuel) = (self.rehearsal.proposals(), self.rehearsal.fuel());
        if self.printer.is_json() {
            self.printer.json(&json!({
                "op": "ext-test",
                "hash": self.found.hash.to_string(),
                "steps": steps,
                "proposals": proposals,
                "fuel": fuel,
                "state": state,
            }))?;
            return Ok(Exit::Ok);
        }
        self.printer.note(&format!(
            "{steps} steps, and four replicas with the same replies, fuel {fuel} and state"
        ));
        Ok(Exit::Ok)
    }
}
