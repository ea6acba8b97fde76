//! View changes, certificates and new views, signed by whoever a test wants.

use bezant_bft::{
    crypto::Domain,
    effects::Effect,
    ids::{Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{
        CheckpointVote, NewView, PeerMessage, PreparedCertificate, Proposal, Signed, ViewChange,
        Vote,
    },
};

use super::{Cluster, digest_of, single::sent, vote};

/// A vote in `view`.
pub(crate) fn vote_in(by: u8, view: u64, number: u64, digest: Digest) -> Vote {
    Vote {
        view: View(view),
        ..vote(by, number, digest)
    }
}

impl Cluster {
    pub(crate) fn primary(&self, view: u64) -> u8 {
        self.keyring.quorum().primary(View(view)).0
    }

    /// What proves that `digest` was prepared at `number` in `view`.
    pub(crate) fn certificate(
        &self,
        view: u64,
        number: u64,
        digest: Digest,
    ) -> PreparedCertificate {
        let quorum = self.keyring.quorum();
        let primary = self.primary(view);
        let backups = quorum.members().map(|backup| backup.0);
        let backups = backups.filter(|backup| *backup != primary);
        let sign = |by, domain| self.sign(by, vote_in(by, view, number, digest), domain);
        PreparedCertificate {
            pre_prepare: sign(primary, Domain::PrePrepare),
            prepares: backups
                .take(quorum.strong() - 1)
                .map(|by| sign(by, Domain::Prepare))
                .collect(),
        }
    }

    /// What replica `by` says when it leaves for `view`, its log beginning at 0.
    pub(crate) fn view_change(
        &self,
        by: u8,
        view: u64,
        prepared: Vec<PreparedCertificate>,
    ) -> ViewChange {
        ViewChange {
            epoch: Epoch(0),
            replica: ReplicaId(by),
            incarnation: Incarnation(0),
            view: View(view),
            stable: SeqNo(0),
            checkpoint: Vec::new(),
            prepared,
        }
    }

    /// The same, signed.
    pub(crate) fn leaves(
        &self,
        by: u8,
        view: u64,
        prepared: Vec<PreparedCertificate>,
    ) -> PeerMessage {
        self.sign_view_change(by, self.view_change(by, view, prepared))
    }

    pub(crate) fn checkpoint_vote(
        &self,
        by: u8,
        number: u64,
        state: Digest,
    ) -> Signed<CheckpointVote> {
        match self.checkpoint(by, number, state) {
            PeerMessage::Checkpoint(vote) => vote,
            other => panic!("{other:?}"),
        }
    }

    /// A pre-prepare of the primary of `view`.
    pub(crate) fn pre_prepare_in(&self, view: u64, number: u64, proposal: Proposal) -> PeerMessage {
        let primary = self.primary(view);
        let vote = vote_in(primary, view, number, digest_of(&proposal));
        PeerMessage::PrePrepare(bezant_bft::message::PrePrepare {
            vote: self.sign(primary, vote, Domain::PrePrepare),
            proposal,
        })
    }

    /// What opens `view` with these view changes and proposals.
    pub(crate) fn new_view(
        &self,
        view: u64,
        changes: &[&PeerMessage],
        proposed: &[(u64, Digest)],
    ) -> NewView {
        let primary = self.primary(view);
        let mut view_changes: Vec<_> = changes
            .iter()
            .map(|message| match message {
                PeerMessage::ViewChange(signed) => (signed.body.replica, signed.digest()),
                other => panic!("{other:?}"),
            })
            .collect();
        view_changes.sort_unstable();
        let pre_prepares = proposed.iter().map(|(seq_no, digest)| {
            let vote = vote_in(primary, view, *seq_no, *digest);
            self.sign(primary, vote, Domain::PrePrepare)
        });
        let stable = changes.iter().map(|message| match message {
            PeerMessage::ViewChange(signed) => signed.body.stable,
            other => panic!("{other:?}"),
        });
        NewView {
            epoch: Epoch(0),
            replica: ReplicaId(primary),
            incarnation: Incarnation(0),
            view: View(view),
            view_changes,
            stable: stable.max().unwrap_or_default(),
            pre_prepares: pre_prepares.collect(),
        }
    }
}

/// The view changes among what is sent.
pub(crate) fn pending_view(effects: &[Effect]) -> Vec<&Signed<ViewChange>> {
    let changes = sent(effects)
        .into_iter()
        .filter_map(|message| match message {
            PeerMessage::ViewChange(signed) => Some(signed),
            _ => None,
        });
    changes.collect()
}

/// The new views among what is sent.
pub(crate) fn opening(effects: &[Effect]) -> Vec<&NewView> {
    let opened = sent(effects)
        .into_iter()
        .filter_map(|message| match message {
            PeerMessage::NewView(signed) => Some(&signed.body),
            _ => None,
        });
    opened.collect()
}

/// The views entered.
pub(crate) fn entered(effects: &[Effect]) -> Vec<u64> {
    let entered = effects.iter().filter_map(|effect| match effect {
        Effect::ViewChanged { view, .. } => Some(view.0),
        _ => None,
    });
    entered.collect()
}
