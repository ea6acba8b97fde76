//! `bezant evidence`: signed lies that were kept, and whether they convict.

use bezant_api::Answer;
use bezant_client::Evidence;
use bezant_lab::local::view;
use bezant_node::config::to_hex;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    args::Global,
    evidence,
    exit::{Exit, Failure},
    print::{Format, Printer},
    target::Target,
};

/// The commands of `bezant evidence`.
#[derive(Debug, Subcommand)]
#[command(name = "evidence")]
pub(crate) enum EvidenceCommand {
    /// List the evidence kept against replicas of the cluster
    Ls,
    /// Check evidence with nothing but the cluster file, and show what was said
    Check {
        /// Its name, for example ev-0001, or a file
        name: String,
    },
}

impl EvidenceCommand {
    pub(crate) fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let target = Target::resolve(global)?;
        let view = view(&target.cluster);
        match self {
            Self::Ls => {
                let names = evidence::names(&view)?;
                if printer.is_json() {
                    let objects = names.iter().map(|name| json!({ "name": name }));
                    printer.objects(objects.collect())?;
                } else {
                    names.iter().try_for_each(|name| printer.line(name))?;
                }
                Ok(Exit::Ok)
            }
            Self::Check { name } => {
                let evidence = evidence::read(&view, &name)?;
                let keyring = view
                    .keyring()
                    .map_err(|error| Failure::error(error.to_string()))?;
                evidence.verify(&keyring).map_err(|error| {
                    Failure::error(format!("{name} convicts nobody: {error}"))
                        .next("check it with the cluster file of the cluster it is from")
                })?;
                show(&name, &evidence, printer)?;
                Ok(Exit::Ok)
            }
        }
    }
}

fn show(name: &str, evidence: &Evidence, printer: &Printer) -> Result<(), Failure> {
    let (liar, lie) = (evidence.liar().0, &evidence.lie.body);
    let witnesses: Vec<u8> = evidence
        .truth
        .iter()
        .map(|signed| signed.body.replica.0)
        .collect();
    let truth = evidence.truth.first().map(|signed| &signed.body.reply);
    if printer.is_json() {
        let said = |reply: &bezant_bft::message::Reply| -> Value {
            json!({ "position": reply.position.0, "answer": told(&reply.result) })
        };
        return printer.json(&json!({
            "name": name,
            "liar": liar,
            "witnesses": witnesses,
            "client": to_hex(&lie.client.0),
            "session": lie.reply.session.0,
            "request": lie.reply.number.0,
            "said": said(&lie.reply),
            "truth": truth.map(said),
        }));
    }
    if printer.format == Format::Raw {
        return printer.line(&liar.to_string());
    }
    printer.line(&format!("ok  replica {liar} lied"))?;
    printer.line(&format!(
        "  session {}, request {}, of client {}",
        lie.reply.session.0,
        lie.reply.number.0,
        to_hex(&lie.client.0)
    ))?;
    printer.line(&format!(
        "  it said       {}  at {}",
        told(&lie.reply.result),
        lie.reply.position
    ))?;
    if let Some(truth) = truth {
        let witnesses: Vec<String> = witnesses.iter().map(u8::to_string).collect();
        printer.line(&format!(
            "  replicas {}  said {}  at {}",
            witnesses.join(", "),
            told(&truth.result),
            truth.position
        ))?;
    }
    Ok(())
}

/// An answer's bytes as people read them.
fn told(result: &[u8]) -> String {
    Answer::decode(result).map_or_else(|_| to_hex(result), |answer| format!("{answer:?}"))
}
