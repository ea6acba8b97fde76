//! A primary that tells some one proposal and others another at the same number.

use bezant_bft::{
    crypto::Domain,
    ids::{OrderedTime, ReplicaId},
    message::{PeerMessage, PrePrepare, Vote, proposal_digest},
};

use super::{Instead, Means, Strategy};

/// Proposes two things at one number; votes of the two camps go along.
#[derive(Debug, Default)]
pub(super) struct Equivocation {
    hits: u64,
}

impl Strategy for Equivocation {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let PeerMessage::PrePrepare(first) = message else {
            out.say(message);
            return;
        };
        // Whoever stands in the upper half hears of the second proposal; a few hear both.
        let second = u64::from(to.0) * 2 >= u64::from(means.n);
        if first.vote.body.replica != means.me || !second {
            out.say(message);
            return;
        }
        self.hits += 1;
        let both = means.rng.chance(200);
        if both {
            out.say(message);
        }
        out.say(&PeerMessage::PrePrepare(other(means, first)));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// The same proposal a moment later and without its last request: valid and different.
fn other(means: &Means<'_>, first: &PrePrepare) -> PrePrepare {
    let mut proposal = first.proposal.clone();
    proposal.time = OrderedTime(proposal.time.0 + 1);
    if proposal.requests.len() > 1 {
        proposal.requests.pop();
    }
    let requests = proposal.requests.iter();
    let digest = proposal_digest(
        proposal.time,
        requests.map(|signed| signed.request.digest()),
    );
    let vote = Vote {
        digest,
        ..first.vote.body
    };
    PrePrepare {
        vote: means.vote(vote, Domain::PrePrepare),
        proposal,
    }
}
