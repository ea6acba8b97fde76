//! Extensions that subscribe to events: by whose rights, how deep, how many, and what a failure is.

use bezant_api::{Answer, Call, EventKind, Lists, Manifest, Principal, Right, Trigger};
use bezant_bft::service::Service;
use bezant_extensions::limits::MAX_CASCADE_EVENTS;

use crate::{
    fixture::space,
    town::{ANN, BEN, CAT, DAN, Town, data, number_of, on_a, waiting, written},
};

/// One that puts tuples whenever something happens to what matches.
fn echo(name: &str, kind: EventKind, heard: &str, said: &[&str]) -> (Manifest, Vec<u8>) {
    let mut bytes = String::new();
    let mut calls = String::new();
    for (place, text) in said.iter().enumerate() {
        let at = u32::try_from(place * 64).unwrap();
        let (here, length) = data(at, text);
        bytes += &here;
        calls += &format!("i32.const -1 i32.const {at} i32.const {length} call $out ");
    }
    let body = format!(
        "(import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) {bytes} (func (export \"hear\") {calls})"
    );
    written(name, &[(Trigger::Events(vec![kind]), heard, "hear")], &body)
}

#[test]
fn each_kind_of_event_is_dispatched_and_no_other() {
    let mut town = Town::new();
    for kind in EventKind::ALL {
        let name = kind.name();
        let said = format!("(\"heard\", \"{name}\")");
        town.install(ANN, echo(name, kind, "(\"x\", _)", &[&said]));
    }
    let heard = |town: &mut Town, expected: &[&str]| {
        for kind in EventKind::ALL {
            let name = kind.name();
            let text = format!("(\"heard\", \"{name}\")");
            let was = town.op(DAN, "inp", &text).is_some();
            assert_eq!(was, expected.contains(&name), "{name} of {expected:?}");
        }
    };
    town.out(BEN, "(\"x\", 1)");
    heard(&mut town, &["inserted"]);
    town.op(BEN, "inp", "(\"x\", _)");
    heard(&mut town, &["taken"]);
    town.out(BEN, "(\"y\", 1)");
    heard(&mut town, &[]);
    let waits = town.start(CAT, "in", "(\"x\", _)");
    town.out(BEN, "(\"x\", 2)");
    assert!(town.delivered(waits).is_some());
    heard(&mut town, &["inserted", "taken", "served"]);
    let leased = crate::fixture::leased("(\"x\", 3)", 500);
    town.ask(BEN, &leased);
    heard(&mut town, &["inserted"]);
    town.tick(1_000);
    heard(&mut town, &["expired"]);
    town.ask(BEN, &on_a("ephemeral", "(\"x\", 4)"));
    heard(&mut town, &["inserted"]);
    town.comes_back(BEN);
    heard(&mut town, &["session_ended"]);
    // What is undone did not happen.
    town.install(ANN, {
        let body = "(memory (export \"memory\") 1) (func (export \"fail\") unreachable)";
        let on = Trigger::Operations(vec![bezant_tuplespace::OperationKind::Out]);
        written("fails", &[(on, "(\"x\", 9)", "fail")], body)
    });
    town.ask(ANN, &on_a("out", "(\"x\", 9)"));
    heard(&mut town, &[]);
}

/// The one registered first hears first, whatever their hashes.
#[test]
fn subscribers_are_told_in_the_order_of_registration() {
    for order in [["a", "b", "c", "d"], ["d", "c", "b", "a"]] {
        let mut town = Town::new();
        for name in order {
            let said = format!("(\"said\", \"{name}\")");
            town.install(ANN, echo(name, EventKind::Inserted, "(\"x\")", &[&said]));
        }
        town.out(BEN, "(\"x\")");
        for name in order {
            let next = town.op(CAT, "inp", "(\"said\", _)");
            assert_eq!(next, Some(format!("(\"said\", \"{name}\")")));
        }
    }
}

#[test]
fn one_that_fails_hurts_nobody_else() {
    let mut town = Town::new();
    let (first, length) = data(0, "(\"half\")");
    let body = format!(
        "(import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) {first}
        (func (export \"hear\")
            i32.const -1 i32.const 0 i32.const {length} call $out unreachable)"
    );
    let on = Trigger::Events(vec![EventKind::Inserted]);
    town.install(BEN, written("half", &[(on, "(\"x\")", "hear")], &body));
    town.install(
        ANN,
        echo("whole", EventKind::Inserted, "(\"x\")", &["(\"whole\")"]),
    );
    let waits = town.start(CAT, "rd", "(\"half\")");
    town.out(DAN, "(\"x\")");
    assert_eq!(town.count("(\"half\")"), 0);
    assert_eq!(town.answer(waits), None, "served by what was undone");
    assert_eq!(town.count("(\"whole\")"), 1);
    assert_eq!(town.count("(\"x\")"), 1);
    let tallied = town.bench.kernel.tallied();
    assert_eq!((tallied[0].tally.calls, tallied[0].tally.failures), (1, 1));
}

/// Whoever may not read in a space hears nothing of it, and does only what he may.
#[test]
fn it_is_told_and_acts_by_its_owners_rights() {
    let mut town = Town::new();
    let closed = Call::CreateSpaceFor {
        space: space("b"),
        lists: Lists::closed(),
    };
    assert_eq!(town.ask(ANN, &closed), Answer::Created);
    let (mut manifest, module) = echo("spy", EventKind::Inserted, "(\"x\")", &["(\"saw\")"]);
    manifest.subscriptions[0].space = space("b");
    manifest.capabilities[0].space = space("b");
    town.install(BEN, (manifest, module));
    let put = |town: &mut Town| {
        let Call::Space { operation, .. } = on_a("out", "(\"x\")") else {
            panic!()
        };
        town.ask(ANN, &crate::fixture::on(space("b"), operation));
    };
    let calls = |town: &Town| {
        let tally = town.bench.kernel.tallied()[0].tally;
        (tally.calls, tally.failures)
    };
    put(&mut town);
    assert_eq!(calls(&town), (0, 0));
    let grant = |right| Call::Grant {
        space: space("b"),
        right,
        principal: Principal::Client(crate::fixture::client_id(number_of(BEN)).0),
    };
    town.ask(ANN, &grant(Right::Read));
    put(&mut town);
    assert_eq!(calls(&town), (1, 1), "it may see, but not put");
    town.ask(ANN, &grant(Right::Insert));
    put(&mut town);
    assert_eq!(calls(&town), (2, 1));
}

/// What one says another hears, but not for ever.
#[test]
fn a_cascade_has_a_depth() {
    let mut town = Town::new();
    for step in 0..6 {
        let (heard, said) = (
            format!("(\"step\", {step})"),
            format!("(\"step\", {})", step + 1),
        );
        let name = format!("step{step}");
        town.install(ANN, echo(&name, EventKind::Inserted, &heard, &[&said]));
    }
    town.out(BEN, "(\"step\", 0)");
    // The first is of depth 0, and of depth 4 nobody hears.
    assert_eq!(town.count("(\"step\", _)"), 5);
    assert!(town.op(BEN, "rdp", "(\"step\", 4)").is_some());
}

#[test]
fn a_cascade_has_a_size() {
    let mut town = Town::new();
    // Each of the two makes two of the sort that the other hears: 2, 4, 8, 16.
    let six = ["(\"y\")"; 6];
    let again = ["(\"x\")"; 6];
    town.install(ANN, echo("one", EventKind::Inserted, "(\"x\")", &six));
    town.install(ANN, echo("two", EventKind::Inserted, "(\"y\")", &again));
    town.out(BEN, "(\"x\")");
    let mut last = 0;
    // What does not fit into a proposal goes on in the next one, which is due at once.
    while town.bench.kernel.due().is_some() {
        town.tick(1);
        last += 1;
        assert!(last < 100, "without end");
    }
    let calls: u64 = town
        .bench
        .kernel
        .tallied()
        .iter()
        .map(|one| one.tally.calls)
        .sum();
    assert_eq!(calls, 1 + u64::from(MAX_CASCADE_EVENTS));
}

/// More expires at once than one proposal has fuel to deal with.
#[test]
fn mass_expiry_is_carried_over() {
    let mut town = Town::new();
    let mut costly = "(local $i i32) (local.set $i (i32.const 15000)) (loop $again
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (br_if $again (local.get $i)))"
        .to_owned();
    let (bytes, length) = data(0, "(\"gone\")");
    costly += &format!("i32.const -1 i32.const 0 i32.const {length} call $out");
    let body = format!(
        "(import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) {bytes} (func (export \"hear\") {costly})"
    );
    let on = Trigger::Events(vec![EventKind::Expired]);
    let (mut manifest, module) = written("slow", &[(on, "(\"x\", _)", "hear")], &body);
    manifest.fuel = 1_000_000;
    town.install(ANN, (manifest, module));
    for number in 0..300 {
        let text = format!("(\"x\", {number})");
        town.ask(BEN, &crate::fixture::leased(&text, 20_000));
    }
    town.tick(21_000);
    let at_once = town.bench.kernel.tallied()[0].tally.calls;
    assert!(at_once > 10 && at_once < 300, "{at_once} at once");
    assert_eq!(town.bench.kernel.due(), Some(town.bench.kernel.time()));
    let mut proposals = 1;
    while town.bench.kernel.due().is_some() {
        town.tick(1);
        proposals += 1;
    }
    assert!(proposals >= 3, "{proposals}");
    assert_eq!(town.count("(\"gone\")"), 300);
    // What is registered meanwhile does not hear of what happened before.
    assert_eq!(town.bench.kernel.tallied()[0].tally.calls, 300);
}

/// An extension that calls `wait_for` for `(1)` in a space of its own.
fn waits_in_b() -> (Manifest, Vec<u8>) {
    let body = waiting(1, "(1)", false);
    let on = Trigger::Operations(vec![
        bezant_tuplespace::OperationKind::Rdp,
        bezant_tuplespace::OperationKind::Rd,
    ]);
    let (mut manifest, module) = written("waits", &[(on, "(\"wait\")", "run")], &body);
    let mut there = manifest.capabilities[0].clone();
    there.space = space("b");
    manifest.capabilities.push(there);
    (manifest, module)
}

#[test]
fn a_client_waits_by_his_own_right() {
    let mut town = Town::new();
    let closed = Call::CreateSpaceFor {
        space: space("b"),
        lists: Lists::closed(),
    };
    town.ask(ANN, &closed);
    let hash = town.install(ANN, waits_in_b());
    town.ask(BEN, &Call::Acknowledge { hash });
    // Her right to read there is not his.
    let code = crate::recipes::refusal(&mut town, BEN, "rd", "(\"wait\")");
    let forbidden = bezant_tuplespace::Refusal::Forbidden.code();
    assert_eq!(code, bezant_api::FailureCode::Space(forbidden));
    let grant = Call::Grant {
        space: space("b"),
        right: Right::Read,
        principal: Principal::Client(crate::fixture::client_id(number_of(BEN)).0),
    };
    town.ask(ANN, &grant);
    let waits = town.start(BEN, "rd", "(\"wait\")");
    assert_eq!(town.answer(waits), None);
    let Call::Space { operation, .. } = on_a("out", "(1)") else {
        panic!()
    };
    town.ask(ANN, &crate::fixture::on(space("b"), operation));
    assert_eq!(town.delivered(waits), Some("(1)".to_owned()));
    // Whoever asks without waiting is not made to.
    let code = crate::recipes::refusal(&mut town, ANN, "rdp", "(\"wait\")");
    assert_eq!(code, bezant_api::FailureCode::BadReply);
}

/// A search that has to look at many tuples costs more than one that does not.
#[test]
fn looking_at_tuples_is_paid_for() {
    let asks = crate::fixture::template("(\"a\"*, 5..)");
    let asks = bezant_tuple::codec::encode_template(&asks);
    let escaped: String = asks.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = asks.len();
    let body = format!(
        "(import \"bezant1\" \"count\" (func $count (param i32 i32 i32) (result i64)))
        (memory (export \"memory\") 1) (data (i32.const 0) \"{escaped}\")
        (func (export \"run\")
            i32.const -1 i32.const 0 i32.const {length} call $count drop)"
    );
    let burnt = |tuples: u32| {
        let mut town = Town::new();
        let on = Trigger::Operations(vec![bezant_tuplespace::OperationKind::Rdp]);
        town.install(ANN, written("counts", &[(on, "(\"count\")", "run")], &body));
        for number in 0..tuples {
            town.out(ANN, &format!("(\"a{number}\", {number})"));
        }
        crate::recipes::refusal(&mut town, ANN, "rdp", "(\"count\")");
        town.bench.kernel.tallied()[0].tally.fuel
    };
    assert!(
        burnt(60) > burnt(1) + 1_000,
        "{} and {}",
        burnt(60),
        burnt(1)
    );
}

/// One that keeps answers from those who wait, and is told by a tuple when it did.
fn keeper() -> (Manifest, Vec<u8>) {
    let (bytes, length) = data(0, "(\"kept\")");
    let body = format!(
        "(import \"bezant1\" \"hold_back\" (func $hold (result i32)))
        (import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) {bytes}
        (func (export \"hear\") (if (call $hold)
            (then i32.const -1 i32.const 0 i32.const {length} call $out)))"
    );
    let on = Trigger::Events(vec![EventKind::Served]);
    written("keeper", &[(on, "(\"x\", _)", "hear")], &body)
}

/// The tuple and who waits for it are as before, for those who agreed and for nobody else.
#[test]
fn a_delivery_is_revoked_of_those_who_agreed() {
    let mut town = Town::new();
    let hash = town.install(ANN, keeper());
    // He did not agree.
    let free = town.start(BEN, "in", "(\"x\", 1)");
    town.out(DAN, "(\"x\", 1)");
    assert!(town.delivered(free).is_some());
    assert_eq!(town.bench.kernel.tallied()[0].tally.failures, 1);

    town.ask(CAT, &Call::Acknowledge { hash });
    let takes = town.start(CAT, "in", "(\"x\", 2)");
    let reads = town.start(CAT, "rd", "(\"x\", ?int)");
    town.out(DAN, "(\"x\", 2)");
    assert_eq!((town.answer(takes), town.answer(reads)), (None, None));
    assert_eq!(town.count("(\"kept\")"), 2);
    assert_eq!(town.bench.kernel.waiting().count(), 2);
    // It is there, for whoever asks.
    assert_eq!(
        town.op(BEN, "rdp", "(\"x\", 2)"),
        Some("(\"x\", 2)".to_owned())
    );
    // Taken back, the next one gets a delivery.
    assert_eq!(
        town.ask(CAT, &Call::Withdraw { hash }),
        Answer::Changed(true)
    );
    town.out(DAN, "(\"x\", 2)");
    assert!(town.delivered(takes).is_some() && town.delivered(reads).is_some());
    assert_eq!(town.count("(\"x\", _)"), 1);
    assert_eq!(town.bench.kernel.waiting().count(), 0);
}

/// What held an answer back and then failed did not hold it back.
#[test]
fn a_failure_lets_the_answer_go() {
    let mut town = Town::new();
    let body = "(import \"bezant1\" \"hold_back\" (func $hold (result i32)))
        (memory (export \"memory\") 1) (func (export \"hear\") call $hold drop unreachable)";
    let on = Trigger::Events(vec![EventKind::Served]);
    town.install(ANN, written("fails", &[(on, "(\"x\")", "hear")], body));
    let waits = town.start(ANN, "in", "(\"x\")");
    town.out(BEN, "(\"x\")");
    assert_eq!(town.delivered(waits), Some("(\"x\")".to_owned()));
    assert_eq!(town.count("(\"x\")"), 0);
    assert_eq!(town.bench.kernel.waiting().count(), 0);
}

/// Failing is not cheaper: what was burnt before counts, or one that always fails at the end would
/// have as much of each proposal as it likes.
#[test]
fn one_that_fails_has_its_share_of_a_proposal_all_the_same() {
    let calls_at_once = |end: &str| {
        let mut town = Town::new();
        let body = format!(
            "(memory (export \"memory\") 1) (func (export \"hear\")
            (local $i i32) (local.set $i (i32.const 15000)) (loop $again
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $again (local.get $i))) {end})"
        );
        let on = Trigger::Events(vec![EventKind::Expired]);
        let (mut manifest, module) = written("slow", &[(on, "(\"x\", _)", "hear")], &body);
        manifest.fuel = 1_000_000;
        town.install(ANN, (manifest, module));
        for number in 0..300 {
            let text = format!("(\"x\", {number})");
            town.ask(BEN, &crate::fixture::leased(&text, 20_000));
        }
        town.tick(21_000);
        let tally = town.bench.kernel.tallied()[0].tally;
        (tally.calls, tally.failures)
    };
    let (good, none) = calls_at_once("");
    assert!(good > 10 && good < 300 && none == 0, "{good} at once");
    let (bad, failed) = calls_at_once("unreachable");
    assert_eq!(bad, failed);
    assert!(
        bad.abs_diff(good) <= 1,
        "{bad} that fail, {good} that do not"
    );
}

/// However slowly extensions hear, what waits for its dispatch has a bound.
#[test]
fn pending_events_are_bounded() {
    let mut town = Town::new();
    // Each tuple that comes in wants all the fuel that an event may have.
    let on = Trigger::Events(vec![EventKind::Expired]);
    let body = "(memory (export \"memory\") 1) (func (export \"hear\") (loop br 0))";
    let (mut manifest, module) = written("slow", &[(on, "(_, _)", "hear")], body);
    manifest.fuel = 10_000_000;
    town.install(ANN, (manifest, module));
    let long = "x".repeat(60_000);
    for number in 0..300 {
        let text = format!("(\"{long}\", {number})");
        town.ask(BEN, &crate::fixture::leased(&text, 20_000));
    }
    town.tick(25_000);
    // Ten at a time, and of all only so many as there was room for.
    let calls = |town: &Town| town.bench.kernel.tallied()[0].tally.calls;
    assert_eq!(calls(&town), 10);
    while town.bench.kernel.due().is_some() {
        town.tick(1);
    }
    let room = u64::try_from(bezant_extensions::limits::MAX_PENDING_EVENT_BYTES / 60_000).unwrap();
    assert!(
        (room - 2..=room).contains(&calls(&town)),
        "{} of {room}",
        calls(&town)
    );
    assert_eq!(town.count("(_, _)"), 0);
}
