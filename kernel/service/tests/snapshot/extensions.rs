//! Extensions come and go: who may remove one, and what is left of it.

use bezant_api::{Answer, Call, ExtensionHash, Installed, Refused};
use bezant_tuplespace::{Operation, Outcome, Refusal, SpaceName};

use crate::{
    access::{ANN, BEN, House, OPERATOR, refused},
    fixture::{ask, client_id, extension, on, register, template},
};

fn installed(house: &mut House, client: u8, version: u32) -> ExtensionHash {
    match house.ask(client, &register(version)) {
        Answer::Registered { hash } => hash,
        other => panic!("{other:?}"),
    }
}

/// How many objects of extensions there are to read.
fn objects(house: &mut House) -> Answer {
    let operation = Operation::Count {
        template: template("(\"extension\", _, _, _, _)"),
    };
    house.ask(
        BEN,
        &on(SpaceName::reserved("$extensions").unwrap(), operation),
    )
}

fn counted(count: u64) -> Answer {
    Answer::Outcome(Outcome::Count(count))
}

fn told(hash: ExtensionHash, version: u32, applies: bool) -> Installed {
    Installed {
        hash,
        owner: client_id(ANN).0,
        name: extension(version).0.name,
        version,
        applies,
        in_force: true,
        replaces: None,
        from: None,
        attached: Vec::new(),
    }
}

#[test]
fn its_owner_and_operators_remove_an_extension_and_nobody_else() {
    let mut house = House::with_a_space_of_anns();
    let first = installed(&mut house, ANN, 1);
    let second = installed(&mut house, ANN, 0);
    let listed = |applies| {
        let all = vec![told(first, 1, applies), told(second, 0, applies)];
        Answer::Extensions(all)
    };
    assert_eq!(house.ask(ANN, &Call::Extensions), listed(true));
    assert_eq!(house.ask(BEN, &Call::Extensions), listed(false));
    assert_eq!(objects(&mut house), counted(2));
    let remove = |hash| Call::Unregister { hash };
    house.forbids(BEN, &remove(first));
    assert_eq!(house.ask(ANN, &remove(first)), Answer::Changed(true));
    assert_eq!(house.ask(OPERATOR, &remove(second)), Answer::Changed(true));
    assert_eq!(objects(&mut house), counted(0));
    let nothing = Answer::Extensions(Vec::new());
    assert_eq!(house.ask(ANN, &Call::Extensions), nothing);
    house.bench = house.bench.restored();
    let gone = Answer::Refused(Refused::NoSuchExtension);
    assert_eq!(house.ask(ANN, &remove(first)), gone);
    assert_eq!(house.ask(BEN, &Call::Withdraw { hash: first }), gone);
}

/// Before, in between and after it is agreed to, an operation is what it then is.
#[test]
fn an_agreement_is_taken_back() {
    let mut house = House::with_a_space_of_anns();
    let hash = installed(&mut house, ANN, 0);
    let plain = refused(Refusal::Forbidden);
    assert_eq!(house.ask(BEN, &ask(0)), plain);
    let read = crate::access::grant(bezant_api::Right::Read, crate::access::key(BEN));
    house.ask(ANN, &read);
    let none = Answer::Outcome(Outcome::Match(None));
    assert_eq!(house.ask(BEN, &ask(0)), none);
    house.ask(BEN, &Call::Acknowledge { hash });
    let by_extension = house.ask(BEN, &ask(0));
    assert!(
        matches!(by_extension, Answer::Refused(Refused::Extension(_))),
        "{by_extension:?}"
    );
    let withdraw = Call::Withdraw { hash };
    assert_eq!(house.ask(BEN, &withdraw), Answer::Changed(true));
    assert_eq!(house.ask(BEN, &ask(0)), none);
    house.bench = house.bench.restored();
    assert_eq!(house.ask(BEN, &withdraw), Answer::Changed(false));
}
