//! The turn of a replica.
//!
//! A turn takes all events that came together: messages are screened, their
//! signatures are checked in one batch, everything is stepped, and only then are
//! the effects carried out, so that the records of a turn share one sync. What the
//! effects bring about is stepped again until nothing is left.

mod clients;
mod inbound;
mod outcome;

use std::collections::{BTreeMap, VecDeque};

use bezant_api::Genesis;
use bezant_bft::{
    crypto::{Checker, SigningKey},
    effects::{Durability, Effects, Input, PersistId},
    ids::{Clock, Digest, Instant, OrderedTime, ReplicaId, SeqNo},
    keyring::Keyring,
    replica::{Replica, Tuning},
    service::Replies,
    state::State,
    verification::Unverified,
};
use bezant_kernel::Kernel;

use crate::{
    action::{Action, HaltReason, LogEvent},
    budgets::Budgets,
    counts::Counts,
    event::{Command, Event},
    gate::Gate,
    hook::Hook,
    routes::Routes,
};

/// What a replica is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which replica.
    pub replica: ReplicaId,
    /// Its key.
    pub key: SigningKey,
    /// The keys of all.
    pub keyring: Keyring,
    /// What the cluster agreed on at its beginning.
    pub genesis: Genesis,
    /// How the ordering is tuned.
    pub tuning: Tuning,
    /// How it learns that something is durable.
    pub durability: Durability,
}

/// A state on its way to storage.
#[derive(Clone, Copy, Debug)]
enum Saving {
    /// This replica reached it, and votes on this digest when it is durable.
    Checkpoint(Digest),
    /// It came from peers and replaced the service's.
    Installed {
        /// Agreed time in it.
        time: OrderedTime,
        /// What expires in it next.
        due: Option<OrderedTime>,
    },
}

/// One replica with everything around it but I/O.
#[derive(Debug)]
pub struct Driver {
    config: Config,
    replica: Replica,
    kernel: Kernel,
    checker: Checker,
    routes: Routes,
    budgets: Budgets,
    gate: Gate,
    /// States at checkpoints from the stable one on, for peers that fell behind.
    snapshots: BTreeMap<SeqNo, State>,
    saving: BTreeMap<SeqNo, Saving>,
    counts: Counts,
    /// What this turn did already of what each turn does so often only.
    blames_logged: usize,
    halted: bool,
    scratch: Scratch,
}

/// Lists that every turn fills and empties again, kept for their capacity.
#[derive(Debug, Default)]
struct Scratch {
    unverified: Vec<Unverified>,
    inputs: VecDeque<Input>,
    effects: Effects,
    replies: Replies,
}

impl Driver {
    pub(crate) fn with(
        config: Config,
        replica: Replica,
        kernel: Kernel,
        snapshots: BTreeMap<SeqNo, State>,
        first_start: bool,
    ) -> Self {
        Self {
            gate: Gate::new(config.replica, config.durability, first_start),
            config,
            replica,
            kernel,
            checker: Checker::new(),
            routes: Routes::default(),
            budgets: Budgets::default(),
            snapshots,
            saving: BTreeMap::new(),
            counts: Counts::default(),
            blames_logged: 0,
            halted: false,
            scratch: Scratch::default(),
        }
    }

    /// Checks signatures with `checker` from now on; a simulator may use one that is cheaper.
    pub fn check_with(&mut self, checker: Checker) {
        self.checker = checker;
    }

    /// The ordering state machine.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The service.
    #[must_use]
    pub const fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// States that are kept.
    #[must_use]
    pub fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// Actions that wait for storage.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.waiting()
    }

    /// Whether it ended.
    #[must_use]
    pub const fn has_halted(&self) -> bool {
        self.halted
    }

    /// When [`Event::Tick`] is due if nothing else happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.halted {
            return None;
        }
        self.replica.next_timeout()
    }

    /// One turn: takes all `events`, and appends what is to be done to `actions`, to be
    /// performed in their order.
    pub fn turn(
        &mut self,
        clock: Clock,
        events: impl IntoIterator<Item = Event>,
        hook: &mut impl Hook,
        actions: &mut Vec<Action>,
    ) {
        self.budgets.begin_turn(clock.monotonic);
        self.blames_logged = 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        for event in events {
            if self.halted {
                break;
            }
            self.take(event, hook, &mut scratch, actions);
        }
        self.verify(hook, &mut scratch, actions);
        if scratch.inputs.is_empty() {
            scratch.inputs.push_back(Input::Tick);
        }
        // Time is judged, and a proposal made, when all that came was heard.
        while !self.halted && !scratch.inputs.is_empty() {
            while !self.halted && !scratch.inputs.is_empty() {
                for input in scratch.inputs.drain(..) {
                    self.replica.hear(clock, input, &mut scratch.effects);
                }
                self.carry_out(hook, &mut scratch, actions);
            }
            self.replica.conclude(&mut scratch.effects);
            self.carry_out(hook, &mut scratch, actions);
        }
        if !self.halted {
            self.answer(&mut scratch.replies, actions);
            let lines = self.kernel.take_logs().into_iter();
            actions.extend(lines.map(|line| Action::Log(LogEvent::Extension(line))));
        }
        scratch.clear();
        self.scratch = scratch;
    }

    fn take(
        &mut self,
        event: Event,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        match event {
            Event::LinkUp { link, peer } => self.link_up(link, peer, scratch),
            Event::LinkDown { link } => {
                self.routes.detach(link);
                self.budgets.forget(link);
            }
            Event::Frame { link, from, frame } => {
                self.receive(link, from, &frame, hook, scratch, actions);
            }
            Event::Durable(id) => self.records_durable(id, scratch, actions),
            Event::SnapshotSaved(seq_no) => self.snapshot_saved(seq_no, scratch),
            Event::FirstStartUsed => self.gate.first_start_used(actions),
            // What it said may be lost: it must not say more, and never tries again.
            Event::StorageFailed(why) => self.halt(HaltReason::Storage(why), actions),
            Event::Tick => {}
            Event::Command(Command::Stop) => self.halt(HaltReason::Stopped, actions),
        }
    }

    fn records_durable(&mut self, id: PersistId, scratch: &mut Scratch, actions: &mut Vec<Action>) {
        self.gate.durable(id, actions);
        scratch.inputs.push_back(Input::Durable(id));
    }

    /// Ends it. What this turn wanted done before is not done either, but for records and
    /// news to the operator: a state that cannot be trusted must not speak.
    fn halt(&mut self, reason: HaltReason, actions: &mut Vec<Action>) {
        self.halted = true;
        self.gate.close();
        actions.retain(|action| {
            let speaks = matches!(
                action,
                Action::SendPeers { .. } | Action::SendClient { .. } | Action::Truncate(_)
            );
            !speaks
        });
        actions.push(Action::Halt(reason));
    }
}

impl Scratch {
    fn clear(&mut self) {
        self.unverified.clear();
        self.inputs.clear();
        self.effects.clear();
        self.replies.clear();
    }
}
