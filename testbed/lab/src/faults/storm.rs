//! A replica that asks its peers for everything, all the time.
//!
//! Small questions with large answers: status reports of one that has executed nothing and
//! wants all, proposals by their digests, the state from its beginning; and view changes for
//! ever higher views, each of which its peers check. Every one of them is a message that a
//! correct replica may send.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bezant_bft::{
    codec,
    crypto::Domain,
    ids::{Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    limits::MAX_RESENT_NUMBERS,
    message::{AskProposals, AskState, PeerMessage, ReplicaMessage, Signed, Status, ViewChange},
    verification::Unverified,
};
use bezant_node::strategy::{Frames, Means, Strategy};
use bytes::Bytes;

use super::{hoard::others, seen::Seen};
use crate::processor::Share;

/// How often it asks.
const ASKS_EVERY: Duration = Duration::from_millis(5);

/// How many questions of each kind it asks every peer then.
const QUESTIONS: usize = 16;

/// Asks within its share of the processor.
#[derive(Debug)]
pub(crate) struct Storm {
    means: Means,
    share: Share,
    seen: Seen,
    /// The last proposals that it heard of.
    proposals: VecDeque<(SeqNo, Digest)>,
    view: View,
    asks_at: Instant,
    hits: u64,
}

impl Storm {
    /// One whose process is held to `percent` of a processor.
    pub(crate) fn new(means: Means, percent: u8) -> Self {
        Self {
            means,
            share: Share::new(percent),
            seen: Seen::default(),
            proposals: VecDeque::new(),
            view: View(0),
            asks_at: Instant::now(),
            hits: 0,
        }
    }

    fn questions(&mut self) -> Vec<Bytes> {
        let status = Status {
            epoch: Epoch(0),
            view: self.seen.view,
            active: true,
            executed: SeqNo(0),
            wants: true,
        };
        let proposals = AskProposals {
            wanted: self.proposals.iter().copied().collect(),
        };
        let state = AskState {
            seq_no: self.seen.checkpoint,
            offset: 0,
        };
        self.view = View(self.view.0.max(self.seen.view.0) + 1);
        let leaves = ViewChange {
            epoch: Epoch(0),
            replica: self.means.replica,
            incarnation: Incarnation(0),
            view: self.view,
            stable: SeqNo(0),
            checkpoint: Vec::new(),
            prepared: Vec::new(),
        };
        let Means { cluster, key, .. } = &self.means;
        let leaves = Signed::new(leaves, Domain::ViewChange, cluster, key);
        let asked = [
            PeerMessage::Status(status),
            PeerMessage::AskProposals(proposals),
            PeerMessage::AskState(state),
        ];
        let asked = asked.map(|message| Bytes::from(codec::encode(&message)));
        let mut questions: Vec<Bytes> = asked.into_iter().cycle().take(3 * QUESTIONS).collect();
        let leaves = codec::encode(&PeerMessage::ViewChange(leaves));
        questions.push(Bytes::from(leaves));
        questions
    }
}

impl Strategy for Storm {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        self.seen.note(message);
        frames.push((to, Bytes::from(codec::encode(message))));
        true
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        Some(message)
    }

    fn due(&self) -> Option<Instant> {
        Some(self.asks_at)
    }

    fn release(&mut self, now: Instant, frames: &mut Frames) {
        if now < self.asks_at {
            return;
        }
        self.asks_at = now + ASKS_EVERY;
        if !self.share.has_left(now) {
            return;
        }
        let questions = self.questions();
        for to in others(&self.means) {
            self.hits += questions.len() as u64;
            frames.extend(questions.iter().map(|question| (to, question.clone())));
        }
    }

    fn release_all(&mut self, _: &mut Frames) {}

    fn hear(&mut self, message: &Unverified) -> bool {
        let message = message.peek();
        self.seen.note(message);
        if let PeerMessage::PrePrepare(first) = message {
            self.proposals
                .push_back((first.vote.body.seq_no, first.vote.body.digest));
            while self.proposals.len() as u64 > MAX_RESENT_NUMBERS {
                self.proposals.pop_front();
            }
        }
        // What it asked for it does not read.
        !matches!(message, PeerMessage::Content(_) | PeerMessage::State(_))
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
