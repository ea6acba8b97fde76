//! The manifest of an extension: name, subscriptions, capabilities, limits.
//!
//! A manifest is checked as a whole before anything of it is believed
//! ([`Manifest::check`]); the module beside it is checked by bezant-extensions.

use bezant_codec::DecodeError;
use bezant_tuple::Template;
use bezant_tuplespace::{Happening, OperationKind, SpaceName};
use serde::{Deserialize, Serialize};

use crate::limits::{
    MAX_CAPABILITIES, MAX_ENTRY_CHARS, MAX_FUEL, MAX_MANIFEST_BYTES, MAX_MEMORY_PAGES,
    MAX_NAME_CHARS, MAX_SUBSCRIPTIONS,
};

/// The version of the host's calls this service speaks: module `bezant1`.
pub const ABI_VERSION: u16 = 1;

/// What an extension is, when it runs, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// For people: 1 to 64 of `[a-z0-9._-]`.
    pub name: String,
    /// The author's own version number.
    pub version: u32,
    /// First and last version of the host's calls it can run on; must include [`ABI_VERSION`].
    pub abi: (u16, u16),
    /// When it runs; at least one. The first that matches counts.
    pub subscriptions: Vec<Subscription>,
    /// What it may touch, ascending by space, each space once.
    pub capabilities: Vec<Capability>,
    /// The most fuel one call may burn.
    pub fuel: u64,
    /// The most memory an instance may have, in pages of 64 KiB; reserved before it starts.
    pub memory_pages: u32,
}

/// What happens in a space, and the entry point that runs then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The space it happens in.
    pub space: SpaceName,
    /// What happens, and how the entry point runs.
    pub on: Trigger,
    /// Which tuples (of `out`, `cas`, `replace`, of events) or templates (of the other
    /// operations) are meant.
    pub template: Template,
    /// The exported function to call.
    pub entry: String,
}

/// When an entry point runs. Kinds are ascending, each once, at least one. The order of the
/// variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// Instead of operations of these kinds, of clients that it applies to.
    Operations(Vec<OperationKind>),
    /// After these happened to a tuple that its owner may read, by whomever.
    Events(Vec<EventKind>),
    /// Before operations of these kinds, of everyone, where the space's administrator wants
    /// it so: it reads, and can say no.
    Judges(Vec<OperationKind>),
}

/// What an extension can hear of. The order of the variants is the wire format, and what the
/// host call `event` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A tuple came in.
    Inserted,
    /// Somebody took it.
    Taken,
    /// Its lease was over.
    Expired,
    /// The session it belonged to ended.
    SessionEnded,
    /// Somebody who waited got it.
    Served,
}

impl EventKind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 5] = [
        Self::Inserted,
        Self::Taken,
        Self::Expired,
        Self::SessionEnded,
        Self::Served,
    ];

    /// Its name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Taken => "taken",
            Self::Expired => "expired",
            Self::SessionEnded => "session_ended",
            Self::Served => "served",
        }
    }
}

impl From<Happening> for EventKind {
    fn from(what: Happening) -> Self {
        match what {
            Happening::Inserted => Self::Inserted,
            Happening::Taken => Self::Taken,
            Happening::Expired => Self::Expired,
            Happening::SessionEnded => Self::SessionEnded,
        }
    }
}

/// What an extension may do in one space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The space.
    pub space: SpaceName,
    /// The rights in it; at least one.
    pub access: Access,
}

/// A set of rights in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Access(u8);

impl Access {
    /// No right.
    pub const NONE: Self = Self(0);
    /// May read: `rdp`, `rd_all`, `count`.
    pub const READ: Self = Self(1);
    /// May insert: `out`; with READ `cas`.
    pub const INSERT: Self = Self(2);
    /// May remove: `inp`; with INSERT `replace`.
    pub const TAKE: Self = Self(4);
    /// Every right.
    pub const ALL: Self = Self(7);

    /// The rights of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every right in `needed` is here.
    #[must_use]
    pub const fn includes(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// Whether there is no right here.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = u8::deserialize(deserializer)?;
        // An unknown right must not be granted by a later version to a manifest of today.
        if bits & !Self::ALL.0 == 0 {
            Ok(Self(bits))
        } else {
            Err(serde::de::Error::custom("unknown access right"))
        }
    }
}

/// What is wrong with a manifest. The order of the variants is the wire format.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[non_exhaustive]
pub enum ManifestError {
    /// The name is empty, too long or has other characters.
    #[error("its name is not 1 to {MAX_NAME_CHARS} of [a-z0-9._-]")]
    Name,
    /// The range of ABI versions is empty or leaves this service's out.
    #[error("its ABI range does not include version {ABI_VERSION}, which this service speaks")]
    Abi,
    /// No subscription, or too many.
    #[error("it has not 1 to {MAX_SUBSCRIPTIONS} subscriptions")]
    Subscriptions,
    /// A subscription's kinds are empty, repeated or not ascending.
    #[error("a subscription's kinds are not one or more, each once, in ascending order")]
    Kinds,
    /// A subscription's entry point is empty, too long or has other characters.
    #[error("the name of an entry point is not 1 to {MAX_ENTRY_CHARS} of [A-Za-z0-9_]")]
    Entry,
    /// Too many capabilities, an empty one, or spaces repeated or not ascending.
    #[error(
        "its capabilities are not at most {MAX_CAPABILITIES}, each with a right, in ascending order of space, each space once"
    )]
    Capabilities,
    /// No fuel, or too much.
    #[error("its fuel is not 1 to {MAX_FUEL}")]
    Fuel,
    /// No memory, or too much.
    #[error("its memory is not 1 to {MAX_MEMORY_PAGES} pages of 64 KiB")]
    Memory,
    /// The encoded manifest is too long.
    #[error("it is longer than {MAX_MANIFEST_BYTES} bytes")]
    Size,
    /// A subscription or capability names a space that is the service's own.
    #[error("it names a space beginning with '$', which is the service's own")]
    ReservedSpace,
}

impl Manifest {
    /// Checks everything that can be checked without the module.
    ///
    /// # Errors
    /// The first [`ManifestError`], in the order of the fields.
    pub fn check(&self) -> Result<(), ManifestError> {
        if !is_name(&self.name) {
            return Err(ManifestError::Name);
        }
        if !(self.abi.0..=self.abi.1).contains(&ABI_VERSION) {
            return Err(ManifestError::Abi);
        }
        if !(1..=MAX_SUBSCRIPTIONS).contains(&self.subscriptions.len()) {
            return Err(ManifestError::Subscriptions);
        }
        self.subscriptions
            .iter()
            .try_for_each(Subscription::check)?;
        if self.capabilities.len() > MAX_CAPABILITIES
            || self.capabilities.iter().any(|c| c.access.is_empty())
            || !self
                .capabilities
                .is_sorted_by(|left, right| left.space < right.space)
        {
            return Err(ManifestError::Capabilities);
        }
        if self.capabilities.iter().any(|c| c.space.is_reserved()) {
            return Err(ManifestError::ReservedSpace);
        }
        if !(1..=MAX_FUEL).contains(&self.fuel) {
            return Err(ManifestError::Fuel);
        }
        if !(1..=MAX_MEMORY_PAGES).contains(&self.memory_pages) {
            return Err(ManifestError::Memory);
        }
        if self.encode().len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::Size);
        }
        Ok(())
    }

    /// The canonical bytes; what the content hash and the committed manifest files hold.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bezant_codec::encode(self)
    }

    /// Reads a manifest; it still has to be [checked](Self::check).
    ///
    /// # Errors
    /// When the bytes are no manifest or not the canonical spelling of one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        bezant_codec::decode(bytes)
    }

    /// The rights in `space`.
    #[must_use]
    pub fn access(&self, space: &SpaceName) -> Access {
        self.capabilities
            .binary_search_by(|capability| capability.space.cmp(space))
            .ok()
            .and_then(|index| self.capabilities.get(index))
            .map_or(Access::NONE, |capability| capability.access)
    }
}

impl Subscription {
    fn check(&self) -> Result<(), ManifestError> {
        let sound = match &self.on {
            Trigger::Operations(kinds) | Trigger::Judges(kinds) => each_once(kinds),
            Trigger::Events(kinds) => each_once(kinds),
        };
        if !sound {
            return Err(ManifestError::Kinds);
        }
        let entry = self.entry.as_bytes();
        if !(1..=MAX_ENTRY_CHARS).contains(&entry.len())
            || !entry
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            return Err(ManifestError::Entry);
        }
        if self.space.is_reserved() {
            return Err(ManifestError::ReservedSpace);
        }
        Ok(())
    }
}

/// Whether kinds stand in ascending order, each once, and are some.
fn each_once<K: Ord>(kinds: &[K]) -> bool {
    !kinds.is_empty() && kinds.is_sorted_by(|left, right| left < right)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
        })
}
