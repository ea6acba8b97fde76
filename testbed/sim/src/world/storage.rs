//! Disks in the world: they take their time, lose what they had not completed, and fail.

use bezant_bft::{effects::PersistId, ids::SeqNo, state::State};

use super::{Event, World};
use crate::{faults::Fault, invariants::Fact, machine::Arrival};

/// What a disk completes.
#[derive(Debug)]
pub(crate) enum Completed {
    /// All records up to this one.
    Records(PersistId),
    /// A state.
    State(SeqNo, State),
    /// The leave to vote without a memory is gone.
    FirstStart,
    /// Nothing, now or ever.
    Failure,
}

impl World {
    /// A time that the disk takes.
    fn disk_us(&mut self) -> u64 {
        let (low, high) = self.options.disk_us;
        if high > 0 {
            self.slow_disk();
        }
        self.rng.between(low, high)
    }

    fn complete_at(&mut self, m: usize, at: u64, completed: Completed) {
        let restarts = self.machines[m].restarts;
        let event = Event::Completed {
            machine: m,
            restarts,
            completed: Box::new(completed),
        };
        self.queue.push(at, event);
    }

    /// Records become durable in order; a failing disk fails at a sync.
    pub(super) fn sync(&mut self, m: usize, id: PersistId) {
        let took = self.disk_us();
        let disk = &mut self.machines[m].disk;
        if disk.fails() {
            let at = self.now + took;
            self.hits.hit(Fault::DiskFailure);
            return self.complete_at(m, at, Completed::Failure);
        }
        disk.begin_sync(id);
        let at = disk.log_line(self.now + took);
        self.complete_at(m, at, Completed::Records(id));
    }

    pub(super) fn use_first_start(&mut self, m: usize) {
        let took = self.disk_us();
        let disk = &mut self.machines[m].disk;
        let at = disk.log_line(self.now + took);
        self.complete_at(m, at, Completed::FirstStart);
    }

    /// States are written beside records, and take longer.
    pub(super) fn save(&mut self, m: usize, seq_no: SeqNo, state: State) {
        let machine = &self.machines[m];
        if machine.is_correct() {
            let (by, number, state) = (machine.id, seq_no, state.digest());
            self.fact(&Fact::Checkpointed {
                by,
                seq_no: number,
                state,
            });
        }
        let took = 3 * self.disk_us();
        let disk = &mut self.machines[m].disk;
        if disk.is_broken() {
            return;
        }
        let at = disk.state_line(self.now + took);
        self.complete_at(m, at, Completed::State(seq_no, state));
    }

    pub(super) fn completed(&mut self, m: usize, completed: Completed) {
        let machine = &mut self.machines[m];
        if machine.disk.is_broken() && !matches!(completed, Completed::Failure) {
            return;
        }
        let arrival = match completed {
            Completed::Records(id) => {
                machine.disk.sync(id);
                Arrival::Durable(id)
            }
            Completed::State(seq_no, state) => {
                machine.disk.save(seq_no, state);
                Arrival::SnapshotSaved(seq_no)
            }
            Completed::FirstStart => {
                machine.disk.use_first_start();
                Arrival::FirstStartUsed
            }
            Completed::Failure => {
                machine.storage_failed = true;
                Arrival::StorageFailed("the disk failed".to_owned())
            }
        };
        if machine.is_correct()
            && let Some(lost) = machine.disk.stable_without_state()
        {
            let what = format!(
                "replica {} recorded the checkpoint {lost} as stable without its state",
                machine.id
            );
            self.violate("durable-state", what);
        }
        self.arrive(m, arrival);
    }

    /// Records may go when what takes their place is durable.
    pub(super) fn truncate(&mut self, m: usize, below: SeqNo) {
        let machine = &mut self.machines[m];
        if machine.is_correct() && !machine.disk.may_truncate(below) {
            let what = format!(
                "replica {} lets go of records up to {below} that nothing durable replaces",
                machine.id
            );
            return self.violate("durable-state", what);
        }
        self.machines[m].disk.truncate(below);
    }
}
