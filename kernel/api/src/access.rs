//! Who may do what: rights in a space, groups of clients, and what is said of them.
//!
//! A space has a creator and four lists. Whoever is on a list, by key or as a member of a
//! group, or because it names anyone, has that right there; the creator has all of them. The
//! operators of a cluster say who is a client at all and who is in which group, and may
//! administer every space (docs/decisions/017-access.md).

use core::{fmt, str::FromStr};
use std::collections::BTreeSet;

use bezant_tuplespace::{Account, GroupName, Operation, Principal, Quota, SpaceName};
use serde::{Deserialize, Serialize};

use crate::ExtensionHash;

/// What a client may do in a space. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Put tuples.
    Insert,
    /// See tuples: read, count, watch.
    Read,
    /// Take tuples, and renew their leases.
    Take,
    /// Say who has which right, and remove the space.
    Administer,
}

impl Right {
    /// Every right, in wire order.
    pub const ALL: [Self; 4] = [Self::Insert, Self::Read, Self::Take, Self::Administer];

    /// Its name in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Read => "read",
            Self::Take => "take",
            Self::Administer => "administer",
        }
    }

    /// What an operation takes. `cas` tells what is there, and `replace` takes it.
    #[must_use]
    pub const fn needed_for(operation: &Operation) -> &'static [Self] {
        match operation {
            Operation::Out { .. } | Operation::OutTo { .. } => &[Self::Insert],
            Operation::Rdp { .. }
            | Operation::Rd { .. }
            | Operation::RdAll { .. }
            | Operation::Count { .. }
            | Operation::Watch { .. }
            | Operation::Survey { .. } => &[Self::Read],
            Operation::Inp { .. }
            | Operation::In { .. }
            | Operation::InAll { .. }
            | Operation::Renew { .. } => &[Self::Take],
            Operation::Cas { .. } => &[Self::Insert, Self::Read],
            Operation::Replace { .. } => &[Self::Insert, Self::Take],
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a right is insert, read, take or administer")]
pub struct NoRight;

impl FromStr for Right {
    type Err = NoRight;

    fn from_str(text: &str) -> Result<Self, NoRight> {
        let mut all = Self::ALL.into_iter();
        all.find(|right| right.name() == text).ok_or(NoRight)
    }
}

/// The four lists of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// Who may put tuples.
    pub insert: BTreeSet<Principal>,
    /// Who may see them.
    pub read: BTreeSet<Principal>,
    /// Who may take them.
    pub take: BTreeSet<Principal>,
    /// Who may say so.
    pub administer: BTreeSet<Principal>,
}

impl Lists {
    /// Anyone may put, see and take.
    #[must_use]
    pub fn open() -> Self {
        let anyone = || BTreeSet::from([Principal::Anyone]);
        Self {
            insert: anyone(),
            read: anyone(),
            take: anyone(),
            administer: BTreeSet::new(),
        }
    }

    /// Nobody but the creator may do anything.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Who has this right.
    #[must_use]
    pub const fn of(&self, right: Right) -> &BTreeSet<Principal> {
        match right {
            Right::Insert => &self.insert,
            Right::Read => &self.read,
            Right::Take => &self.take,
            Right::Administer => &self.administer,
        }
    }

    /// Who has this right, to be changed.
    pub const fn of_mut(&mut self, right: Right) -> &mut BTreeSet<Principal> {
        match right {
            Right::Insert => &mut self.insert,
            Right::Read => &mut self.read,
            Right::Take => &mut self.take,
            Right::Administer => &mut self.administer,
        }
    }
}

/// What is known of a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceInfo {
    /// Who made it; nobody if the service did.
    pub creator: Option<[u8; 32]>,
    /// Who may do what.
    pub lists: Lists,
    /// How many tuples it holds.
    pub tuples: u64,
    /// How many bytes these have, in canonical encoding.
    pub bytes: u64,
    /// How much it may hold.
    pub quota: Quota,
    /// The extensions that apply to everyone there, in the order of their registration.
    pub attached: Vec<ExtensionHash>,
}

/// What a client may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Whether it is an operator.
    pub operator: bool,
    /// The groups it is in, ascending.
    pub groups: Vec<GroupName>,
    /// The spaces in which it may do something, ascending, with what; at most
    /// [`MAX_PERMISSION_SPACES`](crate::limits::MAX_PERMISSION_SPACES).
    pub spaces: Vec<(SpaceName, Vec<Right>)>,
    /// After which space to go on, if there may be more.
    pub next: Option<SpaceName>,
    /// How much it may hold in all spaces together and what counts against that, if it is
    /// bounded.
    pub account: Option<Account>,
}

/// What operators say of clients. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminCommand {
    /// The owner of this key is a client.
    Enrol([u8; 32]),
    /// It is none any more, whatever the genesis says: its sessions end.
    Expel([u8; 32]),
    /// It is in this group.
    Join(GroupName, [u8; 32]),
    /// It is not in this group.
    Leave(GroupName, [u8; 32]),
    /// It may hold so much in all spaces together. What it put before its first bound does not
    /// count, and [`Quota::NONE`] ends it.
    Allot([u8; 32], Quota),
    /// Extensions run by this version of engine and prices, from the proposal with the second
    /// number on; from the next operation on, if that is past. Every replica must have a build
    /// that knows it.
    Engine(u32, u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rights_are_read_back() {
        for right in Right::ALL {
            assert_eq!(right.to_string().parse(), Ok(right));
        }
        assert_eq!("Read".parse::<Right>(), Err(NoRight));
    }

    #[test]
    fn a_group_has_no_name_of_the_service() {
        assert!("$x".parse::<GroupName>().is_err());
        let wire = crate::codec::encode(&SpaceName::reserved("$x").unwrap());
        assert!(crate::codec::decode::<GroupName>(&wire).is_err());
        let name: GroupName = "team/a".parse().unwrap();
        assert_eq!(crate::codec::decode(&crate::codec::encode(&name)), Ok(name));
    }
}
