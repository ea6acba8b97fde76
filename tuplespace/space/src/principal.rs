//! Principals: anyone, one client, or the members of a group.

use core::{fmt, str::FromStr};
use std::collections::{BTreeMap, BTreeSet};

use bezant_tuple::codec::{self, Reader};
use serde::{Deserialize, Serialize};

use crate::{BadContent, NameError, SpaceName};

/// A client, by its public key.
pub type ClientKey = [u8; 32];

/// The name of a group of clients, written as a space's own name is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SpaceName", into = "SpaceName")]
pub struct GroupName(SpaceName);

impl GroupName {
    /// The group whose members are operators, beside the clients of the genesis.
    pub const OPERATORS: &'static str = "operators";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<SpaceName> for GroupName {
    type Error = NameError;

    fn try_from(name: SpaceName) -> Result<Self, NameError> {
        if name.is_reserved() {
            return Err(NameError::Reserved);
        }
        Ok(Self(name))
    }
}

impl From<GroupName> for SpaceName {
    fn from(group: GroupName) -> Self {
        group.0
    }
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        SpaceName::new(text).map(Self)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is meant. The order of the variants is the wire format, and the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// Every client.
    Anyone,
    /// The owner of this key.
    Client(ClientKey),
    /// The members of this group.
    Members(GroupName),
}

/// Who is in which group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<GroupName, BTreeSet<ClientKey>>);

impl Groups {
    /// The members of a group; none if nobody is in it.
    #[must_use]
    pub fn members(&self, group: &str) -> Option<&BTreeSet<ClientKey>> {
        let mut groups = self.0.iter();
        let found = groups.find(|(name, _)| name.as_str() == group);
        found.map(|(_, members)| members)
    }

    /// Whether a client is in a group.
    #[must_use]
    pub fn is_in(&self, group: &GroupName, client: &ClientKey) -> bool {
        let members = self.0.get(group);
        members.is_some_and(|members| members.contains(client))
    }

    /// Puts a client into a group or out of it; whether that is otherwise than before.
    pub fn set(&mut self, group: GroupName, client: ClientKey, belongs: bool) -> bool {
        if belongs {
            return self.0.entry(group).or_default().insert(client);
        }
        let Some(members) = self.0.get_mut(&group) else {
            return false;
        };
        let changed = members.remove(&client);
        if members.is_empty() {
            self.0.remove(&group);
        }
        changed
    }

    /// How many memberships there are in all groups together.
    #[must_use]
    pub fn memberships(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Every group with its members, of which there are some; ascending.
    pub fn all(
        &self,
    ) -> impl ExactSizeIterator<Item = (&GroupName, &BTreeSet<ClientKey>)> + DoubleEndedIterator
    {
        self.0.iter()
    }

    /// Whether a list means a client. Nobody known is meant only where everybody is.
    #[must_use]
    pub fn mean(&self, list: &BTreeSet<Principal>, client: Option<&ClientKey>) -> bool {
        if list.contains(&Principal::Anyone) {
            return true;
        }
        let Some(client) = client else { return false };
        list.contains(&Principal::Client(*client))
            || list.iter().any(|principal| match principal {
                Principal::Members(group) => self.is_in(group, client),
                Principal::Anyone | Principal::Client(_) => false,
            })
    }
}

/// Appends a list in canonical encoding.
pub fn put_list(out: &mut Vec<u8>, list: &BTreeSet<Principal>) {
    codec::put_varint(out, list.len() as u64);
    for principal in list {
        match principal {
            Principal::Anyone => out.push(0),
            Principal::Client(client) => {
                out.push(1);
                codec::put_bytes(out, client);
            }
            Principal::Members(group) => {
                out.push(2);
                codec::put_bytes(out, group.as_str().as_bytes());
            }
        }
    }
}

/// Reads what [`put_list`] wrote.
///
/// # Errors
/// [`BadContent`] for any other bytes, and for more than `most` entries.
pub fn read_list(reader: &mut Reader<'_>, most: usize) -> Result<BTreeSet<Principal>, BadContent> {
    let count = reader.length()?;
    BadContent::unless(count <= most, "a list that is too long")?;
    let mut list = BTreeSet::new();
    for _ in 0..count {
        let principal = match reader.byte()? {
            0 => Principal::Anyone,
            1 => {
                let key = reader.bytes()?.try_into();
                Principal::Client(key.map_err(|_| BadContent::Contradiction("a key that is none"))?)
            }
            2 => {
                let name = reader.text()?.parse();
                Principal::Members(
                    name.map_err(|_| BadContent::Contradiction("a group's name that is none"))?,
                )
            }
            _ => return Err(BadContent::Contradiction("somebody of no known kind")),
        };
        BadContent::unless(list.last() < Some(&principal), "a list out of order")?;
        list.insert(principal);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_members_as_long_as_there_are_some() {
        let mut groups = Groups::default();
        let team: GroupName = "team".parse().unwrap();
        let other: GroupName = "other".parse().unwrap();
        assert_eq!(
            (team.as_str(), team.to_string()),
            ("team", "team".to_owned())
        );
        assert!(groups.set(team.clone(), [1; 32], true));
        assert!(!groups.set(team.clone(), [1; 32], true), "it was in it");
        assert!(groups.set(team.clone(), [2; 32], true));
        assert!(groups.set(other.clone(), [2; 32], true));
        assert_eq!(groups.memberships(), 3);
        assert_eq!(groups.members("team"), Some(&[[1; 32], [2; 32]].into()));
        assert_eq!(groups.members("none"), None);
        assert!(groups.is_in(&team, &[1; 32]) && !groups.is_in(&other, &[1; 32]));
        assert!(groups.set(other.clone(), [2; 32], false));
        assert!(!groups.set(other, [2; 32], false), "it was not in it");
        assert_eq!((groups.all().len(), groups.memberships()), (1, 2));
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let list: BTreeSet<Principal> = [
            Principal::Anyone,
            Principal::Client([7; 32]),
            Principal::Members("team".parse().unwrap()),
        ]
        .into();
        let mut bytes = Vec::new();
        put_list(&mut bytes, &list);
        assert_eq!(read_list(&mut Reader::new(&bytes), 3), Ok(list.clone()));
        assert!(read_list(&mut Reader::new(&bytes), 2).is_err(), "too long");
        // The same once more is another spelling of the same list.
        let mut doubled = vec![2, 0, 0];
        assert!(read_list(&mut Reader::new(&doubled), 3).is_err());
        doubled[2] = 3;
        assert!(read_list(&mut Reader::new(&doubled), 3).is_err());
    }
}
