//! The registry: who is answered by which extension.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_extensions::Registry;
use bezant_extensions::limits::{MAX_ACKNOWLEDGEMENTS_PER_CLIENT, MAX_EXTENSIONS_PER_OWNER};
use bezant_manifest::{ExtensionHash, Manifest, RegistryError, Rule, Trigger};
use bezant_tuplespace::{Lease, Operation, OperationKind};
use common::{manifest, module, name, template, tuple};

const ANNA: [u8; 32] = [1; 32];
const BERT: [u8; 32] = [2; 32];

fn version(version: u32) -> Manifest {
    Manifest {
        version,
        ..manifest()
    }
}

fn rdp(text: &str) -> Operation {
    Operation::Rdp {
        template: template(text),
    }
}

/// The version of the extension found for a client's operation in space `here`.
fn found(registry: &Registry, client: &[u8; 32], operation: &Operation) -> Option<u32> {
    let found = registry.find(client, &name("here"), operation)?;
    Some(found.extension.manifest.version)
}

/// The whole content, as replicas compare it.
fn content(registry: &Registry) -> Vec<u8> {
    let mut all = Vec::new();
    registry.encode_into(&mut all);
    all
}

#[test]
fn it_applies_to_its_owner_and_to_those_who_acknowledged_it() {
    let mut registry = Registry::new();
    let hash = registry.register(ANNA, version(1), module("")).unwrap();
    assert_eq!(found(&registry, &ANNA, &rdp("(1)")), Some(1));
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), None);
    registry.acknowledge(BERT, hash).unwrap();
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), Some(1));
    assert_eq!(
        registry.acknowledge(BERT, hash),
        Ok(()),
        "once more changes nothing"
    );
    assert_eq!(
        registry.acknowledge(BERT, ExtensionHash([7; 32])),
        Err(RegistryError::NoSuchExtension)
    );
}

#[test]
fn the_most_recently_registered_one_is_found() {
    let mut registry = Registry::new();
    let first = registry.register(ANNA, version(1), module("")).unwrap();
    let second = registry.register(ANNA, version(2), module("")).unwrap();
    assert_eq!(found(&registry, &ANNA, &rdp("(1)")), Some(2));
    // The order of registration counts, not that of acknowledgement.
    registry.acknowledge(BERT, second).unwrap();
    registry.acknowledge(BERT, first).unwrap();
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), Some(2));
    // One that does not mean the operation is passed over.
    let mut other = version(3);
    other.subscriptions[0].template = template("(7)");
    registry.register(ANNA, other, module("")).unwrap();
    assert_eq!(found(&registry, &ANNA, &rdp("(1)")), Some(2));
    assert_eq!(found(&registry, &ANNA, &rdp("(7)")), Some(3));
}

#[test]
fn space_kind_and_template_must_all_fit() {
    let mut registry = Registry::new();
    let mut manifest = version(1);
    manifest.subscriptions[0].on = Trigger::Operations(vec![OperationKind::Rdp]);
    registry.register(ANNA, manifest, module("")).unwrap();
    assert_eq!(found(&registry, &ANNA, &rdp("(_)")), Some(1));
    assert_eq!(found(&registry, &ANNA, &rdp("(_, _)")), None);
    let out = Operation::Out {
        tuple: tuple("(1)"),
        lease: Lease::Forever,
    };
    assert_eq!(found(&registry, &ANNA, &out), None);
    assert!(registry.find(&ANNA, &name("other"), &rdp("(_)")).is_none());
}

#[test]
fn the_first_subscription_that_matches_gives_the_entry_point() {
    let mut registry = Registry::new();
    let mut manifest = version(1);
    let mut second = manifest.subscriptions[0].clone();
    manifest.subscriptions[0].template = template("(7)");
    second.entry = "also".into();
    manifest.subscriptions.push(second);
    let wasm = common::module_with("", r#"(func (export "also"))"#);
    registry.register(ANNA, manifest, wasm).unwrap();
    let here = name("here");
    let entry = |text: &str| {
        registry
            .find(&ANNA, &here, &rdp(text))
            .unwrap()
            .subscription
            .entry
            .clone()
    };
    assert_eq!(
        (entry("(7)").as_str(), entry("(8)").as_str()),
        ("run", "also")
    );
}

#[test]
fn the_same_content_is_one_extension() {
    let mut registry = Registry::new();
    let first = registry.register(ANNA, version(1), module("")).unwrap();
    let before = content(&registry);
    assert_eq!(registry.register(ANNA, version(1), module("")), Ok(first));
    assert_eq!(content(&registry), before);
    // By somebody else it is an acknowledgement.
    assert_eq!(registry.register(BERT, version(1), module("")), Ok(first));
    assert_eq!(registry.len(), 1);
    assert_eq!(registry.get(&first).unwrap().owner, ANNA);
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), Some(1));
    // Manifest and module are both part of the content.
    assert_ne!(registry.register(ANNA, version(2), module("")), Ok(first));
    assert_ne!(
        registry.register(ANNA, version(1), module("nop")),
        Ok(first)
    );
}

#[test]
fn what_breaks_a_rule_is_not_registered() {
    let mut registry = Registry::new();
    let mut manifest = version(1);
    manifest.subscriptions[0].entry = "absent".into();
    let refused = registry.register(ANNA, manifest, module("")).unwrap_err();
    assert!(
        matches!(refused, RegistryError::Rejected(rejection) if rejection.rule == Rule::Exports)
    );
    assert!(registry.is_empty());
    assert_eq!(content(&registry), content(&Registry::new()));
}

#[test]
fn everything_has_its_bound() {
    let mut registry = Registry::new();
    for n in (0..).take(MAX_EXTENSIONS_PER_OWNER) {
        registry.register(ANNA, version(n), module("")).unwrap();
    }
    assert_eq!(
        registry.register(ANNA, version(999), module("")),
        Err(RegistryError::TooManyExtensions)
    );
    // Others still may.
    let mut hashes = Vec::new();
    for owner in 10..15u8 {
        for n in (0..).take(MAX_EXTENSIONS_PER_OWNER) {
            let manifest = version(u32::from(owner) * 100 + n);
            hashes.push(
                registry
                    .register([owner; 32], manifest, module(""))
                    .unwrap(),
            );
        }
    }
    for hash in &hashes[..MAX_ACKNOWLEDGEMENTS_PER_CLIENT] {
        registry.acknowledge(BERT, *hash).unwrap();
    }
    assert_eq!(
        registry.acknowledge(BERT, hashes[MAX_ACKNOWLEDGEMENTS_PER_CLIENT]),
        Err(RegistryError::TooManyAcknowledgements)
    );
}

#[test]
fn the_content_covers_all_of_the_state() {
    let mut registry = Registry::new();
    let mut contents = vec![content(&registry)];
    let hash = registry.register(ANNA, version(1), module("")).unwrap();
    contents.push(content(&registry));
    registry.acknowledge(BERT, hash).unwrap();
    contents.push(content(&registry));
    registry.register(BERT, version(2), module("")).unwrap();
    contents.push(content(&registry));
    contents.dedup();
    assert_eq!(contents.len(), 4);
    let mut other = Registry::new();
    other.register(BERT, version(1), module("")).unwrap();
    assert_ne!(content(&other), contents[1], "another owner");
}

#[test]
fn what_is_removed_applies_to_nobody_and_leaves_no_trace() {
    let mut registry = Registry::new();
    let before = content(&registry);
    let first = registry.register(ANNA, version(1), module("")).unwrap();
    let one = content(&registry);
    let second = registry.register(ANNA, version(2), module("")).unwrap();
    registry.acknowledge(BERT, second).unwrap();
    registry.acknowledge(BERT, first).unwrap();
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), Some(2));
    assert!(registry.applies(&ANNA, &second) && registry.applies(&BERT, &second));
    assert_eq!(registry.remove(second).unwrap().manifest.version, 2);
    // The one before is in force again.
    for client in [ANNA, BERT] {
        assert_eq!(found(&registry, &client, &rdp("(1)")), Some(1));
        assert!(!registry.applies(&client, &second));
    }
    assert_eq!(registry.remove(second), Err(RegistryError::NoSuchExtension));
    assert_eq!(
        registry.withdraw(BERT, second),
        Err(RegistryError::NoSuchExtension)
    );
    assert_eq!(registry.withdraw(BERT, first), Ok(true));
    assert_eq!(registry.withdraw(BERT, first), Ok(false));
    assert_eq!(found(&registry, &BERT, &rdp("(1)")), None);
    // Its owner did not acknowledge it.
    assert_eq!(registry.withdraw(ANNA, first), Ok(false));
    assert_eq!(found(&registry, &ANNA, &rdp("(1)")), Some(1));
    // Only its number is not given out again.
    assert_eq!(content(&registry)[3..], one[3..]);
    registry.remove(first).unwrap();
    assert_eq!(content(&registry)[3..], before[3..]);
    // There is room for as many as before.
    for number in 0..u32::try_from(MAX_EXTENSIONS_PER_OWNER).unwrap() {
        registry
            .register(ANNA, version(10 + number), module(""))
            .unwrap();
    }
}
