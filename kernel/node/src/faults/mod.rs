//! Faults a replica commits on demand, so that people can watch them be masked.
//!
//! Only a node whose configuration says `allow_faults` obeys; a cluster for use
//! never does. A replica commits one fault at a time and keeps to the protocol
//! otherwise: a liar (`lie`) lies in every reply, in signed ones too; what goes
//! wrong with messages to other replicas is in `outgoing`.

mod lie;
mod outgoing;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub(crate) use lie::lie;
pub(crate) use outgoing::{Dice, Held, delay_us, equivocation};

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
    /// Loses this many of a hundred messages to other replicas.
    Drop(u8),
    /// Sends messages to other replicas this many milliseconds late.
    Delay(u16),
}

impl Fault {
    /// How every fault is spelled, for help texts.
    pub const SPELLINGS: [&str; 7] = [
        "lie-replies",
        "silent",
        "crash",
        "slow-primary",
        "equivocate",
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
        let fault = match (name, amount) {
            ("lie-replies", None) => Some(Self::LieReplies),
            ("silent", None) => Some(Self::Silent),
            ("crash", None) => Some(Self::Crash),
            ("slow-primary", None) => Some(Self::SlowPrimary),
            ("equivocate", None) => Some(Self::Equivocate),
            ("drop", Some(percent)) => percent
                .parse()
                .ok()
                .filter(|percent| (1..=100).contains(percent))
                .map(Self::Drop),
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
            "lies", "drop", "drop:0", "drop:101", "delay:0", "delay:x", "silent:1",
        ] {
            let error = wrong.parse::<Fault>().unwrap_err();
            assert!(error.contains("lie-replies, silent, crash"), "{error}");
        }
    }
}
