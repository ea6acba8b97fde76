//! Durable before sent. That every first vote names its record is watched in every
//! test ([`crate::common::watch`]); here are the ways around it.

use bezant_bft::{
    effects::{Effect, Input, PersistId, Record},
    ids::{Digest, SeqNo},
    message::PeerMessage,
    replica::Tuning,
};

use crate::common::{
    Cluster, client, digest_of,
    single::{Single, commits, conditions, executes, prepares, sent},
    status,
    world::World,
};

fn last_record(effects: &[Effect]) -> PersistId {
    let ids = effects.iter().filter_map(|effect| match effect {
        Effect::Persist { id, .. } => Some(*id),
        _ => None,
    });
    ids.max().unwrap()
}

/// The record may still be on its way to the disk when a peer asks for the vote.
#[test]
fn a_vote_asked_for_waits_for_its_record_like_the_first_copy() {
    let mut single = Single::new(1);
    let proposal = single.cluster.proposal(1);
    let digest = digest_of(&proposal);
    let mut out = single.hear(0, &single.cluster.pre_prepare(1, proposal));
    out.extend(single.hear(2, &single.cluster.prepare(2, 1, digest)));
    let record = last_record(&out);
    let out = single.hear(3, &status(0, true));
    let votes = sent(&out);
    assert!(
        votes
            .iter()
            .any(|message| matches!(message, PeerMessage::Prepare(_)))
    );
    assert!(
        votes
            .iter()
            .any(|message| matches!(message, PeerMessage::Commit(_)))
    );
    assert!(
        conditions(&out)
            .iter()
            .all(|after| after.is_some_and(|after| after >= record))
    );
    // And so when it repeats them on its own account.
    let out = single.tick(Tuning::default().resend_after_us);
    assert!(
        sent(&out)
            .iter()
            .any(|message| matches!(message, PeerMessage::Commit(_)))
    );
    assert!(
        conditions(&out)
            .iter()
            .all(|after| after.is_some_and(|after| after >= record))
    );
}

/// A crash would take it back: others may then have been decided for without it.
#[test]
fn an_own_vote_counts_when_its_record_is_durable() {
    let cluster = Cluster::new(4);
    let mut single = Single::reported(1);
    let proposal = cluster.proposal(1);
    let digest = digest_of(&proposal);
    let mut out = single.hear(0, &cluster.pre_prepare(1, proposal));
    out.extend(single.hear(2, &cluster.prepare(2, 1, digest)));
    out.extend(single.hear(0, &cluster.commit(0, 1, digest)));
    out.extend(single.hear(2, &cluster.commit(2, 1, digest)));
    // Primary and one backup prepared: the own prepare is the third.
    assert_eq!((prepares(&out), commits(&out)), (1, 0), "{out:?}");
    let out = single.step(Input::Durable(last_record(&out)));
    assert_eq!(commits(&out), 1, "{out:?}");
    // And so for the own commit.
    assert!(executes(&out).is_empty(), "{out:?}");
    let out = single.step(Input::Durable(last_record(&out)));
    assert_eq!(executes(&out), [1]);
}

/// A restarted replica can prove that it was prepared: the record has the whole certificate.
#[test]
fn the_record_of_a_commit_holds_its_prepared_certificate() {
    let mut single = Single::with(7, 1, 4, Tuning::default());
    let out = single.decide(1);
    let records: Vec<_> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Persist { record, .. } => Some(record),
            _ => None,
        })
        .collect();
    let [
        Record::PrePrepare(accepted),
        Record::Prepare(own),
        Record::Commit { vote, prepares },
    ] = records[..]
    else {
        panic!("{records:?}")
    };
    let strong = single.cluster.keyring.quorum().strong();
    assert_eq!(prepares.len() + 1, strong, "with the primary's proposal");
    let mut voters: Vec<_> = prepares.iter().map(|vote| vote.body.replica).collect();
    voters.dedup();
    assert_eq!(voters.len(), prepares.len());
    assert!(!voters.contains(&accepted.vote.body.replica));
    let digests = prepares
        .iter()
        .chain([own, vote])
        .map(|vote| vote.body.digest);
    digests.for_each(|digest| assert_eq!(digest, accepted.proposal.digest()));
}

#[test]
fn the_record_of_a_stable_checkpoint_holds_its_votes() {
    let mut single = Single::with(4, 1, 1, Tuning::default());
    single.decide(1);
    single.executed(1, Some(Digest([1; 32])));
    single.hear(2, &single.cluster.checkpoint(2, 1, Digest([9; 32])));
    single.hear(0, &single.cluster.checkpoint(0, 1, Digest([1; 32])));
    let out = single.hear(3, &single.cluster.checkpoint(3, 1, Digest([1; 32])));
    let [
        Effect::Blame(_),
        Effect::Persist {
            record: Record::Stable(votes),
            ..
        },
        Effect::Stable {
            seq_no: SeqNo(1), ..
        },
        Effect::Truncate(_),
    ] = &out[..]
    else {
        panic!("{out:?}")
    };
    let voters: Vec<_> = votes.iter().map(|vote| vote.body.replica.0).collect();
    assert_eq!(voters, [0, 1, 3], "equal votes only");
}

/// While the disk of one replica stands still, nobody hears a vote of it.
#[test]
fn nothing_is_heard_of_a_replica_whose_disk_stands_still() {
    let mut world = World::new(1, 4, 4, Tuning::default());
    world.conditions.sync_us = 50_000;
    let request = world.cluster.request(&client(1), 1, b"op");
    world.request(0, 0, request);
    world.run_for(49_000);
    assert_eq!(
        world.hits.sent, 0,
        "the proposal itself waits for the primary's disk"
    );
    assert_eq!(world.hits.held_for_disk, 1);
    world.run_for(50_000);
    assert_eq!(world.hits.sent, 3, "and prepares for the backups'");
    world.run_until_idle(10_000_000);
    assert!(world.nodes.iter().all(|node| node.log.order.len() == 1));
}
