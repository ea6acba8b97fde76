//! What clients do with extensions: install them, agree to them, and ask what they answer.

use bezant_api::Call;
use bezant_tuplespace::{Lease, Operation};

use crate::{
    rng::Rng,
    test_extensions::{self, PROGRAMS, Program, TestExtension, template},
};

/// A program, the more often the more it shows.
fn draw_program(rng: &mut Rng) -> &'static Program {
    rng.pick(&PROGRAMS)
}

/// A call about extensions, or an operation in their space.
pub(super) fn draw(rng: &mut Rng, draining: bool) -> Call {
    let space = test_extensions::space();
    let hash = draw_program(rng).hash;
    let of = |wanted: TestExtension| {
        PROGRAMS
            .iter()
            .find(|program| program.test_extension == wanted)
    };
    let judge = of(TestExtension::Judge).map_or(hash, |program| program.hash);
    let key = format!("(\"k\", {}, {})", rng.below(2), rng.below(3));
    let lease = match rng.below(6) {
        0 => Lease::Ms(rng.between(1, 3_000)),
        1 => Lease::Session,
        _ => Lease::Forever,
    };
    let within_ms = rng.chance(300).then(|| rng.between(1, 3_000));
    let operation = match rng.below(60) {
        0..=6 => {
            let program = draw_program(rng);
            return Call::Register {
                manifest: program.manifest.clone(),
                module: program.module.clone(),
            };
        }
        7..=11 => return Call::Acknowledge { hash },
        12 => return Call::Withdraw { hash },
        13 => return Call::Unregister { hash },
        14 => return Call::Attach { space, hash },
        // Or soon nothing could be put there.
        15 | 16 => return Call::Detach { space, hash: judge },
        17 => return Call::Detach { space, hash },
        18 => return Call::Extensions,
        19..=30 => Operation::Out {
            tuple: test_extensions::tuple(&key),
            lease,
        },
        31..=34 => Operation::Inp {
            template: template("(\"k\", ?int, ?int)"),
        },
        35..=39 => Operation::Inp {
            template: template("(\"increment\", \"c\", 1)"),
        },
        40..=44 if !draining => Operation::Rd {
            template: template("(\"barrier\", \"b\", 2)"),
            within_ms,
        },
        45 | 46 => Operation::Inp {
            template: template("(\"steal\")"),
        },
        47 => Operation::Inp {
            template: template("(\"eat\")"),
        },
        48 => Operation::Inp {
            template: template("(\"smuggle\")"),
        },
        49..=51 if !draining => Operation::Rd {
            template: template("(\"heard\", ?text)"),
            within_ms,
        },
        52..=54 if !draining => Operation::In {
            template: template("(\"heard\", ?text)"),
            within_ms,
        },
        55 => Operation::InAll {
            template: template("(\"heard\", ?text)"),
            limit: u32::try_from(rng.between(1, 9)).unwrap_or(1),
        },
        56 => Operation::Count {
            template: template("(\"again\")"),
        },
        _ => Operation::Inp {
            template: template("(\"heard\", ?text)"),
        },
    };
    Call::Space { space, operation }
}
