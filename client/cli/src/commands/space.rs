//! `bezant space`: create and list spaces.

use bezant_api::{Answer, Call};
use bezant_tuplespace::SpaceName;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::operation::space_name;
use crate::{
    args::Global,
    connect::{Service, unexpected},
    exit::{Exit, Failure},
    print::{Format, Printer},
    said::Said,
};

/// The commands of `bezant space`.
#[derive(Debug, Subcommand)]
pub(crate) enum Space {
    /// Create an empty space
    Create {
        /// Its name: a-z 0-9 . _ / -
        name: String,
    },
    /// List all spaces
    Ls,
}

impl Space {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let call = match self {
            Self::Create { name } => Call::CreateSpace {
                space: space_name(&name)?,
            },
            Self::Ls => Call::ListSpaces,
        };
        let service = Service::connect(global).await?;
        let said = service.call(call, printer.proves()).await?;
        match &said.answer {
            Answer::Created => created(&said, printer)?,
            Answer::Spaces(spaces) => listed(spaces, &said, printer)?,
            other => return Err(unexpected(other)),
        }
        Ok(Exit::Ok)
    }
}

fn created(said: &Said, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Raw => Ok(()),
        Format::Json | Format::Jsonl => {
            let mut object = Map::from_iter([("op".to_owned(), json!("space-create"))]);
            object.extend(said.fields());
            printer.json(&object)
        }
        Format::Table => printer.line(&said.done(printer.verbose)),
    }
}

fn listed(spaces: &[SpaceName], said: &Said, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Json => {
            let names: Vec<&str> = spaces.iter().map(SpaceName::as_str).collect();
            let mut object = Map::from_iter([
                ("op".to_owned(), json!("space-ls")),
                ("spaces".to_owned(), json!(names)),
            ]);
            object.extend(said.fields());
            printer.json(&object)
        }
        Format::Jsonl => spaces
            .iter()
            .try_for_each(|space| printer.json::<Value>(&json!({ "space": space.as_str() }))),
        Format::Raw | Format::Table => {
            if printer.verbose > 0 {
                printer.note(&said.details());
            }
            spaces
                .iter()
                .try_for_each(|space| printer.line(space.as_str()))
        }
    }
}
