//! The agreed log as the correct replicas decided it, replayed through the model.

use std::sync::Arc;

use bezant_bft::{
    ids::{ClientId, SeqNo},
    message::Reply,
    service::Replies,
    verification::CheckedProposal,
};

use bezant_model::Wait;

use crate::model::Service;

/// What the model says of one number.
#[derive(Debug)]
pub struct Expected {
    /// The answers.
    pub replies: Replies,
    /// Tuples in all spaces then.
    pub tuples: usize,
    /// Operations waiting then, in order of arrival.
    pub waits: Arc<Vec<Wait>>,
    /// Open sessions then.
    pub sessions: usize,
}

/// The log so far.
#[derive(Debug)]
pub struct Oracle {
    service: Service,
    expected: Vec<Expected>,
    requests: u64,
}

impl Oracle {
    /// An empty log.
    #[must_use]
    pub fn new(makes_spaces: bool) -> Self {
        Self {
            service: Service::new(makes_spaces),
            expected: Vec::new(),
            requests: 0,
        }
    }

    /// The model's state after the whole log.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// The last number decided without a gap below it.
    #[must_use]
    pub fn progress(&self) -> SeqNo {
        SeqNo(self.expected.len() as u64)
    }

    /// Requests in the log.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// What the model says of a number.
    #[must_use]
    pub fn at(&self, seq_no: SeqNo) -> Option<&Expected> {
        let index = usize::try_from(seq_no.0.checked_sub(1)?).ok()?;
        self.expected.get(index)
    }

    /// What the model says of every number so far, in order.
    pub fn log(&self) -> impl Iterator<Item = (SeqNo, &Expected)> {
        (1..).map(SeqNo).zip(&self.expected)
    }

    /// Whose result this reply is: nobody's, if it is none, and perhaps several clients', if
    /// they are told the same.
    pub(crate) fn owners_of(&self, reply: &Reply) -> impl Iterator<Item = ClientId> {
        let replies = self.at(reply.seq_no).map(|expected| &expected.replies);
        let results = replies.into_iter().flatten();
        let same = results.filter(move |(_, result)| result == reply);
        same.map(|(owner, _)| *owner)
    }

    /// The first correct replica executes the next number.
    pub(crate) fn learn(&mut self, seq_no: SeqNo, proposal: &CheckedProposal) {
        if seq_no != self.progress().next() {
            return;
        }
        let requests = proposal.requests().iter().map(|checked| checked.request());
        let is_null = proposal.digest() == CheckedProposal::null().digest();
        let time = (!is_null).then_some(proposal.time().0);
        let replies = self.service.execute(seq_no, time, requests);
        self.requests += proposal.requests().len() as u64;
        self.expected.push(Expected {
            replies,
            tuples: self.service.spaces().tuples(),
            waits: Arc::clone(self.service.spaces().waits()),
            sessions: self.service.sessions(),
        });
    }
}
