//! Who may do what: lists, groups, enrolment, and what follows for those who wait.

use std::collections::BTreeSet;

use bezant_api::{
    AdminCommand, Answer, Call, Condition, Group, GroupName, Lists, Permissions, Principal,
    Refused, Right, SpaceInfo,
    limits::{MAX_LIST, MAX_PERMISSION_SPACES},
};
use bezant_bft::{
    ids::{SeqNo, SessionId},
    service::{Admission, Service},
};
use bezant_tuplespace::{Lease, Operation, Outcome, Quota, Refusal, SpaceName};

use crate::fixture::{
    Bench, answer, asking, client_id, inp, on, opening, out, rd, register, space, take, template,
    tuple,
};

/// One who runs the cluster, one who is just a client, and another one.
pub(crate) const OPERATOR: u8 = 0;
pub(crate) const ANN: u8 = 4;
pub(crate) const BEN: u8 = 5;

/// A bench in which these three have a session each, and count their requests.
pub(crate) struct House {
    pub(crate) bench: Bench,
    sessions: Vec<(u8, SessionId, u64)>,
}

impl House {
    pub(crate) fn new() -> Self {
        let mut bench = Bench::new();
        let mut sessions = vec![(OPERATOR, bench.open(OPERATOR, 1), 0)];
        for client in [ANN, BEN] {
            let call = Call::AdminCommand(AdminCommand::Enrol(client_id(client).0));
            let (_, operator, number) = &mut sessions[0];
            *number += 1;
            let answers = bench.call((OPERATOR, *operator, *number), &call);
            assert_eq!(answers, [Answer::Changed(true)]);
            sessions.push((client, bench.open(client, 1), 0));
        }
        Self { bench, sessions }
    }

    /// All answers that follow from a call of this client.
    pub(crate) fn all(&mut self, client: u8, call: &Call) -> Vec<Answer> {
        let mut sessions = self.sessions.iter_mut();
        let (_, session, number) = sessions.find(|(who, ..)| *who == client).unwrap();
        *number += 1;
        // All before are answered; of a wait that is no word.
        let acked: Vec<u64> = (number.saturating_sub(20).max(1)..*number).collect();
        let request = asking(client, *session, *number, &acked, call);
        let replies = self.bench.execute(1, vec![request]);
        replies.iter().map(|(_, reply)| answer(reply)).collect()
    }

    pub(crate) fn ask(&mut self, client: u8, call: &Call) -> Answer {
        let mut answers = self.all(client, call);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    #[track_caller]
    pub(crate) fn forbids(&mut self, client: u8, call: &Call) {
        let before = self.bench.kernel.figures();
        let answer = self.ask(client, call);
        assert_eq!(answer, refused(Refusal::Forbidden), "{call:?}");
        assert_eq!(self.bench.kernel.figures(), before);
    }

    #[track_caller]
    pub(crate) fn allows(&mut self, client: u8, call: &Call) {
        let answer = self.ask(client, call);
        assert!(matches!(answer, Answer::Outcome(_)), "{call:?}: {answer:?}");
    }

    /// Ann makes `a`, for nobody but herself.
    pub(crate) fn with_a_space_of_anns() -> Self {
        let mut house = Self::new();
        let made = house.ask(ANN, &private());
        assert_eq!(made, Answer::Created);
        house
    }
}

fn private() -> Call {
    Call::CreateSpaceFor {
        space: space("a"),
        lists: Lists::closed(),
    }
}

pub(crate) fn refused(why: Refusal) -> Answer {
    Answer::Refused(Refused::Space(why))
}

pub(crate) fn key(client: u8) -> Principal {
    Principal::Client(client_id(client).0)
}

fn team() -> GroupName {
    "team".parse().unwrap()
}

pub(crate) fn grant(right: Right, principal: Principal) -> Call {
    Call::Grant {
        space: space("a"),
        right,
        principal,
    }
}

fn revoke(right: Right, principal: Principal) -> Call {
    Call::Revoke {
        space: space("a"),
        right,
        principal,
    }
}

pub(crate) fn admin_command(admin_command: AdminCommand) -> Call {
    Call::AdminCommand(admin_command)
}

/// Every operation on `a`, with the rights it takes.
fn operations() -> Vec<(Operation, &'static [Right])> {
    use Right::{Insert, Read, Take};
    let template = || template("(\"k\", _)");
    let tuple = || tuple("(\"k\", 1)");
    let (lease, limit, within_ms) = (Lease::Forever, 1, None);
    vec![
        (
            Operation::Out {
                tuple: tuple(),
                lease,
            },
            &[Insert],
        ),
        (
            Operation::OutTo {
                tuple: tuple(),
                lease,
                audience: Box::default(),
            },
            &[Insert],
        ),
        (
            Operation::Rdp {
                template: template(),
            },
            &[Read],
        ),
        (
            Operation::Rd {
                template: template(),
                within_ms,
            },
            &[Read],
        ),
        (
            Operation::RdAll {
                template: template(),
                limit,
                after: None,
            },
            &[Read],
        ),
        (
            Operation::Count {
                template: template(),
            },
            &[Read],
        ),
        (
            Operation::Survey {
                template: template(),
                limit,
                after: None,
            },
            &[Read],
        ),
        (
            Operation::Watch {
                template: template(),
                after: None,
                limit,
                within_ms,
            },
            &[Read],
        ),
        (
            Operation::Inp {
                template: template(),
            },
            &[Take],
        ),
        (
            Operation::In {
                template: template(),
                within_ms,
            },
            &[Take],
        ),
        (
            Operation::InAll {
                template: template(),
                limit,
            },
            &[Take],
        ),
        (
            Operation::Renew {
                template: template(),
                lease_ms: 5,
            },
            &[Take],
        ),
        (
            Operation::Cas {
                template: template(),
                tuple: tuple(),
                lease,
            },
            &[Insert, Read],
        ),
        (
            Operation::Replace {
                template: template(),
                tuple: tuple(),
                lease,
            },
            &[Insert, Take],
        ),
    ]
}

/// Each operation is allowed with exactly its rights, and refused with all others.
#[test]
fn every_operation_takes_its_rights() {
    for (operation, needed) in operations() {
        assert_eq!(Right::needed_for(&operation), needed);
        for missing in needed {
            let mut house = House::with_a_space_of_anns();
            for right in Right::ALL.iter().filter(|right| *right != missing) {
                house.ask(ANN, &grant(*right, key(BEN)));
            }
            house.forbids(BEN, &on(space("a"), operation.clone()));
        }
        let mut house = House::with_a_space_of_anns();
        house.ask(ANN, &out("(\"k\", 1)"));
        for right in needed {
            house.ask(ANN, &grant(*right, key(BEN)));
        }
        house.allows(BEN, &on(space("a"), operation.clone()));
        // Its creator needs no entry.
        house.ask(ANN, &out("(\"k\", 1)"));
        house.allows(ANN, &on(space("a"), operation));
    }
}

#[test]
fn a_space_is_open_unless_it_is_made_for_somebody() {
    let mut house = House::new();
    house.allows(ANN, &out("(1)"));
    house.allows(BEN, &inp("(1)"));
    let lists = Answer::Space(SpaceInfo {
        creator: Some(client_id(ANN).0),
        lists: Lists::open(),
        tuples: 0,
        bytes: 0,
        quota: Quota::NONE,
        attached: Vec::new(),
    });
    assert_eq!(house.ask(BEN, &Call::Inspect { space: space("a") }), lists);
    // Open is not everybody's to govern.
    house.forbids(BEN, &revoke(Right::Read, Principal::Anyone));
    assert_eq!(
        house.ask(ANN, &revoke(Right::Read, Principal::Anyone)),
        Answer::Changed(true)
    );
    let look = on(
        space("a"),
        Operation::Count {
            template: template("(_)"),
        },
    );
    house.forbids(BEN, &look);
    house.allows(ANN, &look);
}

#[test]
fn rights_come_by_key_by_group_or_to_anyone() {
    let look = on(
        space("a"),
        Operation::Count {
            template: template("(_)"),
        },
    );
    let join = admin_command(AdminCommand::Join(team(), client_id(BEN).0));
    let leave = admin_command(AdminCommand::Leave(team(), client_id(BEN).0));
    let mut house = House::with_a_space_of_anns();
    for principal in [key(BEN), Principal::Anyone] {
        house.forbids(BEN, &look);
        assert_eq!(
            house.ask(ANN, &grant(Right::Read, principal.clone())),
            Answer::Changed(true)
        );
        assert_eq!(
            house.ask(ANN, &grant(Right::Read, principal.clone())),
            Answer::Changed(false)
        );
        house.allows(BEN, &look);
        assert_eq!(
            house.ask(ANN, &revoke(Right::Read, principal.clone())),
            Answer::Changed(true)
        );
        assert_eq!(
            house.ask(ANN, &revoke(Right::Read, principal)),
            Answer::Changed(false)
        );
    }
    house.ask(ANN, &grant(Right::Read, Principal::Members(team())));
    house.forbids(BEN, &look);
    assert_eq!(house.ask(OPERATOR, &join), Answer::Changed(true));
    assert_eq!(house.ask(OPERATOR, &join), Answer::Changed(false));
    house.allows(BEN, &look);
    assert_eq!(house.ask(OPERATOR, &leave), Answer::Changed(true));
    assert_eq!(house.ask(OPERATOR, &leave), Answer::Changed(false));
    house.forbids(BEN, &look);
    // Who may say so may be said, too.
    house.forbids(BEN, &grant(Right::Read, key(BEN)));
    house.ask(ANN, &grant(Right::Administer, key(BEN)));
    assert_eq!(
        house.ask(BEN, &grant(Right::Read, key(BEN))),
        Answer::Changed(true)
    );
}

#[test]
fn operators_govern_every_space_and_nobody_else_clients() {
    let mut house = House::with_a_space_of_anns();
    for client in [ANN, BEN] {
        for word in [
            AdminCommand::Enrol([9; 32]),
            AdminCommand::Expel([9; 32]),
            AdminCommand::Join(team(), [9; 32]),
            AdminCommand::Leave(team(), [9; 32]),
            AdminCommand::Allot([9; 32], Quota::NONE),
        ] {
            let answer = house.ask(client, &admin_command(word));
            assert_eq!(answer, Answer::Refused(Refused::NotOperator));
        }
    }
    // Not its tuples, but who may see them.
    house.forbids(OPERATOR, &out("(1)"));
    assert_eq!(
        house.ask(OPERATOR, &grant(Right::Read, key(BEN))),
        Answer::Changed(true)
    );
    let operators: GroupName = GroupName::OPERATORS.parse().unwrap();
    house.ask(
        OPERATOR,
        &admin_command(AdminCommand::Join(operators, client_id(BEN).0)),
    );
    let answer = house.ask(BEN, &admin_command(AdminCommand::Enrol([9; 32])));
    assert_eq!(answer, Answer::Changed(true));
    // The service's own spaces are nobody's.
    house.ask(OPERATOR, &register(0));
    let own: SpaceName = SpaceName::reserved("$extensions").unwrap();
    let call = Call::Grant {
        space: own.clone(),
        right: Right::Insert,
        principal: Principal::Anyone,
    };
    assert_eq!(
        house.ask(OPERATOR, &call),
        Answer::Refused(Refused::ReservedSpace)
    );
    house.allows(
        ANN,
        &on(
            own.clone(),
            Operation::Count {
                template: template("(_)"),
            },
        ),
    );
    let Answer::Space(info) = house.ask(ANN, &Call::Inspect { space: own }) else {
        panic!("the service's space");
    };
    assert_eq!(info.creator, None);
}

#[test]
fn a_wait_that_is_no_longer_allowed_ends() {
    let mut house = House::with_a_space_of_anns();
    house.ask(
        OPERATOR,
        &admin_command(AdminCommand::Join(team(), client_id(BEN).0)),
    );
    house.ask(ANN, &grant(Right::Take, key(BEN)));
    house.ask(ANN, &grant(Right::Read, Principal::Members(team())));
    let watch = on(
        space("a"),
        Operation::Watch {
            template: template("(_)"),
            after: Some(0),
            limit: 1,
            within_ms: None,
        },
    );
    for waits in [take("(1)"), rd("(1)"), watch] {
        assert_eq!(house.all(BEN, &waits), []);
    }
    // What is granted beside it changes nothing for them.
    assert_eq!(house.all(ANN, &revoke(Right::Insert, key(BEN))).len(), 1);
    let forbidden = refused(Refusal::Forbidden);
    let answers = house.all(ANN, &revoke(Right::Take, key(BEN)));
    assert_eq!(answers, [Answer::Changed(true), forbidden.clone()]);
    let answers = house.all(
        OPERATOR,
        &admin_command(AdminCommand::Leave(team(), client_id(BEN).0)),
    );
    assert_eq!(
        answers,
        [Answer::Changed(true), forbidden.clone(), forbidden]
    );
    assert_eq!(house.bench.kernel.figures().waiters, 0);
    // The tuple goes to nobody who may not have it.
    assert_eq!(house.all(ANN, &out("(1)")).len(), 1);
    assert_eq!(house.bench.kernel.figures().tuples, 1);
}

#[test]
fn a_space_is_removed_when_it_is_empty_and_whoever_waits_is_told() {
    let mut house = House::with_a_space_of_anns();
    let remove = Call::RemoveSpace { space: space("a") };
    house.ask(ANN, &grant(Right::Take, key(BEN)));
    house.ask(ANN, &out("(1)"));
    house.forbids(BEN, &remove);
    assert_eq!(house.ask(ANN, &remove), refused(Refusal::SpaceNotEmpty));
    house.allows(BEN, &inp("(1)"));
    assert_eq!(house.all(BEN, &take("(2)")), []);
    let answers = house.all(ANN, &remove);
    assert_eq!(answers, [Answer::Removed, refused(Refusal::NoSuchSpace)]);
    assert_eq!(house.ask(ANN, &remove), refused(Refusal::NoSuchSpace));
    assert_eq!(
        house.ask(ANN, &Call::ListSpaces),
        Answer::Spaces(Vec::new())
    );
    // Whoever makes it next finds nothing of the old one.
    assert_eq!(
        house.ask(BEN, &Call::CreateSpace { space: space("a") }),
        Answer::Created
    );
    let lists = house.ask(ANN, &Call::Inspect { space: space("a") });
    assert!(
        matches!(lists, Answer::Space(SpaceInfo { creator: Some(creator), lists, .. })
            if creator == client_id(BEN).0 && lists == Lists::open())
    );
}

/// A space that an `out` makes is undone with the group it stands in, and with it whose it is.
#[test]
fn a_space_that_was_not_made_after_all_is_nobodys() {
    let mut house = House::new();
    let put = Operation::Out {
        tuple: tuple("(1)"),
        lease: Lease::Forever,
    };
    let group = Group::new()
        .act(space("a"), put)
        .require(Condition::Absent {
            space: space("a"),
            template: template("(1)"),
        });
    let answer = house.ask(ANN, &Call::Group(group));
    assert!(
        matches!(answer, Answer::Group { unmet: Some(1), .. }),
        "{answer:?}"
    );
    let nothing = Call::Inspect { space: space("a") };
    assert_eq!(house.ask(ANN, &nothing), refused(Refusal::NoSuchSpace));
    house.bench.restored();
    house.allows(BEN, &out("(1)"));
    let Answer::Space(info) = house.ask(ANN, &nothing) else {
        panic!("Ben's space");
    };
    assert_eq!(info.creator, Some(client_id(BEN).0));
}

#[test]
fn a_group_takes_the_rights_of_its_steps_and_conditions() {
    let mut house = House::with_a_space_of_anns();
    house.ask(ANN, &grant(Right::Insert, key(BEN)));
    let put = || Operation::Out {
        tuple: tuple("(1)"),
        lease: Lease::Forever,
    };
    let look = Group::new()
        .absent(space("a"), template("(1)"))
        .act(space("a"), put());
    let why = Refused::Space(Refusal::Forbidden);
    let answer = house.ask(BEN, &Call::Group(look.clone()));
    assert_eq!(
        answer,
        Answer::GroupRefused {
            step: 0,
            why: why.clone()
        }
    );
    let get = Operation::Inp {
        template: template("(1)"),
    };
    let both = Group::new().act(space("a"), put()).act(space("a"), get);
    let answer = house.ask(BEN, &Call::Group(both));
    assert_eq!(answer, Answer::GroupRefused { step: 1, why });
    assert_eq!(house.bench.kernel.figures().tuples, 0);
    house.ask(ANN, &grant(Right::Read, Principal::Anyone));
    let answer = house.ask(BEN, &Call::Group(look));
    assert!(
        matches!(answer, Answer::Group { unmet: None, .. }),
        "{answer:?}"
    );
}

#[test]
fn an_expelled_client_has_nothing_left_and_may_come_back() {
    let mut house = House::with_a_space_of_anns();
    house.ask(ANN, &grant(Right::Insert, Principal::Anyone));
    house.ask(ANN, &grant(Right::Take, Principal::Anyone));
    let mine = Operation::Out {
        tuple: tuple("(\"ben\")"),
        lease: Lease::Session,
    };
    house.allows(BEN, &on(space("a"), mine));
    assert_eq!(house.all(BEN, &take("(7)")), []);
    let expel = admin_command(AdminCommand::Expel(client_id(BEN).0));
    assert_eq!(house.all(OPERATOR, &expel), [Answer::Changed(true)]);
    assert_eq!(house.ask(OPERATOR, &expel), Answer::Changed(false));
    let figures = house.bench.kernel.figures();
    assert_eq!(
        (figures.sessions, figures.tuples, figures.waiters),
        (2, 0, 0)
    );
    assert_eq!(
        house.ask(BEN, &out("(1)")),
        Answer::Refused(Refused::NoSession)
    );
    let not_enrolled = Answer::Refused(Refused::NotEnrolled);
    let replies = house.bench.execute(1, vec![opening(BEN, 2)]);
    assert_eq!(answer(&replies[0].1), not_enrolled);
    // At admission, too, outside of the log.
    let Admission::Refuse(reply) = house.bench.kernel.admit(&opening(BEN, 2)) else {
        panic!("a stranger was let in");
    };
    assert_eq!((reply.seq_no, answer(&reply)), (SeqNo(0), not_enrolled));
    let enrol = admin_command(AdminCommand::Enrol(client_id(BEN).0));
    assert_eq!(house.ask(OPERATOR, &enrol), Answer::Changed(true));
    assert_eq!(house.ask(OPERATOR, &enrol), Answer::Changed(false));
    house.bench.open(BEN, 3);
    // One of the genesis is no exception, and not even for itself.
    let own = admin_command(AdminCommand::Expel(client_id(OPERATOR).0));
    assert_eq!(house.all(OPERATOR, &own), [Answer::Changed(true)]);
    let replies = house.bench.execute(1, vec![opening(OPERATOR, 2)]);
    assert_eq!(answer(&replies[0].1), Answer::Refused(Refused::NotEnrolled));
    house.bench.restored();
}

#[test]
fn a_client_is_told_what_it_may_do() {
    let mut house = House::with_a_space_of_anns();
    house.ask(
        OPERATOR,
        &admin_command(AdminCommand::Join(team(), client_id(BEN).0)),
    );
    house.ask(ANN, &grant(Right::Read, Principal::Members(team())));
    house.ask(ANN, &grant(Right::Administer, key(BEN)));
    house.ask(
        ANN,
        &Call::CreateSpaceFor {
            space: space("b"),
            lists: Lists::closed(),
        },
    );
    house.ask(ANN, &Call::CreateSpace { space: space("c") });
    let open = vec![Right::Insert, Right::Read, Right::Take];
    let permissions = |after: Option<&str>| Call::Permissions {
        after: after.map(space),
    };
    let expected = Permissions {
        operator: false,
        groups: vec![team()],
        spaces: vec![
            (space("a"), vec![Right::Read, Right::Administer]),
            (space("c"), open.clone()),
        ],
        next: None,
        account: None,
    };
    assert_eq!(
        house.ask(BEN, &permissions(None)),
        Answer::Permissions(expected.clone())
    );
    let rest = Permissions {
        spaces: vec![(space("c"), open)],
        ..expected
    };
    assert_eq!(
        house.ask(BEN, &permissions(Some("a"))),
        Answer::Permissions(rest)
    );
    let Answer::Permissions(operator) = house.ask(OPERATOR, &permissions(None)) else {
        panic!("no permissions");
    };
    assert!(operator.operator && operator.spaces.len() == 3);
    // More than one answer holds.
    for number in 0..MAX_PERMISSION_SPACES {
        let name = format!("many/{number:05}");
        house.ask(
            ANN,
            &Call::CreateSpace {
                space: space(&name),
            },
        );
    }
    let (mut after, mut told) = (None, 0);
    loop {
        let Answer::Permissions(page) = house.ask(BEN, &Call::Permissions { after }) else {
            panic!("no permissions");
        };
        told += page.spaces.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(told, MAX_PERMISSION_SPACES + 2);
}

#[test]
fn lists_are_bounded() {
    let mut house = House::with_a_space_of_anns();
    let principal = |number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        Principal::Client(key)
    };
    for number in 0..MAX_LIST {
        house.ask(ANN, &grant(Right::Read, principal(number)));
    }
    let answer = house.ask(ANN, &grant(Right::Read, principal(MAX_LIST)));
    assert_eq!(answer, Answer::Refused(Refused::TooManyGrants));
    // One that is there already is no more.
    assert_eq!(
        house.ask(ANN, &grant(Right::Read, principal(0))),
        Answer::Changed(false)
    );
    let read: BTreeSet<Principal> = (0..=MAX_LIST).map(principal).collect();
    let lists = Lists {
        read,
        ..Lists::closed()
    };
    let answer = house.ask(
        ANN,
        &Call::CreateSpaceFor {
            space: space("b"),
            lists,
        },
    );
    assert_eq!(answer, Answer::Refused(Refused::TooManyGrants));
    let answer = house.ask(ANN, &Call::Inspect { space: space("b") });
    assert_eq!(answer, refused(Refusal::NoSuchSpace));
    house.bench.restored();
}

/// An extension acts by the rights of whoever installed it, not of whoever calls it.
#[test]
fn an_extension_has_its_owners_rights() {
    // The counter recipe would do; here it is enough that its owner may not read at all.
    let mut house = House::with_a_space_of_anns();
    let recipe = bezant_extensions::recipes::counter(&space("a"));
    let module = recipe.module.to_vec();
    let manifest = recipe.manifest;
    let hash = match house.ask(BEN, &Call::Register { manifest, module }) {
        Answer::Registered { hash } => hash,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        house.ask(ANN, &Call::Acknowledge { hash }),
        Answer::Acknowledged
    );
    let increment = inp("(\"increment\", \"hits\", 1)");
    // Ann may do all in her space; Ben's program may do nothing there, for her or for him.
    let answer = house.ask(ANN, &increment);
    assert!(
        matches!(answer, Answer::Refused(Refused::Extension(_))),
        "{answer:?}"
    );
    house.forbids(BEN, &increment);
    for right in [Right::Insert, Right::Read, Right::Take] {
        house.ask(ANN, &grant(right, key(BEN)));
    }
    let counted = Answer::Outcome(Outcome::Match(Some(tuple("(\"counter\", \"hits\", 1)"))));
    assert_eq!(house.ask(ANN, &increment), counted);
}

/// What is agreed about rights survives as it is.
#[test]
fn rights_groups_and_enrolments_are_part_of_the_state() {
    let mut house = House::with_a_space_of_anns();
    house.ask(
        OPERATOR,
        &admin_command(AdminCommand::Join(team(), client_id(BEN).0)),
    );
    house.ask(
        OPERATOR,
        &admin_command(AdminCommand::Expel(client_id(3).0)),
    );
    house.ask(ANN, &grant(Right::Read, Principal::Members(team())));
    house.ask(ANN, &grant(Right::Take, key(BEN)));
    let bench = house.bench.restored();
    assert_eq!(bench.snapshot(), house.bench.snapshot());
    house.bench = bench;
    let look = on(
        space("a"),
        Operation::Count {
            template: template("(_)"),
        },
    );
    house.allows(BEN, &look);
    house.forbids(BEN, &out("(1)"));
    let replies = house.bench.execute(1, vec![opening(3, 1)]);
    assert_eq!(answer(&replies[0].1), Answer::Refused(Refused::NotEnrolled));
    let late = asking(BEN, SessionId(99), 1, &[], &look);
    let replies = house.bench.execute(1, vec![late]);
    assert_eq!(answer(&replies[0].1), Answer::Refused(Refused::NoSession));
}
