//! Tuples that are for some clients only: who sees them is who asks, in whatever way.

use std::collections::BTreeSet;

use bezant_api::{
    AdminCommand, Answer, Audience, Call, Condition, Group, GroupName, Principal, Refused, Right,
};
use bezant_tuplespace::{Lease, Operation, Outcome, Refusal};

use crate::{
    access::{ANN, BEN, House, OPERATOR, admin_command, grant, key, refused},
    fixture::{client_id, inp, on, out, rd, space, take, template, tuple},
};

fn team() -> GroupName {
    "team".parse().unwrap()
}

fn join() -> Call {
    admin_command(AdminCommand::Join(team(), client_id(BEN).0))
}

fn leave() -> Call {
    admin_command(AdminCommand::Leave(team(), client_id(BEN).0))
}

pub(crate) fn out_to(text: &str, principal: &Principal) -> Call {
    let list = || Some(BTreeSet::from([principal.clone()]));
    let audience = Audience {
        readers: list(),
        takers: list(),
    };
    let operation = Operation::OutTo {
        tuple: tuple(text),
        lease: Lease::Forever,
        audience: Box::new(audience),
    };
    on(space("a"), operation)
}

fn count() -> Call {
    let template = template("(_)");
    on(space("a"), Operation::Count { template })
}

fn counted(count: u64) -> Answer {
    Answer::Outcome(Outcome::Count(count))
}

fn found(text: &str) -> Answer {
    Answer::Outcome(Outcome::Match(Some(tuple(text))))
}

const NOTHING: Answer = Answer::Outcome(Outcome::Match(None));

/// Ann's space, open to Ben, where one tuple is Ann's own and one the team's.
fn house() -> House {
    let mut house = House::with_a_space_of_anns();
    for right in [Right::Insert, Right::Read, Right::Take] {
        house.ask(ANN, &grant(right, key(BEN)));
    }
    house.allows(ANN, &out_to("(1)", &key(ANN)));
    house.allows(ANN, &out_to("(2)", &Principal::Members(team())));
    house
}

#[test]
fn who_is_in_a_group_decides_at_once_and_after_a_restart() {
    let mut house = house();
    assert_eq!(house.ask(ANN, &count()), counted(1));
    for _ in 0..2 {
        assert_eq!(house.ask(BEN, &count()), counted(0));
        house.ask(OPERATOR, &join());
        assert_eq!(house.ask(BEN, &count()), counted(1));
        house.bench = house.bench.restored();
        assert_eq!(house.ask(BEN, &count()), counted(1));
        house.ask(OPERATOR, &leave());
        house.bench = house.bench.restored();
    }
    // Whoever may read there at all is another matter.
    house.ask(OPERATOR, &join());
    let revoke = Call::Revoke {
        space: space("a"),
        right: Right::Read,
        principal: key(BEN),
    };
    house.ask(ANN, &revoke);
    assert_eq!(house.ask(BEN, &count()), refused(Refusal::Forbidden));
}

#[test]
fn a_wait_ends_when_its_client_comes_into_the_group() {
    let mut house = house();
    assert_eq!(house.all(BEN, &take("(_)")), []);
    assert_eq!(house.all(BEN, &rd("(_)")), []);
    house.bench = house.bench.restored();
    // What is for others passes by.
    assert_eq!(house.all(ANN, &out_to("(3)", &key(ANN))).len(), 1);
    let answers = house.all(OPERATOR, &join());
    assert_eq!(answers, [Answer::Changed(true), found("(2)")]);
    let answers = house.all(ANN, &out_to("(4)", &Principal::Members(team())));
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1], found("(4)"));
}

#[test]
fn conditions_and_steps_of_a_group_see_what_their_client_sees() {
    let mut house = house();
    let group = |text: &str| {
        let template = template(text);
        let present = Condition::Present {
            space: space("a"),
            template: template.clone(),
        };
        let group = Group::new().require(present);
        Call::Group(group.act(space("a"), Operation::Inp { template }))
    };
    let of = |unmet, outcomes| Answer::Group { unmet, outcomes };
    assert_eq!(house.ask(BEN, &group("(1)")), of(Some(0), vec![]));
    let taken = Outcome::Match(Some(tuple("(1)")));
    assert_eq!(house.ask(ANN, &group("(1)")), of(None, vec![taken]));
}

/// It acts by its owner's rights and with its owner's eyes, and whoever called it has his own
/// again.
#[test]
fn an_extension_has_its_owners_eyes() {
    let mut house = house();
    for key_of in [1, 2] {
        let element = format!("(\"element\", {key_of}, nil)");
        house.allows(ANN, &out_to(&element, &key(ANN)));
    }
    let recipe = bezant_extensions::recipes::queue(&space("a"));
    let (manifest, module) = (recipe.manifest, recipe.module.to_vec());
    let Answer::Registered { hash } = house.ask(ANN, &Call::Register { manifest, module }) else {
        panic!("not registered");
    };
    let acknowledged = house.ask(BEN, &Call::Acknowledge { hash });
    assert_eq!(acknowledged, Answer::Acknowledged);
    let head = Operation::Inp {
        template: template("(\"head\")"),
    };
    let look = Operation::Rdp {
        template: template("(\"element\", _, _)"),
    };
    let group = Group::new().act(space("a"), head).act(space("a"), look);
    let outcomes = vec![
        Outcome::Match(Some(tuple("(\"element\", 1, nil)"))),
        Outcome::Match(None),
    ];
    let unmet = None;
    assert_eq!(
        house.ask(BEN, &Call::Group(group)),
        Answer::Group { unmet, outcomes }
    );
    // Also after one that failed.
    let broken = bezant_extensions::recipes::counter(&space("a"));
    let (manifest, module) = (broken.manifest, broken.module.to_vec());
    let Answer::Registered { hash } = house.ask(ANN, &Call::Register { manifest, module }) else {
        panic!("not registered");
    };
    house.ask(BEN, &Call::Acknowledge { hash });
    let failed = house.ask(BEN, &inp("(\"increment\", ?text, ?int)"));
    assert!(
        matches!(failed, Answer::Refused(Refused::Extension(_))),
        "{failed:?}"
    );
    assert_eq!(house.ask(BEN, &inp("(1)")), NOTHING);
}

#[test]
fn whoever_administers_a_space_can_empty_it() {
    let mut house = house();
    house.allows(BEN, &out_to("(5)", &key(BEN)));
    let purge = |limit| Call::Purge {
        space: space("a"),
        limit,
    };
    house.forbids(BEN, &purge(9));
    assert_eq!(house.ask(ANN, &purge(0)), refused(Refusal::EmptyPage));
    assert_eq!(house.ask(ANN, &purge(2)), counted(2));
    let remove = Call::RemoveSpace { space: space("a") };
    assert_eq!(house.ask(ANN, &remove), refused(Refusal::SpaceNotEmpty));
    assert_eq!(house.ask(ANN, &purge(2)), counted(1));
    assert_eq!(house.ask(ANN, &remove), Answer::Removed);
    let gone = refused(Refusal::NoSuchSpace);
    assert_eq!(house.ask(ANN, &purge(2)), gone);
    house.allows(BEN, &out("(6)"));
}
