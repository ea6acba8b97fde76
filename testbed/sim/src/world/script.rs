//! What a scenario does to a world and no seed does: time that passes on command, calls
//! that are told, trouble that is chosen.

use bezant_api::Call;
use bezant_bft::{
    ids::{RequestNumber, SessionId},
    replica::Tuning,
};

use super::{Event, World, nemesis::Trouble};
use crate::{
    adversaries::Kind,
    client::ActorOutput,
    invariants::Invariant,
    machine::Machine,
    options::{MS, Network, Options, SECOND, Work},
    oracle::Oracle,
    report::Outcome,
    scenario::Wire,
};

impl World {
    /// A cluster without any chance: every message takes a millisecond, nobody is faulty,
    /// and clients open their sessions and do nothing of their own.
    pub(crate) fn scripted(
        n: u8,
        interval: u64,
        clients: u64,
        gather: usize,
        recorder: Box<dyn Invariant>,
    ) -> Self {
        let mut options = Options::calm(0);
        options.n = n;
        options.interval = interval;
        options.tuning = Tuning {
            gather,
            ..Tuning::default()
        };
        options.real_signatures = false;
        options.network = Network {
            latency_us: (MS, MS),
            ..options.network
        };
        options.volatile = false;
        options.work = Work {
            clients,
            external_clients: 0,
            sessions: 1,
            operations: 0,
            pipeline: 1,
            think_us: 0,
            keys: 1,
            shares_links: false,
            makes_spaces: true,
            leases: false,
            rare: false,
        };
        // Never, and there is room to add to it.
        options.heal_at_us = u64::MAX / 4;
        options.view_change_timeout_us = 60 * SECOND;
        let mut world = Self::new(0, options, None);
        world.rules.push(recorder);
        world
    }

    /// Lets time pass until `until` or until `done`; says whether it is done.
    ///
    /// # Errors
    /// The rule that was broken.
    pub(crate) fn advance(
        &mut self,
        until: u64,
        done: &dyn Fn(&Self) -> bool,
    ) -> Result<bool, String> {
        self.queue.push(until, Event::Look);
        while !done(self) {
            let Some((at, event)) = self.queue.pop() else {
                return Ok(false);
            };
            self.now = at;
            match event {
                Event::Look if at >= until => return Ok(done(self)),
                // A mark of an earlier command, which was done before.
                Event::Look => {}
                event => self.happen(event),
            }
            self.whole()?;
        }
        Ok(true)
    }

    /// Whether every rule was kept.
    pub(crate) fn whole(&mut self) -> Result<(), String> {
        match self.violation.take() {
            Some(violation) => Err(Outcome::Violated(violation).to_string()),
            None => Ok(()),
        }
    }

    /// A client asks; the number of its request.
    pub(crate) fn script_call(&mut self, client: usize, call: Call) -> Option<RequestNumber> {
        let (mut events, mut output) = (Vec::new(), ActorOutput::default());
        let actor = &mut self.actors[client];
        let number = actor.begin(self.now, call, None, &mut events);
        actor.absorb(self.now, events, &mut self.rng, &mut output);
        self.grant(client, output);
        number
    }

    /// Clients.
    pub(crate) fn clients(&self) -> usize {
        self.actors.len()
    }

    /// The client of a session.
    pub(crate) fn client_of(&self, session: SessionId) -> Option<usize> {
        let mut actors = self.actors.iter();
        actors.position(|actor| actor.session.id() == session)
    }

    /// The client of a key.
    pub(crate) fn client_of_key(&self, key: &bezant_bft::ids::ClientId) -> Option<usize> {
        self.clients.get(key).copied()
    }

    /// Whether every client has its session and all its answers.
    pub(crate) fn is_answered(&self) -> bool {
        self.actors
            .iter()
            .all(|actor| actor.session.id() != SessionId::NONE && actor.session.outstanding() == 0)
    }

    /// Whether a client has no answer to this request.
    pub(crate) fn awaits(&self, client: usize, number: RequestNumber) -> bool {
        self.actors[client].awaits(number)
    }

    /// Requests of a client without an answer.
    pub(crate) fn outstanding(&self, client: usize) -> usize {
        self.actors[client].session.outstanding()
    }

    /// Whether all correct replicas that run have come as far as any, and hold nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        let progress = self.oracle().progress();
        let mut running = self.machines.iter().filter(|machine| machine.runs());
        running.all(|machine| {
            !machine.is_correct()
                || (machine.executed() == progress && machine.replica().pooled() == 0)
        })
    }

    /// What is agreed.
    pub(crate) const fn oracle(&self) -> &Oracle {
        &self.common.oracle
    }

    /// Messages between replicas so far.
    pub(crate) const fn messages(&self) -> u64 {
        self.figures.messages
    }

    /// What stands between machines.
    pub(crate) const fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// What was held back goes on.
    pub(crate) fn release(&mut self) {
        for (from, to, bytes) in self.wire.release() {
            self.transmit(from, to, bytes);
        }
    }

    /// Cuts groups off from each other.
    pub(crate) fn split(&mut self, machines: &[Option<usize>], clients: &[Option<usize>]) {
        self.links.split(machines, clients);
    }

    /// Ends everything between machines, with new links.
    pub(crate) fn mend(&mut self) {
        self.wire.lift();
        self.links.join();
        for machine in 0..self.machines.len() {
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
    }

    pub(crate) fn crash_now(&mut self, machine: usize) {
        self.trouble(Trouble::Crash(machine));
    }

    pub(crate) fn forget_now(&mut self, machine: usize) {
        self.trouble(Trouble::Forget(machine));
    }

    pub(crate) fn restart_now(&mut self, machine: usize) {
        self.trouble(Trouble::Restart(machine));
    }

    pub(crate) fn freeze_now(&mut self, machine: usize) {
        self.trouble(Trouble::Freeze(machine));
    }

    pub(crate) fn thaw_now(&mut self, machine: usize) {
        self.trouble(Trouble::Thaw(machine));
    }

    /// Makes a replica faulty from now on.
    pub(crate) fn corrupt(&mut self, machine: usize, kind: Kind) {
        self.common.correct[machine] = false;
        self.machines[machine].strategy = Some((kind, kind.strategy()));
    }

    /// Ends all trouble but faulty replicas, and says what is left to do after a while,
    /// or what is wrong at the end.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for machine in 0..self.machines.len() {
            self.restart_now(machine);
            if self.machines[machine].frozen {
                self.thaw_now(machine);
            }
        }
        self.mend();
        let until = self.now + self.options.view_change_timeout_us;
        self.advance(until, &|world| world.pending().is_none())?;
        match self.rest() {
            Outcome::Passed => Ok(()),
            other => Err(other.to_string()),
        }
    }

    /// Where every replica stands.
    pub(crate) fn stand_now(&self) -> String {
        self.stand()
    }

    /// One machine.
    pub(crate) fn machine(&self, machine: usize) -> &Machine {
        &self.machines[machine]
    }

    /// The machines, to do something to them.
    pub(crate) fn machine_mut(&mut self, machine: usize) -> &mut Machine {
        &mut self.machines[machine]
    }

    /// Replicas.
    pub(crate) fn size(&self) -> usize {
        self.machines.len()
    }
}
