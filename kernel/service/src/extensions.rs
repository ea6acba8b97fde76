//! Extensions in the service: registration, dispatch, and their hands on the spaces.
//!
//! An operation that an extension of its client (or one it acknowledged)
//! subscribes to is answered by that extension instead. Whatever the extension
//! did is undone by the caller if it fails: a failed extension never falls back
//! to the plain operation (extensions.md, "Failure").

use std::collections::BTreeMap;

use bezant_api::{ExtensionHash, FailureCode, Installed, Manifest, Refused};
use bezant_bft::ids::ClientId;
use bezant_extensions::{CallReport, Engine, Extension, Host, Invocation, Registry};
use bezant_tuple::{Field, Template, Tuple, Value};
use bezant_tuplespace::{Applied, Lease, Operation, Outcome, Refusal, SpaceName, Spaces};

use crate::{At, access::Access};

/// Most lines extensions may leave for the log between two collections; more are dropped.
const MAX_LOG_LINES: usize = 256;

/// The space in which every installed extension is an object that clients can read.
const OBJECTS: &str = "$extensions";

/// The extensions of one replica's service.
#[derive(Debug)]
pub(crate) struct Extensions {
    registry: Registry,
    engine: Engine,
    logs: Vec<String>,
    /// Why this replica cannot go on, once it cannot.
    exhausted: Option<String>,
    tallies: BTreeMap<ExtensionHash, Tally>,
}

/// What an extension did at this replica since it started; never part of the agreed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// Those of them that failed, or refused.
    pub failures: u64,
    /// Fuel burnt in all of them.
    pub fuel: u64,
    /// Why the last one failed that did.
    pub last_failure: Option<FailureCode>,
}

/// An installed extension and what it did here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Which.
    pub hash: ExtensionHash,
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version.
    pub version: u32,
    /// What it did.
    pub tally: Tally,
}

impl Extensions {
    pub(crate) fn new() -> Self {
        Self {
            registry: Registry::new(),
            engine: Engine::new(),
            logs: Vec::new(),
            exhausted: None,
            tallies: BTreeMap::new(),
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
        self.exhausted.as_deref()
    }

    pub(crate) fn take_logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logs)
    }

    /// Installs an extension and makes its object.
    pub(crate) fn register(
        &mut self,
        spaces: &mut Spaces,
        at: At,
        manifest: Manifest,
        module: Vec<u8>,
    ) -> Result<ExtensionHash, Refused> {
        let (name, version) = (manifest.name.clone(), manifest.version);
        let before = self.registry.len();
        let hash = self.registry.register(at.client.0, manifest, module)?;
        if self.registry.len() > before
            && let Ok(objects) = SpaceName::reserved(OBJECTS)
        {
            let object = Tuple::new(vec![
                Value::from("extension"),
                Value::from(name),
                Value::from(version),
                Value::from(hash.0.to_vec()),
                Value::from(at.client.0.to_vec()),
            ]);
            // The object is for people to read; the registry is what counts. Spaces
            // without room for it must not undo a registration that stands.
            if !spaces.contains(&objects) {
                let _no_room = spaces.create(&objects);
            }
            // It counts against nobody.
            spaces.charge_to(None);
            if let Ok(tuple) = object {
                let _no_room = spaces.apply(
                    &objects,
                    &Operation::Out {
                        tuple,
                        lease: Lease::Forever,
                    },
                    None,
                );
            }
        }
        Ok(hash)
    }

    pub(crate) fn acknowledge(
        &mut self,
        client: ClientId,
        hash: ExtensionHash,
    ) -> Result<(), Refused> {
        self.registry.acknowledge(client.0, hash)
    }

    /// Lets an extension of another client not apply to this one any more; whether it did.
    pub(crate) fn withdraw(
        &mut self,
        client: ClientId,
        hash: ExtensionHash,
    ) -> Result<bool, Refused> {
        self.registry.withdraw(client.0, hash)
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
        self.tallies.remove(&hash);
        let fields = vec![
            Field::Exact(Value::from("extension")),
            Field::Any,
            Field::Any,
            Field::Exact(Value::from(hash.0.to_vec())),
            Field::Any,
        ];
        if let (Ok(objects), Ok(template)) = (SpaceName::reserved(OBJECTS), Template::new(fields)) {
            // There is none if there was no room for it.
            let _object = spaces.apply(&objects, &Operation::Inp { template }, None);
        }
        Ok(())
    }

    /// All extensions, as they are told to a client.
    pub(crate) fn installed(&self, client: &ClientId) -> Vec<Installed> {
        let told = self
            .ordered()
            .into_iter()
            .map(|(hash, extension)| Installed {
                hash: *hash,
                owner: extension.owner,
                name: extension.manifest.name.clone(),
                version: extension.manifest.version,
                applies: self.registry.applies(&client.0, hash),
            });
        told.collect()
    }

    /// All extensions with what they did here, in the order of their registration.
    pub(crate) fn tallied(&self) -> Vec<Tallied> {
        let told = self.ordered().into_iter().map(|(hash, extension)| Tallied {
            hash: *hash,
            name: extension.manifest.name.clone(),
            version: extension.manifest.version,
            tally: self.tallies.get(hash).copied().unwrap_or_default(),
        });
        told.collect()
    }

    fn ordered(&self) -> Vec<(&ExtensionHash, &Extension)> {
        let mut all: Vec<(&ExtensionHash, &Extension)> = self.registry.iter().collect();
        all.sort_unstable_by_key(|(_, extension)| extension.order);
        all
    }

    /// Runs the extension that applies to this operation instead of it, if one does.
    /// After an error the caller undoes everything.
    pub(crate) fn run(
        &mut self,
        (spaces, access): (&mut Spaces, &Access),
        at: At,
        space: &SpaceName,
        operation: &Operation,
    ) -> Option<Result<Outcome, Refused>> {
        let found = self.registry.find(&at.client.0, space, operation)?;
        let compiled = match self.engine.compiled(found.extension) {
            Ok(compiled) => compiled,
            Err(rejection) => return Some(Err(rejection.into())),
        };
        let invocation = Invocation {
            space,
            operation,
            invoker: at.client.0,
            now_ms: at.time.0,
            sequence: at.position.0,
        };
        let mut hands = Hands {
            spaces,
            access,
            owner: ClientId(found.extension.owner),
            logs: &mut self.logs,
        };
        let manifest = &found.extension.manifest;
        let entry = &found.subscription.entry;
        hands.spaces.look_as(Some(found.extension.owner));
        let report = self
            .engine
            .call(&compiled, manifest, entry, invocation, &mut hands);
        hands.spaces.look_as(Some(at.client.0));
        let report = match report {
            Ok(report) => report,
            Err(exhausted) => {
                // This replica's own fault: it must stop before it answers otherwise than the others.
                self.exhausted = Some(exhausted.to_string());
                return Some(Err(Refused::NoSuchExtension));
            }
        };
        let tally = self.tallies.entry(found.hash).or_default();
        tally.note(&report);
        let failure = found.extension.failure(&report);
        Some(
            report
                .result
                .map_err(|_| failure.map_or(Refused::NoSuchExtension, Refused::Extension)),
        )
    }
}

impl Tally {
    const fn note(&mut self, report: &CallReport) {
        self.calls = self.calls.saturating_add(1);
        self.fuel = self.fuel.saturating_add(report.fuel_used);
        if let Err(code) = report.result {
            self.failures = self.failures.saturating_add(1);
            self.last_failure = Some(code);
        }
    }
}

/// Who removes an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remover {
    pub(crate) client: ClientId,
    pub(crate) is_operator: bool,
}

/// What a running extension can do here.
struct Hands<'a> {
    spaces: &'a mut Spaces,
    access: &'a Access,
    /// By whose rights it acts, and with whose eyes: whoever calls it has lent it none.
    owner: ClientId,
    logs: &'a mut Vec<String>,
}

impl Host for Hands<'_> {
    fn apply(&mut self, space: &SpaceName, operation: Operation) -> Result<Outcome, Refusal> {
        if self.spaces.contains(space) {
            self.access.check(&self.owner, space, &operation)?;
        }
        match self.spaces.apply(space, &operation, None)? {
            Applied::Outcome(outcome) => Ok(outcome),
            // Without a waiter's name nothing waits.
            Applied::Waiting => Ok(Outcome::Match(None)),
        }
    }

    fn log(&mut self, text: &str) {
        if self.logs.len() < MAX_LOG_LINES {
            self.logs.push(text.to_owned());
        }
    }
}
