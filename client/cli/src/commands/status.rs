//! `bezant status`: what every replica says about itself, side by side.

use bezant_codec::hex::to_hex;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use bezant_bft::quorum::Quorum;

use crate::{
    admin,
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    target::Target,
};

/// Which admin endpoints to ask.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    /// The replicas' admin endpoints, by replica, instead of the context's
    #[arg(
        long,
        env = "BEZANT_ADMIN",
        value_name = "HOST:PORT",
        value_delimiter = ','
    )]
    admin: Vec<String>,
}

impl Admin {
    /// The endpoints that were named, or else those of the context.
    pub(super) fn addresses(&self, target: &Target) -> Result<Vec<String>, Failure> {
        let named = if self.admin.is_empty() {
            &target.admin
        } else {
            &self.admin
        };
        if named.is_empty() {
            return Err(Failure::usage(format!(
                "the admin endpoints of cluster {:?} are not known",
                target.cluster.name
            ))
            .next("name them in the order of the replicas: --admin HOST:PORT,…"));
        }
        Ok(named.clone())
    }
}

/// Flags of `bezant status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    admin: Admin,
}

/// The columns of the table: the heading, and the field of the status.
const COLUMNS: [(&str, &str); 10] = [
    ("view", "view"),
    ("primary", "primary"),
    ("executed", "executed"),
    ("stable", "stable"),
    ("sessions", "sessions"),
    ("spaces", "spaces"),
    ("tuples", "tuples"),
    ("waiters", "waiters"),
    ("extensions", "extensions"),
    ("fault", "fault"),
];

impl Status {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let target = Target::resolve(global)?;
        let addresses = self.admin.addresses(&target)?;
        let replies = ask_all(&addresses).await;
        print(&target, &addresses, &replies, printer)?;

        let reached = replies.iter().filter(|reply| reply.is_ok()).count();
        let quorum = Quorum::new(target.cluster.replicas.len());
        Ok(match quorum {
            Some(quorum) if reached < quorum.strong() => {
                printer.note(&format!(
                    "{reached} of {} replicas answered; {} are needed to decide anything",
                    quorum.n(),
                    quorum.strong()
                ));
                Exit::NoQuorum
            }
            _ => Exit::Ok,
        })
    }
}

/// Asks all endpoints at the same time; the answers stand in the order of the addresses.
pub(super) async fn ask_all(addresses: &[String]) -> Vec<Result<Value, Failure>> {
    let mut asked = JoinSet::new();
    for (index, address) in addresses.iter().cloned().enumerate() {
        asked.spawn(async move { (index, admin::status(&address).await) });
    }
    let mut replies = asked.join_all().await;
    replies.sort_by_key(|(index, _)| *index);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

fn print(
    target: &Target,
    addresses: &[String],
    replies: &[Result<Value, Failure>],
    printer: &Printer,
) -> Result<(), Failure> {
    let numbered = addresses.iter().zip(replies).enumerate();
    if printer.is_json() {
        let replicas: Vec<Value> = numbered
            .map(|(index, (address, reply))| match reply {
                Ok(status) => json!({ "replica": index, "admin": address, "status": status }),
                Err(failure) => {
                    json!({ "replica": index, "admin": address, "error": failure.what })
                }
            })
            .collect();
        let n = target.cluster.replicas.len();
        return printer.json(&json!({
            "cluster": target.cluster.name,
            "cluster_id": to_hex(&target.cluster.cluster_id().0),
            "n": n,
            "f": Quorum::new(n).map(Quorum::f),
            "replicas": replicas,
        }));
    }
    let mut rows = Vec::with_capacity(replies.len());
    for (index, (_, reply)) in numbered {
        let mut row = vec![index.to_string()];
        match reply {
            Ok(status) => {
                row.extend(COLUMNS.iter().map(|(_, field)| cell(status.get(field))));
            }
            Err(failure) => {
                row.extend(COLUMNS.iter().skip(1).map(|_| "-".to_owned()));
                row.push("unreachable".to_owned());
                printer.failure(failure);
            }
        }
        rows.push(row);
    }
    if printer.format == Format::Raw {
        return rows
            .iter()
            .try_for_each(|row| printer.line(&row.join("\t")));
    }
    let mut head = vec!["replica"];
    head.extend(COLUMNS.iter().map(|(name, _)| *name));
    printer.table(&head, rows)
}

pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values.len().to_string(),
        Some(other) => other.to_string(),
    }
}
