//! The public keys of a cluster's replicas, and the claims that signatures make under them.
//!
//! A [`Keyring`] knows cluster, epoch, members and quorum sizes. It says which key must have
//! signed a body and refuses one of another epoch or of no member; it checks no signature
//! itself ([`crate::crypto::Checker`]) and knows nothing of incarnations, which the log decides.

use crate::{
    crypto::{Claim, Domain, PublicKey},
    ids::{ClusterId, Digest, Epoch, ReplicaId},
    message::{Body, Signed, SignedRequest},
    misbehaviour::Offence,
    quorum::Quorum,
};

/// What a replica knows about its cluster in order to check signatures.
#[derive(Clone, Debug)]
pub struct Keyring {
    cluster: ClusterId,
    epoch: Epoch,
    quorum: Quorum,
    keys: Vec<PublicKey>,
}

impl Keyring {
    /// The keyring of a cluster whose replicas have `keys`, in order of their ids;
    /// `None` if their number makes no cluster or two are equal.
    #[must_use]
    pub fn new(cluster: ClusterId, epoch: Epoch, keys: Vec<PublicKey>) -> Option<Self> {
        let quorum = Quorum::new(keys.len())?;
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        (distinct.len() == keys.len()).then_some(Self {
            cluster,
            epoch,
            quorum,
            keys,
        })
    }

    /// The cluster under every signature.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The configuration.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Quorum sizes.
    #[must_use]
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// The key of a member.
    #[must_use]
    pub fn key(&self, replica: ReplicaId) -> Option<PublicKey> {
        self.keys.get(usize::from(replica.0)).copied()
    }

    /// The claim that `signed` is its signer's in `domain`, after its epoch and membership
    /// were found right. Whether it is of an incarnation that counts is for the replica to say: it
    /// alone knows the log.
    ///
    /// # Errors
    /// [`Offence`] if the body belongs to no current member.
    pub fn claim<B: Body>(&self, signed: &Signed<B>, domain: Domain) -> Result<Claim, Offence> {
        let body = &signed.body;
        let key = self.member_key(body)?;
        Ok(Claim::encoded(
            key,
            signed.signature,
            domain,
            &self.cluster,
            body,
        ))
    }

    /// The key of a body's signer, after its epoch and membership were found right.
    ///
    /// # Errors
    /// [`Offence`] if the body belongs to no current member.
    pub fn member_key<B: Body>(&self, body: &B) -> Result<PublicKey, Offence> {
        if body.epoch() != self.epoch {
            return Err(Offence::WrongEpoch {
                said: body.epoch(),
                is: self.epoch,
            });
        }
        self.key(body.signer()).ok_or(Offence::NotAMember)
    }

    /// The claim that a request is its client's.
    #[must_use]
    pub fn request_claim(&self, signed: &SignedRequest, digest: Digest) -> Claim {
        Claim::new(
            signed.request.client.into(),
            signed.signature,
            Domain::Request,
            &self.cluster,
            &digest.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    #[test]
    fn a_keyring_needs_a_clusters_worth_of_different_keys() {
        let keys = |seeds: &[u8]| {
            seeds
                .iter()
                .map(|i| SigningKey::from_seed([*i; 32]).public())
                .collect::<Vec<_>>()
        };
        let keyring = |seeds| Keyring::new(ClusterId([0; 32]), Epoch(0), keys(seeds));
        assert!(keyring(&[1, 2, 3]).is_none());
        assert!(keyring(&[1, 2, 3, 1]).is_none());
        let four = keyring(&[1, 2, 3, 4]).unwrap();
        assert_eq!(four.key(ReplicaId(3)), Some(keys(&[4])[0]));
        assert_eq!(four.key(ReplicaId(4)), None);
    }
}
