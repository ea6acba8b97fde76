//! Wrong clocks, of one replica and of all: agreed time passes as it should, nobody is replaced
//! and nobody is blamed for them.

use bezant_bft::{
    ids::{OrderedTime, View},
    message::PeerMessage,
    replica::Tuning,
};

use crate::common::{
    DAWN_MS, client,
    single::{Single, blames, prepares},
    world::World,
};

const MS: u64 = 1000;
const T: u64 = 1_000 * MS;
const HOUR_MS: i64 = 3_600_000;
const HOUR: u64 = 3_600 * T;
const SLACK_MS: u64 = 10_000;

/// Requests of client 1, one at a time, that all replicas hear of.
struct Clock {
    world: World,
    asked: usize,
}

impl Clock {
    /// A cluster of four that has executed something.
    fn new(seed: u64) -> Self {
        let world = World::new(seed, 4, 4, Tuning::default());
        let mut clock = Self { world, asked: 0 };
        clock.ask("op");
        clock
    }

    /// One more request is executed by everybody who is up.
    fn ask(&mut self, op: &str) {
        self.asked += 1;
        let number = self.asked as u64;
        let request = self
            .world
            .cluster
            .request(&client(1), number, op.as_bytes());
        (0..4).for_each(|to| self.world.request(0, to, request.clone()));
        self.world.run_for(500 * MS);
        for node in self.world.nodes.iter().filter(|node| !node.down) {
            let done = node.log.order.len();
            assert_eq!(done, self.asked, "{}", self.world.stand());
        }
    }

    /// One more request is executed within `us`.
    fn ask_in_time(&mut self, us: u64) {
        self.asked += 1;
        let number = self.asked as u64;
        let request = self.world.cluster.request(&client(1), number, b"op");
        (0..4).for_each(|to| self.world.request(0, to, request.clone()));
        self.world.run_for(us);
        let up = self.world.nodes.iter().filter(|node| !node.down);
        assert!(
            up.into_iter()
                .all(|node| node.log.order.len() == self.asked),
            "{}",
            self.world.stand()
        );
    }

    fn skew(&mut self, replicas: &[usize], ms: i64) {
        for replica in replicas {
            self.world.nodes[*replica].skew_ms = ms;
        }
    }

    /// By how much agreed time at replica 1 differs from the true one.
    fn off_ms(&self) -> i64 {
        let true_ms = DAWN_MS + self.world.now_us / 1000;
        let agreed = self.world.nodes[1].log.time.0;
        i64::try_from(agreed).unwrap() - i64::try_from(true_ms).unwrap()
    }

    /// A lease of five seconds: how long it lasted, within 100 ms. It is too long after 20 s.
    fn lease_lasts_ms(&mut self) -> u64 {
        let from = self.world.now_us;
        self.ask("lease 5000");
        for _ in 0..200 {
            if self.world.nodes[1].log.leases.is_empty() {
                break;
            }
            self.world.run_for(100 * MS);
        }
        (self.world.now_us - from) / MS
    }

    fn blames_nobody(&self) {
        for (i, node) in self.world.nodes.iter().enumerate() {
            assert_eq!(node.blames, [], "{i}");
        }
    }

    /// Nobody was replaced and nobody blamed.
    fn is_calm(&self) {
        for (i, node) in self.world.nodes.iter().enumerate() {
            assert_eq!(node.views, [], "{i}");
            assert_eq!(node.blames, [], "{i}");
            assert_eq!(node.suspected, [], "{i}");
        }
    }

    fn restart_all(&mut self) {
        (0..4).for_each(|replica| self.world.restart(replica, Tuning::default()));
        self.world.run_for(100 * MS);
    }
}

const ALL: [usize; 4] = [0, 1, 2, 3];

/// The time of day of the primary is an hour ahead for a tenth of a second, and proposed
/// meanwhile. It goes on being the primary, after a restart, too.
#[test]
fn one_jump_of_a_primarys_clock_changes_nothing() {
    for jump_ms in [HOUR_MS, -HOUR_MS] {
        let mut clock = Clock::new(1);
        clock.skew(&[0], jump_ms);
        clock.ask("op");
        clock.skew(&[0], 0);
        (0..5).for_each(|_| clock.ask("op"));
        clock.world.restart(0, Tuning::default());
        (0..5).for_each(|_| clock.ask("op"));
        assert!(clock.off_ms().abs() < 1_000, "{}", clock.off_ms());
        clock.is_calm();
    }
}

/// All clocks are an hour off, and are put right. What lasts five seconds lasts five seconds
/// before, meanwhile and after, and after restarts in between.
#[test]
fn a_lease_lasts_as_long_whatever_all_clocks_do() {
    for (jump_ms, restarts) in [
        (HOUR_MS, false),
        (HOUR_MS, true),
        (-HOUR_MS, false),
        (-HOUR_MS, true),
    ] {
        let mut clock = Clock::new(2);
        for skew_ms in [0, jump_ms, 0] {
            clock.skew(&ALL, skew_ms);
            if restarts {
                clock.restart_all();
            }
            let lasts = clock.lease_lasts_ms();
            assert!(
                (4_500..6_000).contains(&lasts),
                "{lasts} ms at {skew_ms}, {restarts}"
            );
        }
        assert!(clock.off_ms().abs() < 1_000, "{}", clock.off_ms());
        clock.is_calm();
    }
}

/// A lease runs while the clocks jump and are put right again.
#[test]
fn a_lease_is_neither_ended_nor_kept_by_a_jump() {
    for jump_ms in [HOUR_MS, -HOUR_MS] {
        let mut clock = Clock::new(3);
        clock.ask("lease 30000");
        let from = clock.world.now_us;
        clock.world.run_for(5 * T);
        clock.skew(&ALL, jump_ms);
        clock.ask("op");
        clock.world.run_for(5 * T);
        clock.skew(&ALL, 0);
        clock.ask("op");
        while !clock.world.nodes[1].log.leases.is_empty() {
            clock.world.run_for(100 * MS);
            assert!(clock.world.now_us < from + 40 * T, "it stands still");
        }
        let lasted = (clock.world.now_us - from) / MS;
        assert!((29_000..31_500).contains(&lasted), "{lasted} ms");
        clock.is_calm();
    }
}

/// One clock is an hour off for ever. Its replica votes where its vote is needed, and orders
/// when it is the primary; nobody is blamed.
#[test]
fn one_clock_may_be_wrong_for_ever() {
    for (wrong, skew_ms) in [(0, HOUR_MS), (0, -HOUR_MS), (3, HOUR_MS), (3, -HOUR_MS)] {
        let mut clock = Clock::new(4);
        clock.skew(&[wrong], skew_ms);
        clock.ask("op");
        clock.world.nodes[2].down = true;
        for _ in 0..20 {
            clock.world.run_for(10 * T);
            clock.ask("op");
        }
        clock.is_calm();
        // A thousandth of the time, at most, and in the long run what the others follow.
        assert!(clock.off_ms().abs() < 1_000, "{}", clock.off_ms());
    }
}

/// The same after a restart of it: how long it was away it cannot know, and the others vouch.
#[test]
fn a_replica_with_a_wrong_clock_is_of_use_after_a_restart() {
    for (wrong, skew_ms) in [(0, HOUR_MS), (0, -HOUR_MS), (3, HOUR_MS), (3, -HOUR_MS)] {
        let mut clock = Clock::new(5);
        clock.skew(&[wrong], skew_ms);
        clock.world.run_for(60 * T);
        let replica = u8::try_from(wrong).unwrap();
        clock.world.nodes[2].down = true;
        clock.world.restart(replica, Tuning::default());
        clock.world.run_for(T);
        // If it is the primary itself, what it proposes first may be a minute late: the others
        // replace it once, and blame it for nothing.
        clock.ask_in_time(5 * T);
        clock.ask("op");
        clock.blames_nobody();
        assert!(clock.off_ms().abs() < 1_500, "{}", clock.off_ms());
    }
}

/// A cluster to which nothing happened for a day, restarted one by one within ten minutes:
/// nobody knows any more how much time passed since the last execution.
#[test]
fn restarts_one_by_one_of_an_idle_cluster_cost_nothing() {
    let mut clock = Clock::new(6);
    clock.world.run_for(24 * HOUR);
    for replica in 0..4 {
        clock.world.restart(replica, Tuning::default());
        clock.world.run_for(150 * T);
    }
    clock.ask_in_time(5 * T);
    (0..3).for_each(|_| clock.ask("op"));
    clock.blames_nobody();
}

/// The power fails for an hour, for all or for all but one: leases go on where it found them.
#[test]
fn an_outage_ends_nothing_whoever_was_restarted() {
    for stays in [None, Some(0), Some(3)] {
        let mut clock = Clock::new(7);
        clock.ask("lease 20000");
        let all = 0..4_u8;
        let fails: Vec<u8> = all.filter(|replica| Some(*replica) != stays).collect();
        for replica in &fails {
            clock.world.nodes[usize::from(*replica)].down = true;
        }
        clock.world.run_for(HOUR);
        for replica in fails {
            clock.world.restart(replica, Tuning::default());
        }
        let from = clock.world.now_us;
        clock.ask_in_time(10 * T);
        // What ends in an outage that somebody saw pass is up to the service.
        if stays != Some(0) {
            assert_eq!(clock.world.nodes[1].log.leases.len(), 1, "{stays:?}");
        }
        while !clock.world.nodes[1].log.leases.is_empty() {
            clock.world.run_for(100 * MS);
            assert!(clock.world.now_us < from + 60 * T, "it stands still");
        }
        clock.blames_nobody();
    }
}

/// A day in which nothing happens, with clocks that are steered by a wrong time of day at one
/// replica: what it proposes then is still good.
#[test]
fn a_wrong_clock_is_of_use_after_a_day_of_silence() {
    for wrong in [0, 3] {
        let mut clock = Clock::new(8);
        clock.skew(&[wrong], HOUR_MS);
        clock.world.run_for(24 * HOUR);
        (0..3).for_each(|_| clock.ask("op"));
        clock.is_calm();
        // A thousandth of a day.
        assert!(clock.off_ms().abs() < 90_000, "{}", clock.off_ms());
    }
}

/// A faulty primary that proposes the farthest time ahead, or back, in every proposal.
fn hasty(world: &mut World, off_ms: i64) {
    world.nodes[0].faulty = Some(Box::new(move |cluster, _, message, _| match message {
        PeerMessage::PrePrepare(first) => {
            let mut proposal = first.proposal.clone();
            let time = proposal.time.0.saturating_add_signed(off_ms);
            proposal.time = OrderedTime(time);
            let seq_no = first.vote.body.seq_no.0;
            vec![cluster.pre_prepare(seq_no, proposal)]
        }
        PeerMessage::Commit(_) | PeerMessage::Prepare(_) => Vec::new(),
        other => vec![other.clone()],
    }));
}

/// Three correct replicas with a primary that proposes a time off by nearly the slack: agreed
/// time is off by the slack and no more, however often it does.
#[test]
fn agreed_time_does_not_run_away_from_a_faulty_primary() {
    for off_ms in [9_000, -9_000] {
        let mut world = World::new(9, 4, 4, Tuning::default());
        hasty(&mut world, off_ms);
        for number in 1..=300 {
            let request = world.cluster.request(&client(1), number, b"op");
            (0..4).for_each(|to| world.request(0, to, request.clone()));
            world.run_for(200 * MS);
        }
        let true_ms = DAWN_MS + world.now_us / 1000;
        for node in &world.nodes[1..] {
            let off = node.log.time.0.abs_diff(true_ms);
            assert!(off < SLACK_MS + 1_500, "{off} ms, {}", world.stand());
            assert_eq!(node.log.order.len(), 300);
        }
    }
}

/// The times of day of three replicas go wrong by 500 millionths, for two days.
#[test]
fn agreed_time_follows_the_clocks_of_the_others() {
    for wrong in [0, 1] {
        let mut clock = Clock::new(10);
        for hour in 1..=48_i64 {
            clock.world.run_for(HOUR);
            let ms = hour * 1_800;
            for replica in ALL {
                clock.world.nodes[replica].skew_ms = ms;
            }
            clock.world.nodes[wrong].skew_ms = ms + 400;
            clock.ask("op");
            let off = clock.off_ms() - ms;
            assert!(off.abs() < 2_500, "{off} ms after {hour} h");
        }
        clock.is_calm();
    }
}

/// A replica that executed nothing since its start grants what its time of day says, and
/// blames nobody: the primary may know better how much time passed.
#[test]
fn a_restarted_replica_grants_the_time_it_was_away() {
    for (proposed_ms, skew_ms, votes) in [
        (60_000, 0, 1),
        (0, 0, 1),
        (70_001, 0, 0),
        (60_000, -HOUR_MS, 0),
    ] {
        let mut single = Single::new(1);
        let cluster = single.cluster.clone();
        single.replica.expect(OrderedTime(DAWN_MS), None);
        single.now_us = 0;
        single.skew_ms = skew_ms + 60_000;
        let mut proposal = cluster.proposal(1);
        proposal.time = OrderedTime(DAWN_MS + proposed_ms);
        let out = single.hear(0, &cluster.pre_prepare(1, proposal));
        assert_eq!((prepares(&out), blames(&out)), (votes, vec![]));
    }
}

/// Nobody is stuck behind a view that nobody needs.
#[test]
fn a_first_start_with_wrong_clocks_is_one_change_of_views() {
    let mut world = World::new(11, 4, 4, Tuning::default());
    world.nodes[0].skew_ms = HOUR_MS;
    let request = world.cluster.request(&client(1), 1, b"op");
    (0..4).for_each(|to| world.request(0, to, request.clone()));
    world.run_for(5 * T);
    for node in &world.nodes {
        assert_eq!((node.log.order.len(), &node.views[..]), (1, &[View(1)][..]));
    }
}
