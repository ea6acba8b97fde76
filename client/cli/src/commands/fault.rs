//! `bezant fault`: makes a replica of a development cluster misbehave, or stop doing so.
//!
//! Whether it may is the replica's decision (`allow_faults` in its node file),
//! taken where the request arrives; here it is only passed on.

use bezant_lab::Fault as Kind;
use clap::Subcommand;
use serde_json::json;

use crate::{
    admin,
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    target::Target,
};

/// The commands of `bezant fault`.
#[derive(Debug, Subcommand)]
pub(crate) enum Fault {
    /// Make a replica misbehave
    Set {
        /// The replica
        replica: u8,
        /// How: lie-replies, silent, crash, slow-primary, equivocate,
        /// empty-proposals, unfair, hoard, storm:PERCENT, bulk:PERCENT, drop:PERCENT, delay:MS
        fault: Kind,
    },
    /// Let a replica behave again
    Clear {
        /// The replica
        replica: u8,
    },
}

impl Fault {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let target = Target::resolve(global)?;
        let (replica, kind) = match self {
            Self::Set { replica, fault } => (replica, Some(fault)),
            Self::Clear { replica } => (replica, None),
        };
        let address = endpoint(&target, replica)?;
        let answer = match kind {
            Some(kind) => {
                let body = json!({ "fault": kind }).to_string();
                admin::request(address, "POST", "/fault", &body).await?
            }
            None => admin::request(address, "DELETE", "/fault", "").await?,
        };
        admin::accepted(&answer, &format!("replica {replica}, {address}"))?;
        report(replica, kind, printer)?;
        Ok(Exit::Ok)
    }
}

/// The admin endpoint of `replica`.
fn endpoint(target: &Target, replica: u8) -> Result<&str, Failure> {
    let n = target.cluster.replicas.len();
    if usize::from(replica) >= n {
        return Err(Failure::usage(format!("there is no replica {replica}"))
            .next(format!("use a number from 0 to {}", n.saturating_sub(1))));
    }
    target.admin.get(usize::from(replica)).map(String::as_str).ok_or_else(|| {
        Failure::usage(format!("the admin endpoint of replica {replica} is not known"))
            .next("start the cluster again with bezant dev, or add it with bezant context add --admin")
    })
}

fn report(replica: u8, kind: Option<Kind>, printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Raw => Ok(()),
        Format::Json | Format::Jsonl => printer.json(&json!({ "replica": replica, "fault": kind })),
        Format::Table => printer.line(&match kind {
            Some(kind) => format!("ok  replica {replica}: {kind}"),
            None => format!("ok  replica {replica}: no fault"),
        }),
    }
}
