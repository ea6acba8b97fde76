//! Trouble from outside: cuts, machines that stand still or fall, and the end of it.

use super::{Event, LOOK_US, World};
use crate::{faults::Fault, options::MS};

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
