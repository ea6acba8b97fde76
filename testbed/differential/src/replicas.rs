//! The same module on several replicas.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bezant_manifest::{ABI_VERSION, Access, Capability, Manifest, Subscription, Trigger};
use bezant_extensions::{
    CallReport, Cause, Engine, EngineVersion, Host, Invocation, abi, check, check_extension,
    content_hash,
};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Actor, Applied, Lease, Limits, Operation, OperationKind, Outcome, Parts, Refusal, SpaceName,
    Spaces, WaiterId,
};

use crate::{Wanted, generate};

/// Longest that a check may take, ten times what is promised: machines may be busy.
const LONGEST_CHECK: Duration = Duration::from_millis(500);

const WAITER: WaiterId = WaiterId {
    owner: 1,
    number: 1,
};

/// The client whose operation it is, as far as spaces are concerned.
const CALLER: Actor<'_> = Actor {
    session: Some(WAITER.owner),
    ..Actor::SERVICE
};

/// A host over spaces.
struct HostContext<'a>(&'a mut Spaces);

impl Host for HostContext<'_> {
    fn apply(&mut self, space: &SpaceName, operation: Operation) -> Result<Outcome, Refusal> {
        match self.0.apply(CALLER, space, &operation, None)? {
            Applied::Outcome(outcome) => Ok(outcome),
            Applied::Waiting => Ok(Outcome::Match(None)),
        }
    }

    fn examined(&self) -> u64 {
        self.0.examined()
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
        match self.0.apply(CALLER, space, &operation, Some(WAITER))? {
            Applied::Outcome(Outcome::Match(found)) => Ok(found),
            _ => Ok(None),
        }
    }

    fn wake(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal> {
        self.0.deliver_to_waiters(space, tuple)
    }

    fn log(&mut self, _text: &str) {}
}

fn content(spaces: &Spaces) -> Vec<u8> {
    let mut parts = Parts::default();
    spaces.encode_into(&mut parts);
    parts.content()
}

/// Spaces with the same content, as a replica has that was given the state.
fn restored(content: &[u8]) -> Result<Spaces, String> {
    let mut reader = bezant_tuple::codec::Reader::new(content);
    Spaces::decode(Limits::DEFAULT, 0, |_| None, &mut reader).map_err(|bad| bad.to_string())
}

fn call(
    engine: &mut Engine,
    spaces: &mut Spaces,
    manifest: &Manifest,
    module: &[u8],
    operation: &Operation,
) -> Result<CallReport, String> {
    let compiled = engine
        .compile(module)
        .map_err(|rejection| rejection.to_string())?;
    let Some(subscription) = manifest.subscriptions.first() else {
        return Err("a manifest without a subscription".to_owned());
    };
    let invocation = Invocation {
        space: &subscription.space,
        cause: Cause::Operation(operation),
        invoker: [7; 32],
        now_ms: 1_700_000_000_000,
        sequence: 42,
        engine: EngineVersion::FIRST,
    };
    let before = spaces.savepoint();
    let report = engine
        .call(
            &compiled,
            manifest,
            &subscription.entry,
            invocation,
            &mut HostContext(spaces),
        )
        .map_err(|exhausted| exhausted.to_string())?;
    if report.result.is_err() {
        spaces.rollback(before);
    }
    // Whoever waits is gone before the next call: the next one may wait, too.
    spaces.cancel(WAITER);
    spaces.commit();
    spaces.take_deliveries();
    Ok(report)
}

/// The shape of an extension: every host call it may import, and what it must export.
fn shape() -> Vec<u8> {
    let imports: String = abi::TABLE
        .iter()
        .map(|call| {
            let parameters = call.parameters.iter();
            let parameters: String = parameters
                .map(|(_, kind)| format!(" {}", kind.wasm()))
                .collect();
            let result = call
                .result
                .map_or(String::new(), |kind| format!("(result {})", kind.wasm()));
            format!(
                "(import \"bezant1\" \"{}\" (func (param{parameters}) {result}))",
                call.name
            )
        })
        .collect();
    let text = format!(
        "(module {imports} (memory (export \"memory\") 1 4) (func (export \"run\") unreachable))"
    );
    wat::parse_str(&text).unwrap_or_default()
}

fn manifest(space: &SpaceName, template: &Template) -> Manifest {
    Manifest {
        name: "generated".to_owned(),
        version: 1,
        abi: (ABI_VERSION, ABI_VERSION),
        subscriptions: vec![Subscription {
            space: space.clone(),
            on: Trigger::Operations(OperationKind::ALL.to_vec()),
            template: template.clone(),
            entry: "run".to_owned(),
        }],
        capabilities: vec![Capability {
            space: space.clone(),
            access: Access::ALL,
        }],
        fuel: 100_000,
        memory_pages: 16,
    }
}

/// Runs so many modules.
///
/// # Errors
/// The first difference.
pub(crate) fn run(wanted: &Wanted) -> Result<(), String> {
    let shape = shape();
    let space = SpaceName::new("here").map_err(|error| error.to_string())?;
    let template: Template = "(_)".parse().map_err(|_| "a template")?;
    let manifest = manifest(&space, &template);
    let operation = Operation::Rd {
        template,
        within_ms: None,
    };
    let mut spaces = Spaces::new(Limits::DEFAULT);
    spaces
        .create(&space)
        .map_err(|refusal| refusal.to_string())?;
    for text in ["(1)", "(\"a\", 2)", "()"] {
        let tuple: Tuple = text.parse().map_err(|_| "a tuple")?;
        let lease = Lease::Forever;
        let put = Operation::Out { tuple, lease };
        spaces
            .apply(Actor::SERVICE, &space, &put, None)
            .map_err(|refusal| refusal.to_string())?;
    }
    let mut old = Engine::new();
    let (mut accepted, mut rejected, mut answered, mut host_calls) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut rules: BTreeMap<String, u64> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut note = |text: &str| {
        for byte in text.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for number in 0..wanted.modules {
        let mut dice = generate::dice(wanted.seed, number);
        let Some(module) = generate::extension(&shape, &mut dice) else {
            continue;
        };
        let began = Instant::now();
        let verdict = check_extension(&manifest, &module);
        let took = began.elapsed();
        longest = longest.max(took);
        if took > LONGEST_CHECK {
            return Err(format!("module {number}: its check took {took:?}"));
        }
        if verdict != check_extension(&manifest, &module) {
            return Err(format!("module {number}: two checks say two things"));
        }
        let checked = match verdict {
            Ok(checked) => checked,
            Err(rejected_for) => {
                rejected += 1;
                *rules
                    .entry(format!("{:?}", rejected_for.rejection.rule))
                    .or_default() += 1;
                note(&rejected_for.rejection.to_string());
                continue;
            }
        };
        check(&module).map_err(|other| format!("module {number}: alone {other}"))?;
        accepted += 1;
        host_calls += u64::from(!checked.imports.is_empty());
        let before = content(&spaces);
        let mut twin = restored(&before)?;
        let report = call(&mut old, &mut spaces, &manifest, &module, &operation)?;
        let again = call(
            &mut Engine::new(),
            &mut twin,
            &manifest,
            &module,
            &operation,
        )?;
        if report != again {
            return Err(format!(
                "module {number}: {report:?} where all ran before, {again:?} in a new engine"
            ));
        }
        if content(&spaces) != content(&twin) {
            return Err(format!("module {number}: the spaces differ afterwards"));
        }
        answered += u64::from(report.result.is_ok());
        note(&format!("{report:?} {}", content_hash(&manifest, &module)));
        // Or they would fill up.
        if number % 64 == 63 {
            spaces = restored(&before)?;
        }
    }
    println!(
        "{} modules, seed {}: {accepted} accepted ({host_calls} with host calls, {answered} answered), {rejected} rejected {rules:?}, longest check {longest:?}, digest {digest:016x}",
        wanted.modules, wanted.seed
    );
    Ok(())
}
