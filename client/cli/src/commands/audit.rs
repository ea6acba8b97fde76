//! `bezant audit`: whether pieces of evidence convict, offline and with nothing but the
//! cluster's public file.

use bezant_codec::hex::to_hex;
use std::{
    fs,
    path::{Path, PathBuf},
};

use bezant_api::Answer;
use bezant_bft::{
    evidence::{Accusation, Charge, Evidence},
    ids::Source,
    keyring::Keyring,
    limits::MAX_EVIDENCE_BYTES,
    message::Reply,
};
use bezant_lab::local::view;
use bezant_node::evidence::PREFIX;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    evidence,
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    target::Target,
};

/// How deep folders are searched: a data folder has its evidence in the first one below.
const MAX_DEPTH: usize = 4;

/// Most files looked at; more belong to no single cluster.
const MAX_FILES: usize = 10_000;

/// What is audited.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Files of evidence, or folders to be searched for them, such as a replica's data folder;
    /// without one, what this user's commands kept
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// A file and what was found.
struct Finding {
    file: PathBuf,
    evidence: Option<Evidence>,
    /// Why it convicts nobody.
    reason: Option<String>,
}

impl Finding {
    fn of(file: PathBuf, keyring: &Keyring) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| {
            Failure::error(format!("{} cannot be read: {error}", file.display()))
        };
        let length = fs::metadata(&file).map_err(unreadable)?.len();
        let content = if length > MAX_EVIDENCE_BYTES as u64 {
            Err(format!("{length} bytes are more than evidence has"))
        } else {
            let bytes = fs::read(&file).map_err(unreadable)?;
            Evidence::decode(&bytes).map_err(|error| error.to_string())
        };
        let (evidence, reason) = match content {
            Ok(evidence) => {
                let reason = evidence.verify(keyring).err();
                (Some(evidence), reason.map(|reason| reason.to_string()))
            }
            Err(reason) => (None, Some(reason)),
        };
        Ok(Self {
            file,
            evidence,
            reason,
        })
    }

    fn accusation(&self) -> Option<Accusation> {
        self.evidence.as_ref().map(Evidence::accusation)
    }

    const fn verdict(&self) -> &'static str {
        match self.reason {
            None => "VALID",
            Some(_) => "INVALID",
        }
    }

    fn row(&self) -> Vec<String> {
        let accusation = self.accusation();
        let accused = accusation.map(|accusation| match accusation.accused {
            Source::Replica(replica) => format!("replica {replica}"),
            Source::Client(client) => format!("client {client}"),
        });
        let offence = accusation.map(|accusation| accusation.offence.name().to_owned());
        let view = accusation.and_then(|accusation| accusation.view);
        let seq_no = accusation.and_then(|accusation| accusation.seq_no);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let verdict = match &self.reason {
            None => self.verdict().to_owned(),
            Some(reason) => format!("{}: {reason}", self.verdict()),
        };
        vec![
            or_dash(accused),
            or_dash(offence),
            or_dash(view.map(|view| view.0.to_string())),
            or_dash(seq_no.map(|seq_no| seq_no.0.to_string())),
            verdict,
            self.file.display().to_string(),
        ]
    }

    fn object(&self) -> Value {
        let accusation = self.accusation();
        let (replica, client) = match accusation.map(|accusation| accusation.accused) {
            Some(Source::Replica(replica)) => (Some(replica.0), None),
            Some(Source::Client(client)) => (None, Some(to_hex(&client.0))),
            None => (None, None),
        };
        let mut object = json!({
            "file": self.file,
            "replica": replica,
            "client": client,
            "offence": accusation.map(|accusation| accusation.offence.name()),
            "what": accusation.map(|accusation| accusation.to_string()),
            "life": accusation.map(|accusation| accusation.incarnation.0),
            "view": accusation.and_then(|accusation| accusation.view).map(|view| view.0),
            "number": accusation.and_then(|accusation| accusation.seq_no).map(|number| number.0),
            "valid": self.reason.is_none(),
            "reason": self.reason,
        });
        let charge = self.evidence.as_ref().map(Evidence::charge);
        if let (Some(Charge::FalseReply { lie, truth }), Some(fields)) =
            (charge, object.as_object_mut())
        {
            let asked = json!({
                "client": to_hex(&lie.body.client.0),
                "session": lie.body.reply.session.0,
                "request": lie.body.reply.number.0,
            });
            let witnesses: Vec<u8> = truth.iter().map(|said| said.body.replica.0).collect();
            let truth = truth.first().map(|said| told(&said.body.reply));
            fields.insert("asked".to_owned(), asked);
            fields.insert("said".to_owned(), told(&lie.body.reply));
            fields.insert("truth".to_owned(), json!(truth));
            fields.insert("witnesses".to_owned(), json!(witnesses));
        }
        object
    }
}

impl Audit {
    pub(crate) fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let target = Target::resolve(global)?;
        let view = view(&target.cluster);
        let keyring = view
            .keyring()
            .map_err(|error| Failure::error(error.to_string()))?;
        let mut files = Vec::new();
        if self.paths.is_empty() {
            let kept = evidence::folder(&view)?;
            if kept.is_dir() {
                search(&kept, MAX_DEPTH, &mut files)?;
            }
        }
        for path in self.paths {
            // A file that was named is looked at whatever its name; a link is followed.
            if path.is_dir() {
                search(&path, MAX_DEPTH, &mut files)?;
            } else {
                files.push(path);
            }
        }
        let findings = files.into_iter().map(|file| Finding::of(file, &keyring));
        let findings = findings.collect::<Result<Vec<_>, _>>()?;
        show(&findings, printer)?;
        let invalid = findings.iter().filter(|finding| finding.reason.is_some());
        match invalid.count() {
            0 => Ok(Exit::Ok),
            invalid => Err(Failure::error(format!(
                "{invalid} of {} pieces of evidence convict nobody",
                findings.len()
            ))
            .next(
                "a piece convicts only unchanged, and only with the file of the cluster it is from",
            )),
        }
    }
}

/// Finds the pieces in a folder and in those below it; links are not followed there.
fn search(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::error(format!("{} cannot be read: {error}", folder.display()))
    };
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(unreadable)?;
        let name = entry.file_name();
        if kind.is_dir() && depth > 0 {
            search(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && is_a_piece(&name.to_string_lossy()) && files.len() < MAX_FILES {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Whether a file of this name holds a whole piece.
fn is_a_piece(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.contains('.')
}

fn show(findings: &[Finding], printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Json | Format::Jsonl => {
            printer.objects(findings.iter().map(Finding::object).collect())
        }
        Format::Raw => findings.iter().try_for_each(|finding| {
            let file = finding.file.display();
            printer.line(&format!("{} {file}", finding.verdict()))
        }),
        Format::Table if findings.is_empty() => {
            printer.note("there is no evidence");
            Ok(())
        }
        Format::Table => {
            let head = ["accused", "offence", "view", "number", "verdict", "file"];
            printer.table(&head, findings.iter().map(Finding::row).collect())
        }
    }
}

fn told(reply: &Reply) -> Value {
    let answer = Answer::decode(&reply.result);
    let answer = answer.map_or_else(|_| to_hex(&reply.result), |answer| format!("{answer:?}"));
    json!({ "position": reply.seq_no.0, "answer": answer })
}
