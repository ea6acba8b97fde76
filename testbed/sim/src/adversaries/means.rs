//! What attackers do often: votes, proposals and certificates changed and signed again.
//!
//! An attacker has one key. Whatever it makes up bears that key's signature,
//! whoever it names.

use bezant_bft::{
    crypto::Domain,
    ids::{Digest, Epoch, Incarnation, OrderedTime, ReplicaId, SeqNo, View},
    message::{
        CheckpointVote, NewView, PeerMessage, PrePrepare, PreparedCertificate, Proposal, Signed,
        ViewChange, Vote, proposal_digest,
    },
};

use super::{Instead, Means};

/// What the votes of all phases and those on checkpoints have in common.
pub(super) struct Ballot<'v> {
    pub(super) epoch: &'v mut Epoch,
    pub(super) replica: &'v mut ReplicaId,
    /// None in a vote on a checkpoint.
    pub(super) view: Option<&'v mut View>,
    pub(super) digest: &'v mut Digest,
}

impl<'v> Ballot<'v> {
    const fn of_vote(vote: &'v mut Vote) -> Self {
        Self {
            epoch: &mut vote.epoch,
            replica: &mut vote.replica,
            view: Some(&mut vote.view),
            digest: &mut vote.digest,
        }
    }

    const fn of_checkpoint(vote: &'v mut CheckpointVote) -> Self {
        Self {
            epoch: &mut vote.epoch,
            replica: &mut vote.replica,
            view: None,
            digest: &mut vote.digest,
        }
    }
}

impl Means<'_> {
    /// The attacker's own pre-prepare, which is not sent yet; any other message is passed on.
    pub(super) fn own_pre_prepare<'m>(
        &self,
        message: &'m PeerMessage,
        out: &mut Instead,
    ) -> Option<&'m PrePrepare> {
        match message {
            PeerMessage::PrePrepare(own) if own.vote.body.replica == self.me => Some(own),
            _ => {
                out.say(message);
                None
            }
        }
    }

    /// The attacker's own view change, which is not sent yet; any other message is passed on.
    pub(super) fn own_view_change<'m>(
        &self,
        message: &'m PeerMessage,
        out: &mut Instead,
    ) -> Option<&'m ViewChange> {
        match message {
            PeerMessage::ViewChange(own) if own.body.replica == self.me => Some(&own.body),
            _ => {
                out.say(message);
                None
            }
        }
    }

    /// A vote signed with the attacker's key, whoever it names.
    pub(super) fn vote(&self, vote: Vote, domain: Domain) -> Signed<Vote> {
        Signed::new(vote, domain, self.cluster, self.key)
    }

    /// A vote on a checkpoint signed with the attacker's key.
    pub(super) fn checkpoint(&self, vote: CheckpointVote) -> Signed<CheckpointVote> {
        Signed::new(vote, Domain::Checkpoint, self.cluster, self.key)
    }

    /// A view change signed with the attacker's key.
    pub(super) fn view_change(&self, body: ViewChange) -> PeerMessage {
        let signed = Signed::new(body, Domain::ViewChange, self.cluster, self.key);
        PeerMessage::ViewChange(signed)
    }

    /// A new view signed with the attacker's key.
    pub(super) fn new_view(&self, body: NewView) -> PeerMessage {
        PeerMessage::NewView(Signed::new(body, Domain::NewView, self.cluster, self.key))
    }

    /// A digest of nothing.
    pub(super) fn nonsense(&mut self) -> Digest {
        nonsense_of(self.rng.number())
    }

    /// A second or third vote or one on a checkpoint, changed and signed again; none for
    /// any other message.
    pub(super) fn revoted(
        &self,
        message: &PeerMessage,
        change: impl FnOnce(Ballot<'_>),
    ) -> Option<PeerMessage> {
        match message {
            PeerMessage::Prepare(vote) => {
                let mut vote = vote.body;
                change(Ballot::of_vote(&mut vote));
                Some(PeerMessage::Prepare(self.vote(vote, Domain::Prepare)))
            }
            PeerMessage::Commit(vote) => {
                let mut vote = vote.body;
                change(Ballot::of_vote(&mut vote));
                Some(PeerMessage::Commit(self.vote(vote, Domain::Commit)))
            }
            PeerMessage::Checkpoint(vote) => {
                let mut vote = vote.body;
                change(Ballot::of_checkpoint(&mut vote));
                Some(PeerMessage::Checkpoint(self.checkpoint(vote)))
            }
            _ => None,
        }
    }

    /// Another proposal at the place of `first`, with the vote that belongs to it.
    pub(super) fn reproposed(
        &self,
        first: &PrePrepare,
        change: impl FnOnce(&mut Proposal, &mut Vote),
    ) -> PeerMessage {
        let (mut proposal, mut vote) = (first.proposal.clone(), first.vote.body);
        change(&mut proposal, &mut vote);
        vote.digest = digest_of(&proposal);
        PeerMessage::PrePrepare(PrePrepare {
            vote: self.vote(vote, Domain::PrePrepare),
            proposal,
        })
    }

    /// A certificate in which all votes bear the attacker's signature.
    pub(super) fn made_up(&self, view: View, seq_no: SeqNo, digest: Digest) -> PreparedCertificate {
        let primary = self.quorum.primary(view);
        let vote = |replica| Vote {
            epoch: Epoch(0),
            replica,
            incarnation: Incarnation::default(),
            view,
            seq_no,
            digest,
        };
        let backups = self.quorum.members().filter(|backup| *backup != primary);
        let backups = backups.take(self.quorum.strong() - 1);
        PreparedCertificate {
            pre_prepare: self.vote(vote(primary), Domain::PrePrepare),
            prepares: backups
                .map(|backup| self.vote(vote(backup), Domain::Prepare))
                .collect(),
        }
    }

    /// A proof of a checkpoint in which all votes bear the attacker's signature.
    pub(super) fn made_up_checkpoint(
        &self,
        seq_no: SeqNo,
        digest: Digest,
    ) -> Vec<Signed<CheckpointVote>> {
        let voters = self.quorum.members().take(self.quorum.strong());
        let votes = voters.map(|replica| CheckpointVote {
            epoch: Epoch(0),
            replica,
            incarnation: Incarnation::default(),
            seq_no,
            digest,
        });
        votes.map(|vote| self.checkpoint(vote)).collect()
    }
}

/// A digest of nothing, the same one for the same `number`.
pub(super) fn nonsense_of(number: u64) -> Digest {
    let mut bytes = [0x5a; 32];
    for (to, from) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    Digest(bytes)
}

/// The digest by which replicas vote for `proposal`.
pub(super) fn digest_of(proposal: &Proposal) -> Digest {
    let requests = proposal.requests.iter();
    let requests = requests.map(|signed| signed.request.digest());
    proposal_digest(proposal.time, requests, &proposal.rejoins)
}

/// The same proposal a moment later and without its last request: sound and different.
pub(super) fn alter(proposal: &mut Proposal) {
    proposal.time = OrderedTime(proposal.time.0.saturating_add(1));
    if proposal.requests.len() > 1 {
        proposal.requests.pop();
    }
}
