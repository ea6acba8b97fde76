//! The newtypes of identifiers and numbers that every other module uses.
//!
//! Each identifier is a type of its own so that a view can never be passed
//! where a sequence number is meant. All are plain data with a total order;
//! arithmetic is limited to the steps the protocol takes.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one that follows; saturates at the top of the range, which no run reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// A view: the reign of one primary, `view mod n` (PBFT §4.1).
    View,
    "v"
);
number!(
    /// A sequence number of the agreed log. The first proposal has number 1.
    SeqNo,
    ""
);
number!(
    /// One opened use of the service by a client key; 0 is "no session yet".
    SessionId,
    "s"
);
number!(
    /// A request's place in its session, counted from 1.
    RequestNumber,
    "r"
);
number!(
    /// A configuration of the cluster; part of every signed message.
    Epoch,
    "e"
);
number!(
    /// A replica's incarnation: raised when it rejoins after a loss of memory.
    Incarnation,
    "i"
);
number!(
    /// Agreed time in milliseconds since the Unix epoch; strictly increasing along the log.
    OrderedTime,
    "t"
);

impl SessionId {
    /// The session named by a request that opens one.
    pub const NONE: Self = Self(0);
}

/// A replica's index in the cluster file, `0..n`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ReplicaId(pub u8);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "crate::bytestring")] pub [u8; 32]);

        impl fmt::Display for $name {
            /// The first eight bytes in hexadecimal: enough to tell two apart in a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                bezant_codec::hex::Hex(self.0.get(..8).unwrap_or(&self.0)).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

bytes32!(
    /// A SHA-256 digest.
    Digest
);
bytes32!(
    /// A client: its Ed25519 public key.
    ClientId
);
bytes32!(
    /// A cluster: the digest of its genesis (keys, parameters); under every signature.
    ClusterId
);
bytes32!(
    /// An incarnation of a replica that lost its memory: drawn at random when it began.
    IncarnationNonce
);

/// The driver's monotonic clock in microseconds since a start of its choosing.
///
/// The pure core never reads a clock; it is told the time with every step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This instant plus `duration_us` microseconds.
    #[must_use]
    pub const fn after_us(self, duration_us: u64) -> Self {
        Self(self.0.saturating_add(duration_us))
    }

    /// Microseconds from `earlier` to this instant; 0 if `earlier` is later.
    #[must_use]
    pub const fn since_us(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The two clocks a step is told: one for timers, one for proposing agreed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// For timers.
    pub monotonic: Instant,
    /// The replica's own opinion of the time of day, to propose and to check proposals with.
    pub wall: OrderedTime,
}

/// Who is at the other end of the link a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A replica of this cluster.
    Replica(ReplicaId),
    /// A client.
    Client(ClientId),
}
