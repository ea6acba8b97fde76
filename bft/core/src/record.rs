//! Encodes and decodes records, which a journal keeps and a restarting replica reads.
//!
//! A [`Record`] holds checked messages, which have no encoding of their own so
//! that nobody can make one from bytes. What is written is the plain message;
//! what is read back is checked for what its place in the log relies on: it
//! decodes canonically, and a proposal is the one its vote names. Signatures
//! are not checked again, since this replica did so before it wrote the record
//! and its journal seals what it holds. [`Record::lifetime`] tells a storage
//! what may be dropped when.

use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, DecodeError},
    effects::Record,
    ids::{IncarnationNonce, OrderedTime, SeqNo},
    message::{
        CheckpointVote, NewView, PrePrepare, Rejoin, Signed, SignedRequest, ViewChange, Vote,
    },
    verification::verified::CheckedPrePrepare,
};

/// Why bytes are no record of this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They are not the spelling of a record.
    #[error("no record: {0}")]
    Undecodable(#[from] DecodeError),
    /// A proposal is not the one its vote names.
    #[error("the proposal recorded for number {seq_no} is not the one voted for")]
    DigestMismatch {
        /// The number.
        seq_no: SeqNo,
    },
}

/// How long a record is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// Until [`Effect::Truncate`](crate::effects::Effect::Truncate) names this number or a
    /// higher one.
    Number(SeqNo),
    /// Until the next record of its kind, and until every record of a number between the two
    /// is gone: it says where the replica stands, and what a vote of that time is about.
    Latest(RecordKind),
}

/// Where a replica stands, apart from numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// The view it left for.
    Left,
    /// The view it entered.
    Entered,
    /// The view changes that led it there.
    Named,
    /// The nonce of its incarnation.
    Alive,
}

impl Record {
    /// How long this record is needed.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        Lifetime::Number(match self {
            Self::PrePrepare(message) => message.vote.body.seq_no,
            Self::Prepare(vote) | Self::Commit { vote, .. } => vote.body.seq_no,
            Self::Stable(_) => self.stable().unwrap_or_default(),
            Self::ViewChange(_) => return Lifetime::Latest(RecordKind::Left),
            Self::NewView(_) => return Lifetime::Latest(RecordKind::Entered),
            Self::NamedViewChanges(_) => return Lifetime::Latest(RecordKind::Named),
            Self::IncarnationNonce(_) => return Lifetime::Latest(RecordKind::Alive),
        })
    }

    /// The number of the checkpoint that this record says is stable.
    #[must_use]
    pub fn stable(&self) -> Option<SeqNo> {
        match self {
            Self::Stable(votes) => votes.first().map(|vote| vote.body.seq_no),
            _ => None,
        }
    }

    /// The bytes to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&match self {
            Self::PrePrepare(message) => Written::PrePrepare {
                vote: &message.vote,
                time: message.proposal.time(),
                requests: message
                    .proposal
                    .requests()
                    .iter()
                    .map(|request| request.signed())
                    .collect(),
                rejoins: message.proposal.rejoins(),
            },
            Self::Prepare(vote) => Written::Prepare(vote),
            Self::Commit { vote, prepares } => Written::Commit { vote, prepares },
            Self::Stable(votes) => Written::Stable(votes),
            Self::ViewChange(signed) => Written::ViewChange(signed),
            Self::NewView(signed) => Written::NewView(signed),
            Self::IncarnationNonce(nonce) => Written::IncarnationNonce(nonce),
            Self::NamedViewChanges(changes) => Written::NamedViewChanges(changes),
        })
    }

    /// The record that [`Record::encode`] made these bytes of.
    ///
    /// # Errors
    /// [`RecordError`] if it made them of none.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Ok(match codec::decode(bytes)? {
            Read::PrePrepare(message) => {
                let seq_no = message.vote.body.seq_no;
                let checked = CheckedPrePrepare::from_own_record(message)
                    .ok_or(RecordError::DigestMismatch { seq_no })?;
                Self::PrePrepare(checked)
            }
            Read::Prepare(vote) => Self::Prepare(vote),
            Read::Commit { vote, prepares } => Self::Commit { vote, prepares },
            Read::Stable(votes) => Self::Stable(votes),
            Read::ViewChange(signed) => Self::ViewChange(signed),
            Read::NewView(signed) => Self::NewView(signed),
            Read::IncarnationNonce(nonce) => Self::IncarnationNonce(nonce),
            Read::NamedViewChanges(changes) => Self::NamedViewChanges(changes),
        })
    }
}

/// A record as it is written: borrowed, since it is written on the way of every
/// operation. Variants are added at the end, here and in [`Read`] alike; their places
/// are the format of journals that exist.
#[derive(Serialize)]
enum Written<'a> {
    /// Spelled as [`PrePrepare`] is.
    PrePrepare {
        vote: &'a Signed<Vote>,
        time: OrderedTime,
        requests: Vec<&'a SignedRequest>,
        rejoins: &'a [Signed<Rejoin>],
    },
    Prepare(&'a Signed<Vote>),
    Commit {
        vote: &'a Signed<Vote>,
        prepares: &'a [Signed<Vote>],
    },
    Stable(&'a [Signed<CheckpointVote>]),
    ViewChange(&'a Signed<ViewChange>),
    NewView(&'a Signed<NewView>),
    IncarnationNonce(&'a IncarnationNonce),
    NamedViewChanges(&'a [Signed<ViewChange>]),
}

/// A record as it is read.
#[derive(Serialize, Deserialize)]
enum Read {
    PrePrepare(PrePrepare),
    Prepare(Signed<Vote>),
    Commit {
        vote: Signed<Vote>,
        prepares: Vec<Signed<Vote>>,
    },
    Stable(Vec<Signed<CheckpointVote>>),
    ViewChange(Signed<ViewChange>),
    NewView(Signed<NewView>),
    IncarnationNonce(IncarnationNonce),
    NamedViewChanges(Vec<Signed<ViewChange>>),
}
