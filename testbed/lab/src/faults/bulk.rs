//! A replica that sends its peers as much as a message may hold, all the time.
//!
//! Claims of decisions and proposals for a view that it will lead, each as large as a proposal
//! may be; contents and parts of a state that nobody asked for. The requests in them are of a
//! client of its own, properly signed.

use std::time::{Duration, Instant};

use bezant_bft::{
    codec,
    crypto::{Domain, SigningKey},
    ids::{Epoch, Incarnation, OrderedTime, ReplicaId, RequestNumber, SeqNo, SessionId},
    limits::{MAX_OP_BYTES, MAX_PROPOSAL_BYTES, STATE_PART_BYTES},
    message::{
        Content, Decided, PeerMessage, PrePrepare, Proposal, ReplicaMessage, Request, Signed,
        StatePart, Vote, proposal_digest,
    },
    verification::Unverified,
};
use bezant_node::strategy::{Frames, Means, Strategy};
use bytes::Bytes;

use super::{hoard::others, seen::Seen};
use crate::processor::Share;

/// How often it sends.
const SENDS_EVERY: Duration = Duration::from_millis(20);

/// How far ahead of what it saw its claims go: within the watermarks.
const AHEAD: u64 = 256;

/// The operations in a proposal of its own: three of the largest, and one that fills it up.
const OPS: [usize; 4] = [
    MAX_OP_BYTES,
    MAX_OP_BYTES,
    MAX_OP_BYTES,
    MAX_PROPOSAL_BYTES - 3 * MAX_OP_BYTES - 4096,
];

/// Sends within its share of the processor.
#[derive(Debug)]
pub(crate) struct Bulk {
    means: Means,
    share: Share,
    seen: Seen,
    /// Made when it is needed first.
    proposal: Option<Proposal>,
    sends_at: Instant,
    count: u64,
    hits: u64,
}

impl Bulk {
    /// One whose process is held to `percent` of a processor.
    pub(crate) fn new(means: Means, percent: u8) -> Self {
        Self {
            means,
            share: Share::new(percent),
            seen: Seen::default(),
            proposal: None,
            sends_at: Instant::now(),
            count: 0,
            hits: 0,
        }
    }

    /// Requests of a client of its own, as many bytes as a proposal may have. What they ask for
    /// is nothing that the service knows.
    fn proposal(&self) -> Proposal {
        let client = SigningKey::from_seed([self.means.replica.0; 32]);
        let requests = (1..).zip(OPS).map(|(number, bytes)| {
            let request = Request {
                client: client.client(),
                session: SessionId(1),
                number: RequestNumber(number),
                acked: Vec::new(),
                op: Bytes::from(vec![0x5a; bytes]),
            };
            request.sign(&self.means.cluster, &client)
        });
        Proposal {
            time: OrderedTime(1),
            requests: requests.collect(),
            rejoins: Vec::new(),
        }
    }

    fn messages(&mut self) -> [PeerMessage; 4] {
        let mut proposal = match self.proposal.take() {
            Some(proposal) => proposal,
            None => self.proposal(),
        };
        // Another one every time, by its digest.
        self.count += 1;
        proposal.time = OrderedTime(self.count);
        self.proposal = Some(proposal.clone());
        let seq_no = SeqNo(self.seen.seq_no.0 + 1 + self.count % AHEAD);
        let requests = proposal.requests.iter();
        let digest = proposal_digest(
            proposal.time,
            requests.map(|signed| signed.request.digest()),
            &proposal.rejoins,
        );
        let Means { cluster, key, .. } = &self.means;
        let vote = Vote {
            epoch: Epoch(0),
            replica: self.means.replica,
            incarnation: Incarnation(0),
            view: self
                .seen
                .next_led_by(self.means.replica.0, self.means.replicas),
            seq_no,
            digest,
        };
        let vote = Signed::new(vote, Domain::PrePrepare, cluster, key);
        let part = StatePart {
            seq_no: self.seen.checkpoint,
            total: u64::MAX,
            offset: 0,
            bytes: Bytes::from(vec![0x5a; STATE_PART_BYTES]),
        };
        [
            PeerMessage::Decided(Decided {
                seq_no,
                proposal: proposal.clone(),
                commits: Vec::new(),
            }),
            PeerMessage::Content(Content {
                seq_no,
                proposal: proposal.clone(),
            }),
            PeerMessage::PrePrepare(PrePrepare { vote, proposal }),
            PeerMessage::State(part),
        ]
    }
}

impl Strategy for Bulk {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        self.seen.note(message);
        frames.push((to, Bytes::from(codec::encode(message))));
        true
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        Some(message)
    }

    fn due(&self) -> Option<Instant> {
        Some(self.sends_at)
    }

    fn release(&mut self, now: Instant, frames: &mut Frames) {
        if now < self.sends_at {
            return;
        }
        self.sends_at = now + SENDS_EVERY;
        if !self.share.has_left(now) {
            return;
        }
        let messages = self.messages();
        let messages = messages.map(|message| Bytes::from(codec::encode(&message)));
        for to in others(&self.means) {
            self.hits += messages.len() as u64;
            frames.extend(messages.iter().map(|message| (to, message.clone())));
        }
    }

    fn release_all(&mut self, _: &mut Frames) {}

    fn hear(&mut self, message: &Unverified) -> bool {
        self.seen.note(message.peek());
        true
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::{ids::ClusterId, limits::MAX_PEER_MESSAGE_BYTES, replica::Tuning};

    /// As large as it may be and no larger: nobody is to be blamed for it.
    #[test]
    fn its_proposals_are_the_largest_that_are_legal() {
        let mut bulk = Bulk::new(
            Means {
                replica: ReplicaId(3),
                key: SigningKey::from_seed([1; 32]),
                cluster: ClusterId([7; 32]),
                replicas: 4,
                tuning: Tuning::default(),
            },
            20,
        );
        let bytes = codec::encode(&bulk.proposal()).len();
        assert!(
            (MAX_PROPOSAL_BYTES - 4096..=MAX_PROPOSAL_BYTES).contains(&bytes),
            "{bytes}"
        );
        for message in bulk.messages() {
            assert!(codec::encode(&message).len() <= MAX_PEER_MESSAGE_BYTES);
        }
    }
}
