//! `bezant space`: make, list, show and remove spaces, and say who may do what in them.

use bezant_api::{Answer, Call, Lists, Principal, Right, SpaceInfo};
use bezant_codec::hex::to_hex;
use bezant_tuplespace::{Quota, SpaceName};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::{
    connect::{Service, failure_of, unexpected},
    exit::{Exit, Failure},
    flags::{Format, Global},
    parse::{principal, space_name},
    print::Printer,
    said::Said,
};

/// Most tuples taken at a time from a space that is to be removed.
const PAGE: u32 = 1_000;

/// The commands of `bezant space`.
#[derive(Debug, Subcommand)]
pub(crate) enum Space {
    /// Create an empty space
    Create {
        /// Its name: a-z 0-9 . _ / -
        name: String,
        /// For nobody but this client, until others are granted something; otherwise anyone
        /// may put, read and take
        #[arg(long)]
        private: bool,
    },
    /// List all spaces
    Ls,
    /// Remove a space
    Rm {
        /// The space
        name: String,
        /// Take all of its tuples first
        #[arg(long)]
        all: bool,
    },
    /// Show who made a space and who may do what there
    Show {
        /// The space
        name: String,
    },
    /// Let a space hold so much and no more; what it holds already stays
    Quota {
        /// The space
        name: String,
        /// Most tuples; as many as the service allows if nothing is said
        #[arg(long, value_name = "N")]
        tuples: Option<u64>,
        /// Most bytes of tuples
        #[arg(long, value_name = "N")]
        bytes: Option<u64>,
    },
    /// Give a right in a space
    Grant(Entry),
    /// Take a right in a space
    Revoke(Entry),
}

/// `SPACE RIGHT PRINCIPAL`.
#[derive(Debug, clap::Args)]
pub(crate) struct Entry {
    /// The space
    name: String,
    /// What: insert, read, take or administer
    right: Right,
    /// The principal: anyone, a client's key in hexadecimal, or group:NAME
    principal: String,
}

impl Space {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let call = match self {
            Self::Create { name, private } => {
                let space = space_name(&name)?;
                if private {
                    let lists = Lists::closed();
                    Call::CreateSpaceFor { space, lists }
                } else {
                    Call::CreateSpace { space }
                }
            }
            Self::Ls => Call::ListSpaces,
            Self::Rm { name, all } => {
                let space = space_name(&name)?;
                if all {
                    empty(&space, global).await?;
                }
                Call::RemoveSpace { space }
            }
            Self::Show { name } => Call::Inspect {
                space: space_name(&name)?,
            },
            Self::Quota {
                name,
                tuples,
                bytes,
            } => Call::SetQuota {
                space: space_name(&name)?,
                quota: quota(tuples, bytes),
            },
            Self::Grant(entry) => {
                let (space, principal) = (space_name(&entry.name)?, principal(&entry.principal)?);
                let right = entry.right;
                Call::Grant {
                    space,
                    right,
                    principal,
                }
            }
            Self::Revoke(entry) => {
                let (space, principal) = (space_name(&entry.name)?, principal(&entry.principal)?);
                let right = entry.right;
                Call::Revoke {
                    space,
                    right,
                    principal,
                }
            }
        };
        let service = Service::connect(global).await?;
        let said = service.call(call, printer.proves()).await?;
        match &said.answer {
            Answer::Created => done("space-create", &said, printer)?,
            Answer::Removed => done("space-rm", &said, printer)?,
            Answer::Changed(changed) => changed_or_not(*changed, &said, printer)?,
            Answer::Space(info) => shown(info, &said, printer)?,
            Answer::Spaces(spaces) => listed(spaces, &said, printer)?,
            other => return Err(unexpected(other)),
        }
        Ok(Exit::Ok)
    }
}

fn spelled(principal: &Principal) -> String {
    match principal {
        Principal::Anyone => "anyone".to_owned(),
        Principal::Client(key) => to_hex(key),
        Principal::Members(group) => format!("group:{group}"),
    }
}

/// Takes all tuples out of a space, whoever they are for.
async fn empty(space: &SpaceName, global: &Global) -> Result<(), Failure> {
    let service = Service::connect(global).await?;
    let emptied = loop {
        match service.client().purge(space.as_str(), PAGE).await {
            Ok(taken) if taken.value < u64::from(PAGE) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(failure_of(&error)),
        }
    };
    service.close().await;
    emptied
}

fn object(op: &str, said: &Said) -> Map<String, Value> {
    let mut object = Map::from_iter([("op".to_owned(), json!(op))]);
    object.extend(said.fields());
    object
}

fn done(op: &str, said: &Said, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Raw => Ok(()),
        Format::Json | Format::Jsonl => printer.json(&object(op, said)),
        Format::Table => printer.line(&said.done(printer.verbose)),
    }
}

/// Whether something is otherwise than before.
pub(super) fn changed_or_not(changed: bool, said: &Said, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Raw => printer.line(if changed { "changed" } else { "as before" }),
        Format::Json | Format::Jsonl => {
            let mut object = object("change", said);
            object.insert("changed".to_owned(), json!(changed));
            printer.json(&object)
        }
        Format::Table if changed => printer.line(&said.done(printer.verbose)),
        Format::Table => {
            let done = said.done(printer.verbose);
            printer.line(&format!("{done}  (it was so before)"))
        }
    }
}

/// A bound, if there is one.
pub(super) fn bound(bound: u64) -> Option<u64> {
    (bound < u64::MAX).then_some(bound)
}

/// What is said of bounds; what is not said is none.
pub(super) fn quota(tuples: Option<u64>, bytes: Option<u64>) -> Quota {
    Quota {
        tuples: tuples.unwrap_or(u64::MAX),
        bytes: bytes.unwrap_or(u64::MAX),
    }
}

/// So much, of how much it may be.
pub(super) fn of(held: u64, most: u64) -> String {
    match bound(most) {
        Some(most) => format!("{held} of {most}"),
        None => held.to_string(),
    }
}

fn shown(info: &SpaceInfo, said: &Said, printer: &Printer) -> Result<(), Failure> {
    let creator = info.creator.map(|key| to_hex(&key));
    let list = |right| -> Vec<String> { info.lists.of(right).iter().map(spelled).collect() };
    if printer.is_json() {
        let mut object = object("space-show", said);
        object.insert("creator".to_owned(), json!(creator));
        object.insert("tuples".to_owned(), json!(info.tuples));
        object.insert("bytes".to_owned(), json!(info.bytes));
        object.insert("quota_tuples".to_owned(), json!(bound(info.quota.tuples)));
        object.insert("quota_bytes".to_owned(), json!(bound(info.quota.bytes)));
        for right in Right::ALL {
            object.insert(right.name().to_owned(), json!(list(right)));
        }
        return printer.json(&object);
    }
    let creator = creator.unwrap_or_else(|| "the service".to_owned());
    printer.line(&format!("creator     {creator}"))?;
    for (what, held, most) in [
        ("tuples", info.tuples, info.quota.tuples),
        ("bytes", info.bytes, info.quota.bytes),
    ] {
        printer.line(&format!("{what:<11} {}", of(held, most)))?;
    }
    for right in Right::ALL {
        let names = list(right);
        let names = if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(" ")
        };
        printer.line(&format!("{:<11} {names}", right.name()))?;
    }
    Ok(())
}

fn listed(spaces: &[SpaceName], said: &Said, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Json => {
            let names: Vec<&str> = spaces.iter().map(SpaceName::as_str).collect();
            let mut object = object("space-ls", said);
            object.insert("spaces".to_owned(), json!(names));
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
