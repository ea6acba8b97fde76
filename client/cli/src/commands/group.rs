//! `bezant group`: several operations, all or nothing, on conditions.
//!
//! Steps are written like the commands they are, with a `+` between them; what
//! follows `--else` is done if a condition does not hold.

use bezant_api::{Act, Answer, Call, Condition, Group as Steps, Step};
use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};

use super::operation::{self, OperationCommand};
use crate::{
    connect::{Service, unexpected},
    exit::{Exit, Failure},
    flags::{Format, Global},
    parse,
    print::Printer,
    said::Said,
};

/// Execute several operations, all or nothing, on conditions
///
/// Steps are operations as on their own (`rd` and `in`, which wait, are refused) and
/// conditions, with a `+` between them. They are carried out in order; a condition is judged
/// where it stands. If one does not hold, nothing is done but what follows `--else`.
#[derive(Debug, Args)]
#[command(
    after_help = "Conditions:\n  present SPACE TEMPLATE\n  absent SPACE TEMPLATE\n  \
    counted SPACE TEMPLATE [--at-least N] [--at-most N]\n\nExample:\n  \
    bezant group present jobs '(\"build\", 42)' + inp jobs '(\"build\", 42)' \
    + out done '(\"build\", 42)' --else count jobs '(_, _)'"
)]
pub(crate) struct Group {
    /// STEP [+ STEP]… [--else OPERATION [+ OPERATION]…]
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// One step, parsed like a command line of its own.
#[derive(Debug, Parser)]
#[command(
    name = "step",
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Line {
    #[command(subcommand)]
    step: StepCommand,
}

#[derive(Debug, Subcommand)]
enum StepCommand {
    #[command(flatten)]
    Operation(OperationCommand),
    /// Go on only if a tuple matches
    Present(Place),
    /// Go on only if no tuple matches
    Absent(Place),
    /// Go on only if so many tuples match
    Counted(Counted),
}

#[derive(Debug, Args)]
struct Place {
    space: String,
    template: String,
}

#[derive(Debug, Args)]
struct Counted {
    #[command(flatten)]
    place: Place,
    #[arg(long, value_name = "N", default_value_t = 0)]
    at_least: u64,
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    at_most: u64,
}

impl Group {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let group = self.parsed()?;
        let service = Service::connect(global).await?;
        let said = service
            .call(Call::Group(group.clone()), printer.proves())
            .await?;
        match &said.answer {
            Answer::Group { unmet, outcomes } => {
                print(&group, *unmet, outcomes, &said, printer)?;
                Ok(unmet.map_or(Exit::Ok, |_| Exit::NoMatch))
            }
            other => Err(unexpected(other)),
        }
    }

    fn parsed(&self) -> Result<Steps, Failure> {
        let mut halves = self.words.split(|word| word == "--else");
        let (steps, otherwise) = (halves.next().unwrap_or_default(), halves.next());
        if halves.next().is_some() {
            return Err(Failure::usage("a group has one --else at most").next(
                "put all that is done instead behind one --else, with a + between operations",
            ));
        }
        let mut group = Steps::new();
        for words in steps.split(|word| word == "+") {
            group.steps.push(step(words)?);
        }
        for words in otherwise
            .into_iter()
            .flat_map(|words| words.split(|word| word == "+"))
        {
            match step(words)? {
                Step::Do(act) => group.otherwise.push(act),
                Step::Require(_) => {
                    return Err(Failure::usage("a condition stands behind --else")
                        .next("put operations there; conditions belong to the steps before it"));
                }
            }
        }
        Ok(group)
    }
}

fn step(words: &[String]) -> Result<Step, Failure> {
    let line = Line::try_parse_from(words).map_err(|error| {
        let what = error.to_string();
        let first = what.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        Failure::usage(format!("step `{}`: {first}", words.join(" ")))
            .next("write steps like commands, with a + between them; see bezant group --help")
    })?;
    let place = |place: Place| -> Result<_, Failure> {
        let space = parse::space_name(&place.space)?;
        Ok((space, parse::template(&place.template)?))
    };
    Ok(match line.step {
        StepCommand::Operation(command) => Step::Do(command.into_act()?),
        StepCommand::Present(args) => {
            let (space, template) = place(args)?;
            Step::Require(Condition::Present { space, template })
        }
        StepCommand::Absent(args) => {
            let (space, template) = place(args)?;
            Step::Require(Condition::Absent { space, template })
        }
        StepCommand::Counted(args) => {
            let (at_least, at_most) = (args.at_least, args.at_most);
            let (space, template) = place(args.place)?;
            Step::Require(Condition::Counted {
                space,
                template,
                at_least,
                at_most,
            })
        }
    })
}

/// The operations that were carried out, with what they answered.
fn carried_out(group: &Steps, unmet: Option<u32>) -> Vec<&Act> {
    if unmet.is_some() {
        return group.otherwise.iter().collect();
    }
    let steps = group.steps.iter().filter_map(|step| match step {
        Step::Do(act) => Some(act),
        Step::Require(_) => None,
    });
    steps.collect()
}

fn print(
    group: &Steps,
    unmet: Option<u32>,
    outcomes: &[bezant_tuplespace::Outcome],
    said: &Said,
    printer: &Printer,
) -> Result<(), Failure> {
    let acts = carried_out(group, unmet);
    match printer.format {
        Format::Json | Format::Jsonl => {
            let outcomes: Vec<Value> = acts
                .iter()
                .zip(outcomes)
                .map(|(act, outcome)| {
                    Value::Object(operation::fields(&act.space, &act.operation, outcome))
                })
                .collect();
            let mut object = Map::new();
            object.insert("op".to_owned(), json!("group"));
            object.insert("unmet".to_owned(), json!(unmet));
            object.insert("outcomes".to_owned(), json!(outcomes));
            object.extend(said.fields());
            return printer.json(&Value::Object(object));
        }
        Format::Raw | Format::Table => {}
    }
    for line in outcomes.iter().flat_map(operation::data) {
        printer.line(&line)?;
    }
    match unmet {
        Some(step) => printer.note(&format!("condition {step} does not hold")),
        None if printer.format == Format::Table => printer.line(&said.done(printer.verbose))?,
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Steps, Failure> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Group { words }.parsed()
    }

    #[test]
    fn steps_are_written_like_commands() {
        let group = parsed(&[
            "present",
            "a",
            "(1)",
            "+",
            "inp",
            "a",
            "(1)",
            "+",
            "counted",
            "b",
            "(_)",
            "--at-most",
            "3",
            "+",
            "out",
            "b",
            "(2)",
            "--lease",
            "5s",
            "--else",
            "count",
            "a",
            "(_)",
        ])
        .unwrap();
        assert_eq!((group.steps.len(), group.otherwise.len()), (4, 1));
        assert!(matches!(
            &group.steps[2],
            Step::Require(Condition::Counted {
                at_least: 0,
                at_most: 3,
                ..
            })
        ));
        assert!(matches!(
            &group.steps[3],
            Step::Do(act) if act.operation.lease() == Some(bezant_tuplespace::Lease::Ms(5000))
        ));
    }

    #[test]
    fn a_wrong_step_is_named() {
        for (words, named) in [
            (
                &["out", "a", "(1)", "+", "put", "a", "(1)"][..],
                "put a (1)",
            ),
            (&["inp", "a"], "inp a"),
            (&["out", "a", "(1)", "+"], "step ``"),
            (&["out", "a", "(_)"], "tuple"),
            (
                &["out", "a", "(1)", "--else", "absent", "a", "(1)"],
                "--else",
            ),
            (&["out", "a", "(1)", "--else", "--else"], "--else"),
        ] {
            let failure = parsed(words).unwrap_err();
            assert!(failure.what.contains(named), "{}", failure.what);
            assert!(failure.next.is_some());
        }
    }
}
