//! `bezant access`: who is a client, who is in which group, and what this client may do.

use bezant_api::{AdminCommand, Answer, Call, Permissions, Right};
use bezant_codec::hex::to_hex;
use bezant_tuplespace::Account;
use clap::Subcommand;
use serde_json::{Map, json};

use super::space::{bound, changed_or_not, of, quota};
use crate::{
    connect::{Service, failure_of, unexpected},
    exit::{Exit, Failure},
    flags::{Format, Global},
    parse::{client, group},
    print::Printer,
    target::Target,
};

/// The commands of `bezant access`.
#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// The public half of this client's key, as others name it; asks nobody
    Key,
    /// What this client may do
    Mine,
    /// Make the owner of a key a client (operators only)
    Enrol {
        /// Its public key, in hexadecimal
        client: String,
    },
    /// Make the owner of a key no client any more: its sessions end (operators only)
    Expel {
        /// Its public key, in hexadecimal
        client: String,
    },
    /// Put a client into a group (operators only); the group operators is theirs
    Join {
        /// The group; it is there as long as somebody is in it
        group: String,
        /// The client's public key, in hexadecimal
        client: String,
    },
    /// Take a client out of a group (operators only)
    Leave {
        /// The group
        group: String,
        /// The client's public key, in hexadecimal
        client: String,
    },
    /// Bound what a client holds in all spaces together (operators only); without a bound
    /// nothing of it is counted any more
    Quota {
        /// The client's public key, in hexadecimal
        client: String,
        /// Most tuples, of those it puts from now on
        #[arg(long)]
        tuples: Option<u64>,
        /// Most bytes of these, in canonical encoding
        #[arg(long)]
        bytes: Option<u64>,
    },
}

impl Access {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let admin_command = match self {
            Self::Key => return key_of(global, printer),
            Self::Mine => return mine(global, printer).await,
            Self::Enrol { client: key } => AdminCommand::Enrol(client(&key)?),
            Self::Expel { client: key } => AdminCommand::Expel(client(&key)?),
            Self::Join {
                group: name,
                client: key,
            } => AdminCommand::Join(group(&name)?, client(&key)?),
            Self::Leave {
                group: name,
                client: key,
            } => AdminCommand::Leave(group(&name)?, client(&key)?),
            Self::Quota {
                client: key,
                tuples,
                bytes,
            } => AdminCommand::Allot(client(&key)?, quota(tuples, bytes)),
        };
        let service = Service::connect(global).await?;
        let said = service
            .call(Call::AdminCommand(admin_command), printer.proves())
            .await?;
        match &said.answer {
            Answer::Changed(changed) => changed_or_not(*changed, &said, printer)?,
            other => return Err(unexpected(other)),
        }
        Ok(Exit::Ok)
    }
}

fn key_of(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let target = Target::resolve(global)?;
    if target.key.is_none() {
        return Err(Failure::usage(
            "this client has no key of its own; every command makes a new one",
        )
        .next("name a key file with --key FILE"));
    }
    let key = to_hex(&target.identity()?.client().0);
    if printer.is_json() {
        printer.json(&json!({ "client": key }))?;
    } else {
        printer.line(&key)?;
    }
    Ok(Exit::Ok)
}

/// Tells everything, page by page.
async fn mine(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let service = Service::connect(global).await?;
    let key = to_hex(&service.client().id().0);
    let told = all(&service).await;
    service.close().await;
    let told = told?;
    let rights =
        |rights: &[Right]| -> Vec<&str> { rights.iter().copied().map(Right::name).collect() };
    if printer.is_json() {
        let spaces = told.spaces.iter();
        let spaces = spaces.map(|(space, may)| (space.to_string(), json!(rights(may))));
        let object = json!({
            "client": key,
            "operator": told.operator,
            "account": told.account.map(|account| json!({
                "tuples": account.tuples,
                "bytes": account.bytes,
                "quota_tuples": bound(account.quota.tuples),
                "quota_bytes": bound(account.quota.bytes),
            })),
            "groups": told.groups.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "spaces": Map::from_iter(spaces),
        });
        printer.json(&object)?;
        return Ok(Exit::Ok);
    }
    if printer.format == Format::Table {
        let operator = if told.operator { "  operator" } else { "" };
        printer.line(&format!("client {key}{operator}"))?;
        if let Some(account) = told.account {
            let Account {
                quota,
                tuples,
                bytes,
            } = account;
            let (tuples, bytes) = (of(tuples, quota.tuples), of(bytes, quota.bytes));
            printer.line(&format!("holds  {tuples} tuples, {bytes} bytes"))?;
        }
        for group in &told.groups {
            printer.line(&format!("group  {group}"))?;
        }
    }
    for (space, may) in &told.spaces {
        printer.line(&format!("{space}  {}", rights(may).join(" ")))?;
    }
    Ok(Exit::Ok)
}

async fn all(service: &Service) -> Result<Permissions, Failure> {
    let mut whole: Option<Permissions> = None;
    loop {
        let after = whole.as_ref().and_then(|whole| whole.next.clone());
        let page = service.client().permissions(after).await;
        let page = page.map_err(|error| failure_of(&error))?.into_inner();
        let whole = match &mut whole {
            None => whole.insert(page),
            Some(whole) => {
                whole.spaces.extend(page.spaces);
                whole.next = page.next;
                whole
            }
        };
        if whole.next.is_none() {
            return Ok(whole.clone());
        }
    }
}
