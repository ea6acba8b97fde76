//! `bezant ext`: check, install, list and remove extensions, and agree to those of others.

mod logs;
mod manifest;
mod on_disk;
mod rehearse;
mod replay;
mod starter;

use bezant_codec::hex::to_hex;
use std::path::{Path, PathBuf};

use bezant_api::{AdminCommand, Answer, Call, ExtensionHash, Installed, Trigger};
use bezant_extensions::check;
use bezant_tuplespace::{OperationKind, SpaceName};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use self::on_disk::{OnDisk, is_text, read_module, refused};
use super::{
    space::changed_or_not,
    status::{Admin, ask_all, cell},
};
use crate::{
    connect::{Service, failure_of, unexpected},
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    said::Said,
    target::Target,
};

/// The commands of `bezant ext`.
#[derive(Debug, Subcommand)]
pub(crate) enum Ext {
    /// Make a folder with a small working extension, to be changed; needs no cluster
    New {
        /// Its name, and the folder's: 1 to 64 of a-z 0-9 . _ -
        name: String,
    },
    /// Check a manifest with its module, or a module alone, as every replica would; needs no
    /// cluster
    Check {
        /// A manifest (.toml) or a module (.wasm, or .wat in the text format)
        file: PathBuf,
    },
    /// Run a script of calls on four replicas that crash and are restored; needs no cluster
    Test {
        /// A manifest
        manifest: PathBuf,
        /// The script; without one, the file beside the manifest that ends in .test
        script: Option<PathBuf>,
        /// Show what each call of the extension asks of the host, what that changes and costs
        #[arg(long)]
        trace: bool,
    },
    /// Show what extensions did at one number of the log: host calls, changes, fuel; from the
    /// journal of a replica that does not run, or a copy of it
    Replay {
        /// The number of the proposal
        #[arg(long, value_name = "N")]
        seq: u64,
        /// The replica's node file
        #[arg(long, env = "BEZANT_NODE", value_name = "FILE")]
        config: PathBuf,
    },
    /// Install an extension; it applies to this client from its next operation on
    Install {
        /// Its manifest
        manifest: PathBuf,
        /// Check it and say what would happen, but install nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List what is installed, in that order
    Ls,
    /// Show each extension's calls, failures and fuel at each replica since it started
    Stat(Admin),
    /// Show what extensions logged lately at each replica since it started
    Logs {
        /// Only this extension's, by name or hash
        extension: Option<String>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Acknowledge another client's extension, so that it applies to this client
    Ack {
        /// Its hash, whole: what is agreed to is this content and no other
        hash: ExtensionHash,
        /// Agree to whichever version its owner puts in force, now and later
        #[arg(long)]
        any_version: bool,
    },
    /// Take that back
    Unack {
        /// Its hash
        hash: ExtensionHash,
    },
    /// Install a new version of an extension; it takes the place of the one in force for this
    /// client and for whoever follows it
    Upgrade {
        /// Any version so far
        hash: ExtensionHash,
        /// The new one's manifest
        manifest: PathBuf,
        /// From the proposal with this number on; at once without one
        #[arg(long, default_value_t = 0)]
        at: u64,
    },
    /// Put the version before back in force, or call off an upgrade that is to come
    Rollback {
        /// The version in force
        hash: ExtensionHash,
    },
    /// Let extensions be run by another version of engine and prices (operators only)
    Engine {
        /// The version
        #[arg(value_name = "VERSION")]
        number: u32,
        /// From the proposal with this number on; at once without one
        #[arg(long, default_value_t = 0)]
        at: u64,
    },
    /// Attach an extension to a space: it applies to everyone there (administrators of the
    /// space only)
    #[command(name = "impose")]
    Attach {
        /// The space
        space: SpaceName,
        /// The extension
        hash: ExtensionHash,
    },
    /// Take that back
    #[command(name = "lift")]
    Detach {
        /// The space
        space: SpaceName,
        /// The extension
        hash: ExtensionHash,
    },
    /// Remove an extension, for all to whom it applies (its owner and operators only)
    Rm {
        /// Its hash
        hash: ExtensionHash,
    },
}

impl Ext {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let call = match self {
            Self::New { name } => return starter::write(&name, printer),
            Self::Check { file } => return checked(&file, printer),
            Self::Test {
                manifest,
                script,
                trace,
            } => return rehearse::run(&manifest, script, trace, printer),
            Self::Replay { seq, config } => return replay::run(&config, seq, printer),
            Self::Install { manifest, dry_run } => {
                let found = OnDisk::read(&manifest)?;
                if dry_run {
                    return try_on(found, global, printer).await;
                }
                Call::Register {
                    manifest: found.manifest,
                    module: found.module,
                }
            }
            Self::Stat(admin) => return stat(&admin, global, printer).await,
            Self::Ls => Call::Extensions,
            Self::Logs { extension, admin } => {
                return logs::show(extension.as_deref(), &admin, global, printer).await;
            }
            Self::Upgrade { hash, manifest, at } => {
                let found = OnDisk::read(&manifest)?;
                Call::Upgrade {
                    from: hash,
                    manifest: found.manifest,
                    module: found.module,
                    at,
                }
            }
            Self::Rollback { hash } => Call::Rollback { hash },
            Self::Engine { number, at } => Call::AdminCommand(AdminCommand::Engine(number, at)),
            Self::Attach { space, hash } => Call::Attach { space, hash },
            Self::Detach { space, hash } => Call::Detach { space, hash },
            Self::Ack {
                hash,
                any_version: true,
            } => Call::Follow { hash },
            Self::Ack { hash, .. } => Call::Acknowledge { hash },
            Self::Unack { hash } => Call::Withdraw { hash },
            Self::Rm { hash } => Call::Unregister { hash },
        };
        let is_new = matches!(call, Call::Register { .. });
        let service = Service::connect(global).await?;
        let me = service.client().id().0;
        let said = service.call(call, printer.proves()).await?;
        match &said.answer {
            Answer::Registered { hash } => installed(*hash, is_new, &said, printer)?,
            Answer::Acknowledged => changed_or_not(true, &said, printer)?,
            Answer::Changed(changed) => changed_or_not(*changed, &said, printer)?,
            Answer::Extensions(all) => listed(all, &me, &said, printer)?,
            other => return Err(unexpected(other)),
        }
        Ok(Exit::Ok)
    }
}

/// Says what installing an extension would do.
async fn try_on(found: OnDisk, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let service = Service::connect(global).await?;
    let all = service.client().extensions().await;
    service.close().await;
    let all = all.map_err(|error| failure_of(&error))?.into_inner();
    let there = all.iter().find(|other| other.hash == found.hash);
    let manifest = &found.manifest;
    let runs: Vec<String> = manifest.subscriptions.iter().map(spelled).collect();
    if printer.is_json() {
        printer.json(&json!({
            "op": "ext-install",
            "dry_run": true,
            "hash": found.hash.to_string(),
            "installed": there.is_some(),
            "applies": there.is_some_and(|there| there.applies),
            "runs": runs,
        }))?;
        return Ok(Exit::Ok);
    }
    printer.line(&found.hash.to_string())?;
    let (name, version) = (&manifest.name, manifest.version);
    match there {
        None => printer.note(&format!(
            "{name} {version} is not installed; it would run on"
        )),
        Some(there) if there.applies => {
            printer.note(&format!("{name} {version} applies already, on"));
        }
        Some(_) => printer.note(&format!(
            "{name} {version} is installed by another client; installing it agrees to that, on"
        )),
    }
    runs.iter()
        .for_each(|run| printer.note(&format!("  {run}")));
    Ok(Exit::Ok)
}

/// Which operations a subscription takes over.
fn spelled(subscription: &bezant_api::Subscription) -> String {
    let names = |kinds: &[OperationKind]| {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        names.join("|")
    };
    let what = match &subscription.on {
        Trigger::Operations(kinds) => names(kinds),
        Trigger::Judges(kinds) => format!("judges {}", names(kinds)),
        Trigger::Events(kinds) => {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            format!("after {}", kinds.join("|"))
        }
    };
    let (space, template, entry) = (
        &subscription.space,
        &subscription.template,
        &subscription.entry,
    );
    format!("{what} {space} {template} by {entry}")
}

fn checked(file: &Path, printer: &Printer) -> Result<Exit, Failure> {
    let is_module = is_text(file) || file.extension().is_some_and(|ending| ending == "wasm");
    let (hash, checked, bytes) = if is_module {
        let module = read_module(file)?;
        let checked = check(&module).map_err(|rejected| refused(file, rejected))?;
        (None, checked, module.len())
    } else {
        let (found, checked) = OnDisk::check(file)?;
        (Some(found.hash.to_string()), checked, found.module.len())
    };
    if printer.is_json() {
        printer.json(&json!({
            "op": "ext-check",
            "hash": hash,
            "module_bytes": bytes,
            "memory_pages": checked.memory_pages,
            "entries": checked.entries,
        }))?;
        return Ok(Exit::Ok);
    }
    let entries: Vec<&str> = checked.entries.iter().map(String::as_str).collect();
    let pages = checked.memory_pages;
    let entries = entries.join(" ");
    printer.line(&format!(
        "keeps every rule: {bytes} bytes, {pages} pages of memory, entry points {entries}"
    ))?;
    Ok(Exit::Ok)
}

/// Asks every replica's admin endpoint what extensions did there.
async fn stat(admin: &Admin, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let addresses = admin.addresses(&Target::resolve(global)?)?;
    let mut all = Vec::new();
    for (replica, reply) in ask_all(&addresses).await.into_iter().enumerate() {
        let status = match reply {
            Ok(status) => status,
            Err(failure) => {
                printer.note(&format!("replica {replica} is silent: {}", failure.what));
                continue;
            }
        };
        let calls = status.get("extension_calls").and_then(Value::as_array);
        for calls in calls.into_iter().flatten() {
            let mut object = Map::from_iter([("replica".to_owned(), json!(replica))]);
            object.extend(calls.as_object().cloned().unwrap_or_default());
            all.push(object);
        }
    }
    // All replicas' figures of one extension together.
    let hash = |object: &Map<String, Value>| object.get("hash").map(ToString::to_string);
    let first: Vec<_> = all.iter().map(hash).collect();
    all.sort_by_key(|object| first.iter().position(|other| *other == hash(object)));
    if printer.format != Format::Table {
        printer.objects(all.into_iter().map(Value::Object).collect())?;
        return Ok(Exit::Ok);
    }
    const COLUMNS: [&str; 7] = [
        "name",
        "version",
        "replica",
        "calls",
        "failures",
        "fuel",
        "last_failure",
    ];
    let cells = |object: &Map<String, Value>| COLUMNS.map(|field| cell(object.get(field))).to_vec();
    let rows = all.iter().map(cells).collect();
    printer.table(
        &COLUMNS.map(|field| field.trim_start_matches("last_")),
        rows,
    )?;
    Ok(Exit::Ok)
}

fn object(op: &str, said: &Said) -> Map<String, Value> {
    let mut object = Map::from_iter([("op".to_owned(), json!(op))]);
    object.extend(said.fields());
    object
}

fn installed(
    hash: ExtensionHash,
    is_new: bool,
    said: &Said,
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.is_json() {
        let op = if is_new { "ext-install" } else { "ext-version" };
        let mut object = object(op, said);
        object.insert("hash".to_owned(), json!(hash.to_string()));
        return printer.json(&object);
    }
    printer.line(&hash.to_string())?;
    if printer.format == Format::Table {
        printer.note(if is_new {
            "installed; others agree to it with bezant ext ack and this hash"
        } else {
            "in force, or to be so; bezant ext ls shows it"
        });
    }
    Ok(())
}

fn listed(all: &[Installed], me: &[u8; 32], said: &Said, printer: &Printer) -> Result<(), Failure> {
    let described = |one: &Installed| {
        json!({
            "hash": one.hash.to_string(),
            "name": one.name,
            "version": one.version,
            "owner": to_hex(&one.owner),
            "applies": one.applies,
            "in_force": one.in_force,
            "replaces": one.replaces.map(|hash| hash.to_string()),
            "from": one.from,
            "imposed": one.attached,
        })
    };
    match printer.format {
        Format::Json => {
            let mut object = object("ext-ls", said);
            let all: Vec<Value> = all.iter().map(described).collect();
            object.insert("extensions".to_owned(), json!(all));
            printer.json(&object)
        }
        Format::Jsonl => printer.objects(all.iter().map(described).collect()),
        Format::Raw => {
            let mut all = all.iter();
            all.try_for_each(|one| printer.line(&one.hash.to_string()))
        }
        Format::Table => {
            let rows = all.iter().map(|one| {
                let applies = match (one.owner == *me, one.applies) {
                    (true, _) => "yours",
                    (false, true) => "agreed to",
                    (false, false) => "no",
                };
                let in_force = match (one.in_force, one.from) {
                    (true, _) => "yes".to_owned(),
                    (false, Some(from)) => format!("from {from}"),
                    (false, None) => "no".to_owned(),
                };
                let attached: Vec<&str> = one.attached.iter().map(SpaceName::as_str).collect();
                vec![
                    one.name.clone(),
                    one.version.to_string(),
                    in_force,
                    applies.to_owned(),
                    attached.join(" "),
                    one.hash.to_string(),
                ]
            });
            printer.table(
                &[
                    "name",
                    "version",
                    "in force",
                    "applies",
                    "attached in",
                    "hash",
                ],
                rows.collect(),
            )
        }
    }
}
