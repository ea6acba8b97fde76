//! Twins: a faulty replica run as two machines with one key, each connected to a camp.
//!
//! Both follow the protocol, both sign as the same replica, and neither knows of
//! the other. Every other machine belongs to a camp: it is connected to the first
//! twin, to the second, or to both. Camps are drawn anew now and then, so that what
//! was told to one camp meets what was told to another.

use bezant_bft::{crypto::SigningKey, ids::ReplicaId};

use super::{Event, World};
use crate::{
    adversaries::Kind,
    options::{MS, Options},
    rng::Rng,
};

/// Which twins somebody is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Camp {
    First,
    Second,
    Both,
}

impl Camp {
    fn draw(rng: &mut Rng) -> Self {
        *rng.pick(&[
            Self::First,
            Self::First,
            Self::Second,
            Self::Second,
            Self::Both,
        ])
    }
}

/// Who hears which twins.
#[derive(Debug, Default)]
pub(super) struct Camps {
    /// The machine of the second twin of a replica, by replica.
    seconds: Vec<Option<usize>>,
    /// The camp of each machine.
    machines: Vec<Camp>,
    /// Messages that only one camp heard.
    pub(super) hits: u64,
}

/// Second twins in a run with these options.
pub(super) fn count(options: &Options) -> usize {
    let kinds = options.adversaries.values();
    kinds.filter(|kind| **kind == Kind::Twins).count()
}

impl Camps {
    fn second(&self, replica: ReplicaId) -> Option<usize> {
        self.seconds.get(usize::from(replica.0)).copied().flatten()
    }

    fn of(&self, machine: usize) -> Camp {
        self.machines.get(machine).copied().unwrap_or(Camp::Both)
    }
}

impl World {
    pub(super) fn add_twins(&mut self, keys: &[SigningKey], rng: &mut Rng) {
        self.camps.seconds = vec![None; keys.len()];
        for (id, key) in (0..).zip(keys) {
            if self.options.adversaries.get(&id) == Some(&Kind::Twins) {
                self.camps.seconds[usize::from(id)] = Some(self.machines.len());
                self.add_machine(ReplicaId(id), key.clone(), rng);
            }
        }
        if self.machines.len() > keys.len() {
            self.queue.push(0, Event::Camps);
        }
    }

    /// Draws camps anew.
    pub(super) fn draw_camps(&mut self) {
        let draw = (0..self.machines.len()).map(|_| Camp::draw(&mut self.rng));
        self.camps.machines = draw.collect();
        if !self.healed {
            let at = self.now + self.rng.between(100, 2000) * MS;
            self.queue.push(at, Event::Camps);
        }
    }

    /// The machines that a message of machine `from` to replica `to` reaches.
    pub(super) fn receivers(&mut self, from: usize, to: ReplicaId) -> Vec<usize> {
        let first = usize::from(to.0);
        let sender = self.machines[from].id;
        // A twin is heard by its camp.
        if let Some(second) = self.camps.second(sender) {
            let pending = if from == second {
                Camp::First
            } else {
                Camp::Second
            };
            if self.camps.of(first) == pending {
                self.camps.hits += 1;
                return Vec::new();
            }
        }
        match (self.camps.second(to), self.camps.of(from)) {
            (None, _) | (Some(_), Camp::First) => vec![first],
            (Some(second), Camp::Second) => vec![second],
            (Some(second), Camp::Both) => vec![first, second],
        }
    }
}
