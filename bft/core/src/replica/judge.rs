//! Finds equivocation, and makes evidence of it.
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
    misbehaviour::{Misbehaviour, Offence},
    verification::verified::{CheckedNewView, CheckedViewChange, Verified},
};

impl Views {
    fn is_caught(&self, replica: ReplicaId, view: View) -> bool {
        self.equivocators
            .get(&replica)
            .is_some_and(|caught| *caught >= view)
    }

    /// Whether somebody signed another view change for this view, and is not caught yet.
    pub(super) fn contradicts_change(&self, change: &ViewChange) -> bool {
        let known = self.changes.get(&change.replica);
        let known = known.map(|known| &known.signed().body);
        !self.is_caught(change.replica, change.view)
            && known.is_some_and(|known| {
                (known.view, known.incarnation) == (change.view, change.incarnation)
                    && known != change
            })
    }

    /// Another new view for the same view.
    fn other_new_view(&self, new_view: &NewView) -> Option<&Signed<NewView>> {
        let entered = self
            .new_view_proof
            .as_ref()
            .map(|new_view_proof| &new_view_proof.new_view);
        let pending_new_views = entered.into_iter().chain(
            self.pending_new_views
                .get(&new_view.replica)
                .map(AsRef::as_ref),
        );
        let same = |said: &NewView| {
            (said.view, said.incarnation) == (new_view.view, new_view.incarnation)
                && said != new_view
        };
        pending_new_views
            .map(|pending| pending.signed())
            .find(|said| same(&said.body))
    }

    /// Whether its primary opened this view otherwise before, and is not caught yet.
    pub(super) fn contradicts_new_view(&self, new_view: &NewView) -> bool {
        !self.is_caught(new_view.replica, new_view.view) && self.other_new_view(new_view).is_some()
    }
}

impl Replica {
    /// The proof that a fault carries.
    pub(super) fn proof_of(&self, offence: &Offence) -> Option<Box<Evidence>> {
        let Offence::Equivocation {
            phase,
            first,
            second,
        } = offence
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
        what: Offence,
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
            let (seq_no, second) = (vote.body.seq_no, *vote);
            let charge = Charge::TwoStates { first, second };
            self.accuse(
                vote.body.replica,
                Offence::TwoStates { seq_no },
                charge,
                out,
            );
        }
    }

    /// Checkpoint votes against those of a strong quorum.
    pub(super) fn judge_dissent(
        &self,
        seq_no: SeqNo,
        agreed: Digest,
        votes: &[Signed<CheckpointVote>],
        out: &mut Effects,
    ) {
        for vote in self.checkpoints.dissent(seq_no, agreed) {
            // The accused may have signed the certified state, too, for others.
            let accused = vote.body.replica;
            let others = votes.iter().filter(|other| other.body.replica != accused);
            let mut against: Vec<_> = others.copied().collect();
            against.sort_unstable_by_key(|other| other.body.replica);
            against.truncate(self.quorum.weak());
            let charge = Charge::WrongState { vote, against };
            self.accuse(
                vote.body.replica,
                Offence::FalseState { seq_no },
                charge,
                out,
            );
        }
    }

    /// Commits that were checked together because they contradict each other.
    pub(super) fn judge_commits(&self, good: &[Verified<Signed<Vote>>], out: &mut Effects) {
        let mut said: BTreeMap<_, Signed<Vote>> = BTreeMap::new();
        for vote in good.iter().map(|vote| *vote.get()) {
            let body = &vote.body;
            let place = (body.replica, body.incarnation, body.view, body.seq_no);
            let first = *said.entry(place).or_insert(vote);
            if first.body.digest != body.digest {
                let (first, second) = (Box::new(first), Box::new(vote));
                let phase = Phase::Commit;
                let offence = Offence::Equivocation {
                    phase,
                    first,
                    second,
                };
                self.blame(body.replica, offence, out);
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
        self.views.equivocators.insert(replica, view);
        self.accuse(
            replica,
            Offence::ConflictingViewChanges { view },
            charge,
            out,
        );
    }

    /// A new view against another of the same primary.
    pub(super) fn judge_new_view(&mut self, new_view: &Arc<CheckedNewView>, out: &mut Effects) {
        let second = new_view.signed();
        let (replica, view) = (second.body.replica, second.body.view);
        if replica == self.me || !self.views.contradicts_new_view(&second.body) {
            return;
        }
        let Some(first) = self.views.other_new_view(&second.body) else {
            return;
        };
        let charge = Charge::TwoNewViews {
            first: Box::new(first.clone()),
            second: Box::new(second.clone()),
        };
        self.views.equivocators.insert(replica, view);
        self.accuse(
            replica,
            Offence::ConflictingViewChanges { view },
            charge,
            out,
        );
    }
}
