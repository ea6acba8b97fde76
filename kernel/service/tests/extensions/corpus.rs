//! Hostile modules, by what they try. What is to become of each is said beside it; and all of
//! it, fuel included, is the same on a replica that was just given the state ([`Town`]), and in
//! builds with and without optimization ([`SAME_EVERYWHERE`]).

use std::{fmt::Write as _, time::Instant};

use bezant_api::{Answer, Call, FailureCode, Refused, Rule, Trigger};
use bezant_extensions::{abi, check_extension};
use bezant_tuplespace::{Lease, Operation, OperationKind, Refusal};

use crate::{
    fixture::{on, space, tuple},
    town::{ANN, BEN, Town, data, on_a, written},
};

/// A digest over the answers to all modules, with their fuel. It changes when prices do, and
/// with what decides a result; then it is set anew. A build that gives another one would part
/// from the other replicas.
const SAME_EVERYWHERE: u64 = 0xec6d_1fc4_9a99_b45f;

/// What is to become of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is not installed.
    Rejected(Rule),
    /// Its call fails.
    Fails(FailureCode),
    /// Its call answers.
    Answers,
    /// Its caller waits.
    Waits,
}

use Fate::{Answers, Fails, Rejected, Waits};

/// A module around the body of `run`, with all host calls, and more if it is to have more.
fn full(body: &str, more: &str) -> String {
    let mut imports = String::new();
    for call in abi::TABLE {
        let parameters = call.parameters.iter();
        let parameters: String = parameters
            .map(|(_, kind)| format!(" {}", kind.wasm()))
            .collect();
        let result = call
            .result
            .map_or(String::new(), |kind| format!("(result {})", kind.wasm()));
        let name = call.name;
        let _ = write!(
            imports,
            "(import \"bezant1\" \"{name}\" (func ${name} (param{parameters}) {result}))"
        );
    }
    let (bytes, _) = data(0, "(7)");
    let asks = bezant_tuple::codec::encode_template(&crate::fixture::template("(?int)"));
    let asks: String = asks.iter().map(|byte| format!("\\{byte:02x}")).collect();
    // At 0 the tuple (7), at 32 the template (?int), at 48 an answer to `rd`, at 64 no match.
    format!(
        "{imports} (memory (export \"memory\") 1) {bytes} (data (i32.const 32) \"{asks}\")
        (data (i32.const 48) \"\\01\\01\\01\\02\\0e\") (data (i32.const 64) \"\\01\\00\")
        {more} (func (export \"run\") {body})"
    )
}

fn plain(body: &str) -> String {
    format!("(memory (export \"memory\") 1) (func (export \"run\") {body})")
}

const OUT: &str = "i32.const -1 i32.const 0 i32.const 3 call $out ";
const REPLY: &str = "i32.const 48 i32.const 5 call $reply ";
const WAIT: &str = "i32.const -1 i32.const 32 i32.const 3 i32.const 0 call $wait_for drop ";

/// What never comes to an end, or wants too much.
fn greedy() -> Vec<(&'static str, String, Fate)> {
    let fuel = Fails(FailureCode::OutOfFuel);
    let ladder: String = (0..400).map(|_| "(block ").collect();
    let targets: String = (0..400).map(|to| format!("{to} ")).collect();
    let ladder_ends = ")".repeat(400);
    vec![
        ("endless loop", plain("(loop br 0)"), fuel),
        ("loop in a loop", plain("(loop (loop br 1))"), fuel),
        (
            "loop of host calls",
            full("(loop call $now drop br 0)", ""),
            fuel,
        ),
        (
            "loop of searches",
            full(
                "(loop i32.const -1 i32.const 32 i32.const 3 call $count drop br 0)",
                "",
            ),
            fuel,
        ),
        (
            "loop of tuples",
            full(&format!("(loop {OUT} br 0)"), ""),
            fuel,
        ),
        (
            "loop of wakes",
            full(
                "(loop i32.const -1 i32.const 0 i32.const 3 call $wake drop br 0)",
                "",
            ),
            fuel,
        ),
        (
            "flood of log lines",
            full("(loop i32.const 0 i32.const 4000 call $log br 0)", ""),
            fuel,
        ),
        (
            "ladder of branches",
            plain(&format!(
                "(local i32) (loop {ladder} local.get 0 i32.const 1 i32.add local.tee 0
                (br_table {targets} 400) {ladder_ends} br 0)"
            )),
            fuel,
        ),
        (
            "recursion without end",
            full("call $down", "(func $down call $down)"),
            Fails(FailureCode::Limit),
        ),
        (
            "recursion of two",
            full("call $a", "(func $a call $b) (func $b call $a)"),
            Fails(FailureCode::Limit),
        ),
        (
            "memory that grows for ever",
            plain("(loop i32.const 1 memory.grow drop br 0)"),
            fuel,
        ),
        (
            "memory that grows beyond its cap",
            plain("i32.const 1 memory.grow i32.const -1 i32.ne if unreachable end"),
            Fails(FailureCode::NoReply),
        ),
        (
            "filling memory again and again",
            plain("(loop i32.const 0 i32.const 1 i32.const 65536 memory.fill br 0)"),
            fuel,
        ),
        (
            "copying memory over itself",
            plain("(loop i32.const 1 i32.const 0 i32.const 65000 memory.copy br 0)"),
            fuel,
        ),
    ]
}

/// What stops itself.
fn trapping() -> Vec<(&'static str, String, Fate)> {
    let trap = Fails(FailureCode::Trap);
    let more = "(table 2 funcref) (elem (i32.const 0) $one) (func $one (param i32))";
    vec![
        ("unreachable", plain("unreachable"), trap),
        (
            "division by zero",
            plain("i32.const 1 i32.const 0 i32.div_s drop"),
            trap,
        ),
        (
            "remainder by zero",
            plain("i64.const 1 i64.const 0 i64.rem_u drop"),
            trap,
        ),
        (
            "division that overflows",
            plain("i32.const 0x80000000 i32.const -1 i32.div_s drop"),
            trap,
        ),
        (
            "reading outside",
            plain("i32.const 65536 i32.load drop"),
            trap,
        ),
        (
            "reading across the end",
            plain("i32.const 65533 i32.load drop"),
            trap,
        ),
        (
            "writing at the top",
            plain("i32.const -1 i32.const 1 i32.store8"),
            trap,
        ),
        (
            "an address that wraps",
            plain("i32.const -1 i64.const 1 i64.store offset=0xffffffff"),
            trap,
        ),
        (
            "filling outside",
            plain("i32.const 1 i32.const 0 i32.const 65536 memory.fill"),
            trap,
        ),
        (
            "a call through nothing",
            full("i32.const 1 call_indirect", more),
            trap,
        ),
        (
            "a call outside of the table",
            full("i32.const 2 call_indirect", more),
            trap,
        ),
        (
            "a call of another type",
            full("i32.const 0 call_indirect", more),
            trap,
        ),
        (
            "write, then trap",
            full(&format!("{OUT} {REPLY} unreachable"), ""),
            trap,
        ),
        (
            "wait, then trap",
            full(&format!("{WAIT} unreachable"), ""),
            trap,
        ),
    ]
}

/// What misuses the host.
fn lying() -> Vec<(&'static str, String, Fate)> {
    let argument = Fails(FailureCode::BadArgument);
    let reply = Fails(FailureCode::BadReply);
    let capability = Fails(FailureCode::Capability);
    let out = |handle: &str, at: &str, length: &str| {
        full(&format!("{handle} {at} {length} call $out {REPLY}"), "")
    };
    let refusal = |refusal: Refusal| Fails(FailureCode::Space(refusal.code()));
    vec![
        ("no answer", full("", ""), Fails(FailureCode::NoReply)),
        ("an answer", full(REPLY, ""), Answers),
        ("two answers", full(&format!("{REPLY} {REPLY}"), ""), reply),
        ("a wait", full(WAIT, ""), Waits),
        ("two waits", full(&format!("{WAIT} {WAIT}"), ""), reply),
        (
            "a wait and an answer",
            full(&format!("{WAIT} {REPLY}"), ""),
            reply,
        ),
        (
            "no match to one who waits",
            full("i32.const 64 i32.const 2 call $reply", ""),
            reply,
        ),
        (
            "an answer of no bytes",
            full("i32.const 0 i32.const 0 call $reply", ""),
            reply,
        ),
        (
            "an answer with a byte too many",
            full("i32.const 48 i32.const 6 call $reply", ""),
            reply,
        ),
        (
            "an answer from outside",
            full("i32.const 65530 i32.const 100 call $reply", ""),
            argument,
        ),
        (
            "a refusal with the highest code",
            full("i32.const -1 call $refuse", ""),
            Fails(FailureCode::Refused(u32::MAX)),
        ),
        (
            "write, then refuse",
            full(&format!("{OUT} i32.const 3 call $refuse"), ""),
            Fails(FailureCode::Refused(3)),
        ),
        (
            "a forged handle",
            out("i32.const 99", "i32.const 0", "i32.const 3"),
            capability,
        ),
        (
            "a negative handle",
            out("i32.const -2", "i32.const 0", "i32.const 3"),
            capability,
        ),
        (
            "the least handle",
            out("i32.const 0x80000000", "i32.const 0", "i32.const 3"),
            capability,
        ),
        (
            "a tuple outside",
            out("i32.const -1", "i32.const 65536", "i32.const 3"),
            argument,
        ),
        (
            "a tuple that wraps",
            out("i32.const -1", "i32.const -2", "i32.const 4"),
            argument,
        ),
        (
            "a tuple of the whole address space",
            out("i32.const -1", "i32.const 0", "i32.const -1"),
            Fails(FailureCode::OutOfFuel),
        ),
        (
            "half a template for a tuple",
            out("i32.const -1", "i32.const 33", "i32.const 2"),
            argument,
        ),
        (
            "a tuple of nothing",
            out("i32.const -1", "i32.const 200", "i32.const 0"),
            argument,
        ),
        (
            "a page of none",
            full(
                "i32.const -1 i32.const 32 i32.const 3 i32.const 0 i32.const 128 i32.const 64 call $in_all drop",
                "",
            ),
            argument,
        ),
        (
            "a page of too many",
            full(
                "i32.const -1 i32.const 32 i32.const 3 i32.const 257 i32.const 128 i32.const 64 call $in_all drop",
                "",
            ),
            argument,
        ),
        (
            "a position beyond the template",
            full(
                "i32.const -1 i32.const 32 i32.const 3 i32.const 1 i32.const 128 i32.const 64 call $rdp_min drop",
                "",
            ),
            argument,
        ),
        (
            "a lease before now",
            full(
                "i32.const -1 i32.const 0 i32.const 3 i64.const -1 call $out_leased",
                "",
            ),
            argument,
        ),
        (
            "a lease without end",
            full(
                "i32.const -1 i32.const 0 i32.const 3 i64.const 0x7fffffffffffffff call $out_leased",
                "",
            ),
            refusal(Refusal::LeaseOutOfRange),
        ),
        (
            "a tuple of the session's",
            full(
                &format!(
                    "i32.const -1 i32.const 0 i32.const 3 i64.const 0 call $out_leased {REPLY}"
                ),
                "",
            ),
            Answers,
        ),
        (
            "renewing for a negative time",
            full(
                "i32.const -1 i32.const 32 i32.const 3 i64.const -5 i32.const 128 i32.const 64 call $renew drop",
                "",
            ),
            argument,
        ),
        (
            "waiting to take twice",
            full(
                "i32.const -1 i32.const 32 i32.const 3 i32.const 2 call $wait_for drop",
                "",
            ),
            argument,
        ),
        (
            "a log line that is no text",
            full(
                "i32.const 200 i32.const 255 i32.store8 i32.const 200 i32.const 1 call $log",
                "",
            ),
            argument,
        ),
        (
            "a key written outside",
            full("i32.const 65530 call $invoker", ""),
            argument,
        ),
        (
            "a result that nobody waits for",
            full(
                &format!(
                    "i32.const 0 i32.const 0 call $result i32.const -1 i32.ne if unreachable end {REPLY}"
                ),
                "",
            ),
            Answers,
        ),
    ]
}

/// What is not let in.
fn forbidden() -> Vec<(&'static str, String, Fate)> {
    let floats = Rejected(Rule::NoFloats);
    let off = Rejected(Rule::NoProposal);
    let many = Rejected(Rule::Count);
    let exports = Rejected(Rule::Exports);
    let with = |more: &str| format!("{} {more}", plain(""));
    vec![
        ("a float", plain("f32.const 1 drop"), floats),
        (
            "a sum of floats",
            plain("f64.const 1 f64.const 2 f64.add drop"),
            floats,
        ),
        ("a float as a parameter", with("(func (param f32))"), floats),
        (
            "a float as a global",
            with("(global f64 (f64.const 0))"),
            floats,
        ),
        (
            "a float that is loaded",
            plain("i32.const 0 f32.load drop"),
            floats,
        ),
        (
            "a float out of an integer",
            plain("i32.const 0 f64.convert_i32_s drop"),
            floats,
        ),
        (
            "a start function",
            with("(func $start) (start $start)"),
            Rejected(Rule::NoStart),
        ),
        (
            "an import of another module",
            format!("(import \"env\" \"now\" (func (result i64))) {}", plain("")),
            Rejected(Rule::Imports),
        ),
        (
            "an import that there is not",
            format!("(import \"bezant1\" \"fork\" (func)) {}", plain("")),
            Rejected(Rule::Imports),
        ),
        (
            "an import of another type",
            format!(
                "(import \"bezant1\" \"now\" (func (result i32))) {}",
                plain("")
            ),
            Rejected(Rule::Imports),
        ),
        (
            "a memory of somebody else",
            "(import \"bezant1\" \"memory\" (memory 1)) (func (export \"run\"))".to_owned(),
            Rejected(Rule::Imports),
        ),
        (
            "no memory",
            "(func (export \"run\"))".to_owned(),
            Rejected(Rule::Memory),
        ),
        (
            "too much memory",
            "(memory (export \"memory\") 17) (func (export \"run\"))".to_owned(),
            Rejected(Rule::Memory),
        ),
        (
            "memory that is not shown",
            "(memory 1) (func (export \"run\"))".to_owned(),
            exports,
        ),
        (
            "no entry point",
            "(memory (export \"memory\") 1)".to_owned(),
            exports,
        ),
        (
            "an entry point with a parameter",
            "(memory (export \"memory\") 1) (func (export \"run\") (param i32))".to_owned(),
            exports,
        ),
        ("a giant table", with("(table 1000000 funcref)"), many),
        ("too many functions", with(&"(func)".repeat(1_001)), many),
        (
            "too many globals",
            with(&"(global i32 (i32.const 0))".repeat(101)),
            many,
        ),
        (
            "too many segments",
            with(&"(data (i32.const 0) \"x\")".repeat(101)),
            many,
        ),
        (
            "too many parameters",
            with(
                "(func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))",
            ),
            many,
        ),
        (
            "a bomb of locals",
            with(&format!("(func {})", "(local i64)".repeat(501))),
            many,
        ),
        (
            "a name without end",
            with(&format!("(func (export \"{}\"))", "x".repeat(200))),
            Rejected(Rule::Names),
        ),
        ("a vector", plain("v128.const i64x2 0 0 drop"), off),
        ("a reference", plain("ref.null func drop"), off),
        ("a tail call", with("(func $f return_call $f)"), off),
        (
            "two results",
            with("(func (result i32 i32) i32.const 0 i32.const 0)"),
            off,
        ),
        ("a second memory", with("(memory 1)"), off),
        (
            "a memory of 64 bits",
            "(memory (export \"memory\") i64 1) (func (export \"run\"))".to_owned(),
            off,
        ),
    ]
}

fn corpus() -> Vec<(&'static str, String, Fate)> {
    [greedy(), trapping(), lying(), forbidden()].concat()
}

/// What became of a module, and all that was said of it.
fn fate_of(town: &mut Town, module: (bezant_api::Manifest, Vec<u8>)) -> (Fate, String) {
    let (manifest, module) = module;
    let installed = town.ask(BEN, &Call::Register { manifest, module });
    match &installed {
        Answer::Registered { .. } => {}
        Answer::Refused(Refused::Rejected(rejection)) => {
            return (Rejected(rejection.rule), format!("{installed:?}"));
        }
        other => panic!("{other:?}"),
    }
    let asked = town.start(BEN, "rd", "(\"run\")");
    let answer = town.answer(asked).cloned();
    let fate = match &answer {
        None => Waits,
        Some(Answer::Refused(Refused::Extension(failure))) => Fails(failure.code),
        Some(Answer::Outcome(_)) => Answers,
        other => panic!("{other:?}"),
    };
    (fate, format!("{answer:?}"))
}

#[test]
fn each_has_the_fate_that_it_should() {
    let corpus = corpus();
    assert!(corpus.len() >= 60, "only {} modules", corpus.len());
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut wrong = Vec::new();
    for (name, body, expected) in corpus {
        let mut town = Town::new();
        town.out(ANN, "(\"other\")");
        let before = town.count("(_)");
        let on = Trigger::Operations(vec![OperationKind::Rd]);
        let module = written("hostile", &[(on, "(\"run\")", "run")], &body);
        let began = Instant::now();
        let _verdict = check_extension(&module.0, &module.1);
        let took = began.elapsed();
        // Ten times what is promised: the machine may be busy, and this build not fast.
        assert!(took.as_millis() < 500, "{name}: its check took {took:?}");
        let (fate, said) = fate_of(&mut town, module);
        if fate != expected {
            wrong.push(format!("{name}: {fate:?}, not {expected:?}"));
        }
        if !matches!(fate, Answers | Waits) {
            assert_eq!(town.count("(_)"), before, "{name} left something");
            assert!(
                town.bench.kernel.waiting().next().is_none(),
                "{name} left a wait"
            );
        }
        // Life goes on.
        town.out(ANN, "(\"after\")");
        for byte in said.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(digest, SAME_EVERYWHERE, "the new digest is {digest:#x}");
}

/// Cut off anywhere, or with any byte changed, a module is judged and nothing breaks.
#[test]
fn damaged_modules_are_judged() {
    let on = Trigger::Operations(vec![OperationKind::Rd]);
    let (manifest, module) = written("cut", &[(on, "(\"run\")", "run")], &full(REPLY, ""));
    let mut refused = 0;
    for length in 0..module.len() {
        refused += u32::from(check_extension(&manifest, &module[..length]).is_err());
    }
    // Only the names of functions can be cut off as a whole, which mean nothing.
    let accepted = u32::try_from(module.len()).unwrap() - refused;
    assert!(accepted <= 2, "{accepted} cut off are accepted");
    for at in 0..module.len() {
        for flip in [1, 0x80] {
            let mut changed = module.clone();
            changed[at] ^= flip;
            let _verdict = check_extension(&manifest, &changed);
        }
    }
}

/// One that would remove itself, or the object that it is shown as.
#[test]
fn the_services_own_space_is_out_of_reach() {
    let mut town = Town::new();
    let on = Trigger::Operations(vec![OperationKind::Rd]);
    let (mut manifest, module) = written("own", &[(on, "(\"run\")", "run")], &full(REPLY, ""));
    manifest.capabilities[0].space = bezant_tuplespace::SpaceName::reserved("$extensions").unwrap();
    let answer = town.ask(BEN, &Call::Register { manifest, module });
    assert!(
        matches!(
            answer,
            Answer::Refused(Refused::Rejected(rejection))
                if matches!(rejection.rule, Rule::Manifest(_))
        ),
        "it was let in"
    );
}

/// Whatever a call has, it fails with less: at every supply of fuel it ends, nothing is left of
/// it, and two replicas say the same.
#[test]
fn it_ends_at_every_fuel_boundary() {
    let body = format!("{OUT} {WAIT} {OUT}");
    let on_rd = Trigger::Operations(vec![OperationKind::Rd]);
    let (manifest, module) = written("edge", &[(on_rd, "(\"run\")", "run")], &full(&body, ""));
    let whole = {
        let mut town = Town::new();
        town.install(BEN, (manifest.clone(), module.clone()));
        town.start(BEN, "rd", "(\"run\")");
        let tallied = town.bench.kernel.tallied();
        tallied[0].tally.fuel
    };
    assert!(whole > 1_600, "{whole}");
    let mut town = Town::new();
    let put = Operation::Out {
        tuple: tuple("(1)"),
        lease: Lease::Forever,
    };
    let mut boundaries = 0;
    // Every single one near the calls of the host, and some of the others.
    for fuel in (1..whole).filter(|fuel| fuel % 7 == 0 || fuel % 800 < 60) {
        let mut less = manifest.clone();
        less.fuel = fuel;
        less.version = u32::try_from(fuel).unwrap();
        let hash = town.install(BEN, (less, module.clone()));
        let failed = match town.ask(BEN, &on_a("rd", "(\"run\")")) {
            Answer::Refused(Refused::Extension(failure)) => failure,
            other => panic!("{fuel}: {other:?}"),
        };
        assert_eq!(failed.code, FailureCode::OutOfFuel, "{fuel}");
        assert_eq!(town.count("(?int)"), 0, "{fuel}");
        assert!(town.bench.kernel.waiting().next().is_none(), "{fuel}");
        town.ask(BEN, &Call::Unregister { hash });
        boundaries += 1;
    }
    assert!(boundaries > 100, "{boundaries}");
    town.ask(ANN, &on(space("a"), put));
    assert_eq!(town.count("(?int)"), 1);
}
