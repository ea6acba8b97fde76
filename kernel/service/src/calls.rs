//! Executes one call, all or nothing.
//!
//! The order of judgement: decode, whether the client may, then the policies, then the extension
//! that matches, else the plain operation. Whatever refuses leaves no trace in the spaces: the
//! [`Execution`] of the request undoes it.

use bezant_api::{Answer, Call, Lists, Permissions, Refused};
use bezant_extensions::Upgrade;
use bezant_tuplespace::{Applied, Operation, SpaceName, Spaces, WaiterId};

use crate::{
    execution::{Execution, RefusedWait},
    extensions::{HostState, Ran, Remover},
};

impl Execution<'_> {
    /// Carries out a call; no answer if the client waits now. After an error the caller undoes
    /// everything.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn call(&mut self, call: Call) -> Result<Option<Answer>, Refused> {
        let at = self.at;
        let answer = match call {
            // A session is opened outside of one.
            Call::OpenSession { .. } => return Err(Refused::Malformed),
            Call::CloseSession => {
                self.consequences.closed = true;
                Answer::Closed
            }
            Call::KeepAlive => Answer::Alive,
            Call::CreateSpace { space } => {
                refuse_reserved(&space)?;
                self.create_space(&space, Lists::open())?;
                Answer::Created
            }
            Call::CreateSpaceFor { space, lists } => {
                refuse_reserved(&space)?;
                self.create_space(&space, lists)?;
                Answer::Created
            }
            Call::Grant {
                space,
                right,
                principal,
            } => self.entitle(&space, right, principal, true)?,
            Call::Revoke {
                space,
                right,
                principal,
            } => self.entitle(&space, right, principal, false)?,
            Call::RemoveSpace { space } => self.remove_space(&space)?,
            Call::Inspect { space } => self.inspect(&space)?,
            Call::Permissions { after } => Answer::Permissions(Permissions {
                account: self.kernel.spaces.account(&at.client.0).copied(),
                ..self.kernel.access.permissions(&at.client, after.as_ref())
            }),
            Call::AdminCommand(admin_command) => self.admin_command(admin_command)?,
            Call::SetQuota { space, quota } => self.set_quota(&space, quota)?,
            Call::Purge { space, limit } => self.purge(&space, limit)?,
            Call::ListSpaces => Answer::Spaces(
                self.kernel
                    .spaces
                    .names()
                    .filter(|name| !name.is_reserved())
                    .cloned()
                    .collect(),
            ),
            Call::Space { space, operation } => {
                return self.operate(&space, &operation, Some(at.waiter()));
            }
            Call::Register { manifest, module } => {
                let kernel = &mut *self.kernel;
                let spaces = &mut kernel.spaces;
                let hash = kernel.extensions.register(spaces, at, manifest, module)?;
                Answer::Registered { hash }
            }
            Call::Acknowledge { hash } => {
                self.kernel.extensions.acknowledge(at.client, hash)?;
                Answer::Acknowledged
            }
            Call::Withdraw { hash } => {
                Answer::Changed(self.kernel.extensions.withdraw(at.client, hash)?)
            }
            Call::Unregister { hash } => {
                let kernel = &mut *self.kernel;
                let by = Remover {
                    client: at.client,
                    is_operator: kernel.access.is_operator(&at.client),
                };
                kernel.extensions.unregister(&mut kernel.spaces, by, hash)?;
                Answer::Changed(true)
            }
            Call::Attach { space, hash } => self.attach(&space, hash, true)?,
            Call::Detach { space, hash } => self.attach(&space, hash, false)?,
            Call::Upgrade {
                from,
                manifest,
                module,
                at: number,
            } => {
                let kernel = &mut *self.kernel;
                let upgrade = Upgrade {
                    of: from,
                    manifest,
                    module,
                    when: at.from(number),
                };
                let spaces = &mut kernel.spaces;
                let hash = kernel.extensions.upgrade(spaces, at.client, upgrade)?;
                Answer::Registered { hash }
            }
            Call::Rollback { hash } => {
                let hash = self.kernel.extensions.roll_back(at.client, hash)?;
                Answer::Registered { hash }
            }
            Call::Follow { hash } => {
                self.kernel.extensions.follow(at.client, hash)?;
                Answer::Acknowledged
            }
            Call::Extensions => Answer::Extensions(self.kernel.extensions.installed(&at.client)),
            Call::Cancel { number } => {
                let waiter = WaiterId {
                    number,
                    ..at.waiter()
                };
                let cancelled = self.kernel.spaces.cancel(waiter);
                if cancelled {
                    let why = Refused::Cancelled;
                    self.consequences.refused.push(RefusedWait { waiter, why });
                }
                Answer::Cancelled(cancelled)
            }
            Call::Group(group) => self.group(&group)?,
            // A later version's call cannot be decoded by this one.
            _ => return Err(Refused::Malformed),
        };
        Ok(Some(answer))
    }

    /// Carries out an operation on a space as the client, or has an extension do it; no answer
    /// if `waiter` waits now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn operate(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
    ) -> Result<Option<Answer>, Refused> {
        let at = self.at;
        // The service's own spaces are read by all and written by the service.
        if !operation.is_read_only() {
            refuse_reserved(space)?;
        }
        if self.kernel.genesis.spaces_on_first_out
            && matches!(operation, Operation::Out { .. } | Operation::OutTo { .. })
            && !self.kernel.spaces.contains(space)
        {
            self.create_space(space, Lists::open())?;
        }
        if self.kernel.spaces.contains(space) {
            self.kernel.access.check(&at.client, space, operation)?;
            // Before an extension takes it for a place in its own space.
            Spaces::check_cursor(space, operation)?;
            self.judge(space, operation)?;
        }
        // What happened is not an extension's to tell.
        let is_told = matches!(
            operation,
            Operation::Watch { .. } | Operation::Survey { .. }
        );
        let kernel = &mut *self.kernel;
        let state = HostState {
            spaces: &mut kernel.spaces,
            access: &kernel.access,
        };
        let extensions = &mut kernel.extensions;
        if !is_told && let Some(ran) = extensions.run(state, at, waiter, space, operation) {
            return ran.map(|ran| match ran {
                Ran::Answer(outcome) => Some(Answer::Outcome(outcome)),
                Ran::Waits => None,
            });
        }
        match kernel.spaces.apply(at.actor(), space, operation, waiter)? {
            Applied::Outcome(outcome) => Ok(Some(Answer::Outcome(outcome))),
            Applied::Waiting => Ok(None),
        }
    }

    /// Asks the policies of a space, which is there, whether an operation may be.
    ///
    /// # Errors
    /// The no of one of them, or that one failed.
    pub(crate) fn judge(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<(), Refused> {
        let kernel = &mut *self.kernel;
        let state = HostState {
            spaces: &mut kernel.spaces,
            access: &kernel.access,
        };
        kernel.extensions.judge(state, self.at, space, operation)
    }
}

fn refuse_reserved(space: &SpaceName) -> Result<(), Refused> {
    if space.is_reserved() {
        Err(Refused::ReservedSpace)
    } else {
        Ok(())
    }
}
