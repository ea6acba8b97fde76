//! Running extensions: compiled modules, and one call in a fresh instance.
//!
//! Nothing of an instance outlives its call, so a call depends on nothing but the
//! module, the manifest, the invocation and what the host answers; its result and
//! the fuel it burns are the same on every replica. [`Compiled`] modules are a
//! local cache and no part of the agreed state.

use std::collections::BTreeMap;
use std::sync::Arc;

use bezant_manifest::{FailureCode, Manifest, Rejection, Rule, limits::MAX_FUEL};
use wasmi::errors::{ErrorKind, MemoryError};
use wasmi::{Error, Extern, Instance, Module, Store, TrapCode};

use crate::abi;
use crate::calls::{State, Stop};
use crate::extension::Extension;
use crate::host::{Cause, Host, Invocation};
use crate::limits::{MAX_EVENT_FUEL, MAX_EXTENSIONS};
use crate::report::CallReport;
use crate::switches::configuration;

/// The interpreter, with the modules it has compiled.
#[derive(Debug)]
pub struct Engine {
    wasmi: wasmi::Engine,
    /// By the digests of their code. All versions so far have the same interpreter with the
    /// same switches, and prices are no part of what is compiled.
    compiled: BTreeMap<[u8; 32], Arc<Compiled>>,
}

/// A module ready to be instantiated.
#[derive(Debug)]
pub struct Compiled {
    module: Module,
    /// For each import of the module, the place of its function in the table.
    imports: Vec<usize>,
}

/// The machine could not provide the memory that the agreed limits promise.
///
/// The call's result would differ from that on other replicas: the replica must
/// stop, as it does when any other invariant of its own breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl core::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(
            "no memory left for an extension within its agreed cap; this replica must stop and be given more",
        )
    }
}

impl core::error::Error for Exhausted {}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine with the agreed switches and an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wasmi: wasmi::Engine::new(&configuration()),
            compiled: BTreeMap::new(),
        }
    }

    /// Compiles a module that has passed [`check`](crate::check()).
    ///
    /// # Errors
    /// [`Rule::Valid`] or [`Rule::Imports`] if it has not.
    pub fn compile(&self, module: &[u8]) -> Result<Compiled, Rejection> {
        let rejection = |rule| Rejection {
            rule,
            function: None,
            offset: None,
        };
        let module = Module::new(&self.wasmi, module).map_err(|_| rejection(Rule::Valid))?;
        let imports = module
            .imports()
            .map(|import| {
                Some(import.name())
                    .filter(|_| import.module() == abi::MODULE)
                    .and_then(abi::find)
                    .ok_or_else(|| rejection(Rule::Imports))
            })
            .collect::<Result<_, _>>()?;
        Ok(Compiled { module, imports })
    }

    /// The compiled form of an extension's module, compiled now if it has not been.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); not for an extension out of a
    /// [`Registry`](crate::Registry), whose module has passed the check.
    pub fn compiled(&mut self, extension: &Extension) -> Result<Arc<Compiled>, Rejection> {
        let key = extension.code;
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(self.compile(&extension.module)?);
        // The registry holds no more; a cache that does has outlived removals.
        if self.compiled.len() >= MAX_EXTENSIONS {
            self.compiled.clear();
        }
        self.compiled.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Runs `entry` of an extension for what the invocation tells.
    ///
    /// The manifest gives the fuel (never more than [`MAX_FUEL`], or [`MAX_EVENT_FUEL`]), the cap
    /// on memory and the capabilities. The host is used only during the call.
    ///
    /// # Errors
    /// [`Exhausted`] when this machine, not the extension, is at fault.
    ///
    /// # Panics
    /// If `compiled` comes from another engine.
    pub fn call(
        &self,
        compiled: &Compiled,
        manifest: &Manifest,
        entry: &str,
        invocation: Invocation<'_>,
        host: &mut dyn Host,
    ) -> Result<CallReport, Exhausted> {
        let most = match invocation.cause {
            Cause::Event(..) => MAX_EVENT_FUEL,
            Cause::Operation(_) | Cause::Judged(_) => MAX_FUEL,
        };
        let supply = manifest.fuel.min(most);
        let mut store = Store::new(&self.wasmi, State::new(host, manifest, invocation));
        store.limiter(|state| &mut state.cap);
        let ended = run(&mut store, compiled, entry, supply);
        let fuel_used = supply.saturating_sub(store.get_fuel().unwrap_or(0));
        if store.data().cap.exhausted || ended.as_ref().is_err_and(is_exhausted) {
            return Err(Exhausted);
        }
        let result = ended
            .map_err(|error| failure(&error))
            .and_then(|()| store.data_mut().conclusion());
        Ok(CallReport { result, fuel_used })
    }
}

/// Instantiates and calls; the answer is in the store's state.
fn run(
    store: &mut Store<State<'_>>,
    compiled: &Compiled,
    entry: &str,
    supply: u64,
) -> Result<(), Error> {
    store.set_fuel(supply)?;
    let instance = instantiate(store, compiled)?;
    store.data_mut().memory = instance.get_memory(&*store, "memory");
    instance
        .get_typed_func::<(), ()>(&*store, entry)
        .map_err(|_| start_failed())?
        .call(store, ())
}

/// Makes an instance. Only the functions it imports are made known to the store,
/// which is far cheaper than a linker over the whole table for each call.
fn instantiate(store: &mut Store<State<'_>>, compiled: &Compiled) -> Result<Instance, Error> {
    let imports = compiled
        .imports
        .iter()
        .map(|place| abi::link(*place, store).map(Extern::Func))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(start_failed)?;
    Instance::new(&mut *store, &compiled.module, &imports).map_err(|error| {
        if is_exhausted(&error) {
            error
        } else {
            start_failed()
        }
    })
}

fn start_failed() -> Error {
    Error::host(Stop(FailureCode::Start))
}

/// Whether it was the machine that failed.
fn is_exhausted(error: &Error) -> bool {
    matches!(error.as_trap_code(), Some(TrapCode::OutOfSystemMemory))
        || matches!(
            error.kind(),
            ErrorKind::Memory(MemoryError::OutOfSystemMemory)
        )
}

/// Which failure ended the guest.
fn failure(error: &Error) -> FailureCode {
    if let Some(Stop(code)) = error.downcast_ref::<Stop>() {
        return *code;
    }
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => FailureCode::OutOfFuel,
        Some(TrapCode::StackOverflow) => FailureCode::Limit,
        _ => FailureCode::Trap,
    }
}
