//! Tests of the pool.

use bytes::Bytes;

use super::*;
use crate::{
    crypto::Signature,
    ids::{RequestNumber, SessionId},
    message::{Request, SignedRequest},
};

fn request(client: u64, number: u64, op: &Bytes) -> Arc<CheckedRequest> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&client.to_le_bytes());
    let request = Request {
        client: ClientId(key),
        session: SessionId(1),
        number: RequestNumber(number),
        acked: Vec::new(),
        op: op.clone(),
    };
    let signed = SignedRequest {
        request,
        signature: Signature([0; 64]),
    };
    Arc::new(CheckedRequest::unchecked(signed))
}

fn numbers(requests: &[Arc<CheckedRequest>]) -> Vec<u64> {
    requests
        .iter()
        .map(|request| request.request().number.0)
        .collect()
}

/// Many clients, each within its share, fill the pool to its bound and no further.
#[test]
fn the_pool_holds_so_many_requests() {
    let mut pool = Pool::default();
    for i in 0..limits::MAX_POOL_REQUESTS as u64 {
        assert_eq!(pool.add(request(i, i, &Bytes::new()), Instant(i)), Ok(()));
    }
    let one_more = request(u64::MAX, 1, &Bytes::new());
    assert_eq!(
        pool.add(Arc::clone(&one_more), Instant(0)),
        Err(Refusal::Full(Share::All))
    );
    assert_eq!(pool.len(), limits::MAX_POOL_REQUESTS);
    assert_eq!(pool.invariants(), Ok(()));
    pool.settle(&request(3, 3, &Bytes::new()));
    assert_eq!(pool.add(one_more, Instant(0)), Ok(()));
}

#[test]
fn the_pool_holds_so_many_bytes() {
    let mut pool = Pool::default();
    let op = Bytes::from(vec![0; limits::MAX_OP_BYTES]);
    let cost = request(0, 0, &op).cost_bytes();
    // The last sixteenth is for smaller ones.
    let fit = (limits::MAX_POOL_BYTES - limits::POOL_LEFT_PER_CLIENT * cost) / cost + 1;
    for i in 0..fit as u64 {
        assert_eq!(pool.add(request(i, i, &op), Instant(0)), Ok(()));
    }
    assert_eq!(
        pool.add(request(999, 1, &op), Instant(0)),
        Err(Refusal::Full(Share::Client))
    );
    assert_eq!(pool.add(request(998, 1, &Bytes::new()), Instant(0)), Ok(()));
    assert_eq!(pool.invariants(), Ok(()));
}

/// Large operations use a share up before the number of requests does.
#[test]
fn a_client_holds_so_many_bytes() {
    let mut pool = Pool::default();
    let op = Bytes::from(vec![0; limits::MAX_OP_BYTES]);
    let fit = limits::MAX_POOL_BYTES_PER_CLIENT / request(0, 0, &op).cost_bytes();
    for i in 0..fit as u64 {
        assert_eq!(pool.add(request(1, i, &op), Instant(0)), Ok(()));
    }
    assert_eq!(
        pool.add(request(1, 999, &op), Instant(0)),
        Err(Refusal::Full(Share::Client))
    );
    assert_eq!(pool.add(request(2, 999, &op), Instant(0)), Ok(()));
    pool.settle(&request(1, 0, &op));
    assert_eq!(pool.add(request(1, 999, &op), Instant(0)), Ok(()));
}

/// However many clients take all they may have, there is room for others.
#[test]
fn greedy_clients_leave_the_others_theirs() {
    let large = Bytes::from(vec![0; limits::MAX_OP_BYTES]);
    for (greedy, op) in [
        (16, Bytes::new()),
        (64, Bytes::new()),
        (16, large.clone()),
        (64, large.clone()),
        (256, large),
    ] {
        let mut pool = Pool::default();
        for client in 0..greedy {
            for round in 0..1000 {
                let more = pool.add(request(client, round, &op), Instant(0));
                if let Err(why) = more {
                    assert!(matches!(why, Refusal::Full(_)), "{why:?}");
                    break;
                }
            }
        }
        // So many leave room for small ones only.
        let modest_op = if greedy < 64 { &op } else { &Bytes::new() };
        for modest in 1000..1016 {
            let taken = pool.add(request(modest, 1, modest_op), Instant(0));
            assert_eq!(taken, Ok(()), "beside {greedy} greedy clients");
        }
        assert_eq!(pool.invariants(), Ok(()));
        assert_eq!(pool.audit(), Ok(()));
    }
}

/// What one greedy client has in the pool costs another one place in the next proposal.
#[test]
fn clients_are_served_by_turns() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    for number in 1..=200 {
        pool.add(request(1, number, &op), Instant(0)).unwrap();
        if number <= 100 {
            pool.add(request(2, number, &op), Instant(0)).unwrap();
        }
    }
    pool.add(request(3, 7, &op), Instant(9)).unwrap();
    let first: Vec<_> = pool.take_for_proposal();
    assert_eq!(first.len(), limits::MAX_REQUESTS_PER_PROPOSAL);
    assert_eq!(numbers(&first[..5]), [1, 1, 7, 2, 2]);
    pool.add(request(3, 8, &op), Instant(9)).unwrap();
    assert!(numbers(&pool.take_for_proposal()[..2]).contains(&8));
    assert_eq!(pool.unproposed(), 0);
    assert_eq!(pool.audit(), Ok(()));
}

const FORWARD_US: u64 = 50_000;
const TIMEOUT_US: u64 = 1_000_000;

/// The primary proposes `request`, with room for more or not.
fn sees(pool: &mut Pool, requests: &[Arc<CheckedRequest>], had_room: bool, now_us: u64) -> Review {
    let now = Instant(now_us);
    for request in requests {
        pool.mark_proposed(request, now);
    }
    pool.review(had_room, now, FORWARD_US, TIMEOUT_US)
}

#[test]
fn a_request_is_passed_on_once_when_what_came_much_later_is_proposed() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    for (number, ms) in [(1, 1), (2, 2), (3, 3), (20, 40), (30, 53)] {
        pool.add(request(1, number, &op), Instant(ms * 1000))
            .unwrap();
    }
    let of = |number| request(1, number, &op);
    let early = sees(&mut pool, &[of(2), of(3)], true, 60_000);
    assert!(early.pass_on.is_empty());
    assert_eq!(pool.waits_since(), Some(Instant(1000)));
    // Came 52 ms after the first.
    let late = sees(&mut pool, &[of(30)], true, 90_000);
    assert_eq!(numbers(&late.pass_on), [1]);
    // Nobody had heard of this one: it came in just now.
    let new = sees(&mut pool, &[of(99)], true, 120_000);
    assert_eq!(numbers(&new.pass_on), [20], "the other once");
    pool.take_for_proposal();
    assert_eq!(pool.waits_since(), None);
}

/// Left out of a proposal with room for it, and again a timeout later.
#[test]
fn a_primary_that_leaves_a_waiting_request_out_is_unfair() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    let of_another = |number| request(2, number, &op);
    pool.add(request(1, 1, &op), Instant(0)).unwrap();
    let mut at = Vec::new();
    for tenths in 1..40 {
        // Empty proposals leave it out as well.
        let others = [of_another(tenths)];
        let others = &others[usize::from(tenths % 3 == 0)..];
        let review = sees(&mut pool, others, true, tenths * 100_000);
        if review.is_unfair {
            at.push(tenths);
        }
        let reminds = tenths == 10 || tenths == 1;
        assert_eq!(review.pass_on.len(), usize::from(reminds), "at {tenths}");
    }
    assert_eq!(at.first(), Some(&20));
    // The next primary gets its time.
    pool.forget_proposals(Instant(4_000_000));
    assert!(!sees(&mut pool, &[], true, 4_900_000).is_unfair);
}

/// A client that fills its share at the primary makes it refuse what others pass on.
#[test]
fn a_client_of_which_much_is_proposed_is_not_starved() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    pool.add(request(1, 1, &op), Instant(0)).unwrap();
    pool.add(request(2, 1, &op), Instant(0)).unwrap();
    for tenths in 1..40 {
        let of_greedy: Vec<_> = (0..20)
            .map(|i| request(1, 1000 * tenths + i, &op))
            .collect();
        let unfair = sees(&mut pool, &of_greedy, true, tenths * 100_000).is_unfair;
        assert_eq!(unfair, tenths >= 20, "to the other one");
        if tenths == 20 {
            pool.settle(&request(2, 1, &op));
            break;
        }
    }
    for tenths in 21..90 {
        let of_greedy: Vec<_> = (0..20)
            .map(|i| request(1, 1000 * tenths + i, &op))
            .collect();
        assert!(!sees(&mut pool, &of_greedy, true, tenths * 100_000).is_unfair);
    }
}

/// Full proposals leave somebody out in good faith, but not for ever.
#[test]
fn a_primary_whose_proposals_are_full_serves_everybody_in_turn() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    pool.add(request(1, 1, &op), Instant(0)).unwrap();
    let mut unfair_at = None;
    for seen in 1..1000 {
        if sees(&mut pool, &[], false, TIMEOUT_US + seen * 30_000).is_unfair {
            unfair_at = Some(seen);
            break;
        }
    }
    assert_eq!(unfair_at, Some(limits::MAX_FULL_PROPOSALS_A_ROUND + 1));
    // Served once it is at the end of the line, with its next request.
    pool.add(request(1, 2, &op), Instant(0)).unwrap();
    let now_us = TIMEOUT_US + 1000 * 30_000;
    assert!(!sees(&mut pool, &[request(1, 1, &op)], false, now_us).is_unfair);
}

#[test]
fn requests_are_proposed_in_order_of_arrival_and_once() {
    let (mut pool, op) = (Pool::default(), Bytes::new());
    for number in 1..=5 {
        pool.add(request(1, number, &op), Instant(number)).unwrap();
    }
    assert_eq!(
        pool.add(request(1, 2, &op), Instant(9)),
        Err(Refusal::Known)
    );
    pool.mark_proposed(&request(1, 3, &op), Instant(9));
    pool.settle(&request(1, 1, &op));
    assert_eq!(pool.oldest(), Some(Instant(2)));
    assert_eq!(pool.unproposed(), 3);
    assert_eq!(
        numbers(&pool.waiting().cloned().collect::<Vec<_>>()),
        [2, 4, 5]
    );
    assert_eq!(numbers(&pool.take_for_proposal()), [2, 4, 5]);
    assert!(pool.take_for_proposal().is_empty());
    assert_eq!((pool.len(), pool.unproposed()), (4, 0));
    assert!(pool.is_proposed(&request(1, 5, &op).digest()));
}

/// Whatever order things come and go in, the counts are what counting gives and the
/// queue does not outgrow the pool.
#[test]
fn the_counts_are_right_after_any_history() {
    let (mut pool, op) = (Pool::default(), Bytes::from_static(b"op"));
    let mut chance = 7_u64;
    for step in 0..20_000_u64 {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let number = (chance >> 33) % 300;
        let any = request(number % 3, number, &op);
        match (chance >> 20) % 5 {
            0 | 1 => drop(pool.add(any, Instant(step))),
            2 => _ = pool.mark_proposed(&any, Instant(step)),
            3 if step % 50 == 0 => drop(pool.take_for_proposal()),
            3 if step % 50 == 1 => pool.forget(&any.digest()),
            3 if step % 500 == 2 => pool.forget_proposals(Instant(step)),
            _ => pool.settle(&any),
        }
        assert_eq!(pool.invariants(), Ok(()));
        assert_eq!(
            pool.waiting()
                .map(|r| r.digest())
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            pool.unproposed()
        );
        assert!(step % 16 != 0 || pool.audit() == Ok(()));
        assert!(pool.queue.len() <= 2 * 300 + 64);
    }
}
