//! The tuning and hardening of QUIC, and the UDP socket under it.
//!
//! Each setting that differs from QUIC's defaults says why. Figures were taken
//! with `examples/echo.rs`.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use bezant_bft::crypto::digest;
use quinn::{
    AckFrequencyConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout,
    MtuDiscoveryConfig, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
    congestion::CubicConfig,
};
use ring::hmac;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    config::{Config, Role},
    error::BindError,
    limits::{Limits, LinkLimits},
    tls,
};

/// The largest UDP payload tried by path MTU discovery and accepted from peers, in bytes.
///
/// Discovery finds what a path carries, up to this; loopback and jumbo frames
/// carry more than Ethernet's 1452, which makes frames of 10 kB and more two to
/// three times as cheap. It must not be larger: the library hands up to ten
/// packets at a time to the kernel (GSO), which refuses more than 65 507 bytes,
/// and the loss of whole bursts looks like a path that swallows large packets.
const MAX_UDP_PAYLOAD: u16 = 6500;
const _: () = assert!(MAX_UDP_PAYLOAD as usize * 10 <= 65_507);

/// What a link may have in flight before the first acknowledgement, in bytes.
///
/// The internet's 14 kB (RFC 9002 §7.2) is one proposal of some dozen requests.
/// A window grows only while it is used up, so a link that is mostly idle would
/// wait a round trip in the middle of every larger burst, again and again. On
/// loopback that is too short to measure; between machines it is not. 128 KiB
/// fits into a kernel's default socket buffer, and a path that carries less is
/// found out by the usual response to loss.
const INITIAL_WINDOW_BYTES: u64 = 128 << 10;

/// How many ack-eliciting packets may go unacknowledged, and for how long.
///
/// Protocol traffic flows in both directions all the time, so acknowledgements
/// ride on data packets for free; QUIC's default of one per two packets adds
/// packets of its own (a third more for frames of 10 kB). The delay bounds how
/// late a lost tail is noticed, and how long a window that loss has made
/// smaller than ten packets waits each time.
const ACK_AFTER_PACKETS: u32 = 10;
const ACK_AFTER: Duration = Duration::from_millis(40);

/// Assumed round trip before the first sample: sets the first retransmission of a handshake
/// (three times this), which is what a dialer waits for when a replica starts a moment after it.
const INITIAL_RTT: Duration = Duration::from_millis(50);

/// Socket buffers asked of the kernel, in bytes; it may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Which end of a link a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dialer,
    Acceptor,
}

/// The transport settings of links within `link`'s bounds.
pub(crate) fn transport(limits: &Limits, link: &LinkLimits, end: End) -> Arc<TransportConfig> {
    let mut ack = AckFrequencyConfig::default();
    ack.ack_eliciting_threshold(VarInt::from_u32(ACK_AFTER_PACKETS))
        .max_ack_delay(Some(ACK_AFTER));
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MAX_UDP_PAYLOAD);

    let mut transport = TransportConfig::default();
    transport
        // One stream, opened by the dialer; nothing else.
        .max_concurrent_bidi_streams(VarInt::from_u32(u32::from(end == End::Acceptor)))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        // An acceptor does not know yet whether a replica or a client comes, and the window of a
        // stream cannot change later: the stream's is the larger one, and the connection's, which
        // can, starts with the client's.
        .stream_receive_window(VarInt::from_u32(match end {
            End::Dialer => link.window_bytes,
            End::Acceptor => limits.replica.window_bytes.max(link.window_bytes),
        }))
        .receive_window(VarInt::from_u32(link.window_bytes))
        .send_window(u64::from(link.window_bytes))
        // One stream a connection has nobody to be fair to.
        .send_fairness(false)
        .max_idle_timeout(idle(limits.idle))
        // One side is enough to keep both alive; a link then idles at one packet a second.
        .keep_alive_interval((end == End::Dialer).then_some(limits.keep_alive))
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(ack))
        .congestion_controller_factory(Arc::new(congestion))
        // A handshake with raw keys is below one kilobyte.
        .crypto_buffer_size(4096)
        .allow_spin(false);
    Arc::new(transport)
}

fn idle(limit: Duration) -> Option<IdleTimeout> {
    // Beyond QUIC's range (2^62 ms) there is no time-out to speak of.
    IdleTimeout::try_from(limit).ok()
}

/// What an acceptor does with newcomers.
pub(crate) fn server(config: &Config) -> Result<ServerConfig, BindError> {
    let limits = &config.limits;
    let tls = tls::server(&config.identity).map_err(|error| BindError::Tls(error.to_string()))?;
    let mut server = ServerConfig::with_crypto(tls);
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    server
        .transport_config(transport(limits, &limits.client, End::Acceptor))
        .validation_token_config(tokens)
        // Members of a cluster have fixed addresses, and a client that moved dials again.
        .migration(false)
        // Newcomers wait here only until the accepting task is polled.
        .max_incoming(limits.handshakes.saturating_mul(4))
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(1 << 20);
    Ok(server)
}

/// Endpoint settings.
///
/// A replica derives its reset key from its identity, so
/// that after a restart it can tell its old peers at once that their
/// connections are gone (stateless reset, RFC 9000 §10.3) instead of leaving
/// them to the idle time-out.
pub(crate) fn endpoint(config: &Config) -> Result<EndpointConfig, BindError> {
    let mut endpoint = match config.me {
        Role::Client => EndpointConfig::default(),
        Role::Replica(_) => {
            let reset = digest("bezant stateless reset", &[&config.identity.seed()]);
            let mut endpoint =
                EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset.0)));
            endpoint.cid_generator(|| Box::new(RandomIds));
            endpoint
        }
    };
    endpoint
        .max_udp_payload_size(MAX_UDP_PAYLOAD)
        .map_err(|error| BindError::Config(error.to_string()))?;
    Ok(endpoint)
}

/// Random connection ids of eight bytes, all of which are recognised.
///
/// The library's own generator keys its ids per process and drops packets with
/// any other, so that it would never answer for a connection of its previous life.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; 8];
        if let Err(error) = getrandom::fill(&mut id) {
            // An id that repeats costs a connection, not safety.
            tracing::error!(%error, "system random generator failed");
        }
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Opens the UDP socket, on `listen` or on any port.
pub(crate) fn socket(config: &Config, listen: Option<SocketAddr>) -> Result<UdpSocket, BindError> {
    let any4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let only4 = config.replicas.iter().all(|replica| {
        replica
            .address
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.is_ipv4())
    });
    let (address, result) = match listen {
        Some(address) => (address, open(address)),
        None if only4 => (any4, open(any4)),
        // A machine without IPv6 still reaches what its resolver gives it.
        None => (any4, open(any6).or_else(|_| open(any4))),
    };
    result.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => BindError::AddressInUse { address },
        _ => BindError::Socket { address, cause },
    })
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Best effort: a smaller buffer only loses packets earlier, and QUIC sends those again.
    for result in [
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "socket buffer size refused by system");
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
