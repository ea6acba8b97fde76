//! Opens a view that no other replica wants yet.

use bezant_bft::{
    crypto::Domain,
    ids::{Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{NewView, PeerMessage, Vote},
};

use super::{Instead, Means, Strategy};

/// Says new views for views it would be primary of, without a strong quorum of view changes.
#[derive(Debug, Default)]
pub(super) struct PrematureNewView {
    /// The highest view it spoke of.
    view: View,
    hits: u64,
}

impl PrematureNewView {
    /// A new view from nothing.
    fn made_up(means: &mut Means<'_>, view: View) -> NewView {
        let strong = means.quorum.strong();
        let count = match means.rng.below(3) {
            0 => strong - 1,
            1 => 0,
            _ => strong,
        };
        let named = means.quorum.members().take(count);
        let view_changes = named.map(|who| (who, means.nonsense())).collect();
        let mut pre_prepares = Vec::new();
        for seq_no in 1..=means.rng.below(4) {
            let vote = Vote {
                epoch: Epoch(0),
                replica: means.me,
                incarnation: Incarnation::default(),
                view,
                seq_no: SeqNo(seq_no),
                digest: means.nonsense(),
            };
            pre_prepares.push(means.vote(vote, Domain::PrePrepare));
        }
        NewView {
            epoch: Epoch(0),
            replica: means.me,
            incarnation: Incarnation::default(),
            view,
            view_changes,
            stable: SeqNo(0),
            pre_prepares,
        }
    }
}

impl Strategy for PrematureNewView {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        let said = match message {
            PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => vote.body.view,
            PeerMessage::ViewChange(change) => change.body.view,
            _ => return,
        };
        self.view = self.view.max(said);
        let leaves = matches!(message, PeerMessage::ViewChange(_));
        if !leaves && !means.rng.chance(10) {
            return;
        }
        // The next view it would lead, or one far away.
        let far = if means.rng.chance(200) {
            means.rng.number() / 4
        } else {
            0
        };
        let n = u64::from(means.n);
        let first = self.view.0 + u64::from(!leaves);
        let rest = (n + u64::from(means.me.0) - first % n) % n;
        let view = View(first + rest + far / n * n);
        self.hits += 1;
        let body = Self::made_up(means, view);
        out.say(&means.new_view(body));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
