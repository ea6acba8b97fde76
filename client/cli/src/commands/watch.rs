//! `bezant watch`: what happens to tuples, a line each, as it happens.

use std::time::Duration;

use bezant_client::{Error, Refused, Sight, Since, Watch as Watching};
use bezant_tuple::Template;
use bezant_tuplespace::SpaceName;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    connect::{Service, failure_of},
    event_loop::interrupted,
    exit::{Exit, Failure},
    flags::{Format, Global},
    parse,
    print::Printer,
    values,
};

/// How long the service is let be after an error that may pass.
const PAUSE: Duration = Duration::from_millis(100);

/// Print events of the tuples that match, until interrupted
///
/// Every event is told once and in order, also after a session that was lost. A line is the
/// event's number, what happened, and the tuple.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The space
    space: String,
    /// The template
    template: String,
    /// Begin with the tuples that are there
    #[arg(long, conflicts_with = "after")]
    existing: bool,
    /// Go on after the event with this number, if the events since are kept
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// End after so many lines
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let space = parse::space_name(&self.space)?;
        let template = parse::template(&self.template)?;
        let since = match self.after {
            Some(after) => Since::Event(after),
            None if self.existing => Since::Present,
            None => Since::Now,
        };
        let told = Telling {
            space,
            template,
            since,
            left: self.count.unwrap_or(u64::MAX),
        };
        let told = told.run(global, printer);
        tokio::select! {
            told = told => told?,
            interrupted = interrupted() => interrupted?,
        }
        Ok(Exit::Ok)
    }
}

/// What is to be told.
struct Telling {
    space: SpaceName,
    template: Template,
    since: Since,
    /// How much more.
    left: u64,
}

impl Telling {
    /// Tells what is seen; with a new session from where it was when one is over.
    async fn run(mut self, global: &Global, printer: &Printer) -> Result<(), Failure> {
        loop {
            let service = Service::connect(global).await?;
            let client = service.client();
            let mut watching = client.watch(self.space.as_str(), self.template.clone(), self.since);
            let ended = lines(&mut watching, printer, &mut self.left).await;
            let position = watching.position();
            drop(watching);
            match (ended, position) {
                (Ok(()), _) => {
                    service.close().await;
                    return Ok(());
                }
                (Err(Ended::Watch(Error::Refused(Refused::NoSession))), Some(position)) => {
                    self.since = Since::Event(position);
                }
                (Err(Ended::Watch(error)), _) => return Err(failure_of(&error)),
                (Err(Ended::Output(failure)), _) => return Err(failure),
            }
        }
    }
}

/// Why no more is told.
enum Ended {
    Watch(Error),
    Output(Failure),
}

async fn lines(watching: &mut Watching, printer: &Printer, left: &mut u64) -> Result<(), Ended> {
    while *left > 0 {
        match watching.next().await {
            Ok(sight) => line(&sight, printer).map_err(Ended::Output)?,
            // The service is slow, away or full: it goes on where it was.
            Err(error) if error.is_retryable() => {
                printer.note(&error.to_string());
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(Ended::Watch(error)),
        }
        *left -= 1;
    }
    Ok(())
}

fn line(sight: &Sight, printer: &Printer) -> Result<(), Failure> {
    let (number, what, id, tuple) = match sight {
        Sight::There { id, tuple } => (None, "there", id, tuple),
        Sight::Happened(event) => {
            let what = event.change.name();
            (Some(event.number), what, &event.id, &event.tuple)
        }
    };
    match printer.format {
        Format::Json | Format::Jsonl => {
            let mut object = values::tuple(tuple);
            object.insert("event".to_owned(), json!(what));
            object.insert("number".to_owned(), json!(number));
            object.insert("id".to_owned(), json!(id.0));
            printer.json_line(&Value::Object(object))
        }
        Format::Raw => printer.line(&tuple.to_string()),
        Format::Table => {
            let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            printer.line(&format!("{number:>8}  {what:<8}  {tuple}"))
        }
    }
}
