//! The nemesis: cuts the network, freezes and crashes machines, and stops.

use bezant_bft::{
    effects::{PersistId, Record},
    ids::{IncarnationNonce, SeqNo},
};
use bezant_replica::{Memory, memory};

use super::{Event, LOOK_US, World};
use crate::{
    faults::Fault,
    invariants::Fact,
    machine::Machine,
    options::{Jump, MS},
};

/// Something bad, or its end.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// A group of machines is cut off.
    Cut { group: Vec<bool>, one_way: bool },
    /// All cuts end; whether links notice.
    Join { noticed: bool },
    /// A machine stands still.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// A machine loses its power.
    Crash(usize),
    /// A machine loses its power and its disk.
    Forget(usize),
    /// A machine's disk fails at its next sync.
    Damage(usize),
    /// It starts again from what its storage kept.
    Restart(usize),
    /// A machine's time of day is put forward or back; everybody's if none is named.
    Jump { machine: Option<u8>, by_ms: i64 },
}

impl World {
    /// Draws all troubles of the run.
    pub(super) fn plan_troubles(&mut self) {
        let end = self.options.heal_at_us;
        if self.options.faults.contains(&Fault::Partition) {
            let mut at = self.rng.below(end / 2);
            while at < end {
                let group = (0..self.machines.len())
                    .map(|_| self.rng.chance(400))
                    .collect();
                let one_way = self.rng.chance(250);
                let noticed = self.rng.chance(500);
                self.queue
                    .push(at, Event::Nemesis(Trouble::Cut { group, one_way }));
                at += self.rng.between(20, 1000) * MS;
                self.queue
                    .push(at, Event::Nemesis(Trouble::Join { noticed }));
                at += self.rng.between(50, 1000) * MS;
            }
        }
        if self.options.faults.contains(&Fault::Crash) {
            self.plan_crashes(end);
        }
        if let Some((machine, for_us)) = self.options.cut_off {
            let at = self.rng.below(end / 4);
            let machines = 0..self.machines.len();
            let group = machines.map(|one| one == usize::from(machine)).collect();
            let one_way = false;
            self.queue
                .push(at, Event::Nemesis(Trouble::Cut { group, one_way }));
            let noticed = self.rng.chance(500);
            self.queue
                .push(at + for_us, Event::Nemesis(Trouble::Join { noticed }));
        }
        if self.options.faults.contains(&Fault::Amnesia) {
            self.plan_amnesia(end);
        }
        if self.options.faults.contains(&Fault::DiskFailure) && !self.options.volatile {
            let mut at = self.rng.below(end / 2);
            while at < end {
                let machine = self.rng.index(self.machines.len());
                self.queue
                    .push(at, Event::Nemesis(Trouble::Damage(machine)));
                let back = at + self.rng.between(50, 800) * MS;
                self.queue
                    .push(back, Event::Nemesis(Trouble::Restart(machine)));
                at += self.rng.between(200, 1500) * MS;
            }
        }
        self.plan_jumps();
        if self.options.faults.contains(&Fault::Freeze) {
            let mut at = self.rng.below(end / 2);
            while at < end {
                let machine = self.rng.index(self.machines.len());
                self.queue
                    .push(at, Event::Nemesis(Trouble::Freeze(machine)));
                at += self.rng.between(20, 1500) * MS;
                self.queue.push(at, Event::Nemesis(Trouble::Thaw(machine)));
                at += self.rng.between(20, 500) * MS;
            }
        }
    }

    /// Clocks jump when it was drawn; what puts them right may come after the end of troubles.
    fn plan_jumps(&mut self) {
        for jump in &self.options.jumps {
            let Jump {
                at_us,
                machine,
                by_ms,
                for_us,
            } = *jump;
            let jumps = |by_ms| Event::Nemesis(Trouble::Jump { machine, by_ms });
            self.queue.push(at_us, jumps(by_ms));
            if let Some(for_us) = for_us {
                self.queue.push(at_us + for_us, jumps(-by_ms));
            }
        }
    }

    fn jump(&mut self, whose: Option<u8>, by_ms: i64) {
        let jumps = |machine: &&mut Machine| whose.is_none_or(|whose| machine.id.0 == whose);
        for machine in self.machines.iter_mut().filter(jumps) {
            machine.skew_ms = machine.skew_ms.saturating_add(by_ms);
            self.hits.hit(Fault::ClockJump);
        }
    }

    /// One machine at a time, or now and then all of them at once.
    fn plan_crashes(&mut self, end: u64) {
        let mut at = self.rng.below(end / 2);
        while at < end {
            let one = self.rng.index(self.machines.len());
            let all = self.rng.chance(150);
            for machine in 0..self.machines.len() {
                if all || machine == one {
                    self.queue.push(at, Event::Nemesis(Trouble::Crash(machine)));
                    let back = at + self.rng.between(5, 800) * MS;
                    self.queue
                        .push(back, Event::Nemesis(Trouble::Restart(machine)));
                }
            }
            at += self.rng.between(100, 1500) * MS;
        }
    }

    /// One machine at a time. Whether the cluster can bear it is seen when it is due.
    fn plan_amnesia(&mut self, end: u64) {
        let mut at = self.rng.below(end / 2);
        while at < end {
            let machine = self.rng.index(self.machines.len());
            self.queue
                .push(at, Event::Nemesis(Trouble::Forget(machine)));
            let back = at + self.rng.between(5, 400) * MS;
            self.queue
                .push(back, Event::Nemesis(Trouble::Restart(machine)));
            at += self.rng.between(100, 1500) * MS;
        }
    }

    /// The disk goes with the power, if no more than f replicas are faulty or without a
    /// memory then, whoever else is to crash. A faulty one counts once, whatever it forgets.
    fn forget(&mut self, m: usize) {
        let impaired =
            |machine: &Machine| !machine.is_correct() || !machine.disk.would_vote(machine.id);
        let others = (0..self.machines.len()).filter(|other| *other != m);
        let impaired = others.filter(|other| impaired(&self.machines[*other]));
        if impaired.count() >= self.quorum.f() || !self.machines[m].is_correct() {
            return;
        }
        if !self.machines[m].up {
            return;
        }
        self.fall(m);
        self.hits.hit(Fault::Crash);
        let machine = &mut self.machines[m];
        machine.disk.wipe();
        let by = machine.id;
        self.hits.hit(Fault::Amnesia);
        self.fact(&Fact::Forgot { by });
    }

    /// Power fails: everything that is not on the disk is gone.
    fn crash(&mut self, m: usize) {
        if self.options.volatile {
            return self.forget(m);
        }
        if self.machines[m].up {
            self.fall(m);
            self.hits.hit(Fault::Crash);
        }
    }

    /// A machine's process ends.
    pub(super) fn fall(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        machine.up = false;
        machine.restarts += 1;
        machine.inbox.clear();
        machine.awake = false;
        machine.timer = None;
    }

    /// A machine starts again: a new replica and a new service, made from nothing but what
    /// its storage kept.
    fn restart(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        if machine.up {
            return;
        }
        let by = machine.id;
        if let Some(lost) = machine.disk.stable_without_state() {
            let what = format!("replica {by} lost its state after number {lost}");
            return self.violate("durable-state", what);
        }
        let survived = machine.disk.crash(&mut self.rng);
        let first_start = machine.disk.has_first_start();
        let memory = memory(&machine.disk.kept().records, first_start);
        match memory {
            Memory::NeverRan => {}
            Memory::Whole => machine.disk.use_first_start(),
            Memory::Lost => {
                let mut nonce = [0; 32];
                for (to, from) in nonce.iter_mut().zip(self.rng.below(u64::MAX).to_le_bytes()) {
                    *to = from;
                }
                machine.disk.append(
                    PersistId(0),
                    Record::IncarnationNonce(IncarnationNonce(nonce)),
                );
            }
        }
        let kept = machine.disk.kept();
        let executed = kept.snapshot.as_ref().map_or(SeqNo(0), |(at, _)| *at);
        let key = machine.key.clone();
        let machine = &self.machines[m];
        let driver = match self.driver(by, key, &machine.disk, kept, memory == Memory::NeverRan) {
            Ok(driver) => driver,
            Err(error) => {
                let what = format!(
                    "replica {by} cannot start from what it kept after number {executed}: {error}"
                );
                return self.violate("restore", what);
            }
        };
        let view = driver.replica().view();
        let machine = &mut self.machines[m];
        machine.driver = driver;
        machine.booted_at = self.now;
        machine.up = true;
        machine.frozen = false;
        machine.storage_failed = false;
        self.figures.restarts += 1;
        if machine.is_correct() {
            self.fact(&Fact::Restarted {
                by,
                executed,
                view,
                durable: survived,
            });
        }
        for peer in self.quorum.members().filter(|peer| *peer != by) {
            let here = Event::LinkUp { machine: m, peer };
            self.queue.push(self.now + MS, here);
            let there = Event::LinkUp {
                machine: usize::from(peer.0),
                peer: by,
            };
            self.queue.push(self.now + MS, there);
        }
        self.relink_clients(by);
        self.arm(m);
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        // A clock that is wrong stays so, and nobody is told when it is put right.
        if self.healed && !matches!(trouble, Trouble::Jump { .. }) {
            return;
        }
        match trouble {
            Trouble::Cut { group, one_way } => self.links.partition(&group, one_way, &mut self.rng),
            Trouble::Join { noticed } => self.join(noticed),
            Trouble::Freeze(machine) => {
                self.machines[machine].frozen = true;
                self.hits.hit(Fault::Freeze);
            }
            Trouble::Thaw(machine) => self.thaw(machine),
            Trouble::Crash(machine) => self.crash(machine),
            Trouble::Forget(machine) => self.forget(machine),
            Trouble::Damage(machine) => self.machines[machine].disk.damage(),
            Trouble::Restart(machine) => self.restart(machine),
            Trouble::Jump { machine, by_ms } => self.jump(machine, by_ms),
        }
    }

    fn join(&mut self, noticed: bool) {
        let links = self.links.join();
        if noticed {
            for (from, to) in links {
                let peer = self.machines[to].id;
                self.queue.push(
                    self.now + MS,
                    Event::LinkUp {
                        machine: from,
                        peer,
                    },
                );
            }
        }
    }

    fn thaw(&mut self, machine: usize) {
        self.machines[machine].frozen = false;
        // The timer that fired meanwhile was not heard.
        self.machines[machine].timer = None;
        self.wake(machine);
        self.arm(machine);
    }

    /// The end of all troubles but the adversaries: from here on work must get done.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.links.heal();
        self.join(false);
        for machine in 0..self.machines.len() {
            // A disk that failed stopped its machine, or is about to; the others hold from now on.
            if self.machines[machine].disk.is_broken() {
                self.fall(machine);
            }
            self.machines[machine].disk.repair();
            self.restart(machine);
            if self.machines[machine].frozen {
                self.thaw(machine);
            }
            for peer in self.quorum.members() {
                if peer != self.machines[machine].id {
                    self.queue
                        .push(self.now + MS, Event::LinkUp { machine, peer });
                }
            }
        }
        for peer in self.quorum.members() {
            self.relink_clients(peer);
        }
        for actor in 0..self.actors.len() {
            self.actors[actor].drain();
            self.queue.push(self.now + MS, Event::Act(actor));
        }
        self.queue.push(self.now + LOOK_US, Event::Look);
    }
}
