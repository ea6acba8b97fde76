//! Invariants of the correct replicas, one rule a file.
//!
//! The world tells every [`Fact`] about correct replicas as it happens, and
//! each [`Invariant`] keeps of it what it needs to refuse the next one. They
//! live outside of the machines, so a restart makes them forget nothing.

mod acknowledged;
mod agreement;
mod bounded;
mod certificates;
mod checkpoints;
mod exactly_once;
mod innocent;
mod model;
mod no_gap;
mod pace;
mod starvation;
mod told;
mod views;
mod votes;
mod waiting;
mod window;

use bezant_bft::{
    crypto::Checker,
    effects::{PersistId, Record, To},
    ids::{ClientId, Digest, ReplicaId, SeqNo, View},
    keyring::Keyring,
    message::{PeerMessage, Reply, Request, Vote},
    misbehaviour::Misbehaviour,
    replica::{PeerMemory, Tuning},
    verification::CheckedProposal,
};
use bezant_kernel::Kernel;

use crate::{occasions::Occasions, oracle::Oracle};

/// Something that happened at a correct replica.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A message left, and what it had to wait for is durable.
    Sent {
        /// Who sent it.
        by: ReplicaId,
        /// To whom.
        to: To,
        /// When, in virtual microseconds.
        at_us: u64,
        /// The message.
        message: &'a PeerMessage,
        /// The last record that is durable there.
        durable: PersistId,
    },
    /// A record was handed to storage.
    Recorded {
        /// By whom.
        by: ReplicaId,
        /// Its name.
        id: PersistId,
        /// The record.
        record: &'a Record,
    },
    /// A number was handed to the service and executed.
    Executed {
        /// By whom.
        by: ReplicaId,
        /// The number.
        seq_no: SeqNo,
        /// What was executed.
        proposal: &'a CheckedProposal,
        /// What it answered.
        replies: &'a [(ClientId, Reply)],
        /// The service after it.
        service: &'a Kernel,
        /// The last record handed to storage before.
        recorded: PersistId,
    },
    /// An answer left, and what it had to wait for is durable.
    Answered {
        /// Whose.
        by: ReplicaId,
        /// The answer.
        reply: &'a Reply,
        /// The last record that is durable there.
        durable: PersistId,
    },
    /// A replica took the digest of its state.
    Checkpointed {
        /// Who.
        by: ReplicaId,
        /// After which number.
        seq_no: SeqNo,
        /// The digest.
        state: Digest,
    },
    /// A step ended.
    Stepped {
        /// Whose.
        by: ReplicaId,
        /// The view it is in.
        view: View,
        /// Requests it holds.
        pooled: usize,
        /// Messages that wait for its storage.
        held: usize,
        /// Snapshots it keeps.
        snapshots: usize,
        /// Records it keeps.
        records: usize,
        /// How long a request waits here while links are good.
        wait: Option<Wait>,
        /// The most that it keeps on the word of one peer.
        of_peer: PeerMemory,
        /// Bytes of proposals it keeps that are not executed.
        undelivered: usize,
    },
    /// A replica lost everything that was not durable and was built anew.
    Restarted {
        /// Who.
        by: ReplicaId,
        /// The last number whose effects its service has.
        executed: SeqNo,
        /// The view it comes back in.
        view: View,
        /// The last record that was durable.
        durable: PersistId,
    },
    /// A replica lost its disk; it is built anew later.
    Forgot {
        /// Who.
        by: ReplicaId,
    },
    /// A replica took over a state that others vouched for.
    Installed {
        /// Who.
        by: ReplicaId,
        /// After which number.
        seq_no: SeqNo,
        /// The digest of the state.
        state: Digest,
    },
    /// A client accepted an answer.
    Accepted {
        /// The answer.
        reply: &'a Reply,
    },
    /// A client sent a request, for the first time or again.
    Asked {
        /// The request.
        request: &'a Request,
    },
    /// A correct replica holds somebody guilty.
    Blamed {
        /// Who says so.
        by: ReplicaId,
        /// Of what, and whom.
        misbehaviour: &'a Misbehaviour,
    },
}

/// How long a request waits at a replica that is in its view and lacks nothing.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// For so long, in microseconds, in this view and since links are good.
    pub us: u64,
    /// How long the replica gives its primary.
    pub timeout_us: u64,
}

/// What every rule may look at.
#[derive(Debug)]
pub struct Common {
    /// The cluster's public keys and quorums.
    pub keyring: Keyring,
    /// Numbers between checkpoints.
    pub interval: u64,
    /// How the correct replicas are tuned.
    pub tuning: Tuning,
    /// Which replicas are correct.
    pub correct: Vec<bool>,
    /// The agreed log and what the model says of it.
    pub oracle: Oracle,
    /// Which rules were exercised so far.
    pub occasions: Occasions,
    /// For signatures; of the kind that this run uses.
    pub checker: Checker,
    /// Virtual time, in microseconds.
    pub now_us: u64,
    /// How far a proposal's time may be from a replica's reading, in milliseconds.
    pub slack_ms: u64,
    /// How fast agreed time may pass; nothing is promised without.
    pub pace: Option<Pace>,
}

/// How fast agreed time may pass.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How far it may run ahead of the true time at once, in milliseconds.
    pub slack_ms: u64,
    /// And how much more in a thousand milliseconds.
    pub permille: u64,
}

impl Common {
    /// Whether a replica follows the protocol.
    #[must_use]
    pub fn is_correct(&self, replica: ReplicaId) -> bool {
        self.correct.get(usize::from(replica.0)) == Some(&true)
    }
}

/// A rule.
pub trait Invariant: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Takes a fact in.
    ///
    /// # Errors
    /// What is wrong, if the rule is broken.
    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String>;
}

/// Tells all rules of a fact; the name of the first that is broken, and how.
pub(crate) fn tell(
    rules: &mut [Box<dyn Invariant>],
    fact: &Fact<'_>,
    common: &mut Common,
) -> Result<(), (&'static str, String)> {
    for rule in rules {
        rule.observe(fact, common)
            .map_err(|what| (rule.name(), what))?;
    }
    Ok(())
}

/// All rules. Agreement comes first: what others conclude rests on it.
pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<agreement::Agreement>::default(),
        Box::<no_gap::NoGap>::default(),
        Box::<exactly_once::ExactlyOnce>::default(),
        Box::<certificates::CertificateSoundness>::default(),
        Box::<checkpoints::CheckpointEquality>::default(),
        Box::<views::ViewMonotonicity>::default(),
        Box::<votes::OneVote>::default(),
        Box::<window::VotesInWindow>::default(),
        Box::<model::ReplyEqualsModel>::default(),
        Box::<waiting::WaitingListEquality>::default(),
        Box::<bounded::BoundedMemory>::default(),
        Box::<starvation::NobodyStarves>::default(),
        Box::<innocent::Innocent>::default(),
        Box::<told::DurableBeforeTold>::default(),
        Box::<pace::AgreedTime>::default(),
        Box::<acknowledged::Acknowledged>::default(),
    ]
}

/// The phase of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The primary's.
    PrePrepare,
    /// The second.
    Prepare,
    /// The third.
    Commit,
}

/// The vote that a record is of.
pub(crate) fn vote_of(record: &Record) -> Option<(Phase, &Vote)> {
    match record {
        Record::PrePrepare(message) => Some((Phase::PrePrepare, &message.vote.body)),
        Record::Prepare(vote) => Some((Phase::Prepare, &vote.body)),
        Record::Commit { vote, .. } => Some((Phase::Commit, &vote.body)),
        _ => None,
    }
}
