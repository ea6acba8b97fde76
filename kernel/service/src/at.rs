//! The circumstances of the request being executed: what whoever carries it out must know of
//! it, and nothing that could change meanwhile.

use bezant_bft::ids::{ClientId, OrderedTime, RequestNumber, SeqNo, SessionId};
use bezant_extensions::Schedule;
use bezant_tuplespace::{Actor, WaiterId};

/// The circumstances of the request being executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Its proposal's number.
    pub(crate) seq_no: SeqNo,
    /// The agreed time.
    pub(crate) time: OrderedTime,
    /// Who asks.
    pub(crate) client: ClientId,
    /// In which session.
    pub(crate) session: SessionId,
    /// Under which number there.
    pub(crate) number: RequestNumber,
}

impl At {
    /// The client acts for itself: in its session, at its expense, with its eyes.
    pub(crate) const fn actor(&self) -> Actor<'_> {
        Actor::client(self.session.0, &self.client.0)
    }

    /// What is asked for now comes into force from proposal `from` on.
    pub(crate) const fn from(&self, from: u64) -> Schedule {
        Schedule {
            from,
            now: self.seq_no.0,
        }
    }

    /// Under which id the request waits, if it does.
    pub(crate) const fn waiter(&self) -> WaiterId {
        WaiterId {
            owner: self.session.0,
            number: self.number.0,
        }
    }
}
