//! What a call of an extension costs in one process, without agreement: the paper's counter
//! and queue beside the plain operations that they stand for.
//!
//! A call is what the service does for it: find the extension, instantiate it, run it on the
//! spaces under a savepoint, commit. `cargo bench -p bezant-extensions` measures;
//! docs/performance.md has the figures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark may stop"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use bezant_extensions::{
    CallReport, Conclusion, Engine, Registry,
    recipes::{self, Recipe},
};
use bezant_tuplespace::{Lease, Operation, Outcome, SpaceName, Spaces};
use common::{HostContext, invocation, name, plain, spaces, template, tuple};
use criterion::{Criterion, criterion_group, criterion_main};

const ME: [u8; 32] = [0xab; 32];

struct Service {
    here: SpaceName,
    spaces: Spaces,
    registry: Registry,
    engine: Engine,
}

impl Service {
    fn with(recipe: fn(&SpaceName) -> Recipe) -> Self {
        let Recipe { manifest, module } = recipe(&name("s"));
        let mut registry = Registry::new();
        registry.register(ME, manifest, module.to_vec()).unwrap();
        Self {
            here: name("s"),
            spaces: spaces(&["s"]),
            registry,
            engine: Engine::new(),
        }
    }

    /// The extension instead of the operation.
    fn call(&mut self, operation: &Operation) -> Outcome {
        let found = self.registry.find(&ME, &self.here, operation).unwrap();
        let compiled = self.engine.compiled(found.extension).unwrap();
        let _savepoint = self.spaces.savepoint();
        let mut host_context = HostContext {
            spaces: &mut self.spaces,
            log: Vec::new(),
        };
        let report = self.engine.call(
            &compiled,
            &found.extension.manifest,
            &found.subscription.entry,
            invocation(&self.here, operation),
            &mut host_context,
        );
        let CallReport { result, .. } = report.unwrap();
        self.spaces.commit();
        match result.unwrap() {
            Conclusion::Answered(outcome) => outcome,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// The operation itself, likewise all or nothing.
    fn plain(&mut self, operation: &Operation) -> Outcome {
        let _savepoint = self.spaces.savepoint();
        let outcome = plain(&mut self.spaces, "s", operation);
        self.spaces.commit();
        outcome
    }
}

fn inp(text: &str) -> Operation {
    Operation::Inp {
        template: template(text),
    }
}

fn out(text: &str) -> Operation {
    Operation::Out {
        tuple: tuple(text),
        lease: Lease::Forever,
    }
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    let mut counter = Service::with(recipes::counter);
    let increment = inp("(\"increment\", \"hits\", 1)");
    group.bench_function("counter", |bencher| {
        bencher.iter(|| black_box(counter.call(&increment)));
    });
    let mut queue = Service::with(recipes::queue);
    let (element, head) = (out("(\"element\", 1, 0x\"00\")"), inp("(\"head\")"));
    group.bench_function("queue-out-and-head", |bencher| {
        bencher.iter(|| {
            queue.plain(&element);
            black_box(queue.call(&head))
        });
    });
    // The same number of operations on the spaces as the counter needs, and as the queue.
    let mut bare = Service::with(recipes::counter);
    let (here, next) = (inp("(\"count\", ?int)"), out("(\"count\", 1)"));
    bare.plain(&next);
    group.bench_function("plain-inp-and-out", |bencher| {
        bencher.iter(|| {
            black_box(bare.plain(&here));
            bare.plain(&next);
        });
    });
}

criterion_group!(call, calls);
criterion_main!(call);
