//! Decisions that nobody made: other proposals, thin certificates, claims.

use bezant_bft::{
    crypto::Domain,
    ids::{Epoch, Incarnation, OrderedTime, ReplicaId, SeqNo, View},
    message::{Decided, PeerMessage, Proposal, Vote},
};

use super::{
    Instead, Means, Strategy,
    means::{alter, digest_of},
};

/// Answers those who lag with false decisions, and tells of some when nobody asked.
#[derive(Debug, Default)]
pub(super) struct FalseDecided {
    hits: u64,
}

impl Strategy for FalseDecided {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        match message {
            PeerMessage::Decided(decided) if means.rng.chance(800) => {
                self.hits += 1;
                let spoiled = spoiled(means, decided.clone());
                out.say(&PeerMessage::Decided(spoiled));
            }
            PeerMessage::Commit(vote) => {
                out.say(message);
                if means.rng.chance(50) {
                    self.hits += 1;
                    let seq_no = SeqNo(vote.body.seq_no.0 + means.rng.below(3));
                    out.say(&PeerMessage::Decided(invented(seq_no)));
                }
            }
            _ => out.say(message),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// A claim that depends on its number alone, so that liars agree.
fn invented(seq_no: SeqNo) -> Decided {
    Decided {
        seq_no,
        proposal: Proposal {
            time: OrderedTime(seq_no.0),
            requests: Vec::new(),
            rejoins: Vec::new(),
        },
        commits: Vec::new(),
    }
}

fn spoiled(means: &mut Means<'_>, mut decided: Decided) -> Decided {
    match means.rng.below(7) {
        0 => alter(&mut decided.proposal),
        1 => {
            decided.commits.pop();
        }
        2 => {
            decided.commits.clear();
            alter(&mut decided.proposal);
        }
        3 => {
            if let Some(first) = decided.commits.first().copied() {
                decided.commits.fill(first);
            }
        }
        4 => decided.seq_no = decided.seq_no.next(),
        5 => decided = invented(decided.seq_no),
        _ => {
            alter(&mut decided.proposal);
            let (seq_no, digest) = (decided.seq_no, digest_of(&decided.proposal));
            let view = decided.commits.first();
            let view = view.map_or(View(0), |vote| vote.body.view);
            let voters = means.quorum.members().take(means.quorum.strong());
            let votes = voters.map(|replica| Vote {
                epoch: Epoch(0),
                replica,
                incarnation: Incarnation::default(),
                view,
                seq_no,
                digest,
            });
            decided.commits = votes.map(|vote| means.vote(vote, Domain::Commit)).collect();
        }
    }
    decided
}
