//! Verifies many messages together.

use std::{ops::Range, sync::Arc};

use super::{
    certificates::{OpenViewChange, malformed},
    claims::{Claims, Refusal, well_formed},
    verified::{
        CheckedDecision, CheckedNewView, CheckedPrePrepare, CheckedProposal, CheckedRequest,
        LinkAuthenticated, Unverified, Verified,
    },
};
use crate::{
    crypto::{Checker, Claim, Domain},
    effects::Input,
    evidence::{Charge, Evidence},
    ids::{Digest, ReplicaId, Source},
    keyring::Keyring,
    limits,
    message::{
        AskProposals, AskState, Body, CheckpointVote, PeerMessage, PrePrepare, Proposal, Rejoin,
        Signed, SignedRequest, StatePart, Status, Vote, proposal_digest,
    },
    misbehaviour::{Misbehaviour, Offence},
};

/// A message whose structure was found right, waiting for its signatures.
pub(super) enum Pending {
    Request(Arc<CheckedRequest>),
    PrePrepare(CheckedPrePrepare),
    Prepare(Signed<Vote>),
    Commit(Signed<Vote>),
    Checkpoint(Signed<CheckpointVote>),
    Status(Status),
    ViewChange(OpenViewChange),
    NewView(CheckedNewView),
    Decided(CheckedDecision),
    AskProposals(AskProposals),
    Content(Arc<CheckedProposal>),
    AskState(AskState),
    State(StatePart),
    Stable(Vec<Signed<CheckpointVote>>),
    /// Refused; evidence, if who is said to have signed it did.
    Refused(Offence, Box<Evidence>),
    Rejoin(Signed<Rejoin>),
}

/// Unverified messages whose signatures are checked together.
pub struct Batch<'k> {
    open: Claims<'k>,
    pending: Vec<(Source, Pending, Range<usize>)>,
}

impl<'k> Batch<'k> {
    /// An empty batch.
    #[must_use]
    pub const fn new(keyring: &'k Keyring) -> Self {
        let claims = Vec::new();
        Self {
            open: Claims { keyring, claims },
            pending: Vec::new(),
        }
    }

    /// Signatures waiting to be checked.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.open.claims.len()
    }

    /// Adds a message. `known` finds a request authenticated before, whose
    /// signature need not be checked again.
    ///
    /// # Errors
    /// [`Misbehaviour`] of the sender if the message is wrong whatever its signatures say.
    pub fn add(
        &mut self,
        unverified: Unverified,
        known: impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<(), Misbehaviour> {
        let first = self.open.claims.len();
        let source = unverified.source;
        match self.open.authenticate(unverified, known) {
            Ok(pending) => {
                self.pending
                    .push((source, pending, first..self.open.claims.len()));
                Ok(())
            }
            Err(Refusal { offence, charge }) => {
                self.open.claims.truncate(first);
                let Some(charge) = charge else {
                    return Err(Misbehaviour::new(source, offence));
                };
                let (charge, claim) = *charge;
                self.open.claims.push(claim);
                let evidence = Box::new(Evidence::new(*self.open.keyring.cluster(), charge));
                let refused = Pending::Refused(offence, evidence);
                let claims = first..self.open.claims.len();
                self.pending.push((source, refused, claims));
                Ok(())
            }
        }
    }

    /// Checks all signatures and returns each message as an input or as its
    /// sender's misbehaviour, in the order of [`Self::add`].
    #[must_use]
    pub fn check(self, checker: &mut Checker) -> Vec<Result<Input, Misbehaviour>> {
        let verdicts = checker.check(&self.open.claims);
        let cluster = self.open.keyring.cluster();
        self.pending
            .into_iter()
            .map(|(source, pending, claims)| {
                let verdicts = verdicts.get(claims).unwrap_or_default();
                let (offence, evidence) = match pending {
                    Pending::Refused(offence, evidence) => (offence, Some(evidence)),
                    // Signed by its sender over proofs that others did not sign.
                    Pending::ViewChange(open) if !open.holds(verdicts) => {
                        let charge = Charge::FlawedViewChange(Box::new(open.signed));
                        let evidence = Evidence::new(*cluster, charge);
                        (Offence::BadSignature, Some(Box::new(evidence)))
                    }
                    Pending::NewView(message) if verdicts.contains(&false) => {
                        let evidence = Evidence::new(*cluster, malformed(message.0));
                        (Offence::BadSignature, Some(Box::new(evidence)))
                    }
                    pending => match input(source, pending, verdicts) {
                        Some(input) => return Ok(input),
                        None => (Offence::BadSignature, None),
                    },
                };
                // Whatever has one begins with the claim of its own signer.
                let evidence = evidence.filter(|_| verdicts.first() == Some(&true));
                Err(Misbehaviour::new(source, offence).with_proof(evidence))
            })
            .collect()
    }
}

impl Claims<'_> {
    /// The one place that says what makes a message authentic: structure now,
    /// and the signatures it pushes as claims.
    fn authenticate(
        &mut self,
        unverified: Unverified,
        known: impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<Pending, Refusal> {
        let Unverified { source, message } = unverified;
        match message {
            PeerMessage::Forward(signed) => self.request(signed, &known).map(Pending::Request),
            PeerMessage::PrePrepare(message) => {
                self.pre_prepare(message, &known).map(Pending::PrePrepare)
            }
            PeerMessage::Prepare(signed) => {
                Self::said_by_its_signer(source, &signed)?;
                self.claims
                    .push(self.keyring.claim(&signed, Domain::Prepare)?);
                Ok(Pending::Prepare(signed))
            }
            // Counted on the link's word; the signature is checked later, in bulk.
            PeerMessage::Commit(signed) => {
                Self::said_by_its_signer(source, &signed)?;
                self.keyring.member_key(&signed.body)?;
                Ok(Pending::Commit(signed))
            }
            // Passed on by anybody: a replica that lags may not hear a strong quorum itself.
            PeerMessage::Checkpoint(signed) => {
                self.claims
                    .push(self.keyring.claim(&signed, Domain::Checkpoint)?);
                Ok(Pending::Checkpoint(signed))
            }
            PeerMessage::Status(status) => {
                if status.epoch != self.keyring.epoch() {
                    let is = self.keyring.epoch();
                    let said = status.epoch;
                    return Err(Offence::WrongEpoch { said, is }.into());
                }
                Ok(Pending::Status(status))
            }
            // Whoever brings these, their signers are who counts.
            PeerMessage::ViewChange(signed) => self.view_change(signed).map(Pending::ViewChange),
            PeerMessage::NewView(signed) => self.new_view(signed).map(Pending::NewView),
            PeerMessage::Decided(message) => Ok(Pending::Decided(self.decided(message, &known)?)),
            PeerMessage::AskProposals(ask) => {
                let wanted = ask.wanted.len();
                if wanted as u64 > limits::MAX_RESENT_NUMBERS {
                    return Err(Offence::AskedForTooMuch { wanted }.into());
                }
                Ok(Pending::AskProposals(ask))
            }
            PeerMessage::Content(content) => {
                let proposal = self.proposal(content.proposal, &known)?;
                Ok(Pending::Content(Arc::new(proposal)))
            }
            PeerMessage::AskState(ask) => Ok(Pending::AskState(ask)),
            PeerMessage::State(part) => {
                if part.bytes.len() > limits::STATE_PART_BYTES {
                    let bytes = part.bytes.len();
                    return Err(Offence::Oversized { bytes }.into());
                }
                Ok(Pending::State(part))
            }
            PeerMessage::Stable(votes) => {
                let first = votes.first().ok_or(Offence::BadCertificate)?;
                self.checkpoint(first.body.seq_no, &votes)?;
                Ok(Pending::Stable(votes))
            }
            PeerMessage::Rejoin(signed) => {
                self.claims
                    .push(self.keyring.claim(&signed, Domain::Rejoin)?);
                Ok(Pending::Rejoin(signed))
            }
        }
    }

    fn said_by_its_signer<B: Body>(source: Source, signed: &Signed<B>) -> Result<(), Offence> {
        if source == Source::Replica(signed.body.signer()) {
            Ok(())
        } else {
            Err(Offence::SpokeForAnother {
                as_replica: signed.body.signer(),
            })
        }
    }

    fn request(
        &mut self,
        signed: SignedRequest,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<Arc<CheckedRequest>, Refusal> {
        if let Err(offence) = well_formed(std::iter::once(&signed.request), 0) {
            let claim = self.keyring.request_claim(&signed, signed.request.digest());
            let charge = Charge::BadRequest(Box::new(signed));
            return Err(Refusal::signed(offence, charge, claim));
        }
        Ok(self.claim_request(signed, known))
    }

    fn pre_prepare(
        &mut self,
        message: PrePrepare,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<CheckedPrePrepare, Refusal> {
        let PrePrepare { vote, proposal } = message;
        let (view, seq_no) = (vote.body.view, vote.body.seq_no);
        let claim = self.keyring.claim(&vote, Domain::PrePrepare)?;
        if vote.body.replica != self.keyring.quorum().primary(view) {
            let offence = Offence::NotThePrimary { view };
            return Err(Refusal::signed(offence, Charge::NotThePrimary(vote), claim));
        }
        let requests = proposal.requests.iter().map(|signed| &signed.request);
        if let Err(offence) = well_formed(requests, proposal.rejoins.len()) {
            return Err(self.ill_formed(offence, vote, proposal, claim));
        }
        self.claims.push(claim);
        let proposal = self.proposal(proposal, known)?;
        if proposal.digest() != vote.body.digest {
            return Err(Offence::DigestMismatch { seq_no }.into());
        }
        Ok(CheckedPrePrepare {
            vote,
            proposal: Arc::new(proposal),
        })
    }

    /// Proof against the primary, if this is what it voted for; else somebody changed it.
    fn ill_formed(
        &self,
        offence: Offence,
        vote: Signed<Vote>,
        proposal: Proposal,
        claim: Claim,
    ) -> Refusal {
        let digests = proposal.requests.iter();
        let digests = digests.map(|signed| signed.request.digest());
        if proposal_digest(proposal.time, digests, &proposal.rejoins) != vote.body.digest {
            return offence.into();
        }
        let requests = proposal.requests.into_iter();
        let charge = Charge::BadProposal {
            vote,
            time: proposal.time,
            requests: requests.map(|signed| signed.request).collect(),
            rejoins: proposal.rejoins,
        };
        Refusal::signed(offence, charge, claim)
    }
}

/// What one message is taken for, apart from all others; nothing if it is refused.
pub(crate) fn examine(
    keyring: &Keyring,
    checker: &mut Checker,
    from: ReplicaId,
    message: PeerMessage,
) -> Option<Input> {
    let source = Source::Replica(from);
    let mut batch = Batch::new(keyring);
    batch.add(Unverified { source, message }, |_| None).ok()?;
    batch.check(checker).pop()?.ok()
}

/// What a message means, if its signatures hold.
fn input(source: Source, pending: Pending, verdicts: &[bool]) -> Option<Input> {
    let from = match source {
        Source::Replica(replica) => Some(replica),
        Source::Client(_) => None,
    };
    // A bad certificate in it must not hide the good ones beside it.
    if let Pending::ViewChange(open) = pending {
        let checked = open.finish(verdicts)?;
        return Some(Input::ViewChange(Verified(Arc::new(checked))));
    }
    if !verdicts.iter().all(|good| *good) {
        return None;
    }
    let link_peer = from.unwrap_or_default();
    Some(match pending {
        Pending::Request(request) => Input::Request {
            request: Verified(request),
            from,
        },
        Pending::PrePrepare(message) => Input::PrePrepare {
            message: Verified(message),
            from: link_peer,
        },
        Pending::Prepare(vote) => Input::Prepare(Verified(vote)),
        Pending::Commit(vote) => Input::Commit(by(link_peer, vote)),
        Pending::Checkpoint(vote) => Input::Checkpoint(Verified(vote)),
        Pending::Status(status) => Input::Status(by(link_peer, status)),
        Pending::ViewChange(_) | Pending::Refused(..) => return None,
        Pending::NewView(message) => Input::NewView(Verified(Arc::new(message))),
        Pending::Decided(decision) => Input::Decided {
            decision: Verified(decision),
            from: link_peer,
        },
        Pending::AskProposals(ask) => Input::AskProposals(by(link_peer, ask)),
        Pending::Content(proposal) => Input::Content(Verified(proposal)),
        Pending::AskState(ask) => Input::AskState(by(link_peer, ask)),
        Pending::State(part) => Input::State(by(link_peer, part)),
        Pending::Stable(votes) => Input::Stable(Verified(votes)),
        Pending::Rejoin(signed) => Input::Rejoin(Verified(signed)),
    })
}

const fn by<M>(from: ReplicaId, message: M) -> LinkAuthenticated<M> {
    LinkAuthenticated { from, message }
}

/// Checks commit votes that were counted on their links' word. A vote whose
/// signature fails makes its sender a proven liar about one number.
#[must_use]
pub fn check_commits(keyring: &Keyring, checker: &mut Checker, votes: Vec<Signed<Vote>>) -> Input {
    let mut claims = Vec::with_capacity(votes.len());
    let mut claimed = Vec::with_capacity(votes.len());
    for vote in votes {
        if let Ok(claim) = keyring.claim(&vote, Domain::Commit) {
            claims.push(claim);
            claimed.push(vote);
        }
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (vote, holds) in claimed.into_iter().zip(checker.check(&claims)) {
        if holds {
            good.push(Verified(vote))
        } else {
            bad.push(vote.body)
        }
    }
    Input::CommitsChecked { good, bad }
}
