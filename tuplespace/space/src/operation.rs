//! The operations on a space.

use bezant_tuple::{Template, Tuple};
use serde::{Deserialize, Serialize};

use crate::{Audience, Cursor};

/// How long a tuple lives that nobody takes. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lease {
    /// For ever.
    #[default]
    Forever,
    /// So many milliseconds of agreed time.
    Ms(u64),
    /// As long as the session that inserts it: the tuple is ephemeral.
    Session,
}

/// One operation on one space. The order of the variants is the wire format.
///
/// Wherever several tuples match, the oldest by insertion is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Inserts a tuple.
    Out {
        /// The tuple.
        tuple: Tuple,
        /// How long it lives.
        lease: Lease,
    },
    /// Reads a match, or says that there is none.
    Rdp {
        /// What to read.
        template: Template,
    },
    /// Takes a match, or says that there is none.
    Inp {
        /// What to take.
        template: Template,
    },
    /// Reads a match, waiting for one.
    Rd {
        /// What to read.
        template: Template,
        /// How long to wait at most, in milliseconds of agreed time; without end without one.
        /// A wait that is over so answers that nothing matched.
        within_ms: Option<u64>,
    },
    /// Takes a match, waiting for one.
    In {
        /// What to take.
        template: Template,
        /// How long to wait at most; as of [`Operation::Rd`].
        within_ms: Option<u64>,
    },
    /// Inserts a tuple unless a match exists.
    Cas {
        /// What must not exist.
        template: Template,
        /// The tuple.
        tuple: Tuple,
        /// How long it lives, if it is inserted.
        lease: Lease,
    },
    /// Takes a match and inserts a tuple, or, without a match, does nothing.
    Replace {
        /// What to take.
        template: Template,
        /// What to insert instead; it is a new tuple, the youngest.
        tuple: Tuple,
        /// How long it lives, whatever lease the taken one had.
        lease: Lease,
    },
    /// Reads matches in bulk, oldest first.
    RdAll {
        /// What to read.
        template: Template,
        /// Most tuples wanted, at least 1; the service's page size bounds it too.
        limit: u32,
        /// Reads only what was inserted after this place of the same space: the `next` of the
        /// page before.
        after: Option<Cursor>,
    },
    /// Takes matches in bulk, oldest first.
    InAll {
        /// What to take.
        template: Template,
        /// Most tuples wanted, at least 1; the service's page size bounds it too.
        limit: u32,
    },
    /// Counts matches.
    Count {
        /// What to count.
        template: Template,
    },
    /// Gives the oldest match that lives on a lease a new one, from now on. It keeps its
    /// age; a tuple without a lease is no match.
    Renew {
        /// What to renew.
        template: Template,
        /// How long it lives from now, in milliseconds of agreed time.
        lease_ms: u64,
    },
    /// Tells what happened to tuples that match, waiting for something to happen.
    Watch {
        /// Which tuples.
        template: Template,
        /// Tells what happened after the event with this number: the `next` of the answer
        /// before. Without one it answers at once with the number of the latest event.
        after: Option<u64>,
        /// Most events wanted, at least 1; the service's page size bounds it too.
        limit: u32,
        /// How long to wait at most; as of [`Operation::Rd`]. The answer then says that
        /// nothing happened, and up to where.
        within_ms: Option<u64>,
    },
    /// Reads matches in bulk with their ids, and the number of the latest event of that
    /// moment: where to go on with [`Operation::Watch`].
    Survey {
        /// What to read.
        template: Template,
        /// Most tuples wanted, at least 1; the service's page size bounds it too.
        limit: u32,
        /// Reads only what was inserted after this place of the same space: the `next` of the
        /// page before.
        after: Option<Cursor>,
    },
    /// Inserts a tuple that is there for some clients only.
    OutTo {
        /// The tuple.
        tuple: Tuple,
        /// How long it lives.
        lease: Lease,
        /// For whom.
        audience: Box<Audience>,
    },
}

/// Which [`Operation`]; the order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// [`Operation::Out`].
    Out,
    /// [`Operation::Rdp`].
    Rdp,
    /// [`Operation::Inp`].
    Inp,
    /// [`Operation::Rd`].
    Rd,
    /// [`Operation::In`].
    In,
    /// [`Operation::Cas`].
    Cas,
    /// [`Operation::Replace`].
    Replace,
    /// [`Operation::RdAll`].
    RdAll,
    /// [`Operation::InAll`].
    InAll,
    /// [`Operation::Count`].
    Count,
    /// [`Operation::Renew`].
    Renew,
    /// [`Operation::Watch`].
    Watch,
    /// [`Operation::Survey`].
    Survey,
    /// [`Operation::OutTo`].
    OutTo,
}

impl OperationKind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 14] = [
        Self::Out,
        Self::Rdp,
        Self::Inp,
        Self::Rd,
        Self::In,
        Self::Cas,
        Self::Replace,
        Self::RdAll,
        Self::InAll,
        Self::Count,
        Self::Renew,
        Self::Watch,
        Self::Survey,
        Self::OutTo,
    ];

    /// The operation's name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Rdp => "rdp",
            Self::Inp => "inp",
            Self::Rd => "rd",
            Self::In => "in",
            Self::Cas => "cas",
            Self::Replace => "replace",
            Self::RdAll => "rd_all",
            Self::InAll => "in_all",
            Self::Count => "count",
            Self::Renew => "renew",
            Self::Watch => "watch",
            Self::Survey => "survey",
            Self::OutTo => "out_to",
        }
    }
}

impl std::fmt::Display for OperationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Operation {
    /// Which operation this is.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Out { .. } => OperationKind::Out,
            Self::Rdp { .. } => OperationKind::Rdp,
            Self::Inp { .. } => OperationKind::Inp,
            Self::Rd { .. } => OperationKind::Rd,
            Self::In { .. } => OperationKind::In,
            Self::Cas { .. } => OperationKind::Cas,
            Self::Replace { .. } => OperationKind::Replace,
            Self::RdAll { .. } => OperationKind::RdAll,
            Self::InAll { .. } => OperationKind::InAll,
            Self::Count { .. } => OperationKind::Count,
            Self::Renew { .. } => OperationKind::Renew,
            Self::Watch { .. } => OperationKind::Watch,
            Self::Survey { .. } => OperationKind::Survey,
            Self::OutTo { .. } => OperationKind::OutTo,
        }
    }

    /// The template, of every operation but `out` and `out_to`.
    #[must_use]
    pub const fn template(&self) -> Option<&Template> {
        match self {
            Self::Out { .. } | Self::OutTo { .. } => None,
            Self::Rdp { template }
            | Self::Inp { template }
            | Self::Rd { template, .. }
            | Self::In { template, .. }
            | Self::Cas { template, .. }
            | Self::Replace { template, .. }
            | Self::RdAll { template, .. }
            | Self::InAll { template, .. }
            | Self::Count { template }
            | Self::Renew { template, .. }
            | Self::Watch { template, .. }
            | Self::Survey { template, .. } => Some(template),
        }
    }

    /// The tuple that `out`, `out_to`, `cas` or `replace` would insert.
    #[must_use]
    pub const fn tuple(&self) -> Option<&Tuple> {
        match self {
            Self::Out { tuple, .. }
            | Self::OutTo { tuple, .. }
            | Self::Cas { tuple, .. }
            | Self::Replace { tuple, .. } => Some(tuple),
            _ => None,
        }
    }

    /// The lease that `out`, `out_to`, `cas`, `replace` or `renew` would give.
    #[must_use]
    pub const fn lease(&self) -> Option<Lease> {
        match self {
            Self::Out { lease, .. }
            | Self::OutTo { lease, .. }
            | Self::Cas { lease, .. }
            | Self::Replace { lease, .. } => Some(*lease),
            Self::Renew { lease_ms, .. } => Some(Lease::Ms(*lease_ms)),
            _ => None,
        }
    }

    /// For whom the tuple is that it would insert, unless it is for everybody.
    #[must_use]
    pub const fn audience(&self) -> Option<&Audience> {
        match self {
            Self::OutTo { audience, .. } => Some(audience),
            _ => None,
        }
    }

    /// Where `rd_all` or `survey` goes on.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::RdAll { after, .. } | Self::Survey { after, .. } => after.as_ref(),
            _ => None,
        }
    }

    /// How long `rd`, `in` or `watch` waits at most.
    #[must_use]
    pub const fn within_ms(&self) -> Option<u64> {
        match self {
            Self::Rd { within_ms, .. }
            | Self::In { within_ms, .. }
            | Self::Watch { within_ms, .. } => *within_ms,
            _ => None,
        }
    }

    /// Whether the operation may enter the list of those who wait.
    #[must_use]
    pub const fn waits(&self) -> bool {
        matches!(self, Self::Rd { .. } | Self::In { .. } | Self::Watch { .. })
    }

    /// Whether the operation can never change anything. A waiting `rd` is not
    /// among these: it may enter the list of those who wait.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Rdp { .. } | Self::RdAll { .. } | Self::Count { .. } | Self::Survey { .. }
        )
    }
}
