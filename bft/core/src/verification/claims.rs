//! What signatures must hold, collected while the structure of messages is examined.
//!
//! Structure is examined first, because it costs little; the signatures of many messages
//! are then checked at once. This file has what both single messages ([`super::batch`]) and
//! messages with proofs of others ([`super::certificates`]) need: the list of claims, the
//! rule for a well-formed request, and a proposal's requests. It checks no signature.

use std::sync::Arc;

use super::verified::{CheckedProposal, CheckedRequest};
use crate::{
    crypto::{Claim, Domain},
    evidence::Charge,
    ids::Digest,
    keyring::Keyring,
    limits,
    message::{Proposal, Request, SignedRequest, proposal_cost_bytes},
    misbehaviour::Offence,
};

/// Why a message is refused; with a charge and the claim that proves it, if it has a
/// signer who never signs such a thing.
pub(super) struct Refusal {
    pub(super) offence: Offence,
    pub(super) charge: Option<Box<(Charge, Claim)>>,
}

impl From<Offence> for Refusal {
    fn from(offence: Offence) -> Self {
        let charge = None;
        Self { offence, charge }
    }
}

impl Refusal {
    /// Nonsense under a signature.
    pub(super) fn signed(offence: Offence, charge: Charge, claim: Claim) -> Self {
        let charge = Some(Box::new((charge, claim)));
        Self { offence, charge }
    }
}

/// What every request must be in order to be proposed, and every proposal in order to be
/// voted for; all of it stands under its primary's vote.
///
/// # Errors
/// [`Offence`] naming what is wrong.
pub(crate) fn well_formed<'r>(
    mut requests: impl ExactSizeIterator<Item = &'r Request> + Clone,
    rejoins: usize,
) -> Result<(), Offence> {
    if requests.len() > limits::MAX_REQUESTS_PER_PROPOSAL {
        let requests = requests.len();
        return Err(Offence::TooManyRequests { requests });
    }
    if rejoins > limits::MAX_REJOINS_PER_PROPOSAL {
        return Err(Offence::TooManyRequests { requests: rejoins });
    }
    let cost_bytes = proposal_cost_bytes(requests.clone(), rejoins);
    requests.try_for_each(|request| {
        let (bytes, acked) = (request.op.len(), &request.acked);
        if bytes > limits::MAX_OP_BYTES {
            return Err(Offence::Oversized { bytes });
        }
        if acked.len() as u64 > limits::SESSION_WINDOW || !acked.is_sorted_by(|a, b| a < b) {
            return Err(Offence::BadAcknowledgements);
        }
        Ok(())
    })?;
    if cost_bytes > limits::MAX_PROPOSAL_BYTES {
        return Err(Offence::Oversized { bytes: cost_bytes });
    }
    Ok(())
}

/// Claims that are still to be checked, in order; and the keys they are about.
pub(super) struct Claims<'k> {
    pub(super) keyring: &'k Keyring,
    pub(super) claims: Vec<Claim>,
}

impl Claims<'_> {
    /// A well-formed request, whose signature is to be checked unless it is known.
    pub(super) fn claim_request(
        &mut self,
        signed: SignedRequest,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Arc<CheckedRequest> {
        let digest = signed.request.digest();
        if let Some(checked) = known(&digest) {
            return checked;
        }
        self.claims
            .push(self.keyring.request_claim(&signed, digest));
        Arc::new(CheckedRequest { signed, digest })
    }

    /// A proposal whose requests all have to hold.
    pub(super) fn proposal(
        &mut self,
        proposal: Proposal,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<CheckedProposal, Offence> {
        let requests = proposal.requests.iter().map(|signed| &signed.request);
        well_formed(requests, proposal.rejoins.len())?;
        for signed in &proposal.rejoins {
            self.claims
                .push(self.keyring.claim(signed, Domain::Rejoin)?);
        }
        let requests = proposal.requests.into_iter();
        let requests = requests.map(|signed| self.claim_request(signed, known));
        let (time, requests) = (proposal.time, requests.collect());
        Ok(CheckedProposal::with_rejoins(
            time,
            requests,
            proposal.rejoins,
        ))
    }
}
