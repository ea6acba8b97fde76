//! TLS 1.3 between raw Ed25519 public keys (RFC 7250): no certificate, no name, no authority.
//!
//! An identity is a key, presented as its `SubjectPublicKeyInfo`. A dialer pins
//! the one key it expects; an acceptor takes any Ed25519 key and decides
//! afterwards who that is ([`crate::hello::judge`]). What is proven is
//! possession of the private key, by a signature over the handshake. Sessions
//! are never resumed and nothing is sent early: a replayed first flight must
//! not be able to do anything.
//!
//! The provider is *ring*: it builds fastest and needs no C toolchain beyond a
//! compiler. AES-128-GCM comes first because QUIC needs it anyway and every
//! server processor has it in hardware; ChaCha20-Poly1305 serves the others.

use std::sync::{Arc, Mutex};

use bezant_bft::crypto::{PublicKey, SigningKey};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use crate::{sync::lock, version::ALPN};

/// The DER of an Ed25519 `SubjectPublicKeyInfo` up to the 32 bytes of the key (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The DER of an Ed25519 PKCS #8 private key up to the 32 bytes of the seed (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The key in `spki`, if that is exactly an Ed25519 key.
fn key_of(spki: &[u8]) -> Option<PublicKey> {
    let key = spki.strip_prefix(SPKI_PREFIX.as_slice())?;
    Some(PublicKey(key.try_into().ok()?))
}

/// The key the peer of a completed handshake has proven to own.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    match chain.as_slice() {
        [one] => key_of(one),
        _ => None,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    })
}

/// An identity in the form the TLS library wants.
fn certified(identity: &SigningKey) -> Result<Arc<CertifiedKey>, Error> {
    let mut pkcs8 = PKCS8_PREFIX.to_vec();
    pkcs8.extend_from_slice(&identity.seed());
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8))?;
    let mut spki = SPKI_PREFIX.to_vec();
    spki.extend_from_slice(&identity.public().0);
    Ok(Arc::new(CertifiedKey::new(
        vec![CertificateDer::from(spki)],
        key,
    )))
}

/// What an acceptor presents and demands.
pub(crate) fn server(identity: &SigningKey) -> Result<Arc<QuicServerConfig>, Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AnyKey))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(
            identity,
        )?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    QuicServerConfig::try_from(config)
        .map(Arc::new)
        .map_err(|error| Error::General(error.to_string()))
}

/// What a dialer presents, and the one key it accepts.
pub(crate) fn client(
    identity: &SigningKey,
    expected: PublicKey,
) -> Result<(Arc<QuicClientConfig>, Arc<PinnedKey>), Error> {
    let pinned = Arc::new(PinnedKey {
        expected,
        mismatch: Mutex::new(None),
    });
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned.clone())
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            identity,
        )?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    let config =
        QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))?;
    Ok((Arc::new(config), pinned))
}

/// The signature over the handshake: Ed25519 by the presented key, nothing else.
fn check_signature(
    message: &[u8],
    spki: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(Error::PeerIncompatible(
            PeerIncompatible::NoSignatureSchemesInCommon,
        ));
    }
    verify_tls13_signature_with_raw_key(
        message,
        &SubjectPublicKeyInfoDer::from(spki.as_ref()),
        signed,
        &provider().signature_verification_algorithms,
    )
}

fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(
        PeerIncompatible::Tls12NotOfferedOrEnabled,
    ))
}

/// Accepts exactly one key, and remembers what else was presented.
#[derive(Debug)]
pub(crate) struct PinnedKey {
    expected: PublicKey,
    mismatch: Mutex<Option<Option<PublicKey>>>,
}

impl PinnedKey {
    /// What was presented instead of the pinned key since the last call:
    /// `Some(None)` if it was no Ed25519 key at all.
    pub(crate) fn take_mismatch(&self) -> Option<Option<PublicKey>> {
        lock(&self.mismatch).take()
    }
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = key_of(end_entity);
        if presented == Some(self.expected) {
            return Ok(ServerCertVerified::assertion());
        }
        *lock(&self.mismatch) = Some(presented);
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts every Ed25519 key; who it belongs to is decided with the hello.
#[derive(Debug)]
struct AnyKey;

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match key_of(end_entity) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_presents_the_key_it_signs_with() {
        let identity = SigningKey::from_seed([7; 32]);
        let certified = certified(&identity).unwrap();
        // The library derives the public key from the private one; it must be what we present.
        let derived = certified.key.public_key().unwrap();
        assert_eq!(derived.as_ref(), certified.cert[0].as_ref());
        assert_eq!(key_of(&certified.cert[0]), Some(identity.public()));
    }

    #[test]
    fn only_an_exact_ed25519_key_is_a_key() {
        let mut spki = SPKI_PREFIX.to_vec();
        spki.extend_from_slice(&[1; 32]);
        assert_eq!(key_of(&spki), Some(PublicKey([1; 32])));
        spki.push(0);
        assert_eq!(key_of(&spki), None);
        spki.truncate(40);
        assert_eq!(key_of(&spki), None);
        assert_eq!(key_of(&[]), None);
    }
}
