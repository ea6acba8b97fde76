//! One rule for signatures, ZIP-215's: the same answer for one alone and inside any
//! batch, on the inputs where implementations differ (Chalkias, Garillot,
//! Nikolaenko, "Taming the many EdDSAs", SSR 2020).
//!
//! The vectors are made here: points of small order and points written in two
//! ways as key and as R, a torsion component in either, and s beyond the group order.

use bezant_bft::{
    crypto::{Checker, Claim, Domain, PublicKey, Signature, SigningKey},
    ids::ClusterId,
};
use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
    traits::IsIdentity as _,
};
use sha2::{Digest as _, Sha512};

const CLUSTER: ClusterId = ClusterId([7; 32]);
const DOMAIN: Domain = Domain::Request;
const BODY: &[u8] = b"body";

/// What a checker says that knows nothing yet, and says again once it knows the keys.
fn check_all(claims: &[Claim]) -> Vec<bool> {
    let mut checker = Checker::new();
    let first = checker.check(claims);
    assert_eq!(checker.check(claims), first);
    first
}

/// An edge case and what ZIP-215 says of it.
struct Vector {
    name: String,
    claim: Claim,
    valid: bool,
}

fn claim(key: [u8; 32], r: [u8; 32], s: [u8; 32]) -> Claim {
    claim_over(BODY, key, r, s)
}

fn claim_over(body: &[u8], key: [u8; 32], r: [u8; 32], s: [u8; 32]) -> Claim {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    Claim::new(PublicKey(key), Signature(signature), DOMAIN, &CLUSTER, body)
}

/// What is signed: as the product puts it together, written down a second time.
fn signed_bytes(body: &[u8]) -> Vec<u8> {
    [&[DOMAIN as u8][..], &CLUSTER.0, body].concat()
}

/// RFC 8032's challenge.
fn challenge(r: &[u8; 32], key: &[u8; 32], body: &[u8]) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(key);
    hash.update(signed_bytes(body));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// ZIP-215 written down as its text says: 8·s·B = 8·R + 8·k·A, points in any spelling,
/// s in one.
fn zip215(key: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
    let points = (
        CompressedEdwardsY(*key).decompress(),
        CompressedEdwardsY(*r).decompress(),
    );
    let (Some(a), Some(r_point)) = points else {
        return false;
    };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s)) else {
        return false;
    };
    let difference = ED25519_BASEPOINT_POINT * s - r_point - a * challenge(r, key, BODY);
    difference.mul_by_cofactor().is_identity()
}

/// The eight points of small order in every spelling that decompresses: y, y + p where
/// it fits, and the sign bit on points whose x is 0.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings = Vec::new();
    let mut low = [0_u8; 32];
    for y in 0..=18_u8 {
        // p = 2^255 - 19, so a y below 19 has a second spelling, p + y, in 255 bits.
        low[0] = y;
        let mut high = [0xff; 32];
        high[31] = 0x7f;
        high[0] = 0xed + y;
        for mut bytes in [low, high] {
            for sign in [0, 0x80] {
                bytes[31] = (bytes[31] & 0x7f) | sign;
                encodings.push(bytes);
            }
        }
    }
    // p - 1 is y = -1, the point of order two.
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    for sign in [0x7f, 0xff] {
        minus_one[31] = sign;
        encodings.push(minus_one);
    }
    encodings.extend(EIGHT_TORSION.iter().map(|point| point.compress().0));
    encodings.sort_unstable();
    encodings.dedup();
    let small = |bytes: &[u8; 32]| {
        CompressedEdwardsY(*bytes)
            .decompress()
            .is_some_and(|point| point.is_small_order())
    };
    encodings.retain(small);
    encodings
}

/// Points of large order with a second spelling: y < 19, and so y + p fits.
fn non_canonical_encodings() -> Vec<[u8; 32]> {
    let spelled = (0..19_u8).flat_map(|y| {
        let mut high = [0xff; 32];
        high[0] = 0xed + y;
        [0x7f, 0xff].map(|last| {
            high[31] = last;
            high
        })
    });
    let large = |bytes: &[u8; 32]| {
        CompressedEdwardsY(*bytes)
            .decompress()
            .is_some_and(|point| !point.is_small_order())
    };
    spelled.filter(large).collect()
}

/// s + l: the same scalar once more, which RFC 8032 and ZIP-215 refuse.
fn beyond_order(s: [u8; 32], times: u32) -> [u8; 32] {
    // l = 2^252 + 27742317777372353535851937790883648493, little end first.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = s;
    for _ in 0..times {
        let mut carry = 0_u16;
        for (byte, order) in sum.iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(carry, 0, "does not fit");
    }
    sum
}

/// What another implementation of ZIP-215 says.
fn zebra(key: [u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
    let signature = ed25519_zebra::Signature::from_components(*r, *s);
    ed25519_zebra::VerificationKey::try_from(key)
        .is_ok_and(|key| key.verify(&signature, &signed_bytes(BODY)).is_ok())
}

fn vector(name: String, key: [u8; 32], r: [u8; 32], s: [u8; 32]) -> Vector {
    let valid = zip215(&key, &r, &s);
    assert_eq!(zebra(key, &r, &s), valid, "{name}");
    Vector {
        name,
        claim: claim(key, r, s),
        valid,
    }
}

/// A signature by secret scalar `a` whose key and R carry any torsion component.
fn with_torsion(
    key: EdwardsPoint,
    a: Scalar,
    r_torsion: EdwardsPoint,
) -> ([u8; 32], [u8; 32], [u8; 32]) {
    let nonce = Scalar::from(987_654_321_u64);
    let key = key.compress().0;
    let r = (ED25519_BASEPOINT_POINT * nonce + r_torsion).compress().0;
    let s = nonce + challenge(&r, &key, BODY) * a;
    (key, r, s.to_bytes())
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let small = small_order_encodings();
    assert!(
        small.len() > EIGHT_TORSION.len(),
        "non-canonical spellings among them"
    );
    // Small order as key and as R: valid with s = 0 whatever is signed, with nobody's secret.
    for (i, key) in small.iter().enumerate() {
        for (j, r) in small.iter().enumerate() {
            vectors.push(vector(
                format!("small key {i}, small R {j}"),
                *key,
                *r,
                [0; 32],
            ));
        }
        let mut one = [0; 32];
        one[0] = 1;
        vectors.push(vector(
            format!("small key {i}, R = 1, s = 1"),
            *key,
            small[0],
            one,
        ));
        // R = s·B: valid since the key contributes nothing but torsion.
        let s = Scalar::from(12_345_u64);
        let r = (ED25519_BASEPOINT_POINT * s).compress().0;
        vectors.push(vector(
            format!("small key {i}, true R"),
            *key,
            r,
            s.to_bytes(),
        ));
    }
    let a = Scalar::from(123_456_789_u64);
    let key = ED25519_BASEPOINT_POINT * a;
    // Torsion in the key, in R, in both: a cofactorless check refuses most of these.
    for (i, in_key) in EIGHT_TORSION.into_iter().enumerate() {
        for (j, in_r) in EIGHT_TORSION.into_iter().enumerate() {
            let (key, r, s) = with_torsion(key + in_key, a, in_r);
            vectors.push(vector(
                format!("torsion {i} in the key, {j} in R"),
                key,
                r,
                s,
            ));
        }
    }
    for (i, r) in small.iter().enumerate() {
        // Small R under a true key: s = k·a.
        let bytes = key.compress().0;
        let s = challenge(r, &bytes, BODY) * a;
        vectors.push(vector(
            format!("true key, small R {i}"),
            bytes,
            *r,
            s.to_bytes(),
        ));
    }
    for (i, odd) in non_canonical_encodings().into_iter().enumerate() {
        // Points of unknown logarithm: decompress, and then the equation fails.
        let s = Scalar::from(5_u64).to_bytes();
        vectors.push(vector(format!("non-canonical key {i}"), odd, small[0], s));
        vectors.push(vector(
            format!("non-canonical R {i}"),
            key.compress().0,
            odd,
            s,
        ));
    }
    let (key, r, s) = with_torsion(key, a, EIGHT_TORSION[0]);
    vectors.push(vector("sound".into(), key, r, s));
    // The same scalar with multiples of the order on top, as far as some decoders look.
    for times in 1..=7 {
        vectors.push(vector(
            format!("s + {times}·l"),
            key,
            r,
            beyond_order(s, times),
        ));
        let zero = beyond_order([0; 32], times);
        vectors.push(vector(
            format!("small all over, s = {times}·l"),
            small[0],
            small[0],
            zero,
        ));
    }
    vectors.push(vector("s all ones".into(), key, r, [0xff; 32]));
    // Not on the curve: no point has y = 2.
    let mut off = [0; 32];
    off[0] = 2;
    assert!(CompressedEdwardsY(off).decompress().is_none());
    vectors.push(vector("key off the curve".into(), off, r, s));
    vectors.push(vector("R off the curve".into(), key, off, s));
    vectors
}

fn sound(i: u64) -> Claim {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&i.to_le_bytes());
    let key = SigningKey::from_seed(seed);
    let body = i.to_le_bytes();
    Claim::new(
        key.public(),
        key.sign(DOMAIN, &CLUSTER, &body),
        DOMAIN,
        &CLUSTER,
        &body,
    )
}

#[test]
fn the_vectors_hold_what_they_promise() {
    let vectors = vectors();
    let valid = vectors.iter().filter(|vector| vector.valid).count();
    assert!(
        valid > 100 && vectors.len() - valid > 30,
        "{valid} of {}",
        vectors.len()
    );
    let of = |name: &str| {
        vectors
            .iter()
            .find(|vector| vector.name == name)
            .unwrap()
            .valid
    };
    assert!(of("sound") && of("torsion 3 in the key, 5 in R") && of("small key 0, small R 3"));
    assert!(!of("s + 1·l") && !of("s all ones") && !of("key off the curve"));
    assert!(!of("non-canonical key 0") && !of("small key 0, R = 1, s = 1"));
}

#[test]
fn one_alone_is_judged_by_zip_215() {
    for Vector { name, claim, valid } in vectors() {
        assert_eq!(claim.holds(), valid, "{name}");
        assert_eq!(check_all(&[claim]), [valid], "{name}");
    }
}

/// A batch of one edge case and sound signatures: the same verdict in every place.
#[test]
fn the_same_verdict_in_a_batch_with_sound_ones() {
    let others: Vec<_> = (0..2).map(sound).collect();
    for (at, Vector { name, claim, valid }) in vectors().into_iter().enumerate() {
        let mut batch = others.clone();
        let at = at % (batch.len() + 1);
        batch.insert(at, claim);
        let verdicts = check_all(&batch);
        let expected: Vec<_> = (0..batch.len()).map(|i| i != at || valid).collect();
        assert_eq!(verdicts, expected, "{name}");
    }
}

/// Edge cases among themselves: all valid ones together pass as one batch, and with one
/// invalid among them each keeps its own verdict. Torsion may not add up to a pass or a failure.
#[test]
fn the_same_verdict_in_a_batch_of_edge_cases() {
    let (valid, invalid): (Vec<_>, Vec<_>) = vectors().into_iter().partition(|vector| vector.valid);
    let good: Vec<_> = valid.into_iter().map(|vector| vector.claim).collect();
    assert!(check_all(&good).into_iter().all(|holds| holds));
    for pair in good.windows(2) {
        assert_eq!(check_all(pair), [true, true]);
    }
    for Vector { name, claim, .. } in invalid {
        let batch = [good[7].clone(), claim, good[70].clone()];
        assert_eq!(check_all(&batch), [true, false, true], "{name}");
    }
}

/// The same claim twice, and two claims whose errors would cancel without random weights.
#[test]
fn errors_do_not_cancel_in_a_batch() {
    let (a, nonce) = (Scalar::from(77_u64), Scalar::from(99_u64));
    let key = (ED25519_BASEPOINT_POINT * a).compress().0;
    let r = (ED25519_BASEPOINT_POINT * nonce).compress().0;
    let s = |body| nonce + challenge(&r, &key, body) * a;
    let (plus, minus) = (s(b"one") + Scalar::ONE, s(b"two") - Scalar::ONE);
    let one = claim_over(b"one", key, r, plus.to_bytes());
    let two = claim_over(b"two", key, r, minus.to_bytes());
    assert_eq!(check_all(&[one.clone(), two]), [false, false]);
    assert_eq!(check_all(&[one.clone(), one]), [false, false]);
    let sound = sound(1);
    assert_eq!(check_all(&[sound.clone(), sound]), [true, true]);
    assert!(check_all(&[]).is_empty());
}

/// No part of what is signed may change: domain, cluster, body.
#[test]
fn a_signature_is_for_one_domain_one_cluster_and_one_body() {
    let key = SigningKey::from_seed([1; 32]);
    let signature = key.sign(Domain::Prepare, &CLUSTER, BODY);
    let holds = |domain, cluster: &ClusterId, body: &[u8]| {
        Claim::new(key.public(), signature, domain, cluster, body).holds()
    };
    assert!(holds(Domain::Prepare, &CLUSTER, BODY));
    for domain in [
        Domain::Request,
        Domain::PrePrepare,
        Domain::Commit,
        Domain::Checkpoint,
        Domain::Reply,
        Domain::Attach,
    ] {
        assert!(!holds(domain, &CLUSTER, BODY), "{domain:?}");
    }
    assert!(!holds(Domain::Prepare, &ClusterId([8; 32]), BODY));
    assert!(!holds(Domain::Prepare, &CLUSTER, b"bodz"));
    assert!(!holds(Domain::Prepare, &CLUSTER, b"body\0"));
}
