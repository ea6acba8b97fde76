//! Fills the memory of another with what needs no proof: claims, and messages of views to come.

use bezant_bft::{
    crypto::Domain,
    ids::{Epoch, Incarnation, OrderedTime, ReplicaId, RequestNumber, SeqNo, SessionId, View},
    limits,
    message::{Decided, PeerMessage, PrePrepare, Proposal, Request, SignedRequest, Vote},
};
use bytes::Bytes;

use super::{Instead, Means, Strategy, means::digest_of};

/// Large messages of each kind in a run: more than may be kept, and no more than it takes.
const LARGE: u64 = 7;

/// Votes of a view to come: more than may be kept.
const VOTES: u64 = 300;

/// Says as much of what is kept as may be said, to one replica.
#[derive(Debug, Default)]
pub(super) struct Stuffing {
    victim: Option<ReplicaId>,
    /// Requests that fill a proposal, of its own key as a client's: their signatures hold.
    requests: Vec<SignedRequest>,
    last: SeqNo,
    view: View,
    said: u64,
    hits: u64,
}

impl Stuffing {
    fn proposal(&mut self, means: &Means<'_>, tag: u64) -> Proposal {
        if self.requests.is_empty() {
            let request = |number| Request {
                client: means.key.client(),
                session: SessionId::NONE,
                number: RequestNumber(number),
                acked: Vec::new(),
                op: Bytes::from(vec![0; limits::MAX_OP_BYTES - 1024]),
            };
            let requests = (1..=4).map(|number| request(number).sign(means.cluster, means.key));
            self.requests = requests.collect();
        }
        Proposal {
            time: OrderedTime(tag),
            requests: self.requests.clone(),
            rejoins: Vec::new(),
        }
    }

    /// The next view that it leads.
    fn own_view(&self, means: &Means<'_>) -> View {
        let mut view = self.view.next();
        while means.quorum.primary(view) != means.me {
            view = view.next();
        }
        view
    }

    fn stuff(&mut self, means: &Means<'_>, out: &mut Instead) {
        let seq_no = SeqNo(self.last.0 + 2 + self.said);
        let view = self.own_view(means);
        let proposal = self.proposal(means, self.said);
        let vote = |domain, seq_no, digest| {
            let vote = Vote {
                epoch: Epoch(0),
                replica: means.me,
                incarnation: Incarnation::default(),
                view,
                seq_no,
                digest,
            };
            means.vote(vote, domain)
        };
        let digest = digest_of(&proposal);
        out.say(&PeerMessage::Decided(Decided {
            seq_no,
            proposal: proposal.clone(),
            commits: Vec::new(),
        }));
        out.say(&PeerMessage::PrePrepare(PrePrepare {
            vote: vote(Domain::PrePrepare, seq_no, digest),
            proposal,
        }));
        if self.said + 1 == LARGE {
            for ahead in 0..VOTES {
                let vote = vote(Domain::Commit, SeqNo(self.last.0 + ahead), digest);
                out.say(&PeerMessage::Commit(vote));
            }
        }
        self.said += 1;
        self.hits += 1;
    }
}

impl Strategy for Stuffing {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        to: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        let PeerMessage::Commit(vote) = message else {
            return;
        };
        self.last = self.last.max(vote.body.seq_no);
        self.view = self.view.max(vote.body.view);
        if self.said < LARGE && *self.victim.get_or_insert(to) == to {
            self.stuff(means, out);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
