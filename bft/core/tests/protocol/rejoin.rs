//! A replica that lost its memory comes back in order, and says nothing before that.

use std::collections::VecDeque;

use bezant_bft::{
    codec,
    crypto::Domain,
    effects::{Effect, Record},
    ids::{Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, ReplicaId, SeqNo, View},
    limits,
    message::{PeerMessage, PrePrepare, Proposal, Rejoin, Signed, ViewChange, Vote},
    misbehaviour::Offence,
    rejoin::IncarnationTable,
    replica::Tuning,
};

use crate::common::{
    Cluster, DAWN_MS, client, digest_of,
    single::{Single, blames, commits, executes, prepares, sent},
    views::entered,
    vote,
    world::World,
};

const T: u64 = 1_000_000;

/// A checkpoint every four numbers: an incarnation counts 16 numbers and up to a checkpoint later.
pub(crate) const INTERVAL: u64 = 4;

pub(crate) fn tuning() -> Tuning {
    Tuning {
        gather: 1,
        ..Tuning::default()
    }
}

fn world(seed: u64) -> World {
    World::new(seed, 4, INTERVAL, tuning())
}

/// A client sends to everybody.
fn ask(world: &mut World, numbers: impl Iterator<Item = u64>) {
    let n = u8::try_from(world.nodes.len()).unwrap();
    for number in numbers {
        let request = world.cluster.request(&client(1), number, b"op");
        for to in 0..n {
            world.request(0, to, request.clone());
        }
    }
}

#[track_caller]
fn assert_executed(world: &World, replicas: &[usize], count: usize) {
    for i in replicas {
        let executed = world.nodes[*i].log.order.len();
        assert_eq!(executed, count, "{i}: {}", world.stand());
    }
}

#[track_caller]
fn assert_back(world: &World, i: usize, incarnation: u64) {
    let replica = &world.nodes[i].replica;
    assert!(replica.votes(), "{}", world.stand());
    assert_eq!(replica.incarnation(), Incarnation(incarnation));
    for node in &world.nodes {
        assert!(node.blames.is_empty(), "{:?}", node.blames);
    }
}

/// Without a single request: the others order as much as it takes, and are silent then.
#[test]
fn a_replica_without_a_memory_comes_back_and_is_needed() {
    for asked in [0, 3, 30] {
        let mut world = world(1);
        ask(&mut world, 1..=asked);
        world.run_for(T);
        world.forget(3, tuning(), 1);
        assert!(!world.nodes[3].replica.votes());
        world.run_until_idle(60 * T);
        assert_back(&world, 3, 1);
        let executed = usize::try_from(asked).unwrap();
        assert_executed(&world, &[0, 1, 2, 3], executed);
        // Now nothing is decided without it.
        world.nodes[1].down = true;
        ask(&mut world, asked + 1..=asked + 3);
        world.run_for(2 * T);
        assert_executed(&world, &[0, 2, 3], executed + 3);
    }
}

/// The primary forgets: it is replaced, comes back, and may be primary again.
#[test]
fn a_primary_without_a_memory_is_replaced_and_comes_back() {
    let mut world = world(2);
    ask(&mut world, 1..=5);
    world.run_for(T);
    world.forget(0, tuning(), 1);
    ask(&mut world, 6..=9);
    world.run_until_idle(60 * T);
    assert_back(&world, 0, 1);
    assert_executed(&world, &[0, 1, 2, 3], 9);
    assert_eq!(world.nodes[0].replica.view(), View(1));
    // Views 1 to 3 lose their primaries, one after the other.
    for down in 1..=3 {
        world.nodes[down].down = true;
        ask(&mut world, (9 + down as u64)..=(9 + down as u64));
        world.run_for(20 * T);
        world.restart(u8::try_from(down).unwrap(), tuning());
        world.run_for(20 * T);
    }
    assert_executed(&world, &[0, 1, 2, 3], 12);
    assert_eq!(world.nodes[0].replica.primary(), ReplicaId(0));
}

/// One replica after the other forgets, and one of them twice.
#[test]
fn all_may_forget_one_after_the_other() {
    let mut world = world(3);
    let mut executed = 0;
    for (nonce, forgetful) in [3, 1, 0, 2, 3].into_iter().enumerate() {
        ask(&mut world, executed + 1..=executed + 4);
        executed += 4;
        world.run_for(T);
        world.forget(forgetful, tuning(), u8::try_from(nonce).unwrap());
        world.run_until_idle(60 * T);
        let incarnation = if nonce == 4 { 2 } else { 1 };
        assert_back(&world, usize::from(forgetful), incarnation);
    }
    assert_executed(&world, &[0, 1, 2, 3], 20);
}

/// It forgets again, or only restarts, before its incarnation counts.
#[test]
fn an_incarnation_may_end_before_it_counts() {
    for after_us in [0, 200, 600, 1_000, 3_000, 10_000] {
        let mut world = world(4);
        ask(&mut world, 1..=3);
        world.run_for(T);
        world.forget(3, tuning(), 1);
        world.run_for(after_us);
        world.restart(3, tuning());
        world.run_for(after_us);
        world.forget(3, tuning(), 2);
        world.run_for(after_us);
        world.restart(3, tuning());
        world.run_until_idle(60 * T);
        let replica = &world.nodes[3].replica;
        assert!(replica.votes(), "{after_us}: {}", world.stand());
        assert_executed(&world, &[0, 1, 2, 3], 3);
    }
}

/// What is lost of its rejoin request is said again, whoever does not hear it.
#[test]
fn a_rejoin_request_is_repeated_and_passed_on() {
    let mut world = world(5);
    ask(&mut world, 1..=3);
    world.run_for(T);
    // Its rejoin request reaches one backup only, which passes it on.
    world.partition(&[3], &[0, 1]);
    world.forget(3, tuning(), 1);
    world.run_for(2 * T);
    assert_eq!(world.nodes[0].replica.view(), View(0));
    let ordered = world.nodes[0].replica.executed();
    assert!(ordered >= SeqNo(20), "{}", world.stand());
    world.heal();
    world.run_until_idle(60 * T);
    assert_back(&world, 3, 1);

    let mut world = self::world(6);
    world.swallow = Some(|message| matches!(message, PeerMessage::Rejoin(_)));
    world.forget(3, tuning(), 1);
    world.run_for(3 * T);
    world.swallow = None;
    world.run_until_idle(60 * T);
    assert_back(&world, 3, 1);
}

/// A primary that leaves the rejoin request out is replaced, though it orders everything else.
#[test]
fn a_primary_that_leaves_the_rejoin_request_out_is_replaced() {
    for asked in [0, 1000] {
        let mut world = world(7);
        // It never hears of the rejoin request: as good as leaving it out.
        world.nodes[0].faulty = Some(Box::new(|_, _, message, _| vec![message.clone()]));
        world.partition(&[0], &[3]);
        world.swallow = Some(|message| matches!(message, PeerMessage::Rejoin(_)));
        world.forget(3, tuning(), 1);
        world.inject(3, 1, &rejoin_request(&world.cluster, 3, 1, 1));
        world.inject(3, 2, &rejoin_request(&world.cluster, 3, 1, 1));
        for number in 1..=asked {
            let request = world.cluster.request(&client(1), number, b"op");
            world.request(number * 5_000, 0, request);
        }
        world.run_for(4 * T);
        let suspected = |i: usize| !world.nodes[i].suspected.is_empty();
        assert!(suspected(1) && suspected(2), "{asked}: {}", world.stand());
    }
}

/// A replica that was away while another forgot learns of it from the state it fetches.
#[test]
fn incarnations_come_with_the_state() {
    let mut world = world(8);
    world.forget(3, tuning(), 1);
    world.run_until_idle(60 * T);
    // Replica 2 forgets, too, and the log that tells of 3 is gone by then.
    ask(&mut world, 1..=60);
    world.run_for(10 * T);
    world.forget(2, tuning(), 2);
    world.run_until_idle(60 * T);
    assert_back(&world, 2, 1);
    assert_back(&world, 3, 1);
    assert_executed(&world, &[0, 1, 2, 3], 60);
    // The votes of one new incarnation count at the other.
    world.nodes[0].down = true;
    ask(&mut world, 61..=62);
    world.run_for(20 * T);
    assert_executed(&world, &[1, 2, 3], 62);
}

fn rejoin_request(cluster: &Cluster, by: u8, incarnation: u64, nonce: u8) -> PeerMessage {
    PeerMessage::Rejoin(signed_rejoin_request(cluster, by, incarnation, nonce))
}

pub(crate) fn signed_rejoin_request(
    cluster: &Cluster,
    by: u8,
    incarnation: u64,
    nonce: u8,
) -> Signed<Rejoin> {
    let body = Rejoin {
        epoch: Epoch(0),
        replica: ReplicaId(by),
        incarnation: Incarnation(incarnation),
        nonce: IncarnationNonce([nonce; 32]),
    };
    let key = &cluster.keys[usize::from(by)];
    Signed::new(body, Domain::Rejoin, &cluster.id, key)
}

/// Replica 3 as it starts without a memory.
fn amnesiac() -> Single {
    amnesiac_at(3)
}

fn amnesiac_at(me: u8) -> Single {
    let mut single = Single::with(4, me, INTERVAL, tuning());
    let records = vec![Record::IncarnationNonce(IncarnationNonce([1; 32]))];
    let cluster = &single.cluster;
    single.replica = cluster.recover(me, INTERVAL, tuning(), IncarnationTable::default(), records);
    single
}

fn says_only_its_rejoin_request(out: &[Effect]) {
    for message in sent(out) {
        assert!(
            matches!(
                message,
                PeerMessage::Rejoin(_) | PeerMessage::Status(_) | PeerMessage::Forward(_)
            ),
            "{message:?}"
        );
    }
}

/// It follows what is decided and votes on nothing: not on numbers, not on states, not on
/// views, whatever it waits for.
#[test]
fn without_an_incarnation_nothing_is_voted_on() {
    let mut single = amnesiac();
    let out = single.tick(0);
    let rejoin_requests = sent(&out);
    assert!(
        matches!(rejoin_requests[..], [PeerMessage::Rejoin(rejoin_request)] if rejoin_request.body.incarnation == Incarnation(1)),
        "{rejoin_requests:?}"
    );
    for number in 1..=4 {
        let out = single.decide(number);
        assert_eq!(executes(&out), [number]);
        says_only_its_rejoin_request(&out);
        let state = (number == 4).then_some(Digest([1; 32]));
        says_only_its_rejoin_request(&single.executed(number, state));
    }
    // The others make the checkpoint stable, before or after it got there.
    for by in 0..3 {
        let vote = single.cluster.checkpoint(by, 4, Digest([1; 32]));
        says_only_its_rejoin_request(&single.hear(by, &vote));
    }
    assert_eq!(single.replica.stable(), SeqNo(4));
    let request = single.cluster.request(&client(1), 9, b"op");
    says_only_its_rejoin_request(&single.ask(&request));
    // View 3 would be its own.
    for view in 1..=3 {
        for by in 0..3 {
            let change = view_change(&single.cluster, by, 0, view, 0);
            says_only_its_rejoin_request(&single.hear(by, &change));
        }
    }
    for _ in 0..20 {
        says_only_its_rejoin_request(&single.tick(T));
    }
    assert!(!single.replica.votes());
}

/// A view may begin below the checkpoint from which its new incarnation counts. What is ordered
/// again there it has executed; a vote on it would be one that an earlier incarnation may have cast
/// otherwise, and nobody would take it.
#[test]
fn an_incarnation_votes_in_no_view_on_what_was_before_it() {
    let mut single = amnesiac();
    let cluster = single.cluster.clone();
    let first = vec![signed_rejoin_request(&cluster, 3, 1, 1)];
    decide_with(&mut single, 1, first);
    for number in 2..=20 {
        says_only_its_rejoin_request(&decide_with(&mut single, number, Vec::new()));
    }
    assert!(single.replica.votes());
    let digest = digest_of(&with_incarnations(Vec::new()));
    let changes = [0, 1, 2].map(|by| {
        let PeerMessage::ViewChange(signed) = view_change(&cluster, by, 0, 1, 16) else {
            panic!("no view change");
        };
        let mut body = signed.body;
        let prepared = (17..=20).map(|number| cluster.certificate(0, number, digest));
        body.prepared = prepared.collect();
        cluster.sign_view_change(by, body)
    });
    let proposed: Vec<_> = (17..=20).map(|number| (number, digest)).collect();
    let opening = cluster.new_view(1, &[&changes[0], &changes[1], &changes[2]], &proposed);
    let mut out = single.hear_all((0..).zip(&changes));
    out.extend(single.hear(1, &cluster.sign_new_view(1, opening)));
    assert_eq!(entered(&out), [1], "{out:?}");
    assert_eq!((prepares(&out), commits(&out)), (0, 0));
    for number in 17..=20 {
        for by in [0, 2] {
            let vote = Vote {
                view: View(1),
                ..vote(by, number, digest)
            };
            let vote = cluster.sign(by, vote, Domain::Prepare);
            let out = single.hear(by, &PeerMessage::Prepare(vote));
            assert_eq!((prepares(&out), commits(&out)), (0, 0));
        }
    }
    let next = cluster.pre_prepare_in(1, 21, with_incarnations(Vec::new()));
    assert_eq!(prepares(&single.hear(1, &next)), 1, "from here on it votes");
}

/// It could not join the others while it was silent. When it leaves at last, the view that it
/// is primary of opens at once, and what waits is proposed in the same step: no event might
/// follow for long.
#[test]
fn a_view_that_opens_when_time_is_up_is_used_at_once() {
    let mut single = amnesiac_at(1);
    let cluster = single.cluster.clone();
    let first = vec![signed_rejoin_request(&cluster, 1, 1, 1)];
    decide_with(&mut single, 1, first);
    for number in 2..=19 {
        decide_with(&mut single, number, Vec::new());
    }
    for by in [0, 2, 3] {
        single.hear(by, &view_change(&cluster, by, 0, 1, 16));
    }
    decide_with(&mut single, 20, Vec::new());
    assert!(single.replica.votes());
    assert_eq!(single.replica.view(), View(0));
    single.ask(&cluster.request(&client(1), 1, b"op"));
    let out = single.tick(2 * T);
    assert_eq!(entered(&out), [1], "{out:?}");
    let proposed = sent(&out).into_iter().any(|message| {
        matches!(message, PeerMessage::PrePrepare(message)
            if message.vote.body.seq_no == SeqNo(21) && message.proposal.requests.len() == 1)
    });
    assert!(proposed, "{out:?}");
}

/// It was silent on states that it executed meanwhile: once its incarnation counts it says what it
/// has, for the others may need its word.
#[test]
fn votes_on_states_that_it_owes_are_made_up_for() {
    let mut single = amnesiac();
    let first = vec![signed_rejoin_request(&single.cluster, 3, 1, 1)];
    decide_with(&mut single, 1, first);
    for number in 2..=19 {
        decide_with(&mut single, number, Vec::new());
    }
    for number in 20..=24 {
        let (out, _) = decide_only(&mut single, number, Vec::new());
        says_only_its_rejoin_request(&out);
    }
    let votes: Vec<_> = (0..3)
        .flat_map(|by| {
            let vote = single.cluster.checkpoint(by, 20, Digest([1; 32]));
            single.hear(by, &vote)
        })
        .collect();
    assert!(single.replica.votes());
    let states = sent(&votes)
        .into_iter()
        .filter_map(|message| match message {
            PeerMessage::Checkpoint(vote) => Some((vote.body.seq_no, vote.body.incarnation)),
            _ => None,
        });
    assert_eq!(states.collect::<Vec<_>>(), [(SeqNo(24), Incarnation(1))]);
}

/// A primary that forgot owes a tick and does not propose it: that would be a vote.
#[test]
fn without_an_incarnation_no_tick_is_proposed() {
    let mut single = Single::with(4, 0, INTERVAL, tuning());
    let records = vec![Record::IncarnationNonce(IncarnationNonce([1; 32]))];
    let cluster = &single.cluster;
    single.replica = cluster.recover(0, INTERVAL, tuning(), IncarnationTable::default(), records);
    single
        .replica
        .expect(OrderedTime(DAWN_MS), Some(OrderedTime(DAWN_MS + 1)));
    for _ in 0..20 {
        says_only_its_rejoin_request(&single.tick(T));
    }
}

/// It asks again, less and less often.
#[test]
fn a_rejoin_request_is_repeated_with_growing_pauses() {
    let mut single = amnesiac();
    let mut rejoin_requests = 0;
    for _ in 0..1000 {
        let out = single.tick(T / 10);
        let rejoin_request = |message: &&&PeerMessage| matches!(message, PeerMessage::Rejoin(_));
        rejoin_requests += sent(&out).iter().filter(rejoin_request).count();
    }
    assert!(
        (10..=20).contains(&rejoin_requests),
        "{rejoin_requests} in 100 s"
    );
}

pub(crate) fn view_change(
    cluster: &Cluster,
    by: u8,
    incarnation: u64,
    view: u64,
    stable: u64,
) -> PeerMessage {
    let checkpoint = (0..3).filter(|_| stable > 0).map(|voter| {
        match cluster.checkpoint(voter, stable, Digest([1; 32])) {
            PeerMessage::Checkpoint(vote) => vote,
            other => panic!("{other:?}"),
        }
    });
    let body = ViewChange {
        epoch: Epoch(0),
        replica: ReplicaId(by),
        incarnation: Incarnation(incarnation),
        view: View(view),
        stable: SeqNo(stable),
        checkpoint: checkpoint.collect(),
        prepared: Vec::new(),
    };
    cluster.sign_view_change(by, body)
}

pub(crate) fn with_incarnations(rejoins: Vec<Signed<Rejoin>>) -> Proposal {
    Proposal {
        time: OrderedTime(DAWN_MS),
        requests: Vec::new(),
        rejoins,
    }
}

/// Decides and executes `number` by the votes of as few others as it takes, with these incarnations
/// in the proposal; who they were.
fn decide_only(
    single: &mut Single,
    number: u64,
    rejoins: Vec<Signed<Rejoin>>,
) -> (Vec<Effect>, Vec<u8>) {
    let proposal = with_incarnations(rejoins);
    let digest = digest_of(&proposal);
    let needed = if single.replica.votes() { 3 } else { 4 };
    let others = (0..needed).filter(|by| *by != single.replica.me().0);
    let others: Vec<u8> = others.collect();
    let cluster = single.cluster.clone();
    let mut out = single.hear(0, &cluster.pre_prepare(number, proposal));
    for by in others.iter().filter(|by| **by != 0) {
        out.extend(single.hear(*by, &cluster.prepare(*by, number, digest)));
    }
    for by in &others {
        out.extend(single.hear(*by, &cluster.commit(*by, number, digest)));
    }
    let due = number.is_multiple_of(INTERVAL);
    out.extend(single.executed(number, due.then_some(Digest([1; 32]))));
    (out, others)
}

/// The same, and those who voted say what state they have, if a checkpoint is due.
pub(crate) fn decide_with(
    single: &mut Single,
    number: u64,
    rejoins: Vec<Signed<Rejoin>>,
) -> Vec<Effect> {
    let (mut out, others) = decide_only(single, number, rejoins);
    let due = number.is_multiple_of(INTERVAL);
    for by in others.into_iter().filter(|_| due) {
        let vote = single.cluster.checkpoint(by, number, Digest([1; 32]));
        out.extend(single.hear(by, &vote));
    }
    out
}

/// Replica 0 is primary and orders a rejoin request by itself, once, and then empty numbers until
/// the incarnation counts, several at a time.
#[test]
fn a_primary_orders_a_rejoin_request_and_what_it_takes() {
    let mut single = Single::with(4, 0, INTERVAL, tuning());
    let proposed = |out: &[Effect]| -> Vec<PrePrepare> {
        let proposals = sent(out).into_iter().filter_map(|message| match message {
            PeerMessage::PrePrepare(message) => Some(message.clone()),
            _ => None,
        });
        proposals.collect()
    };
    let cluster = single.cluster.clone();
    let out = single.hear(3, &rejoin_request(&cluster, 3, 1, 1));
    let first = proposed(&out);
    assert_eq!(first.len(), 1);
    assert_eq!(
        first[0].proposal.rejoins,
        [signed_rejoin_request(&cluster, 3, 1, 1)]
    );
    // Again, another, of another incarnation: nothing new.
    for message in [
        rejoin_request(&cluster, 3, 1, 1),
        rejoin_request(&cluster, 3, 1, 2),
        rejoin_request(&cluster, 3, 2, 2),
        rejoin_request(&cluster, 3, 0, 2),
        rejoin_request(&cluster, 0, 1, 2),
    ] {
        assert!(single.hear(3, &message).is_empty(), "{message:?}");
    }
    let mut under_way: VecDeque<_> = first.into();
    for number in 1..=20 {
        let next = under_way.pop_front().expect("more is to be ordered");
        assert_eq!(next.vote.body.seq_no, SeqNo(number));
        assert_eq!(next.proposal.rejoins.is_empty(), number > 1);
        let digest = digest_of(&next.proposal);
        let mut out = Vec::new();
        for by in 1..3 {
            out.extend(single.hear(by, &cluster.prepare(by, number, digest)));
        }
        for by in 1..3 {
            out.extend(single.hear(by, &cluster.commit(by, number, digest)));
        }
        let due = number.is_multiple_of(INTERVAL);
        out.extend(single.executed(number, due.then_some(Digest([1; 32]))));
        for by in (1..3).filter(|_| due) {
            out.extend(single.hear(by, &cluster.checkpoint(by, number, Digest([1; 32]))));
        }
        under_way.extend(proposed(&out));
        // As far as the window reaches, but not beyond where the incarnation counts.
        let most = usize::try_from(limits::MAX_EMPTY_IN_FLIGHT).unwrap();
        let window = (single.replica.stable().0 + 16).min(20) - number;
        assert_eq!(under_way.len(), most.min(usize::try_from(window).unwrap()));
    }
    assert!(
        under_way.is_empty(),
        "the incarnation counts, and all is done"
    );
}

/// More incarnations than a proposal may hold, or one that its replica did not sign.
#[test]
fn a_proposal_with_bad_incarnations_is_refused_whole() {
    let cluster = Cluster::new(4);
    let good = signed_rejoin_request(&cluster, 3, 1, 1);
    let forged = Signed {
        body: Rejoin {
            replica: ReplicaId(2),
            ..good.body
        },
        signature: good.signature,
    };
    let many = vec![good; limits::MAX_REJOINS_PER_PROPOSAL + 1];
    let requests = many.len();
    for (rejoins, offence) in [
        (vec![forged], Offence::BadSignature),
        (many, Offence::TooManyRequests { requests }),
    ] {
        let mut single = Single::with(4, 1, INTERVAL, tuning());
        let proposal = Proposal {
            time: OrderedTime(DAWN_MS),
            requests: Vec::new(),
            rejoins,
        };
        let out = single.hear(0, &cluster.pre_prepare(1, proposal));
        assert_eq!(blames(&out), [(Some(0), &offence)]);
    }
}

/// Another epoch, another's key, another domain, no member.
#[test]
fn a_rejoin_request_that_is_not_its_replicas_is_refused() {
    let mut single = Single::with(4, 0, INTERVAL, tuning());
    let cluster = single.cluster.clone();
    let body = signed_rejoin_request(&cluster, 3, 1, 1).body;
    let sign = |body, domain, key: usize| {
        PeerMessage::Rejoin(Signed::new(body, domain, &cluster.id, &cluster.keys[key]))
    };
    let epoch = Rejoin {
        epoch: Epoch(1),
        ..body
    };
    let stranger = Rejoin {
        replica: ReplicaId(4),
        ..body
    };
    let (said, is) = (Epoch(1), Epoch(0));
    for (message, offence) in [
        (sign(body, Domain::Rejoin, 2), Offence::BadSignature),
        (sign(body, Domain::Prepare, 3), Offence::BadSignature),
        (
            sign(epoch, Domain::Rejoin, 3),
            Offence::WrongEpoch { said, is },
        ),
        (sign(stranger, Domain::Rejoin, 3), Offence::NotAMember),
    ] {
        let out = single.hear(2, &message);
        assert_eq!(blames(&out), [(Some(2), &offence)]);
        assert!(sent(&out).is_empty());
    }
    let bytes = codec::encode(&rejoin_request(&cluster, 3, 1, 1));
    assert!(codec::decode::<PeerMessage>(&bytes).is_ok());
}

/// A replica that comes back with its records is the incarnation it was, and votes as it did.
#[test]
fn an_incarnation_survives_a_restart() {
    let mut world = world(9);
    world.forget(3, tuning(), 1);
    world.run_until_idle(60 * T);
    assert_back(&world, 3, 1);
    ask(&mut world, 1..=30);
    world.run_for(5 * T);
    world.restart(3, tuning());
    assert!(world.nodes[3].replica.votes(), "{}", world.stand());
    world.run_until_idle(60 * T);
    world.nodes[0].down = true;
    ask(&mut world, 31..=33);
    world.run_for(20 * T);
    assert_executed(&world, &[1, 2, 3], 33);
}

/// A first incarnation of which somebody says that it ended votes no more.
#[test]
fn an_incarnation_that_was_replaced_is_silent() {
    let mut single = Single::with(4, 1, INTERVAL, tuning());
    assert!(single.replica.votes());
    let own = signed_rejoin_request(&single.cluster, 1, 1, 1);
    decide_with(&mut single, 1, vec![own]);
    assert!(!single.replica.votes());
    // It goes on to follow: now by the votes of all others.
    for number in 2..=24 {
        single.decide(number);
        let state = number.is_multiple_of(INTERVAL).then_some(Digest([1; 32]));
        single.executed(number, state);
        for by in [0, 2, 3].into_iter().filter(|_| state.is_some()) {
            let vote = single.cluster.checkpoint(by, number, Digest([1; 32]));
            single.hear(by, &vote);
        }
        assert!(!single.replica.votes());
    }
    assert_eq!(single.replica.stable(), SeqNo(24));
}

/// The view in force was opened with a view change that it does not remember, and is not
/// given up for that.
#[test]
fn it_is_led_into_a_view_that_its_earlier_incarnation_helped_to_open() {
    let mut world = world(10);
    world.nodes[0].down = true;
    ask(&mut world, 1..=3);
    world.run_for(3 * T);
    world.restart(0, tuning());
    world.run_for(3 * T);
    world.forget(3, tuning(), 1);
    world.run_until_idle(60 * T);
    assert_back(&world, 3, 1);
    for node in &world.nodes {
        assert_eq!(node.replica.view(), View(1), "{}", world.stand());
    }
    world.nodes[0].down = true;
    ask(&mut world, 4..=6);
    world.run_for(T / 2);
    assert_executed(&world, &[1, 2, 3], 6);
}
