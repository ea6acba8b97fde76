//! Durable before sent: what waits for storage, and until when.
//!
//! Records are written in order and become durable in order. A vote waits for its
//! own record; a reply, a claim, a status report and a checkpoint vote wait for
//! every record before them, since they tell what this replica would have to stand
//! by after a crash. Nothing that waits leaves before the leave to vote without a
//! memory is used up: with it, a replica whose disk was emptied would vote anew.
//! After a failure nothing leaves at all.

use std::collections::{BTreeMap, VecDeque};

use bezant_bft::{
    effects::{Durability, PersistId, Record, To},
    ids::ReplicaId,
    message::PeerMessage,
};

use crate::{action::Action, event::LinkId};

/// Most bytes of messages for one party that wait for storage. One that asks again and again while
/// the disk stands still must neither fill the memory nor take the others' place; whoever misses
/// a message asks for it once more.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of messages to all replicas that wait for storage: what this replica says by itself.
const MAX_WAITING_BROADCAST_BYTES: usize = 64 * 1024 * 1024;

/// Most bytes of answers to clients that wait for storage, for all links together.
const MAX_WAITING_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What a message takes beside its content while it waits, in bytes: no less than it does.
const ENVELOPE_BYTES: usize = 256;

/// Whom messages wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Receiver {
    Peers(To),
    Client(LinkId),
}

/// A message on its way out: for whom, and what it takes.
struct Outgoing {
    receiver: Receiver,
    bytes: usize,
}

fn outgoing(action: &Action) -> Option<Outgoing> {
    let (receiver, bytes) = match action {
        Action::SendPeers { to, message } => (Receiver::Peers(*to), message.cost_bytes()),
        Action::SendClient { link, message } => (Receiver::Client(*link), message.cost_bytes()),
        _ => return None,
    };
    let bytes = ENVELOPE_BYTES + bytes;
    Some(Outgoing { receiver, bytes })
}

/// The leave to vote without a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstStart {
    /// There is none, or it is used up.
    Used,
    /// It stands until something is durable.
    Granted,
    /// Storage was told to use it up.
    Ending,
}

/// Holds actions back until what they rest on is durable.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Which replica this is: what others voted binds it to nothing.
    me: ReplicaId,
    durability: Durability,
    first_start: FirstStart,
    appended: PersistId,
    durable: PersistId,
    /// In order: no one waits for an earlier record than one before it.
    waiting: VecDeque<(PersistId, Action)>,
    waiting_bytes: BTreeMap<Receiver, usize>,
    waiting_answer_bytes: usize,
}

impl Gate {
    pub(crate) const fn new(me: ReplicaId, durability: Durability, first_start: bool) -> Self {
        Self {
            me,
            durability,
            first_start: if first_start {
                FirstStart::Granted
            } else {
                FirstStart::Used
            },
            appended: PersistId(0),
            durable: PersistId(0),
            waiting: VecDeque::new(),
            waiting_bytes: BTreeMap::new(),
            waiting_answer_bytes: 0,
        }
    }

    /// The last record handed to storage: what tells of this replica's state waits for it.
    pub(crate) const fn appended(&self) -> PersistId {
        self.appended
    }

    /// Actions held back.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Hands a record to storage.
    pub(crate) fn append(&mut self, id: PersistId, record: Record, actions: &mut Vec<Action>) {
        self.appended = id;
        actions.push(Action::Append { id, record });
    }

    /// Has everything handed over made durable.
    pub(crate) fn sync(&mut self, actions: &mut Vec<Action>) {
        match self.durability {
            Durability::Immediate => self.durable(self.appended, actions),
            Durability::Reported => actions.push(Action::Sync(self.appended)),
        }
    }

    /// Lets `action` through once `after` is durable.
    pub(crate) fn pass(&mut self, after: PersistId, action: Action, actions: &mut Vec<Action>) {
        if self.is_open(after, &action) {
            actions.push(action);
        } else {
            if after <= self.durable {
                self.end_first_start(actions);
            }
            self.wait(after, action);
        }
    }

    /// Holds `action` back, if there is room for it.
    fn wait(&mut self, after: PersistId, action: Action) {
        if let Some(Outgoing { receiver, bytes }) = outgoing(&action) {
            let is_answer = matches!(receiver, Receiver::Client(_));
            let answers = self.waiting_answer_bytes + if is_answer { bytes } else { 0 };
            let most = match receiver {
                Receiver::Peers(To::Others) => MAX_WAITING_BROADCAST_BYTES,
                _ => MAX_WAITING_BYTES,
            };
            let waiting = self.waiting_bytes.get(&receiver).copied();
            let waiting = waiting.unwrap_or_default() + bytes;
            if waiting > most || answers > MAX_WAITING_ANSWER_BYTES {
                return;
            }
            self.waiting_bytes.insert(receiver, waiting);
            self.waiting_answer_bytes = answers;
        }
        self.waiting.push_back((after, action));
    }

    /// Makes the room free that `action` took while it waited.
    fn free(&mut self, action: &Action) {
        let Some(Outgoing { receiver, bytes }) = outgoing(action) else {
            return;
        };
        if matches!(receiver, Receiver::Client(_)) {
            self.waiting_answer_bytes -= bytes;
        }
        if let Some(waiting) = self.waiting_bytes.get_mut(&receiver) {
            *waiting -= bytes;
            if *waiting == 0 {
                self.waiting_bytes.remove(&receiver);
            }
        }
    }

    fn is_open(&self, after: PersistId, action: &Action) -> bool {
        let binds = after > PersistId(0) || is_vote_of(self.me, action);
        let may_vote = self.first_start == FirstStart::Used || !binds;
        may_vote && after <= self.durable
    }

    fn end_first_start(&mut self, actions: &mut Vec<Action>) {
        if self.first_start == FirstStart::Granted {
            self.first_start = FirstStart::Ending;
            actions.push(Action::UseFirstStart);
        }
    }

    /// All records up to `id` are durable.
    pub(crate) fn durable(&mut self, id: PersistId, actions: &mut Vec<Action>) {
        self.durable = self.durable.max(id);
        self.end_first_start(actions);
        self.release(actions);
    }

    /// The leave to vote without a memory is used up.
    pub(crate) fn first_start_used(&mut self, actions: &mut Vec<Action>) {
        self.first_start = FirstStart::Used;
        self.release(actions);
    }

    fn release(&mut self, actions: &mut Vec<Action>) {
        while let Some((after, action)) = self.waiting.front()
            && self.is_open(*after, action)
        {
            if let Some((_, action)) = self.waiting.pop_front() {
                self.free(&action);
                actions.push(action);
            }
        }
    }

    /// Storage failed, or the replica ends: what waits never leaves.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
        self.waiting_bytes.clear();
        self.waiting_answer_bytes = 0;
    }
}

/// Whether this is a vote, which binds this replica although no record of it may be needed: a
/// vote on a checkpoint that came from peers rests on their word alone.
fn is_vote_of(me: ReplicaId, action: &Action) -> bool {
    let Action::SendPeers { message, .. } = action else {
        return false;
    };
    let by = match message {
        PeerMessage::PrePrepare(message) => message.vote.body.replica,
        PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => vote.body.replica,
        PeerMessage::Checkpoint(vote) => vote.body.replica,
        PeerMessage::ViewChange(message) => message.body.replica,
        PeerMessage::NewView(message) => message.body.replica,
        _ => return false,
    };
    by == me
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]
mod tests {
    use bezant_bft::{
        crypto::{Domain, SigningKey},
        ids::{
            ClusterId, Digest, Epoch, Incarnation, IncarnationNonce, OrderedTime, RequestNumber,
            SeqNo, SessionId, View,
        },
        message::{Content, Proposal, ReplicaMessage, Reply, Request, Signed, Status, Vote},
    };
    use bytes::Bytes;

    use super::*;
    use crate::event::LinkId;

    const ME: ReplicaId = ReplicaId(0);

    fn sent(message: PeerMessage) -> Action {
        Action::SendPeers {
            to: To::Others,
            message,
        }
    }

    fn vote() -> Action {
        vote_of(ME)
    }

    fn vote_of(replica: ReplicaId) -> Action {
        let body = Vote {
            epoch: Epoch(0),
            replica,
            incarnation: Incarnation(0),
            view: View(0),
            seq_no: SeqNo(1),
            digest: Digest([0; 32]),
        };
        let key = SigningKey::from_seed([1; 32]);
        let cluster = ClusterId([0; 32]);
        sent(PeerMessage::Prepare(Signed::new(
            body,
            Domain::Prepare,
            &cluster,
            &key,
        )))
    }

    fn status() -> Action {
        sent(PeerMessage::Status(Status {
            epoch: Epoch(0),
            view: View(0),
            active: true,
            executed: SeqNo(0),
            wants: false,
        }))
    }

    fn record(gate: &mut Gate, id: u64, actions: &mut Vec<Action>) {
        let nonce = Record::IncarnationNonce(IncarnationNonce([0; 32]));
        gate.append(PersistId(id), nonce, actions);
        gate.sync(actions);
        actions.clear();
    }

    fn sends(actions: &[Action]) -> usize {
        let sends = |action: &&Action| matches!(action, Action::SendPeers { .. });
        actions.iter().filter(sends).count()
    }

    #[test]
    fn what_waits_leaves_in_order_when_its_record_is_durable() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, false), Vec::new());
        for id in 1..=3 {
            record(&mut gate, id, &mut out);
            gate.pass(PersistId(id), vote(), &mut out);
        }
        gate.pass(PersistId(0), status(), &mut out);
        assert_eq!((sends(&out), gate.waiting()), (1, 3));
        gate.durable(PersistId(2), &mut out);
        assert_eq!((sends(&out), gate.waiting()), (3, 1));
        gate.durable(PersistId(1), &mut out);
        assert_eq!(gate.waiting(), 1, "durability never goes back");
        gate.close();
        gate.durable(PersistId(3), &mut out);
        assert_eq!(sends(&out), 3, "nothing leaves after the end");
    }

    #[test]
    fn no_vote_leaves_before_the_leave_of_a_first_start_is_used_up() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, true), Vec::new());
        gate.pass(PersistId(0), status(), &mut out);
        assert_eq!(sends(&out), 1, "what binds nobody need not wait");
        record(&mut gate, 1, &mut out);
        gate.pass(PersistId(1), vote(), &mut out);
        gate.durable(PersistId(1), &mut out);
        assert!(matches!(out[..], [Action::UseFirstStart]), "{out:?}");
        gate.durable(PersistId(1), &mut out);
        assert_eq!(out.len(), 1, "once");
        gate.first_start_used(&mut out);
        assert_eq!(sends(&out), 1);
    }

    /// A vote on a checkpoint that came from peers may be the first thing a replica ever says.
    #[test]
    fn a_vote_without_a_record_uses_the_leave_up_too() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, true), Vec::new());
        gate.pass(PersistId(0), vote(), &mut out);
        assert!(matches!(out[..], [Action::UseFirstStart]), "{out:?}");
        gate.first_start_used(&mut out);
        assert_eq!(sends(&out), 1);
    }

    /// A replica that found a proposal's time off votes for nothing, and passes it on to who asks.
    #[test]
    fn what_others_voted_uses_no_leave_up() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, true), Vec::new());
        gate.pass(PersistId(0), vote_of(ReplicaId(2)), &mut out);
        assert!(matches!(out[..], [Action::SendPeers { .. }]), "{out:?}");
    }

    fn answer(link: u64) -> Action {
        Action::SendClient {
            link: LinkId(link),
            message: ReplicaMessage::Reply {
                view: View(0),
                reply: Reply {
                    session: SessionId(1),
                    number: RequestNumber(1),
                    seq_no: SeqNo(1),
                    result: Bytes::from(vec![0; 1024 * 1024]),
                },
            },
        }
    }

    fn content(to: To) -> Action {
        let key = SigningKey::from_seed([1; 32]);
        let request = Request {
            client: key.client(),
            session: SessionId(1),
            number: RequestNumber(1),
            acked: Vec::new(),
            op: Bytes::from(vec![0; 1024 * 1024]),
        };
        let request = request.sign(&ClusterId([0; 32]), &key);
        let message = PeerMessage::Content(Content {
            seq_no: SeqNo(1),
            proposal: Proposal {
                time: OrderedTime(1),
                requests: vec![request],
                rejoins: Vec::new(),
            },
        });
        Action::SendPeers { to, message }
    }

    /// A disk that stands still while clients ask again and again and peers talk on.
    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, false), Vec::new());
        record(&mut gate, 1, &mut out);
        for link in 0..200 {
            gate.pass(PersistId(1), answer(link), &mut out);
        }
        assert_eq!(gate.waiting(), 63);
        let content = content(To::Others);
        for _ in 0..200 {
            let Action::SendPeers { to, message } = &content else {
                panic!("a message")
            };
            let (to, message) = (*to, message.clone());
            gate.pass(PersistId(1), Action::SendPeers { to, message }, &mut out);
        }
        assert_eq!(gate.waiting(), 63 + 63);
        gate.durable(PersistId(1), &mut out);
        assert_eq!(out.len(), 63 + 63);
        assert_eq!(
            (gate.waiting_answer_bytes, gate.waiting_bytes.len()),
            (0, 0)
        );
    }

    /// One client and one peer that ask without end take nobody's place.
    #[test]
    fn what_waits_for_one_leaves_room_for_the_others() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Reported, false), Vec::new());
        record(&mut gate, 1, &mut out);
        for _ in 0..70 {
            gate.pass(PersistId(1), answer(1), &mut out);
            gate.pass(PersistId(1), content(To::Replica(ReplicaId(3))), &mut out);
        }
        assert_eq!(gate.waiting(), 7 + 7);
        gate.pass(PersistId(1), answer(2), &mut out);
        gate.pass(PersistId(1), content(To::Replica(ReplicaId(2))), &mut out);
        gate.pass(PersistId(1), vote(), &mut out);
        assert_eq!(gate.waiting(), 7 + 7 + 3);
    }

    /// In memory nothing waits, but for the leave of a first start.
    #[test]
    fn in_memory_a_record_is_durable_at_once() {
        let (mut gate, mut out) = (Gate::new(ME, Durability::Immediate, false), Vec::new());
        record(&mut gate, 1, &mut out);
        gate.pass(PersistId(1), vote(), &mut out);
        assert_eq!(sends(&out), 1);
    }
}
