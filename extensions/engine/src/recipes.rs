//! The extensions shipped with the service, ready to be registered.
//!
//! Each is a crate below `extensions/recipes`, whose page says how it is used; the module built
//! from it lies beside its source and is compiled in here. `cargo xtask recipes check` proves
//! that the one is built from the other. Beside each module lies its manifest for the space
//! named like the recipe, as people write it and in canonical bytes; tests keep both equal to
//! what is made here.

use bezant_manifest::{
    ABI_VERSION, Access, Capability, EventKind, Manifest, Subscription, Trigger,
};
use bezant_tuplespace::{OperationKind, SpaceName};

/// An extension ready to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What it is and may do.
    pub manifest: Manifest,
    /// Its module.
    pub module: &'static [u8],
}

/// A recipe before it is known in which space it is used.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name, and that of its folder and module.
    pub name: &'static str,
    /// Its module as it is committed.
    pub module: &'static [u8],
    subscriptions: &'static [Subscribed],
    access: Access,
}

/// When a recipe runs, the templates that are meant, and the entry point.
type Subscribed = (On, &'static [&'static str], &'static str);

/// As [`Trigger`], for constants.
#[derive(Clone, Copy, Debug)]
enum On {
    Operations(&'static [OperationKind]),
    Events(&'static [EventKind]),
    Judges(&'static [OperationKind]),
}

/// What one call may burn: twice what the longest tuple costs, with all its copies between
/// guest and host.
const FUEL: u64 = 1_000_000;
/// How a place in a line is left.
const LEAVING: &[EventKind] = &[EventKind::Taken, EventKind::SessionEnded];

/// All recipes, by name.
pub const ALL: [Description; 14] = [
    Description {
        name: "append_only",
        module: include_bytes!("../../recipes/append_only/append_only.wasm"),
        subscriptions: &[
            (
                On::Judges(&[OperationKind::Inp, OperationKind::In, OperationKind::InAll]),
                &["(_)", "(_, _)", "(_, _, _)"],
                "take",
            ),
            (
                On::Judges(&[OperationKind::Replace]),
                &["(_)", "(_, _)", "(_, _, _)"],
                "take",
            ),
        ],
        access: Access::READ,
    },
    Description {
        name: "barrier",
        module: include_bytes!("../../recipes/barrier/barrier.wasm"),
        subscriptions: &[(
            On::Operations(&[OperationKind::Rd]),
            &[r#"("barrier", ?text, ?int)"#],
            "pass",
        )],
        access: Access::ALL,
    },
    Description {
        name: "counter",
        module: include_bytes!("../../recipes/counter/counter.wasm"),
        subscriptions: &[(
            On::Operations(&[OperationKind::Inp]),
            &[r#"("increment", ?text, ?int)"#],
            "increment",
        )],
        access: Access::INSERT.and(Access::TAKE),
    },
    Description {
        name: "delay_queue",
        module: include_bytes!("../../recipes/delay_queue/delay_queue.wasm"),
        subscriptions: &[(
            On::Operations(&[OperationKind::Rdp, OperationKind::Inp]),
            &[r#"("due")"#],
            "due",
        )],
        access: Access::READ.and(Access::TAKE),
    },
    Description {
        name: "double_barrier",
        module: include_bytes!("../../recipes/double_barrier/double_barrier.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Rd]),
                &[r#"("enter", ?text, ?text, ?int)"#],
                "enter",
            ),
            (
                On::Operations(&[OperationKind::Rd]),
                &[r#"("leave", ?text, ?text, ?int)"#],
                "leave",
            ),
            (
                On::Events(&[EventKind::SessionEnded]),
                &[r#"("in", ?text, ?int, ?text)"#],
                "ended",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "election",
        module: include_bytes!("../../recipes/election/election.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Rdp, OperationKind::Rd]),
                &[r#"("leader", ?text, ?text)"#],
                "leader_of",
            ),
            (
                On::Events(LEAVING),
                &[r#"("candidate", ?text, ?text, ?int)"#],
                "left",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "lock",
        module: include_bytes!("../../recipes/lock/lock.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Rd]),
                &[r#"("lock", ?text, ?text, ?int)"#],
                "lock",
            ),
            (
                On::Events(LEAVING),
                &[r#"("lock line", ?text, ?text, ?int)"#],
                "left",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "membership",
        module: include_bytes!("../../recipes/membership/membership.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Out]),
                &[r#"("member", ?text, ?text)"#],
                "member",
            ),
            (
                On::Events(&[
                    EventKind::Inserted,
                    EventKind::Taken,
                    EventKind::SessionEnded,
                ]),
                &[r#"("member", ?text, ?text)"#],
                "view",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "queue",
        module: include_bytes!("../../recipes/queue/queue.wasm"),
        subscriptions: &[(
            On::Operations(&[OperationKind::Rdp, OperationKind::Inp]),
            &[r#"("head")"#],
            "head",
        )],
        access: Access::READ.and(Access::TAKE),
    },
    Description {
        name: "rate_limiter",
        module: include_bytes!("../../recipes/rate_limiter/rate_limiter.wasm"),
        subscriptions: &[(
            On::Operations(&[OperationKind::Inp]),
            &[r#"("admit", ?text, ?int, ?int)"#],
            "call",
        )],
        access: Access::ALL,
    },
    Description {
        name: "rwlock",
        module: include_bytes!("../../recipes/rwlock/rwlock.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Rd]),
                &[
                    r#"("read lock", ?text, ?text)"#,
                    r#"("write lock", ?text, ?text)"#,
                ],
                "hold",
            ),
            (
                On::Events(LEAVING),
                &[r#"("rw line", ?text, ?text, ?int)"#],
                "left",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "semaphore",
        module: include_bytes!("../../recipes/semaphore/semaphore.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Rd]),
                &[r#"("permit", ?text, ?text, ?int)"#],
                "permit",
            ),
            (
                On::Events(LEAVING),
                &[r#"("permit line", ?text, ?text, ?int)"#],
                "left",
            ),
        ],
        access: Access::ALL,
    },
    Description {
        name: "work_queue",
        module: include_bytes!("../../recipes/work_queue/work_queue.wasm"),
        subscriptions: &[
            (
                On::Operations(&[OperationKind::Inp]),
                &[r#"("work")"#],
                "work",
            ),
            (
                On::Events(&[EventKind::SessionEnded]),
                &[r#"("taken", _, _)"#],
                "dropped",
            ),
        ],
        access: Access::INSERT.and(Access::TAKE),
    },
    Description {
        name: "write_once",
        module: include_bytes!("../../recipes/write_once/write_once.wasm"),
        subscriptions: &[(
            On::Judges(&[
                OperationKind::Out,
                OperationKind::Cas,
                OperationKind::Replace,
                OperationKind::OutTo,
            ]),
            &[r#"("config", ?text, _)"#],
            "put",
        )],
        access: Access::READ,
    },
];

impl Description {
    /// The recipe for one space.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the templates are constants of this module, and a test makes every recipe"
    )]
    pub fn in_space(&self, space: &SpaceName) -> Recipe {
        let mut subscriptions = Vec::new();
        for (on, templates, entry) in self.subscriptions {
            for template in *templates {
                subscriptions.push(Subscription {
                    space: space.clone(),
                    on: on.trigger(),
                    template: template.parse().expect("a template"),
                    entry: (*entry).to_owned(),
                });
            }
        }
        Recipe {
            manifest: Manifest {
                name: self.name.to_owned(),
                version: 1,
                abi: (ABI_VERSION, ABI_VERSION),
                subscriptions,
                capabilities: vec![Capability {
                    space: space.clone(),
                    access: self.access,
                }],
                fuel: FUEL,
                memory_pages: 8,
            },
            module: self.module,
        }
    }
}

impl On {
    fn trigger(self) -> Trigger {
        match self {
            Self::Operations(kinds) => Trigger::Operations(kinds.to_vec()),
            Self::Events(kinds) => Trigger::Events(kinds.to_vec()),
            Self::Judges(kinds) => Trigger::Judges(kinds.to_vec()),
        }
    }
}

/// The recipe of this name for one space.
#[must_use]
pub fn named(name: &str, space: &SpaceName) -> Option<Recipe> {
    let found = ALL.iter().find(|recipe| recipe.name == name);
    found.map(|recipe| recipe.in_space(space))
}

/// Shared counters: see `extensions/recipes/counter`.
///
/// # Panics
/// Never; a test makes it.
#[must_use]
#[expect(clippy::expect_used, reason = "it is in the list")]
pub fn counter(space: &SpaceName) -> Recipe {
    named("counter", space).expect("a recipe")
}

/// A queue whose head is the element with the smallest key: see `extensions/recipes/queue`.
///
/// # Panics
/// Never; a test makes it.
#[must_use]
#[expect(clippy::expect_used, reason = "it is in the list")]
pub fn queue(space: &SpaceName) -> Recipe {
    named("queue", space).expect("a recipe")
}
