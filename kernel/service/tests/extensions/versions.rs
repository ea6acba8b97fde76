//! Upgrades: one version of an extension is in force, from a proposal on.

use bezant_api::{Answer, Call, ExtensionHash, Installed, Manifest, Refused, Trigger};
use bezant_tuplespace::{OperationKind, Outcome, Refusal};

use crate::town::{ANN, BEN, CAT, DAN, Town, data, on_a, written};

/// A version that answers `rdp` of `("version")` with its number, and writes `(number)` when a
/// tuple `("hello")` comes in.
fn version(number: u32) -> (Manifest, Vec<u8>) {
    let mut reply = vec![1, 1];
    let answer: bezant_tuple::Tuple = format!("({number})").parse().unwrap();
    reply.extend(bezant_tuple::codec::encode_tuple(&answer));
    let escaped: String = reply.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = reply.len();
    let (said, said_length) = data(64, &format!("(\"heard\", {number})"));
    let body = format!(
        "(import \"bezant1\" \"reply\" (func $reply (param i32 i32)))
        (import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) (data (i32.const 0) \"{escaped}\") {said}
        (func (export \"tell\") i32.const 0 i32.const {length} call $reply)
        (func (export \"hear\") i32.const -1 i32.const 64 i32.const {said_length} call $out)"
    );
    let (mut manifest, module) = written(
        "told",
        &[
            (
                Trigger::Operations(vec![OperationKind::Rdp]),
                "(\"version\")",
                "tell",
            ),
            (
                Trigger::Events(vec![bezant_api::EventKind::Inserted]),
                "(\"hello\")",
                "hear",
            ),
        ],
        &body,
    );
    manifest.version = number;
    (manifest, module)
}

fn told(town: &mut Town, who: usize) -> Option<String> {
    town.op(who, "rdp", "(\"version\")")
}

fn upgrade(from: ExtensionHash, number: u32, at: u64) -> Call {
    let (manifest, module) = version(number);
    Call::Upgrade {
        from,
        manifest,
        module,
        at,
    }
}

fn hash_of(answer: &Answer) -> ExtensionHash {
    match answer {
        Answer::Registered { hash } => *hash,
        other => panic!("{other:?}"),
    }
}

fn listed(town: &mut Town, who: usize) -> Vec<Installed> {
    match town.ask(who, &Call::Extensions) {
        Answer::Extensions(all) => all,
        other => panic!("{other:?}"),
    }
}

const ONE: &str = "(1)";
const TWO: &str = "(2)";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn owner_and_followers_go_on_to_the_new_version_and_who_agreed_to_one_keeps_it() {
    let mut town = Town::new();
    let first = town.install(ANN, version(1));
    assert_eq!(
        town.ask(BEN, &Call::Acknowledge { hash: first }),
        Answer::Acknowledged
    );
    assert_eq!(
        town.ask(CAT, &Call::Follow { hash: first }),
        Answer::Acknowledged
    );
    for who in [ANN, BEN, CAT] {
        assert_eq!(told(&mut town, who), some(ONE));
    }
    assert_eq!(told(&mut town, DAN), None);
    let stranger = town.ask(BEN, &upgrade(first, 2, 0));
    assert_eq!(
        stranger,
        Answer::Refused(Refused::Space(Refusal::Forbidden))
    );
    let second = hash_of(&town.ask(ANN, &upgrade(first, 2, 0)));
    assert_eq!(told(&mut town, ANN), some(TWO));
    assert_eq!(told(&mut town, BEN), some(ONE));
    assert_eq!(told(&mut town, CAT), some(TWO));
    assert_eq!(told(&mut town, DAN), None);
    let all = listed(&mut town, BEN);
    assert_eq!(
        all.iter()
            .map(|one| (one.in_force, one.replaces, one.applies))
            .collect::<Vec<_>>(),
        [(false, None, true), (true, Some(first), false)]
    );
    // Of events only the one in force hears.
    town.out(DAN, "(\"hello\")");
    assert_eq!(town.count("(\"heard\", 1)"), 0);
    assert_eq!(town.count("(\"heard\", 2)"), 1);

    assert_eq!(
        town.ask(ANN, &Call::Rollback { hash: first }),
        Answer::Refused(Refused::NoVersionBefore)
    );
    assert_eq!(
        town.ask(CAT, &Call::Rollback { hash: second }),
        Answer::Refused(Refused::Space(Refusal::Forbidden))
    );
    let back = hash_of(&town.ask(ANN, &Call::Rollback { hash: second }));
    assert_eq!(back, first);
    for who in [ANN, BEN, CAT] {
        assert_eq!(told(&mut town, who), some(ONE));
    }
    town.out(DAN, "(\"hello\")");
    assert_eq!(town.count("(\"heard\", 1)"), 1);
    // And once more: it is installed already.
    assert_eq!(hash_of(&town.ask(ANN, &upgrade(first, 2, 0))), second);
    assert_eq!(told(&mut town, CAT), some(TWO));
    assert_eq!(listed(&mut town, ANN).len(), 2);
    // Removed, the one before is in force.
    assert_eq!(
        town.ask(ANN, &Call::Unregister { hash: second }),
        Answer::Changed(true)
    );
    assert_eq!(told(&mut town, CAT), some(ONE));
    assert_eq!(
        town.ask(CAT, &Call::Withdraw { hash: first }),
        Answer::Changed(true)
    );
    assert_eq!(told(&mut town, CAT), None);
    assert_eq!(
        town.ask(ANN, &Call::Unregister { hash: first }),
        Answer::Changed(true)
    );
    assert_eq!(told(&mut town, BEN), None);
}

#[test]
fn a_version_comes_into_force_with_its_proposal_and_not_before() {
    let mut town = Town::new();
    let first = town.install(ANN, version(1));
    // A wait that the old one would have begun goes on.
    let waits = town.start(BEN, "rd", "(\"late\")");
    let at = town.bench.number + 4;
    let second = hash_of(&town.ask(ANN, &upgrade(first, 2, at)));
    assert_eq!(listed(&mut town, ANN)[1].from, Some(at));
    assert_eq!(told(&mut town, ANN), some(ONE));
    // The proposal with the number is the first one.
    assert_eq!(town.bench.number + 1, at);
    assert_eq!(told(&mut town, ANN), some(TWO));
    assert_eq!(listed(&mut town, ANN)[1].from, None);
    town.out(CAT, "(\"late\")");
    assert!(town.delivered(waits).is_some());

    // One that is to come is called off.
    let third = hash_of(&town.ask(ANN, &upgrade(first, 3, u64::MAX)));
    assert_ne!(third, second);
    let still = hash_of(&town.ask(ANN, &Call::Rollback { hash: second }));
    assert_eq!(still, second);
    assert_eq!(listed(&mut town, ANN)[2].from, None);
    assert_eq!(
        town.ask(ANN, &Call::Unregister { hash: third }),
        Answer::Changed(true)
    );
    assert_eq!(told(&mut town, ANN), some(TWO));
}

/// Two extensions of one owner are not versions of each other afterwards.
#[test]
fn an_extension_of_its_own_is_no_version_of_another() {
    let mut town = Town::new();
    let first = town.install(ANN, version(1));
    town.install(ANN, version(2));
    assert_eq!(
        town.ask(ANN, &upgrade(first, 2, 0)),
        Answer::Refused(Refused::Space(Refusal::Forbidden))
    );
    let none = ExtensionHash([0; 32]);
    assert_eq!(
        town.ask(ANN, &upgrade(none, 3, 0)),
        Answer::Refused(Refused::NoSuchExtension)
    );
    let done = town.ask(BEN, &on_a("out", "(1)"));
    assert_eq!(done, Answer::Outcome(Outcome::Done));
}

/// The same call burns what the version in force charges, from its proposal on.
#[test]
fn prices_change_at_a_proposal() {
    let mut town = Town::with("queue");
    let admin_command =
        |version, at| Call::AdminCommand(bezant_api::AdminCommand::Engine(version, at));
    let burnt = |town: &mut Town| {
        let before = town.bench.kernel.tallied()[0].tally.fuel;
        town.out(ANN, "(\"element\", 1, 1)");
        town.op(ANN, "inp", "(\"head\")");
        town.bench.kernel.tallied()[0].tally.fuel - before
    };
    assert_eq!(
        town.ask(ANN, &admin_command(2, 0)),
        Answer::Refused(Refused::NotOperator)
    );
    assert_eq!(
        town.as_operator(&admin_command(9, 0)),
        Answer::Refused(Refused::NoSuchEngine)
    );
    let first = burnt(&mut town);
    let at = town.bench.number + 5;
    assert_eq!(
        town.as_operator(&admin_command(2, at)),
        Answer::Changed(true)
    );
    assert_eq!(burnt(&mut town), first);
    while town.bench.number + 1 < at {
        assert_eq!(town.bench.kernel.engine(), 1);
        town.tick(1);
    }
    let second = burnt(&mut town);
    assert_eq!(town.bench.kernel.engine(), 2);
    assert!(second < first, "{second} and {first}");
    assert_eq!(
        town.as_operator(&admin_command(2, 0)),
        Answer::Changed(false)
    );
    assert_eq!(
        town.as_operator(&admin_command(1, 0)),
        Answer::Changed(true)
    );
    assert_eq!(burnt(&mut town), first);
}
