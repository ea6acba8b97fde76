//! Trouble from outside: cuts, machines that stand still or fall, and the end of it.

use bezant_bft::{
    effects::Record,
    ids::{Life, SeqNo},
    rejoin::{Lives, split_state},
    replica::Replica,
    service::Service as _,
};
use bezant_kernel::Kernel;

use super::{Event, LOOK_US, World};
use crate::{
    faults::Fault,
    invariants::Fact,
    machine::{Disk, Machine},
    options::MS,
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
    /// It starts again from what its storage kept.
    Restart(usize),
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
        self.crash(m);
        let mut life = [0; 32];
        for (to, from) in life.iter_mut().zip(self.rng.below(u64::MAX).to_le_bytes()) {
            *to = from;
        }
        let machine = &mut self.machines[m];
        machine.disk = Disk::with(Record::Life(Life(life)));
        let by = machine.id;
        self.hits.hit(Fault::Amnesia);
        self.fact(&Fact::Forgot { by });
    }

    /// Power fails: everything that is not on the disk is gone.
    fn crash(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        if !machine.up {
            return;
        }
        machine.up = false;
        machine.life += 1;
        machine.inbox.clear();
        machine.outbox.clear();
        machine.snapshots.clear();
        machine.awake = false;
        machine.timer = None;
        self.hits.hit(Fault::Crash);
    }

    /// A machine starts again: a new replica and a new service, made from nothing but what
    /// its storage kept.
    fn restart(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        if machine.up {
            return;
        }
        let durable = machine.disk.durable;
        let (records, executed, states) = machine.disk.crash();
        let mut kernel = Kernel::new(self.genesis.clone());
        let mut lives = Lives::default();
        let by = machine.id;
        if let Some(state) = states.get(&executed) {
            let restored = split_state(state).and_then(|(kept, service)| {
                lives = kept;
                kernel.restore(&service.content())
            });
            if let Err(error) = restored {
                return self.violate(
                    "restore",
                    format!("replica {by} cannot read its state after number {executed}: {error}"),
                );
            }
        } else if executed > SeqNo(0) {
            let what = format!("replica {by} lost its state after number {executed}");
            return self.violate("durable-state", what);
        }
        // Those above were perhaps voted on: they are there for who proves to need them.
        machine.snapshots = states;
        let keyring = self.common.keyring.clone();
        let (interval, tuning) = (self.options.interval, self.options.tuning);
        let key = machine.key.clone();
        let Some(mut replica) =
            Replica::recover(by, key, keyring, interval, tuning, lives, records)
        else {
            return self.violate(
                "recover",
                format!("replica {by} cannot start from its records"),
            );
        };
        replica.expect(kernel.due());
        let view = replica.view();
        machine.replica = replica;
        machine.kernel = kernel;
        machine.checker = super::checker(&self.options);
        machine.booted_at = self.now;
        machine.up = true;
        machine.frozen = false;
        self.figures.restarts += 1;
        if machine.is_correct() {
            self.fact(&Fact::Restarted {
                by,
                executed,
                view,
                durable,
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
        if self.healed {
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
            Trouble::Restart(machine) => self.restart(machine),
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
