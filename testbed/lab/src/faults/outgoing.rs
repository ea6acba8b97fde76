//! Delays, drops or changes messages to other replicas, as a fault asks.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bezant_bft::{
    crypto::Domain,
    ids::{OrderedTime, ReplicaId},
    message::{PeerMessage, PrePrepare, Signed, proposal_digest},
};
use bezant_node::strategy::Means;
use bytes::Bytes;

use super::Fault;

/// Most frames held back; more are lost, as on a link that is too slow.
const MAX_HELD: usize = 64 * 1024;

/// How long `fault` holds `message` back, where backups suspect a primary after
/// `suspect_after_us`.
pub(crate) fn delay_us(fault: Fault, message: &PeerMessage, suspect_after_us: u64) -> Option<u64> {
    match fault {
        Fault::Delay(ms) => Some(u64::from(ms) * 1000),
        // Late enough to hurt and, with the way there and a busy machine, not quite too late.
        Fault::SlowPrimary if matches!(message, PeerMessage::PrePrepare(_)) => {
            Some(suspect_after_us / 10 * 8)
        }
        _ => None,
    }
}

/// What an equivocating primary tells `to` instead of `message`: its own proposal at
/// another time, properly signed, and never the one that another backup gets.
pub(crate) fn equivocation(
    message: &PeerMessage,
    to: ReplicaId,
    means: &Means,
) -> Option<PeerMessage> {
    let PeerMessage::PrePrepare(PrePrepare { vote, proposal }) = message else {
        return None;
    };
    if vote.body.replica != means.replica {
        return None;
    }
    let (mut body, mut proposal) = (vote.body, proposal.clone());
    proposal.time = OrderedTime(proposal.time.0.saturating_add(1 + u64::from(to.0)));
    let requests = proposal.requests.iter();
    body.digest = proposal_digest(
        proposal.time,
        requests.map(|signed| signed.request.digest()),
        &proposal.rejoins,
    );
    let vote = Signed::new(body, Domain::PrePrepare, &means.cluster, &means.key);
    Some(PeerMessage::PrePrepare(PrePrepare { vote, proposal }))
}

/// Frames held back, by when they leave.
#[derive(Debug, Default)]
pub(crate) struct Held {
    frames: BTreeMap<(Instant, u64), (ReplicaId, Bytes)>,
    count: u64,
}

impl Held {
    /// Holds a frame for `us` microseconds from now; false if it is lost.
    pub(crate) fn hold(&mut self, us: u64, to: ReplicaId, frame: Bytes) -> bool {
        if self.frames.len() >= MAX_HELD {
            return false;
        }
        self.count = self.count.wrapping_add(1);
        let due = Instant::now() + Duration::from_micros(us);
        self.frames.insert((due, self.count), (to, frame));
        true
    }

    /// When the next one leaves.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.frames.first_key_value().map(|((due, _), _)| *due)
    }

    /// All of them, in order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (ReplicaId, Bytes)> + use<> {
        std::mem::take(&mut self.frames).into_values()
    }

    /// The next one that leaves by `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(ReplicaId, Bytes)> {
        self.due().filter(|due| *due <= now)?;
        self.frames.pop_first().map(|(_, frame)| frame)
    }
}

/// Chance, for losing messages; good enough for that and for nothing else (xorshift64).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without randomness from the system any sequence will do.
        let _any = getrandom::fill(&mut seed);
        Self(u64::from_le_bytes(seed) | 1)
    }
}

impl Dice {
    /// True `percent` of a hundred times.
    pub(crate) const fn falls(&mut self, percent: u8) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The lower bits are the weaker ones.
        (self.0 >> 32) % 100 < percent as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::{
        crypto::SigningKey,
        ids::{ClusterId, Digest, Epoch, Incarnation, SeqNo, View},
        message::{Proposal, Vote},
        replica::Tuning,
    };

    fn means() -> Means {
        Means {
            replica: ReplicaId(0),
            key: SigningKey::from_seed([1; 32]),
            cluster: ClusterId([7; 32]),
            replicas: 4,
            tuning: Tuning::default(),
        }
    }

    fn proposal(from: u8) -> PeerMessage {
        let body = Vote {
            epoch: Epoch(0),
            replica: ReplicaId(from),
            incarnation: Incarnation(0),
            view: View(0),
            seq_no: SeqNo(1),
            digest: Digest([0; 32]),
        };
        let key = SigningKey::from_seed([1; 32]);
        let vote = Signed::new(body, Domain::PrePrepare, &ClusterId([7; 32]), &key);
        PeerMessage::PrePrepare(PrePrepare {
            vote,
            proposal: Proposal {
                time: OrderedTime(100),
                requests: Vec::new(),
                rejoins: Vec::new(),
            },
        })
    }

    /// No two backups are told the same, and each is told its own again.
    #[test]
    fn every_backup_is_proposed_something_else_that_is_sound_in_itself() {
        let means = means();
        let message = proposal(0);
        let mut digests = std::collections::BTreeSet::new();
        for to in 1..4 {
            let told = equivocation(&message, ReplicaId(to), &means).unwrap();
            let again = equivocation(&message, ReplicaId(to), &means);
            assert_eq!(again.as_ref(), Some(&told));
            let PeerMessage::PrePrepare(PrePrepare { vote, proposal }) = told else {
                panic!("another kind of message");
            };
            let digest = proposal_digest(proposal.time, std::iter::empty(), &[]);
            assert_eq!(vote.body.digest, digest);
            assert_eq!(
                vote,
                Signed::new(vote.body, Domain::PrePrepare, &means.cluster, &means.key)
            );
            digests.insert(digest);
        }
        assert_eq!(digests.len(), 3);
        // What another primary proposed is passed on as it was.
        assert_eq!(equivocation(&proposal(1), ReplicaId(2), &means), None);
    }

    #[test]
    fn held_frames_leave_in_order_and_not_before_their_time() {
        let mut held = Held::default();
        let frame = |byte: u8| Bytes::from(vec![byte]);
        assert!(held.hold(10_000_000, ReplicaId(1), frame(1)));
        assert!(held.hold(0, ReplicaId(1), frame(2)));
        let now = Instant::now();
        assert_eq!(held.take(now), Some((ReplicaId(1), frame(2))));
        assert_eq!(held.take(now), None);
        assert!(held.due().unwrap() > now);
        let later = held.take(now + Duration::from_secs(11));
        assert_eq!(later, Some((ReplicaId(1), frame(1))));
        assert_eq!(held.due(), None);
    }

    #[test]
    fn only_proposals_are_slow_and_everything_is_delayed() {
        let status = PeerMessage::Status(bezant_bft::message::Status {
            epoch: Epoch(0),
            view: View(0),
            active: true,
            executed: SeqNo(0),
            wants: false,
        });
        let slow = delay_us(Fault::SlowPrimary, &proposal(0), 1_000_000).unwrap();
        assert!((500_000..1_000_000).contains(&slow));
        assert_eq!(delay_us(Fault::SlowPrimary, &status, 1_000_000), None);
        assert_eq!(delay_us(Fault::Delay(20), &status, 1_000_000), Some(20_000));
        assert_eq!(delay_us(Fault::Drop(20), &status, 1_000_000), None);
    }

    #[test]
    fn dice_fall_about_as_often_as_asked() {
        let mut dice = Dice::default();
        assert!((0..1000).all(|_| dice.falls(100)));
        let falls = (0..10_000).filter(|_| dice.falls(30)).count();
        assert!((2_500..3_500).contains(&falls), "{falls}");
    }
}
