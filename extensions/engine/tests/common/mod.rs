//! A service in miniature: spaces, a registry and the engine, with failures undone.
#![allow(dead_code, reason = "each test uses its part")]

use bezant_extensions::{CallReport, Cause, Conclusion, Engine, EngineVersion, Host, Invocation};
use bezant_manifest::{Access, Capability, FailureCode, Manifest, Subscription, Trigger};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Actor, Applied, Lease, Limits, Operation, OperationKind, Outcome, Parts, Refusal, SpaceName,
    Spaces, WaiterId,
};

/// Whoever waits here.
pub(crate) const WAITER: WaiterId = WaiterId {
    owner: 1,
    number: 1,
};

/// A host over real spaces.
pub(crate) struct HostContext<'a> {
    pub(crate) spaces: &'a mut Spaces,
    pub(crate) log: Vec<String>,
}

impl Host for HostContext<'_> {
    fn apply(&mut self, space: &SpaceName, operation: Operation) -> Result<Outcome, Refusal> {
        match self.spaces.apply(Actor::SERVICE, space, &operation, None)? {
            Applied::Outcome(outcome) => Ok(outcome),
            Applied::Waiting => panic!("an extension never waits"),
        }
    }

    fn examined(&self) -> u64 {
        self.spaces.examined()
    }

    fn wait(
        &mut self,
        space: &SpaceName,
        template: Template,
        take: bool,
    ) -> Result<Option<Tuple>, Refusal> {
        let within_ms = None;
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
        match self
            .spaces
            .apply(Actor::SERVICE, space, &operation, Some(WAITER))?
        {
            Applied::Outcome(Outcome::Match(found)) => Ok(found),
            _ => Ok(None),
        }
    }

    fn wake(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal> {
        self.spaces.deliver_to_waiters(space, tuple)
    }

    fn log(&mut self, text: &str) {
        self.log.push(text.to_owned());
    }
}

pub(crate) fn name(text: &str) -> SpaceName {
    SpaceName::new(text).unwrap()
}

pub(crate) fn tuple(text: &str) -> Tuple {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn template(text: &str) -> Template {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn spaces(names: &[&str]) -> Spaces {
    let mut spaces = Spaces::new(Limits::default());
    for space in names {
        spaces.create(&name(space)).unwrap();
    }
    spaces
}

pub(crate) fn plain(spaces: &mut Spaces, space: &str, operation: &Operation) -> Outcome {
    match spaces
        .apply(Actor::SERVICE, &name(space), operation, None)
        .unwrap()
    {
        Applied::Outcome(outcome) => outcome,
        Applied::Waiting => panic!("no waiter was given"),
    }
}

/// The whole content of the spaces, as replicas compare it.
pub(crate) fn content(spaces: &Spaces) -> Vec<u8> {
    let mut parts = Parts::default();
    spaces.encode_into(&mut parts);
    parts.content()
}

/// A manifest for entry point `run`: all kinds of operation in space `here`, all rights
/// there, reading only in `other`.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "test".into(),
        version: 1,
        abi: (1, 1),
        subscriptions: vec![Subscription {
            space: name("here"),
            on: Trigger::Operations(OperationKind::ALL.to_vec()),
            template: template("(_)"),
            entry: "run".into(),
        }],
        capabilities: vec![
            Capability {
                space: name("here"),
                access: Access::ALL,
            },
            Capability {
                space: name("other"),
                access: Access::READ,
            },
        ],
        fuel: 100_000,
        memory_pages: 4,
    }
}

/// What a call answered, or why it failed.
pub(crate) fn answered(report: &CallReport) -> Result<Outcome, FailureCode> {
    match report.result.clone()? {
        Conclusion::Answered(outcome) => Ok(outcome),
        other => panic!("no answer: {other:?}"),
    }
}

/// The operation most tests run instead of.
pub(crate) fn rdp() -> Operation {
    Operation::Rdp {
        template: template("(_)"),
    }
}

pub(crate) fn invocation<'a>(space: &'a SpaceName, operation: &'a Operation) -> Invocation<'a> {
    Invocation {
        space,
        cause: Cause::Operation(operation),
        invoker: [0xab; 32],
        now_ms: 1_700_000_000_123,
        sequence: 42,
        engine: EngineVersion::FIRST,
    }
}

/// Runs entry point `run` of a module in text form over spaces `here` and `other`.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) spaces: Spaces,
    pub(crate) manifest: Manifest,
    pub(crate) log: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            engine: Engine::new(),
            spaces: spaces(&["here", "other"]),
            manifest: manifest(),
            log: Vec::new(),
        }
    }

    pub(crate) fn out(&mut self, text: &str) {
        self.out_leased(text, Lease::Forever);
    }

    pub(crate) fn out_leased(&mut self, text: &str, lease: Lease) {
        let tuple = tuple(text);
        let operation = Operation::Out { tuple, lease };
        plain(&mut self.spaces, "here", &operation);
    }

    /// As the service does it: with a savepoint, to which a failure leads back.
    pub(crate) fn run_instead_of(&mut self, wasm: &[u8], operation: &Operation) -> CallReport {
        let compiled = self.engine.compile(wasm).unwrap();
        let here = name("here");
        let before = self.spaces.savepoint();
        let mut host_context = HostContext {
            spaces: &mut self.spaces,
            log: Vec::new(),
        };
        let report = self
            .engine
            .call(
                &compiled,
                &self.manifest,
                "run",
                invocation(&here, operation),
                &mut host_context,
            )
            .unwrap();
        self.log.append(&mut host_context.log);
        if report.result.is_err() {
            self.spaces.rollback(before);
        } else {
            self.spaces.commit();
        }
        report
    }

    pub(crate) fn run(&mut self, wasm: &[u8]) -> CallReport {
        self.run_instead_of(wasm, &rdp())
    }

    pub(crate) fn failure(&mut self, wasm: &[u8]) -> FailureCode {
        self.run(wasm).result.unwrap_err()
    }
}

/// A module around the body of `run`, with all host calls imported.
pub(crate) fn module(body: &str) -> Vec<u8> {
    module_with(body, "")
}

/// As [`module`], with more in the module: data, functions.
pub(crate) fn module_with(body: &str, more: &str) -> Vec<u8> {
    let imports: String = bezant_extensions::abi::TABLE.iter().map(import).collect();
    wat(&format!(
        r#"(module {imports} (memory (export "memory") 1) {more} (func (export "run") {body}))"#
    ))
}

/// The import of one host call, in text form.
pub(crate) fn import(call: &bezant_extensions::abi::HostCall) -> String {
    let parameters: String = call
        .parameters
        .iter()
        .map(|(_, kind)| format!(" {}", kind.wasm()))
        .collect();
    let result = call
        .result
        .map_or(String::new(), |kind| format!("(result {})", kind.wasm()));
    format!(
        r#"(import "bezant1" "{0}" (func ${0} (param{parameters}) {result}))"#,
        call.name
    )
}

pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Bytes as a WAT string.
pub(crate) fn data(offset: u32, bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const {offset}) "{text}")"#)
}
