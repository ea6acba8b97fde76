//! Bytes that are no state: refused as a whole, without a panic, and what is taken
//! is the one spelling of a state.

use bezant_api::{AdminCommand, Call, GroupName, Principal, Right};
use bezant_bft::{ids::SessionId, service::Service};
use bezant_kernel::Kernel;
use bezant_tuple::codec::put_varint;
use bezant_tuplespace::{MAX_ACCOUNTS, MAX_AUDIENCE, Quota};
use proptest::{prelude::*, sample::Index};

use crate::{
    audience::out_to,
    fixture::{
        Bench, asking, client_id, extension, leased, new_kernel, opening, out, rd, register, space,
        take,
    },
    parts::{Parts, audience, key, session, sound},
};

/// A state with something of everything, small enough to break at every bit.
fn something_of_everything() -> Bench {
    let mut bench = Bench::new();
    let sessions: Vec<SessionId> = (0..2).map(|client| bench.open(client, 900)).collect();
    let ann = |number| (0, sessions[0], number);
    bench.call(ann(1), &out("(1, \"x\")"));
    bench.call(ann(2), &out("([nil, 0x\"00\"])"));
    bench.call(ann(3), &rd("(\"a\"*, 1..5, ?int)"));
    bench.call(ann(4), &take("(\"b\")"));
    let acknowledge = match bench.call(ann(5), &register(0))[..] {
        [bezant_api::Answer::Registered { hash }] => Call::Acknowledge { hash },
        ref other => panic!("{other:?}"),
    };
    bench.call((1, sessions[1], 1), &acknowledge);
    let parked = asking(1, sessions[1], 3, &[1, 2], &out("(3)"));
    bench.execute(1_700_000_000_000, vec![parked]);
    bench.call(ann(6), &leased("(4)", 60_000));
    let team: GroupName = "t".parse().unwrap();
    let someone = client_id(4).0;
    let about_clients = [
        Call::AdminCommand(AdminCommand::Enrol(someone)),
        Call::AdminCommand(AdminCommand::Expel(client_id(3).0)),
        Call::AdminCommand(AdminCommand::Join(team.clone(), someone)),
        Call::Grant {
            space: space("a"),
            right: Right::Administer,
            principal: Principal::Members(team),
        },
        Call::Grant {
            space: space("a"),
            right: Right::Read,
            principal: Principal::Client(someone),
        },
        Call::AdminCommand(AdminCommand::Allot(
            client_id(0).0,
            Quota {
                tuples: 9,
                bytes: 900,
            },
        )),
        out("(5)"),
        out_to("(6)", &Principal::Members("t".parse().unwrap())),
    ];
    for (call, number) in about_clients.iter().zip(7..) {
        bench.call(ann(number), call);
    }
    let hash = bezant_extensions::content_hash(&extension(0).0, &extension(0).1);
    let (manifest, module) = extension(3);
    let upgrade = Call::Upgrade {
        from: hash,
        manifest,
        module,
        at: 1 << 50,
    };
    bench.call(ann(20), &upgrade);
    bench
}

/// What is refused changes nothing, what is taken is spelled so and can be lived with.
fn take_or_refuse(kernel: &mut Kernel, bytes: &[u8]) -> bool {
    let before = kernel.snapshot().content();
    match kernel.restore(bytes) {
        Ok(()) => assert!(
            kernel.snapshot().content() == bytes,
            "taken, but spelled otherwise"
        ),
        Err(_) => {
            assert!(
                kernel.snapshot().content() == before,
                "refused, but something changed"
            );
            return false;
        }
    }
    let mut bench = Bench::new();
    bench.number = 1 << 40;
    std::mem::swap(&mut bench.kernel, kernel);
    for client in 0..2 {
        bench.execute(5, vec![opening(client, 1)]);
        let session = SessionId(1 + u64::from(client));
        let next = [2, 6, 12].map(|number| asking(client, session, number, &[], &out("(\"b\")")));
        bench.execute(5, next.to_vec());
    }
    bench.restored();
    std::mem::swap(&mut bench.kernel, kernel);
    true
}

#[test]
fn no_part_is_the_whole_and_nothing_comes_after_it() {
    let state = something_of_everything().snapshot();
    let mut kernel = new_kernel();
    for length in 0..state.len() {
        assert!(kernel.restore(&state[..length]).is_err(), "{length} bytes");
    }
    for more in [&[0][..], &[1], &[0xff; 9], &state] {
        let longer = [&state, more].concat();
        assert!(kernel.restore(&longer).is_err());
    }
    assert_eq!(
        kernel.snapshot().content(),
        new_kernel().snapshot().content()
    );
    assert!(take_or_refuse(&mut kernel, &state));
}

#[test]
fn every_flipped_bit_is_refused_or_makes_another_state() {
    let state = something_of_everything().snapshot();
    let (mut taken, mut refused) = (0, 0);
    for at in 0..state.len() * 8 {
        let mut bytes = state.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        if take_or_refuse(&mut new_kernel(), &bytes) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    assert!(
        taken > 100 && refused > 100,
        "{taken} taken, {refused} refused"
    );
}

#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    /// A piece moved elsewhere.
    Move(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), at(), at()).prop_map(|(from, to, length)| Damage::Move(from, to, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn damage_is_refused_or_makes_another_state(
        damages in prop::collection::vec(damage(), 1..5),
    ) {
        let mut bytes = DAMAGED.clone();
        for damage in damages {
            let length = bytes.len();
            match damage {
                Damage::Set(at, byte) => bytes[at.index(length)] = byte,
                Damage::Cut(at) => { bytes.remove(at.index(length)); }
                Damage::Insert(at, more) => {
                    let at = at.index(length);
                    bytes.splice(at..at, more);
                }
                Damage::Move(from, to, piece) => {
                    let from = from.index(length);
                    let piece: Vec<u8> = bytes.drain(from..length.min(from + 1 + piece.index(60))).collect();
                    let to = to.index(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
            }
        }
        take_or_refuse(&mut new_kernel(), &bytes);
    }

    #[test]
    fn any_bytes_are_refused_or_are_a_state(
        mut bytes in prop::collection::vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..60),
    ) {
        bytes.insert(0, 1);
        take_or_refuse(&mut new_kernel(), &bytes);
    }
}

static DAMAGED: std::sync::LazyLock<Vec<u8>> =
    std::sync::LazyLock::new(|| something_of_everything().snapshot());

/// Why a state is refused that is sound but for what `spoil` does to it.
fn refusal(spoil: impl Fn(&mut Parts)) -> String {
    let mut parts = sound();
    spoil(&mut parts);
    let refused = new_kernel().restore(&parts.encode());
    refused.expect_err("it was taken").to_string()
}

/// Every row breaks one rule and must be refused for it.
macro_rules! refused {
    ($($why:literal: $spoil:expr;)*) => {
        $(
            let said = refusal($spoil);
            assert!(said.contains($why), "expected {:?}, it said {said:?}", $why);
        )*
    };
}

#[test]
fn a_sound_state_is_taken() {
    assert!(take_or_refuse(&mut new_kernel(), &sound().encode()));
}

#[test]
fn leases_that_cannot_be_are_refused() {
    refused! {
        "leases out of order": |s| s.leases.swap(0, 1);
        "leases out of order": |s| s.leases[1] = s.leases[0];
        "leases out of order": |s| s.leases[0].1 = 0;
        "a lease or a wait that was over": |s| s.leases[1].2 = 5;
        "a lease or a wait that is too long": |s| s.leases[1].2 = u64::MAX;
        "lease of no tuple": |s| s.leases[1].1 = 10;
        "lease of no tuple": |s| s.leases[1].0 = "b";
    }
}

#[test]
fn sessions_that_cannot_be_are_refused() {
    refused! {
        "another version": |s| s.version = 1;
        "any run opens": |s| s.last_session = u64::MAX;
        "was not opened": |s| s.last_session = 5;
        "sessions out of order": |s| s.sessions.reverse();
        "sessions out of order": |s| s.sessions[0].id = 0;
        "opened by one request": |s| s.sessions[1].owner = client_id(0).0.to_vec();
        "not enrolled": |s| s.sessions[1].owner = vec![9; 32];
        "key of another length": |s| { s.sessions[1].owner.pop(); };
        "out of range": |s| s.sessions[0].next = 0;
        "out of range": |s| s.sessions[0].next = u64::MAX;
        "before it was opened": |s| s.sessions[0].used = 1;
        "results out of order": |s| s.sessions[0].kept.reverse();
        "results out of order": |s| s.sessions[0].kept[0].0 = 0;
        "before its request's turn": |s| s.sessions[0].kept[1].0 = 4;
        "older than its session": |s| s.sessions[0].kept[0].1 = Some(1);
        "more results kept": |s| {
            s.sessions[0].next = 100;
            s.sessions[0].kept = (1..66).map(|number| (number, Some(3))).collect();
        };
        "outside the window": |s| s.sessions[0].parked[0].0 = 3;
        "outside the window": |s| s.sessions[0].parked[0].0 = 68;
        "parked requests out of order": |s| {
            let parked = s.sessions[0].parked[0].clone();
            s.sessions[0].parked.push(parked);
        };
        "too long": |s| s.sessions[0].parked[0].2 = 256 * 1024 + 1;
        "a session's time out of range": |s| s.sessions[0].life.0 = 99;
        "a session's time out of range": |s| s.sessions[0].life = (u64::MAX, 6);
        "a session that was over": |s| s.sessions[0].life.1 = 5;
        "lives too long": |s| s.sessions[0].life.1 = 506;
        "an ephemeral tuple of no session": |s| s.owner = 7;
        "acknowledgements out of order": |s| s.sessions[0].parked[0].1 = vec![2, 2];
        "more acknowledged": |s| s.sessions[0].parked[0].1 = (0..65).collect();
        "too many sessions of a client": |s| {
            s.last_session = 1_000;
            s.sessions.truncate(1);
            s.waiters.truncate(1);
            for id in 7..264 {
                let mut more = session(id, 0);
                more.nonce = 1_000 + id;
                s.sessions.push(more);
            }
        };
    }
}

#[test]
fn rights_that_cannot_be_are_refused() {
    refused! {
        "clients out of order": |s| s.enrolled.push(key(4));
        "clients out of order": |s| s.groups[0].1.reverse();
        "a key that is none": |s| { s.enrolled[0].pop(); };
        "a key that is none": |s| { s.rights[0].1.pop(); };
        "what the genesis says": |s| s.enrolled = vec![key(1)];
        "what the genesis says": |s| s.expelled = vec![key(5)];
        "not enrolled": |s| s.expelled = vec![key(0)];
        "a group of nobody": |s| s.groups[1].1.clear();
        "groups out of order": |s| s.groups.reverse();
        "groups out of order": |s| s.groups[1].0 = "t";
        "a name that is none": |s| s.groups[0].0 = "T";
        "a group's name that is none": |s| s.groups[0].0 = "$t";
        "a group's name that is none": |s| s.rights[0].2[2].1 = b"$t".to_vec();
        "a list out of order": |s| s.rights[0].2.swap(0, 1);
        "a list out of order": |s| s.rights[0].2[1] = (0, vec![]);
        "somebody of no known kind": |s| s.rights[0].2[2].0 = 3;
        "a list that is too long": |s| s.rights[0].2 = vec![(0, vec![]); 257];
        "rights out of order": |s| s.rights.reverse();
        "rights in no space": |s| { s.rights.pop(); };
        "rights in no space": |s| s.rights[1].0 = "c";
        "rights in no space": |s| s.rights.push(("c", key(0), vec![]));
    }
}

#[test]
fn spaces_that_cannot_be_are_refused() {
    refused! {
        "any run gives": |s| s.last_tuple = u64::MAX;
        "not given out": |s| s.last_tuple = 8;
        "not given out": |s| { s.payers.remove(0); s.audiences.remove(0); s.spaces[0].1[0].0 = 0; };
        "not given out": |s| { s.untie(); s.spaces[1].1[0] = (0, "(7)"); };
        "given out twice": |s| { s.untie(); s.spaces[1].1[0].0 = 3; };
        "tuples out of order": |s| s.spaces[0].1.swap(0, 1);
        "tuples out of order": |s| s.spaces[0].1.swap(1, 2);
        "spaces out of order": |s| s.spaces.reverse();
        "spaces out of order": |s| s.spaces[1].0 = "a";
        "name that is none": |s| s.spaces[0].0 = "A";
        "in a space that is not there": |s| s.waiters[0].2 = "c";
        "a wait too many": |s| s.waiters[1].0 = 6;
        "a wait of no kind": |s| s.waiters[1].3 = 3;
        "a lease or a wait that was over": |s| s.waiters[1].4 = 5;
        "a lease or a wait that is too long": |s| s.waiters[0].4 = u64::MAX;
        "an event of no kind": |s| s.events[0].1 = 3;
        "an event of a tuple that was not given out": |s| s.events[0].2 = 41;
        "an event of a tuple that was not given out": |s| s.events[0].2 = 0;
        "events without numbers": |s| s.last_event = 2;
        "more events than any run makes": |s| s.last_event = u64::MAX;
        "name that is none": |s| s.events[1].0 = "A";
        "too many events": |s| (s.last_event, s.events) = (20_000, vec![("a", 0, 1); 16_385]);
        "a wait in no space": |s| { s.waiters.pop(); };
        "a wait in no space": |s| s.waiters[0].1 = 2;
        "a wait of no request": |s| s.waiters.push((6, 1, "a", 0, 0));
    }
}

#[test]
fn extensions_that_cannot_be_are_refused() {
    refused! {
        "an engine that this build does not know": |s| s.engine.0 = 3;
        "an engine that this build does not know": |s| s.engine.1 = 3;
        "an engine to come that is there": |s| s.engine.1 = 1;
        "registered twice": |s| s.extensions[1].1 = 1;
        "breaks a rule": |s| s.extensions[1].1 = 101;
        "more extensions than there may be": |s| s.many_extensions();
        "extensions out of order": |s| s.extensions.swap(0, 1);
        "extensions out of order": |s| s.registered = 3;
        "extensions out of order": |s| s.extensions[0].2 = 0;
        "a version of no line": |s| s.extensions[0].3 = 0;
        "a version of no line": |s| s.extensions[0].3 = 2;
        "in the place of none of its line": |s| s.extensions[2].4 = 3;
        "in the place of none of its line": |s| s.extensions[2].4 = 4;
        "an extension that is not there": |s| s.extensions[2].4 = 2;
        "lines out of order": |s| s.lines.reverse();
        "an extension that is not there": |s| s.lines[0].1 = 2;
        "a version to come that is there": |s| s.lines[0].2 = 4;
        "a line without its versions": |s| s.lines[0].1 = 3;
        "a line without its versions": |s| s.lines[0].2 = 3;
        "a line without its versions": |s| { s.lines.pop(); };
        "a line of several owners": |s| s.extensions[2].0 = 1;
        "acknowledged nothing": |s| { s.acknowledgements[1].1.clear(); };
        "numbers out of order": |s| s.acknowledgements[0].1.reverse();
        "an extension that is not there": |s| s.acknowledgements[0].1 = vec![2];
        "could not be made": |s| s.acknowledgements[0] = (0, vec![1], vec![]);
        "could not be made": |s| s.acknowledgements[0] = (0, vec![], vec![1]);
        "could not be made": |s| s.acknowledgements[0].2 = vec![4];
        "out of order of clients": |s| s.acknowledgements[0].0 += 4;
        "attachments out of order": |s| s.attached.reverse();
        "attachments of no number": |s| s.attached[0].1.clear();
        "an extension that is not there": |s| s.attached[0].1 = vec![2];
        "attached in no space": |s| s.attached[1].0 = "c";
    }
}

#[test]
fn events_without_a_possible_subscriber_are_refused() {
    refused! {
        "a cascade of too many events": |s| s.heard[0].0 = 257;
        "a cascade of too many events": |s| s.heard[0].0 = u64::MAX;
        "a cascade without events": |s| s.heard[1].1.clear();
        "a name that is none": |s| s.heard[0].1[0].0 = "A";
        "an event of no kind": |s| s.heard[0].1[0].1 = 5;
        "a key that is none": |s| s.heard[0].1[0].2 = vec![1];
        "without a subscriber": |s| s.heard[0].1[0].3 = 4;
        "without a subscriber": |s| s.heard[0].1[0].4 = 6;
        "without a subscriber": |s| s.heard[0].1[0].5 = 6;
    }
}

/// A length that is announced costs nothing until it is there.
#[test]
fn announced_lengths_are_not_believed() {
    for at in 1..9 {
        for announced in [1 << 20, 1 << 40, u64::MAX] {
            let mut bytes = new_kernel().snapshot().content();
            bytes.truncate(at);
            put_varint(&mut bytes, announced);
            bytes.extend_from_slice(&[0; 64]);
            assert!(
                !take_or_refuse(&mut new_kernel(), &bytes),
                "{at}: {announced}"
            );
        }
    }
}

#[test]
fn audiences_that_cannot_be_are_refused() {
    let many: Vec<Vec<u8>> = (0..=u8::try_from(MAX_AUDIENCE).unwrap())
        .map(|n| vec![n; 32])
        .collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    refused! {
        "audiences out of order": |p| p.audiences.swap(0, 1);
        "audiences out of order": |p| p.audiences[1].1 = 3;
        "an audience of no tuple": |p| p.audiences[0].1 = 2;
        "an audience of no tuple": |p| p.audiences[1].0 = "b";
        "an audience of everybody": |p| p.audiences[0].2 = audience(&[None, None]);
        "a list that is too long": |p| p.audiences[0].2 = audience(&[Some(&many), None]);
        "a list out of order": |p| p.audiences[0].2 = audience(&[Some(&[&[2; 32], &[1; 32]]), None]);
        "a key that is none": |p| p.audiences[0].2 = audience(&[Some(&[&[2; 31]]), None]);
    }
}

#[test]
fn accounts_that_cannot_be_are_refused() {
    refused! {
        "accounts out of order": |p| p.accounts.swap(0, 1);
        "accounts out of order": |p| p.accounts[1].0 = p.accounts[0].0.clone();
        "a key that is none": |p| p.accounts[0].0.truncate(31);
        "an account without a bound": |p| p.accounts[0].1 = [0, 0];
        "payers out of order": |p| p.payers.swap(0, 1);
        "payers out of order": |p| p.payers[1].1 = 3;
        "a payer of no tuple": |p| p.payers[1].1 = 7;
        "a payer without an account": |p| p.payers[1].2 = 2;
        "a payer without an account": |p| p.accounts.clear();
        "too many accounts": |p| {
            let key = |at: usize| at.to_be_bytes().repeat(4);
            p.accounts = (0..=MAX_ACCOUNTS).map(|at| (key(at), [1, 1])).collect();
        };
    }
}
