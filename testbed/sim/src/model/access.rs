//! Who may do what, on the dumb spaces: lists that are looked through.

use std::sync::Arc;

use bezant_api::{
    AdminCommand, Answer, Call, GroupName, Lists, Permissions, Principal, Refused, Right, SpaceInfo,
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
}

/// All that is known of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    /// Whose each session is.
    sessions: Vec<(u64, ClientKey)>,
    rights: Vec<Rights>,
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
}

impl Spaces {
    /// Whether whoever has this session may do this; sessions nobody told of may do all.
    fn may(&self, session: u64, space: &SpaceName, right: Right) -> bool {
        let Some(client) = self.access.client(session) else {
            return true;
        };
        let mut rights = self.access.rights.iter();
        let Some(rights) = rights.find(|rights| rights.space == *space) else {
            return true;
        };
        let is_meant = |principal: &Principal| self.model.means(principal, Some(client));
        rights.creator == client
            || rights.lists.of(right).iter().any(is_meant)
            || (right == Right::Administer && self.is_operator(client))
    }

    /// Anybody is, until somebody is in the group for it.
    pub(super) fn is_operator(&self, client: ClientKey) -> bool {
        let members = self.model.members().iter();
        let mut members = members
            .filter(|(name, _)| name.as_str() == "operators")
            .peekable();
        members.peek().is_none() || members.any(|(_, member)| *member == client)
    }

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
        });
    }

    fn set_quota(
        &mut self,
        session: u64,
        space: &SpaceName,
        quota: Quota,
    ) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let before = self.model.allow(space, quota)?;
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
        if self.names().contains(space) && !self.may(session, space, right) {
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
            Call::Grant {
                space,
                right,
                principal,
            } => self.entitle(session, space, *right, principal, true),
            Call::Revoke {
                space,
                right,
                principal,
            } => self.entitle(session, space, *right, principal, false),
            Call::RemoveSpace { space } => self.remove(session, space),
            Call::Purge { space, limit } => self.purge(session, space, *limit),
            Call::Inspect { space } => self.inspect(space),
            Call::Permissions { after } => Ok(self.permissions(session, after.as_ref())),
            Call::AdminCommand(admin_command) => self.admin_command(session, admin_command),
            Call::SetQuota { space, quota } => self.set_quota(session, space, *quota),
            other => return self.install(session, other),
        })
    }

    fn entitle(
        &mut self,
        session: u64,
        space: &SpaceName,
        right: Right,
        principal: &Principal,
        has: bool,
    ) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let access = Arc::make_mut(&mut self.access);
        let mut rights = access.rights.iter_mut();
        let rights = rights.find(|rights| rights.space == *space);
        let list = rights.ok_or(Refusal::Forbidden)?.lists.of_mut(right);
        let changed = if has {
            list.insert(principal.clone())
        } else {
            list.remove(principal)
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
            if !self.may(wait.id.owner, &wait.space, right) {
                self.refuse(wait.id, Refusal::Forbidden);
            }
        }
    }

    fn remove(&mut self, session: u64, space: &SpaceName) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        if self.model.sum(|placed| placed.space == *space).tuples > 0 {
            return Err(Refusal::SpaceNotEmpty.into());
        }
        let waits = Arc::clone(self.waits());
        for wait in waits.iter().filter(|wait| wait.space == *space) {
            self.refuse(wait.id, Refusal::NoSuchSpace);
        }
        self.unmake(space)?;
        Ok(Answer::Removed)
    }

    fn purge(&mut self, session: u64, space: &SpaceName, limit: u32) -> Result<Answer, Refused> {
        self.administer(session, space)?;
        let taken = self.model.purge(space, limit)?;
        Ok(Answer::Outcome(Outcome::Count(taken)))
    }

    /// A space is no more, with all rights in it.
    pub(super) fn unmake(&mut self, space: &SpaceName) -> Result<(), Refused> {
        self.model.remove(space)?;
        let access = Arc::make_mut(&mut self.access);
        access.rights.retain(|rights| rights.space != *space);
        Ok(())
    }

    fn inspect(&self, space: &SpaceName) -> Result<Answer, Refused> {
        let mut rights = self.access.rights.iter();
        let rights = rights.find(|rights| rights.space == *space);
        let rights = rights.ok_or(Refusal::NoSuchSpace)?;
        let here = self.model.sum(|placed| placed.space == *space);
        Ok(Answer::Space(SpaceInfo {
            creator: Some(rights.creator),
            lists: rights.lists.clone(),
            tuples: here.tuples,
            bytes: here.bytes,
            quota: self.model.quota(space),
            // The space in which anything is attached is not asked about.
            attached: Vec::new(),
        }))
    }

    fn permissions(&self, session: u64, after: Option<&SpaceName>) -> Answer {
        let client = self.access.client(session).unwrap_or_default();
        let groups = self.model.members().iter();
        let mine = groups.filter(|(_, member)| *member == client);
        let mut groups: Vec<GroupName> = mine.map(|(group, _)| group.clone()).collect();
        groups.sort();
        let mut names = self.names().to_vec();
        names.sort();
        let mut spaces = Vec::new();
        for name in names {
            let mut rights = Right::ALL.to_vec();
            rights.retain(|right| self.may(session, &name, *right));
            if !rights.is_empty() && after.is_none_or(|after| name > *after) {
                spaces.push((name, rights));
            }
        }
        Answer::Permissions(Permissions {
            operator: self.is_operator(client),
            groups,
            spaces,
            next: None,
            account: self.model.account(client).map(|quota| {
                let paid = self.model.sum(|placed| placed.payer == Some(client));
                Account {
                    quota,
                    tuples: paid.tuples,
                    bytes: paid.bytes,
                }
            }),
        })
    }

    /// Where anybody is a client, enrolling changes nothing. Nobody is expelled here: that is
    /// for the service's own tests.
    fn admin_command(
        &mut self,
        session: u64,
        admin_command: &AdminCommand,
    ) -> Result<Answer, Refused> {
        let client = self.access.client(session).unwrap_or_default();
        if !self.is_operator(client) {
            return Err(Refused::NotOperator);
        }
        let (group, client, joins) = match admin_command {
            AdminCommand::Allot(client, quota) => {
                let before = self.model.allot(*client, *quota);
                return Ok(Answer::Changed(before != *quota));
            }
            AdminCommand::Enrol(_) => return Ok(Answer::Changed(false)),
            AdminCommand::Expel(_) | AdminCommand::Engine(..) => return Err(Refused::Malformed),
            AdminCommand::Join(group, client) => (group, *client, true),
            AdminCommand::Leave(group, client) => (group, *client, false),
        };
        let changed = self.model.set_member(group, client, joins);
        if changed && !joins {
            self.end_forbidden_waits();
        }
        Ok(Answer::Changed(changed))
    }
}
