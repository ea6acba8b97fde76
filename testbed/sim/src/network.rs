//! The network between machines: delays, losses, copies, cuts.

use crate::{
    faults::{Fault, Hits},
    options,
    rng::Rng,
};

/// Links are named by the machines at their ends.
#[derive(Debug)]
pub(crate) struct Links {
    machines: usize,
    options: options::Network,
    /// Which machine may not reach which.
    cut: Vec<bool>,
    /// Which client may not reach which machine, by client and machine.
    client_cut: Vec<bool>,
    last_arrival: Vec<u64>,
}

/// Where copies of a message arrive: not at all, once or twice.
pub(crate) type Arrivals = [Option<u64>; 2];

impl Links {
    pub(crate) fn new(machines: usize, clients: usize, options: options::Network) -> Self {
        Self {
            machines,
            options,
            cut: vec![false; machines * machines],
            client_cut: vec![false; clients * machines],
            last_arrival: vec![0; machines * machines],
        }
    }

    /// Cuts `group` off from all other machines and, at random, from clients. A one-way
    /// cut lets the group hear and not speak.
    pub(crate) fn partition(&mut self, group: &[bool], one_way: bool, rng: &mut Rng) {
        for from in 0..self.machines {
            for to in 0..self.machines {
                if group[from] && !group[to] || (!one_way && group[to] && !group[from]) {
                    self.cut[from * self.machines + to] = true;
                }
            }
        }
        let clients = self.client_cut.len() / self.machines.max(1);
        for client in 0..clients {
            let side = rng.chance(500);
            let cuts = rng.chance(500);
            for (machine, inside) in group.iter().enumerate() {
                self.client_cut[client * self.machines + machine] = cuts && *inside == side;
            }
        }
    }

    /// Cuts machines and clients off from those of other groups; who is in no group is
    /// heard by all.
    pub(crate) fn split(&mut self, machines: &[Option<usize>], clients: &[Option<usize>]) {
        let apart = |one: Option<usize>, other: Option<usize>| match (one, other) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        for (from, group) in machines.iter().enumerate() {
            for (to, other) in machines.iter().enumerate() {
                self.cut[from * self.machines + to] |= apart(*group, *other);
            }
            for (client, other) in clients.iter().enumerate() {
                self.client_cut[client * self.machines + from] |= apart(*group, *other);
            }
        }
    }

    /// Ends all cuts; says between which machines there were any.
    pub(crate) fn join(&mut self) -> Vec<(usize, usize)> {
        self.client_cut.fill(false);
        let machines = self.machines;
        let cut = self.cut.iter().enumerate().filter(|(_, cut)| **cut);
        let links = cut.map(|(at, _)| (at / machines, at % machines)).collect();
        self.cut.fill(false);
        links
    }

    /// Ends losses, copies and long delays.
    pub(crate) fn heal(&mut self) {
        self.options.loss_permille = 0;
        self.options.doubled_permille = 0;
        self.options.client_loss_permille = 0;
        self.options.tail_permille = 0;
    }

    fn delay(&self, rng: &mut Rng) -> u64 {
        let (low, high) = self.options.latency_us;
        let delay = rng.between(low, high);
        let factor = if rng.chance(self.options.tail_permille) {
            10
        } else {
            1
        };
        // In steps, so that messages arrive together and are checked as one batch.
        (delay * factor).next_multiple_of(50)
    }

    /// The fate of a message between machines sent at `now`.
    pub(crate) fn between_machines(
        &mut self,
        now: u64,
        from: usize,
        to: usize,
        rng: &mut Rng,
        hits: &mut Hits,
    ) -> Arrivals {
        let link = from * self.machines + to;
        if self.cut[link] {
            hits.hit(Fault::Partition);
            return [None, None];
        }
        if rng.chance(self.options.loss_permille) {
            hits.hit(Fault::Loss);
            return [None, None];
        }
        let first = now + self.delay(rng);
        if first < self.last_arrival[link] {
            hits.hit(Fault::Overtake);
        }
        self.last_arrival[link] = first.max(self.last_arrival[link]);
        let again = rng.chance(self.options.doubled_permille);
        if again {
            hits.hit(Fault::Duplicate);
        }
        [Some(first), again.then(|| now + self.delay(rng))]
    }

    /// The fate of a message between a client and a machine.
    pub(crate) fn with_client(
        &self,
        now: u64,
        client: usize,
        machine: usize,
        rng: &mut Rng,
        hits: &mut Hits,
    ) -> Option<u64> {
        if self.client_cut[client * self.machines + machine] {
            hits.hit(Fault::Partition);
            return None;
        }
        if rng.chance(self.options.client_loss_permille) {
            hits.hit(Fault::ClientLoss);
            return None;
        }
        Some(now + self.delay(rng))
    }
}
