//! The access tables: clients, groups, rights. Agreed state.
//!
//! Judged is when an operation is carried out, by the tables as they are then. Waits were
//! allowed when they began; when a table changes, those that would no longer be allowed end
//! (`admin_commands`). Nothing here depends on the order in which a table was filled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bezant_api::{
    Genesis, GroupName, Lists, Permissions, Principal, Refused, Right,
    limits::{MAX_LIST, MAX_PERMISSION_SPACES},
};
use bezant_bft::ids::ClientId;
use bezant_tuple::codec::{self, Reader};
use bezant_tuplespace::{
    BadContent, ClientKey, Groups, Operation, Refusal, SpaceName, Wants, put_list, read_list,
};

use crate::limits::{MAX_ENROLLED, MAX_MEMBERSHIPS};

/// The rights in one space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    creator: ClientId,
    lists: Lists,
}

/// Who may do what in a space, as it is told to anybody.
#[derive(Debug)]
pub(crate) struct SpaceAccess {
    /// Who made it; nobody did if it is the service's own.
    pub(crate) creator: Option<ClientId>,
    pub(crate) lists: Lists,
}

/// All rights, groups and enrolments.
#[derive(Debug)]
pub(crate) struct Access {
    open_enrolment: bool,
    founders: BTreeSet<ClientId>,
    /// Enrolled after the genesis.
    enrolled: BTreeSet<ClientId>,
    /// No clients any more.
    expelled: BTreeSet<ClientId>,
    /// Who is in which group. The spaces know it too, for single tuples.
    groups: Arc<Groups>,
    /// Of every space that a client made.
    spaces: BTreeMap<SpaceName, Rights>,
}

impl Access {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            open_enrolment: genesis.open_enrolment,
            founders: genesis.clients.iter().copied().map(ClientId).collect(),
            enrolled: BTreeSet::new(),
            expelled: BTreeSet::new(),
            groups: Arc::default(),
            spaces: BTreeMap::new(),
        }
    }

    /// Whether the owner of this key is a client.
    pub(crate) fn is_client(&self, client: &ClientId) -> bool {
        let known = || self.founders.contains(client) || self.enrolled.contains(client);
        !self.expelled.contains(client) && (self.open_enrolment || known())
    }

    /// Whether this client is an operator: of the genesis, or in the group for them. Where
    /// anybody is a client, anybody is an operator until there is somebody in that group.
    pub(crate) fn is_operator(&self, client: &ClientId) -> bool {
        let members = self.operators();
        self.is_client(client)
            && (self.founders.contains(client)
                || members.is_some_and(|members| members.contains(&client.0))
                || (self.open_enrolment && self.founders.is_empty() && members.is_none()))
    }

    fn operators(&self) -> Option<&BTreeSet<ClientKey>> {
        self.groups.members(GroupName::OPERATORS)
    }

    /// Who is in which group.
    pub(crate) fn groups(&self) -> Arc<Groups> {
        Arc::clone(&self.groups)
    }

    /// Whether a client has a right in a space, which is there.
    pub(crate) fn may(&self, client: &ClientId, space: &SpaceName, right: Right) -> bool {
        let Some(rights) = self.spaces.get(space) else {
            // The service's own: read by all, written by the service.
            return true;
        };
        rights.creator == *client
            || self.groups.mean(rights.lists.of(right), Some(&client.0))
            || (right == Right::Administer && self.is_operator(client))
    }

    /// Whether a client may carry out an operation in a space, which is there.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`].
    pub(crate) fn check(
        &self,
        client: &ClientId,
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<(), Refusal> {
        let mut needed = Right::needed_for(operation).iter();
        if needed.all(|right| self.may(client, space, *right)) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Whether a client may still wait so in a space, which is there.
    pub(crate) fn may_wait(&self, client: &ClientId, space: &SpaceName, wants: Wants) -> bool {
        let right = match wants {
            Wants::Read | Wants::Watch { .. } => Right::Read,
            Wants::Take => Right::Take,
        };
        self.may(client, space, right)
    }

    /// A client made a space.
    ///
    /// # Errors
    /// [`Refused::TooManyGrants`].
    pub(crate) fn created(
        &mut self,
        creator: ClientId,
        space: &SpaceName,
        lists: Lists,
    ) -> Result<(), Refused> {
        let too_long = |right: &Right| lists.of(*right).len() > MAX_LIST;
        if Right::ALL.iter().any(too_long) {
            return Err(Refused::TooManyGrants);
        }
        self.spaces.insert(space.clone(), Rights { creator, lists });
        Ok(())
    }

    /// A space is not there any more, or was never made after all.
    pub(crate) fn removed(&mut self, space: &SpaceName) {
        self.spaces.remove(space);
    }

    /// Changes a list of a space; whether it is another now.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for spaces of the service, [`Refused::TooManyGrants`].
    pub(crate) fn set(
        &mut self,
        space: &SpaceName,
        right: Right,
        principal: Principal,
        has: bool,
    ) -> Result<bool, Refused> {
        let Some(rights) = self.spaces.get_mut(space) else {
            return Err(Refusal::Forbidden.into());
        };
        let list = rights.lists.of_mut(right);
        if !has {
            return Ok(list.remove(&principal));
        }
        if list.len() >= MAX_LIST && !list.contains(&principal) {
            return Err(Refused::TooManyGrants);
        }
        Ok(list.insert(principal))
    }

    /// A key's owner is a client from now on; whether it was none.
    ///
    /// # Errors
    /// [`Refused::TooManyGrants`].
    pub(crate) fn enrol(&mut self, client: ClientId) -> Result<bool, Refused> {
        if self.is_client(&client) {
            return Ok(false);
        }
        self.expelled.remove(&client);
        // Where the genesis takes it, nothing more need be known of it.
        if !self.is_client(&client) {
            if self.enrolled.len() >= MAX_ENROLLED {
                return Err(Refused::TooManyGrants);
            }
            self.enrolled.insert(client);
        }
        Ok(true)
    }

    /// A key's owner is no client from now on; whether it was one.
    ///
    /// # Errors
    /// [`Refused::TooManyGrants`].
    pub(crate) fn expel(&mut self, client: ClientId) -> Result<bool, Refused> {
        if !self.is_client(&client) {
            return Ok(false);
        }
        self.enrolled.remove(&client);
        if self.is_client(&client) {
            if self.expelled.len() >= MAX_ENROLLED {
                return Err(Refused::TooManyGrants);
            }
            self.expelled.insert(client);
        }
        Ok(true)
    }

    /// A client is in a group from now on, or not; whether that is otherwise than before.
    ///
    /// # Errors
    /// [`Refused::TooManyGrants`].
    pub(crate) fn belong(
        &mut self,
        group: GroupName,
        client: ClientId,
        belongs: bool,
    ) -> Result<bool, Refused> {
        let is_new = belongs && !self.groups.is_in(&group, &client.0);
        if is_new && self.groups.memberships() >= MAX_MEMBERSHIPS {
            return Err(Refused::TooManyGrants);
        }
        Ok(Arc::make_mut(&mut self.groups).set(group, client.0, belongs))
    }

    /// Who made a space, and who may do what there.
    pub(crate) fn of(&self, space: &SpaceName) -> SpaceAccess {
        match self.spaces.get(space) {
            Some(rights) => SpaceAccess {
                creator: Some(rights.creator),
                lists: rights.lists.clone(),
            },
            None => {
                let read = BTreeSet::from([Principal::Anyone]);
                let lists = Lists {
                    read,
                    ..Lists::closed()
                };
                SpaceAccess {
                    creator: None,
                    lists,
                }
            }
        }
    }

    /// What a client may do, of the spaces after one.
    pub(crate) fn permissions(&self, client: &ClientId, after: Option<&SpaceName>) -> Permissions {
        let groups = self.groups.all();
        let mine = groups.filter(|(_, members)| members.contains(&client.0));
        let mut spaces = Vec::new();
        let mut next = None;
        for space in self.spaces.keys() {
            if after.is_some_and(|after| space <= after) {
                continue;
            }
            if spaces.len() >= MAX_PERMISSION_SPACES {
                next = spaces
                    .last()
                    .map(|(space, _): &(SpaceName, _)| space.clone());
                break;
            }
            let mut rights = Right::ALL.to_vec();
            rights.retain(|right| self.may(client, space, *right));
            if !rights.is_empty() {
                spaces.push((space.clone(), rights));
            }
        }
        Permissions {
            operator: self.is_operator(client),
            groups: mine.map(|(name, _)| name.clone()).collect(),
            spaces,
            next,
            account: None,
        }
    }

    /// The spaces that clients made.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = &SpaceName> {
        self.spaces.keys()
    }

    /// Appends everything that is not in the genesis.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        put_clients(out, self.enrolled.iter().map(|client| &client.0));
        put_clients(out, self.expelled.iter().map(|client| &client.0));
        codec::put_varint(out, self.groups.all().len() as u64);
        for (group, members) in self.groups.all() {
            codec::put_bytes(out, group.as_str().as_bytes());
            put_clients(out, members.iter());
        }
        codec::put_varint(out, self.spaces.len() as u64);
        for (space, rights) in &self.spaces {
            codec::put_bytes(out, space.as_str().as_bytes());
            codec::put_bytes(out, &rights.creator.0);
            for right in Right::ALL {
                put_list(out, rights.lists.of(right));
            }
        }
    }

    /// Reads what [`Access::encode_into`] wrote.
    ///
    /// # Errors
    /// [`BadContent`] for anything that could not have been written under this genesis.
    pub(crate) fn decode(genesis: &Genesis, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut access = Self::new(genesis);
        access.enrolled = read_clients(reader, MAX_ENROLLED)?;
        access.expelled = read_clients(reader, MAX_ENROLLED)?;
        let by_genesis =
            |client: &ClientId| access.open_enrolment || access.founders.contains(client);
        BadContent::unless(
            !access.enrolled.iter().any(by_genesis) && access.expelled.iter().all(by_genesis),
            "an enrolment that says what the genesis says",
        )?;
        let mut groups = Groups::default();
        for _ in 0..reader.length()? {
            let group = read_name(reader)?;
            let group = GroupName::try_from(group)
                .map_err(|_| BadContent::Contradiction("a group's name that is none"))?;
            let last = groups.all().next_back();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < group),
                "groups out of order",
            )?;
            let members = read_clients(reader, MAX_MEMBERSHIPS)?;
            BadContent::unless(!members.is_empty(), "a group of nobody")?;
            for member in members {
                groups.set(group.clone(), member.0, true);
            }
        }
        let memberships = groups.memberships();
        BadContent::unless(memberships <= MAX_MEMBERSHIPS, "too many memberships")?;
        access.groups = Arc::new(groups);
        for _ in 0..reader.length()? {
            let space = read_name(reader)?;
            let last = access.spaces.last_key_value();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < space),
                "rights out of order",
            )?;
            let creator = read_client(reader)?;
            let mut lists = Lists::closed();
            for right in Right::ALL {
                *lists.of_mut(right) = read_list(reader, MAX_LIST)?;
            }
            access.spaces.insert(space, Rights { creator, lists });
        }
        Ok(access)
    }
}

fn put_clients<'a>(out: &mut Vec<u8>, clients: impl ExactSizeIterator<Item = &'a ClientKey>) {
    codec::put_varint(out, clients.len() as u64);
    clients.for_each(|client| codec::put_bytes(out, client));
}

fn read_name(reader: &mut Reader<'_>) -> Result<SpaceName, BadContent> {
    let name = reader.text()?.parse();
    name.map_err(|_| BadContent::Contradiction("a name that is none"))
}

fn read_client(reader: &mut Reader<'_>) -> Result<ClientId, BadContent> {
    let key = reader.bytes()?.try_into();
    key.map(ClientId)
        .map_err(|_| BadContent::Contradiction("a key that is none"))
}

fn read_clients(reader: &mut Reader<'_>, most: usize) -> Result<BTreeSet<ClientId>, BadContent> {
    let count = reader.length()?;
    BadContent::unless(count <= most, "too many clients")?;
    let mut clients = BTreeSet::new();
    for _ in 0..count {
        let client = read_client(reader)?;
        BadContent::unless(clients.last() < Some(&client), "clients out of order")?;
        clients.insert(client);
    }
    Ok(clients)
}
