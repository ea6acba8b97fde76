//! How much a space and a client may hold.

use bezant_api::{AdminCommand, Answer, Call, Refused, Right};
use bezant_tuplespace::{Account, Lease, MAX_ACCOUNTS, Operation, Quota, Refusal};

use crate::{
    access::{ANN, BEN, House, OPERATOR, admin_command, grant, key, refused},
    fixture::{client_id, inp, on, out, space, take, template, tuple},
};

/// A quota is about what comes in: what is there stays, and what is handed over needs no room.
#[test]
fn a_space_holds_what_its_quota_allows() {
    let mut house = House::with_a_space_of_anns();
    for right in [Right::Insert, Right::Take] {
        house.ask(ANN, &grant(right, key(BEN)));
    }
    let quota = |tuples, bytes| Call::SetQuota {
        space: space("a"),
        quota: Quota { tuples, bytes },
    };
    house.forbids(BEN, &quota(9, 9));
    assert_eq!(house.ask(ANN, &quota(2, 100)), Answer::Changed(true));
    assert_eq!(house.ask(ANN, &quota(2, 100)), Answer::Changed(false));
    house.allows(BEN, &out("(1)"));
    house.allows(BEN, &out("(2)"));
    let full = refused(Refusal::SpaceFull);
    assert_eq!(house.ask(BEN, &out("(3)")), full);
    let replace = |by: &str| {
        let operation = Operation::Replace {
            template: template("(_)"),
            tuple: tuple(by),
            lease: Lease::Forever,
        };
        on(space("a"), operation)
    };
    house.allows(BEN, &replace("(3)"));
    let long = format!("(\"{}\")", "x".repeat(99));
    assert_eq!(house.ask(BEN, &replace(&long)), full);
    // Less than it holds.
    house.ask(ANN, &quota(1, 100));
    assert_eq!(house.bench.kernel.figures().tuples, 2);
    house.allows(BEN, &inp("(_)"));
    assert_eq!(house.ask(BEN, &out("(4)")), full);
    house.bench = house.bench.restored();
    assert_eq!(house.ask(BEN, &out("(4)")), full);
    assert_eq!(house.all(ANN, &take("(4)")), []);
    assert_eq!(house.all(BEN, &out("(4)")).len(), 2);
    let Answer::Space(info) = house.ask(BEN, &Call::Inspect { space: space("a") }) else {
        panic!("no space");
    };
    assert_eq!((info.tuples, info.quota.tuples), (1, 1));
    assert_eq!(info.bytes, tuple("(3)").encoded_len() as u64);
}

/// Wherever it puts tuples, they count against the client that puts them as long as they are
/// there, whoever takes them; and nobody else is bounded by that.
#[test]
fn a_client_holds_what_its_quota_allows() {
    let mut house = House::with_a_space_of_anns();
    house.ask(ANN, &Call::CreateSpace { space: space("b") });
    house.ask(ANN, &grant(Right::Insert, key(BEN)));
    house.allows(BEN, &out("(0)"));
    let allot = |tuples, bytes| {
        let quota = Quota { tuples, bytes };
        admin_command(AdminCommand::Allot(client_id(BEN).0, quota))
    };
    assert_eq!(house.ask(OPERATOR, &allot(2, 100)), Answer::Changed(true));
    assert_eq!(house.ask(OPERATOR, &allot(2, 100)), Answer::Changed(false));
    // What it put before does not count.
    let account = |house: &mut House| {
        let Answer::Permissions(permissions) = house.ask(BEN, &Call::Permissions { after: None })
        else {
            panic!("no permissions");
        };
        let counted = |account: Account| (account.tuples, account.bytes);
        permissions.account.map(counted)
    };
    assert_eq!(account(&mut house), Some((0, 0)));
    let there = |tuple: &str| {
        let (tuple, lease) = (self::tuple(tuple), Lease::Forever);
        on(space("b"), Operation::Out { tuple, lease })
    };
    house.allows(BEN, &out("(1)"));
    house.allows(BEN, &there("(2)"));
    let full = refused(Refusal::ClientFull);
    for call in [out("(3)"), there("(3)")] {
        assert_eq!(house.ask(BEN, &call), full);
        house.allows(ANN, &call);
    }
    let size = tuple("(1)").encoded_len() as u64;
    house.bench = house.bench.restored();
    assert_eq!(account(&mut house), Some((2, 2 * size)));
    assert_eq!(house.ask(BEN, &out("(4)")), full);
    // It takes the oldest, which was there before, and then one that counts.
    for (left, tuples) in [(2, "(0)"), (1, "(1)")] {
        house.allows(ANN, &inp(tuples));
        assert_eq!(account(&mut house), Some((left, left * size)));
    }
    let long = format!("(\"{}\")", "x".repeat(99));
    assert_eq!(house.ask(BEN, &out(&long)), full);
    // One of its own makes room for what comes instead, another one's does not.
    house.allows(BEN, &out("(5)"));
    let replace = |template: &str| {
        let operation = Operation::Replace {
            template: self::template(template),
            tuple: tuple("(6)"),
            lease: Lease::Forever,
        };
        on(space("a"), operation)
    };
    house.ask(ANN, &grant(Right::Take, key(BEN)));
    assert_eq!(house.ask(BEN, &replace("(3)")), full);
    house.allows(BEN, &replace("(5)"));
    assert_eq!(account(&mut house), Some((2, 2 * size)));
    // Without a bound all is forgotten.
    let free = allot(u64::MAX, u64::MAX);
    assert_eq!(house.ask(OPERATOR, &free), Answer::Changed(true));
    assert_eq!(account(&mut house), None);
    house.allows(BEN, &out("(7)"));
    assert_eq!(house.ask(OPERATOR, &allot(1, 100)), Answer::Changed(true));
    assert_eq!(account(&mut house), Some((0, 0)));
}

/// Refused, the admin command leaves no trace, and the replica goes on.
#[test]
fn not_more_clients_are_bounded_than_may_be() {
    let mut house = House::with_a_space_of_anns();
    let allot = |number: usize, tuples| {
        let mut client = [7; 32];
        client[..8].copy_from_slice(&number.to_be_bytes());
        let bytes = 100;
        admin_command(AdminCommand::Allot(client, Quota { tuples, bytes }))
    };
    for number in 0..MAX_ACCOUNTS {
        assert_eq!(
            house.ask(OPERATOR, &allot(number, 1)),
            Answer::Changed(true)
        );
    }
    let refused = Answer::Refused(Refused::TooManyGrants);
    assert_eq!(house.ask(OPERATOR, &allot(MAX_ACCOUNTS, 1)), refused);
    assert_eq!(house.ask(OPERATOR, &allot(3, 2)), Answer::Changed(true));
    house.bench = house.bench.restored();
    assert_eq!(house.ask(OPERATOR, &allot(MAX_ACCOUNTS, 1)), refused);
}
