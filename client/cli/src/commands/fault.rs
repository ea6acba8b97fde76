//! `bezant fault`: makes a replica of a development cluster misbehave, or stop doing so.
//!
//! Whether it may is the replica's decision (`allow_faults` in its node file),
//! taken where the request arrives; here it is only passed on.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    admin,
    args::Global,
    exit::{Exit, Failure},
    print::{Format, Printer},
    target::Target,
};

/// The commands of `bezant fault`.
#[derive(Debug, Subcommand)]
pub(crate) enum Fault {
    /// Make a replica misbehave
    Set {
        /// The replica
        replica: u8,
        /// How
        #[arg(value_enum)]
        fault: Kind,
    },
    /// Let a replica behave again
    Clear {
        /// The replica
        replica: u8,
    },
}

/// How a replica misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Answer clients with wrong results
    LieReplies,
    /// Take part in nothing
    Silent,
    /// Stop as if killed
    Crash,
}

impl Kind {
    /// The fault by the name a replica knows it by.
    const fn name(self) -> &'static str {
        match self {
            Self::LieReplies => bezant_node::Fault::LieReplies,
            Self::Silent => bezant_node::Fault::Silent,
            Self::Crash => bezant_node::Fault::Crash,
        }
        .name()
    }
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
                let body = json!({ "fault": kind.name() }).to_string();
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
    let name = kind.map(Kind::name);
    match printer.format {
        Format::Raw => Ok(()),
        Format::Json | Format::Jsonl => {
            let fault = name.map_or(Value::Null, |name| json!(name));
            printer.json(&json!({ "replica": replica, "fault": fault }))
        }
        Format::Table => printer.line(&match name {
            Some(name) => format!("ok  replica {replica}: {name}"),
            None => format!("ok  replica {replica}: no fault"),
        }),
    }
}
