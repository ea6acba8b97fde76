//! One call, carried out all or nothing.
//!
//! The order of judgement: decode, whether the client may, then the policies, then the extension that matches,
//! else the plain operation. Whatever refuses leaves no trace in the spaces: the caller
//! takes a savepoint before and rolls back to it here.

use bezant_api::{Answer, Call, Lists, Refused, Standing};
use bezant_tuplespace::{Applied, Operation, SpaceName, Spaces, WaiterId};

use crate::{
    At, Kernel,
    extensions::{Ran, Remover},
};

impl Kernel {
    /// Carries out an encoded call; `None` if the client waits now.
    pub(crate) fn carry_out(&mut self, op: &[u8], waiter: WaiterId, at: At) -> Option<Answer> {
        let Ok(call) = Call::decode(op) else {
            return Some(Refused::Malformed.into());
        };
        let savepoint = self.spaces.savepoint();
        let answer = match self.call(call, waiter, at) {
            Ok(answer) => answer,
            Err(refused) => {
                self.spaces.rollback(savepoint);
                Some(refused.into())
            }
        };
        self.forget_undone_spaces();
        answer
    }

    fn call(&mut self, call: Call, waiter: WaiterId, at: At) -> Result<Option<Answer>, Refused> {
        let answer = match call {
            // A session is opened outside of one.
            Call::OpenSession { .. } => return Err(Refused::Malformed),
            Call::CloseSession => Answer::Closed,
            Call::KeepAlive => Answer::Alive,
            Call::CreateSpace { space } => {
                refuse_reserved(&space)?;
                self.create_space(at.client, &space, Lists::open())?;
                Answer::Created
            }
            Call::CreateSpaceFor { space, lists } => {
                refuse_reserved(&space)?;
                self.create_space(at.client, &space, lists)?;
                Answer::Created
            }
            Call::Grant { space, right, whom } => self.entitle((&space, right, whom), true, at)?,
            Call::Revoke { space, right, whom } => {
                self.entitle((&space, right, whom), false, at)?
            }
            Call::RemoveSpace { space } => self.remove_space(&space, at)?,
            Call::Inspect { space } => self.inspect(&space)?,
            Call::Standing { after } => Answer::Standing(Standing {
                account: self.spaces.account(&at.client.0).copied(),
                ..self.access.standing(&at.client, after.as_ref())
            }),
            Call::Decree(decree) => self.decree(decree, at)?,
            Call::SetQuota { space, quota } => self.set_quota(&space, quota, at)?,
            Call::Purge { space, limit } => self.purge(&space, limit, at)?,
            Call::ListSpaces => Answer::Spaces(
                self.spaces
                    .names()
                    .filter(|name| !name.is_reserved())
                    .cloned()
                    .collect(),
            ),
            Call::Space { space, operation } => {
                return self.operate(&space, &operation, Some(waiter), at);
            }
            Call::Register { manifest, module } => {
                let hash = self
                    .extensions
                    .register(&mut self.spaces, at, manifest, module)?;
                Answer::Registered { hash }
            }
            Call::Acknowledge { hash } => {
                self.extensions.acknowledge(at.client, hash)?;
                Answer::Acknowledged
            }
            Call::Withdraw { hash } => Answer::Changed(self.extensions.withdraw(at.client, hash)?),
            Call::Unregister { hash } => {
                let by_operator = self.access.is_operator(&at.client);
                let by = Remover {
                    client: at.client,
                    is_operator: by_operator,
                };
                self.extensions.unregister(&mut self.spaces, by, hash)?;
                Answer::Changed(true)
            }
            Call::Impose { space, hash } => self.impose((&space, hash), true, at)?,
            Call::Lift { space, hash } => self.impose((&space, hash), false, at)?,
            Call::Upgrade {
                from,
                manifest,
                module,
                at: number,
            } => {
                let hash = self.extensions.upgrade(
                    &mut self.spaces,
                    at,
                    (from, number),
                    (manifest, module),
                )?;
                Answer::Registered { hash }
            }
            Call::Rollback { hash } => {
                let hash = self.extensions.roll_back(at.client, hash)?;
                Answer::Registered { hash }
            }
            Call::Follow { hash } => {
                self.extensions.follow(at.client, hash)?;
                Answer::Acknowledged
            }
            Call::Extensions => Answer::Extensions(self.extensions.installed(&at.client)),
            Call::Cancel { number } => {
                let wait = WaiterId {
                    owner: waiter.owner,
                    number,
                };
                Answer::Cancelled(self.spaces.cancel(wait))
            }
            Call::Group(group) => self.group(&group, at)?,
            // A later version's call cannot be decoded by this one.
            _ => return Err(Refused::Malformed),
        };
        Ok(Some(answer))
    }

    pub(crate) fn operate(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        waiter: Option<WaiterId>,
        at: At,
    ) -> Result<Option<Answer>, Refused> {
        // The service's own spaces are read by all and written by the service.
        if !operation.is_read_only() {
            refuse_reserved(space)?;
        }
        if self.genesis.spaces_on_first_out
            && matches!(operation, Operation::Out { .. } | Operation::OutTo { .. })
            && !self.spaces.contains(space)
        {
            self.create_space(at.client, space, Lists::open())?;
        }
        if self.spaces.contains(space) {
            self.access.check(&at.client, space, operation)?;
            // Before an extension takes it for a place in its own space.
            Spaces::check_cursor(space, operation)?;
            self.judge(space, operation, at)?;
        }
        // What happened is not an extension's to tell.
        let is_told = matches!(
            operation,
            Operation::Watch { .. } | Operation::Survey { .. }
        );
        let ground = (&mut self.spaces, &self.access);
        if !is_told && let Some(ran) = self.extensions.run(ground, (at, waiter), space, operation) {
            return ran.map(|ran| match ran {
                Ran::Answer(outcome) => Some(Answer::Outcome(outcome)),
                Ran::Waits => None,
            });
        }
        match self.spaces.apply(space, operation, waiter)? {
            Applied::Outcome(outcome) => Ok(Some(Answer::Outcome(outcome))),
            Applied::Waiting => Ok(None),
        }
    }
}

impl Kernel {
    /// Asks the policies of a space, which is there, whether an operation may be.
    ///
    /// # Errors
    /// The no of one of them, or that one failed.
    pub(crate) fn judge(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        at: At,
    ) -> Result<(), Refused> {
        let ground = (&mut self.spaces, &self.access);
        self.extensions.judge(ground, at, space, operation)
    }
}

fn refuse_reserved(space: &SpaceName) -> Result<(), Refused> {
    if space.is_reserved() {
        Err(Refused::ReservedSpace)
    } else {
        Ok(())
    }
}
