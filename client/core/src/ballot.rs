//! A ballot: the replicas' answers to one request, and whether f+1 agree.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    message::Reply,
    quorum::Quorum,
};

/// A reply that f+1 replicas gave alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The reply.
    pub reply: Reply,
    /// How many replicas had said so when it was accepted.
    pub votes: usize,
    /// Replicas that had said otherwise by then.
    pub dissent: Vec<ReplicaId>,
}

/// Answers to one request, by replica; the latest of each counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ballot {
    replies: BTreeMap<ReplicaId, Reply>,
}

impl Ballot {
    /// Counts an answer; a later one takes the place of an earlier one of the same replica.
    pub(crate) fn add(&mut self, from: ReplicaId, reply: Reply) {
        self.replies.insert(from, reply);
    }

    /// Replicas that answered.
    pub(crate) fn answered(&self) -> usize {
        self.replies.len()
    }

    /// The largest number of equal answers.
    pub(crate) fn most_alike(&self) -> usize {
        self.replies
            .values()
            .map(|reply| self.count(reply))
            .max()
            .unwrap_or(0)
    }

    fn count(&self, reply: &Reply) -> usize {
        self.replies
            .values()
            .filter(|other| *other == reply)
            .count()
    }

    /// The reply that f+1 replicas gave, once there is one: at least one of them is correct.
    ///
    /// What a replica says outside the log, at sequence number 0, is what it knows so far, and a
    /// correct one may lag. So 2f+1 have to say so: whatever at least as many had executed, one
    /// of these knew of and was honest about. What was decided a moment ago may be missing.
    pub(crate) fn accepted(&self, quorum: Quorum) -> Option<Accepted> {
        let enough = |reply: &Reply| match reply.seq_no {
            SeqNo(0) => quorum.strong(),
            _ => quorum.weak(),
        };
        let reply = self
            .replies
            .values()
            .find(|reply| self.count(reply) >= enough(reply))?;
        Some(Accepted {
            reply: reply.clone(),
            votes: self.count(reply),
            dissent: self.dissent(reply),
        })
    }

    /// Who answered otherwise.
    pub(crate) fn dissent(&self, accepted: &Reply) -> Vec<ReplicaId> {
        self.replies
            .iter()
            .filter(|(_, reply)| *reply != accepted)
            .map(|(replica, _)| *replica)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::ids::{RequestNumber, SeqNo, SessionId};
    use bytes::Bytes;

    fn reply(seq_no: u64, result: &'static str) -> Reply {
        Reply {
            session: SessionId(1),
            number: RequestNumber(1),
            seq_no: SeqNo(seq_no),
            result: Bytes::from_static(result.as_bytes()),
        }
    }

    /// Every assignment of three answers and silence to four replicas: a value is accepted
    /// exactly if two gave it, whatever the others say.
    #[test]
    fn nothing_is_accepted_below_f_plus_one_by_enumeration() {
        let quorum = Quorum::new(4).unwrap();
        for code in 0..4_u32.pow(4) {
            let mut ballot = Ballot::default();
            let mut counts = [0; 3];
            for replica in 0..4_u8 {
                let choice = (code / 4_u32.pow(u32::from(replica)) % 4) as usize;
                if choice < 3 {
                    counts[choice] += 1;
                    ballot.add(ReplicaId(replica), reply(5, ["a", "b", "c"][choice]));
                }
            }
            let best = counts.iter().max().unwrap();
            assert_eq!(ballot.most_alike(), *best);
            match ballot.accepted(quorum) {
                Some(accepted) => assert!(accepted.votes >= 2 && *best >= 2),
                None => assert!(*best < 2),
            }
        }
    }

    #[test]
    fn one_replica_cannot_vote_twice() {
        let mut ballot = Ballot::default();
        ballot.add(ReplicaId(1), reply(5, "lie"));
        ballot.add(ReplicaId(1), reply(5, "lie"));
        assert_eq!(ballot.accepted(Quorum::new(4).unwrap()), None);
    }

    /// f liars and one that lags are not enough outside of the log.
    #[test]
    fn outside_the_log_a_strong_quorum_has_to_say_so() {
        let mut ballot = Ballot::default();
        let quorum = Quorum::new(4).unwrap();
        for replica in 1..=2 {
            ballot.add(ReplicaId(replica), reply(0, "stranger"));
            assert_eq!(ballot.accepted(quorum), None);
        }
        ballot.add(ReplicaId(3), reply(0, "stranger"));
        assert_eq!(ballot.accepted(quorum).unwrap().votes, 3);
    }

    #[test]
    fn the_sequence_number_is_part_of_the_answer() {
        let mut ballot = Ballot::default();
        ballot.add(ReplicaId(1), reply(5, "same"));
        ballot.add(ReplicaId(2), reply(6, "same"));
        assert_eq!(ballot.accepted(Quorum::new(4).unwrap()), None);
    }
}
