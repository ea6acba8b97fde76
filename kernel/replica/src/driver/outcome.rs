//! What a step brought about is carried out: records, messages, executions, states.

use std::sync::Arc;

use bezant_bft::{
    effects::{Durability, Effect, Input, To},
    ids::SeqNo,
    message::{PeerMessage, StatePart},
    rejoin::{IncarnationTable, join_state, split_state},
    service::{Admission, Replies, Service as _},
    state::State,
    verification::{CheckedProposal, check_commits},
};

use super::{Driver, Saving, Scratch};
use crate::{
    action::{Action, HaltReason, LogEvent},
    hook::{Executed, Hook},
};

impl Driver {
    /// Carries out everything in order, and hands what was recorded to storage.
    pub(super) fn carry_out(
        &mut self,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        let recorded = self.counts.records;
        let mut effects = std::mem::take(&mut scratch.effects);
        for effect in effects.drain(..) {
            self.perform(effect, hook, scratch, actions);
            if self.halted {
                break;
            }
        }
        effects.clear();
        scratch.effects = effects;
        if self.counts.records > recorded && !self.halted {
            self.gate.sync(actions);
        }
    }

    fn perform(
        &mut self,
        effect: Effect,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        match effect {
            Effect::Persist { id, record } => {
                hook.recorded(id, &record);
                self.counts.records += 1;
                self.gate.append(id, record, actions);
            }
            Effect::Send { to, message, after } => {
                let action = Action::SendPeers { to, message };
                // Without a record to wait for it names the first, which is durable from the beginning.
                self.gate.pass(after.unwrap_or_default(), action, actions);
            }
            Effect::Execute {
                seq_no,
                proposal,
                incarnations,
            } => self.execute(
                seq_no,
                &proposal,
                incarnations.as_ref(),
                hook,
                scratch,
                actions,
            ),
            Effect::Busy {
                client,
                session,
                number,
                share,
            } => self.busy_everywhere(&client, session, number, share, actions),
            Effect::CheckAdmission(requests) => {
                let mut refused = Vec::new();
                for request in requests {
                    if !matches!(self.kernel.admit(request.request()), Admission::New) {
                        refused.push(request.digest());
                    }
                }
                scratch
                    .inputs
                    .push_back(Input::AdmissionChecked { refused });
            }
            Effect::CheckCommits(votes) => {
                self.counts.verifications += votes.len() as u64;
                self.counts.commits_checked += votes.len() as u64;
                let input = check_commits(&self.config.keyring, &mut self.checker, votes);
                scratch.inputs.push_back(input);
            }
            Effect::Truncate(below) => {
                let action = Action::Truncate(below);
                self.gate.pass(self.gate.appended(), action, actions);
            }
            Effect::Stable { seq_no, serving } => {
                let needed = |kept: &SeqNo| *kept >= seq_no || serving.contains(kept);
                self.snapshots.retain(|kept, _| needed(kept));
            }
            Effect::SendState {
                to,
                seq_no,
                offset,
                most_bytes,
            } => {
                if let Some(part) = self.part_of_state(seq_no, offset, most_bytes) {
                    let message = PeerMessage::State(part);
                    let to = To::Replica(to);
                    actions.push(Action::SendPeers { to, message });
                }
            }
            Effect::Install { seq_no, state } => {
                self.install(seq_no, state, hook, scratch, actions)
            }
            Effect::ViewChanged { view, primary } => {
                actions.push(Action::Log(LogEvent::ViewEntered { view, primary }));
            }
            Effect::Suspect(view) => {
                let primary = self.config.keyring.quorum().primary(view);
                actions.push(Action::Log(LogEvent::PrimarySuspected { view, primary }));
            }
            Effect::Blame(misbehaviour) => self.blame(misbehaviour, hook, actions),
            Effect::Halt(violation) => self.halt(HaltReason::Violation(violation), actions),
        }
    }

    fn execute(
        &mut self,
        seq_no: SeqNo,
        proposal: &Arc<CheckedProposal>,
        incarnations: Option<&IncarnationTable>,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        let mut replies = Replies::new();
        self.kernel.execute(seq_no, proposal, &mut replies);
        hook.executed(&Executed {
            seq_no,
            proposal,
            replies: &replies,
            service: &self.kernel,
            recorded: self.gate.appended(),
        });
        scratch.replies.append(&mut replies);
        if let Some(why) = self.kernel.broken() {
            let reason = HaltReason::Service(why.to_owned());
            return self.halt(reason, actions);
        }
        let (time, due) = (self.kernel.time(), self.kernel.due());
        scratch
            .inputs
            .push_back(Input::Executed { seq_no, time, due });
        if let Some(incarnations) = incarnations {
            let state = join_state(incarnations, self.kernel.snapshot());
            let saving = Saving::Checkpoint(state.digest());
            self.save(seq_no, state, saving, scratch, actions);
        }
    }

    /// Hands a state to storage. A replica votes on it, or goes on from it, when it is
    /// durable: others throw their log away for such votes, so that the state must not
    /// vanish with a crash of those who voted.
    fn save(
        &mut self,
        seq_no: SeqNo,
        state: State,
        saving: Saving,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        self.snapshots.insert(seq_no, state.clone());
        self.saving.insert(seq_no, saving);
        match self.config.durability {
            Durability::Immediate => self.snapshot_saved(seq_no, scratch),
            Durability::Reported => {
                actions.push(Action::SaveSnapshot { seq_no, state });
            }
        }
    }

    pub(super) fn snapshot_saved(&mut self, seq_no: SeqNo, scratch: &mut Scratch) {
        let number = seq_no;
        let input = match self.saving.remove(&seq_no) {
            Some(Saving::Checkpoint(state)) => Input::CheckpointSaved {
                seq_no: number,
                state,
            },
            Some(Saving::Installed { time, due }) => Input::Installed {
                seq_no: number,
                time,
                due,
            },
            None => return,
        };
        scratch.inputs.push_back(input);
    }

    /// Takes over a state that the replica found certified.
    fn install(
        &mut self,
        seq_no: SeqNo,
        state: State,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        let service = split_state(&state).map(|(_, service)| service.content());
        if let Err(error) = service.and_then(|bytes| self.kernel.restore(&bytes)) {
            // A strong quorum vouched for it: this program cannot read what they can.
            return self.halt(HaltReason::UnreadableState(error.to_string()), actions);
        }
        hook.installed(seq_no, &state);
        actions.push(Action::Log(LogEvent::StateInstalled { seq_no }));
        let (time, due) = (self.kernel.time(), self.kernel.due());
        let saving = Saving::Installed { time, due };
        self.save(seq_no, state, saving, scratch, actions);
    }

    /// A part of a state for a peer that fell behind, if it is still here.
    fn part_of_state(&self, seq_no: SeqNo, offset: u64, most_bytes: usize) -> Option<StatePart> {
        let state = self.snapshots.get(&seq_no)?;
        Some(StatePart {
            seq_no,
            total: state.encoded_len(),
            offset,
            bytes: state.read(offset, most_bytes),
        })
    }
}
