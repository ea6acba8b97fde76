//! The execution of one request, from its call to what follows from it.
//!
//! An [`Execution`] owns what is known only while a request is carried out: where a refusal
//! leads back to, the spaces made on the way, and what is still to be done once the request
//! is answered. It ends with the request, so nothing of one request is there in the next; a
//! refused one leaves neither a change nor a consequence. Whatever it does in the spaces it
//! does as an [`Actor`](bezant_tuplespace::Actor) that it names each time.

use bezant_api::{Answer, Call, Refused};
use bezant_bft::{
    ids::{ClientId, RequestNumber, SessionId},
    service::Replies,
};
use bezant_tuplespace::{Refusal, Savepoint, SpaceName, WaiterId};

use crate::{Kernel, at::At};

/// A request being executed.
#[derive(Debug)]
pub(crate) struct Execution<'k> {
    pub(crate) kernel: &'k mut Kernel,
    pub(crate) at: At,
    /// Where a refusal leads back to.
    savepoint: Savepoint,
    /// Spaces that it made; it may still be undone.
    pub(crate) created: Vec<SpaceName>,
    pub(crate) consequences: Consequences,
}

/// What a request brings about besides its own answer, once that is given.
#[derive(Debug, Default)]
pub(crate) struct Consequences {
    /// Whether its own session ends.
    pub(crate) closed: bool,
    /// Clients that it expelled: their sessions end.
    pub(crate) expelled: Vec<ClientId>,
    /// Whether it took a right from anybody: waits end that would no longer be allowed.
    pub(crate) rights_changed: bool,
    /// Waits that it ended.
    pub(crate) refused: Vec<RefusedWait>,
}

/// A wait that ended without what it waited for.
#[derive(Debug)]
pub(crate) struct RefusedWait {
    pub(crate) waiter: WaiterId,
    pub(crate) why: Refused,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Executed {
    /// Its answer; none if the client waits now.
    pub(crate) answer: Option<Answer>,
    pub(crate) consequences: Consequences,
}

impl<'k> Execution<'k> {
    pub(crate) fn begin(kernel: &'k mut Kernel, at: At) -> Self {
        Self {
            savepoint: kernel.spaces.savepoint(),
            kernel,
            at,
            created: Vec::new(),
            consequences: Consequences::default(),
        }
    }

    /// Carries out an encoded call, all or nothing.
    pub(crate) fn carry_out(mut self, op: &[u8]) -> Executed {
        let answer = match Call::decode(op) {
            Ok(call) => self.call(call),
            Err(_) => Err(Refused::Malformed),
        };
        let Self {
            kernel,
            savepoint,
            created,
            consequences,
            ..
        } = self;
        let executed = match answer {
            Ok(answer) => Executed {
                answer,
                consequences,
            },
            Err(refused) => {
                kernel.spaces.rollback(savepoint);
                Executed {
                    answer: Some(refused.into()),
                    consequences: Consequences::default(),
                }
            }
        };
        kernel.forget_undone_spaces(&created);
        executed
    }
}

impl Kernel {
    /// Spaces that were not made after all have no rights.
    fn forget_undone_spaces(&mut self, created: &[SpaceName]) {
        for space in created {
            if !self.spaces.contains(space) {
                self.access.removed(space);
            }
        }
    }

    /// What follows from an executed request once it is answered: its own session ends and
    /// those of clients that it expelled, and waits end refused that it cancelled or that
    /// would no longer be allowed.
    pub(crate) fn enforce(&mut self, consequences: Consequences, at: At, replies: &mut Replies) {
        let Consequences {
            closed,
            expelled,
            rights_changed,
            mut refused,
        } = consequences;
        if closed {
            self.end_session(at.session);
        }
        for client in expelled {
            for session in self.sessions.of_client(&client) {
                self.end_session(session);
            }
        }
        if rights_changed {
            self.end_forbidden_waits(&mut refused);
        }
        for RefusedWait { waiter, why } in refused {
            let (session, number) = (SessionId(waiter.owner), RequestNumber(waiter.number));
            let answer = Answer::Refused(why);
            self.end_wait(session, number, &answer, at.seq_no, replies);
        }
    }

    /// Ends the waits whose clients have no longer the right to them.
    fn end_forbidden_waits(&mut self, refused: &mut Vec<RefusedWait>) {
        let mut lost = Vec::new();
        for wait in self.spaces.waiting() {
            let owner = self.sessions.owner(SessionId(wait.id.owner));
            let allowed =
                owner.is_some_and(|owner| self.access.may_wait(&owner, wait.space, wait.wants));
            if !allowed {
                lost.push(wait.id);
            }
        }
        for waiter in lost {
            self.spaces.cancel(waiter);
            let why = Refusal::Forbidden.into();
            refused.push(RefusedWait { waiter, why });
        }
    }
}
