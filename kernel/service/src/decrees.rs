//! Calls that change who may do what, and what follows for those who wait.

use std::sync::Arc;

use bezant_api::{
    Answer, Decree, ExtensionHash, GroupName, Lists, Refused, Right, SpaceInfo, Whom,
};
use bezant_bft::{
    ids::{ClientId, RequestNumber, SeqNo, SessionId},
    service::Replies,
};
use bezant_tuplespace::{Outcome, Quota, Refusal, SpaceName, WaiterId};

use crate::{At, Kernel};

impl Kernel {
    /// Makes a space for a client.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn create_space(
        &mut self,
        creator: ClientId,
        space: &SpaceName,
        lists: Lists,
    ) -> Result<(), Refused> {
        self.spaces.create(space)?;
        self.created.push(space.clone());
        self.access.created(creator, space, lists)
    }

    /// Spaces that were not made after all have no rights.
    pub(crate) fn forget_undone_spaces(&mut self) {
        for space in std::mem::take(&mut self.created) {
            if !self.spaces.contains(&space) {
                self.access.removed(&space);
            }
        }
    }

    fn administer(&self, space: &SpaceName, client: &ClientId) -> Result<(), Refused> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        if space.is_reserved() {
            return Err(Refused::ReservedSpace);
        }
        if self.access.may(client, space, Right::Administer) {
            Ok(())
        } else {
            Err(Refusal::Forbidden.into())
        }
    }

    /// Gives or takes a right.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn entitle(
        &mut self,
        (space, right, whom): (&SpaceName, Right, Whom),
        has: bool,
        at: At,
    ) -> Result<Answer, Refused> {
        self.administer(space, &at.client)?;
        let changed = self.access.set(space, right, whom, has)?;
        self.rights_changed |= changed && !has;
        Ok(Answer::Changed(changed))
    }

    /// Lets a space hold so much.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn set_quota(
        &mut self,
        space: &SpaceName,
        quota: Quota,
        at: At,
    ) -> Result<Answer, Refused> {
        self.administer(space, &at.client)?;
        let before = self.spaces.allow(space, quota)?;
        Ok(Answer::Changed(before != quota))
    }

    /// Removes an empty space.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn remove_space(&mut self, space: &SpaceName, at: At) -> Result<Answer, Refused> {
        self.administer(space, &at.client)?;
        if self.spaces.tuples(space) > 0 {
            return Err(Refusal::SpaceNotEmpty.into());
        }
        let waits = self.spaces.waiting();
        let here = waits.filter(|wait| wait.space == space);
        let here: Vec<WaiterId> = here.map(|wait| wait.id).collect();
        for wait in here {
            self.spaces.cancel(wait);
            self.refused.push((wait, Refusal::NoSuchSpace));
        }
        self.spaces.remove_space(space)?;
        self.access.removed(space);
        self.extensions.space_removed(space);
        Ok(Answer::Removed)
    }

    /// Takes tuples out of a space, whoever they are for.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn purge(
        &mut self,
        space: &SpaceName,
        limit: u32,
        at: At,
    ) -> Result<Answer, Refused> {
        self.administer(space, &at.client)?;
        let taken = self.spaces.purge(space, limit)?;
        Ok(Answer::Outcome(Outcome::Count(taken)))
    }

    /// Makes an extension apply to everyone in a space, or ends that.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn impose(
        &mut self,
        (space, hash): (&SpaceName, ExtensionHash),
        applies: bool,
        at: At,
    ) -> Result<Answer, Refused> {
        self.administer(space, &at.client)?;
        let changed = if applies {
            self.extensions.impose(space, hash)?
        } else {
            self.extensions.lift(space, &hash)
        };
        Ok(Answer::Changed(changed))
    }

    /// What is known of a space.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub(crate) fn inspect(&self, space: &SpaceName) -> Result<Answer, Refused> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        let (creator, lists) = self.access.of(space);
        Ok(Answer::Space(SpaceInfo {
            creator: creator.map(|creator| creator.0),
            lists,
            tuples: self.spaces.tuples(space),
            bytes: self.spaces.bytes(space),
            quota: self.spaces.quota(space),
            imposed: self.extensions.registry().imposed_in(space),
        }))
    }

    /// An operator's word.
    ///
    /// # Errors
    /// Why it does not count.
    pub(crate) fn decree(&mut self, decree: Decree, at: At) -> Result<Answer, Refused> {
        if !self.access.is_operator(&at.client) {
            return Err(Refused::NotOperator);
        }
        let changed = match decree {
            Decree::Enrol(client) => self.access.enrol(ClientId(client))?,
            Decree::Expel(client) => {
                let client = ClientId(client);
                let changed = self.access.expel(client)?;
                if changed {
                    self.expelled.push(client);
                }
                changed
            }
            Decree::Join(group, client) => self.belong(group, ClientId(client), true)?,
            Decree::Leave(group, client) => {
                let changed = self.belong(group, ClientId(client), false)?;
                self.rights_changed |= changed;
                changed
            }
            Decree::Engine(version, from) => {
                let when = (from, at.position.0);
                self.extensions.switch_engine(version, when)?
            }
            Decree::Allot(client, quota) => {
                let before = self.spaces.allot(client, quota);
                before.ok_or(Refused::TooManyGrants)? != quota
            }
        };
        Ok(Answer::Changed(changed))
    }

    /// Puts a client into a group or out of it; the spaces learn it, and what the client waits
    /// for may have been there already, for the members only.
    fn belong(
        &mut self,
        group: GroupName,
        client: ClientId,
        belongs: bool,
    ) -> Result<bool, Refused> {
        // So that there is no other copy while it changes.
        self.spaces.know(Arc::default());
        let changed = self.access.belong(group, client, belongs);
        self.spaces.know(self.access.groups());
        let changed = changed?;
        if belongs && changed {
            self.spaces.reconsider(&client.0);
        }
        Ok(changed)
    }

    /// What follows from a change of rights once its own request is answered: sessions of
    /// those expelled end, and waits end refused that would no longer be allowed.
    pub(crate) fn enforce(&mut self, position: SeqNo, replies: &mut Replies) {
        for client in std::mem::take(&mut self.expelled) {
            for session in self.sessions.of_client(&client) {
                self.end_session(session);
            }
        }
        if std::mem::take(&mut self.rights_changed) {
            let mut lost = Vec::new();
            for wait in self.spaces.waiting() {
                let owner = self.sessions.owner(SessionId(wait.id.owner));
                let allowed =
                    owner.is_some_and(|owner| self.access.may_wait(&owner, wait.space, wait.wants));
                if !allowed {
                    lost.push(wait.id);
                }
            }
            for wait in lost {
                self.spaces.cancel(wait);
                self.refused.push((wait, Refusal::Forbidden));
            }
        }
        for (wait, why) in std::mem::take(&mut self.refused) {
            let (session, number) = (SessionId(wait.owner), RequestNumber(wait.number));
            let answer = Answer::Refused(why.into());
            self.end_wait(session, number, &answer, position, replies);
        }
    }
}
