//! Who acts when an extension does: in whose session, at whose expense and with whose eyes;
//! and that nothing of it is left to whoever asks next.

use std::collections::BTreeSet;

use bezant_api::{
    AdminCommand, Answer, Audience, Call, EventKind, Group, Manifest, Principal, Trigger,
};
use bezant_tuplespace::{Lease, Operation, OperationKind, Outcome, Quota};

use crate::{
    fixture::{client_id, on, space, template, tuple},
    town::{ANN, BEN, CAT, Town, data, number_of, on_a, written},
};

const SECRET: &str = "(\"secret\")";

fn key_of(who: usize) -> [u8; 32] {
    client_id(number_of(who)).0
}

/// Ann puts a tuple that is there for one client only.
fn put_for(town: &mut Town, principal: usize, text: &str) {
    let only = || Some(BTreeSet::from([Principal::Client(key_of(principal))]));
    let audience = Audience {
        readers: only(),
        takers: only(),
    };
    let operation = Operation::OutTo {
        tuple: tuple(text),
        lease: Lease::Forever,
        audience: Box::new(audience),
    };
    let done = town.ask(ANN, &on(space("a"), operation));
    assert_eq!(done, Answer::Outcome(Outcome::Done));
}

/// The encoding of a template, as data of a module at address `at`, and its length.
fn asked(at: u32, text: &str) -> (String, usize) {
    let bytes = bezant_tuple::codec::encode_template(&template(text));
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    (
        format!("(data (i32.const {at}) \"{escaped}\")"),
        bytes.len(),
    )
}

/// One that reads the secret whenever it is called, and says so with `("seen")`: as a policy,
/// instead of `rdp` of `("run")`, and when an `("x")` comes in. Instead of the operation it
/// also puts the ephemeral `("mine")`.
fn onlooker() -> (Manifest, Vec<u8>) {
    let (secret, secret_length) = asked(0, SECRET);
    let (seen, seen_length) = data(64, "(\"seen\")");
    let (mine, mine_length) = data(128, "(\"mine\")");
    let look = format!(
        "i32.const -1 i32.const 0 i32.const {secret_length} i32.const 256 i32.const 64 call $rdp"
    );
    let say = format!(
        "{look} i32.const 0 i32.ge_s
        if i32.const -1 i32.const 64 i32.const {seen_length} call $out end"
    );
    // The answer is that nothing matched.
    let body = format!(
        "(import \"bezant1\" \"rdp\" (func $rdp (param i32 i32 i32 i32 i32) (result i32)))
        (import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (import \"bezant1\" \"out_leased\" (func $leased (param i32 i32 i32 i64)))
        (import \"bezant1\" \"reply\" (func $reply (param i32 i32)))
        (memory (export \"memory\") 1) {secret} {seen} {mine} (data (i32.const 192) \"\\01\\00\")
        (func (export \"judge\") {look} drop)
        (func (export \"hear\") {say})
        (func (export \"run\") {say}
            i32.const -1 i32.const 128 i32.const {mine_length} i64.const 0 call $leased
            i32.const 192 i32.const 2 call $reply)"
    );
    let judged = vec![OperationKind::Out, OperationKind::Rdp, OperationKind::Count];
    written(
        "onlooker",
        &[
            (Trigger::Judges(judged), "(_)", "judge"),
            (
                Trigger::Operations(vec![OperationKind::Rdp]),
                "(\"run\")",
                "run",
            ),
            (
                Trigger::Events(vec![EventKind::Inserted]),
                "(\"x\")",
                "hear",
            ),
        ],
        &body,
    )
}

/// A secret of Ann's, and her onlooker for everyone.
fn looked_upon() -> Town {
    let mut town = Town::new();
    put_for(&mut town, ANN, SECRET);
    let hash = town.install(ANN, onlooker());
    let space = space("a");
    let attached = town.ask(ANN, &Call::Attach { space, hash });
    assert_eq!(attached, Answer::Changed(true));
    town
}

/// Before each operation a policy looks, one is answered by an extension that looks, and
/// another brings about an event of which it hears: with its owner's eyes each time. Every
/// operation of the client, in the same request and in the next ones, has the client's.
#[test]
fn what_an_extension_sees_its_callers_do_not() {
    let mut town = looked_upon();
    let count = || Operation::Count {
        template: template(SECRET),
    };
    let rdp = |text: &str| Operation::Rdp {
        template: template(text),
    };
    let out = Operation::Out {
        tuple: tuple("(\"x\")"),
        lease: Lease::Forever,
    };
    let here = || space("a");
    let group = Group::new()
        .act(here(), count())
        .act(here(), rdp("(\"run\")"))
        .act(here(), count())
        .act(here(), out)
        .act(here(), rdp(SECRET));
    let nothing = Outcome::Match(None);
    let none = Outcome::Count(0);
    let outcomes = vec![none.clone(), nothing.clone(), none, Outcome::Done, nothing];
    let unmet = None;
    assert_eq!(
        town.ask(BEN, &Call::Group(group)),
        Answer::Group { unmet, outcomes }
    );
    assert_eq!(town.count("(\"seen\")"), 2, "it did see it itself");
    for who in [BEN, CAT] {
        assert_eq!(town.op(who, "rdp", SECRET), None);
        assert_eq!(town.op(who, "inp", SECRET), None);
    }
    assert!(town.op(ANN, "rdp", SECRET).is_some());
    assert_eq!(town.op(BEN, "rdp", SECRET), None, "nor after its owner");
}

/// It is the client who waits and gets the tuple: one that is not for it passes by, whether it
/// is there already or comes later, and though the extension's owner sees it.
#[test]
fn a_wait_through_an_extension_sees_what_its_client_sees() {
    let mut town = Town::new();
    let (wanted, length) = asked(0, "(1)");
    let body = format!(
        "(import \"bezant1\" \"wait_for\" (func $wait (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1) {wanted}
        (func (export \"run\")
            i32.const -1 i32.const 0 i32.const {length} i32.const 1 call $wait drop)"
    );
    let on = Trigger::Operations(vec![OperationKind::Rd]);
    let hash = town.install(ANN, written("waits", &[(on, "(\"wait\")", "run")], &body));
    town.ask(BEN, &Call::Acknowledge { hash });
    put_for(&mut town, ANN, "(1)");
    let waits = town.start(BEN, "rd", "(\"wait\")");
    assert_eq!(town.answer(waits), None, "there, but not for him");
    put_for(&mut town, ANN, "(1)");
    assert_eq!(town.answer(waits), None, "come, but not for him");
    put_for(&mut town, BEN, "(1)");
    assert_eq!(town.delivered(waits), Some("(1)".to_owned()));
}

/// What runs instead of an operation acts in the session and at the expense of whoever called
/// it; what hears of an event was called by nobody, so its owner pays.
#[test]
fn who_calls_an_extension_pays_and_for_an_event_its_owner_does() {
    let mut town = looked_upon();
    for who in [ANN, BEN] {
        let quota = Quota {
            tuples: 9,
            bytes: 9_999,
        };
        let allot = Call::AdminCommand(AdminCommand::Allot(key_of(who), quota));
        assert_eq!(town.as_operator(&allot), Answer::Changed(true));
    }
    let held = |town: &mut Town| {
        [ANN, BEN].map(
            |who| match town.ask(who, &Call::Permissions { after: None }) {
                Answer::Permissions(permissions) => permissions.account.unwrap().tuples,
                other => panic!("{other:?}"),
            },
        )
    };
    assert_eq!(town.op(BEN, "rdp", "(\"run\")"), None);
    assert_eq!(town.count("(\"seen\")"), 1);
    assert_eq!(town.count("(\"mine\")"), 1);
    assert_eq!(held(&mut town), [0, 2]);
    let put = town.ask(BEN, &on_a("out", "(\"x\")"));
    assert_eq!(put, Answer::Outcome(Outcome::Done));
    assert_eq!(town.count("(\"seen\")"), 2);
    assert_eq!(held(&mut town), [1, 3]);
    town.comes_back(ANN);
    assert_eq!(town.count("(\"mine\")"), 1, "it is not its owner's");
    town.comes_back(BEN);
    assert_eq!(town.count("(\"mine\")"), 0);
    assert_eq!(held(&mut town), [1, 2]);
}
