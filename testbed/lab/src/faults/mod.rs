//! Faults a replica commits on demand, so that people can watch them be masked.
//!
//! Replicas have none of these themselves: [`strategies`] hands them to a node of
//! `dev`, `demo` or a test cluster, and it takes them only if its file says
//! `allow_faults`; a cluster for use never does. A replica commits one fault at a
//! time and keeps to the protocol otherwise: a liar (`lie`) lies in every reply, in
//! signed ones too; what goes wrong with messages to other replicas is in `outgoing`.
//! Attacks that need more than to change what leaves have a file each.

mod bulk;
mod empty;
mod hoard;
mod lie;
mod outgoing;
mod seen;
mod storm;
mod unfair;

use std::{fmt, str::FromStr, time::Instant};

use bezant_bft::{
    codec,
    crypto::Domain,
    ids::ReplicaId,
    message::{PeerMessage, ReplicaMessage, Signed},
};
use bezant_node::{
    NodeHandle, Strategies,
    strategy::{Conduct, Frames, Means, Strategy},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use bulk::Bulk;
use empty::EmptyProposals;
use hoard::Hoard;
use lie::lie;
use outgoing::{Dice, Held, delay_us, equivocation};
use storm::Storm;
use unfair::Unfair;

/// What the replica does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Fault {
    /// Gives clients wrong answers.
    LieReplies,
    /// Sends nothing to anybody.
    Silent,
    /// Stops, and forgets what it did not keep on disk.
    Crash,
    /// As the primary, proposes just before it would be suspected.
    SlowPrimary,
    /// As the primary, proposes something else to every backup.
    Equivocate,
    /// As the primary, proposes nothing, again and again, while requests wait.
    EmptyProposals,
    /// As the primary, orders everything but the requests of one client.
    Unfair,
    /// Keeps its votes to itself, and leaves every view early.
    Hoard,
    /// Asks its peers for all they have, as long as its process uses less than this many
    /// hundredths of a processor.
    Storm(u8),
    /// Sends its peers the largest messages there are, as long as its process uses less than
    /// this many hundredths of a processor.
    Bulk(u8),
    /// Loses this many of a hundred messages to other replicas.
    Drop(u8),
    /// Sends messages to other replicas this many milliseconds late.
    Delay(u16),
}

impl Fault {
    /// How every fault is spelled, for help texts.
    pub const SPELLINGS: [&str; 12] = [
        "lie-replies",
        "silent",
        "crash",
        "slow-primary",
        "equivocate",
        "empty-proposals",
        "unfair",
        "hoard",
        "storm:PERCENT",
        "bulk:PERCENT",
        "drop:PERCENT",
        "delay:MS",
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LieReplies => f.write_str("lie-replies"),
            Self::Silent => f.write_str("silent"),
            Self::Crash => f.write_str("crash"),
            Self::SlowPrimary => f.write_str("slow-primary"),
            Self::Equivocate => f.write_str("equivocate"),
            Self::EmptyProposals => f.write_str("empty-proposals"),
            Self::Unfair => f.write_str("unfair"),
            Self::Hoard => f.write_str("hoard"),
            Self::Storm(percent) => write!(f, "storm:{percent}"),
            Self::Bulk(percent) => write!(f, "bulk:{percent}"),
            Self::Drop(percent) => write!(f, "drop:{percent}"),
            Self::Delay(ms) => write!(f, "delay:{ms}"),
        }
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, amount) = match text.split_once(':') {
            Some((name, amount)) => (name, Some(amount)),
            None => (text, None),
        };
        let percent = |amount: &str| {
            let percent = amount.parse().ok();
            percent.filter(|percent: &u8| (1..=100).contains(percent))
        };
        let fault = match (name, amount) {
            ("lie-replies", None) => Some(Self::LieReplies),
            ("silent", None) => Some(Self::Silent),
            ("crash", None) => Some(Self::Crash),
            ("slow-primary", None) => Some(Self::SlowPrimary),
            ("equivocate", None) => Some(Self::Equivocate),
            ("empty-proposals", None) => Some(Self::EmptyProposals),
            ("unfair", None) => Some(Self::Unfair),
            ("hoard", None) => Some(Self::Hoard),
            ("storm", Some(amount)) => percent(amount).map(Self::Storm),
            ("bulk", Some(amount)) => percent(amount).map(Self::Bulk),
            ("drop", Some(amount)) => percent(amount).map(Self::Drop),
            ("delay", Some(ms)) => ms.parse().ok().filter(|ms| *ms > 0).map(Self::Delay),
            _ => None,
        };
        fault.ok_or_else(|| {
            format!(
                "there is no fault {text:?}; use one of {} \
                 (PERCENT from 1 to 100, MS from 1 to 65535)",
                Self::SPELLINGS.join(", ")
            )
        })
    }
}

/// All faults, for a node that commits them on demand.
#[must_use]
pub fn strategies() -> Strategies {
    Strategies::new(|name, means| {
        let fault: Fault = name.parse()?;
        Ok(match fault {
            Fault::Crash => Conduct::Crash,
            Fault::Unfair => Conduct::Strategy(Box::<Unfair>::default()),
            Fault::EmptyProposals => Conduct::Strategy(Box::new(EmptyProposals::new(means))),
            Fault::Hoard => Conduct::Strategy(Box::new(Hoard::new(means))),
            Fault::Storm(percent) => Conduct::Strategy(Box::new(Storm::new(means, percent))),
            Fault::Bulk(percent) => Conduct::Strategy(Box::new(Bulk::new(means, percent))),
            fault => Conduct::Strategy(Box::new(Committing::new(fault, means))),
        })
    })
}

/// A replica in this process that commits faults on demand.
pub trait OnDemand {
    /// Has it commit a fault, or none.
    ///
    /// # Panics
    /// If it was started without [`strategies`].
    fn set_fault(&self, fault: Option<Fault>);
}

impl OnDemand for NodeHandle {
    #[expect(clippy::panic, reason = "a test asks for what it did not set up")]
    fn set_fault(&self, fault: Option<Fault>) {
        let name = fault.map(|fault| fault.to_string());
        if let Err(why) = self.set_strategy(name.as_deref()) {
            panic!("{why}");
        }
    }
}

/// A replica that commits a fault.
struct Committing {
    fault: Fault,
    means: Means,
    held: Held,
    dice: Dice,
    hits: u64,
}

impl Committing {
    fn new(fault: Fault, means: Means) -> Self {
        Self {
            fault,
            means,
            held: Held::default(),
            dice: Dice::default(),
            hits: 0,
        }
    }
}

impl Strategy for Committing {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        let lost = match self.fault {
            Fault::Silent => {
                self.hits += 1;
                return true;
            }
            Fault::Drop(percent) => self.dice.falls(percent),
            _ => false,
        };
        if lost {
            self.hits += 1;
            return false;
        }
        let other = (self.fault == Fault::Equivocate)
            .then(|| equivocation(message, to, &self.means))
            .flatten();
        self.hits += u64::from(other.is_some());
        let frame = Bytes::from(codec::encode(other.as_ref().unwrap_or(message)));
        match delay_us(self.fault, message, self.means.tuning.suspect_after_us) {
            Some(us) => {
                self.hits += 1;
                self.held.hold(us, to, frame)
            }
            None => {
                frames.push((to, frame));
                true
            }
        }
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        let deviates = matches!(self.fault, Fault::Silent | Fault::LieReplies);
        self.hits += u64::from(deviates);
        match (self.fault, message) {
            (Fault::Silent, _) => None,
            (Fault::LieReplies, ReplicaMessage::Reply { view, reply }) => {
                let reply = lie(&reply);
                Some(ReplicaMessage::Reply { view, reply })
            }
            (Fault::LieReplies, ReplicaMessage::SignedReply(signed)) => {
                let mut claim = signed.body;
                claim.reply = lie(&claim.reply);
                let Means { cluster, key, .. } = &self.means;
                let signed = Signed::new(claim, Domain::Reply, cluster, key);
                Some(ReplicaMessage::SignedReply(signed))
            }
            (_, message) => Some(message),
        }
    }

    fn due(&self) -> Option<Instant> {
        self.held.due()
    }

    fn release(&mut self, now: Instant, frames: &mut Frames) {
        while let Some(frame) = self.held.take(now) {
            frames.push(frame);
        }
    }

    fn release_all(&mut self, frames: &mut Frames) {
        frames.extend(self.held.take_all());
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_faults_are_inverse_and_a_wrong_one_lists_the_right_ones() {
        let spelled = Fault::SPELLINGS.map(|spelling| {
            spelling
                .replace("PERCENT", "30")
                .replace("MS", "250")
                .parse::<Fault>()
                .unwrap()
        });
        let all = [
            Fault::LieReplies,
            Fault::Silent,
            Fault::Crash,
            Fault::SlowPrimary,
            Fault::Equivocate,
            Fault::EmptyProposals,
            Fault::Unfair,
            Fault::Hoard,
            Fault::Storm(30),
            Fault::Bulk(30),
            Fault::Drop(30),
            Fault::Delay(250),
        ];
        assert_eq!(spelled, all);
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            let json = serde_json::to_string(&fault).unwrap();
            assert_eq!(json, format!("\"{fault}\""));
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault);
        }
        for wrong in [
            "lies", "drop", "drop:0", "drop:101", "delay:0", "delay:x", "silent:1", "storm",
            "bulk:0", "unfair:1",
        ] {
            let error = wrong.parse::<Fault>().unwrap_err();
            assert!(error.contains("lie-replies, silent, crash"), "{error}");
        }
    }
}
