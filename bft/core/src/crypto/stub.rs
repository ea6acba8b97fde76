//! A stand-in for signatures in simulations: a cheap keyed hash, no proof of anything.
//!
//! Anybody can make one, since its key is the public key. What a simulation
//! needs of it is that it depends on every bit that is signed and on who is
//! said to have signed. The second half of a stub is no canonical scalar, so
//! the rule for real signatures refuses each of them, whatever the first says.

use super::{PublicKey, Signature};

/// What stands where a real signature has s: far above the group's order.
const TAIL: u8 = 0xff;

/// An odd number whose bits are spread evenly (the golden ratio's).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The public key of a stub made from `seed`.
pub(super) fn public(seed: &[u8; 32]) -> PublicKey {
    PublicKey(super::digest("bezant stub key", &[seed]).0)
}

/// The stub of `signer` over `bytes`.
pub(super) fn sign(signer: &PublicKey, bytes: &[u8]) -> Signature {
    let mut state = mix(SPREAD, bytes.len() as u64);
    for part in [&signer.0[..], bytes] {
        for word in part.chunks(8) {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(word) {
                *to = *from;
            }
            state = mix(state, u64::from_le_bytes(padded));
        }
    }
    let mut signature = [TAIL; 64];
    for (lane, to) in signature.chunks_mut(8).take(4).enumerate() {
        to.copy_from_slice(&mix(state, lane as u64).to_le_bytes());
    }
    Signature(signature)
}

/// Whether `signature` is the stub of `signer` over `bytes`.
pub(super) fn holds(signer: &PublicKey, signature: &Signature, bytes: &[u8]) -> bool {
    sign(signer, bytes) == *signature
}

const fn mix(state: u64, word: u64) -> u64 {
    let product = (state.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    product ^ (product >> 29)
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "these tests are about what is disallowed elsewhere"
)]
mod tests {
    use crate::{
        crypto::{Checker, Claim, Domain, SigningKey},
        ids::ClusterId,
    };

    const CLUSTER: ClusterId = ClusterId([3; 32]);

    fn claim(key: &SigningKey, signed: &[u8], said: &[u8]) -> Claim {
        let signature = key.sign(Domain::Prepare, &CLUSTER, signed);
        Claim::new(key.public(), signature, Domain::Prepare, &CLUSTER, said)
    }

    #[test]
    fn only_the_checker_of_stubs_accepts_a_stub() {
        let (stub, real) = (SigningKey::stub([1; 32]), SigningKey::from_seed([1; 32]));
        let claims = [claim(&stub, b"a", b"a"), claim(&real, b"a", b"a")];
        assert_eq!(Checker::stub().check(&claims), [true, false]);
        assert_eq!(Checker::new().check(&claims), [false, true]);
        assert!(!claims[0].holds(), "alone it is no signature either");
    }

    /// One bit of the message, of the domain or of the signer makes another stub.
    #[test]
    fn a_stub_depends_on_all_that_is_signed() {
        let key = SigningKey::stub([7; 32]);
        let body: Vec<u8> = (0..41).collect();
        let mut checker = Checker::stub();
        for bit in 0..body.len() * 8 {
            let mut other = body.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(checker.check(&[claim(&key, &body, &other)]), [false]);
        }
        let longer: Vec<u8> = body.iter().copied().chain([0]).collect();
        assert_eq!(checker.check(&[claim(&key, &body, &longer)]), [false]);
        let signature = key.sign(Domain::Prepare, &CLUSTER, &body);
        for (signer, domain, holds) in [
            (key.public(), Domain::Prepare, true),
            (key.public(), Domain::Commit, false),
            (SigningKey::stub([8; 32]).public(), Domain::Prepare, false),
        ] {
            let claim = Claim::new(signer, signature, domain, &CLUSTER, &body);
            assert_eq!(checker.check(&[claim]), [holds]);
        }
    }
}
