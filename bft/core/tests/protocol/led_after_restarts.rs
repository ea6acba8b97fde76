//! A replica that missed a view change is led into the view, though everybody else was
//! restarted meanwhile: what proves the view is among the records.

use bezant_bft::{ids::View, message::PeerMessage, replica::Tuning};

use crate::common::{client, world::World};

const MS: u64 = 1_000;
const S: u64 = 1_000 * MS;

fn ask(world: &mut World, number: u64) {
    let request = world.cluster.request(&client(1), number, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
}

/// Replica 3 is away while the others change to view 1 and, perhaps, are restarted one after
/// the other; then it is back.
fn back_after_a_view_change(restart: bool) -> World {
    let mut world = World::new(1, 4, 16, Tuning::default());
    world.partition(&[3], &[0, 1, 2]);
    world.swallow = Some(|message| matches!(message, PeerMessage::PrePrepare(_)));
    ask(&mut world, 1);
    world.run_for(1_100 * MS);
    world.swallow = None;
    world.run_for(S);
    for i in (0..3).filter(|_| restart) {
        world.restart(i, Tuning::default());
        world.run_for(2 * S);
    }
    for i in 0..3 {
        assert_eq!(world.nodes[i].replica.view(), View(1), "{}", world.stand());
    }
    world.heal();
    world
}

#[test]
fn and_without_restarts_it_is_led_along() {
    let mut world = back_after_a_view_change(false);
    world.run_for(100 * MS);
    assert_eq!(world.nodes[3].replica.view(), View(1), "{}", world.stand());
}

#[test]
fn who_missed_a_view_is_led_into_it_by_restarted_replicas() {
    let mut world = back_after_a_view_change(true);
    world.run_for(100 * MS);
    assert_eq!(world.nodes[3].replica.view(), View(1), "{}", world.stand());
    // What it is good for: one more crashes, and the one that was led along is needed.
    world.nodes[2].down = true;
    let begun = world.now_us;
    ask(&mut world, 2);
    world.run_for(100 * MS);
    for i in [0, 1, 3] {
        let node = &world.nodes[i];
        assert_eq!(node.log.order.len(), 2, "{i}, {begun}: {}", world.stand());
    }
}

/// A second restart has only what the first one kept.
#[test]
fn and_by_replicas_restarted_twice() {
    let mut world = back_after_a_view_change(true);
    world.partition(&[3], &[0, 1, 2]);
    for i in 0..3 {
        world.restart(i, Tuning::default());
    }
    world.restart(3, Tuning::default());
    world.run_for(S);
    world.heal();
    world.run_for(100 * MS);
    assert_eq!(world.nodes[3].replica.view(), View(1), "{}", world.stand());
}
