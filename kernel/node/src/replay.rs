//! Executes the proposals of a journal again, and shows what extensions did.
//!
//! The journal has the state of a checkpoint and, above it, every proposal with the votes that
//! this replica cast on it; executing these again from that state gives what it gave, since
//! nothing else counts. Nothing is sent, and the folder is left as it is. The replica must not
//! run meanwhile, or a copy of its folder be used.

use std::{collections::BTreeMap, sync::Arc};

use bezant_bft::{
    effects::Record,
    ids::{ClientId, Digest, SeqNo, View},
    message::Reply,
    rejoin::split_state,
    service::{Replies, Service},
    verification::CheckedProposal,
};
use bezant_kernel::{Kernel, Traced};
use bezant_replica::Kept;

use crate::{
    NodeError,
    config::{NodeConfig, StorageKind},
    open_journal,
};

/// What was executed at one number.
#[derive(Debug)]
pub struct Replayed {
    /// The proposal.
    pub proposal: Arc<CheckedProposal>,
    /// All calls of extensions, in order.
    pub calls: Vec<Traced>,
    /// All replies, in order.
    pub replies: Vec<(ClientId, Reply)>,
}

/// Why a number cannot be executed again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The replica's data cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The replica keeps nothing.
    #[error("this replica keeps no journal; only one with storage = \"sync\" does")]
    NoJournal,
    /// The number is not among those kept.
    #[error(
        "the journal holds the numbers after {from} up to {to}, not {wanted}; another replica's may hold it"
    )]
    NotThere {
        /// The number.
        wanted: u64,
        /// The state before the first one.
        from: u64,
        /// The last one.
        to: u64,
    },
}

/// Executes everything up to `number` again and tells of that number.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(config: &NodeConfig, seq_no: SeqNo) -> Result<Replayed, ReplayError> {
    if config.storage == StorageKind::Memory {
        return Err(ReplayError::NoJournal);
    }
    let (_journal, kept) = open_journal(config)?;
    let proposals = decided(&kept);
    let mut kernel = Kernel::new(config.cluster.genesis());
    let mut from = SeqNo(0);
    let states = kept.snapshot.into_iter().chain(kept.later);
    let newest = states
        .filter(|(at, _)| *at < seq_no)
        .max_by_key(|(at, _)| *at);
    if let Some((at, state)) = newest {
        let (_, service) = split_state(&state).map_err(NodeError::Snapshot)?;
        let restored = kernel.restore(&service.content());
        restored.map_err(NodeError::Snapshot)?;
        from = at;
    }
    let to = proposals.keys().next_back().copied().unwrap_or(from);
    let not_there = || ReplayError::NotThere {
        wanted: seq_no.0,
        from: from.0,
        to: to.0,
    };
    let mut at = from;
    loop {
        at = at.next();
        let proposal = proposals.get(&at).ok_or_else(not_there)?;
        if at == seq_no {
            kernel.trace(true);
        }
        let mut replies = Replies::new();
        kernel.execute(at, proposal, &mut replies);
        if at >= seq_no {
            return Ok(Replayed {
                proposal: Arc::clone(proposal),
                calls: kernel.take_trace(),
                replies,
            });
        }
    }
}

/// The proposals among the records: of each number the one with this replica's latest commit,
/// or else the latest that it took.
fn decided(kept: &Kept) -> BTreeMap<SeqNo, Arc<CheckedProposal>> {
    let mut committed: BTreeMap<SeqNo, (View, Digest)> = BTreeMap::new();
    for record in &kept.records {
        if let Record::Commit { vote, .. } = record {
            let vote = vote.body;
            let latest = committed
                .entry(vote.seq_no)
                .or_insert((vote.view, vote.digest));
            if latest.0 <= vote.view {
                *latest = (vote.view, vote.digest);
            }
        }
    }
    let mut proposals = BTreeMap::new();
    for record in &kept.records {
        if let Record::PrePrepare(taken) = record {
            let vote = taken.vote.body;
            let other = committed
                .get(&vote.seq_no)
                .is_some_and(|(_, digest)| *digest != vote.digest);
            if !other {
                proposals.insert(vote.seq_no, Arc::clone(&taken.proposal));
            }
        }
    }
    proposals
}
