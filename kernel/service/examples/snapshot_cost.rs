//! What a checkpoint's snapshot costs: `cargo run --release -p bezant-kernel --example
//! snapshot_cost`. The first one encodes everything, the next ones what changed.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "an example may look at the clock and stop"
)]

use std::time::{Duration, Instant};

use bezant_api::Genesis;
use bezant_bft::service::Service;
use bezant_kernel::Kernel;
use bezant_tuple::{
    Tuple, Value,
    codec::{put_bytes, put_varint},
};
use bezant_tuplespace::{Actor, Lease, Limits, Operation, Parts, SpaceName, Spaces};

fn main() {
    println!("  tuples sessions      bytes  restore    first    again  1 in 16  digest   (ms)");
    for (tuples, sessions) in [
        (0, 0),
        (1_000, 0),
        (100_000, 0),
        (1_000_000, 0),
        (0, 65_536),
    ] {
        measure(tuples, sessions);
    }
}

fn measure(tuples: i64, sessions: u64) {
    let mut kernel = Kernel::new(Genesis {
        keys: Vec::new(),
        open_enrolment: true,
        spaces_on_first_out: true,
        clients: Vec::new(),
        checkpoint_interval: 128,
        salt: [0; 16],
    });
    // The version of the layout is the first byte of any state.
    let version = kernel.snapshot().content().remove(0);
    let state = state(version, tuples, sessions);
    let restore = time(|| kernel.restore(&state).unwrap());
    let first = time(|| drop(kernel.snapshot()));
    let again = time(|| drop(kernel.snapshot()));
    assert!(kernel.snapshot().content() == state);
    // The same with every sixteenth page of the spaces written to since.
    let mut spaces = filled(tuples);
    spaces.encode_into(&mut Parts::default());
    touch(&mut spaces, tuples);
    let mut out = Parts::default();
    let written = time(|| assert!(spaces.encode_into(&mut out) <= tuples.unsigned_abs()));
    let known = kernel.snapshot();
    let digest = time(|| assert_ne!(known.digest().0, [0; 32]));
    println!(
        "{tuples:8} {sessions:8} {:10} {:8.2} {:8.2} {:8.2} {:8.2} {:7.2}",
        state.len(),
        ms(restore),
        ms(first),
        ms(again),
        ms(written),
        ms(digest),
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A state of the kernel, in its encoding: sessions with nothing kept, one full space.
fn state(version: u8, tuples: i64, sessions: u64) -> Vec<u8> {
    // At time 0 nobody is enrolled, expelled or in a group, and one space has a creator and
    // nobody on its lists.
    let mut out = vec![version, 0, 0, 0, 0, 1];
    put_bytes(&mut out, b"jobs");
    put_bytes(&mut out, &[7; 32]);
    out.extend_from_slice(&[0; 4]);
    put_varint(&mut out, sessions);
    put_varint(&mut out, sessions);
    for id in 1..=sessions {
        put_varint(&mut out, id);
        let mut owner = [0; 32];
        owner[..8].copy_from_slice(&(id / 256).to_be_bytes());
        put_bytes(&mut out, &owner);
        for number in [id, 1, 1, 1, 0, 0, 0] {
            put_varint(&mut out, number);
        }
    }
    let mut parts = Parts::default();
    filled(tuples).encode_into(&mut parts);
    out.extend(parts.content());
    out.extend_from_slice(&[0, 0]);
    out
}

fn filled(tuples: i64) -> Spaces {
    let mut spaces = Spaces::new(Limits::DEFAULT);
    let space = SpaceName::new("jobs").unwrap();
    spaces.create(&space).unwrap();
    for number in 0..tuples {
        let fields: Vec<Value> = vec!["job".into(), number.into(), "somebody".into()];
        let tuple = Tuple::new(fields).unwrap();
        let operation = Operation::Out {
            tuple,
            lease: Lease::Forever,
        };
        spaces
            .apply(Actor::SERVICE, &space, &operation, None)
            .unwrap();
    }
    spaces
}

/// Takes one tuple of every sixteenth page.
fn touch(spaces: &mut Spaces, tuples: i64) {
    let space = SpaceName::new("jobs").unwrap();
    for number in (0..tuples).step_by(16 * 256) {
        let template = format!("(_, {number}, _)").parse().unwrap();
        let operation = Operation::Inp { template };
        spaces
            .apply(Actor::SERVICE, &space, &operation, None)
            .unwrap();
    }
}
