//! The extensions shipped with the service, ready to be registered.
//!
//! Each is a crate below `extensions/recipes`; the module built from it lies beside its
//! source and is compiled in here. `cargo xtask recipes check` proves that the one is
//! built from the other. Beside each module lies its manifest for the space named like
//! the recipe, in canonical bytes, for those who register it without this crate; a test
//! keeps it equal to what these functions make.

use bezant_api::{ABI_VERSION, Access, Capability, Manifest, Subscription};
use bezant_tuple::{Field, Kind, Template};
use bezant_tuplespace::{OperationKind, SpaceName};

/// An extension ready to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What it is and may do.
    pub manifest: Manifest,
    /// Its module.
    pub module: &'static [u8],
}

/// The modules as they are committed, by name.
pub const MODULES: [(&str, &[u8]); 2] = [
    (
        "counter",
        include_bytes!("../../recipes/counter/counter.wasm"),
    ),
    ("queue", include_bytes!("../../recipes/queue/queue.wasm")),
];

/// Shared counters in `space`.
///
/// `inp` of `("increment", name, by)` adds `by` to the counter `("counter", name, value)`,
/// making it first if there is none, and gives it as it then is. The extension refuses
/// with code 1 if name and amount are not given exactly, with 2 if the sum does not fit
/// into 64 bits.
#[must_use]
pub fn counter(space: SpaceName) -> Recipe {
    let [(_, module), _] = MODULES;
    Recipe {
        manifest: manifest(
            "counter",
            space,
            Subscribed {
                kinds: vec![OperationKind::Inp],
                fields: vec![
                    Field::from("increment"),
                    Field::OfKind(Kind::Text),
                    Field::OfKind(Kind::Int),
                ],
                entry: "increment",
            },
            Access::TAKE.and(Access::INSERT),
        ),
        module,
    }
}

/// A queue in `space` whose head is the element with the smallest key.
///
/// Elements are tuples `("element", key, payload)`; `inp` of `("head")` takes the one with
/// the smallest key, the oldest among equals, `rdp` of `("head")` reads it. A queue without
/// keys needs no extension: a plain `inp` takes the oldest.
#[must_use]
pub fn queue(space: SpaceName) -> Recipe {
    let [_, (_, module)] = MODULES;
    Recipe {
        manifest: manifest(
            "queue",
            space,
            Subscribed {
                kinds: vec![OperationKind::Rdp, OperationKind::Inp],
                fields: vec![Field::from("head")],
                entry: "head",
            },
            Access::READ.and(Access::TAKE),
        ),
        module,
    }
}

/// When a recipe runs.
struct Subscribed {
    kinds: Vec<OperationKind>,
    fields: Vec<Field>,
    entry: &'static str,
}

/// A recipe's manifest: one subscription, one space.
#[expect(
    clippy::expect_used,
    reason = "the fields are constants of this module, and a test makes every recipe"
)]
fn manifest(name: &str, space: SpaceName, subscribed: Subscribed, access: Access) -> Manifest {
    let template = Template::new(subscribed.fields).expect("three short fields at most");
    Manifest {
        name: name.to_owned(),
        version: 1,
        abi: (ABI_VERSION, ABI_VERSION),
        subscriptions: vec![Subscription {
            space: space.clone(),
            kinds: subscribed.kinds,
            template,
            entry: subscribed.entry.to_owned(),
        }],
        capabilities: vec![Capability { space, access }],
        // Twice what the longest tuple costs, with all its copies between guest and host.
        fuel: 1_000_000,
        memory_pages: 8,
    }
}
