//! Errors of this crate: binding, dialing, a link's end, a refused
//! stranger, a full queue.
//!
//! Texts say who, what and what to do next. What a peer wrote as its reason is
//! cut and stripped of control characters before it gets here ([`clean`]).

use std::{io, net::SocketAddr};

use bezant_bft::{
    crypto::PublicKey,
    ids::{ClusterId, Epoch, ReplicaId},
};

use crate::{limits::MAX_REASON_BYTES, version::ALPN_TEXT};

/// Why an endpoint could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process has the port.
    #[error(
        "UDP address {address} is in use by another process; stop that process or choose another `listen` address"
    )]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The socket could not be opened or bound for another reason.
    #[error(
        "cannot bind UDP address {address}: {cause}; check that it belongs to this machine and that the port may be used"
    )]
    Socket {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's answer.
        cause: io::Error,
    },
    /// Called outside a Tokio runtime with I/O and time enabled.
    #[error("links need a Tokio runtime; call bind() from inside one")]
    NoRuntime,
    /// The configuration contradicts itself.
    #[error("the link configuration is not usable: {0}")]
    Config(String),
    /// The TLS library refused the identity or its own settings.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// Why a frame was not accepted for sending. The frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link's queue is full: the peer reads more slowly than we write. Drop or retry later.
    #[error("the link's queue is full; the peer is not reading fast enough")]
    Full,
    /// There is no such link (any more).
    #[error("the link is down")]
    Down,
    /// The frame is larger than this link carries.
    #[error("a frame of {bytes} bytes exceeds the {limit} this link carries")]
    TooLarge {
        /// The frame's length.
        bytes: usize,
        /// The smaller of our own bound and the one the peer announced.
        limit: usize,
    },
}

/// The code under which a connection is closed; on the wire a QUIC application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCode {
    /// 0: an orderly end.
    Goodbye,
    /// 1: the other speaks a version of the link protocol that this one does not.
    WrongVersion,
    /// 2: the other belongs to another cluster.
    WrongCluster,
    /// 3: the other is in another epoch of the same cluster.
    WrongEpoch,
    /// 4: the key is not that of the replica it claims to be.
    UnknownReplica,
    /// 5: the role does not fit the key, or a replica dialed in the wrong direction.
    RoleMismatch,
    /// 6: no room for another link.
    TooManyLinks,
    /// 7: a frame was longer than the link carries.
    FrameTooLarge,
    /// 8: the bytes were not what the protocol has at this place.
    Malformed,
    /// 9: a newer link of the same replica took this one's place.
    Superseded,
    /// 10: the handshake, hello included, took too long.
    HandshakeTimeout,
    /// 11: the owner of the link ended it because of what the peer sent.
    Misbehaviour,
    /// Any other code, from a newer version perhaps.
    Other(u32),
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Goodbye => 0,
            Self::WrongVersion => 1,
            Self::WrongCluster => 2,
            Self::WrongEpoch => 3,
            Self::UnknownReplica => 4,
            Self::RoleMismatch => 5,
            Self::TooManyLinks => 6,
            Self::FrameTooLarge => 7,
            Self::Malformed => 8,
            Self::Superseded => 9,
            Self::HandshakeTimeout => 10,
            Self::Misbehaviour => 11,
            Self::Other(number) => number,
        }
    }

    /// The code with this number on the wire.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        const KNOWN: [CloseCode; 12] = [
            CloseCode::Goodbye,
            CloseCode::WrongVersion,
            CloseCode::WrongCluster,
            CloseCode::WrongEpoch,
            CloseCode::UnknownReplica,
            CloseCode::RoleMismatch,
            CloseCode::TooManyLinks,
            CloseCode::FrameTooLarge,
            CloseCode::Malformed,
            CloseCode::Superseded,
            CloseCode::HandshakeTimeout,
            CloseCode::Misbehaviour,
        ];
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        KNOWN
            .into_iter()
            .find(|code| code.number() == number)
            .unwrap_or(Self::Other(number))
    }
}

/// A peer broke the rules of the link. It was authenticated, so this is blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It announced a frame longer than the link carries; nothing was allocated for it.
    #[error("it announced a frame of {bytes} bytes where {limit} are allowed")]
    FrameTooLarge {
        /// The announced length.
        bytes: u32,
        /// The bound of this link.
        limit: usize,
    },
    /// It announced a frame of no bytes, which no message has.
    #[error("it sent an empty frame")]
    EmptyFrame,
    /// It ended the stream in the middle of a frame.
    #[error("it ended the stream in the middle of a frame")]
    Truncated,
    /// It reset the stream, or told us to stop writing to it.
    #[error("it broke off the stream")]
    StreamBroken,
    /// Its answer to our hello was not a welcome.
    #[error("its answer to our hello was not a welcome")]
    NotAWelcome,
}

impl Violation {
    /// The code under which the link is closed.
    #[must_use]
    pub const fn code(&self) -> CloseCode {
        match self {
            Self::FrameTooLarge { .. } => CloseCode::FrameTooLarge,
            _ => CloseCode::Malformed,
        }
    }
}

/// Why a link ended, or why dialing did not make one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The host name of the replica's address has no usable address.
    #[error("cannot resolve {address}: {cause}; check the address in the cluster file")]
    Resolve {
        /// As written in the configuration.
        address: String,
        /// The resolver's answer.
        cause: String,
    },
    /// Nobody answered in time.
    #[error("no answer from {address}; check that the replica runs and that UDP reaches it")]
    Unreachable {
        /// As written in the configuration.
        address: String,
    },
    /// Somebody answered with another key than the one that is pinned.
    #[error(
        "the replica's key is pinned as {expected:?} but {presented:?} answered; check address and key in the cluster file"
    )]
    WrongKey {
        /// The key in the configuration.
        expected: PublicKey,
        /// The key that was presented, if it was an Ed25519 key at all.
        presented: Option<PublicKey>,
    },
    /// The other side does not speak this protocol (TLS application protocol).
    #[error(
        "the other side does not speak {}; is it a replica of this version?",
        ALPN_TEXT
    )]
    WrongProtocol,
    /// The other side refused the link and said why.
    #[error("refused by the replica ({code:?}): {reason}")]
    Rejected {
        /// Its typed reason.
        code: CloseCode,
        /// Its words, cut and cleaned.
        reason: String,
    },
    /// The other side ended the link in good order.
    #[error("closed by the peer: {reason}")]
    Closed {
        /// Its words, cut and cleaned.
        reason: String,
    },
    /// A newer link of the same replica took this one's place.
    #[error("superseded by a newer link of the same replica")]
    Superseded,
    /// The peer broke the rules of the link.
    #[error("the peer broke the link protocol: {0}")]
    Violation(Violation),
    /// Nothing was heard for the idle time-out.
    #[error("nothing heard from the peer for the idle time-out")]
    TimedOut,
    /// The peer has forgotten the connection: it restarted.
    #[error("the peer restarted and no longer knows the connection")]
    Reset,
    /// This side ended the link.
    #[error("closed by this side: {reason}")]
    LocallyClosed {
        /// Our own words.
        reason: String,
    },
    /// QUIC or TLS failed otherwise.
    #[error("transport failure: {0}")]
    Transport(String),
}

impl LinkError {
    /// Whether the authenticated peer itself broke a rule.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}

/// Why an acceptor turned somebody away before a link was up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its protocol version is not ours.
    #[error("link protocol version {theirs} is not spoken here, only {ours}")]
    WrongVersion {
        /// What it speaks.
        theirs: u32,
        /// What we speak.
        ours: u32,
    },
    /// It belongs to another cluster.
    #[error("you belong to cluster {theirs}, this is cluster {ours}; check your cluster file")]
    WrongCluster {
        /// Its cluster.
        theirs: ClusterId,
        /// Ours.
        ours: ClusterId,
    },
    /// It is in another epoch.
    #[error("you are in epoch {theirs}, this replica is in {ours}; get the current cluster file")]
    WrongEpoch {
        /// Its epoch.
        theirs: Epoch,
        /// Ours.
        ours: Epoch,
    },
    /// It claimed to be a replica, with a key that is not that replica's.
    #[error("the key {key:?} is not that of replica {claimed}")]
    UnknownReplica {
        /// Who it said it was.
        claimed: ReplicaId,
        /// The key it proved to have.
        key: PublicKey,
    },
    /// A replica's key came as a client, or a replica dialed although the other one is to dial.
    #[error("the role in the hello does not fit the key: {0}")]
    RoleMismatch(&'static str),
    /// No room for another link of this kind.
    #[error("no room for another link: {0}")]
    TooManyLinks(&'static str),
    /// Too many handshakes at once; this one had been under way the longest.
    #[error("too many handshakes at once; try again")]
    TooManyHandshakes,
    /// The hello was not one.
    #[error("the opening frame is not a hello: {0}")]
    Malformed(String),
    /// The handshake or the hello took too long.
    #[error("the handshake took too long")]
    TimedOut,
    /// QUIC or TLS failed before anybody was authenticated, or the peer went away.
    #[error("handshake failed: {0}")]
    Handshake(String),
}

impl Refusal {
    /// The code under which the connection is closed.
    #[must_use]
    pub const fn code(&self) -> CloseCode {
        match self {
            Self::WrongVersion { .. } => CloseCode::WrongVersion,
            Self::WrongCluster { .. } => CloseCode::WrongCluster,
            Self::WrongEpoch { .. } => CloseCode::WrongEpoch,
            Self::UnknownReplica { .. } => CloseCode::UnknownReplica,
            Self::RoleMismatch(_) => CloseCode::RoleMismatch,
            Self::TooManyLinks(_) | Self::TooManyHandshakes => CloseCode::TooManyLinks,
            Self::Malformed(_) => CloseCode::Malformed,
            Self::TimedOut => CloseCode::HandshakeTimeout,
            Self::Handshake(_) => CloseCode::Goodbye,
        }
    }
}

/// A peer's words made fit for a log: valid UTF-8, no control characters, cut to length.
pub(crate) fn clean(words: &[u8]) -> String {
    let cut = words.get(..MAX_REASON_BYTES).unwrap_or(words);
    String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// QUIC's error code for a TLS alert: RFC 9001 §4.8.
const CRYPTO_ERROR_BASE: u64 = 0x100;
/// TLS alert `no_application_protocol`, RFC 7301 §3.2.
const ALERT_NO_APPLICATION_PROTOCOL: u64 = CRYPTO_ERROR_BASE + 120;

impl From<quinn::ConnectionError> for LinkError {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Quic;
        match error {
            Quic::ApplicationClosed(close) => {
                let reason = clean(&close.reason);
                match CloseCode::from_number(close.error_code.into_inner()) {
                    CloseCode::Goodbye => Self::Closed { reason },
                    CloseCode::Superseded => Self::Superseded,
                    code => Self::Rejected { code, reason },
                }
            }
            Quic::ConnectionClosed(close)
                if u64::from(close.error_code) == ALERT_NO_APPLICATION_PROTOCOL =>
            {
                Self::WrongProtocol
            }
            Quic::ConnectionClosed(close) => Self::Transport(clean(close.to_string().as_bytes())),
            Quic::Reset => Self::Reset,
            Quic::TimedOut => Self::TimedOut,
            Quic::LocallyClosed => Self::LocallyClosed {
                reason: String::new(),
            },
            other => Self::Transport(clean(other.to_string().as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_numbers() {
        for number in 0..20 {
            assert_eq!(u64::from(CloseCode::from_number(number).number()), number);
        }
        assert_eq!(CloseCode::from_number(7), CloseCode::FrameTooLarge);
        assert_eq!(CloseCode::from_number(u64::MAX), CloseCode::Other(u32::MAX));
    }

    #[test]
    fn a_peers_words_cannot_forge_log_lines() {
        assert_eq!(clean(b"a\nb\x1b[31m"), "a b [31m");
        assert!(clean(&[b'x'; 5000]).len() <= MAX_REASON_BYTES);
        assert_eq!(clean(&[0xff, b'a']), "\u{fffd}a");
    }
}
