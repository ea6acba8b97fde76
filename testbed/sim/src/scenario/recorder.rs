//! The recorder: notes what happens in a scenario's cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use bezant_bft::{
    ids::{ClientId, ReplicaId, RequestNumber, SeqNo, Source},
    message::Reply,
};
use bytes::Bytes;

use crate::invariants::{Common, Fact, Invariant};

/// A request in the agreed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) client: ClientId,
    pub(crate) number: RequestNumber,
    pub(crate) op: Bytes,
}

/// One replica's word against somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blame {
    pub(crate) by: ReplicaId,
    /// The replica at fault; `None` is a client.
    pub(crate) who: Option<ReplicaId>,
    pub(crate) what: String,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// What each number holds.
    pub(crate) log: BTreeMap<SeqNo, Vec<Logged>>,
    /// Which numbers each replica executed since it last started, or took over.
    pub(crate) executed: BTreeMap<ReplicaId, BTreeSet<SeqNo>>,
    /// Who blamed whom for what.
    pub(crate) blames: BTreeSet<Blame>,
    /// States taken over from peers.
    pub(crate) installs: u64,
    /// Answers accepted by clients and not told yet.
    pub(crate) answers: Vec<Reply>,
}

/// One who notes and objects to nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Notes>>);

impl Recorder {
    /// Looks into the notes.
    pub(crate) fn notes<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Invariant for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        self.notes(|notes| match fact {
            Fact::Executed {
                by,
                seq_no,
                proposal,
                ..
            } => {
                let requests = proposal.requests().iter().map(|checked| {
                    let request = checked.request();
                    Logged {
                        client: request.client,
                        number: request.number,
                        op: request.op.clone(),
                    }
                });
                notes
                    .log
                    .entry(*seq_no)
                    .or_insert_with(|| requests.collect());
                notes.executed.entry(*by).or_default().insert(*seq_no);
            }
            Fact::Restarted { by, executed, .. }
            | Fact::Installed {
                by,
                seq_no: executed,
                ..
            } => {
                notes.installs += u64::from(matches!(fact, Fact::Installed { .. }));
                let numbers = (1..=executed.0).map(SeqNo);
                notes.executed.insert(*by, numbers.collect());
            }
            Fact::Blamed { by, misbehaviour } => {
                let who = match misbehaviour.who {
                    Source::Replica(who) => Some(who),
                    Source::Client(_) => None,
                };
                notes.blames.insert(Blame {
                    by: *by,
                    who,
                    what: misbehaviour.what.to_string(),
                });
            }
            Fact::Accepted { reply } => notes.answers.push((*reply).clone()),
            _ => {}
        });
        Ok(())
    }
}
