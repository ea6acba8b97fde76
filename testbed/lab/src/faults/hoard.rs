//! A backup that keeps its votes to itself and leaves its view early.
//!
//! It signs a prepare and a commit for everything and sends none of them, so that the others
//! have to agree without it, and it alone can show certificates with its own prepare in them. It
//! shows them in view changes for the next view, which nobody else wants yet: they hold, and
//! one replica moves nobody.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bezant_bft::{
    codec,
    crypto::Domain,
    ids::{Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{
        CheckpointVote, PeerMessage, PreparedCertificate, ReplicaMessage, Signed, ViewChange, Vote,
    },
    quorum::Quorum,
    verification::Unverified,
};
use bezant_node::strategy::{Frames, Means, Strategy};
use bytes::Bytes;

use super::seen::Seen;

/// How often it leaves for the next view.
const LEAVES_EVERY: Duration = Duration::from_secs(1);

/// Most numbers whose votes it keeps: what a view change may show.
const MAX_KEPT: usize = 512;

/// What it keeps of one number: the pre-prepare and the prepares, by their signers.
#[derive(Debug, Default)]
struct Kept {
    pre_prepare: Option<Signed<Vote>>,
    prepares: BTreeMap<ReplicaId, Signed<Vote>>,
}

/// Keeps votes, its own and what it needs to prove them.
#[derive(Debug)]
pub(crate) struct Hoard {
    means: Means,
    strong: usize,
    seen: Seen,
    /// By view and number.
    kept: BTreeMap<(View, SeqNo), Kept>,
    checkpoints: BTreeMap<(SeqNo, Digest), BTreeMap<ReplicaId, Signed<CheckpointVote>>>,
    /// The view change that it said last, encoded: it says no other for that view, which would
    /// convict it.
    said: Option<(View, Bytes)>,
    leaves_at: Instant,
    hits: u64,
}

impl Hoard {
    pub(crate) fn new(means: Means) -> Self {
        let strong = Quorum::new(usize::from(means.replicas)).map_or(usize::MAX, Quorum::strong);
        Self {
            means,
            strong,
            seen: Seen::default(),
            kept: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            said: None,
            leaves_at: Instant::now(),
            hits: 0,
        }
    }

    fn keep(&mut self, message: &PeerMessage) {
        self.seen.note(message);
        match message {
            PeerMessage::PrePrepare(first) => {
                let place = (first.vote.body.view, first.vote.body.seq_no);
                self.kept.entry(place).or_default().pre_prepare = Some(first.vote);
            }
            PeerMessage::Prepare(vote) => {
                let place = (vote.body.view, vote.body.seq_no);
                let kept = self.kept.entry(place).or_default();
                kept.prepares.insert(vote.body.replica, *vote);
            }
            PeerMessage::Checkpoint(vote) => {
                let place = (vote.body.seq_no, vote.body.digest);
                let votes = self.checkpoints.entry(place).or_default();
                votes.insert(vote.body.replica, *vote);
            }
            _ => {}
        }
        while self.kept.len() > MAX_KEPT {
            self.kept.pop_first();
        }
    }

    /// The highest checkpoint that it can prove stable, with the proof; the beginning of the
    /// log if there is none. What lies below is forgotten.
    fn stable(&mut self) -> (SeqNo, Vec<Signed<CheckpointVote>>) {
        let strong = self.strong;
        let mut proven = self.checkpoints.iter().rev();
        let proven = proven.find(|(_, votes)| votes.len() >= strong);
        let Some((&(seq_no, _), votes)) = proven else {
            return (SeqNo(0), Vec::new());
        };
        let votes = votes.values().take(strong).copied().collect();
        self.checkpoints.retain(|(other, _), _| *other >= seq_no);
        self.kept.retain(|(_, other), _| *other > seq_no);
        (seq_no, votes)
    }

    /// Its view change for the next view; the same again if it said one, or its own replica did.
    fn leave(&mut self) -> Bytes {
        let view = View(self.seen.view.0 + 1);
        if let Some((said, message)) = &self.said
            && *said >= view
        {
            return message.clone();
        }
        let message = Bytes::from(codec::encode(&self.view_change(view)));
        self.said = Some((view, message.clone()));
        message
    }

    /// Its view change for a view, with everything that it can prove prepared.
    fn view_change(&mut self, view: View) -> PeerMessage {
        let (stable, checkpoint) = self.stable();
        let needed = self.strong.saturating_sub(1);
        let me = self.means.replica;
        let mut prepared = BTreeMap::new();
        for ((_, seq_no), kept) in &self.kept {
            let Some(pre_prepare) = kept.pre_prepare else {
                continue;
            };
            // Its own first: nobody else has such a certificate.
            let own = kept.prepares.get(&me).into_iter();
            let others = kept
                .prepares
                .values()
                .filter(|vote| vote.body.replica != me);
            let alike = own
                .chain(others)
                .filter(|vote| vote.body.digest == pre_prepare.body.digest);
            let prepares: Vec<_> = alike.take(needed).copied().collect();
            if prepares.len() == needed {
                // Later views come later.
                prepared.insert(
                    *seq_no,
                    PreparedCertificate {
                        pre_prepare,
                        prepares,
                    },
                );
            }
        }
        let body = ViewChange {
            epoch: Epoch(0),
            replica: me,
            incarnation: Incarnation(0),
            view,
            stable,
            checkpoint,
            prepared: prepared.into_values().collect(),
        };
        let Means { cluster, key, .. } = &self.means;
        PeerMessage::ViewChange(Signed::new(body, Domain::ViewChange, cluster, key))
    }
}

impl Strategy for Hoard {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        self.keep(message);
        let (me, view) = (self.means.replica, View(self.seen.view.0 + 1));
        if let PeerMessage::ViewChange(change) = message
            && change.body.replica == me
        {
            // What it said early stands; its own replica's for the same view is not said, too.
            let early = self.said.as_ref();
            let early = early.filter(|(said, _)| *said == change.body.view);
            let frame = match early {
                Some((_, frame)) => frame.clone(),
                None => Bytes::from(codec::encode(message)),
            };
            if change.body.view >= view {
                self.said = Some((change.body.view, frame.clone()));
            }
            frames.push((to, frame));
            return true;
        }
        let own = match message {
            PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => vote.body.replica == me,
            _ => false,
        };
        if own {
            self.hits += 1;
        } else {
            frames.push((to, Bytes::from(codec::encode(message))));
        }
        true
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        Some(message)
    }

    fn due(&self) -> Option<Instant> {
        Some(self.leaves_at)
    }

    fn release(&mut self, now: Instant, frames: &mut Frames) {
        if now < self.leaves_at {
            return;
        }
        self.leaves_at = now + LEAVES_EVERY;
        let message = self.leave();
        self.hits += 1;
        for to in others(&self.means) {
            frames.push((to, message.clone()));
        }
    }

    fn release_all(&mut self, _: &mut Frames) {}

    fn hear(&mut self, message: &Unverified) -> bool {
        self.keep(message.peek());
        true
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// All replicas but the one that these are the means of.
pub(crate) fn others(means: &Means) -> impl Iterator<Item = ReplicaId> + use<> {
    let (me, n) = (means.replica, means.replicas);
    (0..n).map(ReplicaId).filter(move |replica| *replica != me)
}
