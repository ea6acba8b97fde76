//! Checks signatures, one or many at a time, by ZIP-215's rule.
//!
//! A signature (R, s) of key A over M holds if R and A are points in any
//! spelling, s is below the group order, and 8·s·B = 8·R + 8·k·A with
//! k = SHA-512(R ‖ A ‖ M). A batch checks a random combination of its
//! equations: it passes if all hold, and if one does not, it fails but for one
//! chance in 2^128 (Bernstein et al., "High-speed high-security signatures", §5).
//! The curve's arithmetic is curve25519-dalek's; here is only the equation, so
//! that the points of keys seen before need not be found again, which is a
//! quarter of the work.

use std::collections::BTreeMap;

use curve25519_dalek::{
    constants::ED25519_BASEPOINT_POINT,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
    traits::VartimeMultiscalarMul as _,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Domain, PublicKey, Signature, signed_bytes, signed_encoding, stub};
use crate::{ids::ClusterId, limits};

/// One signature to be checked: by whom, in what domain, over which body.
#[derive(Clone, Debug)]
pub struct Claim {
    signer: PublicKey,
    signature: Signature,
    bytes: Vec<u8>,
}

/// A claim as numbers and points.
struct Equation {
    a: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

impl Claim {
    /// States that `signer` signed `body` in `domain` for `cluster`.
    #[must_use]
    pub fn new(
        signer: PublicKey,
        signature: Signature,
        domain: Domain,
        cluster: &ClusterId,
        body: &[u8],
    ) -> Self {
        Self {
            signer,
            signature,
            bytes: signed_bytes(domain, cluster, body),
        }
    }

    /// States that `signer` signed the encoding of `body` in `domain` for `cluster`.
    pub(crate) fn encoded<T: Serialize>(
        signer: PublicKey,
        signature: Signature,
        domain: Domain,
        cluster: &ClusterId,
        body: &T,
    ) -> Self {
        Self {
            signer,
            signature,
            bytes: signed_encoding(domain, cluster, body),
        }
    }

    /// Checks this claim alone.
    #[must_use]
    pub fn holds(&self) -> bool {
        point(&self.signer.0)
            .and_then(|a| self.equation(a))
            .is_some_and(|equation| equation.holds())
    }

    /// The claim's equation, given its signer's point; `None` if R is no point or s too large.
    fn equation(&self, a: EdwardsPoint) -> Option<Equation> {
        let (r, rest) = self.signature.0.split_first_chunk::<32>()?;
        let s = Scalar::from_canonical_bytes(*rest.first_chunk::<32>()?).into_option()?;
        let mut challenge = Sha512::new();
        challenge.update(r);
        challenge.update(self.signer.0);
        challenge.update(&self.bytes);
        let k = Scalar::from_bytes_mod_order_wide(&challenge.finalize().into());
        let r = point(r)?;
        Some(Equation { a, r, s, k })
    }
}

/// The point written as `bytes`, in any spelling.
fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

impl Equation {
    fn holds(&self) -> bool {
        let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-self.a, &self.s);
        (self.r - r).is_small_order()
    }
}

/// Checks claims and remembers the points of keys whose signatures held.
///
/// What it remembers changes how long a check takes, never its result. At most
/// [`limits::MAX_KNOWN_KEYS`] points of 160 bytes.
#[derive(Debug, Default)]
pub struct Checker {
    /// Keys used lately, and those used before these: the older half is forgotten as a whole.
    young: BTreeMap<PublicKey, EdwardsPoint>,
    old: BTreeMap<PublicKey, EdwardsPoint>,
    /// Accepts stand-ins, and nothing else.
    stub: bool,
}

impl Checker {
    /// One that knows no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that accepts the stand-ins of [`super::SigningKey::stub`] and no real signature.
    /// For simulations and tests, where clippy.toml lets it be made.
    #[must_use]
    pub fn stub() -> Self {
        Self {
            stub: true,
            ..Self::default()
        }
    }

    /// Says for each claim whether it holds.
    ///
    /// A batch costs about half of the single checks; only when it fails are the
    /// claims checked one by one to find the bad ones. The batch's random
    /// coefficients are drawn from a hash of the whole batch: a forger would have
    /// to find a batch whose own hash defeats it (128 bits), and the answer stays a
    /// function of the input.
    #[must_use]
    pub fn check(&mut self, claims: &[Claim]) -> Vec<bool> {
        if self.stub {
            let holds = |claim: &Claim| stub::holds(&claim.signer, &claim.signature, &claim.bytes);
            return claims.iter().map(holds).collect();
        }
        let equations: Vec<Option<Equation>> = claims
            .iter()
            .map(|claim| claim.equation(self.find(&claim.signer)?))
            .collect();
        let all: Vec<(&PublicKey, &Equation)> = claims
            .iter()
            .zip(&equations)
            .filter_map(|(claim, equation)| Some((&claim.signer, equation.as_ref()?)))
            .collect();
        let all_hold = all.len() > 1 && hold_together(&all);
        let verdicts: Vec<bool> = equations
            .iter()
            .map(|equation| {
                equation
                    .as_ref()
                    .is_some_and(|equation| all_hold || equation.holds())
            })
            .collect();
        for ((claim, equation), holds) in claims.iter().zip(&equations).zip(&verdicts) {
            if let Some(equation) = equation
                && *holds
            {
                self.remember(claim.signer, equation.a);
            }
        }
        verdicts
    }

    fn find(&self, key: &PublicKey) -> Option<EdwardsPoint> {
        let known = self.young.get(key).or_else(|| self.old.get(key));
        known.copied().or_else(|| point(&key.0))
    }

    /// Only keys that signed something: others cost their owners nothing to make.
    fn remember(&mut self, key: PublicKey, a: EdwardsPoint) {
        if self.young.contains_key(&key) {
            return;
        }
        if self.young.len() >= limits::MAX_KNOWN_KEYS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, a);
    }
}

/// Checks the sum of the equations, each times a coefficient of 128 bits; the
/// parts of one key are added up first.
fn hold_together(equations: &[(&PublicKey, &Equation)]) -> bool {
    let mut transcript = Sha256::new();
    for (_, equation) in equations {
        // k is a hash of R, A and what was signed.
        transcript.update(equation.k.as_bytes());
        transcript.update(equation.s.as_bytes());
    }
    let mut coefficients = ChaCha20Rng::from_seed(transcript.finalize().into());
    let mut base = Scalar::ZERO;
    let mut keys: BTreeMap<&PublicKey, (Scalar, EdwardsPoint)> = BTreeMap::new();
    let mut nonces = Vec::with_capacity(equations.len() + 1);
    for (key, equation) in equations {
        let mut coefficient = [0; 16];
        coefficients.fill_bytes(&mut coefficient);
        let z = Scalar::from(u128::from_le_bytes(coefficient));
        base -= z * equation.s;
        keys.entry(key).or_insert((Scalar::ZERO, equation.a)).0 += z * equation.k;
        nonces.push((z, equation.r));
    }
    nonces.push((base, ED25519_BASEPOINT_POINT));
    let terms = || keys.values().chain(&nonces);
    EdwardsPoint::vartime_multiscalar_mul(
        terms().map(|(scalar, _)| scalar),
        terms().map(|(_, point)| point),
    )
    .is_small_order()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    const CLUSTER: ClusterId = ClusterId([3; 32]);

    fn claim(seed: u32, signed: &[u8], said: &[u8]) -> Claim {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_le_bytes());
        let key = SigningKey::from_seed(bytes);
        let signature = key.sign(Domain::Request, &CLUSTER, signed);
        Claim::new(key.public(), signature, Domain::Request, &CLUSTER, said)
    }

    #[test]
    fn a_key_is_remembered_by_what_it_signed_and_the_verdict_stays_the_same() {
        let mut checker = Checker::new();
        assert_eq!(checker.check(&[claim(1, b"a", b"b")]), [false]);
        assert!(
            checker.young.is_empty(),
            "nobody's key is kept for a forgery"
        );
        for _ in 0..3 {
            let batch = [
                claim(1, b"a", b"a"),
                claim(1, b"a", b"b"),
                claim(2, b"c", b"c"),
            ];
            assert_eq!(checker.check(&batch), [true, false, true]);
        }
        assert_eq!(checker.young.len(), 2);
    }

    #[test]
    fn no_more_keys_are_kept_than_the_limit() {
        let mut checker = Checker::new();
        let (key, a) = (PublicKey([1; 32]), ED25519_BASEPOINT_POINT);
        for seed in 0..3 * limits::MAX_KNOWN_KEYS as u64 {
            let mut other = key;
            other.0[..8].copy_from_slice(&seed.to_le_bytes());
            checker.remember(other, a);
            assert!(checker.young.len() + checker.old.len() <= limits::MAX_KNOWN_KEYS);
        }
    }
}
