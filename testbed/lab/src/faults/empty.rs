//! A primary that proposes nothing, faster than it would be suspected, while requests wait.
//!
//! Its own replica's proposals do not leave. In their place it proposes the time and nothing
//! else, at the number after the highest that it saw, a few times within the view-change timeout.
//! Its peers decide these and tell its own replica, as they would any replica that lags.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bezant_bft::{
    codec,
    crypto::Domain,
    ids::{Epoch, Incarnation, OrderedTime, ReplicaId},
    message::{PeerMessage, PrePrepare, Proposal, ReplicaMessage, Signed, Vote, proposal_digest},
    verification::Unverified,
};
use bezant_node::strategy::{Frames, Means, Strategy};
use bytes::Bytes;

use super::{hoard::others, seen::Seen};

/// How often it proposes within the time after which it would be suspected.
const WITHIN_TIMEOUT: u32 = 4;

/// Proposes nothing as long as it leads.
#[derive(Debug)]
pub(crate) struct EmptyProposals {
    means: Means,
    seen: Seen,
    proposes_at: Instant,
    hits: u64,
}

impl EmptyProposals {
    pub(crate) fn new(means: Means) -> Self {
        // What its own replica proposed before is decided by then, and its number seen.
        let proposes_at = Instant::now() + pause(&means);
        Self {
            means,
            seen: Seen::default(),
            proposes_at,
            hits: 0,
        }
    }

    /// Whether it leads the view that it saw last.
    fn leads(&self) -> bool {
        self.seen.view.0 % u64::from(self.means.replicas.max(1)) == u64::from(self.means.replica.0)
    }

    /// Its next proposal: the time, and no request.
    fn nothing(&self) -> PeerMessage {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = now.map_or(1, |now| u64::try_from(now.as_millis()).unwrap_or(1));
        let time = OrderedTime(ms);
        let vote = Vote {
            epoch: Epoch(0),
            replica: self.means.replica,
            incarnation: Incarnation(0),
            view: self.seen.view,
            seq_no: self.seen.seq_no.next(),
            digest: proposal_digest(time, std::iter::empty(), &[]),
        };
        let Means { cluster, key, .. } = &self.means;
        PeerMessage::PrePrepare(PrePrepare {
            vote: Signed::new(vote, Domain::PrePrepare, cluster, key),
            proposal: Proposal {
                time,
                requests: Vec::new(),
                rejoins: Vec::new(),
            },
        })
    }
}

/// The time between two of its proposals.
fn pause(means: &Means) -> Duration {
    Duration::from_micros(means.tuning.suspect_after_us) / WITHIN_TIMEOUT
}

impl Strategy for EmptyProposals {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        // What does not leave is not seen: its number is free.
        if let PeerMessage::PrePrepare(first) = message
            && first.vote.body.replica == self.means.replica
        {
            self.hits += 1;
            return true;
        }
        self.seen.note(message);
        frames.push((to, Bytes::from(codec::encode(message))));
        true
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        Some(message)
    }

    fn due(&self) -> Option<Instant> {
        Some(self.proposes_at)
    }

    fn release(&mut self, now: Instant, frames: &mut Frames) {
        if now < self.proposes_at {
            return;
        }
        self.proposes_at = now + pause(&self.means);
        // Until it heard of a number it does not know which is free.
        if self.seen.seq_no.0 == 0 || !self.leads() {
            return;
        }
        let message = self.nothing();
        self.seen.note(&message);
        let message = Bytes::from(codec::encode(&message));
        for to in others(&self.means) {
            self.hits += 1;
            frames.push((to, message.clone()));
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
    use bezant_bft::{
        crypto::SigningKey,
        ids::{ClusterId, SeqNo, View},
        replica::Tuning,
    };

    /// As long as it leads, at a free number; and what its replica proposes does not leave.
    #[test]
    fn it_proposes_the_time_at_the_next_number_and_nothing_else() {
        let mut strategy = EmptyProposals::new(Means {
            replica: ReplicaId(0),
            key: SigningKey::from_seed([1; 32]),
            cluster: ClusterId([7; 32]),
            replicas: 4,
            tuning: Tuning::default(),
        });
        let (mut frames, later) = (Frames::new(), strategy.proposes_at);
        strategy.release(later, &mut frames);
        assert_eq!(frames.len(), 0, "it has seen nothing");
        strategy.seen.seq_no = SeqNo(7);
        strategy.release(later + Duration::from_secs(1), &mut frames);
        assert_eq!(frames.len(), 3);
        let PeerMessage::PrePrepare(first) = codec::decode(&frames[0].1).unwrap() else {
            panic!("another kind of message");
        };
        assert!(first.proposal.requests.is_empty());
        assert_eq!(first.vote.body.seq_no, SeqNo(8));
        frames.clear();
        let own = PeerMessage::PrePrepare(first);
        assert!(strategy.send_peer(ReplicaId(1), &own, &mut frames));
        strategy.seen.view = View(1);
        strategy.release(later + Duration::from_secs(2), &mut frames);
        assert_eq!(frames.len(), 0, "another one leads");
        assert_eq!(strategy.hits(), 4);
    }
}
