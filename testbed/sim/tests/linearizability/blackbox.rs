//! The check without the agreed order: it finds an order where there is one, and none where
//! there is none.

use std::collections::BTreeMap;

use bezant_api::{Answer, Call, Lists, Refused};
use bezant_bft::ids::{ClientId, RequestNumber, SeqNo, SessionId};
use bezant_sim::{
    linear::{
        History, Seen,
        blackbox::{Verdict, Why, check},
        witness,
    },
    model::{Performed, Spaces},
    rng::Rng,
};
use bezant_tuplespace::{Lease, Operation};
use bytes::Bytes;

use crate::common::{
    ANN, BEN, DONE, NOTHING, call, found, good, history, inp, out, rdp, take, told,
};

const BUDGET: u64 = 10_000;

fn search(seen: &[Seen]) -> Verdict {
    check(&told(seen), BUDGET).verdict
}

fn accepts(seen: &[Seen]) {
    assert_eq!(search(seen), Verdict::Linearizable, "{seen:#?}");
}

fn rejects(seen: &[Seen]) {
    let verdict = search(seen);
    assert!(
        matches!(verdict, Verdict::NotLinearizable(_)),
        "{verdict:?} {seen:#?}"
    );
}

fn without_answer(seen: &mut Seen) {
    (seen.returned, seen.answer) = (None, None);
}

#[test]
fn an_order_is_found_whatever_order_the_history_is_told_in() {
    let (mut seen, _) = good();
    accepts(&seen);
    seen.reverse();
    accepts(&seen);
    let searched = check(&told(&seen), BUDGET);
    assert_eq!(searched.operations, 6);
    assert_eq!((searched.windows, searched.largest_window), (1, 6));
}

#[test]
fn windows_end_at_quiet_moments() {
    let (seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, rdp(), found(1), 5, 8),
        (ANN, 2, inp(), found(1), 11, 20),
    ]);
    assert_eq!(told(&seen).windows(), [2, 1]);
}

#[test]
fn what_was_not_answered_may_have_happened() {
    let (mut seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, inp(), NOTHING, 20, 30),
    ]);
    rejects(&seen);
    // Somebody asked for the tuple and was never answered: he may have taken it,
    let (thief, _) = history(&[(SessionId(3), 1, inp(), DONE, 5, 6)]);
    seen.extend(thief);
    without_answer(&mut seen[2]);
    accepts(&seen);
    // but not before he asked,
    seen[2].invoked = 31;
    rejects(&seen);
    // and not twice.
    let (mut seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (ANN, 2, out(2), DONE, 11, 20),
        (BEN, 1, inp(), NOTHING, 30, 40),
        (SessionId(3), 1, inp(), DONE, 5, 6),
    ]);
    without_answer(&mut seen[3]);
    rejects(&seen);
}

#[test]
fn what_was_not_answered_may_not_have_happened() {
    let (mut seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, inp(), DONE, 12, 13),
        (ANN, 2, rdp(), found(1), 20, 30),
        (ANN, 3, inp(), found(1), 31, 40),
    ]);
    without_answer(&mut seen[1]);
    accepts(&seen);
    // A later answer of his session says that it did.
    let (later, _) = history(&[(BEN, 2, rdp(), found(1), 14, 19)]);
    seen.extend(later);
    rejects(&seen);
}

#[test]
fn a_stale_read_is_rejected() {
    let (seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, rdp(), NOTHING, 20, 30),
    ]);
    rejects(&seen);
    let (seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (ANN, 2, inp(), found(1), 11, 20),
        (BEN, 1, rdp(), found(1), 21, 30),
    ]);
    rejects(&seen);
}

#[test]
fn a_lost_take_is_rejected() {
    let (mut seen, _) = good();
    seen[4].answer = Some(found(1));
    rejects(&seen);
}

#[test]
fn a_double_take_is_rejected() {
    let (mut seen, _) = good();
    seen[5].answer = Some(found(2));
    rejects(&seen);
    let (seen, _) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (ANN, 2, inp(), found(1), 11, 50),
        (BEN, 1, inp(), found(1), 11, 50),
    ]);
    rejects(&seen);
}

/// Operations of one session overlap and keep their order all the same.
#[test]
fn a_reordered_session_is_rejected() {
    let told = |second: SessionId| {
        history(&[
            (ANN, 1, out(1), DONE, 0, 10),
            (second, 2, out(2), DONE, 1, 10),
            (BEN, 1, inp(), found(2), 20, 30),
            (BEN, 2, inp(), found(1), 31, 40),
        ])
        .0
    };
    rejects(&told(ANN));
    accepts(&told(SessionId(3)));
}

#[test]
fn a_delivery_is_between_its_turn_and_its_answer() {
    let told = [
        (BEN, 1, take(), found(1), 0, 40),
        (ANN, 1, out(7), DONE, 0, 3),
        (ANN, 2, inp(), found(7), 4, 9),
        (ANN, 3, rdp(), NOTHING, 10, 20),
        (ANN, 4, out(1), DONE, 25, 35),
    ];
    // The space is made by the first tuple, and nobody waits in a space that is not there.
    let mut overlapping = told.clone();
    (overlapping[0].4, overlapping[0].5) = (8, 40);
    let (mut seen, _) = history(&overlapping);
    accepts(&seen);
    // Its answer came before the tuple was asked to be put.
    seen[0].returned = Some(24);
    rejects(&seen);
    // Without its answer it still takes the tuple once it had its turn.
    seen[0].returned = None;
    let (after, _) = history(&[
        (BEN, 2, rdp(), NOTHING, 40, 50),
        (ANN, 5, inp(), NOTHING, 60, 70),
    ]);
    seen.extend(after);
    accepts(&seen);
    seen[6].answer = Some(found(1));
    rejects(&seen);
}

#[test]
fn a_cancelled_wait_took_nothing() {
    let cancel = || Call::Cancel { number: 1 };
    let cancelled = || Answer::Refused(Refused::Cancelled);
    let told = |answer: Answer, left: Answer| {
        history(&[
            (ANN, 1, out(7), DONE, 0, 3),
            (ANN, 2, inp(), found(7), 4, 9),
            (BEN, 1, take(), cancelled(), 10, 40),
            (BEN, 2, cancel(), answer, 20, 40),
            (ANN, 3, out(1), DONE, 15, 35),
            (ANN, 4, inp(), left, 50, 60),
        ])
        .0
    };
    accepts(&told(Answer::Cancelled(true), found(1)));
    rejects(&told(Answer::Cancelled(false), found(1)));
    rejects(&told(Answer::Cancelled(true), NOTHING));
}

#[test]
fn a_search_that_grows_too_large_is_no_pass() {
    // Many tuples put at once, taken in an order that no session explains.
    let sessions = 1..9;
    let mut told: Vec<_> = sessions
        .clone()
        .map(|s| (SessionId(s), 1, out(i64::try_from(s).unwrap()), DONE, 0, 10))
        .collect();
    told.push((SessionId(9), 1, inp(), found(77), 20, 30));
    let (seen, _) = history(&told);
    let searched = check(&crate::common::told(&seen), 100);
    assert_eq!(searched.verdict, Verdict::Undecided(Why::Budget));
}

#[test]
fn a_call_the_model_does_not_know_is_no_pass() {
    let page = |after| {
        call(Operation::RdAll {
            template: "(_)".parse().unwrap(),
            limit: 1,
            after,
        })
    };
    let told = |after| history(&[(ANN, 1, page(after), NOTHING, 0, 1)]).0;
    let unknown = search(&told(Some("a:1".parse().unwrap())));
    assert_eq!(unknown, Verdict::Undecided(Why::Unknown));
    rejects(&told(None));
    // When a lease ends is agreed, and no client can tell.
    let leased = call(Operation::Out {
        tuple: "(1)".parse().unwrap(),
        lease: Lease::Ms(5),
    });
    let (seen, _) = history(&[(ANN, 1, leased, DONE, 0, 1)]);
    assert_eq!(search(&seen), Verdict::Undecided(Why::Unknown));
}

/// An honest service and clients that overlap: what they saw.
fn honest(rng: &mut Rng) -> Vec<Seen> {
    let sessions = rng.between(2, 3);
    let mut spaces = Spaces::default();
    spaces.create(1, &space(), Lists::open()).unwrap();
    let (made, _) = history(&[(
        SessionId(9),
        1,
        Call::CreateSpace { space: space() },
        Answer::Created,
        0,
        0,
    )]);
    let mut seen = made;
    // By session: the operation under way and not carried out.
    let mut asked: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut unanswered: Vec<usize> = Vec::new();
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for now in 1..rng.between(8, 22) {
        let session = rng.between(1, sessions);
        match rng.below(3) {
            0 if seen.len() < 7 => {
                let number = next.entry(session).or_default();
                *number += 1;
                asked.entry(session).or_default().push(seen.len());
                seen.push(Seen {
                    session: SessionId(session),
                    number: RequestNumber(*number),
                    call: any_call(rng, *number),
                    invoked: now,
                    returned: None,
                    answer: None,
                });
            }
            1 => {
                let queue = asked.entry(session).or_default();
                if queue.is_empty() {
                    continue;
                }
                let at = queue.remove(0);
                for (other, answer) in carry_out(&mut spaces, &seen[at]) {
                    let mut all = seen.iter();
                    let at = all.position(|seen| seen.key() == other).unwrap();
                    seen[at].answer = Some(answer);
                    unanswered.push(at);
                }
            }
            _ if !unanswered.is_empty() => {
                let at = unanswered.remove(rng.index(unanswered.len()));
                seen[at].returned = Some(now);
            }
            _ => {}
        }
    }
    for at in unanswered {
        seen[at].answer = None;
    }
    seen
}

fn space() -> bezant_tuplespace::SpaceName {
    bezant_tuplespace::SpaceName::new("a").unwrap()
}

fn any_call(rng: &mut Rng, number: u64) -> Call {
    let payload = i64::try_from(rng.between(1, 3)).unwrap();
    match rng.below(6) {
        0 | 1 => out(payload),
        2 => rdp(),
        3 => inp(),
        4 if number > 1 => Call::Cancel { number: number - 1 },
        _ => take(),
    }
}

/// What a turn answers, to whomever.
fn carry_out(spaces: &mut Spaces, seen: &Seen) -> Vec<((SessionId, RequestNumber), Answer)> {
    let (session, number) = (seen.session.0, seen.number.0);
    let mut answers = Vec::new();
    match &seen.call {
        Call::Cancel { number } => {
            let was_waiting = spaces.cancel(session, *number);
            if was_waiting {
                let wait = (seen.session, RequestNumber(*number));
                answers.push((wait, Answer::Refused(Refused::Cancelled)));
            }
            answers.push((seen.key(), Answer::Cancelled(was_waiting)));
        }
        Call::Space { space, operation } => {
            let outcome = spaces.apply((session, number), space, operation).unwrap();
            answers.extend(outcome.map(|outcome| (seen.key(), Answer::Outcome(outcome))));
            for (wait, answer) in spaces.take_answers() {
                let wait = (SessionId(wait.owner), RequestNumber(wait.number));
                answers.push((wait, answer));
            }
        }
        other => panic!("{other:?} is not drawn"),
    }
    answers
}

/// Whether any order at all satisfies the other check: every order of every choice of
/// operations that respects sessions is tried.
fn some_order_fits(history: &History, order: &mut Vec<Performed>) -> bool {
    if witness::check(history, order, &[]).is_ok() {
        return true;
    }
    for seen in &history.operations {
        let placed = |key| {
            let mut order = order.iter();
            order.any(|one| (one.session, one.number) == key)
        };
        let before = RequestNumber(seen.number.0 - 1);
        let is_next = before.0 == 0 || placed((seen.session, before));
        if placed(seen.key()) || !is_next {
            continue;
        }
        order.push(Performed {
            session: seen.session,
            number: seen.number,
            client: ClientId([0; 32]),
            seq_no: SeqNo(1),
            op: Bytes::from(seen.call.encode()),
        });
        if some_order_fits(history, order) {
            return true;
        }
        order.pop();
    }
    false
}

#[test]
fn both_checks_agree_on_any_small_history() {
    let mut verdicts = [0_u32; 2];
    for seed in 0..1500 {
        let mut rng = Rng::new(seed);
        let mut seen = honest(&mut rng);
        accepts(&seen);
        if seen.len() > 6 {
            seen.truncate(6);
        }
        // Something is told wrong: an answer or a time.
        let answered = seen.iter_mut().filter(|seen| seen.returned.is_some());
        let mut answered: Vec<_> = answered.skip(1).collect();
        if answered.is_empty() {
            continue;
        }
        let at = rng.index(answered.len());
        let one = &mut answered[at];
        if rng.chance(700) {
            one.answer = Some(match rng.below(4) {
                0 => NOTHING,
                payload => found(i64::try_from(payload).unwrap()),
            });
        } else {
            one.returned = Some(one.invoked);
        }
        let told = told(&seen);
        let fits = some_order_fits(&told, &mut Vec::new());
        let searched = check(&told, BUDGET).verdict;
        assert_eq!(
            fits,
            searched == Verdict::Linearizable,
            "seed {seed}: {searched:?} {seen:#?}"
        );
        assert_ne!(searched, Verdict::Undecided(Why::Budget), "seed {seed}");
        verdicts[usize::from(fits)] += 1;
    }
    assert!(verdicts[0] > 100 && verdicts[1] > 100, "{verdicts:?}");
}
