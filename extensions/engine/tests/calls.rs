//! The host calls that succeed: what a guest asks for is what it gets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_extensions::abi;
use bezant_tuple::codec::{encode_template, encode_tuple};
use bezant_tuplespace::{Operation, Outcome};
use common::{Bench, answered, data, module_with, plain, template, tuple};

/// Calls what `body` says with `(_, ?int)` at 0 (`$asked` its length) and `("new", 9)` at
/// 64 (`$given` its length); its result, a length, is of a tuple at 256, which becomes the
/// answer. -1 becomes "no match".
fn answer_with(call: &str) -> Vec<u8> {
    let asked = encode_template(&template("(_, ?int)"));
    let given = encode_tuple(&tuple(r#"("new", 9)"#));
    let call = call
        .replace(
            "$asked",
            &format!("i32.const -1 i32.const 0 i32.const {}", asked.len()),
        )
        .replace("$given", &format!("i32.const 64 i32.const {}", given.len()))
        .replace("$room", "i32.const 256 i32.const 4096");
    let body = format!(
        "(local $len i32) {call} local.set $len
         local.get $len i32.const -1 i32.eq
         if i32.const 128 i32.const 2 call $reply return end
         local.get $len i32.const 2 i32.add i32.const 254 call $swap call $reply"
    );
    let more = data(0, &asked)
        + &data(64, &given)
        + &data(128, &[1, 0])
        + &data(254, &[1, 1])
        + "(func $swap (param i32 i32) (result i32) local.get 0 global.set $length local.get 1)
           (global $length (mut i32) (i32.const 0))";
    // `reply` wants the address first.
    let body = body.replace(
        "call $swap call $reply",
        "call $swap global.get $length call $reply",
    );
    module_with(&body, &more)
}

fn filled() -> Bench {
    let mut bench = Bench::new();
    for text in [r#"("b", 5)"#, r#"("a", 3)"#, r#"("c", 3)"#, r#"("other")"#] {
        bench.out(text);
    }
    bench
}

fn left(bench: &mut Bench) -> Vec<String> {
    let all = Operation::RdAll {
        template: template("(_, _)"),
        limit: 99,
        after: None,
    };
    match plain(&mut bench.spaces, "here", &all) {
        Outcome::Page { tuples, .. } => tuples.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_and_writes_do_what_the_operations_do() {
    let match_of = |text: &str| Ok(Outcome::Match(Some(tuple(text))));
    for (call, expected, after) in [
        ("$asked $room call $rdp", match_of(r#"("b", 5)"#), 3),
        (
            "$asked i32.const 1 $room call $rdp_min",
            match_of(r#"("a", 3)"#),
            3,
        ),
        ("$asked $room call $inp", match_of(r#"("b", 5)"#), 2),
        (
            "$asked i32.const 1 $room call $inp_min",
            match_of(r#"("a", 3)"#),
            2,
        ),
        ("$asked $given $room call $cas", match_of(r#"("b", 5)"#), 3),
        (
            "$asked $given $room call $replace",
            match_of(r#"("b", 5)"#),
            3,
        ),
        (
            "i32.const -1 $given call $out i32.const -1",
            Ok(Outcome::Match(None)),
            4,
        ),
    ] {
        let mut bench = filled();
        let report = bench.run(&answer_with(call));
        assert_eq!(answered(&report), expected, "{call}");
        assert_eq!(left(&mut bench).len(), after, "{call}");
    }
}

#[test]
fn without_a_match_there_is_none() {
    for (call, after) in [
        ("$asked $room call $rdp", 0),
        ("$asked i32.const 1 $room call $rdp_min", 0),
        ("$asked $room call $inp", 0),
        ("$asked i32.const 1 $room call $inp_min", 0),
        ("$asked $given $room call $cas", 1),
        ("$asked $given $room call $replace", 0),
    ] {
        let mut bench = Bench::new();
        let report = bench.run(&answer_with(call));
        assert_eq!(answered(&report), Ok(Outcome::Match(None)), "{call}");
        assert_eq!(left(&mut bench).len(), after, "{call}");
    }
}

/// A result without room waits for `result`, once; the effect has happened.
#[test]
fn a_result_without_room_is_fetched_later() {
    let mut bench = filled();
    let call = "$asked i32.const 256 i32.const 3 call $inp drop
                i32.const 256 i32.const 3 call $result drop
                i32.const 256 i32.const 4096 call $result
                i32.const 0 i32.const 0 call $result i32.const -1 i32.ne if unreachable end";
    let report = bench.run(&answer_with(call));
    assert_eq!(
        answered(&report),
        Ok(Outcome::Match(Some(tuple(r#"("b", 5)"#))))
    );
    assert_eq!(left(&mut bench).len(), 2);
}

#[test]
fn counts_are_counted() {
    let asked = encode_template(&template("(_, ?int)"));
    let body = format!(
        "i32.const 101 i32.const -1 i32.const 0 i32.const {} call $count i32.wrap_i64 i32.store8
         i32.const 100 i32.const 2 call $reply",
        asked.len()
    );
    let wasm = module_with(&body, &(data(0, &asked) + &data(100, &[3])));
    let count = Operation::Count {
        template: template("(_)"),
    };
    assert_eq!(
        answered(&filled().run_instead_of(&wasm, &count)),
        Ok(Outcome::Count(3))
    );
}

/// The bytes of a page, given back as the payload of a tuple.
#[test]
fn pages_are_laid_out_as_documented() {
    let asked = encode_template(&template("(_, ?int)"));
    let body = format!(
        "(local i32)
         i32.const -1 i32.const 0 i32.const {} i32.const 2 i64.const -1
         i32.const 304 i32.const 1000 call $rd_all local.set 0
         i32.const 303 local.get 0 i32.store8
         i32.const 299 local.get 0 i32.const 5 i32.add call $reply",
        asked.len()
    );
    // Match(Some(tuple of one field: bytes of the length at 303)).
    let more = data(0, &asked) + &data(299, &[1, 1, 1, 4]);
    let wasm = module_with(&body, &more);
    let mut bench = filled();
    let mut page = Vec::from(2i64.to_le_bytes());
    for text in [r#"("b", 5)"#, r#"("a", 3)"#] {
        let tuple = encode_tuple(&tuple(text));
        page.extend_from_slice(&u32::try_from(tuple.len()).unwrap().to_le_bytes());
        page.extend_from_slice(&tuple);
    }
    let expected = bezant_tuple::Tuple::new(vec![page.into()]).unwrap();
    assert_eq!(
        answered(&bench.run(&wasm)),
        Ok(Outcome::Match(Some(expected)))
    );
}

#[test]
fn the_invocation_is_told_as_it_is() {
    let operation = Operation::RdAll {
        template: template(r#"("x", _)"#),
        limit: 7,
        after: Some("here:9".parse().unwrap()),
    };
    let body = r"
        call $operation i32.const 7 i32.ne if unreachable end
        call $argument_limit i64.const 7 i64.ne if unreachable end
        call $argument_after i64.const 9 i64.ne if unreachable end
        call $now i64.const 1700000000123 i64.ne if unreachable end
        call $sequence i64.const 42 i64.ne if unreachable end
        i32.const 512 call $invoker
        i32.const 512 i64.load i64.const 0xabababababababab i64.ne if unreachable end
        i32.const 536 i64.load i64.const 0xabababababababab i64.ne if unreachable end
        i32.const 544 i32.load8_u if unreachable end
        i32.const 0 i32.const 99 call $argument_tuple i32.const -1 i32.ne if unreachable end
        i32.const 0 i32.const 99 call $argument_template i32.const 6 i32.ne if unreachable end
        i32.const 0 i64.load i64.const 0x0001780103000002 i64.const 0xffffffffffff i64.and drop drop
        i32.const 100 i32.const 3 call $reply";
    let wasm = module_with(&body.replace("i32.const 0 i64.load i64.const 0x0001780103000002 i64.const 0xffffffffffff i64.and drop drop", ""), &data(100, &[2, 0, 0]));
    let report = Bench::new().run_instead_of(&wasm, &operation);
    assert_eq!(
        answered(&report),
        Ok(Outcome::Page {
            tuples: vec![],
            next: None
        })
    );
}

/// A page of the manual, committed; `cargo run -p bezant-extensions --example abi_page`
/// prints it.
#[test]
fn the_committed_header_is_the_generated_one() {
    assert_eq!(
        abi::header(),
        include_str!("../../abi/bezant1.h"),
        "run the example abi_header again"
    );
}

#[test]
fn the_committed_manual_is_the_generated_one() {
    let committed = include_str!("../../../docs/extensions/abi.md");
    assert_eq!(committed, abi::page(), "run the example abi_page again");
}

#[test]
fn the_table_is_sound() {
    for (place, call) in abi::TABLE.iter().enumerate() {
        assert_eq!(
            abi::find(call.name),
            Some(place),
            "{} stands there twice",
            call.name
        );
        assert!(
            call.fuel > 0 && call.doc.trim().ends_with('.'),
            "{}",
            call.name
        );
    }
    assert_eq!(abi::find("no such call"), None);
}
