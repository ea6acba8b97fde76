//! Which modules may be installed, and what an author is told of those that may not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_extensions::{Engine, Rejected, check, check_extension};
use bezant_manifest::limits::{MAX_MEMORY_PAGES, MAX_MODULE_BYTES};
use bezant_manifest::{ManifestError, Rule};
use common::{manifest, module, module_with, wat};
use proptest::prelude::*;

fn rejected(wasm: &[u8]) -> Rejected {
    check(wasm).expect_err("this module must be rejected")
}

fn rule(text: &str) -> Rule {
    rejected(&wat(text)).rejection.rule
}

/// A module with a memory and what is given.
fn with(text: &str) -> String {
    format!(r#"(module (memory (export "memory") 1) {text})"#)
}

#[test]
fn a_plain_module_passes_and_is_described() {
    let checked = check(&wat(r#"(module
            (import "bezant1" "now" (func (result i64)))
            (import "bezant1" "refuse" (func (param i32)))
            (memory (export "memory") 2)
            (func (export "run"))
            (func (export "not_an_entry") (param i32)))"#))
    .unwrap();
    assert_eq!(checked.memory_pages, 2);
    assert_eq!(checked.imports, ["now", "refuse"]);
    assert_eq!(checked.entries.into_iter().collect::<Vec<_>>(), ["run"]);
}

#[test]
fn every_host_call_can_be_imported() {
    let checked = check(&module("")).unwrap();
    assert_eq!(checked.imports.len(), bezant_extensions::abi::TABLE.len());
}

#[test]
fn a_float_is_named_with_function_and_offset() {
    let wasm = wat(r#"(module
            (import "bezant1" "refuse" (func (param i32)))
            (memory (export "memory") 1)
            (func $fine)
            (func $mean (param i32) (result i32)
                local.get 0
                f64.convert_i32_s
                i32.trunc_f64_s))"#);
    let rejected = rejected(&wasm);
    assert_eq!(rejected.rejection.rule, Rule::NoFloats);
    assert_eq!(
        rejected.rejection.function,
        Some(2),
        "one import, then the second function"
    );
    let offset = rejected.rejection.offset.unwrap() as usize;
    assert_eq!(wasm[offset], 0xb7, "the opcode of f64.convert_i32_s");
    assert_eq!(rejected.function_name.as_deref(), Some("mean"));
    let text = rejected.to_string();
    assert!(
        text.contains("function 2") && text.contains("`mean`"),
        "{text}"
    );
}

#[test]
fn floats_are_refused_wherever_they_stand() {
    for text in [
        "(func (param f32))",
        "(func (result f64) unreachable)",
        "(func (local f64))",
        "(global f32 (f32.const 0))",
        "(func f32.const 0 drop)",
        "(func i32.const 0 f32.load drop)",
        "(func i32.const 0 f32.reinterpret_i32 drop)",
        "(func unreachable f32.nearest drop)",
        "(func unreachable i32.trunc_sat_f64_u drop)",
    ] {
        assert_eq!(rule(&with(text)), Rule::NoFloats, "{text}");
    }
}

#[test]
fn what_is_switched_off_is_said_to_be_off() {
    for text in [
        "(func (result i32 i32) unreachable)",
        "(func unreachable return_call 0)",
        "(table 1 externref)",
        "(func ref.null func drop)",
        "(memory 1)",
        "(func (local v128))",
        "(func unreachable i32x4.add drop)",
        "(func i32.const 0 i32.const 1 i32.atomic.rmw.add drop)",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(tag)",
        "(type (struct))",
        "(func unreachable i64.add128 drop drop)",
    ] {
        assert_eq!(rule(&with(text)), Rule::NoProposal, "{text}");
    }
    for text in [
        r#"(module (memory (export "memory") i64 1))"#,
        r#"(module (memory (export "memory") 1 1 shared))"#,
        r#"(module (memory (export "memory") 1 (pagesize 1)))"#,
    ] {
        assert_eq!(rule(text), Rule::NoProposal, "{text}");
    }
}

#[test]
fn what_compilers_use_is_on() {
    check(&wat(&with(
        r#"(global (export "sp") (mut i32) (i32.const 7))
           (table 2 funcref) (elem (i32.const 0) 0)
           (func i32.const 1 i32.extend8_s drop
                 i32.const 0 i32.const 0 i32.const 8 memory.fill
                 i32.const 0 i32.const 8 i32.const 8 memory.copy
                 i32.const 0 call_indirect)"#,
    )))
    .unwrap();
}

#[test]
fn a_start_function_is_refused() {
    let rejected = rejected(&wat(&with("(func $init) (start $init)")));
    assert_eq!(rejected.rejection.rule, Rule::NoStart);
    assert_eq!(rejected.rejection.function, Some(0));
    assert_eq!(rejected.function_name.as_deref(), Some("init"));
}

#[test]
fn imports_are_calls_of_the_host_with_their_types() {
    for text in [
        r#"(import "bezant1" "open_socket" (func))"#,
        r#"(import "bezant2" "now" (func (result i64)))"#,
        r#"(import "env" "now" (func (result i64)))"#,
        r#"(import "bezant1" "now" (func (result i32)))"#,
        r#"(import "bezant1" "now" (func (param i32) (result i64)))"#,
        r#"(import "bezant1" "now" (func))"#,
        r#"(import "bezant1" "memory" (memory 1))"#,
        r#"(import "bezant1" "now" (global i64))"#,
        r#"(import "bezant1" "table" (table 1 funcref))"#,
    ] {
        assert_eq!(rule(&format!("(module {text})")), Rule::Imports, "{text}");
    }
    let rejected = rejected(&wat(
        r#"(module (import "bezant1" "now" (func (result i32))))"#,
    ));
    assert!(
        rejected
            .to_string()
            .contains("bezant1.now`: its type is now() -> i64")
    );
}

#[test]
fn memory_is_one_of_its_own_within_the_cap() {
    assert_eq!(rule("(module)"), Rule::Memory);
    assert_eq!(rule("(module (memory 1))"), Rule::Exports);
    assert_eq!(rule(r#"(module (memory (export "mem") 1))"#), Rule::Exports);
    let pages = MAX_MEMORY_PAGES + 1;
    assert_eq!(
        rule(&format!(r#"(module (memory (export "memory") {pages}))"#)),
        Rule::Memory
    );
    // A maximum beyond the cap is fine: growth is stopped, not the intention.
    check(&wat(r#"(module (memory (export "memory") 1 65536))"#)).unwrap();
}

#[test]
fn counts_have_bounds() {
    let many = |text: &str, count: usize| with(&text.repeat(count));
    assert_eq!(rule(&many("(func)", 1001)), Rule::Count);
    assert_eq!(rule(&many("(global i32 (i32.const 0))", 101)), Rule::Count);
    assert_eq!(rule(&many(r#"(data (i32.const 0) "a")"#, 101)), Rule::Count);
    assert_eq!(rule(&with("(table 1001 funcref)")), Rule::Count);
    assert_eq!(
        rule(&with(&format!("(func (param{}))", " i32".repeat(17)))),
        Rule::Count
    );
    let rejected = rejected(&wat(&with(&format!(
        "(func) (func (local{}))",
        " i64".repeat(501)
    ))));
    assert_eq!(rejected.rejection.rule, Rule::Count);
    assert_eq!(rejected.rejection.function, Some(1));
    let name = "x".repeat(129);
    assert_eq!(
        rule(&with(&format!(r#"(func (export "{name}"))"#))),
        Rule::Names
    );
}

/// Eleven bytes that ask for four thousand million locals.
#[test]
fn a_bomb_of_locals_is_refused_at_once() {
    let mut wasm = wat(&with("(func)"));
    // The code section of the text above is `0a 04 01 02 00 0b`.
    let at = wasm
        .windows(6)
        .position(|w| w == [0x0a, 4, 1, 2, 0, 0x0b])
        .unwrap();
    wasm.truncate(at);
    wasm.extend_from_slice(&[0x0a, 10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b]);
    assert_eq!(rejected(&wasm).rejection.rule, Rule::Count);
}

#[test]
fn size_comes_first() {
    let rejected = rejected(&vec![0; MAX_MODULE_BYTES + 1]);
    assert_eq!(rejected.rejection.rule, Rule::Size);
}

#[test]
fn what_is_no_module_is_not_valid() {
    for bytes in [
        &b""[..],
        b"\0asm",
        b"\0asm\x01\0\0",
        b"not wasm at all",
        b"\0asm\x0d\0\x01\0",
    ] {
        let rule = rejected(bytes).rejection.rule;
        assert!(
            matches!(rule, Rule::Valid | Rule::NoProposal),
            "{bytes:?}: {rule:?}"
        );
    }
    assert_eq!(rule(&with("(func i32.add)")), Rule::Valid, "an empty stack");
}

#[test]
fn manifest_and_module_must_fit() {
    let fits = |change: fn(&mut bezant_manifest::Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        check_extension(&manifest, &module("")).map_err(|rejected| rejected.rejection.rule)
    };
    assert!(fits(|_| ()).is_ok());
    assert_eq!(
        fits(|m| m.name.clear()).unwrap_err(),
        Rule::Manifest(ManifestError::Name)
    );
    assert_eq!(
        fits(|m| m.subscriptions[0].entry = "go".into()).unwrap_err(),
        Rule::Exports
    );
    let two_pages = wat(r#"(module (memory (export "memory") 5) (func (export "run")))"#);
    let rejected = check_extension(&manifest(), &two_pages).unwrap_err();
    assert_eq!(
        rejected.rejection.rule,
        Rule::Memory,
        "more than the manifest's four pages"
    );
}

#[test]
fn an_entry_point_takes_and_gives_nothing() {
    let wasm = wat(
        r#"(module (memory (export "memory") 1) (func (export "run") (result i32) i32.const 1))"#,
    );
    assert_eq!(
        check_extension(&manifest(), &wasm)
            .unwrap_err()
            .rejection
            .rule,
        Rule::Exports
    );
}

/// A module with something of every section, to be damaged.
fn rich() -> Vec<u8> {
    module_with(
        "i32.const 0 i32.const 3 call $reply i32.const 1 if i32.const 2 call $refuse end",
        r#"(global (mut i32) (i32.const 1)) (table 2 funcref) (elem (i32.const 0) 0 1)
           (func $loop (param i32) (local i64) loop local.get 0 br_if 0 end)
           (data (i32.const 0) "\00\01\02")"#,
    )
}

#[test]
fn every_truncation_is_judged() {
    let wasm = rich();
    assert!(check(&wasm).is_ok());
    for end in 0..wasm.len() {
        // Custom sections at the end may go; anything else must be missed.
        let _ = check(&wasm[..end]);
    }
    assert!(check(&wasm[..wasm.len() / 2]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No damage makes the check stop, and what passes compiles and has a described fate.
    #[test]
    fn damaged_modules_are_judged(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut wasm = rich();
        for (at, byte) in changes {
            let at = at.index(wasm.len());
            wasm[at] = byte;
        }
        match check(&wasm) {
            Ok(_) => prop_assert!(Engine::new().compile(&wasm).is_ok()),
            Err(rejected) => prop_assert!(!rejected.to_string().is_empty()),
        }
    }

    #[test]
    fn noise_behind_the_header_is_judged(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend_from_slice(&noise);
        let _ = check(&wasm);
    }
}
