//! Modules that mean harm, and what becomes of them: an error with a code, nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_extensions::Engine;
use bezant_extensions::abi::{TABLE, Type};
use bezant_manifest::{Access, FailureCode};
use bezant_tuplespace::{Lease, Operation, Outcome};
use common::{
    Bench, answered, content, data, module, module_with, name, plain, template, tuple, wat,
};

/// `("mine", 1)` at address 0, length 9; the template that matches it at 32, length 10.
fn one_tuple() -> (String, usize, usize) {
    let bytes = bezant_tuple::codec::encode_tuple(&tuple(r#"("mine", 1)"#));
    let asked = bezant_tuple::codec::encode_template(&template(r#"("mine", 1)"#));
    (
        data(0, &bytes) + &data(32, &asked),
        bytes.len(),
        asked.len(),
    )
}

/// The answer "no match", at address 100.
fn no_match() -> String {
    data(100, &[1, 0])
}

const REPLY: &str = "i32.const 100 i32.const 2 call $reply";

#[test]
fn an_endless_loop_burns_its_fuel_and_no_more() {
    let mut bench = Bench::new();
    let report = bench.run(&module("loop br 0 end"));
    assert_eq!(answered(&report), Err(FailureCode::OutOfFuel));
    assert!(report.fuel_used <= bench.manifest.fuel);
    assert!(report.fuel_used > bench.manifest.fuel - 10);
}

#[test]
fn the_manifest_cannot_ask_for_more_fuel_than_there_is() {
    let mut bench = Bench::new();
    bench.manifest.fuel = u64::MAX;
    let report = bench.run(&module("loop br 0 end"));
    assert_eq!(answered(&report), Err(FailureCode::OutOfFuel));
    assert!(report.fuel_used <= bezant_manifest::limits::MAX_FUEL);
}

#[test]
fn endless_host_calls_burn_fuel_too() {
    for call in [
        "call $now drop",
        "i32.const 0 i32.const 0 call $log",
        "i32.const 200 i32.const 9 call $argument_template drop",
        "i32.const 0 i32.const 9 call $result drop",
    ] {
        let report = Bench::new().run(&module(&format!("loop {call} br 0 end")));
        assert_eq!(answered(&report), Err(FailureCode::OutOfFuel), "{call}");
    }
}

#[test]
fn memory_grows_to_its_cap_and_no_further() {
    let mut bench = Bench::new();
    // Answers with the pages it then has.
    let grow = |more: u32| {
        let body = format!(
            "i32.const {more} memory.grow drop
             i32.const 1 memory.size i32.store8
             i32.const 0 i32.const 2 call $reply"
        );
        module_with(&body, &data(0, &[3]))
    };
    let count = Operation::Count {
        template: template("(_)"),
    };
    for (more, pages) in [(3, 4), (4, 1), (65_535, 1), (u32::MAX, 1)] {
        let report = bench.run_instead_of(&grow(more), &count);
        assert_eq!(
            answered(&report),
            Ok(Outcome::Count(pages)),
            "{more} pages more"
        );
    }
    // Its own maximum below the cap counts as well.
    let modest = wat(r#"(module (memory (export "memory") 1 2)
            (func (export "run") i32.const 2 memory.grow i32.const -1 i32.ne if unreachable end))"#);
    assert_eq!(bench.failure(&modest), FailureCode::NoReply);
}

#[test]
fn deep_recursion_ends_at_the_agreed_depth() {
    let recursion =
        "(func $deep (param i32) local.get 0 if local.get 0 i32.const 1 i32.sub call $deep end)";
    let mut bench = Bench::new();
    let within = format!("i32.const 200 call $deep {REPLY}");
    let report = bench.run(&module_with(&within, &(recursion.to_owned() + &no_match())));
    assert_eq!(answered(&report), Ok(Outcome::Match(None)));
    assert_eq!(
        bench.failure(&module_with("i32.const 1000 call $deep", recursion)),
        FailureCode::Limit
    );
    // Few calls with many locals each: the stack's bytes are bounded as well.
    let wide = format!(
        "(func $deep (param i32) (local{}) local.get 0 if local.get 0 i32.const 1 i32.sub call $deep end)",
        " i64".repeat(499)
    );
    let code = bench.failure(&module_with("i32.const 200 call $deep", &wide));
    assert_eq!(code, FailureCode::Limit);
}

#[test]
fn traps_are_failures() {
    let mut bench = Bench::new();
    for body in [
        "unreachable",
        "i32.const 1 i32.const 0 i32.div_s drop",
        "i32.const -1 i32.load drop",
        "i32.const 65533 i32.const 0 i32.store",
        "i32.const 0 i32.const 0 i32.const -1 memory.fill",
    ] {
        assert_eq!(bench.failure(&module(body)), FailureCode::Trap, "{body}");
    }
}

#[test]
fn an_answer_must_be_given_once_and_fit() {
    let mut bench = Bench::new();
    assert_eq!(bench.failure(&module("")), FailureCode::NoReply);
    let twice = module_with(&format!("{REPLY} {REPLY}"), &no_match());
    assert_eq!(bench.failure(&twice), FailureCode::BadReply);
    for bytes in [
        &[0][..],
        &[3, 1],
        &[2, 0, 0],
        &[9],
        &[1],
        &[1, 0, 0],
        &[1, 1, 1, 9],
        &[],
    ] {
        let body = format!("i32.const 0 i32.const {} call $reply", bytes.len());
        let wasm = module_with(&body, &data(0, bytes));
        assert_eq!(
            bench.failure(&wasm),
            FailureCode::BadReply,
            "{bytes:?} instead of rdp"
        );
    }
}

#[test]
fn answers_fit_each_kind_of_operation() {
    let asked = || template("(_)");
    let (done, none, some) = (vec![0], vec![1, 0], vec![1, 1, 1, 0]);
    let (page, count) = (vec![2, 2, 0, 0, 0], vec![3, 7]);
    let all = [&done, &none, &some, &page, &count];
    let operations: [(Operation, &[&Vec<u8>]); 9] = [
        (
            Operation::Out {
                tuple: tuple("(1)"),
                lease: Lease::Forever,
            },
            &[&done],
        ),
        (Operation::Rdp { template: asked() }, &[&none, &some]),
        (Operation::Inp { template: asked() }, &[&none, &some]),
        (
            Operation::Rd {
                template: asked(),
                within_ms: None,
            },
            &[&some],
        ),
        (
            Operation::In {
                template: asked(),
                within_ms: None,
            },
            &[&some],
        ),
        (
            Operation::Cas {
                template: asked(),
                tuple: tuple("(1)"),
                lease: Lease::Forever,
            },
            &[&none, &some],
        ),
        (
            Operation::RdAll {
                template: asked(),
                limit: 2,
                after: None,
            },
            &[&page],
        ),
        (
            Operation::InAll {
                template: asked(),
                limit: 1,
            },
            &[],
        ),
        (Operation::Count { template: asked() }, &[&count]),
    ];
    for (operation, fitting) in operations {
        for bytes in all {
            let body = format!("i32.const 0 i32.const {} call $reply", bytes.len());
            let wasm = module_with(&body, &data(0, bytes));
            let result = Bench::new().run_instead_of(&wasm, &operation).result;
            if fitting.contains(&bytes) {
                assert!(result.is_ok(), "{bytes:?} to {operation:?}");
            } else {
                assert_eq!(
                    result,
                    Err(FailureCode::BadReply),
                    "{bytes:?} to {operation:?}"
                );
            }
        }
    }
}

/// Every address and length of every host call, outside the memory and wrapping.
#[test]
fn pointers_outside_the_memory_end_the_call() {
    let (bytes, tuple_len, template_len) = one_tuple();
    let mut tried = 0;
    for call in TABLE {
        for (bad, (_, kind)) in call.parameters.iter().enumerate() {
            if *kind != Type::Pointer {
                continue;
            }
            for address in [65_536u32, 65_535, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                let mut bench = Bench::new();
                let lease = if call.name == "renew" {
                    Lease::Ms(1_000)
                } else {
                    Lease::Forever
                };
                bench.out_leased(r#"("mine", 1)"#, lease);
                let before = content(&bench.spaces);
                let mut body = String::new();
                for (index, (name, kind)) in call.parameters.iter().enumerate() {
                    let value = match *name {
                        _ if index == bad => i64::from(address as i32),
                        "space" => -1,
                        "tuple" => 0,
                        "template" => 32,
                        "tuple_len" => tuple_len as i64,
                        "template_len" => template_len as i64,
                        "after" => -1,
                        "limit" | "position" | "take" => 1,
                        "into" => 128,
                        "room" => 64,
                        _ => 16,
                    };
                    body += &format!("{}.const {value} ", kind.wasm());
                }
                // So that `result` has something to give: a match without room.
                let fill = format!(
                    "i32.const -1 i32.const 32 i32.const {template_len} i32.const 0 i32.const 0 call $rdp drop "
                );
                body = format!("{fill} {body} call ${}", call.name);
                if call.result.is_some() {
                    body += " drop";
                }
                let report = bench.run_instead_of(
                    &module_with(&body, &bytes),
                    &Operation::Cas {
                        template: template("(1)"),
                        tuple: tuple("(1)"),
                        lease: Lease::Forever,
                    },
                );
                // `cas` finds the tuple and so would write it; all others must fail too.
                assert_eq!(
                    answered(&report),
                    Err(FailureCode::BadArgument),
                    "{} with {} at {address:#x}",
                    call.name,
                    call.parameters[bad].0,
                );
                assert_eq!(content(&bench.spaces), before, "{}", call.name);
                tried += 1;
            }
        }
    }
    assert!(tried >= 100, "only {tried} pointers were tried");
}

#[test]
fn lengths_beyond_the_memory_end_the_call() {
    for (address, len) in [
        (0, 65_537u32),
        (1, 65_536),
        (65_536, 1),
        (16, u32::MAX),
        (u32::MAX, u32::MAX),
    ] {
        let mut bench = Bench::new();
        bench.manifest.fuel = bezant_manifest::limits::MAX_FUEL;
        let body = format!(
            "i32.const -1 i32.const {} i32.const {} call $out",
            address as i32, len as i32
        );
        let code = bench.failure(&module(&body));
        // A length is paid for before it is looked at.
        assert!(
            matches!(code, FailureCode::BadArgument | FailureCode::OutOfFuel),
            "{address} {len}: {code:?}"
        );
    }
}

#[test]
fn bytes_that_are_no_tuple_end_the_call() {
    for bytes in [
        &[][..],
        &[1],
        &[1, 9],
        &[1, 0, 0],
        &[0x81, 0],
        &[33],
        &[1, 3, 1, 0xff],
    ] {
        let body = format!(
            "i32.const -1 i32.const 0 i32.const {} call $out",
            bytes.len()
        );
        let code = Bench::new().failure(&module_with(&body, &data(0, bytes)));
        assert_eq!(code, FailureCode::BadArgument, "{bytes:?}");
    }
}

#[test]
fn forged_space_handles_and_missing_rights_end_the_call() {
    let (bytes, tuple_len, template_len) = one_tuple();
    let out = |space: i32| format!("i32.const {space} i32.const 0 i32.const {tuple_len} call $out");
    for space in [2, 17, i32::MAX, -2, i32::MIN] {
        let code = Bench::new().failure(&module_with(&out(space), &bytes));
        assert_eq!(code, FailureCode::Capability, "{space}");
    }
    let mut bench = Bench::new();
    assert_eq!(
        bench.failure(&module_with(&out(1), &bytes)),
        FailureCode::Capability,
        "read only"
    );
    let read = format!(
        "i32.const 1 i32.const 32 i32.const {template_len} i32.const 0 i32.const 0 call $rdp drop"
    );
    assert_eq!(
        bench.failure(&module_with(&read, &bytes)),
        FailureCode::NoReply,
        "reading is allowed"
    );

    // Each call needs its right; without it nothing else is enough.
    let two = format!("i32.const 32 i32.const {template_len} i32.const 0 i32.const {tuple_len}");
    let room = "i32.const 128 i32.const 64";
    let asked = format!("i32.const 32 i32.const {template_len}");
    for (call, needed) in [
        (
            format!("i32.const -1 {asked} {room} call $rdp drop"),
            Access::READ,
        ),
        (
            format!("i32.const -1 {asked} i32.const 1 i64.const -1 {room} call $rd_all drop"),
            Access::READ,
        ),
        (
            format!("i32.const -1 {asked} call $count drop"),
            Access::READ,
        ),
        (
            format!("i32.const -1 {asked} i32.const 1 {room} call $rdp_min drop"),
            Access::READ,
        ),
        (
            format!("i32.const -1 {asked} {room} call $inp drop"),
            Access::TAKE,
        ),
        (
            format!("i32.const -1 {asked} i32.const 1 {room} call $inp_min drop"),
            Access::TAKE,
        ),
        (
            format!("i32.const -1 {two} {room} call $cas drop"),
            Access::READ.and(Access::INSERT),
        ),
        (
            format!("i32.const -1 {two} {room} call $replace drop"),
            Access::TAKE.and(Access::INSERT),
        ),
        (out(-1), Access::INSERT),
    ] {
        for access in [
            Access::READ,
            Access::INSERT,
            Access::TAKE,
            Access::READ.and(Access::TAKE),
            Access::ALL,
        ] {
            let mut bench = Bench::new();
            bench.manifest.capabilities[0].access = access;
            let code = bench.failure(&module_with(&call, &bytes));
            let expected = if access.includes(needed) {
                FailureCode::NoReply
            } else {
                FailureCode::Capability
            };
            assert_eq!(code, expected, "{call} with {access:?}");
        }
    }
}

#[test]
fn write_then_fail_leaves_nothing() {
    let (bytes, tuple_len, template_len) = one_tuple();
    let write = format!(
        "i32.const -1 i32.const 0 i32.const {tuple_len} call $out
         i32.const -1 i32.const 32 i32.const {template_len} i32.const 0 i32.const 0 call $inp drop
         i32.const -1 i32.const 0 i32.const {tuple_len} call $out"
    );
    for (end, code) in [
        ("unreachable", FailureCode::Trap),
        ("loop br 0 end", FailureCode::OutOfFuel),
        ("i32.const 9 call $refuse", FailureCode::Refused(9)),
        ("", FailureCode::NoReply),
        (
            "i32.const 7 i32.const 0 i32.const 9 call $out",
            FailureCode::Capability,
        ),
    ] {
        let mut bench = Bench::new();
        bench.out(r#"("mine", 1)"#);
        bench.out(r#"("theirs", 2)"#);
        let before = content(&bench.spaces);
        let wasm = module_with(&format!("{write} {end}"), &bytes);
        assert_eq!(bench.failure(&wasm), code);
        assert_eq!(content(&bench.spaces), before, "after {code:?}");
    }
}

#[test]
fn a_success_keeps_its_effects() {
    let (bytes, tuple_len, _) = one_tuple();
    let mut bench = Bench::new();
    let body = format!("i32.const -1 i32.const 0 i32.const {tuple_len} call $out {REPLY}");
    let report = bench.run(&module_with(&body, &(bytes + &no_match())));
    assert_eq!(answered(&report), Ok(Outcome::Match(None)));
    let found = plain(
        &mut bench.spaces,
        "here",
        &Operation::Rdp {
            template: template(r#"("mine", ?int)"#),
        },
    );
    assert_eq!(found, Outcome::Match(Some(tuple(r#"("mine", 1)"#))));
}

#[test]
fn a_refusal_of_the_space_ends_the_call() {
    let (bytes, tuple_len, _) = one_tuple();
    let mut bench = Bench::new();
    bench.manifest.capabilities[1].space = name("missing");
    bench.manifest.capabilities[1].access = Access::ALL;
    let body = format!("i32.const 1 i32.const 0 i32.const {tuple_len} call $out");
    let no_such_space = bezant_tuplespace::Refusal::NoSuchSpace.code();
    assert_eq!(
        bench.failure(&module_with(&body, &bytes)),
        FailureCode::Space(no_such_space)
    );
}

#[test]
fn pages_and_positions_are_checked() {
    let (bytes, _, template_len) = one_tuple();
    let asked = format!("i32.const -1 i32.const 32 i32.const {template_len}");
    let room = "i32.const 128 i32.const 64";
    for call in [
        format!("{asked} i32.const 0 i64.const -1 {room} call $rd_all drop"),
        format!("{asked} i32.const 257 i64.const -1 {room} call $rd_all drop"),
        format!("{asked} i32.const 1 i64.const -2 {room} call $rd_all drop"),
        format!("{asked} i32.const 2 {room} call $rdp_min drop"),
        format!("{asked} i32.const -1 {room} call $inp_min drop"),
    ] {
        let code = Bench::new().failure(&module_with(&call, &bytes));
        assert_eq!(code, FailureCode::BadArgument, "{call}");
    }
}

#[test]
fn a_flood_of_log_lines_is_cut_off_and_costs_the_same() {
    let line = module_with(
        &format!(
            "(local i32) i32.const 100 local.set 0 loop i32.const 200 i32.const 100 call $log local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end {REPLY}"
        ),
        &(no_match() + &data(200, &[b'a'; 100])),
    );
    let mut bench = Bench::new();
    assert!(bench.run(&line).result.is_ok());
    assert_eq!(bench.log.len(), 40, "4096 bytes of lines of 100");
    let no_text = module_with("i32.const 0 i32.const 1 call $log", &data(0, &[0xff]));
    assert_eq!(bench.failure(&no_text), FailureCode::BadArgument);
}

#[test]
fn the_same_call_burns_the_same_in_every_engine() {
    let (bytes, tuple_len, template_len) = one_tuple();
    let body = format!(
        "i32.const -1 i32.const 0 i32.const {tuple_len} call $out
         i32.const -1 i32.const 32 i32.const {template_len} i32.const 128 i32.const 64 call $inp drop
         i32.const 1 memory.grow drop
         (local i32) i32.const 1000 local.set 0
         loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end {REPLY}"
    );
    // Locals stand first in a body.
    let body = body.replacen("(local i32)", "", 1);
    let wasm = module_with(&format!("(local i32) {body}"), &(bytes + &no_match()));
    let mut bench = Bench::new();
    let first = bench.run(&wasm);
    assert!(first.result.is_ok());
    for _ in 0..3 {
        // The same engine again, with a cached stack; another one, as after a restart.
        assert_eq!(bench.run(&wasm), first);
        bench.engine = Engine::new();
        assert_eq!(Bench::new().run(&wasm), first);
    }
}

#[test]
fn nothing_is_left_in_memory_from_one_call_to_the_next() {
    // Traps if the cell is set, then sets it.
    let wasm = module_with(
        &format!(
            "i32.const 500 i32.load if unreachable end i32.const 500 i32.const 1 i32.store {REPLY}"
        ),
        &no_match(),
    );
    let mut bench = Bench::new();
    assert!(bench.run(&wasm).result.is_ok());
    assert!(bench.run(&wasm).result.is_ok());
}

#[test]
fn globals_and_tables_start_anew_too() {
    let wasm = module_with(
        &format!("global.get 0 if unreachable end i32.const 1 global.set 0 {REPLY}"),
        &(no_match() + "(global (mut i32) (i32.const 0))"),
    );
    let mut bench = Bench::new();
    assert!(bench.run(&wasm).result.is_ok());
    assert!(bench.run(&wasm).result.is_ok());
}
