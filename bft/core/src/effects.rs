//! The input and the effects of a step: two closed enums.
//!
//! The state machine asks its driver to do things by returning [`Effect`]s and
//! never does them itself. That a vote must be durable before it is sent is a
//! field of the effect, not a comment (openraft's commands with conditions).

use std::sync::Arc;

use crate::{
    ids::{
        ClientId, Digest, IncarnationNonce, OrderedTime, ReplicaId, RequestNumber, SeqNo,
        SessionId, View,
    },
    invariants::Violation,
    message::{
        AskProposals, AskState, CheckpointVote, NewView, PeerMessage, Rejoin, Share, Signed,
        StatePart, Status, ViewChange, Vote,
    },
    misbehaviour::Misbehaviour,
    rejoin::IncarnationTable,
    state::State,
    verification::verified::{
        CheckedDecision, CheckedNewView, CheckedPrePrepare, CheckedProposal, CheckedRequest,
        CheckedViewChange, LinkAuthenticated, Verified,
    },
};

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// A client's request, from the client or forwarded by `from`.
    Request {
        /// The request.
        request: Verified<Arc<CheckedRequest>>,
        /// The replica that forwarded it, if one did.
        from: Option<ReplicaId>,
    },
    /// A proposal.
    PrePrepare {
        /// The primary's vote, and what it is for.
        message: Verified<CheckedPrePrepare>,
        /// The replica over whose link it came: the primary, or one that passes it on.
        from: ReplicaId,
    },
    /// A second-phase vote.
    Prepare(Verified<Signed<Vote>>),
    /// A third-phase vote, on its link's word.
    Commit(LinkAuthenticated<Signed<Vote>>),
    /// The outcome of [`Effect::CheckCommits`].
    CommitsChecked {
        /// Votes whose signature holds.
        good: Vec<Verified<Signed<Vote>>>,
        /// Votes whose signature does not.
        bad: Vec<Vote>,
    },
    /// A claim about the state.
    Checkpoint(Verified<Signed<CheckpointVote>>),
    /// Progress of a peer.
    Status(LinkAuthenticated<Status>),
    /// A replica left its view.
    ViewChange(Verified<Arc<CheckedViewChange>>),
    /// A primary opens its view.
    NewView(Verified<Arc<CheckedNewView>>),
    /// A number that a peer knows to be decided.
    Decided {
        /// What was decided, and the proof if there is one.
        decision: Verified<CheckedDecision>,
        /// The peer.
        from: ReplicaId,
    },
    /// A peer lacks proposals.
    AskProposals(LinkAuthenticated<AskProposals>),
    /// A proposal that was asked for.
    Content(Verified<Arc<CheckedProposal>>),
    /// A peer lacks a state.
    AskState(LinkAuthenticated<AskState>),
    /// A part of a state that was asked for.
    State(LinkAuthenticated<StatePart>),
    /// Proof that a checkpoint is stable: a strong quorum of equal votes.
    Stable(Verified<Vec<Signed<CheckpointVote>>>),
    /// The state handed over by [`Effect::Install`] is in place.
    Installed {
        /// Its number.
        seq_no: SeqNo,
        /// Agreed time in it.
        time: OrderedTime,
        /// [`crate::service::Service::due`] of it.
        due: Option<OrderedTime>,
    },
    /// A replica begins a new incarnation.
    Rejoin(Verified<Signed<Rejoin>>),
    /// A link to a replica came up.
    LinkUp(ReplicaId),
    /// The service executed everything up to this number.
    Executed {
        /// The number.
        seq_no: SeqNo,
        /// Agreed time now.
        time: OrderedTime,
        /// [`crate::service::Service::due`] now.
        due: Option<OrderedTime>,
    },
    /// The state at a checkpoint is durable. Only then does this replica vote on it, and
    /// only then can the checkpoint become stable here: what others may drop their log for
    /// must not vanish with a crash of those who voted.
    CheckpointSaved {
        /// The checkpoint: a multiple of the checkpoint interval that was executed.
        seq_no: SeqNo,
        /// The digest of incarnations and service there.
        state: Digest,
    },
    /// All records up to this one are durable (see [`Durability`]).
    Durable(PersistId),
    /// The answer to [`Effect::CheckAdmission`].
    AdmissionChecked {
        /// Those that will never be executed any more.
        refused: Vec<Digest>,
    },
    /// Time passed; see [`crate::replica::Replica::next_timeout`].
    Tick,
}

/// How a replica learns that its records are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A record counts as durable when it is handed over: nothing of this replica survives
    /// its process, and after a restart it votes only under a new incarnation.
    Immediate,
    /// The driver reports it with [`Input::Durable`]. A vote of this replica counts for its
    /// own quorums from then on.
    Reported,
}

/// Names a [`Effect::Persist`]; they are made durable in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersistId(pub u64);

/// What must survive a crash.
#[derive(Clone, Debug)]
pub enum Record {
    /// A pre-prepare accepted or made, with the vote cast for it.
    PrePrepare(CheckedPrePrepare),
    /// A prepare sent.
    Prepare(Signed<Vote>),
    /// A commit sent, with the prepared certificate that allowed it.
    Commit {
        /// The vote.
        vote: Signed<Vote>,
        /// The prepares behind it.
        prepares: Vec<Signed<Vote>>,
    },
    /// A checkpoint that became stable, with the votes that made it so.
    Stable(Vec<Signed<CheckpointVote>>),
    /// This replica left for a view: it votes in no lower one any more.
    ViewChange(Signed<ViewChange>),
    /// It entered a view.
    NewView(Signed<NewView>),
    /// The view changes that the new view before it names, if they are not too long: what leads
    /// others into the view after a restart.
    NamedViewChanges(Vec<Signed<ViewChange>>),
    /// This replica began without a memory: the nonce of its incarnation since.
    IncarnationNonce(IncarnationNonce),
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// One replica.
    Replica(ReplicaId),
    /// All replicas but this one.
    Others,
}

/// Something the driver must do, in the order of the list.
#[derive(Debug)]
pub enum Effect {
    /// Make `record` durable.
    Persist {
        /// Its name.
        id: PersistId,
        /// The record.
        record: Record,
    },
    /// Send a message, once the record named is durable.
    Send {
        /// To whom.
        to: To,
        /// What.
        message: PeerMessage,
        /// What must be durable first.
        after: Option<PersistId>,
    },
    /// Apply a decided proposal to the service and answer with [`Input::Executed`], and at a
    /// checkpoint's number with [`Input::CheckpointSaved`] when its state is durable.
    /// These come in order of numbers, each once. What the service answers leaves when all
    /// records handed over before are durable.
    Execute {
        /// The number.
        seq_no: SeqNo,
        /// The proposal.
        proposal: Arc<CheckedProposal>,
        /// At a checkpoint's number, what stands in front of the service's state
        /// ([`crate::rejoin::join_state`]).
        incarnations: Option<IncarnationTable>,
    },
    /// Tell a client over the links that carry its replies that its request was not taken in.
    Busy {
        /// Whose request.
        client: ClientId,
        /// The session.
        session: SessionId,
        /// The request.
        number: RequestNumber,
        /// What is used up.
        share: Share,
    },
    /// Ask the service again about these requests, which wait for so long that the primary is
    /// about to be suspected, and answer with [`Input::AdmissionChecked`] in the same turn:
    /// what was executed or decided since may have made an end of them.
    CheckAdmission(Vec<Arc<CheckedRequest>>),
    /// Check these signatures when convenient and answer with [`Input::CommitsChecked`]
    /// (see [`crate::verification::check_commits`]).
    CheckCommits(Vec<Signed<Vote>>),
    /// Records of numbers up to this one are no longer needed, but for the newest
    /// [`Record::ViewChange`], [`Record::NewView`] and [`Record::NamedViewChanges`], once all records handed over before
    /// are durable: one of them says what takes their place.
    Truncate(SeqNo),
    /// A checkpoint is stable: the states at lower ones are no longer needed, but for some.
    Stable {
        /// The checkpoint.
        seq_no: SeqNo,
        /// Those that peers are fetching part by part.
        serving: Vec<SeqNo>,
    },
    /// Send `to` a part of the state at a checkpoint, if it is still kept
    /// ([`PeerMessage::State`]).
    SendState {
        /// Who asks.
        to: ReplicaId,
        /// The checkpoint.
        seq_no: SeqNo,
        /// The first byte.
        offset: u64,
        /// Most bytes of it, at most [`crate::limits::STATE_PART_BYTES`].
        most_bytes: usize,
    },
    /// Replace the service's state by the one in this certified state
    /// ([`crate::rejoin::split_state`]), make the whole durable as the checkpoint's, and then
    /// answer with [`Input::Installed`].
    Install {
        /// The checkpoint.
        seq_no: SeqNo,
        /// The state.
        state: State,
    },
    /// This replica entered a view.
    ViewChanged {
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// A known request was not ordered in time: the primary of this view is suspected.
    Suspect(View),
    /// Somebody misbehaved.
    Blame(Misbehaviour),
    /// This replica must stop: its own state cannot be trusted.
    Halt(Violation),
}

/// The list a step fills.
pub type Effects = Vec<Effect>;
