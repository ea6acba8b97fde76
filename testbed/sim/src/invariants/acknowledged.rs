//! A client acknowledges with each new request what it was answered before: replicas keep a result
//! until then, and no more than a window of them (docs/decisions/008-acknowledgements.md).

use std::collections::{BTreeMap, BTreeSet};

use bezant_bft::ids::{RequestNumber, SessionId};
use bezant_session::limits::MAX_INVESTIGATIONS;

use super::{Common, Fact, Invariant};

/// What a session was answered and did not acknowledge.
#[derive(Debug, Default)]
struct Results {
    /// The highest number asked.
    last: RequestNumber,
    pending: BTreeSet<RequestNumber>,
}

/// What all sessions of the simulator's own clients have still to acknowledge.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    sessions: BTreeMap<SessionId, Results>,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "results-are-acknowledged"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        match fact {
            Fact::Accepted { reply } if reply.session != SessionId::NONE => {
                let results = self.sessions.entry(reply.session).or_default();
                results.pending.insert(reply.number);
            }
            Fact::Asked { request } if request.session != SessionId::NONE => {
                let results = self.sessions.entry(request.session).or_default();
                if request.number <= results.last {
                    // The same again.
                    return Ok(());
                }
                results.last = request.number;
                for number in &request.acked {
                    results.pending.remove(number);
                }
                // What is being looked into stays with the replicas for a while.
                if results.pending.len() > MAX_INVESTIGATIONS {
                    return Err(format!(
                        "session {} sends request {} and never acknowledged {:?}",
                        request.session, request.number, results.pending
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
