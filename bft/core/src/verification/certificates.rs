//! Verifies messages that carry certificates: view changes, new views, decisions.
//!
//! A certificate is a set of votes by distinct members that name the same view,
//! number and digest. Whoever brings it, only its signers count.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{
    claims::{Claims, Refusal},
    verified::{CheckedDecision, CheckedNewView, CheckedRequest, CheckedViewChange},
};
use crate::{
    crypto::{Claim, Domain},
    evidence::Charge,
    ids::{Digest, SeqNo, View},
    message::{CheckpointVote, Decided, NewView, PreparedCertificate, Signed, ViewChange, Vote},
    misbehaviour::Offence,
};

/// A view change whose signatures are still to be checked.
pub(super) struct OpenViewChange {
    pub(super) signed: Signed<ViewChange>,
    /// Claims without which nothing of it counts: its own, and those of its checkpoint.
    fixed: usize,
    /// Certificates whose structure is right, with their claims.
    candidates: Vec<(usize, Range<usize>)>,
}

impl OpenViewChange {
    /// Whether its sender signed it, and others the checkpoint in it.
    pub(super) fn holds(&self, verdicts: &[bool]) -> bool {
        let fixed = verdicts.get(..self.fixed);
        fixed.is_some_and(|all| all.iter().all(|good| *good))
    }

    /// What the verdicts leave of it; nothing if its sender did not sign it.
    pub(super) fn finish(self, verdicts: &[bool]) -> Option<CheckedViewChange> {
        let holds = |claims: Range<usize>| {
            verdicts
                .get(claims)
                .is_some_and(|all| all.iter().all(|good| *good))
        };
        if !self.holds(verdicts) {
            return None;
        }
        let sound = self.candidates.into_iter();
        let sound = sound.filter_map(|(index, claims)| holds(claims).then_some(index));
        Some(CheckedViewChange {
            digest: self.signed.digest(),
            sound: sound.collect(),
            signed: self.signed,
        })
    }
}

/// That a new view is wrong whatever view changes it names.
pub(super) fn malformed(signed: Signed<NewView>) -> Charge {
    Charge::WrongNewView {
        new_view: Box::new(signed),
        view_changes: Vec::new(),
    }
}

/// Distinct signers, one place, one digest.
fn agree<'v>(mut votes: impl Iterator<Item = &'v Vote>) -> bool {
    let Some(first) = votes.next() else {
        return true;
    };
    let mut signers = BTreeSet::from([first.replica]);
    votes.all(|vote| {
        let place = |vote: &Vote| (vote.view, vote.seq_no, vote.digest);
        place(vote) == place(first) && signers.insert(vote.replica)
    })
}

impl Claims<'_> {
    pub(super) fn view_change(
        &mut self,
        signed: Signed<ViewChange>,
    ) -> Result<OpenViewChange, Refusal> {
        let first = self.claims.len();
        let body = &signed.body;
        let claim = self.keyring.claim(&signed, Domain::ViewChange)?;
        self.claims.push(claim.clone());
        let proven = self.checkpoint(body.stable, &body.checkpoint);
        let proven = proven.and(if body.view == View(0) {
            Err(Offence::BadCertificate)
        } else {
            Ok(())
        });
        if let Err(offence) = proven {
            let charge = Charge::FlawedViewChange(Box::new(signed));
            return Err(Refusal::signed(offence, charge, claim));
        }
        let fixed = self.claims.len() - first;
        let mut candidates = Vec::new();
        let mut last = body.stable;
        for (index, certificate) in body.prepared.iter().enumerate() {
            let seq_no = certificate.pre_prepare.body.seq_no;
            if seq_no <= last {
                continue;
            }
            if let Ok(claims) = self.prepared(body.view, certificate) {
                let begin = self.claims.len() - first;
                candidates.push((index, begin..begin + claims.len()));
                self.claims.extend(claims);
                last = seq_no;
            }
        }
        Ok(OpenViewChange {
            signed,
            fixed,
            candidates,
        })
    }

    /// A strong quorum of equal votes for `number`, or nothing for the beginning of the log.
    pub(super) fn checkpoint(
        &mut self,
        seq_no: SeqNo,
        votes: &[Signed<CheckpointVote>],
    ) -> Result<(), Offence> {
        let needed = if seq_no == SeqNo(0) {
            0
        } else {
            self.keyring.quorum().strong()
        };
        let first = votes.first().map(|vote| vote.body.digest);
        let signers: BTreeSet<_> = votes.iter().map(|vote| vote.body.replica).collect();
        let alike = votes
            .iter()
            .all(|vote| vote.body.seq_no == seq_no && Some(vote.body.digest) == first);
        if votes.len() != needed || signers.len() != needed || !alike {
            return Err(Offence::BadCertificate);
        }
        for vote in votes {
            self.claims
                .push(self.keyring.claim(vote, Domain::Checkpoint)?);
        }
        Ok(())
    }

    /// The claims of a certificate that something was prepared in a view below `below`.
    fn prepared(
        &self,
        below: View,
        certificate: &PreparedCertificate,
    ) -> Result<Vec<Claim>, Offence> {
        let keyring = self.keyring;
        let PreparedCertificate {
            pre_prepare,
            prepares,
        } = certificate;
        let votes = || {
            let prepares = prepares.iter().map(|vote| &vote.body);
            std::iter::once(&pre_prepare.body).chain(prepares)
        };
        let by_primary =
            pre_prepare.body.replica == keyring.quorum().primary(pre_prepare.body.view);
        if pre_prepare.body.view >= below
            || !by_primary
            || prepares.len() + 1 != keyring.quorum().strong()
            || !agree(votes())
        {
            return Err(Offence::BadCertificate);
        }
        let mut claims = vec![keyring.claim(pre_prepare, Domain::PrePrepare)?];
        for vote in prepares {
            claims.push(keyring.claim(vote, Domain::Prepare)?);
        }
        Ok(claims)
    }

    pub(super) fn new_view(&mut self, signed: Signed<NewView>) -> Result<CheckedNewView, Refusal> {
        let claim = self.keyring.claim(&signed, Domain::NewView)?;
        self.claims.push(claim.clone());
        match self.open_new_view(&signed) {
            Ok(()) => Ok(CheckedNewView(signed)),
            Err(offence) => Err(Refusal::signed(offence, malformed(signed), claim)),
        }
    }

    /// What a new view must be whatever view changes it names, and the claims of its votes.
    fn open_new_view(&mut self, signed: &Signed<NewView>) -> Result<(), Offence> {
        let NewView {
            replica,
            view,
            view_changes,
            pre_prepares,
            ..
        } = &signed.body;
        let quorum = self.keyring.quorum();
        if *view == View(0) || *replica != quorum.primary(*view) {
            return Err(Offence::NotThePrimary { view: *view });
        }
        let members = view_changes.iter().all(|(who, _)| quorum.is_member(*who));
        let numbers = pre_prepares.iter().map(|vote| vote.body.seq_no);
        let own = pre_prepares
            .iter()
            .all(|vote| vote.body.view == *view && vote.body.replica == *replica);
        if !members
            || view_changes.len() != quorum.strong()
            || !view_changes.is_sorted_by(|(a, _), (b, _)| a < b)
            || !numbers.is_sorted_by(|a, b| a < b)
            || !own
        {
            return Err(Offence::WrongNewView { view: *view });
        }
        for vote in pre_prepares {
            self.claims
                .push(self.keyring.claim(vote, Domain::PrePrepare)?);
        }
        Ok(())
    }

    pub(super) fn decided(
        &mut self,
        message: Decided,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<CheckedDecision, Offence> {
        let Decided {
            seq_no,
            proposal,
            commits,
        } = message;
        let proposal = Arc::new(self.proposal(proposal, known)?);
        let right = |vote: &Signed<Vote>| {
            vote.body.seq_no == seq_no && vote.body.digest == proposal.digest()
        };
        if !commits.is_empty()
            && (commits.len() != self.keyring.quorum().strong()
                || !agree(commits.iter().map(|vote| &vote.body))
                || !commits.iter().all(right))
        {
            return Err(Offence::BadCertificate);
        }
        for vote in &commits {
            self.claims.push(self.keyring.claim(vote, Domain::Commit)?);
        }
        Ok(CheckedDecision {
            seq_no,
            proposal,
            commits,
        })
    }
}
