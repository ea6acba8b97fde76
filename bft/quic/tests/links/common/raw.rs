//! A peer built from quinn and rustls alone: it can break every rule, and shows
//! that the wire is what the documentation says.

use std::{net::SocketAddr, sync::Arc};

use bezant_bft::{
    codec::encode,
    crypto::SigningKey,
    ids::{ClusterId, Epoch, ReplicaId},
};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use tokio::time::timeout;

use super::{CLUSTER, DEADLINE, EPOCH};

/// Trusts any server: the peers under test are the ones to be careful.
#[derive(Debug)]
struct TrustAnybody;

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("QUIC has TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// An identity that presents `shown` and signs with `signer`.
fn certified(shown: &SigningKey, signer: &SigningKey) -> Arc<CertifiedKey> {
    let pkcs8 = [
        b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(),
        &signer.seed(),
    ]
    .concat();
    let spki = [
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(),
        &shown.public().0,
    ]
    .concat();
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key))
}

/// What a raw peer shows in the handshake.
pub(crate) struct Raw<'a> {
    pub(crate) shown: Option<&'a SigningKey>,
    pub(crate) signer: &'a SigningKey,
    pub(crate) alpn: &'a [u8],
    pub(crate) stream_window: u32,
}

impl<'a> Raw<'a> {
    /// An honest handshake with `key`.
    pub(crate) fn new(key: &'a SigningKey) -> Self {
        Self {
            shown: Some(key),
            signer: key,
            alpn: b"bezant/1",
            stream_window: 1 << 20,
        }
    }

    /// Connects to `address`; the endpoint must be kept as long as the connection.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> Result<(Endpoint, Connection), ConnectionError> {
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAnybody));
        let mut tls = match self.shown {
            Some(shown) => builder.with_client_cert_resolver(Arc::new(
                AlwaysResolvesClientRawPublicKeys::new(certified(shown, self.signer)),
            )),
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![self.alpn.to_vec()];
        let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(quic));
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(self.stream_window.into());
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint.connect_with(config, address, "anything").unwrap();
        let connection = timeout(DEADLINE, connecting).await.unwrap()?;
        Ok((endpoint, connection))
    }
}

/// A frame as it is on the wire.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// A hello as it is on the wire, unframed.
pub(crate) fn hello(
    version: u32,
    cluster: ClusterId,
    epoch: Epoch,
    replica: Option<u8>,
) -> Vec<u8> {
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend_from_slice(&encode(&(
        cluster,
        epoch,
        replica.map(ReplicaId),
        1_u32 << 20,
    )));
    bytes
}

/// Says hello as a client and waits for the welcome.
pub(crate) async fn greet(connection: &Connection) -> (SendStream, RecvStream) {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&hello(1, CLUSTER, EPOCH, None)))
        .await
        .unwrap();
    let mut welcome = [0; 4];
    recv.read_exact(&mut welcome).await.unwrap();
    let len = usize::try_from(u32::from_le_bytes(welcome)).unwrap();
    let mut body = vec![0; len];
    recv.read_exact(&mut body).await.unwrap();
    assert_eq!(body[..4], 1_u32.to_le_bytes(), "the version comes first");
    (send, recv)
}

/// The code and words with which the other side closed.
pub(crate) async fn closed_with(connection: &Connection) -> (u64, String) {
    match timeout(DEADLINE, connection.closed()).await.unwrap() {
        ConnectionError::ApplicationClosed(close) => (
            close.error_code.into_inner(),
            String::from_utf8(close.reason.to_vec()).unwrap(),
        ),
        other => panic!("closed otherwise: {other}"),
    }
}

/// Takes any client key without a look; the dialers under test prove theirs to real acceptors.
#[derive(Debug)]
struct TakeAnybody;

impl rustls::server::danger::ClientCertVerifier for TakeAnybody {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("QUIC has TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A raw replica that shows `shown` and signs with `signer`.
pub(crate) fn listen(shown: &SigningKey, signer: &SigningKey) -> Endpoint {
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(TakeAnybody))
        .with_cert_resolver(Arc::new(
            rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified(shown, signer)),
        ));
    tls.alpn_protocols = vec![b"bezant/1".to_vec()];
    let quic = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}
