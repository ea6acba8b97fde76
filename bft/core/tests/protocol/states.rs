//! A replica that fell below what its peers keep: which state it asks for, whom, what it
//! believes of the answer, and what it does next.

use bezant_bft::{
    effects::{Effect, Input, To},
    ids::{Digest, OrderedTime, SeqNo},
    message::{PeerMessage, StatePart},
    misbehaviour::Offence,
    replica::Tuning,
    state::{Part, State},
};

use crate::common::{
    DAWN_MS, client,
    single::{Single, blames, executes, sent},
    status,
};

const STATE: &[u8] = b"the state of the cluster";
/// A checkpoint beyond all that a replica at the beginning holds, with an interval of 4.
const FAR: u64 = 40;

fn vouch(single: &mut Single, by: u8, number: u64, state: Digest) -> Vec<Effect> {
    single.hear(by, &single.cluster.checkpoint(by, number, state))
}

/// Until the next thing it says when no message comes.
fn wait(single: &mut Single) -> Vec<Effect> {
    single.tick_until_sent(60_000_000)
}

/// Whom it asks for the state.
fn asked(out: &[Effect]) -> Vec<u8> {
    asked_for(out, FAR)
}

fn asked_for(out: &[Effect], seq_no: u64) -> Vec<u8> {
    let asked = out.iter().filter_map(|effect| match effect {
        Effect::Send {
            to: To::Replica(to),
            message: PeerMessage::AskState(ask),
            ..
        } if ask.seq_no == SeqNo(seq_no) => Some(to.0),
        _ => None,
    });
    asked.collect()
}

fn state(content: &[u8]) -> State {
    State::from(content.to_vec())
}

fn installs(out: &[Effect]) -> Vec<Vec<u8>> {
    let installed = out.iter().filter_map(|effect| match effect {
        Effect::Install { state, .. } => Some(state.content()),
        _ => None,
    });
    installed.collect()
}

fn part(content: &[u8]) -> PeerMessage {
    whole(state(content).encode())
}

fn whole(bytes: Vec<u8>) -> PeerMessage {
    PeerMessage::State(StatePart {
        seq_no: SeqNo(FAR),
        total: bytes.len() as u64,
        offset: 0,
        bytes: bytes.into(),
    })
}

/// Replica 3 of four, which has asked for the state; and whom.
fn asking() -> (Single, u8) {
    let mut single = Single::new(3);
    for by in [0, 1, 2] {
        vouch(&mut single, by, FAR, state(STATE).digest());
    }
    let out = wait(&mut single);
    let [source] = asked(&out)[..] else {
        panic!("{out:?}")
    };
    (single, source)
}

/// A strong quorum of seven is five; votes that differ are not counted together.
#[test]
fn a_state_is_fetched_that_a_strong_quorum_vouches_for() {
    let mut single = Single::with(7, 6, 4, Tuning::default());
    let (good, other) = (state(STATE).digest(), Digest([7; 32]));
    for (by, state) in [(0, good), (1, good), (3, other), (2, good), (4, good)] {
        vouch(&mut single, by, FAR, state);
        assert!(
            asked(&wait(&mut single)).is_empty(),
            "after the vote of {by}"
        );
    }
    vouch(&mut single, 5, FAR, good);
    let sources = asked(&wait(&mut single));
    assert_eq!(sources.len(), 1);
    assert_ne!(sources, [3], "it voted for another state");
}

/// Peers keep what they decided in the last window of 16 numbers: whoever is no further behind
/// asks for that first.
#[test]
fn a_state_is_fetched_at_once_only_by_who_is_a_window_behind() {
    for (seq_no, at_once) in [(12, false), (16, true)] {
        let mut single = Single::new(3);
        for by in [0, 1, 2] {
            vouch(&mut single, by, seq_no, state(STATE).digest());
            single.hear(by, &status(seq_no, false));
        }
        let out = wait(&mut single);
        assert_eq!(!asked_for(&out, seq_no).is_empty(), at_once, "{seq_no}");
    }
}

#[test]
fn a_state_with_another_digest_is_refused_and_the_next_voter_asked() {
    let (mut single, source) = asking();
    let out = single.hear(source, &part(b"another state of the cluster"));
    let seq_no = SeqNo(FAR);
    let offence = Offence::WrongState { seq_no };
    assert_eq!(blames(&out), [(Some(source), &offence)]);
    assert!(installs(&out).is_empty());
    let [next] = asked(&out)[..] else {
        panic!("{out:?}")
    };
    assert_ne!(next, source);
    assert!(
        installs(&single.hear(source, &part(STATE))).is_empty(),
        "not asked"
    );
    assert_eq!(installs(&single.hear(next, &part(STATE))), [STATE]);
}

/// What was voted on is also how the state is divided, and that it can be read at all.
#[test]
fn a_state_divided_otherwise_is_refused() {
    let (left, right) = STATE.split_at(9);
    let parts = [left, right].map(|bytes| Part::new(bytes).unwrap());
    let divided = State::new(parts.to_vec());
    assert_eq!(divided.content(), STATE);
    for bytes in [divided.encode(), STATE.to_vec(), vec![0; 8]] {
        let (mut single, source) = asking();
        let out = single.hear(source, &whole(bytes));
        let seq_no = SeqNo(FAR);
        let offence = Offence::WrongState { seq_no };
        assert_eq!(blames(&out), [(Some(source), &offence)]);
        assert!(installs(&out).is_empty());
    }
}

#[test]
fn a_silent_voter_is_given_up() {
    let (mut single, source) = asking();
    let next = asked(&single.tick(Tuning::default().resend_after_us));
    assert!(!next.is_empty() && !next.contains(&source), "{next:?}");
}

/// It caught up number by number while the state was on its way. What it delivered stays
/// delivered, once.
#[test]
fn a_state_that_decisions_overtook_is_not_installed() {
    let (mut single, source) = asking();
    for seq_no in 1..=FAR {
        assert_eq!(executes(&single.decide(seq_no)), [seq_no]);
        let state = (seq_no % 4 == 0).then(|| match seq_no {
            FAR => state(STATE).digest(),
            other => Digest([u8::try_from(other).unwrap(); 32]),
        });
        single.executed(seq_no, state);
        for by in [0, 1, 2] {
            if let Some(state) = state {
                vouch(&mut single, by, seq_no, state);
            }
        }
    }
    let out = single.hear(source, &part(STATE));
    assert!(installs(&out).is_empty() && blames(&out).is_empty());
    assert_eq!(single.replica.executed(), SeqNo(FAR));
}

/// Traffic may have stopped: nobody will say by itself what lies beyond the state.
#[test]
fn a_replica_with_a_new_state_asks_for_what_follows() {
    let (mut single, source) = asking();
    let waiting = single.cluster.request(&client(1), 1, b"op");
    single.ask(&waiting);
    single.hear(source, &part(STATE));
    let number = SeqNo(FAR);
    let out = single.step(Input::Installed {
        seq_no: number,
        time: OrderedTime(DAWN_MS),
        due: None,
    });
    let asks = |message: &&&PeerMessage| matches!(message, PeerMessage::Status(status) if status.wants && status.executed == number);
    assert!(sent(&out).iter().any(|message| asks(&message)), "{out:?}");
    assert_eq!(single.replica.stable(), number);
    assert_eq!(single.replica.pooled(), 0, "perhaps executed in that state");
}

/// Whom a silent replica leaves short of a quorum gets it from one of the others.
#[test]
fn the_proof_of_a_stable_checkpoint_is_passed_on() {
    let mut single = Single::new(1);
    let state = state(STATE).digest();
    for seq_no in 1..=4 {
        single.decide(seq_no);
        single.executed(seq_no, (seq_no == 4).then_some(state));
    }
    for by in [0, 2] {
        vouch(&mut single, by, 4, state);
    }
    assert_eq!(single.replica.stable(), SeqNo(4));
    let out = single.hear(3, &status(0, true));
    let proofs = sent(&out).into_iter().filter_map(|message| match message {
        PeerMessage::Stable(votes) => Some(votes.iter().map(|vote| vote.body.replica.0)),
        _ => None,
    });
    assert!(proofs.flatten().eq(0..3));
}
