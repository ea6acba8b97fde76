//! Which rules were exercised with effect, and how often: what never came was not tested.
//!
//! Most is read off the agreed log at the end of a run, from what was asked and what the model
//! answered; the rest is seen at correct replicas as it happens.

use std::collections::BTreeMap;

use bezant_api::{AdminCommand, Answer, Call, FailureCode, Refused};
use bezant_bft::{
    effects::Record,
    ids::{RequestNumber, SeqNo, SessionId},
    message::Reply,
    verification::CheckedProposal,
};
use bezant_tuplespace::{Operation, Outcome, Refusal};
use serde::Serialize;

use crate::oracle::Oracle;

/// A batch of so many seeds in which an occasion never came did not test it.
pub const OCCASION_SEEDS: u64 = 300;

/// A rule that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A correct replica entered a view.
    ViewEntered,
    /// A new view that a correct replica entered carries a proposal of an earlier one.
    Carried,
    /// A new view that a correct replica entered fills a gap with the null request.
    GapFilled,
    /// A correct replica took over a state from its peers.
    StateInstalled,
    /// The log gave a replica a new incarnation.
    Rejoined,
    /// A correct replica held its primary guilty of being slow or unfair.
    PrimarySuspected,
    /// A correct replica kept proof of misbehaviour.
    EvidenceKept,
    /// A correct replica said that it has no room for a request.
    BusySaid,
    /// A request was ordered before its turn in its session, and waited for it.
    Parked,
    /// A session used all of its window, and was refused more.
    WindowExceeded,
    /// A session ended because it was silent.
    SessionEnded,
    /// A wait ended with a tuple that came later.
    Delivered,
    /// A wait ended at its time without one.
    WaitOver,
    /// A wait was cancelled.
    WaitCancelled,
    /// A wait ended because its client lost the right to it.
    WaitForbidden,
    /// A watch that waited was told of what happened.
    Watched,
    /// A transaction was carried out.
    Group,
    /// A condition of a transaction did not hold.
    GroupUnmet,
    /// A step of a transaction was refused, and all of it undone.
    GroupRefused,
    /// Somebody was refused for want of a right.
    Forbidden,
    /// A space or a client had no room left in its quota.
    QuotaHit,
    /// A tuple was put that is not for everybody.
    Audience,
    /// A client that came into a group got what it waited for.
    Reconsidered,
    /// A policy said no.
    PolicyRefused,
    /// A policy said no to a step of a transaction.
    PolicyInGroup,
    /// An extension that failed was undone.
    ExtensionFailed,
    /// An extension used up its fuel.
    OutOfFuel,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::ViewEntered,
        Self::Carried,
        Self::GapFilled,
        Self::StateInstalled,
        Self::Rejoined,
        Self::PrimarySuspected,
        Self::EvidenceKept,
        Self::BusySaid,
        Self::Parked,
        Self::WindowExceeded,
        Self::SessionEnded,
        Self::Delivered,
        Self::WaitOver,
        Self::WaitCancelled,
        Self::WaitForbidden,
        Self::Watched,
        Self::Group,
        Self::GroupUnmet,
        Self::GroupRefused,
        Self::Forbidden,
        Self::QuotaHit,
        Self::Audience,
        Self::Reconsidered,
        Self::PolicyRefused,
        Self::PolicyInGroup,
        Self::ExtensionFailed,
        Self::OutOfFuel,
    ];
}

/// How often something came, of one run or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Came {
    /// Runs in which it did.
    pub seeds: u64,
    /// Times.
    pub hits: u64,
}

/// How often each occasion came; none is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Occasions(BTreeMap<Occasion, Came>);

impl Default for Occasions {
    fn default() -> Self {
        let all = Occasion::ALL.into_iter();
        Self(all.map(|occasion| (occasion, Came::default())).collect())
    }
}

/// A request of a session that was carried out.
struct Asked {
    seq_no: SeqNo,
    call: Call,
}

impl Occasions {
    /// How often this one came.
    #[must_use]
    pub fn of(&self, occasion: Occasion) -> Came {
        self.0.get(&occasion).copied().unwrap_or_default()
    }

    /// All with how often they came.
    pub fn all(&self) -> impl Iterator<Item = (Occasion, Came)> {
        self.0.iter().map(|(occasion, came)| (*occasion, *came))
    }

    /// Adds another run's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (occasion, came) in &other.0 {
            let sum = self.0.entry(*occasion).or_default();
            sum.seeds += came.seeds;
            sum.hits += came.hits;
        }
    }

    /// In this run it came so often more.
    pub(crate) fn came(&mut self, occasion: Occasion, hits: u64) {
        if hits > 0 {
            let came = self.0.entry(occasion).or_default();
            came.seeds = 1;
            came.hits += hits;
        }
    }

    /// A correct replica recorded something.
    pub(crate) fn recorded(&mut self, record: &Record) {
        if let Record::NewView(new_view) = record {
            let null = CheckedProposal::null().digest();
            let carried = &new_view.body.pre_prepares;
            let gaps = carried.iter().filter(|vote| vote.body.digest == null);
            let gaps = gaps.count() as u64;
            self.came(Occasion::GapFilled, gaps);
            self.came(Occasion::Carried, carried.len() as u64 - gaps);
        }
    }

    /// The log goes on with this proposal.
    pub(crate) fn decided(&mut self, proposal: &CheckedProposal) {
        self.came(Occasion::Rejoined, proposal.rejoins().len() as u64);
    }

    /// A run is over: what the agreed log says of it.
    pub(crate) fn conclude(&mut self, oracle: &Oracle) {
        let service = oracle.service();
        self.came(Occasion::Parked, service.parked());
        for passed in service.times() {
            self.came(Occasion::SessionEnded, passed.ended.len() as u64);
        }
        let performed = service.performed().iter();
        let asked: BTreeMap<(SessionId, RequestNumber), Asked> = performed
            .filter_map(|performed| {
                let (seq_no, call) = (performed.seq_no, Call::decode(&performed.op).ok()?);
                Some((
                    (performed.session, performed.number),
                    Asked { seq_no, call },
                ))
            })
            .collect();
        for (seq_no, expected) in oracle.log() {
            let join = expected.replies.iter().any(|(_, reply)| {
                let asked = asked.get(&(reply.session, reply.number));
                asked.is_some_and(|asked| {
                    asked.seq_no == seq_no
                        && matches!(asked.call, Call::AdminCommand(AdminCommand::Join(..)))
                })
            });
            for (_, reply) in &expected.replies {
                let asked = asked.get(&(reply.session, reply.number));
                self.answered(reply, asked, join);
            }
        }
    }

    fn answered(&mut self, reply: &Reply, asked: Option<&Asked>, join: bool) {
        let Ok(answer) = Answer::decode(&reply.result) else {
            return;
        };
        // A wait is answered by a later number than it was asked in, or is a group of its own.
        let waited = asked.is_some_and(|asked| asked.seq_no < reply.seq_no);
        match &answer {
            Answer::Outcome(Outcome::Match(Some(_))) if waited => {
                self.came(Occasion::Delivered, 1);
                self.came(Occasion::Reconsidered, u64::from(join));
            }
            Answer::Outcome(Outcome::Match(None)) if waited => self.came(Occasion::WaitOver, 1),
            Answer::Outcome(Outcome::Events { events, .. }) if waited => {
                self.came(Occasion::Watched, u64::from(!events.is_empty()));
            }
            Answer::Outcome(Outcome::Done) => {
                let is_for_some = asked.is_some_and(|asked| {
                    let Call::Space { operation, .. } = &asked.call else {
                        return false;
                    };
                    matches!(operation, Operation::OutTo { .. })
                });
                self.came(Occasion::Audience, u64::from(is_for_some));
            }
            Answer::Cancelled(true) => self.came(Occasion::WaitCancelled, 1),
            Answer::Group { unmet: None, .. } => self.came(Occasion::Group, 1),
            Answer::Group { .. } => self.came(Occasion::GroupUnmet, 1),
            Answer::GroupRefused { why, .. } => {
                self.came(Occasion::GroupRefused, 1);
                self.refused(why, waited);
                if is_policys(why) {
                    self.came(Occasion::PolicyInGroup, 1);
                }
            }
            Answer::Refused(why) => self.refused(why, waited),
            _ => {}
        }
    }

    fn refused(&mut self, why: &Refused, waited: bool) {
        let occasion = match why {
            Refused::WindowExceeded => Occasion::WindowExceeded,
            Refused::Space(Refusal::Forbidden) if waited => Occasion::WaitForbidden,
            Refused::Space(Refusal::Forbidden) => Occasion::Forbidden,
            Refused::Space(Refusal::SpaceFull | Refusal::ClientFull) => Occasion::QuotaHit,
            Refused::Extension(failure) => match failure.code {
                FailureCode::Refused(_) => Occasion::PolicyRefused,
                FailureCode::OutOfFuel => Occasion::OutOfFuel,
                _ => Occasion::ExtensionFailed,
            },
            _ => return,
        };
        self.came(occasion, 1);
    }
}

fn is_policys(why: &Refused) -> bool {
    matches!(why, Refused::Extension(failure) if matches!(failure.code, FailureCode::Refused(_)))
}
