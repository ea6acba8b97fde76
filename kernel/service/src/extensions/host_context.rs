//! The host context of a call: what a running extension can do, by whose rights.

use bezant_api::Right;
use bezant_bft::ids::ClientId;
use bezant_extensions::{Found, Host, Registry};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Actor, Applied, Operation, Outcome, Refusal, SpaceName, Spaces, WaiterId};

use super::trace::{self, TracedStep};
use crate::access::Access;

/// The state that host calls act upon.
#[derive(Debug)]
pub(super) struct HostResources<'a> {
    pub(super) spaces: &'a mut Spaces,
    pub(super) access: &'a Access,
    pub(super) registry: &'a Registry,
}

/// The client that got a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) client: ClientId,
    /// Which of its waits.
    pub(crate) waiter: WaiterId,
}

/// The client whose operation it is, as one who can wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) id: WaiterId,
    pub(super) client: ClientId,
    pub(super) within_ms: Option<u64>,
}

/// The host context of one call.
#[derive(Debug)]
pub(super) struct HostContext<'a> {
    host_resources: HostResources<'a>,
    found: Found<'a>,
    /// By whose rights it acts: whoever calls it has lent it none.
    owner: ClientId,
    /// In whose session and at whose expense it acts, and with its owner's eyes.
    actor: Actor<'a>,
    wait: Option<Wait>,
    /// Whose delivery it was called for.
    delivered: Option<Recipient>,
    said: Vec<String>,
    /// What it asked for, while somebody wants to know.
    steps: Option<Vec<TracedStep>>,
    fuel_left: u64,
}

impl<'a> HostContext<'a> {
    /// Those of an extension that is called for `caller`.
    pub(super) const fn new(
        host_resources: HostResources<'a>,
        found: Found<'a>,
        caller: Actor<'a>,
        wait: Option<Wait>,
    ) -> Self {
        Self {
            host_resources,
            found,
            owner: ClientId(found.extension.owner),
            actor: caller.seeing_as(&found.extension.owner),
            wait,
            delivered: None,
            said: Vec::new(),
            steps: None,
            fuel_left: 0,
        }
    }

    /// The same for the event that somebody got a delivery.
    pub(super) const fn of(mut self, delivered: Option<Recipient>) -> Self {
        self.delivered = delivered;
        self
    }

    pub(super) fn trace(&mut self, wanted: bool) {
        self.steps = wanted.then(Vec::new);
    }

    pub(super) fn take_steps(&mut self) -> Vec<TracedStep> {
        self.steps.take().unwrap_or_default()
    }

    /// Notes a step, if somebody wants to know.
    fn note(
        &mut self,
        call: impl FnOnce() -> String,
        outcome: &Result<Outcome, Refusal>,
        before: usize,
    ) {
        if let Some(steps) = &mut self.steps {
            let changes = trace::changes(self.host_resources.spaces, before);
            steps.push(TracedStep::new(call(), outcome, changes, self.fuel_left));
        }
    }

    fn carry_out(&mut self, space: &SpaceName, operation: &Operation) -> Result<Outcome, Refusal> {
        self.check(space, operation)?;
        let spaces = &mut *self.host_resources.spaces;
        match spaces.apply(self.actor, space, operation, None)? {
            Applied::Outcome(outcome) => Ok(outcome),
            // Without a waiter's name nothing waits.
            Applied::Waiting => Ok(Outcome::Match(None)),
        }
    }

    /// What it logged.
    pub(super) fn take_said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// Whether the owner may do that in a space.
    ///
    /// Where policies are asked, an extension would be a way past them; so there only those
    /// act that an administrator owns, or attached itself. Policies read, and are not judged.
    fn check(&self, space: &SpaceName, operation: &Operation) -> Result<(), Refusal> {
        let HostResources { spaces, access, .. } = &self.host_resources;
        if !spaces.contains(space) {
            return Ok(());
        }
        access.check(&self.owner, space, operation)?;
        self.pass_policies(space, operation)
    }

    /// Whether no policy is asked about this, or this extension need not be.
    fn pass_policies(&self, space: &SpaceName, operation: &Operation) -> Result<(), Refusal> {
        let HostResources {
            access, registry, ..
        } = &self.host_resources;
        let is_trusted = || {
            access.may(&self.owner, space, Right::Administer)
                || registry.attached_in(space).contains(&self.found.hash)
        };
        if registry.judges(space, operation).is_empty() || is_trusted() {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }
}

impl Host for HostContext<'_> {
    fn apply(&mut self, space: &SpaceName, operation: Operation) -> Result<Outcome, Refusal> {
        let before = self.host_resources.spaces.happenings();
        let outcome = self.carry_out(space, &operation);
        self.note(|| trace::written(space, &operation), &outcome, before);
        outcome
    }

    fn note_fuel(&mut self, left: u64) {
        self.fuel_left = left;
    }

    fn examined(&self) -> u64 {
        self.host_resources.spaces.examined()
    }

    fn wait(
        &mut self,
        space: &SpaceName,
        template: Template,
        take: bool,
    ) -> Result<Option<Tuple>, Refusal> {
        let within_ms = self.wait.and_then(|wait| wait.within_ms);
        let operation = if take {
            Operation::In {
                template,
                within_ms,
            }
        } else {
            Operation::Rd {
                template,
                within_ms,
            }
        };
        let wait = self.wait;
        let actor = match &wait {
            // It is the client who gets the tuple and the client who waits for it.
            Some(wait) => {
                if self.host_resources.spaces.contains(space) {
                    self.host_resources
                        .access
                        .check(&wait.client, space, &operation)?;
                    self.pass_policies(space, &operation)?;
                }
                self.actor.seeing_as(&wait.client.0)
            }
            None => self.actor,
        };
        let before = self.host_resources.spaces.happenings();
        let id = wait.map(|wait| wait.id);
        let applied = self
            .host_resources
            .spaces
            .apply(actor, space, &operation, id);
        let outcome = applied.map(|applied| match applied {
            Applied::Outcome(outcome) => outcome,
            Applied::Waiting => Outcome::Match(None),
        });
        self.note(|| trace::written(space, &operation), &outcome, before);
        match outcome? {
            Outcome::Match(found) => Ok(found),
            _ => Ok(None),
        }
    }

    fn wake(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal> {
        let like = Operation::Out {
            tuple: tuple.clone(),
            lease: bezant_tuplespace::Lease::Forever,
        };
        self.check(space, &like)?;
        let woken = self.host_resources.spaces.deliver_to_waiters(space, tuple);
        let before = self.host_resources.spaces.happenings();
        let delivered = woken.map(Outcome::Count);
        self.note(|| format!("wake {space} {tuple}"), &delivered, before);
        woken
    }

    fn hold_back(&mut self) -> Result<bool, Refusal> {
        let Some(Recipient { client, waiter }) = self.delivered else {
            return Ok(false);
        };
        // It changes what an operation of this client means.
        let Found {
            hash, subscription, ..
        } = self.found;
        let registry = self.host_resources.registry;
        if !registry.applies(&client.0, &hash)
            && !registry.attached_in(&subscription.space).contains(&hash)
        {
            return Err(Refusal::Forbidden);
        }
        Ok(self.host_resources.spaces.revoke_delivery(waiter))
    }

    fn log(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }
}
