//! Who may do what, on the dumb spaces: lists that are looked through.

use std::sync::Arc;

use bezant_api::{
    Answer, Call, Decree, GroupName, Lists, Refused, Right, SpaceInfo, Standing, Whom,
};
use bezant_tuplespace::{Account, Operation, Outcome, Quota, Refusal, SpaceName, Wants};

use super::Spaces;

type ClientKey = [u8; 32];

/// The rights in one space.
#[derive(Clone, Debug)]
struct Rights {
    space: SpaceName,
    creator: ClientKey,
    lists: Lists,
    quota: Quota,
}

/// All that is known of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    /// Whose each session is.
    sessions: Vec<(u64, ClientKey)>,
    groups: Vec<(GroupName, ClientKey)>,
    rights: Vec<Rights>,
    /// How much some clients may hold.
    accounts: Vec<(ClientKey, Quota)>,
}

impl Access {
    pub(super) fn client(&self, session: u64) -> Option<ClientKey> {
        let mut sessions = self.sessions.iter();
        let found = sessions.find(|(id, _)| *id == session);
        found.map(|(_, client)| *client)
    }

    /// A session of a client.
    pub(super) fn session(&self, client: ClientKey) -> Option<u64> {
        let mut sessions = self.sessions.iter();
        let found = sessions.find(|(_, other)| *other == client);
        found.map(|(session, _)| *session)
    }

    /// Whether whoever has this session may do this; sessions nobody told of may do all.
    fn may(&self, session: u64, space: &SpaceName, right: Right) -> bool {
        let Some(client) = self.client(session) else {
            return true;
        };
        let Some(rights) = self.rights.iter().find(|rights| rights.space == *space) else {
            return true;
        };
        let is_meant = |whom: &Whom| self.means(whom, session);
        rights.creator == client
            || rights.lists.of(right).iter().any(is_meant)
            || (right == Right::Administer && self.is_operator(client))
    }

    /// Whether whoever has this session is meant.
    pub(super) fn means(&self, whom: &Whom, session: u64) -> bool {
        let client = self.client(session);
        match whom {
            Whom::Anyone => true,
            Whom::Client(key) => client == Some(*key),
            Whom::Members(group) => {
                client.is_some_and(|client| self.groups.contains(&(group.clone(), client)))
            }
        }
    }

    /// Anybody is, until somebody is in the group for it.
    pub(super) fn is_operator(&self, client: ClientKey) -> bool {
        let mut members = self
            .groups
            .iter()
            .filter(|(name, _)| name.as_str() == "operators")
            .peekable();
        members.peek().is_none() || members.any(|(_, member)| *member == client)
    }
}

impl Spaces {
    /// Tells whose a session is.
    pub fn introduce(&mut self, session: u64, client: ClientKey) {
        if self.access.client(session).is_none() {
            Arc::make_mut(&mut self.access)
                .sessions
                .push((session, client));
        }
    }

    pub(super) fn made(&mut self, session: u64, space: &SpaceName, lists: Lists) {
        let creator = self.access.client(session).unwrap_or_default();
        Arc::make_mut(&mut self.access).rights.push(Rights {
            space: space.clone(),
            creator,
            lists,
            quota: Quota::NONE,
        });
    }

    /// How much a space may hold.
    pub(super) fn quota(&self, space: &SpaceName) -> Quota {
        let mut rights = self.access.rights.iter();
        let rights = rights.find(|rights| rights.space == *space);
        rights.map_or(Quota::NONE, |rights| rights.quota)
    }

    fn set_quota(
        &mut self,
        session: u64,
        space: &SpaceName,
        quota: Quota,
    ) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let access = Arc::make_mut(&mut self.access);
        let mut rights = access.rights.iter_mut();
        let rights = rights.find(|rights| rights.space == *space);
        let rights = rights.ok_or(Refusal::NoSuchSpace)?;
        let before = std::mem::replace(&mut rights.quota, quota);
        Ok(Answer::Changed(before != quota))
    }

    /// Whether an operation is allowed where its space is there.
    pub(super) fn check(
        &self,
        session: u64,
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<(), Refused> {
        use Operation as Op;
        let needed = match operation {
            Op::Out { .. } | Op::OutTo { .. } => vec![Right::Insert],
            Op::Cas { .. } => vec![Right::Insert, Right::Read],
            Op::Replace { .. } => vec![Right::Insert, Right::Take],
            Op::Inp { .. } | Op::In { .. } | Op::InAll { .. } | Op::Renew { .. } => {
                vec![Right::Take]
            }
            Op::Rdp { .. }
            | Op::Rd { .. }
            | Op::RdAll { .. }
            | Op::Count { .. }
            | Op::Watch { .. }
            | Op::Survey { .. } => vec![Right::Read],
        };
        for right in needed {
            self.demand(session, space, right)?;
        }
        Ok(())
    }

    /// Whether a right is there where the space is.
    pub(crate) fn demand(
        &self,
        session: u64,
        space: &SpaceName,
        right: Right,
    ) -> Result<(), Refused> {
        if self.names().contains(space) && !self.access.may(session, space, right) {
            return Err(Refusal::Forbidden.into());
        }
        Ok(())
    }

    pub(super) fn administer(&self, session: u64, space: &SpaceName) -> Result<(), Refused> {
        if !self.names().contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        self.demand(session, space, Right::Administer)
    }

    /// Carries out a call that is about rights; `None` if it is about something else.
    pub(crate) fn rule(&mut self, session: u64, call: &Call) -> Option<Result<Answer, Refused>> {
        Some(match call {
            Call::CreateSpaceFor { space, lists } => self
                .create(session, space, lists.clone())
                .map(|()| Answer::Created),
            Call::Grant { space, right, whom } => self.entitle(session, space, *right, whom, true),
            Call::Revoke { space, right, whom } => {
                self.entitle(session, space, *right, whom, false)
            }
            Call::RemoveSpace { space } => self.remove(session, space),
            Call::Purge { space, limit } => self.purge(session, space, *limit),
            Call::Inspect { space } => self.inspect(space),
            Call::Standing { after } => Ok(self.standing(session, after.as_ref())),
            Call::Decree(decree) => self.decree(session, decree),
            Call::SetQuota { space, quota } => self.set_quota(session, space, *quota),
            other => return self.install(session, other),
        })
    }

    fn entitle(
        &mut self,
        session: u64,
        space: &SpaceName,
        right: Right,
        whom: &Whom,
        has: bool,
    ) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let access = Arc::make_mut(&mut self.access);
        let mut rights = access.rights.iter_mut();
        let rights = rights.find(|rights| rights.space == *space);
        let list = rights.ok_or(Refusal::Forbidden)?.lists.of_mut(right);
        let changed = if has {
            list.insert(whom.clone())
        } else {
            list.remove(whom)
        };
        if changed && !has {
            self.end_forbidden_waits();
        }
        Ok(Answer::Changed(changed))
    }

    fn end_forbidden_waits(&mut self) {
        let waits = Arc::clone(self.waits());
        for wait in waits.iter() {
            let right = if wait.wants == Wants::Take {
                Right::Take
            } else {
                Right::Read
            };
            if !self.access.may(wait.session, &wait.space, right) {
                self.refuse(wait.session, wait.number, Refusal::Forbidden);
            }
        }
    }

    fn remove(&mut self, session: u64, space: &SpaceName) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        if self.count_in(space) > 0 {
            return Err(Refusal::SpaceNotEmpty.into());
        }
        let waits = Arc::clone(self.waits());
        for wait in waits.iter().filter(|wait| wait.space == *space) {
            self.refuse(wait.session, wait.number, Refusal::NoSuchSpace);
        }
        self.unmake(space);
        Ok(Answer::Removed)
    }

    fn purge(&mut self, session: u64, space: &SpaceName, limit: u32) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let taken = self.purge_up_to(space, limit)?;
        Ok(Answer::Outcome(Outcome::Count(taken)))
    }

    /// A space is no more, with all rights in it.
    pub(super) fn unmake(&mut self, space: &SpaceName) {
        self.forget(space);
        let access = Arc::make_mut(&mut self.access);
        access.rights.retain(|rights| rights.space != *space);
    }

    fn inspect(&self, space: &SpaceName) -> Result<Answer, Refused> {
        let mut rights = self.access.rights.iter();
        let rights = rights.find(|rights| rights.space == *space);
        let rights = rights.ok_or(Refusal::NoSuchSpace)?;
        Ok(Answer::Space(SpaceInfo {
            creator: Some(rights.creator),
            lists: rights.lists.clone(),
            tuples: self.count_in(space),
            bytes: self.bytes_in(space),
            quota: rights.quota,
            // The space in which anything is imposed is not asked about.
            imposed: Vec::new(),
        }))
    }

    fn standing(&self, session: u64, after: Option<&SpaceName>) -> Answer {
        let client = self.access.client(session).unwrap_or_default();
        let groups = self.access.groups.iter();
        let mine = groups.filter(|(_, member)| *member == client);
        let mut groups: Vec<GroupName> = mine.map(|(group, _)| group.clone()).collect();
        groups.sort();
        let mut names = self.names().to_vec();
        names.sort();
        let mut spaces = Vec::new();
        for name in names {
            let mut rights = Right::ALL.to_vec();
            rights.retain(|right| self.access.may(session, &name, *right));
            if !rights.is_empty() && after.is_none_or(|after| name > *after) {
                spaces.push((name, rights));
            }
        }
        Answer::Standing(Standing {
            operator: self.access.is_operator(client),
            groups,
            spaces,
            next: None,
            account: self.allotted(client).map(|quota| {
                let (tuples, bytes) = self.paid_by(client);
                Account {
                    quota,
                    tuples,
                    bytes,
                }
            }),
        })
    }

    /// How much a client may hold, if it is bounded.
    pub(super) fn allotted(&self, client: ClientKey) -> Option<Quota> {
        let mut accounts = self.access.accounts.iter();
        let found = accounts.find(|(other, _)| *other == client);
        found.map(|(_, quota)| *quota)
    }

    /// Against whom counts what a session puts, if against anybody.
    pub(super) fn payer(&self, session: u64) -> Option<ClientKey> {
        let client = self.access.client(session)?;
        self.allotted(client).map(|_| client)
    }

    fn allot(&mut self, client: ClientKey, quota: Quota) -> Answer {
        let before = self.allotted(client).unwrap_or(Quota::NONE);
        let accounts = &mut Arc::make_mut(&mut self.access).accounts;
        accounts.retain(|(other, _)| *other != client);
        if quota == Quota::NONE {
            self.pay_for_nothing(client);
        } else {
            accounts.push((client, quota));
        }
        Answer::Changed(before != quota)
    }

    /// Where anybody is a client, enrolling changes nothing. Nobody is expelled here: that is
    /// for the service's own tests.
    fn decree(&mut self, session: u64, decree: &Decree) -> Result<Answer, Refused> {
        let client = self.access.client(session).unwrap_or_default();
        if !self.access.is_operator(client) {
            return Err(Refused::NotOperator);
        }
        let (entry, joins) = match decree {
            Decree::Allot(client, quota) => return Ok(self.allot(*client, *quota)),
            Decree::Enrol(_) => return Ok(Answer::Changed(false)),
            Decree::Expel(_) | Decree::Engine(..) => return Err(Refused::Malformed),
            Decree::Join(group, client) => ((group.clone(), *client), true),
            Decree::Leave(group, client) => ((group.clone(), *client), false),
        };
        let groups = &mut Arc::make_mut(&mut self.access).groups;
        let changed = groups.contains(&entry) != joins;
        if joins && changed {
            let client = entry.1;
            groups.push(entry);
            self.look_again(client);
        } else if changed {
            groups.retain(|other| *other != entry);
            self.end_forbidden_waits();
        }
        Ok(Answer::Changed(changed))
    }
}
