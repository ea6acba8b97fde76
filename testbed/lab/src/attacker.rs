//! Clients that attack, in a process of their own: keys, sessions and links as any client has
//! them, and none of a client's manners.
//!
//! A process is told on its standard input when to begin and when to end, and says on its standard
//! output what it did ([`Tally`]). It is held to a share of the processor
//! ([`Share`](crate::processor::Share)), so that what is measured is the attack and not a machine
//! that it shares with those it attacks.

mod stranger;

use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use bezant_bft::ids::ReplicaId;
use bezant_client::ClusterView;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::stranger::Stranger;
use crate::{
    local::{LabError, fresh_key},
    processor::Share,
};

/// How often an attacker acts.
const TICK: Duration = Duration::from_millis(1);

/// Most requests of one key in a tick.
const BURST: u64 = 16;

/// Most requests of all keys in a tick that a rate asks for.
const MAX_OWED: u64 = 2_000;

/// How long the sessions may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(30);

/// What clients do to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClientAttack {
    /// Ask all replicas for as much as their windows allow, as fast as they can.
    Flood,
    /// Ask all replicas, again and again, for a large answer that they had long ago.
    Repeat,
    /// Acknowledge nothing, and open a new session when the window of the last is full.
    NeverAcknowledge,
    /// Send all replicas requests whose signatures are wrong.
    BadSignatures,
    /// Ask as clients do, at a given rate, whatever comes back.
    Overload,
}

impl ClientAttack {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Flood,
        Self::Repeat,
        Self::NeverAcknowledge,
        Self::BadSignatures,
        Self::Overload,
    ];

    /// How many keys it is done with.
    const fn keys(self) -> usize {
        match self {
            Self::Flood => 8,
            Self::Repeat | Self::NeverAcknowledge | Self::BadSignatures => 4,
            // Each has a window of 64, and there is to be no end of them.
            Self::Overload => 32,
        }
    }
}

impl fmt::Display for ClientAttack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flood => "flood",
            Self::Repeat => "repeat",
            Self::NeverAcknowledge => "never-acknowledge",
            Self::BadSignatures => "bad-signatures",
            Self::Overload => "overload",
        })
    }
}

impl FromStr for ClientAttack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|attack| attack.to_string() == text);
        found.ok_or_else(|| format!("there is no attack {text:?} of clients"))
    }
}

/// What an attacker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin; so many requests a second, or as many as possible.
    Begin(Option<u64>),
    /// End.
    End,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse), words.next()) {
            (Some("begin"), None, None) => Ok(Self::Begin(None)),
            (Some("begin"), Some(Ok(rate)), None) => Ok(Self::Begin(Some(rate))),
            (Some("end"), None, None) => Ok(Self::End),
            _ => Err(format!(
                "{line:?} is no order; use begin, begin RATE or end"
            )),
        }
    }
}

/// What an attacker did. The names are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests sent, to one replica or to all; those that no link had room for do not count.
    pub sent: u64,
    /// Requests that it tried to send.
    pub tried: u64,
    /// Requests that two replicas answered.
    pub answered: u64,
    /// Times a replica said that it has no room.
    pub busy: u64,
}

/// Why there was no attack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// No key, or no socket.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Links could not be set up.
    #[error(transparent)]
    Bind(#[from] bezant_quic::BindError),
    /// A session did not open, or its first requests were not answered.
    #[error("the attackers' sessions were not ready in time")]
    NotReady,
}

/// Attackers with sessions, who wait for the order to begin.
#[derive(Debug)]
pub struct Attackers {
    attack: ClientAttack,
    strangers: Vec<Stranger>,
}

impl Attackers {
    /// Opens the sessions, and does what is to be done before.
    ///
    /// # Errors
    /// [`AttackError`].
    pub async fn prepare(view: &ClusterView, attack: ClientAttack) -> Result<Self, AttackError> {
        let keys = (0..attack.keys()).map(|_| fresh_key());
        let mut strangers = Vec::new();
        for key in keys {
            strangers.push(Stranger::new(view, key?, attack)?);
        }
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(20 * TICK);
        loop {
            let mut ready = true;
            for stranger in &mut strangers {
                stranger.hear();
                ready &= stranger.prepare(attack);
            }
            if ready {
                return Ok(Self { attack, strangers });
            }
            if begun.elapsed() > OPENS_WITHIN {
                return Err(AttackError::NotReady);
            }
            ticks.tick().await;
        }
    }

    /// Waits for the order to begin, attacks within `percent` of one processor until the order
    /// to end, or until nobody gives orders any more.
    pub async fn attack(mut self, percent: u8, orders: &mut mpsc::Receiver<Order>) -> Tally {
        let mut tally = Tally::default();
        let rate = match orders.recv().await {
            Some(Order::Begin(rate)) => rate,
            Some(Order::End) | None => return tally,
        };
        let begun = Instant::now();
        let mut share = Share::new(percent);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Begin(_)) => {}
                    Some(Order::End) | None => break,
                },
                now = ticks.tick() => {
                    let now = now.into_std();
                    let time = now.saturating_duration_since(begun);
                    if share.has_left(now) {
                        self.act(rate, time, &mut tally);
                    }
                }
            }
        }
        for stranger in &self.strangers {
            tally.answered += stranger.answered;
            tally.busy += stranger.busy;
        }
        tally
    }

    fn act(&mut self, rate: Option<u64>, time: Duration, tally: &mut Tally) {
        for stranger in &mut self.strangers {
            stranger.hear();
        }
        let keys = self.strangers.len() as u64;
        let owed = match rate {
            Some(rate) => {
                let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                let due = rate.saturating_mul(micros) / 1_000_000;
                due.saturating_sub(tally.tried).min(MAX_OWED)
            }
            None => BURST * keys,
        };
        let (each, over) = (owed / keys.max(1), owed % keys.max(1));
        for (index, stranger) in (0..keys).zip(&mut self.strangers) {
            for _ in 0..each + u64::from(index < over) {
                tally.sent += u64::from(stranger.act(self.attack));
                tally.tried += 1;
            }
        }
        // Those who were left out come first the next time.
        let turn = usize::try_from(over).unwrap_or_default();
        let turn = turn.min(self.strangers.len());
        self.strangers.rotate_left(turn);
    }
}

/// All replicas of a cluster.
fn members(view: &ClusterView) -> Vec<ReplicaId> {
    (0_u8..)
        .zip(&view.replicas)
        .map(|(id, _)| ReplicaId(id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_orders_are_read_as_they_are_written() {
        for attack in ClientAttack::ALL {
            assert_eq!(attack.to_string().parse(), Ok(attack));
            let json = serde_json::to_string(&attack).unwrap();
            assert_eq!(json, format!("\"{attack}\""));
        }
        assert!("silent".parse::<ClientAttack>().is_err());
        assert_eq!("begin".parse(), Ok(Order::Begin(None)));
        assert_eq!("begin 70".parse(), Ok(Order::Begin(Some(70))));
        assert_eq!("end".parse(), Ok(Order::End));
        for wrong in ["", "begin now", "end 1", "begin 1 2"] {
            assert!(wrong.parse::<Order>().is_err(), "{wrong}");
        }
    }
}
