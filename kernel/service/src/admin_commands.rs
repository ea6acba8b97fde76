//! Calls that change who may do what; what follows for those who wait comes once the call is
//! answered (`execution`).

use std::sync::Arc;

use bezant_api::{
    AdminCommand, Answer, ExtensionHash, GroupName, Lists, Principal, Refused, Right, SpaceInfo,
};
use bezant_bft::ids::ClientId;
use bezant_tuplespace::{Outcome, Quota, Refusal, SpaceName, WaiterId};

use crate::{
    access::SpaceAccess,
    execution::{Execution, RefusedWait},
};

impl Execution<'_> {
    /// Makes a space for the client.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn create_space(&mut self, space: &SpaceName, lists: Lists) -> Result<(), Refused> {
        self.kernel.spaces.create(space)?;
        self.created.push(space.clone());
        self.kernel.access.created(self.at.client, space, lists)
    }

    /// Refuses who may not administer a space, which must be there.
    fn administer(&self, space: &SpaceName) -> Result<(), Refused> {
        if !self.kernel.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        if space.is_reserved() {
            return Err(Refused::ReservedSpace);
        }
        let client = &self.at.client;
        if self.kernel.access.may(client, space, Right::Administer) {
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
        space: &SpaceName,
        right: Right,
        principal: Principal,
        has: bool,
    ) -> Result<Answer, Refused> {
        self.administer(space)?;
        let changed = self.kernel.access.set(space, right, principal, has)?;
        self.consequences.rights_changed |= changed && !has;
        Ok(Answer::Changed(changed))
    }

    /// Lets a space hold so much.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn set_quota(&mut self, space: &SpaceName, quota: Quota) -> Result<Answer, Refused> {
        self.administer(space)?;
        let before = self.kernel.spaces.allow(space, quota)?;
        Ok(Answer::Changed(before != quota))
    }

    /// Removes an empty space.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn remove_space(&mut self, space: &SpaceName) -> Result<Answer, Refused> {
        self.administer(space)?;
        if self.kernel.spaces.tuples(space) > 0 {
            return Err(Refusal::SpaceNotEmpty.into());
        }
        let waits = self.kernel.spaces.waiting();
        let here = waits.filter(|wait| wait.space == space);
        let here: Vec<WaiterId> = here.map(|wait| wait.id).collect();
        for waiter in here {
            self.kernel.spaces.cancel(waiter);
            let why = Refusal::NoSuchSpace.into();
            self.consequences.refused.push(RefusedWait { waiter, why });
        }
        self.kernel.spaces.remove_space(space)?;
        self.kernel.access.removed(space);
        self.kernel.extensions.space_removed(space);
        Ok(Answer::Removed)
    }

    /// Takes tuples out of a space, whoever they are for.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn purge(&mut self, space: &SpaceName, limit: u32) -> Result<Answer, Refused> {
        self.administer(space)?;
        let taken = self.kernel.spaces.purge(space, limit)?;
        Ok(Answer::Outcome(Outcome::Count(taken)))
    }

    /// Makes an extension apply to everyone in a space, or ends that.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn attach(
        &mut self,
        space: &SpaceName,
        hash: ExtensionHash,
        applies: bool,
    ) -> Result<Answer, Refused> {
        self.administer(space)?;
        let changed = if applies {
            self.kernel.extensions.attach(space, hash)?
        } else {
            self.kernel.extensions.detach(space, &hash)
        };
        Ok(Answer::Changed(changed))
    }

    /// What is known of a space.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`].
    pub(crate) fn inspect(&self, space: &SpaceName) -> Result<Answer, Refused> {
        if !self.kernel.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace.into());
        }
        let SpaceAccess { creator, lists } = self.kernel.access.of(space);
        Ok(Answer::Space(SpaceInfo {
            creator: creator.map(|creator| creator.0),
            lists,
            tuples: self.kernel.spaces.tuples(space),
            bytes: self.kernel.spaces.bytes(space),
            quota: self.kernel.spaces.quota(space),
            attached: self.kernel.extensions.registry().attached_in(space),
        }))
    }

    /// An operator's word.
    ///
    /// # Errors
    /// Why it does not count.
    pub(crate) fn admin_command(&mut self, admin_command: AdminCommand) -> Result<Answer, Refused> {
        if !self.kernel.access.is_operator(&self.at.client) {
            return Err(Refused::NotOperator);
        }
        let changed = match admin_command {
            AdminCommand::Enrol(client) => self.kernel.access.enrol(ClientId(client))?,
            AdminCommand::Expel(client) => {
                let client = ClientId(client);
                let changed = self.kernel.access.expel(client)?;
                if changed {
                    self.consequences.expelled.push(client);
                }
                changed
            }
            AdminCommand::Join(group, client) => self.belong(group, ClientId(client), true)?,
            AdminCommand::Leave(group, client) => {
                let changed = self.belong(group, ClientId(client), false)?;
                self.consequences.rights_changed |= changed;
                changed
            }
            AdminCommand::Engine(version, from) => {
                let when = self.at.from(from);
                self.kernel.extensions.switch_engine(version, when)?
            }
            AdminCommand::Allot(client, quota) => {
                let before = self.kernel.spaces.allot(client, quota);
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
        self.kernel.spaces.know(Arc::default());
        let changed = self.kernel.access.belong(group, client, belongs);
        self.kernel.spaces.know(self.kernel.access.groups());
        let changed = changed?;
        if belongs && changed {
            self.kernel.spaces.reconsider(&client.0);
        }
        Ok(changed)
    }
}
