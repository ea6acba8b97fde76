//! Reads agreed time between executions: what a primary proposes and a backup votes for.
//!
//! Agreed time counts how much time passes, and no replica's time of day moves it. A replica
//! has a *reading* of it, which goes on with the monotonic clock. Three things change the
//! reading beside that, each by a bounded part of the time that passed: the time of day steers
//! it ([`STEER`]), so that it follows the cluster's clocks in the long run; agreed time pulls
//! it ([`GRANT`]) when the two are a quarter of the slack apart; and it is put at the slack
//! from agreed time when they are farther apart than a vote may bring them, which only happens
//! to a replica that was away.
//!
//! The reading is never set to what a proposal says while a replica is in step. If it were, a
//! primary could gain the slack with each proposal (docs/decisions/025-wrong-clocks.md).

use crate::ids::{Clock, Instant, OrderedTime};

/// The part of the time that passed by which the time of day moves a reading, at most: 1/1024,
/// twice what a clock without a reference goes wrong by.
const STEER: i128 = 1024;

/// The part of the time that passed by which a reading follows agreed time, and by which a
/// proposal may be farther off after a silence: 1/256. Two readings go apart by less than 3,000
/// millionths, if clocks are wrong by 500 each and steered in opposite directions.
const GRANT: i128 = 256;

/// A reading follows agreed time no farther away from the own time of day than this.
const ANCHOR_US: i128 = 600 * 1_000_000;

/// How often a reading is written down, so that one jump of the time of day weighs no more
/// than the steering of so long.
const NOTE_US: i128 = 1_000_000;

/// What a backup finds of a proposal's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is within the slack of the reading.
    Timely,
    /// It is not. That may be due to the reading.
    Untimely,
    /// It is ahead of a reading that agreed time bears out: nobody correct proposes it.
    Ahead,
}

/// A time and the moment at which it was so.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    us: i128,
    at: Instant,
}

impl Mark {
    /// The time now, by the monotonic clock alone.
    fn now_us(self, clock: Clock) -> i128 {
        self.us.saturating_add(self.passed_us(clock))
    }

    fn passed_us(self, clock: Clock) -> i128 {
        i128::from(clock.monotonic.since_us(self.at))
    }
}

/// This replica's reading of agreed time.
#[derive(Debug)]
pub(super) struct AgreedClock {
    /// How far a proposal may be from the reading, but for what passed in silence.
    slack_us: i128,
    /// Agreed time after the last execution; 0 before the first one with a time.
    agreed: OrderedTime,
    /// Whether the moments below are of this run.
    started: bool,
    /// When something new was first executed in this run.
    joined_at: Option<Instant>,
    /// Whether what was executed then, or in the time of a slack since, tells what time it is.
    in_step: bool,
    /// Agreed time when that was.
    executed: Mark,
    reading: Mark,
    pulled_at: Instant,
}

impl AgreedClock {
    /// The reading of a replica at the beginning of the log.
    pub(super) fn new(slack_ms: u64) -> Self {
        Self {
            slack_us: i128::from(slack_ms).saturating_mul(1000),
            agreed: OrderedTime(0),
            started: false,
            joined_at: None,
            in_step: false,
            executed: Mark::default(),
            reading: Mark::default(),
            pulled_at: Instant::default(),
        }
    }

    /// Whether anything with a time was executed.
    pub(super) fn has_begun(&self) -> bool {
        self.agreed != OrderedTime(0)
    }

    /// How far a reading may be from agreed time and from the others' without any of them
    /// being led: a quarter of the slack.
    const fn near_us(&self) -> i128 {
        self.slack_us / 4
    }

    /// Agreed time of a state, after a restart or a transfer. How long ago it was that is not
    /// known, and not counted.
    pub(super) const fn resume(&mut self, agreed: OrderedTime) {
        self.agreed = agreed;
        self.started = false;
        self.joined_at = None;
        self.in_step = false;
    }

    /// A step begins.
    pub(super) fn note(&mut self, clock: Clock) {
        if !self.started {
            let (us, at) = (micros(self.agreed), clock.monotonic);
            self.executed = Mark { us, at };
            self.reading = self.executed;
            self.pulled_at = at;
            self.started = true;
        } else if self.reading.passed_us(clock) >= NOTE_US {
            self.set(self.read_us(clock), clock);
        }
    }

    const fn set(&mut self, us: i128, clock: Clock) {
        let at = clock.monotonic;
        self.reading = Mark { us, at };
    }

    /// The service executed a proposal, and agreed time is `agreed` now. Unless it was decided
    /// while it was new (`fresh`), it may be of long ago, and says only that now is later.
    pub(super) fn execute(&mut self, agreed: OrderedTime, fresh: bool, clock: Clock) {
        if agreed == self.agreed {
            return;
        }
        let began = self.agreed == OrderedTime(0);
        self.agreed = agreed;
        let (us, at) = (micros(agreed), clock.monotonic);
        if !fresh {
            if began || self.executed.now_us(clock) < us {
                self.executed = Mark { us, at };
            }
            if !self.in_step && (began || self.reading.now_us(clock) < us) {
                self.set(us, clock);
            }
            return;
        }
        self.executed = Mark { us, at };
        if self.in_step {
            self.follow(us, clock);
        } else {
            self.join(us, clock);
            self.pulled_at = at;
        }
    }

    /// The first reading of a run: that of the time of day if agreed time bears it out, so that
    /// a primary that was fast gains nothing by a restart. If it does not, the time of day is
    /// wrong, the cluster was away, or this replica stood still and takes in what waited for
    /// it: then it is in step a slack later.
    fn join(&mut self, agreed_us: i128, clock: Clock) {
        let joined_at = *self.joined_at.get_or_insert(clock.monotonic);
        let off = wall_us(clock).saturating_sub(agreed_us);
        let most = self.slack_us.saturating_sub(self.near_us());
        if off.abs() <= self.slack_us.saturating_add(self.near_us()) {
            self.set(agreed_us.saturating_add(off.clamp(-most, most)), clock);
            self.in_step = true;
        } else {
            self.set(agreed_us, clock);
            let since = i128::from(clock.monotonic.since_us(joined_at));
            self.in_step = off < 0 || since >= self.slack_us;
        }
    }

    /// Moves the reading towards agreed time.
    fn follow(&mut self, agreed_us: i128, clock: Clock) {
        let (read, near) = (self.read_us(clock), self.near_us());
        let gap = agreed_us.saturating_sub(read);
        let since = i128::from(clock.monotonic.since_us(self.pulled_at));
        let most = since / GRANT;
        let mut pull = gap
            .saturating_sub(gap.clamp(-near, near))
            .clamp(-most, most);
        let from_wall = read.saturating_sub(wall_us(clock));
        if from_wall.abs() > ANCHOR_US && from_wall.signum() == pull.signum() {
            pull = 0;
        }
        let left = gap.saturating_sub(pull);
        if left.abs() > self.slack_us.saturating_add(near) {
            pull = gap.saturating_sub(self.slack_us.saturating_mul(left.signum()));
        }
        if pull != 0 {
            self.set(read.saturating_add(pull), clock);
        }
        if most > 0 {
            self.pulled_at = clock.monotonic;
        }
    }

    /// The reading, in microseconds; the time of day before anything was agreed.
    pub(super) fn read_us(&self, clock: Clock) -> i128 {
        if self.agreed == OrderedTime(0) {
            return wall_us(clock);
        }
        let free = self.reading.now_us(clock);
        let off = wall_us(clock).saturating_sub(free);
        // A time of day that leads away from agreed time is wrong, or will be proposed by
        // others too.
        let apart = free.saturating_sub(self.executed.now_us(clock));
        if apart.signum() == off.signum() && apart.abs() > self.steered_us(clock) {
            return free;
        }
        let most = self.reading.passed_us(clock) / STEER;
        free.saturating_add(off.clamp(-most, most))
    }

    /// Agreed time when something was last executed, and what passed since.
    fn expected_us(&self, clock: Clock) -> i128 {
        if self.agreed == OrderedTime(0) {
            return wall_us(clock);
        }
        self.executed.now_us(clock)
    }

    /// How far the time of day may lead a reading from that.
    fn steered_us(&self, clock: Clock) -> i128 {
        let silent = self.executed.passed_us(clock);
        self.near_us().saturating_add(silent / STEER)
    }

    /// What a primary proposes, in microseconds: its reading, but near what the others expect,
    /// so that it is of use whatever its clocks show.
    pub(super) fn proposal_us(&self, clock: Clock) -> i128 {
        let (expected, near) = (self.expected_us(clock), self.steered_us(clock));
        self.read_us(clock)
            .clamp(expected.saturating_sub(near), expected.saturating_add(near))
    }

    /// How far a fresh proposal's time may be from the reading: what clocks may go wrong by
    /// while nothing is executed is added.
    pub(super) fn slack_us(&self, clock: Clock) -> i128 {
        let silent = if self.agreed == OrderedTime(0) {
            0
        } else {
            self.executed.passed_us(clock)
        };
        self.slack_us.saturating_add(silent / GRANT)
    }

    /// Judges the time of a fresh proposal.
    pub(super) fn judge(&self, proposed: OrderedTime, clock: Clock) -> Verdict {
        let (read, slack) = (self.read_us(clock), self.slack_us(clock));
        let ahead = micros(proposed).saturating_sub(read);
        if self.agreed == OrderedTime(0) {
            return timely_if(ahead.abs() <= slack);
        }
        if !self.in_step {
            // How long this replica was away it does not know: no longer than its time of day
            // says, or that is wrong. If agreed time is a little ahead of that, it ran ahead, and
            // must not gain the slack again with each replica that restarts.
            let away = wall_us(clock).saturating_sub(read);
            let ran_ahead = (-(self.slack_us.saturating_add(self.near_us()))..0).contains(&away);
            let most = if ran_ahead { away } else { away.max(0) };
            return timely_if(ahead <= most.saturating_add(slack));
        }
        let apart = read.saturating_sub(self.expected_us(clock)).abs();
        if ahead > slack && apart <= slack / 2 {
            return Verdict::Ahead;
        }
        timely_if(ahead.abs() <= slack)
    }
}

const fn timely_if(timely: bool) -> Verdict {
    if timely {
        Verdict::Timely
    } else {
        Verdict::Untimely
    }
}

pub(super) fn micros(time: OrderedTime) -> i128 {
    i128::from(time.0).saturating_mul(1000)
}

fn wall_us(clock: Clock) -> i128 {
    micros(clock.wall)
}

/// Whole milliseconds of a time, not before the beginning.
pub(super) fn millis(us: i128) -> OrderedTime {
    OrderedTime(u64::try_from(us.max(0) / 1000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAWN_US: i128 = 1_700_000_000_000_000;
    const SLACK_MS: u64 = 10_000;
    const SECOND: i128 = 1_000_000;
    const SLACK: i128 = 10 * SECOND;
    const HOUR: i128 = 3600 * SECOND;

    /// One replica with clocks of its own.
    struct Here {
        clock: AgreedClock,
        /// How much the monotonic clock is too fast, in millionths.
        fast: i128,
        wall_off_us: i128,
    }

    impl Here {
        fn new(fast: i128, wall_off_us: i128) -> Self {
            Self {
                clock: AgreedClock::new(SLACK_MS),
                fast,
                wall_off_us,
            }
        }

        /// Its clocks when `us` passed since dawn.
        fn at(&self, us: i128) -> Clock {
            let monotonic = us + us * self.fast / SECOND;
            Clock {
                monotonic: Instant(u64::try_from(monotonic).unwrap()),
                wall: millis(DAWN_US + us + self.wall_off_us),
            }
        }

        fn execute(&mut self, us: i128, agreed: OrderedTime) {
            let clock = self.at(us);
            self.clock.note(clock);
            self.clock.execute(agreed, true, clock);
        }

        fn proposes(&mut self, us: i128) -> OrderedTime {
            let clock = self.at(us);
            self.clock.note(clock);
            millis(self.clock.proposal_us(clock))
        }

        fn judges(&mut self, us: i128, proposed: OrderedTime) -> Verdict {
            let clock = self.at(us);
            self.clock.note(clock);
            self.clock.judge(proposed, clock)
        }

        /// Its reading, less the true time.
        fn off_us(&self, us: i128) -> i128 {
            self.clock.read_us(self.at(us)) - DAWN_US - us
        }

        /// The farthest time ahead, or back, that it votes for.
        fn farthest(&mut self, us: i128, ahead: bool) -> OrderedTime {
            let sign = if ahead { 1 } else { -1 };
            let read = self.clock.read_us(self.at(us));
            let (mut good, mut bad) = (0, 10 * HOUR);
            while bad - good > 1000 {
                let half = i128::midpoint(good, bad);
                let proposed = millis(read + sign * half);
                if self.judges(us, proposed) == Verdict::Timely {
                    good = half;
                } else {
                    bad = half;
                }
            }
            millis(read + sign * good)
        }
    }

    fn off_us(agreed: OrderedTime, us: i128) -> i128 {
        micros(agreed) - DAWN_US - us
    }

    /// A primary that takes all it is granted is off by the slack, and then by a part of the
    /// time that passes, until the time of day holds it.
    #[test]
    fn a_primary_gains_the_slack_once() {
        for ahead in [true, false] {
            let mut here = Here::new(0, 0);
            here.execute(0, millis(DAWN_US));
            let mut worst = 0;
            for second in 1..=14 * 24 * 3600 / 20 {
                let us = second * 20 * SECOND;
                let agreed = here.farthest(us, ahead);
                here.execute(us, agreed);
                let off = off_us(agreed, us).abs();
                let granted = SLACK + us / GRANT + SECOND;
                assert!(off <= granted, "{off} after {second} rounds");
                worst = off.max(worst);
            }
            assert!(worst <= ANCHOR_US + SLACK + SECOND, "{worst}");
            assert!(worst > ANCHOR_US, "it did not run so far: {worst}");
        }
    }

    /// An hour of the time of day for a tenth of a second is a thousandth of a second.
    #[test]
    fn a_jump_of_the_time_of_day_weighs_nothing() {
        for jump in [HOUR, -HOUR] {
            let mut here = Here::new(0, 0);
            here.execute(0, millis(DAWN_US));
            let mut last = OrderedTime(0);
            for tenth in 1..100 {
                let us = tenth * SECOND / 10;
                here.wall_off_us = if tenth == 50 { jump } else { 0 };
                let proposes = here.proposes(us);
                assert!(off_us(proposes, us).abs() <= 2_000, "{tenth}");
                assert!(proposes > last, "it goes on, {tenth}");
                last = proposes;
            }
        }
    }

    /// Clocks that go wrong by 500 millionths each, for three months: with an execution each
    /// minute, and with silence for days.
    #[test]
    fn slow_drift_is_within_what_is_granted() {
        for pause_us in [60 * SECOND, 26 * HOUR, 7 * 24 * HOUR] {
            let mut primary = Here::new(500, 0);
            // Clocks that drift, those that are an hour off, and those that do both.
            let mut backups = [(-500, 0), (0, HOUR), (0, -HOUR), (500, HOUR), (-500, -HOUR)]
                .map(|(fast, off)| Here::new(fast, off));
            let mut us = 0;
            primary.execute(us, millis(DAWN_US));
            backups
                .iter_mut()
                .for_each(|backup| backup.execute(0, millis(DAWN_US)));
            while us < 90 * 24 * HOUR {
                us += pause_us;
                let agreed = primary.proposes(us);
                assert!(off_us(agreed, us).abs() < 3 * SECOND, "{pause_us}");
                for (i, backup) in backups.iter_mut().enumerate() {
                    let verdict = backup.judges(us, agreed);
                    assert_ne!(verdict, Verdict::Ahead, "{pause_us}");
                    // The last two may need others to vouch.
                    assert!(i > 2 || verdict == Verdict::Timely, "{i} {pause_us}");
                    backup.execute(us, agreed);
                }
                primary.execute(us, agreed);
            }
        }
    }

    /// A primary whose time of day is an hour off: what it proposes is good for the others, and
    /// takes agreed time along by a thousandth.
    #[test]
    fn a_primary_with_a_wrong_time_of_day_is_of_use() {
        for wrong in [HOUR, -HOUR] {
            let mut primary = Here::new(0, wrong);
            let mut backup = Here::new(0, 0);
            primary.execute(0, millis(DAWN_US));
            backup.execute(0, millis(DAWN_US));
            for minute in 1..=24 * 60 {
                let us = minute * 60 * SECOND;
                let agreed = primary.proposes(us);
                assert_eq!(backup.judges(us, agreed), Verdict::Timely, "{minute}");
                assert!(off_us(agreed, us).abs() <= us / STEER + 3 * SECOND);
                primary.execute(us, agreed);
                backup.execute(us, agreed);
            }
            // Another one takes it back.
            for minute in 24 * 60..=50 * 60 {
                let us = minute * 60 * SECOND;
                let agreed = backup.proposes(us);
                assert_ne!(primary.judges(us, agreed), Verdict::Ahead, "{minute}");
                primary.execute(us, agreed);
                backup.execute(us, agreed);
            }
            assert!(backup.off_us(50 * HOUR).abs() < 3 * SECOND);
        }
    }

    /// An hour of the time of day that agreed time does not have, as after an outage with
    /// restarts, is made up for at a thousandth of the time; none of it is proposed at once.
    #[test]
    fn what_was_missed_is_made_up_for_slowly() {
        let mut here = Here::new(0, HOUR);
        here.execute(0, millis(DAWN_US));
        let mut agreed = OrderedTime(0);
        for minute in 1..=24 * 60 {
            agreed = here.proposes(minute * 60 * SECOND);
            here.execute(minute * 60 * SECOND, agreed);
            let off = off_us(agreed, minute * 60 * SECOND);
            assert!((0..=minute * 60 * SECOND / STEER).contains(&off), "{off}");
        }
        assert!(off_us(agreed, 24 * HOUR) > 80 * SECOND, "it is steered");
    }

    /// Who was away and is far from agreed time comes back to within the slack at once, on its
    /// own side, and near in less than an hour.
    #[test]
    fn who_was_away_comes_back() {
        for off in [HOUR, -HOUR] {
            let mut here = Here::new(0, 0);
            here.execute(0, millis(DAWN_US));
            let mut us = SECOND;
            here.execute(us, millis(DAWN_US + us + off));
            let left = here.off_us(us) - off;
            assert_eq!(left, -SLACK * off.signum());
            // What it proposes is good for everybody all the same.
            let proposes = off_us(here.proposes(us), us);
            assert!((proposes - off).abs() <= SLACK / 4 + SECOND, "{proposes}");
            for _ in 0..60 {
                us += 60 * SECOND;
                here.execute(us, millis(DAWN_US + us + off));
            }
            // Pulled away from its time of day no more than that allows; but it is led along.
            assert!((here.off_us(us) - off).abs() <= SLACK + SLACK / 4);
        }
    }

    /// What a view carried, or what is old, moves no reading back.
    #[test]
    fn what_is_old_says_only_that_now_is_later() {
        let mut here = Here::new(0, 0);
        here.execute(0, millis(DAWN_US));
        let us = 60 * SECOND;
        let clock = here.at(us);
        here.clock.note(clock);
        let old = millis(DAWN_US + SECOND);
        here.clock.execute(old, false, clock);
        assert!(here.off_us(us).abs() <= 1_000);
        assert!(off_us(here.proposes(us), us).abs() <= 1_000);
    }

    /// A replica stood still when its first number of a run was decided, and takes that and the
    /// next ones in a minute later: it blames nobody who is in time.
    #[test]
    fn a_backlog_tells_no_time() {
        let mut here = Here::new(0, 0);
        let us = 60 * SECOND;
        for behind in [60, 59, 58] {
            here.execute(us, millis(DAWN_US + us - behind * SECOND));
            assert_eq!(here.judges(us, millis(DAWN_US + us)), Verdict::Timely);
        }
        here.execute(us + SECOND, millis(DAWN_US + us + SECOND));
        assert!(here.off_us(us + SECOND).abs() <= 1_000);
        // Nobody knows better than a time of day that is wrong, for so long.
        let mut here = Here::new(0, HOUR);
        here.execute(0, millis(DAWN_US));
        assert_eq!(here.judges(0, millis(DAWN_US + HOUR)), Verdict::Timely);
        here.execute(11 * SECOND, millis(DAWN_US + 11 * SECOND));
        let ahead = millis(DAWN_US + HOUR);
        assert_eq!(here.judges(11 * SECOND, ahead), Verdict::Ahead);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut here = Here::new(0, 0);
        here.execute(0, OrderedTime(u64::MAX));
        assert_eq!(here.judges(SECOND, OrderedTime(0)), Verdict::Untimely);
        assert_eq!(here.judges(SECOND, OrderedTime(u64::MAX)), Verdict::Timely);
        here.execute(SECOND, OrderedTime(u64::MAX));
        let _time = here.proposes(2 * SECOND);
    }
}
