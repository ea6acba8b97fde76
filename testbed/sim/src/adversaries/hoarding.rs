//! Hoards prepared certificates that nobody else can make.
//!
//! No message of it is altered and none is forged: its prepares reach nobody, so that it alone
//! can prove what the others' votes and its own make prepared. All that the others hear of it is
//! that it leaves each view as soon as the view opened, with what it can prove. A new view that
//! counts it must name what nobody else knows to be prepared.

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::{
    ids::{Digest, Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{PeerMessage, ViewChange},
    verification::Unverified,
};

use super::{Instead, Means, Strategy, archive::Archive};

/// Says nothing but view changes, each early and with everything it can prove.
#[derive(Debug, Default)]
pub(super) struct Hoarding {
    archive: Archive,
    /// What somebody else committed, and so can prove as well.
    shared: BTreeSet<(SeqNo, Digest)>,
    /// The highest view that it was in or heard of.
    view: View,
    /// The view change it says for the view after that, the same to everybody.
    leaves: Option<(View, PeerMessage)>,
    /// To whom it said one, and for which view.
    told: BTreeMap<ReplicaId, View>,
    hits: u64,
}

impl Hoarding {
    fn note(&mut self, message: &PeerMessage) {
        self.archive.note(message);
        let view = match message {
            PeerMessage::NewView(new_view) => new_view.body.view,
            PeerMessage::PrePrepare(first) => first.vote.body.view,
            PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => vote.body.view,
            _ => return,
        };
        self.view = self.view.max(view);
    }

    /// Whether it can prove what nobody else was heard to have prepared.
    fn has_secrets(&self, change: &ViewChange) -> bool {
        let votes = change.prepared.iter();
        let mut votes = votes.map(|certificate| certificate.pre_prepare.body);
        votes.any(|vote| !self.shared.contains(&(vote.seq_no, vote.digest)))
    }

    /// Everything that it can prove, as a reason to leave for `view`.
    fn hoard(&self, means: &Means<'_>, view: View) -> ViewChange {
        let strong = means.quorum.strong();
        let proof = self.archive.proof(SeqNo(u64::MAX), strong);
        let (stable, checkpoint) = proof.unwrap_or_default();
        let prepared = self.archive.newest_certificates(stable, view, strong);
        ViewChange {
            epoch: Epoch(0),
            replica: means.me,
            incarnation: Incarnation::default(),
            view,
            stable,
            checkpoint,
            prepared: prepared.into_values().collect(),
        }
    }

    /// Leaves for the next view, once to each, unless it would lead it: then its own replica
    /// says when.
    fn leave_early(&mut self, means: &mut Means<'_>, to: ReplicaId, out: &mut Instead) {
        let view = View(self.view.0.saturating_add(1));
        let told = self.told.get(&to).is_some_and(|told| *told >= view);
        if told || means.quorum.primary(view) == means.me {
            return;
        }
        if self.leaves.as_ref().is_none_or(|(said, _)| *said < view) {
            // Commits of others may be on their way: not at once.
            if !means.rng.chance(100) {
                return;
            }
            let body = self.hoard(means, view);
            if !self.has_secrets(&body) {
                return;
            }
            self.hits += 1;
            self.leaves = Some((view, means.view_change(body)));
        }
        if let Some((_, leaves)) = &self.leaves {
            out.say(leaves);
            self.told.insert(to, view);
        }
    }
}

impl Strategy for Hoarding {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        self.note(message);
        match message {
            PeerMessage::ViewChange(own) if own.body.replica == means.me => {
                // Of one it said early there must not be another.
                let said = self.leaves.as_ref();
                let said = said.is_some_and(|(view, _)| *view >= own.body.view);
                if !said {
                    self.hits += u64::from(self.has_secrets(&own.body));
                    out.say(message);
                }
            }
            PeerMessage::ViewChange(_) | PeerMessage::NewView(_) => out.say(message),
            _ => {}
        }
        self.leave_early(means, to, out);
    }

    fn hear(&mut self, _: &mut Means<'_>, message: &Unverified) -> bool {
        self.note(message.peek());
        if let PeerMessage::Commit(vote) = message.peek() {
            self.shared.insert((vote.body.seq_no, vote.body.digest));
        }
        true
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
