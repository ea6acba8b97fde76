//! `bezant out|rdp|inp|rd|in|cas|replace|rd-all|in-all|count|renew`: the operations on a space.
//!
//! One file for them all, because they differ only in what they take: each
//! becomes one `Operation`, one call, and one `Outcome` to print.

use std::{collections::BTreeSet, time::Duration};

use bezant_api::{Act, Answer, Audience, Call, Principal};
use bezant_tuple::Tuple;
use bezant_tuplespace::{Cursor, Lease, Operation, Outcome, SpaceName};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    connect::{Service, unexpected},
    exit::{Exit, Failure},
    flags::{Format, Global, duration},
    parse::{ms, principal, space_name, template, tuple},
    print::Printer,
    said::Said,
    values,
};

/// The operations.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// Insert a tuple into a space
    Out(Insertion),
    /// Read a matching tuple, if there is one
    Rdp(WithTemplate),
    /// Take a matching tuple, if there is one
    Inp(WithTemplate),
    /// Read a matching tuple; wait until there is one
    Rd(WithTemplate),
    /// Take a matching tuple; wait until there is one
    In(WithTemplate),
    /// Insert a tuple unless one matches the template
    Cas(WithBoth),
    /// Take a matching tuple and insert another in its place
    Replace(WithBoth),
    /// Read matching tuples, oldest first
    RdAll(Bulk),
    /// Take matching tuples, oldest first
    InAll(BulkTake),
    /// Count matching tuples
    Count(WithTemplate),
    /// Renew the lease of a matching tuple, from now on
    Renew(Renewal),
}

/// `SPACE TUPLE`, and for whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Insertion {
    /// The space
    space: String,
    /// The tuple, for example '("build", 42)'
    tuple: String,
    #[command(flatten)]
    leased: Leased,
    /// Only these see it (again for more): anyone, a client's key or group:NAME
    #[arg(long, value_name = "PRINCIPAL")]
    reader: Vec<String>,
    /// Only these take it (again for more): anyone, a client's key or group:NAME
    #[arg(long, value_name = "PRINCIPAL")]
    taker: Vec<String>,
}

impl Insertion {
    fn into_operation(self) -> Result<(String, Operation), Failure> {
        let (tuple, lease) = (tuple(&self.tuple)?, self.leased.lease());
        let audience = Audience {
            readers: list(&self.reader)?,
            takers: list(&self.taker)?,
        };
        let operation = if audience.is_everybody() {
            Operation::Out { tuple, lease }
        } else {
            let audience = Box::new(audience);
            Operation::OutTo {
                tuple,
                lease,
                audience,
            }
        };
        Ok((self.space, operation))
    }
}

/// Those who are named, if anybody is.
fn list(named: &[String]) -> Result<Option<BTreeSet<Principal>>, Failure> {
    if named.is_empty() {
        return Ok(None);
    }
    named
        .iter()
        .map(|text| principal(text))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// `--lease DURATION`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Leased {
    /// The tuple is gone after so long, unless it is renewed
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lease: Option<Duration>,
}

impl Leased {
    fn lease(&self) -> Lease {
        self.lease
            .map_or(Lease::Forever, |lease| Lease::Ms(ms(lease)))
    }
}

/// `SPACE TEMPLATE --lease DURATION`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Renewal {
    /// The space
    space: String,
    /// The template; a tuple without a lease is no match
    template: String,
    /// How long the tuple lives from now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lease: Duration,
}

/// `SPACE TEMPLATE`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WithTemplate {
    /// The space
    space: String,
    /// The template, for example '("build", ?int)' or '(_, "img/"*, 10..20)'
    template: String,
}

/// `SPACE TEMPLATE TUPLE`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WithBoth {
    /// The space
    space: String,
    /// The template
    template: String,
    /// The tuple
    tuple: String,
    #[command(flatten)]
    leased: Leased,
}

/// `SPACE TEMPLATE`, in pages.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bulk {
    #[command(flatten)]
    take: BulkTake,
    /// Go on after this tuple: the `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

/// `SPACE TEMPLATE`, at most so many.
#[derive(Clone, Debug, Args)]
pub(crate) struct BulkTake {
    /// The space
    space: String,
    /// The template
    template: String,
    /// Most tuples wanted
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

impl OperationCommand {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let Act { space, operation } = self.into_act()?;
        let service = Service::connect(global).await?;
        let call = Call::Space {
            space: space.clone(),
            operation: operation.clone(),
        };
        let said = service.call(call, printer.proves()).await?;
        match &said.answer {
            Answer::Outcome(outcome) => print(&space, &operation, outcome, &said, printer),
            other => Err(unexpected(other)),
        }
    }

    /// Parses the space, the template and the tuple.
    pub(super) fn into_act(self) -> Result<Act, Failure> {
        let (space, operation) = match self {
            Self::Out(args) => args.into_operation()?,
            Self::Rdp(args) => {
                let template = template(&args.template)?;
                (args.space, Operation::Rdp { template })
            }
            Self::Inp(args) => {
                let template = template(&args.template)?;
                (args.space, Operation::Inp { template })
            }
            Self::Rd(args) => {
                let template = template(&args.template)?;
                (
                    args.space,
                    Operation::Rd {
                        template,
                        within_ms: None,
                    },
                )
            }
            Self::In(args) => {
                let template = template(&args.template)?;
                (
                    args.space,
                    Operation::In {
                        template,
                        within_ms: None,
                    },
                )
            }
            Self::Cas(args) => {
                let (template, tuple) = (template(&args.template)?, tuple(&args.tuple)?);
                let lease = args.leased.lease();
                (
                    args.space,
                    Operation::Cas {
                        template,
                        tuple,
                        lease,
                    },
                )
            }
            Self::Replace(args) => {
                let (template, tuple) = (template(&args.template)?, tuple(&args.tuple)?);
                let lease = args.leased.lease();
                (
                    args.space,
                    Operation::Replace {
                        template,
                        tuple,
                        lease,
                    },
                )
            }
            Self::RdAll(args) => {
                let operation = Operation::RdAll {
                    template: template(&args.take.template)?,
                    limit: args.take.limit,
                    after: args.after,
                };
                (args.take.space, operation)
            }
            Self::InAll(args) => {
                let operation = Operation::InAll {
                    template: template(&args.template)?,
                    limit: args.limit,
                };
                (args.space, operation)
            }
            Self::Count(args) => {
                let template = template(&args.template)?;
                (args.space, Operation::Count { template })
            }
            Self::Renew(args) => {
                let (template, lease_ms) = (template(&args.template)?, ms(args.lease));
                (args.space, Operation::Renew { template, lease_ms })
            }
        };
        let space = space_name(&space)?;
        Ok(Act { space, operation })
    }
}

/// Prints the outcome; an empty one ends with "no match".
fn print(
    space: &SpaceName,
    operation: &Operation,
    outcome: &Outcome,
    said: &Said,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let exit = exit_of(operation, outcome);
    match printer.format {
        Format::Json => printer.json(&object(space, operation, outcome, said))?,
        Format::Jsonl => print_lines(space, operation, outcome, said, printer)?,
        Format::Raw => {
            for line in data(outcome) {
                printer.line(&line)?;
            }
        }
        Format::Table => print_text(space, operation, outcome, said, printer)?,
    }
    Ok(exit)
}

fn exit_of(operation: &Operation, outcome: &Outcome) -> Exit {
    match outcome {
        // For `cas` a match is what prevents the insertion.
        Outcome::Match(found) if found.is_some() == matches!(operation, Operation::Cas { .. }) => {
            Exit::NoMatch
        }
        Outcome::Page { tuples, .. } if tuples.is_empty() => Exit::NoMatch,
        _ => Exit::Ok,
    }
}

/// The bare data of an outcome, a line each.
pub(super) fn data(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Done | Outcome::Match(None) => Vec::new(),
        Outcome::Match(Some(tuple)) => vec![tuple.to_string()],
        Outcome::Page { tuples, .. } => tuples.iter().map(Tuple::to_string).collect(),
        Outcome::Count(count) => vec![count.to_string()],
        // No command makes the calls that are answered so: `watch` does, in its own words.
        Outcome::Events { .. } | Outcome::Compacted { .. } | Outcome::Survey { .. } => Vec::new(),
    }
}

fn print_text(
    space: &SpaceName,
    operation: &Operation,
    outcome: &Outcome,
    said: &Said,
    printer: &Printer,
) -> Result<(), Failure> {
    let is_cas = matches!(operation, Operation::Cas { .. });
    let mut lines = data(outcome);
    match (outcome, lines.last_mut()) {
        (Outcome::Match(None), _) if !is_cas => printer.note("no match"),
        (Outcome::Page { .. }, None) => printer.note("no match"),
        (_, None) => lines.push(said.done(printer.verbose)),
        (_, Some(last)) if printer.verbose > 0 => last.push_str(&format!("  {}", said.details())),
        _ => {}
    }
    if lines.is_empty() && printer.verbose > 0 {
        printer.note(&said.details());
    }
    for line in lines {
        printer.line(&line)?;
    }
    match outcome {
        Outcome::Match(Some(_)) if is_cas => {
            printer.note("not inserted: this tuple matches");
        }
        Outcome::Page {
            next: Some(next), ..
        } if matches!(operation, Operation::RdAll { .. }) => {
            let next = Cursor {
                space: space.clone(),
                after: *next,
            };
            printer.note(&format!("  next: there are more; add --after {next}"));
        }
        Outcome::Page { next: Some(_), .. } => {
            printer.note("  next: there are more; run it again");
        }
        _ => {}
    }
    Ok(())
}

/// `jsonl`: a page is one object per tuple, anything else one object.
fn print_lines(
    space: &SpaceName,
    operation: &Operation,
    outcome: &Outcome,
    said: &Said,
    printer: &Printer,
) -> Result<(), Failure> {
    match outcome {
        Outcome::Page { tuples, .. } => tuples
            .iter()
            .try_for_each(|tuple| printer.json(&Value::Object(values::tuple(tuple)))),
        _ => printer.json(&object(space, operation, outcome, said)),
    }
}

/// The JSON object of an operation; its fields are a contract (docs/cli.md).
fn object(space: &SpaceName, operation: &Operation, outcome: &Outcome, said: &Said) -> Value {
    let mut object = fields(space, operation, outcome);
    object.extend(said.fields());
    Value::Object(object)
}

/// What an operation was and what came of it.
pub(super) fn fields(
    space: &SpaceName,
    operation: &Operation,
    outcome: &Outcome,
) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert(
        "op".to_owned(),
        json!(operation.kind().name().replace('_', "-")),
    );
    object.insert("space".to_owned(), json!(space.as_str()));
    match outcome {
        Outcome::Done => {}
        Outcome::Match(found) => {
            if matches!(operation, Operation::Cas { .. }) {
                object.insert("inserted".to_owned(), json!(found.is_none()));
            }
            match found {
                Some(tuple) => object.extend(values::tuple(tuple)),
                None => {
                    object.insert("tuple".to_owned(), Value::Null);
                }
            }
        }
        Outcome::Page { tuples, next } => {
            let tuples: Vec<Value> = tuples
                .iter()
                .map(|tuple| Value::Object(values::tuple(tuple)))
                .collect();
            object.insert("tuples".to_owned(), json!(tuples));
            let next = next.map(|after| {
                let space = space.clone();
                Cursor { space, after }.to_string()
            });
            object.insert("next".to_owned(), json!(next));
        }
        Outcome::Count(count) => {
            object.insert("count".to_owned(), json!(count));
        }
        Outcome::Events { .. } | Outcome::Compacted { .. } | Outcome::Survey { .. } => {}
    }
    object
}
