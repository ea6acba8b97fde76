//! Private keys: what makes signatures.
//!
//! A key signs what [`super`] says a signature covers, and nothing else. It is made from a
//! seed; where seeds come from and how they are kept is not known here.

use core::fmt;

use ed25519_dalek::Signer as _;
use serde::Serialize;

use super::{Domain, PublicKey, Signature, signed_bytes, signed_encoding, stub};
use crate::ids::{ClientId, ClusterId};

/// A private key with its public half.
#[derive(Clone)]
pub struct SigningKey {
    secret: Secret,
    public: PublicKey,
}

#[derive(Clone)]
enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// Of a simulation: the seed is no secret.
    Stub([u8; 32]),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {:?})", self.public)
    }
}

impl SigningKey {
    /// The key whose RFC 8032 seed is `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = PublicKey(secret.verifying_key().to_bytes());
        let secret = Secret::Ed25519(Box::new(secret));
        Self { secret, public }
    }

    /// A key whose signatures are stand-ins that [`super::Checker::stub`] alone accepts. For
    /// simulations and tests, where clippy.toml lets it be made; worthless as proof.
    #[must_use]
    pub fn stub(seed: [u8; 32]) -> Self {
        Self {
            secret: Secret::Stub(seed),
            public: stub::public(&seed),
        }
    }

    /// The RFC 8032 seed, to be stored; handle as a secret.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        match &self.secret {
            Secret::Ed25519(secret) => secret.to_bytes(),
            Secret::Stub(seed) => *seed,
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The client this key is.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        ClientId(self.public.0)
    }

    /// Signs `body` in `domain` for `cluster`.
    #[must_use]
    pub fn sign(&self, domain: Domain, cluster: &ClusterId, body: &[u8]) -> Signature {
        self.sign_bytes(&signed_bytes(domain, cluster, body))
    }

    /// Signs the encoding of `body` in `domain` for `cluster`.
    pub(crate) fn sign_encoded<T: Serialize>(
        &self,
        domain: Domain,
        cluster: &ClusterId,
        body: &T,
    ) -> Signature {
        self.sign_bytes(&signed_encoding(domain, cluster, body))
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        match &self.secret {
            Secret::Ed25519(secret) => Signature(secret.sign(bytes).to_bytes()),
            Secret::Stub(_) => stub::sign(&self.public, bytes),
        }
    }
}
