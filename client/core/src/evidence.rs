//! Proof that a replica lied, for people who were not there.
//!
//! A reply is authenticated by its link and proves nothing to others. When
//! answers differ the client asks for signed ones: a signed answer against f+1
//! signed answers that say otherwise convicts, since one of the f+1 is correct.

use std::collections::BTreeSet;

use bezant_bft::{
    crypto::Domain,
    ids::ReplicaId,
    message::{ReplyClaim, Signed},
    seal::Keyring,
};
use serde::{Deserialize, Serialize};

/// A lie, with what convicts the liar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The signed answer of the liar.
    pub lie: Signed<ReplyClaim>,
    /// Signed answers of f+1 other replicas that agree with each other.
    pub truth: Vec<Signed<ReplyClaim>>,
}

/// Why evidence does not convict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A signature does not hold, or its signer is no member.
    #[error("a signature in the evidence does not hold")]
    Signature,
    /// The answers are not to the same request.
    #[error("the answers in the evidence are to different requests")]
    Unrelated,
    /// The answers do not contradict each other.
    #[error("the answers in the evidence do not contradict each other")]
    NoContradiction,
    /// Fewer than f+1 distinct others stand against the lie.
    #[error("fewer than f+1 replicas stand against the lie")]
    TooFew,
}

impl Evidence {
    /// Who lied.
    #[must_use]
    pub const fn liar(&self) -> ReplicaId {
        self.lie.body.replica
    }

    /// Checks the whole, with nothing but the cluster's public keys.
    ///
    /// # Errors
    /// [`EvidenceError`] saying what is missing.
    pub fn verify(&self, keyring: &Keyring) -> Result<(), EvidenceError> {
        let (liar, lie) = (self.liar(), &self.lie.body);
        let mut against = BTreeSet::new();
        for signed in self.truth.iter().chain([&self.lie]) {
            let claim = keyring.claim(signed, Domain::Reply);
            if !claim.is_ok_and(|claim| claim.holds()) {
                return Err(EvidenceError::Signature);
            }
            let said = &signed.body;
            if said.client != lie.client
                || said.reply.session != lie.reply.session
                || said.reply.number != lie.reply.number
            {
                return Err(EvidenceError::Unrelated);
            }
        }
        let Some(first) = self.truth.first() else {
            return Err(EvidenceError::TooFew);
        };
        if first.body.reply == lie.reply {
            return Err(EvidenceError::NoContradiction);
        }
        for signed in self
            .truth
            .iter()
            .filter(|signed| signed.body.reply == first.body.reply)
        {
            against.insert(signed.body.replica);
        }
        against.remove(&liar);
        if against.len() >= keyring.quorum().weak() {
            Ok(())
        } else {
            Err(EvidenceError::TooFew)
        }
    }
}
