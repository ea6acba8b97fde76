//! What a peer is sent because it asked: a small question may have a large answer, and is answered
//! within a budget.

use bezant_bft::{
    codec,
    effects::Effect,
    ids::{Digest, Epoch, ReplicaId, SeqNo, View},
    limits,
    message::{AskProposals, AskState, PeerMessage, Status},
};

use crate::common::{
    Cluster, digest_of,
    single::{Single, sent},
    status,
    views::{entered, pending_view},
};

const MIB: usize = 1024 * 1024;
const A: Digest = Digest([1; 32]);

/// Most that may be sent at once: a burst, and the answer that overdraws it with its small end.
const MOST_AT_ONCE: usize = limits::ANSWER_BURST_BYTES + MIB + 16 * 1024;

/// A backup that has decided and executed some numbers with a megabyte each.
fn full(numbers: u64) -> Single {
    let mut single = Single::with(4, 1, 128, bezant_bft::replica::Tuning::default());
    for number in 1..=numbers {
        let proposal = large(&single.cluster, number);
        let digest = digest_of(&proposal);
        single.hear(0, &single.cluster.pre_prepare(number, proposal));
        for by in [0, 2, 3] {
            single.hear(by, &single.cluster.prepare(by, number, digest));
            single.hear(by, &single.cluster.commit(by, number, digest));
        }
        single.executed(number, None);
    }
    single
}

fn large(cluster: &Cluster, tag: u64) -> bezant_bft::message::Proposal {
    let op = vec![7; limits::MAX_OP_BYTES - 1024];
    let mut proposal = cluster.proposal(0);
    let client = crate::common::client(1);
    let requests = (1..=4).map(|number| cluster.request(&client, 1000 * tag + number, &op));
    proposal.requests = requests.collect();
    proposal
}

/// Bytes of what is sent to one replica, a part of a state counted as large as it may be.
fn bytes_to(to: u8, effects: &[Effect]) -> usize {
    let to = ReplicaId(to);
    let bytes = effects.iter().map(|effect| match effect {
        Effect::Send {
            to: bezant_bft::effects::To::Replica(receiver),
            message,
            ..
        } if *receiver == to => codec::encode(message).len(),
        Effect::SendState {
            to: receiver,
            most_bytes,
            ..
        } if *receiver == to => *most_bytes,
        _ => 0,
    });
    bytes.sum()
}

fn decided(effects: &[Effect]) -> usize {
    let messages = sent(effects).into_iter();
    let decided = messages.filter(|message| matches!(message, PeerMessage::Decided(_)));
    decided.count()
}

#[test]
fn the_same_question_in_one_turn_is_answered_once() {
    let mut single = full(10);
    let mut out = Vec::new();
    for _ in 0..1024 {
        out.extend(single.hear(3, &status(0, true)));
    }
    assert_eq!(decided(&out), 10);
    // Later it is a question like any other, of which what is left may be answered.
    single.now_us += 50_000;
    assert!(decided(&single.hear(3, &status(0, true))) > 0);
}

/// As many questions as a turn may hold, no two alike.
#[test]
fn one_turn_of_questions_is_answered_within_the_burst() {
    let mut single = full(20);
    let mut out = Vec::new();
    for executed in (0..1024).rev() {
        out.extend(single.hear(3, &status(executed % 19, true)));
    }
    let bytes = bytes_to(3, &out);
    assert!(bytes <= MOST_AT_ONCE, "{bytes}");
    assert!(
        bytes > MOST_AT_ONCE / 2,
        "honest questions are answered: {bytes}"
    );
    // Another peer has a budget of its own.
    assert_eq!(decided(&single.hear(2, &status(4, true))), 16);
}

/// One that asks for everything all the time is sent what its budget brings back.
#[test]
fn questions_without_end_are_answered_at_a_rate() {
    let mut single = full(16);
    let digest = |single: &Single, number| {
        let slot = single.replica.slot(SeqNo(number)).unwrap();
        slot.decided().unwrap().digest()
    };
    let wanted = (1..=16).map(|number| (SeqNo(number), digest(&single, number)));
    let ask = PeerMessage::AskProposals(AskProposals {
        wanted: wanted.collect(),
    });
    let (step_us, steps) = (10_000, 200);
    let mut bytes = 0;
    for step in 0..steps {
        single.now_us += step_us;
        let state = PeerMessage::AskState(AskState {
            seq_no: SeqNo(0),
            offset: step,
        });
        for question in [&status(step % 8, true), &ask, &state] {
            bytes += bytes_to(3, &single.hear(3, question));
        }
    }
    assert_eq!(step_us * steps, 2_000_000);
    let most = MOST_AT_ONCE + 2 * limits::ANSWER_BYTES_PER_SECOND;
    assert!(bytes <= most, "{bytes} bytes in two seconds");
    assert!(bytes > most * 3 / 4, "the budget is used: {bytes}");
}

#[test]
fn parts_of_a_state_are_sent_within_the_burst() {
    let mut single = full(0);
    let mut parts = 0;
    for offset in 0..1024 {
        let (seq_no, offset) = (SeqNo(0), offset * 1000);
        let ask = PeerMessage::AskState(AskState { seq_no, offset });
        parts += bytes_to(3, &single.hear(3, &ask));
    }
    assert_eq!(parts, limits::ANSWER_BURST_BYTES);
    // The last one waits, and comes without being asked for again: a fetch must not stall.
    let due = single.replica.next_timeout().unwrap();
    single.now_us = due.0 - 1;
    assert_eq!(bytes_to(3, &single.tick(0)), 0);
    let out = single.tick(1);
    let offsets = out.iter().filter_map(|effect| match effect {
        Effect::SendState { offset, .. } => Some(*offset),
        _ => None,
    });
    assert_eq!(offsets.collect::<Vec<_>>(), [1_023_000]);
}

/// Uses up what a peer may be sent.
fn use_up(single: &mut Single, by: u8) {
    let most = limits::ANSWER_BURST_BYTES / limits::STATE_PART_BYTES;
    for offset in 0..most as u64 {
        let seq_no = SeqNo(0);
        single.hear(by, &PeerMessage::AskState(AskState { seq_no, offset }));
    }
}

/// What leads a peer into a view is many large messages in a large cluster. When the budget is
/// used up in the middle, the rest follows without beginning anew.
#[test]
fn leading_a_peer_into_a_view_goes_on_where_it_stopped() {
    let mut single = Single::new(2);
    let cluster = single.cluster.clone();
    let changes = [0, 1, 3].map(|by| cluster.leaves(by, 1, Vec::new()));
    let names: Vec<_> = changes.iter().collect();
    let new_view = cluster.sign_new_view(1, cluster.new_view(1, &names, &[]));
    let mut out = single.hear_all([(0, &changes[0]), (1, &changes[1]), (3, &changes[2])]);
    out.extend(single.hear(1, &new_view));
    assert_eq!(entered(&out), [1]);
    use_up(&mut single, 3);
    let behind = PeerMessage::Status(Status {
        epoch: Epoch(0),
        view: View(0),
        active: true,
        executed: SeqNo(0),
        wants: true,
    });
    let mut out = single.hear(3, &behind);
    assert_eq!(bytes_to(3, &out), 0, "nothing is left");
    let mut waits = 0;
    while let Some(due) = single.replica.next_timeout()
        && waits < 12
    {
        single.now_us = due.0;
        let more = single.tick(0);
        assert!(waits >= 4 || bytes_to(3, &more) > 0);
        out.extend(more);
        // Asking again in the meantime changes nothing.
        if waits < 3 {
            out.extend(single.hear(3, &behind));
        }
        waits += 1;
    }
    let opened = sent(&out).into_iter();
    let opened = opened.filter(|message| matches!(message, PeerMessage::NewView(_)));
    assert_eq!((pending_view(&out).len(), opened.count()), (3, 1));
}

/// A peer whose link comes up again and again is sent this replica's view change within its
/// budget, too.
#[test]
fn links_that_come_up_again_bring_no_more_than_questions() {
    let mut single = Single::new(2);
    let cluster = single.cluster.clone();
    single.ask(&cluster.request(&crate::common::client(1), 1, b"op"));
    let out = single.tick(1_100_000);
    assert_eq!(pending_view(&out).len(), 1);
    let up = |single: &mut Single| {
        let out = single.step(bezant_bft::effects::Input::LinkUp(ReplicaId(3)));
        pending_view(&out).len()
    };
    assert_eq!(up(&mut single), 1);
    use_up(&mut single, 3);
    assert_eq!(up(&mut single), 0);
}

/// Whatever is charged for a message covers what is sent: a state at which nobody looked.
#[test]
fn a_stranger_asks_in_vain() {
    let mut single = full(1);
    let out = single.hear(
        3,
        &PeerMessage::AskProposals(AskProposals {
            wanted: vec![(SeqNo(1), A), (SeqNo(7), A)],
        }),
    );
    assert!(sent(&out).is_empty());
}
