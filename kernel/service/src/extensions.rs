//! Runs extensions in the service: in place of operations, as policies, and after events.
//!
//! An operation that an extension of its client (or one it acknowledged) subscribes to is answered
//! by that extension instead. Whatever the extension did is undone by the caller if it fails: a
//! failed extension never falls back to the plain operation (docs/extensions/README.md, "What
//! happens when it runs"). Policies are asked before that; event subscribers run afterwards
//! (`dispatch`). `machine` makes the calls, `host_context` is what an extension can do here.

mod host_context;
mod machine;
mod trace;

use bezant_api::{ExtensionHash, Installed, Manifest, Refused, Right};
use bezant_bft::ids::ClientId;
use bezant_extensions::{
    Cause, Conclusion, EngineVersion, Extension, Found, Invocation, Registry, Schedule, Upgrade,
};
use bezant_tuple::{Field, Template, Tuple, Value};
use bezant_tuplespace::{Actor, Lease, Operation, Outcome, Refusal, SpaceName, Spaces, WaiterId};

pub(crate) use self::host_context::Recipient;
use self::{
    host_context::{HostContext, HostResources, Wait},
    machine::Machine,
};
pub use self::{
    machine::{LogLine, Tallied, Tally},
    trace::{Traced, TracedStep},
};
use crate::{access::Access, at::At};

/// The space in which every installed extension is an object that clients can read.
const OBJECTS: &str = "$extensions";

/// The extensions of one replica's service.
#[derive(Debug)]
pub(crate) struct Extensions {
    registry: Registry,
    machine: Machine,
}

/// What became of an operation that an extension ran instead of.
#[derive(Debug)]
pub(crate) enum Ran {
    Answer(Outcome),
    /// Its client waits.
    Waits,
}

/// An event as an extension is called for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscribed<'a> {
    pub(crate) found: Found<'a>,
    pub(crate) invocation: Invocation<'a>,
    /// Who got a delivery, if that is what happened.
    pub(crate) delivered: Option<Recipient>,
    /// For whom the extension acts.
    pub(crate) actor: Actor<'a>,
}

/// What came of a call for an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaction {
    /// The fuel burnt.
    pub(crate) fuel: u64,
    /// Whether it did not fail.
    pub(crate) succeeded: bool,
}

/// The state on which extensions act, beside the registry that knows them.
#[derive(Debug)]
pub(crate) struct HostState<'a> {
    pub(crate) spaces: &'a mut Spaces,
    pub(crate) access: &'a Access,
}

impl<'a> HostState<'a> {
    /// The same for one call.
    const fn host_resources<'b>(&'b mut self, registry: &'b Registry) -> HostResources<'b> {
        HostResources {
            spaces: self.spaces,
            access: self.access,
            registry,
        }
    }
}

impl Extensions {
    pub(crate) fn new() -> Self {
        Self {
            registry: Registry::new(),
            machine: Machine::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.registry.len()
    }

    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes over the extensions of a restored state. Modules compiled before stay, each
    /// under the digest of its code; the rest are compiled when they are first called.
    pub(crate) fn replace(&mut self, registry: Registry) {
        self.registry = registry;
    }

    pub(crate) fn exhausted(&self) -> Option<&str> {
        self.machine.exhausted()
    }

    pub(crate) fn lines(&self, hash: &ExtensionHash) -> Vec<LogLine> {
        self.machine.lines(hash)
    }

    pub(crate) fn trace(&mut self, wanted: bool) {
        self.machine.trace(wanted);
    }

    pub(crate) fn take_trace(&mut self) -> Vec<Traced> {
        self.machine.take_trace()
    }

    pub(crate) fn take_logs(&mut self) -> Vec<LogLine> {
        self.machine.take_logs()
    }

    /// Installs an extension and makes its object.
    pub(crate) fn register(
        &mut self,
        spaces: &mut Spaces,
        at: At,
        manifest: Manifest,
        module: Vec<u8>,
    ) -> Result<ExtensionHash, Refused> {
        let before = self.registry.len();
        let hash = self.registry.register(at.client.0, manifest, module)?;
        if self.registry.len() > before {
            self.show(spaces, hash);
        }
        Ok(hash)
    }

    /// Installs a new version of an extension.
    pub(crate) fn upgrade(
        &mut self,
        spaces: &mut Spaces,
        client: ClientId,
        upgrade: Upgrade,
    ) -> Result<ExtensionHash, Refused> {
        let before = self.registry.len();
        let hash = self.registry.upgrade(client.0, upgrade)?;
        if self.registry.len() > before {
            self.show(spaces, hash);
        }
        Ok(hash)
    }

    /// Puts the version before back in force.
    pub(crate) fn roll_back(
        &mut self,
        client: ClientId,
        hash: ExtensionHash,
    ) -> Result<ExtensionHash, Refused> {
        Ok(self.registry.roll_back(client.0, hash)?)
    }

    /// Puts into force what is to be so from this proposal on.
    pub(crate) fn begin(&mut self, proposal: u64) {
        self.registry.begin(proposal);
    }

    /// Lets extensions be run by another version of the engine.
    pub(crate) fn switch_engine(&mut self, version: u32, when: Schedule) -> Result<bool, Refused> {
        let version = EngineVersion::known(version.into()).ok_or(Refused::NoSuchEngine)?;
        Ok(self.registry.switch_engine(version, when))
    }

    pub(crate) fn attach(
        &mut self,
        space: &SpaceName,
        hash: ExtensionHash,
    ) -> Result<bool, Refused> {
        Ok(self.registry.attach(space, hash)?)
    }

    pub(crate) fn detach(&mut self, space: &SpaceName, hash: &ExtensionHash) -> bool {
        self.registry.detach(space, hash)
    }

    pub(crate) fn space_removed(&mut self, space: &SpaceName) {
        self.registry.space_removed(space);
    }

    /// Makes the object of an extension.
    fn show(&self, spaces: &mut Spaces, hash: ExtensionHash) {
        if let Some(extension) = self.registry.get(&hash)
            && let Ok(objects) = SpaceName::reserved(OBJECTS)
        {
            let object = Tuple::new(vec![
                Value::from("extension"),
                Value::from(extension.manifest.name.clone()),
                Value::from(extension.manifest.version),
                Value::from(hash.0.to_vec()),
                Value::from(extension.owner.to_vec()),
            ]);
            // The object is for people to read; the registry is what counts. Spaces
            // without room for it must not undo a registration that stands.
            if !spaces.contains(&objects) {
                let _no_room = spaces.create(&objects);
            }
            // It counts against nobody.
            if let Ok(tuple) = object {
                let _no_room = spaces.apply(
                    Actor::SERVICE,
                    &objects,
                    &Operation::Out {
                        tuple,
                        lease: Lease::Forever,
                    },
                    None,
                );
            }
        }
    }

    pub(crate) fn acknowledge(
        &mut self,
        client: ClientId,
        hash: ExtensionHash,
    ) -> Result<(), Refused> {
        Ok(self.registry.acknowledge(client.0, hash)?)
    }

    pub(crate) fn follow(&mut self, client: ClientId, hash: ExtensionHash) -> Result<(), Refused> {
        Ok(self.registry.follow(client.0, hash)?)
    }

    /// Lets an extension of another client not apply to this one any more; whether it did.
    pub(crate) fn withdraw(
        &mut self,
        client: ClientId,
        hash: ExtensionHash,
    ) -> Result<bool, Refused> {
        Ok(self.registry.withdraw(client.0, hash)?)
    }

    /// Removes an extension with its object.
    pub(crate) fn unregister(
        &mut self,
        spaces: &mut Spaces,
        by: Remover,
        hash: ExtensionHash,
    ) -> Result<(), Refused> {
        let extension = self.registry.get(&hash);
        let owner = extension.ok_or(Refused::NoSuchExtension)?.owner;
        if owner != by.client.0 && !by.is_operator {
            return Err(Refusal::Forbidden.into());
        }
        self.registry.remove(hash)?;
        self.machine.forget(&hash);
        let fields = vec![
            Field::Exact(Value::from("extension")),
            Field::Any,
            Field::Any,
            Field::Exact(Value::from(hash.0.to_vec())),
            Field::Any,
        ];
        if let (Ok(objects), Ok(template)) = (SpaceName::reserved(OBJECTS), Template::new(fields)) {
            // There is none if there was no room for it.
            let inp = Operation::Inp { template };
            let _object = spaces.apply(Actor::SERVICE, &objects, &inp, None);
        }
        Ok(())
    }

    /// All extensions, as they are told to a client.
    pub(crate) fn installed(&self, client: &ClientId) -> Vec<Installed> {
        let told = self.ordered().into_iter().map(|(hash, extension)| {
            let version_status = self.registry.version_status(hash);
            Installed {
                hash: *hash,
                owner: extension.owner,
                name: extension.manifest.name.clone(),
                version: extension.manifest.version,
                applies: self.registry.applies(&client.0, hash),
                in_force: version_status.is_some_and(|version_status| version_status.in_force),
                replaces: version_status.and_then(|version_status| version_status.replaces),
                from: version_status.and_then(|version_status| version_status.from),
                attached: self.registry.attached_to(hash),
            }
        });
        told.collect()
    }

    /// All extensions with what they did here, in the order of their registration.
    pub(crate) fn tallied(&self) -> Vec<Tallied> {
        let told = self.ordered().into_iter().map(|(hash, extension)| Tallied {
            hash: *hash,
            name: extension.manifest.name.clone(),
            version: extension.manifest.version,
            tally: self.machine.tally(hash),
        });
        told.collect()
    }

    fn ordered(&self) -> Vec<(&ExtensionHash, &Extension)> {
        let mut all: Vec<(&ExtensionHash, &Extension)> = self.registry.iter().collect();
        all.sort_unstable_by_key(|(_, extension)| extension.order);
        all
    }

    /// The circumstances of a call for an operation.
    const fn invocation<'a>(
        &self,
        at: At,
        space: &'a SpaceName,
        cause: Cause<'a>,
    ) -> Invocation<'a> {
        Invocation {
            space,
            cause,
            invoker: at.client.0,
            now_ms: at.time.0,
            sequence: at.seq_no.0,
            engine: self.registry.engine(),
        }
    }

    /// Asks the policies of a space whether an operation may be.
    pub(crate) fn judge(
        &mut self,
        mut state: HostState<'_>,
        at: At,
        space: &SpaceName,
        operation: &Operation,
    ) -> Result<(), Refused> {
        for found in self.registry.judges(space, operation) {
            let host_resources = state.host_resources(&self.registry);
            let host_context = HostContext::new(host_resources, found, at.actor(), None);
            let invocation = self.invocation(at, space, Cause::Judged(operation));
            let report = self.machine.call(found, invocation, host_context)?;
            let Some(failure) = found.extension.failure(&report) else {
                continue;
            };
            let said_no = matches!(failure.code, bezant_api::FailureCode::Refused(_));
            // One that is broken must not lock the space up for good, nor open it.
            if said_no || !state.access.may(&at.client, space, Right::Administer) {
                return Err(Refused::Extension(failure));
            }
        }
        Ok(())
    }

    /// Runs the extension that applies to this operation instead of it, if one does.
    /// After an error the caller undoes everything.
    pub(crate) fn run(
        &mut self,
        mut state: HostState<'_>,
        at: At,
        waiter: Option<WaiterId>,
        space: &SpaceName,
        operation: &Operation,
    ) -> Option<Result<Ran, Refused>> {
        let found = self.registry.find(&at.client.0, space, operation)?;
        let invocation = self.invocation(at, space, Cause::Operation(operation));
        let wait = waiter.map(|id| Wait {
            id,
            client: at.client,
            within_ms: operation.within_ms(),
        });
        let host_resources = state.host_resources(&self.registry);
        let host_context = HostContext::new(host_resources, found, at.actor(), wait);
        let report = match self.machine.call(found, invocation, host_context) {
            Ok(report) => report,
            Err(refused) => return Some(Err(refused)),
        };
        if let Some(failure) = found.extension.failure(&report) {
            return Some(Err(Refused::Extension(failure)));
        }
        Some(match report.result {
            Ok(Conclusion::Answered(outcome)) => Ok(Ran::Answer(outcome)),
            Ok(Conclusion::Waiting) => Ok(Ran::Waits),
            Ok(Conclusion::Done) | Err(_) => Err(Refused::NoSuchExtension),
        })
    }

    /// Lets an extension deal with an event. After a failure the caller undoes everything.
    pub(crate) fn dispatch_events(
        registry: &Registry,
        machine: &mut Machine,
        mut state: HostState<'_>,
        subscribed: Subscribed<'_>,
    ) -> Reaction {
        let Subscribed {
            found,
            invocation,
            delivered,
            actor,
        } = subscribed;
        let host_resources = state.host_resources(registry);
        let host_context = HostContext::new(host_resources, found, actor, None).of(delivered);
        let report = machine.call(found, invocation, host_context);
        Reaction {
            fuel: report.as_ref().map_or(0, |report| report.fuel_used),
            succeeded: report.is_ok_and(|report| report.result.is_ok()),
        }
    }

    /// Which extensions there are, and what makes their calls.
    pub(crate) const fn parts(&mut self) -> (&Registry, &mut Machine) {
        (&self.registry, &mut self.machine)
    }
}

/// Who removes an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remover {
    pub(crate) client: ClientId,
    pub(crate) is_operator: bool,
}
