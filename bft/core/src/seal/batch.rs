//! Many sealed messages, checked together.

use std::{ops::Range, sync::Arc};

use super::{
    CheckedPrePrepare, CheckedProposal, CheckedRequest, Keyring, Linked, Sealed, Source, Verified,
    certificates::{CheckedDecision, CheckedNewView, OpenViewChange},
};
use crate::{
    crypto::{Checker, Claim, Domain},
    effects::Input,
    ids::{Digest, ReplicaId},
    limits,
    message::{
        AskProposals, AskState, Body, CheckpointVote, PeerMessage, PrePrepare, Proposal, Signed,
        SignedRequest, StatePart, Status, Vote,
    },
    misbehaviour::{Fault, Misbehaviour},
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
}

/// Sealed messages whose signatures are checked together.
pub struct Batch<'k> {
    pub(super) keyring: &'k Keyring,
    pub(super) claims: Vec<Claim>,
    pending: Vec<(Source, Pending, Range<usize>)>,
}

impl<'k> Batch<'k> {
    /// An empty batch.
    #[must_use]
    pub const fn new(keyring: &'k Keyring) -> Self {
        Self {
            keyring,
            claims: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Signatures waiting to be checked.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.claims.len()
    }

    /// Adds a message. `known` finds a request authenticated before, whose
    /// signature need not be checked again.
    ///
    /// # Errors
    /// [`Misbehaviour`] of the sender if the message is wrong whatever its signatures say.
    pub fn add(
        &mut self,
        sealed: Sealed,
        known: impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<(), Misbehaviour> {
        let first = self.claims.len();
        let source = sealed.source;
        match self.authenticate(sealed, known) {
            Ok(pending) => {
                self.pending
                    .push((source, pending, first..self.claims.len()));
                Ok(())
            }
            Err(fault) => {
                self.claims.truncate(first);
                Err(Misbehaviour::new(source, fault))
            }
        }
    }

    /// The one place that says what makes a message authentic: structure now,
    /// and the signatures it pushes as claims.
    fn authenticate(
        &mut self,
        sealed: Sealed,
        known: impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<Pending, Fault> {
        let Sealed { source, message } = sealed;
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
                if status.epoch != self.keyring.epoch {
                    let is = self.keyring.epoch;
                    return Err(Fault::WrongEpoch {
                        said: status.epoch,
                        is,
                    });
                }
                Ok(Pending::Status(status))
            }
            // Whoever brings these, their signers are who counts.
            PeerMessage::ViewChange(signed) => self.view_change(signed).map(Pending::ViewChange),
            PeerMessage::NewView(signed) => self.new_view(signed).map(Pending::NewView),
            PeerMessage::Decided(message) => self.decided(message, &known).map(Pending::Decided),
            PeerMessage::AskProposals(ask) => {
                let wanted = ask.wanted.len();
                if wanted as u64 > limits::MAX_RESENT_NUMBERS {
                    return Err(Fault::AskedForTooMuch { wanted });
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
                    return Err(Fault::Oversized { bytes });
                }
                Ok(Pending::State(part))
            }
            PeerMessage::Stable(votes) => {
                let first = votes.first().ok_or(Fault::BadCertificate)?;
                self.checkpoint(first.body.number, &votes)?;
                Ok(Pending::Stable(votes))
            }
        }
    }

    fn said_by_its_signer<B: Body>(source: Source, signed: &Signed<B>) -> Result<(), Fault> {
        if source == Source::Replica(signed.body.signer()) {
            Ok(())
        } else {
            Err(Fault::SpokeForAnother {
                as_replica: signed.body.signer(),
            })
        }
    }

    fn request(
        &mut self,
        signed: SignedRequest,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<Arc<CheckedRequest>, Fault> {
        if signed.request.op.len() > limits::MAX_OP_BYTES {
            return Err(Fault::Oversized {
                bytes: signed.request.op.len(),
            });
        }
        let acked = &signed.request.acked;
        if acked.len() as u64 > limits::SESSION_WINDOW || !acked.is_sorted_by(|a, b| a < b) {
            return Err(Fault::BadAcknowledgements);
        }
        let digest = signed.request.digest();
        if let Some(checked) = known(&digest) {
            return Ok(checked);
        }
        self.claims
            .push(self.keyring.request_claim(&signed, digest));
        Ok(Arc::new(CheckedRequest { signed, digest }))
    }

    fn pre_prepare(
        &mut self,
        message: PrePrepare,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<CheckedPrePrepare, Fault> {
        let PrePrepare { vote, proposal } = message;
        if vote.body.replica != self.keyring.quorum.primary(vote.body.view) {
            return Err(Fault::NotThePrimary {
                view: vote.body.view,
            });
        }
        self.claims
            .push(self.keyring.claim(&vote, Domain::PrePrepare)?);
        let proposal = self.proposal(proposal, known)?;
        if proposal.digest != vote.body.digest {
            return Err(Fault::DigestMismatch {
                number: vote.body.number,
            });
        }
        Ok(CheckedPrePrepare {
            vote,
            proposal: Arc::new(proposal),
        })
    }

    /// A proposal whose requests all have to hold.
    pub(super) fn proposal(
        &mut self,
        proposal: Proposal,
        known: &impl Fn(&Digest) -> Option<Arc<CheckedRequest>>,
    ) -> Result<CheckedProposal, Fault> {
        if proposal.requests.len() > limits::MAX_REQUESTS_PER_PROPOSAL {
            return Err(Fault::TooManyRequests {
                requests: proposal.requests.len(),
            });
        }
        let requests: Result<Vec<_>, _> = proposal
            .requests
            .into_iter()
            .map(|signed| self.request(signed, known))
            .collect();
        Ok(CheckedProposal::new(proposal.time, requests?))
    }

    /// Checks all signatures and returns each message as an input or as its
    /// sender's misbehaviour, in the order of [`Self::add`].
    #[must_use]
    pub fn check(self, checker: &mut Checker) -> Vec<Result<Input, Misbehaviour>> {
        let verdicts = checker.check(&self.claims);
        self.pending
            .into_iter()
            .map(|(source, pending, claims)| {
                let verdicts = verdicts.get(claims);
                verdicts
                    .and_then(|verdicts| input(source, pending, verdicts))
                    .ok_or_else(|| Misbehaviour::new(source, Fault::BadSignature))
            })
            .collect()
    }
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
    let linked = from.unwrap_or_default();
    Some(match pending {
        Pending::Request(request) => Input::Request {
            request: Verified(request),
            from,
        },
        Pending::PrePrepare(message) => Input::PrePrepare(Verified(message)),
        Pending::Prepare(vote) => Input::Prepare(Verified(vote)),
        Pending::Commit(vote) => Input::Commit(by(linked, vote)),
        Pending::Checkpoint(vote) => Input::Checkpoint(Verified(vote)),
        Pending::Status(status) => Input::Status(by(linked, status)),
        Pending::ViewChange(_) => return None,
        Pending::NewView(message) => Input::NewView(Verified(Arc::new(message))),
        Pending::Decided(decision) => Input::Decided {
            decision: Verified(decision),
            from: linked,
        },
        Pending::AskProposals(ask) => Input::AskProposals(by(linked, ask)),
        Pending::Content(proposal) => Input::Content(Verified(proposal)),
        Pending::AskState(ask) => Input::AskState(by(linked, ask)),
        Pending::State(part) => Input::State(by(linked, part)),
        Pending::Stable(votes) => Input::Stable {
            votes: Verified(votes),
            from: linked,
        },
    })
}

const fn by<M>(from: ReplicaId, message: M) -> Linked<M> {
    Linked { from, message }
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
