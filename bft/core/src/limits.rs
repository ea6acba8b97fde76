//! Every bound of the ordering layer, and the relations between them.
//!
//! A map keyed by something a peer or client chooses is bounded by one of
//! these. The relations at the end are checked when the crate is compiled.

/// Largest cluster: identifiers are one byte and tests enumerate up to here.
pub const MAX_REPLICAS: usize = 64;

/// Largest encoded operation inside a request, in bytes. The service's own bound on a
/// call must not exceed it (checked where both are known, in bezant-kernel).
pub const MAX_OP_BYTES: usize = 256 * 1024;

/// Most requests one proposal may hold.
pub const MAX_REQUESTS_PER_PROPOSAL: usize = 256;

/// Most lives one proposal may begin; each is some 200 bytes.
pub const MAX_REJOINS_PER_PROPOSAL: usize = 8;

/// Largest proposal, in bytes as it is charged for, which is never less than its encoding
/// ([`crate::message::Proposal::cost_bytes`]). Judged on receipt, whatever message it comes in.
pub const MAX_PROPOSAL_BYTES: usize = 1024 * 1024;

/// What the proposals that a replica voted for and that are not decided may be charged for, in
/// bytes, before it votes for no fresh one. Carried ones come on top: each of them was voted
/// for by more than f correct replicas as a fresh one, so they are less than twice as much.
pub const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The least that [`MAX_KEPT_BYTES`] may be tuned to: twice the largest proposal with what it is
/// charged for on top.
pub const MIN_KEPT_BYTES: usize = 2 * (MAX_PROPOSAL_BYTES + 4096);

/// Longest record of the view changes that a new view names, in bytes. It is written again with
/// each segment of a journal while the view lasts. A replica that finds more restarts without.
pub const MAX_NAMED_VIEW_CHANGES_BYTES: usize = 8 * 1024 * 1024;
/// What a request is charged for beside its operation and each acknowledgement, and a rejoin
/// in all, in bytes: never less than they take when encoded.
pub(crate) const ENVELOPE_COST_BYTES: usize = 160;

/// What a number acknowledged in a request is charged for, in bytes.
pub(crate) const ACKNOWLEDGEMENT_COST_BYTES: usize = 10;

/// What a proposal without content is charged for, in bytes.
pub(crate) const PROPOSAL_COST_BYTES: usize = 32;

/// Most bytes of requests that a primary puts into a proposal: whatever rejoins it adds, the
/// whole stays within [`MAX_PROPOSAL_BYTES`].
pub(crate) const MAX_PROPOSED_REQUEST_BYTES: usize =
    MAX_PROPOSAL_BYTES - PROPOSAL_COST_BYTES - MAX_REJOINS_PER_PROPOSAL * ENVELOPE_COST_BYTES;

/// Largest encoded message between replicas, in bytes: a view change of the largest cluster
/// with a certificate for every number between the watermarks.
pub const MAX_PEER_MESSAGE_BYTES: usize = 4 * 1024 * 1024 - 4096;

/// Longest encoding of a signed vote, in bytes: five numbers of at most ten bytes, a replica,
/// a digest, a signature.
pub(crate) const MAX_VOTE_BYTES: usize = 5 * 10 + 1 + 32 + 64;

/// Largest encoded message from a client, in bytes: an operation and its envelope.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = MAX_OP_BYTES + 1024;

/// Largest message to a client, in bytes: a link with a client at one end carries none larger.
pub const MAX_REPLICA_MESSAGE_BYTES: usize = 1024 * 1024;

/// Most verified requests waiting to be ordered at one replica.
pub const MAX_POOL_REQUESTS: usize = 16 * 1024;

/// Most bytes of operations waiting to be ordered at one replica.
pub const MAX_POOL_BYTES: usize = 64 * 1024 * 1024;

/// Most bytes of one client's operations waiting to be ordered at one replica.
pub const MAX_POOL_BYTES_PER_CLIENT: usize = 4 * 1024 * 1024;

/// Most requests of one client waiting to be ordered at one replica: its fair share.
pub const MAX_POOL_REQUESTS_PER_CLIENT: usize = 256;

/// One client may have no more in the pool than this part of what is left of it. When k clients
/// take all they can one after the other, (16/17)^k of the pool is left for others: a third of
/// it beside sixteen, a fiftieth beside sixty-four, where requests above 80 KiB are refused.
/// The last places go one to each client.
pub const POOL_LEFT_PER_CLIENT: usize = 16;

/// A replica that is stepped later than it asked for by more, in microseconds, stood still
/// itself: what it did not run is counted against nobody.
pub const LATE_US: u64 = 50_000;

/// How often the requests that wait are reviewed at most, in microseconds.
pub const REVIEW_INTERVAL_US: u64 = 20_000;

/// A request that waited for longer at a backup, in microseconds, before a proposal with room
/// held it was proposed slowly.
pub const SLOW_US: u64 = 200_000;

/// A primary that is slow for so long, in microseconds, is suspected.
pub const SLOW_FOR_US: u64 = 3_000_000;

/// A client of which more requests were proposed while one waited does not say whether its
/// primary is slow.
pub const MAX_PROPOSED_OF_SLOW: u64 = 16;

/// Most clients, and proposals under way, that are noted to judge a primary's pace.
pub const MAX_PACED: usize = 1024;

/// A client of which more requests were proposed while one waited is not starved.
pub const MAX_PROPOSED_OF_STARVED: u64 = 128;

/// Most full proposals that a fair primary makes before it serves a client whose request it
/// has: every other request in its pool may be another client's. A full one holds the most
/// requests a proposal may have, or had no room for one more of the largest.
pub const MAX_FULL_PROPOSALS_A_ROUND: u64 = (MAX_POOL_REQUESTS / MAX_REQUESTS_PER_PROPOSAL
    + MAX_POOL_BYTES / (MAX_PROPOSAL_BYTES - MAX_OP_BYTES - 1024))
    as u64
    + 10;

/// Requests a session may have open above its lowest unfinished one.
pub const SESSION_WINDOW: u64 = 64;

/// Default distance between checkpoints, in sequence numbers (K of PBFT §4.3).
pub const CHECKPOINT_INTERVAL: u64 = 128;

/// Distance between the low and the high watermark (L of PBFT §4.3), in checkpoint intervals.
pub const WATERMARK_INTERVALS: u64 = 4;

/// Largest checkpoint interval a genesis may ask for: a view change must fit a message.
pub const MAX_CHECKPOINT_INTERVAL: u64 = 128;

/// Numbers one answer to a status report may carry.
pub const MAX_RESENT_NUMBERS: u64 = 16;

/// Bytes that one replica may be sent at once because it asked, after a while without asking.
/// Beyond them its questions wait.
pub const ANSWER_BURST_BYTES: usize = 16 << 20;

/// Bytes that one replica may be sent every second because it asks: a quarter of a gigabit link.
pub const ANSWER_BYTES_PER_SECOND: usize = 32 << 20;

/// Most bytes of proposals in one answer to a question for some by digest.
pub const MAX_CONTENT_ANSWER_BYTES: usize = 2 * MAX_PROPOSAL_BYTES;

/// Largest state that is fetched from a peer at first, in bytes; see [`MAX_STATE_BYTES`].
pub const USUAL_STATE_BYTES: u64 = 256 << 20;

/// Largest state that is fetched from a peer, in bytes, when all peers say that theirs is larger
/// than [`USUAL_STATE_BYTES`], after as many rounds as it takes to double that.
pub const MAX_STATE_BYTES: u64 = 4 << 30;

/// Checkpoint votes of one replica that are kept although they lie beyond the window:
/// they tell a replica that fell behind where the others are.
pub const MAX_FAR_VOTES: usize = 4;

/// Proofs of stable checkpoints that a replica has not reached; the highest are kept.
pub const MAX_PROOFS: usize = 12;

/// Largest part of a state in one message, in bytes.
pub const STATE_PART_BYTES: usize = 256 * 1024;

/// Messages of one replica that are held because they belong to a view that this
/// replica has not entered yet.
pub const MAX_EARLY_PER_REPLICA: usize = 256;

/// Most bytes of them. Four of the largest proposals: whoever enters the view asks for the rest.
pub const MAX_EARLY_BYTES_PER_REPLICA: usize = 4 * MAX_PROPOSAL_BYTES;

/// Most bytes of proposals that one replica claims to be decided, without proof. Those for the
/// lowest numbers are kept, since they are needed first.
pub const MAX_CLAIM_BYTES_PER_REPLICA: usize = 4 * MAX_PROPOSAL_BYTES;

/// Most bytes of proposals of the view's primary that are not executed here yet. Beyond them only
/// the next number's is taken in; what was left out is asked for later. An honest primary has
/// some megabytes under way.
pub const MAX_UNDELIVERED_BYTES: usize = 32 * MAX_PROPOSAL_BYTES;

const _: () = assert!(
    2 * MAX_UNDELIVERED_BYTES <= MAX_KEPT_BYTES,
    "what one primary proposes ahead must leave room for a vote on the next number"
);

/// View changes of one replica that are kept beside its highest, because new views name them.
pub const MAX_NAMED_PER_REPLICA: usize = 2;

/// How often the view-change timeout doubles while views fail one after another.
pub const MAX_TIMEOUT_DOUBLINGS: u32 = 6;

/// How often the time between two requests for what lacks doubles while nothing comes:
/// one stray vote for a number far ahead must not keep a cluster talking.
pub const MAX_RESEND_DOUBLINGS: u32 = 4;

/// Empty numbers under way at a time while somebody's new incarnation waits for them. A primary
/// that is as slow as it can be holds back that many at once, not each for itself.
pub const MAX_EMPTY_IN_FLIGHT: u64 = 16;

/// How often the time between two heartbeats of an idle replica doubles.
pub const MAX_HEARTBEAT_DOUBLINGS: u32 = 4;

/// Public keys whose points are kept, so that their signatures are cheaper to check.
pub const MAX_KNOWN_KEYS: usize = 8192;

/// Commit signatures checked together once this many are waiting.
pub const COMMIT_CHECK_BATCH: usize = 64;

/// Commit signatures waiting to be checked; later ones of decided numbers are dropped.
pub const MAX_UNCHECKED_COMMITS: usize = 4096;

/// Longest piece of evidence, in bytes: two of the largest messages contradict each other.
/// A new view of a large cluster with all its view changes may be longer; that is no evidence.
pub const MAX_EVIDENCE_BYTES: usize = 16 * 1024 * 1024;

const _: () = assert!(
    MAX_OP_BYTES + 1024 <= MAX_PROPOSED_REQUEST_BYTES,
    "the largest request must fit a proposal"
);
const _: () = assert!(
    MAX_OP_BYTES + 1024 <= MAX_POOL_BYTES_PER_CLIENT,
    "the largest request must fit its client's share"
);
const _: () = assert!(
    8 * MAX_POOL_BYTES_PER_CLIENT <= MAX_POOL_BYTES,
    "a few clients must not fill the pool"
);
const _: () = assert!(
    MAX_PROPOSAL_BYTES + (MAX_REPLICAS.div_ceil(3) * 2 + 1) * MAX_VOTE_BYTES
        <= MAX_PEER_MESSAGE_BYTES,
    "the largest proposal must fit a message, with the votes that prove its decision"
);
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
const _: () = assert!(
    ((MAX_CHECKPOINT_INTERVAL * WATERMARK_INTERVALS) as usize + 1)
        * MAX_REPLICAS.div_ceil(3)
        * 2
        * MAX_VOTE_BYTES
        + MAX_VOTE_BYTES
        <= MAX_PEER_MESSAGE_BYTES,
    "the largest view change must fit a message"
);
const _: () = assert!(
    2 * MAX_PEER_MESSAGE_BYTES + 4096 <= MAX_EVIDENCE_BYTES,
    "two of the largest messages must fit a piece of evidence"
);
const _: () = assert!(
    32 * MAX_PROPOSAL_BYTES <= MAX_KEPT_BYTES,
    "a few failed views of full proposals must not keep a replica from voting"
);
const _: () = assert!(
    MAX_PEER_MESSAGE_BYTES <= MAX_NAMED_VIEW_CHANGES_BYTES,
    "the largest view change must fit the record of those that a new view names"
);
const _: () = assert!(
    WATERMARK_INTERVALS >= 2,
    "ordering must not wait for a checkpoint"
);
const _: () = assert!(
    MAX_POOL_REQUESTS_PER_CLIENT as u64 >= SESSION_WINDOW,
    "one session must be able to fill its window"
);
const _: () = assert!(MAX_REPLICAS <= u8::MAX as usize, "replica ids are one byte");
