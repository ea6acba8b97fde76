//! Who contradicted himself, and proof of it for others.
//!
//! Nothing here changes what a replica does next: the first of two statements stands,
//! whatever came later. What is found leaves as blame with [`Evidence`].

use std::{collections::BTreeMap, sync::Arc};

use super::{Replica, view_change::Views};
use crate::{
    effects::{Effect, Effects},
    evidence::{Charge, Evidence},
    ids::{Digest, ReplicaId, SeqNo, Source, View},
    message::{CheckpointVote, NewView, Phase, Signed, ViewChange, Vote},
    misbehaviour::{Fault, Misbehaviour},
    seal::verified::{CheckedNewView, CheckedViewChange, Verified},
};

impl Views {
    fn is_caught(&self, replica: ReplicaId, view: View) -> bool {
        self.two_faced
            .get(&replica)
            .is_some_and(|caught| *caught >= view)
    }

    /// Whether somebody left for this view with another story, and is not caught yet.
    pub(super) fn contradicts_change(&self, change: &ViewChange) -> bool {
        let known = self.changes.get(&change.replica);
        let known = known.map(|known| &known.signed().body);
        !self.is_caught(change.replica, change.view)
            && known.is_some_and(|known| {
                (known.view, known.incarnation) == (change.view, change.incarnation)
                    && known != change
            })
    }

    /// Another opening of the same view.
    fn other_opening(&self, new_view: &NewView) -> Option<&Signed<NewView>> {
        let entered = self.bundle.as_ref().map(|bundle| &bundle.new_view);
        let openings = entered
            .into_iter()
            .chain(self.openings.get(&new_view.replica));
        let same = |said: &NewView| {
            (said.view, said.incarnation) == (new_view.view, new_view.incarnation)
                && said != new_view
        };
        openings
            .map(|opening| opening.signed())
            .find(|said| same(&said.body))
    }

    /// Whether its primary opened this view otherwise before, and is not caught yet.
    pub(super) fn contradicts_opening(&self, new_view: &NewView) -> bool {
        !self.is_caught(new_view.replica, new_view.view) && self.other_opening(new_view).is_some()
    }
}

impl Replica {
    /// The proof that a fault carries.
    pub(super) fn proof_of(&self, fault: &Fault) -> Option<Box<Evidence>> {
        let Fault::Equivocation {
            phase,
            first,
            second,
        } = fault
        else {
            return None;
        };
        let cluster = *self.keyring.cluster();
        Evidence::two_votes(cluster, *phase, **first, **second).map(Box::new)
    }

    /// Blames `replica`, with proof.
    pub(super) fn accuse(
        &self,
        replica: ReplicaId,
        what: Fault,
        charge: Charge,
        out: &mut Effects,
    ) {
        let evidence = Box::new(Evidence::new(*self.keyring.cluster(), charge));
        let blame = Misbehaviour::new(Source::Replica(replica), what);
        out.push(Effect::Blame(blame.with_proof(Some(evidence))));
    }

    /// A checkpoint vote against an earlier one of the same replica.
    pub(super) fn judge_states(&self, vote: &Signed<CheckpointVote>, out: &mut Effects) {
        if let Some(first) = self.checkpoints.contradicted(&vote.body)
            && vote.body.replica != self.me
        {
            let (number, second) = (vote.body.number, *vote);
            let charge = Charge::TwoStates { first, second };
            self.accuse(vote.body.replica, Fault::TwoStates { number }, charge, out);
        }
    }

    /// Checkpoint votes against those of a strong quorum.
    pub(super) fn judge_dissent(
        &self,
        number: SeqNo,
        agreed: Digest,
        votes: &[Signed<CheckpointVote>],
        out: &mut Effects,
    ) {
        for vote in self.checkpoints.dissent(number, agreed) {
            // The accused may have signed the certified state, too, for others.
            let accused = vote.body.replica;
            let others = votes.iter().filter(|other| other.body.replica != accused);
            let mut against: Vec<_> = others.copied().collect();
            against.sort_unstable_by_key(|other| other.body.replica);
            against.truncate(self.quorum.weak());
            let charge = Charge::WrongState { vote, against };
            self.accuse(vote.body.replica, Fault::FalseState { number }, charge, out);
        }
    }

    /// Commits that were checked together because they contradict each other.
    pub(super) fn judge_commits(&self, good: &[Verified<Signed<Vote>>], out: &mut Effects) {
        let mut said: BTreeMap<_, Signed<Vote>> = BTreeMap::new();
        for vote in good.iter().map(|vote| *vote.get()) {
            let body = &vote.body;
            let place = (body.replica, body.incarnation, body.view, body.number);
            let first = *said.entry(place).or_insert(vote);
            if first.body.digest != body.digest {
                let (first, second) = (Box::new(first), Box::new(vote));
                let phase = Phase::Commit;
                let fault = Fault::Equivocation {
                    phase,
                    first,
                    second,
                };
                self.blame(body.replica, fault, out);
            }
        }
    }

    /// A view change against an earlier one of the same replica for the same view.
    pub(super) fn judge_change(&mut self, change: &Arc<CheckedViewChange>, out: &mut Effects) {
        let second = change.signed();
        let (replica, view) = (change.replica(), change.view());
        if replica == self.me || !self.views.contradicts_change(&second.body) {
            return;
        }
        let Some(first) = self.views.changes.get(&replica) else {
            return;
        };
        let charge = Charge::TwoViewChanges {
            first: Box::new(first.signed().clone()),
            second: Box::new(second.clone()),
        };
        self.views.two_faced.insert(replica, view);
        self.accuse(replica, Fault::TwoStories { view }, charge, out);
    }

    /// A new view against another of the same primary.
    pub(super) fn judge_opening(&mut self, new_view: &Arc<CheckedNewView>, out: &mut Effects) {
        let second = new_view.signed();
        let (replica, view) = (second.body.replica, second.body.view);
        if replica == self.me || !self.views.contradicts_opening(&second.body) {
            return;
        }
        let Some(first) = self.views.other_opening(&second.body) else {
            return;
        };
        let charge = Charge::TwoNewViews {
            first: Box::new(first.clone()),
            second: Box::new(second.clone()),
        };
        self.views.two_faced.insert(replica, view);
        self.accuse(replica, Fault::TwoStories { view }, charge, out);
    }
}
