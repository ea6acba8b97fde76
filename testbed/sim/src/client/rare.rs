//! What clients seldom bring about by chance, because it takes several things after one another:
//! some seeds have clients that do these things often (docs/simulation-log.md, "Occasions").

use bezant_api::{Act, AdminCommand, Call, Group, Lists, Principal, Right, Step};
use bezant_bft::ids::ClientId;
use bezant_tuplespace::{Audience, Lease, Operation};

use super::names::{RULED, name, team};
use crate::{
    rng::Rng,
    test_extensions::{self, PROGRAMS, Program, TestExtension, template, tuple},
};

fn program(wanted: TestExtension) -> &'static Program {
    let mut programs = PROGRAMS.iter();
    match programs.find(|program| program.test_extension == wanted) {
        Some(program) => program,
        None => unreachable!("{wanted:?} is among them"),
    }
}

fn register(wanted: TestExtension) -> Call {
    let program = program(wanted);
    Call::Register {
        manifest: program.manifest.clone(),
        module: program.module.clone(),
    }
}

/// A call about a policy in its space, fuel, rights, a group or what comes after the event told last.
pub(super) fn draw(rng: &mut Rng, key: ClientId, newest: u64, draining: bool) -> Call {
    let within_ms = Some(rng.between(100, 3_000));
    let waits = u64::from(!draining);
    match rng.below(14 + 6 * waits) {
        0..=5 => about_extensions(rng),
        6 => Call::CreateSpaceFor {
            space: name(RULED),
            lists: Lists::open(),
        },
        7 => Call::Grant {
            space: name(RULED),
            right: *rng.pick(&[Right::Read, Right::Take]),
            principal: Principal::Anyone,
        },
        8 => Call::Revoke {
            space: name(RULED),
            right: *rng.pick(&[Right::Read, Right::Take]),
            principal: Principal::Anyone,
        },
        9 | 10 => Call::AdminCommand(AdminCommand::Join(team(), key.0)),
        11 => Call::AdminCommand(AdminCommand::Leave(team(), key.0)),
        12 | 13 => {
            let only = Some([Principal::Members(team())].into());
            let audience = Box::new(Audience {
                readers: only.clone(),
                takers: only,
            });
            let operation = Operation::OutTo {
                tuple: tuple("(\"team\", 1)"),
                lease: Lease::Forever,
                audience,
            };
            in_space("a", operation)
        }
        14 | 15 => {
            let operation = Operation::In {
                template: template("(\"team\", ?int)"),
                within_ms,
            };
            in_space("a", operation)
        }
        16 | 17 => {
            let operation = Operation::Rd {
                template: template("(\"nothing\")"),
                within_ms: None,
            };
            in_space(RULED, operation)
        }
        _ => {
            let operation = Operation::Watch {
                template: template("(\"team\", ?int)"),
                after: Some(newest),
                limit: 4,
                within_ms,
            };
            in_space("a", operation)
        }
    }
}

fn in_space(space: &str, operation: Operation) -> Call {
    let space = name(space);
    Call::Space { space, operation }
}

fn about_extensions(rng: &mut Rng) -> Call {
    let space = test_extensions::space();
    let judge = program(TestExtension::Judge).hash;
    let glutton = program(TestExtension::Glutton).hash;
    match rng.below(12) {
        0 => register(TestExtension::Judge),
        1 | 2 => Call::Attach { space, hash: judge },
        3 => Call::Detach { space, hash: judge },
        4 => register(TestExtension::Glutton),
        5 => Call::Acknowledge { hash: glutton },
        6 | 7 => Call::Space {
            space,
            operation: Operation::Inp {
                template: template("(\"eat\")"),
            },
        },
        _ => {
            let put = |text| {
                Step::Do(Act {
                    space: space.clone(),
                    operation: Operation::Out {
                        tuple: tuple(text),
                        lease: Lease::Session,
                    },
                })
            };
            // The first is nobody's to forbid, and undone with the second.
            Call::Group(Group {
                steps: vec![put("(\"free\")"), put("(\"k\", 1, 1)")],
                otherwise: Vec::new(),
            })
        }
    }
}
