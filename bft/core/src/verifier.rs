//! Verifies evidence with the cluster's public keys alone.
//!
//! It judges a message as a replica does that receives it ([`crate::verification`]) and a new view
//! as a backup does ([`crate::new_view`]), so it stands above both and apart from the evidence
//! itself ([`crate::evidence`]), which they make.
//!
//! Nothing here asks in which incarnation a replica is now: a signature convicts the key
//! that made it, and two statements contradict each other within one incarnation only.
//! Where it matters which incarnations were void when a message was made, nobody is
//! convicted, since that cannot be known afterwards.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    codec,
    crypto::{Checker, Claim, Domain},
    effects::Input,
    evidence::{
        Accusation, Charge, Evidence, NotProven, opened_in_first_incarnation, same_place,
        speaks_in_first_incarnations,
    },
    ids::{ReplicaId, View},
    keyring::Keyring,
    message::{
        Body, CheckpointVote, NewView, PeerMessage, ReplyClaim, Request, Signed, SignedRequest,
        ViewChange, Vote, proposal_digest,
    },
    new_view::NewViewPlan,
    verification::{examine, verified::CheckedViewChange, well_formed},
};

impl Evidence {
    /// Checks everything, with nothing but the cluster's public keys.
    ///
    /// # Errors
    /// [`NotProven`] says what is missing.
    pub fn verify(&self, keyring: &Keyring) -> Result<Accusation, NotProven> {
        self.verify_with(keyring, &mut Checker::new())
    }

    /// The same, with signatures checked by `checker`.
    ///
    /// # Errors
    /// [`NotProven`] says what is missing.
    pub fn verify_with(
        &self,
        keyring: &Keyring,
        checker: &mut Checker,
    ) -> Result<Accusation, NotProven> {
        if self.cluster() != keyring.cluster() {
            return Err(NotProven::OtherCluster);
        }
        let mut verifier = Verifier { keyring, checker };
        match self.charge() {
            Charge::TwoVotes {
                phase,
                first,
                second,
            } => verifier.two_votes(phase.domain(), first, second)?,
            Charge::TwoStates { first, second } => verifier.two_states(first, second)?,
            Charge::TwoViewChanges { first, second } => {
                verifier
                    .conflicting_statements(Domain::ViewChange, first, second, |said| said.view)?;
            }
            Charge::TwoNewViews { first, second } => {
                verifier
                    .conflicting_statements(Domain::NewView, first, second, |said| said.view)?;
            }
            Charge::FlawedViewChange(said) => verifier.flawed_view_change(said)?,
            Charge::WrongNewView {
                new_view,
                view_changes,
            } => verifier.wrong_new_view(new_view, view_changes)?,
            Charge::NotThePrimary(vote) => verifier.not_the_primary(vote)?,
            Charge::BadProposal {
                vote,
                time,
                requests,
                rejoins,
            } => {
                let digests = requests.iter().map(Request::digest);
                if proposal_digest(*time, digests, rejoins) != vote.body.digest {
                    return Err(NotProven::Unrelated);
                }
                if well_formed(requests.iter(), rejoins.len()).is_ok() {
                    return Err(NotProven::NoContradiction);
                }
                verifier.signed(vote, Domain::PrePrepare)?;
            }
            Charge::WrongState { vote, against } => verifier.wrong_state(vote, against)?,
            Charge::FalseReply { lie, truth } => verifier.false_reply(lie, truth)?,
            Charge::BadRequest(signed) => verifier.bad_request(signed)?,
        }
        Ok(self.accusation())
    }
}

/// Keys, and what checks signatures with them.
struct Verifier<'a> {
    keyring: &'a Keyring,
    checker: &'a mut Checker,
}

impl Verifier<'_> {
    fn holds(&mut self, claim: Claim) -> Result<(), NotProven> {
        if self.checker.check(&[claim]) == [true] {
            Ok(())
        } else {
            Err(NotProven::Signature)
        }
    }

    /// That a member of this configuration signed this.
    fn signed<B: Body>(&mut self, signed: &Signed<B>, domain: Domain) -> Result<(), NotProven> {
        let body = &signed.body;
        if body.epoch() != self.keyring.epoch() {
            return Err(NotProven::OtherEpoch(body.epoch()));
        }
        let signer = body.signer();
        let key = self.keyring.key(signer);
        let key = key.ok_or(NotProven::NotAMember(signer))?;
        let bytes = codec::encode(body);
        let cluster = self.keyring.cluster();
        self.holds(Claim::new(key, signed.signature, domain, cluster, &bytes))
    }

    fn two_votes(
        &mut self,
        domain: Domain,
        first: &Signed<Vote>,
        second: &Signed<Vote>,
    ) -> Result<(), NotProven> {
        if !same_place(&first.body, &second.body) {
            return Err(NotProven::Unrelated);
        }
        differ(&first.body.digest, &second.body.digest)?;
        self.signed(first, domain)?;
        self.signed(second, domain)
    }

    fn two_states(
        &mut self,
        first: &Signed<CheckpointVote>,
        second: &Signed<CheckpointVote>,
    ) -> Result<(), NotProven> {
        let place =
            |vote: &CheckpointVote| (vote.epoch, vote.replica, vote.incarnation, vote.seq_no);
        if place(&first.body) != place(&second.body) {
            return Err(NotProven::Unrelated);
        }
        differ(&first.body.digest, &second.body.digest)?;
        self.signed(first, Domain::Checkpoint)?;
        self.signed(second, Domain::Checkpoint)
    }

    /// Two messages of which a replica sends one a view.
    fn conflicting_statements<B: Body>(
        &mut self,
        domain: Domain,
        first: &Signed<B>,
        second: &Signed<B>,
        view: impl Fn(&B) -> View,
    ) -> Result<(), NotProven> {
        let place = |said: &B| (said.epoch(), said.signer(), said.incarnation(), view(said));
        if place(&first.body) != place(&second.body) {
            return Err(NotProven::Unrelated);
        }
        differ(&codec::encode(&first.body), &codec::encode(&second.body))?;
        self.signed(first, domain)?;
        self.signed(second, domain)
    }

    /// What a replica takes a view change for; nothing if it refuses it.
    fn view_change(&mut self, said: &Signed<ViewChange>) -> Option<Arc<CheckedViewChange>> {
        let message = PeerMessage::ViewChange(said.clone());
        match examine(self.keyring, self.checker, said.body.replica, message)? {
            Input::ViewChange(checked) => Some(Arc::clone(checked.get())),
            _ => None,
        }
    }

    fn flawed_view_change(&mut self, said: &Signed<ViewChange>) -> Result<(), NotProven> {
        if !speaks_in_first_incarnations(said) {
            return Err(NotProven::LaterIncarnation);
        }
        self.signed(said, Domain::ViewChange)?;
        match self.view_change(said) {
            Some(checked) if !checked.is_flawed() => Err(NotProven::NoContradiction),
            _ => Ok(()),
        }
    }

    fn wrong_new_view(
        &mut self,
        said: &Signed<NewView>,
        view_changes: &[Signed<ViewChange>],
    ) -> Result<(), NotProven> {
        if !opened_in_first_incarnation(said)
            || !view_changes.iter().all(speaks_in_first_incarnations)
        {
            return Err(NotProven::LaterIncarnation);
        }
        self.signed(said, Domain::NewView)?;
        let (body, message) = (&said.body, PeerMessage::NewView(said.clone()));
        if examine(self.keyring, self.checker, body.replica, message).is_none() {
            // Wrong in itself; nothing else belongs to the proof.
            return match view_changes {
                [] => Ok(()),
                _ => Err(NotProven::Disordered),
            };
        }
        let given = view_changes
            .iter()
            .map(|said| (said.body.replica, said.digest()));
        if !given.eq(body.view_changes.iter().copied()) {
            return Err(NotProven::Unrelated);
        }
        let mut changes = Vec::with_capacity(view_changes.len());
        for said in view_changes {
            if said.body.view != body.view {
                return Err(NotProven::Unrelated);
            }
            changes.push(self.view_change(said).ok_or(NotProven::Signature)?);
        }
        if NewViewPlan::said_by(body) == NewViewPlan::from_changes(&changes) {
            return Err(NotProven::NoContradiction);
        }
        Ok(())
    }

    fn not_the_primary(&mut self, vote: &Signed<Vote>) -> Result<(), NotProven> {
        if vote.body.replica == self.keyring.quorum().primary(vote.body.view) {
            return Err(NotProven::NoContradiction);
        }
        self.signed(vote, Domain::PrePrepare)
    }

    /// That exactly f+1 others, ascending, stand against `accused`.
    fn enough(
        &self,
        accused: ReplicaId,
        others: impl Iterator<Item = ReplicaId>,
    ) -> Result<(), NotProven> {
        let others: Vec<_> = others.collect();
        let distinct: BTreeSet<_> = others.iter().filter(|other| **other != accused).collect();
        let weak = self.keyring.quorum().weak();
        if distinct.len() < weak {
            return Err(NotProven::TooFew);
        }
        if others.len() != weak || !others.is_sorted() {
            return Err(NotProven::Disordered);
        }
        Ok(())
    }

    fn wrong_state(
        &mut self,
        vote: &Signed<CheckpointVote>,
        against: &[Signed<CheckpointVote>],
    ) -> Result<(), NotProven> {
        let others = against.iter().map(|other| other.body.replica);
        self.enough(vote.body.replica, others)?;
        let said = |vote: &CheckpointVote| (vote.seq_no, vote.digest);
        let truth = against.first().map(|other| said(&other.body));
        let truth = truth.ok_or(NotProven::TooFew)?;
        if truth.0 != vote.body.seq_no || !against.iter().all(|other| said(&other.body) == truth) {
            return Err(NotProven::Unrelated);
        }
        if truth.1 == vote.body.digest {
            return Err(NotProven::NoContradiction);
        }
        for vote in against.iter().chain([vote]) {
            self.signed(vote, Domain::Checkpoint)?;
        }
        Ok(())
    }

    fn false_reply(
        &mut self,
        lie: &Signed<ReplyClaim>,
        truth: &[Signed<ReplyClaim>],
    ) -> Result<(), NotProven> {
        let others = truth.iter().map(|other| other.body.replica);
        self.enough(lie.body.replica, others)?;
        let asked = |said: &ReplyClaim| (said.client, said.reply.session, said.reply.number);
        let first = &truth.first().ok_or(NotProven::TooFew)?.body;
        let alike = |other: &ReplyClaim| other.client == first.client && other.reply == first.reply;
        if asked(first) != asked(&lie.body) || !truth.iter().all(|other| alike(&other.body)) {
            return Err(NotProven::Unrelated);
        }
        if first.reply == lie.body.reply {
            return Err(NotProven::NoContradiction);
        }
        for signed in truth.iter().chain([lie]) {
            self.signed(signed, Domain::Reply)?;
        }
        Ok(())
    }

    fn bad_request(&mut self, signed: &SignedRequest) -> Result<(), NotProven> {
        if well_formed(std::iter::once(&signed.request), 0).is_ok() {
            return Err(NotProven::NoContradiction);
        }
        let digest = signed.request.digest();
        self.holds(self.keyring.request_claim(signed, digest))
    }
}

/// Two different things in the one order they have.
fn differ<T: Ord + ?Sized>(first: &T, second: &T) -> Result<(), NotProven> {
    match first.cmp(second) {
        std::cmp::Ordering::Less => Ok(()),
        std::cmp::Ordering::Equal => Err(NotProven::NoContradiction),
        std::cmp::Ordering::Greater => Err(NotProven::Disordered),
    }
}
