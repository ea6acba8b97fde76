//! What must be part of the state and what must not, one by one.

use bezant_api::{Answer, Call, Refused};
use bezant_bft::{
    ids::{OrderedTime, RequestNumber, SessionId},
    message::Request,
    service::Service,
    state::{Part, State},
};
use bezant_kernel::limits::{MAX_SESSIONS_PER_CLIENT, WINDOW};

use crate::fixture::{
    Bench, answer, ask, asking, extension, inp, new_kernel, opening, out, rd, register, space, take,
};

/// Executes the same at both and demands the same replies.
fn both(original: &mut Bench, restored: &mut Bench, requests: &[Request]) -> Vec<Answer> {
    let replies = original.execute(1, requests.to_vec());
    assert_eq!(restored.execute(1, requests.to_vec()), replies);
    assert!(original.snapshot() == restored.snapshot());
    replies.iter().map(|(_, reply)| answer(reply)).collect()
}

#[test]
fn an_empty_service_restores_to_an_empty_one() {
    let snapshot = new_kernel().snapshot().content();
    assert_eq!(
        snapshot,
        [
            8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0
        ]
    );
    let mut bench = Bench::new();
    let session = bench.open(0, 1);
    bench.call((0, session, 1), &out("(1)"));
    assert_ne!(bench.snapshot(), snapshot);
    bench.kernel.restore(&snapshot).unwrap();
    assert_eq!(bench.snapshot(), snapshot);
    assert_eq!(bench.kernel.figures(), new_kernel().figures());
}

/// What did not change is the same part of the next state, and the rest is small.
#[test]
fn a_state_shares_what_did_not_change() {
    let mut bench = Bench::new();
    let session = bench.open(0, 1);
    for number in 1..=600 {
        let acked = [number - 1];
        let request = asking(
            0,
            session,
            number,
            &acked,
            &out("(1, \"something\", 0x\"00\")"),
        );
        bench.execute(1, vec![request]);
    }
    let before = bench.kernel.snapshot();
    let others = before.parts().len() - 2;
    assert!(others >= 2, "{others} pages between head and tail");
    bench.call((0, session, 601), &inp("(1, _, _)"));
    let after = bench.kernel.snapshot();
    let known = |part: &&Part| before.parts().contains(part);
    let same = after.parts().iter().filter(known).count();
    assert_eq!(
        same,
        others - 1,
        "all pages but the one that was written to"
    );
    assert_ne!(before.digest(), after.digest());
    // The digests that are remembered are those of the bytes.
    for state in [before, after] {
        assert_eq!(State::decode(&state.encode()), Ok(state));
    }
}

#[test]
fn a_parked_request_runs_after_the_one_before_it_came() {
    let mut original = Bench::new();
    let session = original.open(0, 1);
    original.call((0, session, 2), &out("(2)"));
    original.call((0, session, 3), &inp("(2)"));
    let mut restored = original.restored();
    let first = asking(0, session, 1, &[], &out("(1)"));
    let answers = both(&mut original, &mut restored, &[first]);
    assert_eq!(answers.len(), 3, "{answers:?}");
}

#[test]
fn a_kept_result_is_there_to_be_sent_again_and_counts_in_the_window() {
    let mut original = Bench::new();
    let session = original.open(0, 1);
    for number in 1..=WINDOW {
        original.call((0, session, number), &Call::ListSpaces);
    }
    let mut restored = original.restored();
    let kept = original.kernel.kept_reply(session, RequestNumber(7));
    assert!(kept.is_some());
    assert_eq!(restored.kernel.kept_reply(session, RequestNumber(7)), kept);
    let next = asking(0, session, WINDOW + 1, &[], &out("(1)"));
    let answers = both(&mut original, &mut restored, &[next]);
    assert!(matches!(answers[..], [Answer::Refused(_)]), "{answers:?}");
    let next = asking(0, session, WINDOW + 1, &[5], &out("(1)"));
    let answers = both(&mut original, &mut restored, &[next]);
    assert!(!matches!(answers[..], [Answer::Refused(_)]), "{answers:?}");
}

#[test]
fn waiters_get_deliveries_in_the_order_in_which_they_came() {
    let mut original = Bench::new();
    let sessions: Vec<SessionId> = (0..3).map(|client| original.open(client, 1)).collect();
    original.call((0, sessions[0], 1), &out("(0)"));
    for client in [2, 0, 1] {
        let session = sessions[usize::from(client)];
        original.call((client, session, 2), &take("(1)"));
        original.call((client, session, 1), &take("(1)"));
    }
    let mut restored = original.restored();
    for number in 3..8 {
        let next = asking(0, sessions[0], number, &[], &out("(1)"));
        both(&mut original, &mut restored, &[next]);
    }
    assert_eq!(original.kernel.figures().waiters, 0);
}

#[test]
fn the_session_least_used_is_the_one_that_makes_room() {
    let mut original = Bench::new();
    let crowd: Vec<_> = (0..MAX_SESSIONS_PER_CLIENT as u64)
        .map(|nonce| opening(0, nonce))
        .collect();
    original.execute(1, crowd);
    // Opened together; all but the third are used again.
    for id in (1..=MAX_SESSIONS_PER_CLIENT as u64).filter(|id| *id != 3) {
        original.call((0, SessionId(id), 1), &Call::ListSpaces);
    }
    let mut restored = original.restored();
    both(&mut original, &mut restored, &[opening(0, 9_999)]);
    for bench in [&mut original, &mut restored] {
        let answers = bench.call((0, SessionId(3), 1), &Call::ListSpaces);
        assert_eq!(answers, [Answer::Refused(Refused::NoSession)]);
    }
    // The request that opened one gives the same one again, where it was opened.
    let again = opening(0, 9_999);
    assert_eq!(original.kernel.admit(&again), restored.kernel.admit(&again));
    both(&mut original, &mut restored, &[again]);
}

/// A client that asked several replicas may have its opening ordered twice. It counts replies
/// that are alike, so both have to be.
#[test]
fn an_opening_that_is_ordered_twice_has_one_answer() {
    let mut bench = Bench::new();
    bench.open(1, 1);
    let first = bench.execute(1, vec![opening(0, 7)]);
    let session = SessionId(2);
    bench.call((0, session, 1), &out("(1)"));
    assert_eq!(bench.execute(1, vec![opening(0, 7)]), first);
    assert_eq!(bench.restored().execute(1, vec![opening(0, 7)]), first);
}

#[test]
fn extensions_keep_their_owner_their_order_and_who_acknowledged_them() {
    let mut original = Bench::new();
    let sessions: Vec<SessionId> = (0..2).map(|client| original.open(client, 1)).collect();
    original.call((0, sessions[0], 1), &out("(1)"));
    // Versions 1 and 0 mean the same operation; the later registration counts.
    let mut hashes = Vec::new();
    for (number, version) in [(2, 1), (3, 0), (4, 3)] {
        match original.call((0, sessions[0], number), &register(version))[..] {
            [Answer::Registered { hash }] => hashes.push(hash),
            ref other => panic!("{other:?}"),
        }
    }
    let hash = hashes[0];
    original.call((1, sessions[1], 1), &Call::Acknowledge { hash });
    let mut restored = original.restored();
    for (client, versions) in [(0, [Some(0), Some(3)]), (1, [Some(1), None])] {
        let session = sessions[usize::from(client)];
        for (number, (asked, answering)) in (5..).zip([0, 3].into_iter().zip(versions)) {
            for between in 2..number {
                let filler = asking(client, session, between, &[], &Call::ListSpaces);
                both(&mut original, &mut restored, &[filler]);
            }
            let request = asking(client, session, number, &[], &ask(asked));
            let answers = both(&mut original, &mut restored, &[request]);
            let version = match &answers[..] {
                [Answer::Refused(Refused::Extension(failure))] => Some(failure.version),
                [Answer::Outcome(_)] => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(version, answering, "client {client} asks for {asked}");
        }
    }
    // Registered again, it is the same one.
    let (manifest, module) = extension(0);
    let again = Call::Register { manifest, module };
    let request = asking(0, sessions[0], 7, &[], &again);
    let answers = both(&mut original, &mut restored, &[request]);
    assert_eq!(answers, [Answer::Registered { hash: hashes[1] }]);
}

/// One content reached in two ways: what was there for a while left no trace.
#[test]
fn equal_states_have_equal_bytes_whatever_came_before() {
    let states = [false, true].map(|detours| {
        let mut bench = Bench::new();
        let session = bench.open(0, 1);
        let mut number = 0;
        let mut call = |call: &Call, bench: &mut Bench| {
            number += 1;
            let acked: Vec<u64> = (1..number).rev().take(1).collect();
            bench.execute(1, vec![asking(0, session, number, &acked, call)]);
        };
        // Four hundred ids, taken out from either end, with a look in between.
        for value in 0..400 {
            call(&out(&format!("({value}, \"x\")")), &mut bench);
        }
        if detours {
            bench.snapshot();
        }
        for at in 0..300 {
            let value = if detours { 299 - at } else { at };
            call(&inp(&format!("({value}, _)")), &mut bench);
            if detours && at % 50 == 0 {
                bench.snapshot();
            }
        }
        // Two waits, one of which is over; on the detour a third came and went before them.
        if detours {
            call(&rd("(\"gone\")"), &mut bench);
            call(&Call::Cancel { number: 701 }, &mut bench);
        } else {
            call(&Call::ListSpaces, &mut bench);
            call(&Call::ListSpaces, &mut bench);
        }
        call(&rd("(\"late\")"), &mut bench);
        call(&take("(\"late\")"), &mut bench);
        // A wrong call changes nothing but its session.
        if detours {
            call(&Call::CreateSpace { space: space("a") }, &mut bench);
        } else {
            call(&Call::ListSpaces, &mut bench);
        }
        // The order in which tuples went is an event for a while, until later ones take its place.
        let large = format!("(\"{}\")", "x".repeat(60_000));
        for _ in 0..10 {
            call(&out(&large), &mut bench);
            call(&inp("(?text)"), &mut bench);
        }
        let everything: Vec<u64> = (1..=number).filter(|n| *n != 703 && *n != 704).collect();
        for acked in everything.chunks(60) {
            number += 1;
            bench.execute(
                1,
                vec![asking(0, session, number, acked, &Call::ListSpaces)],
            );
        }
        bench.snapshot()
    });
    assert!(states[0] == states[1], "the way shows");
}

#[test]
fn a_null_request_changes_nothing_and_a_tick_changes_time_alone() {
    let mut bench = Bench::new();
    bench.execute(1_000, vec![opening(0, 1)]);
    assert_eq!(bench.kernel.time(), OrderedTime(1_000));
    let before = bench.snapshot();
    assert!(bench.execute(0, Vec::new()).is_empty());
    assert!(
        bench.snapshot() == before,
        "a null request changed something"
    );
    // Time never stands still and never goes back otherwise.
    bench.execute(900, Vec::new());
    assert_eq!(bench.kernel.time(), OrderedTime(1_001));
    bench.execute(5_000, Vec::new());
    assert_eq!(bench.kernel.time(), OrderedTime(5_000));
    bench.execute(0, vec![opening(0, 2)]);
    assert_eq!(bench.kernel.time(), OrderedTime(5_001));
}
