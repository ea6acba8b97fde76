//! One replica driven by hand: every message goes through its encoding and the
//! one way to verified messages, as in the node; what comes out is a list to look at.

use bezant_bft::{
    codec,
    crypto::Checker,
    effects::{Durability, Effect, Effects, Input, PersistId},
    ids::{Clock, Digest, Instant, OrderedTime, ReplicaId, SeqNo},
    message::{PeerMessage, SignedRequest},
    misbehaviour::{Misbehaviour, Offence},
    replica::{Replica, Tuning},
    verification::{Batch, CheckedRequest, Unverified, check_commits},
};

use super::{Cluster, DAWN_MS, watch::Watch};

/// A replica, and what its driver would keep for it.
pub(crate) struct Single {
    pub(crate) cluster: Cluster,
    pub(crate) replica: Replica,
    pub(crate) now_us: u64,
    /// What the service says of a request when it is asked again.
    pub(crate) admits: fn(&CheckedRequest) -> bool,
    /// Agreed time after the last number executed.
    pub(crate) time: OrderedTime,
    /// How far the time of day is off.
    pub(crate) skew_ms: i64,
    watch: Watch,
}

impl Single {
    /// Replica `me` of four with a checkpoint every four numbers.
    pub(crate) fn new(me: u8) -> Self {
        Self::with(4, me, 4, Tuning::default())
    }

    /// The same, but it is told what is durable.
    pub(crate) fn reported(me: u8) -> Self {
        Self::made(4, me, 4, Tuning::default(), Durability::Reported)
    }

    pub(crate) fn with(n: u8, me: u8, interval: u64, tuning: Tuning) -> Self {
        Self::made(n, me, interval, tuning, Durability::Immediate)
    }

    fn made(n: u8, me: u8, interval: u64, tuning: Tuning, durability: Durability) -> Self {
        let cluster = Cluster::new(n);
        let replica = cluster.replica(me, interval, tuning, durability);
        let watch = Watch::new(ReplicaId(me));
        Self {
            cluster,
            replica,
            now_us: 0,
            admits: |_| true,
            time: OrderedTime(0),
            skew_ms: 0,
            watch,
        }
    }

    pub(crate) fn step(&mut self, input: Input) -> Effects {
        let clock = Clock {
            monotonic: Instant(self.now_us),
            wall: OrderedTime((DAWN_MS + self.now_us / 1000).saturating_add_signed(self.skew_ms)),
        };
        self.turn_at(clock, [input])
    }

    fn turn_at(&mut self, clock: Clock, inputs: impl IntoIterator<Item = Input>) -> Effects {
        let watch = Some(&mut self.watch);
        super::turn(&mut self.replica, clock, inputs, self.admits, watch)
    }

    /// Time passes, and the replica is stepped whenever it asked to be.
    pub(crate) fn tick(&mut self, us: u64) -> Effects {
        let end = self.now_us + us;
        let mut out = Effects::new();
        while let Some(at) = self.replica.next_timeout().filter(|at| at.0 < end) {
            self.now_us = self.now_us.max(at.0);
            out.extend(self.step(Input::Tick));
        }
        self.now_us = end;
        out.extend(self.step(Input::Tick));
        out
    }

    /// The replica is stepped whenever it asked to be, for `us` at most, until it says something;
    /// what it says.
    pub(crate) fn tick_until_sent(&mut self, us: u64) -> Effects {
        let end = self.now_us + us;
        let mut out = Effects::new();
        while sent(&out).is_empty()
            && let Some(at) = self.replica.next_timeout().filter(|at| at.0 <= end)
        {
            self.now_us = self.now_us.max(at.0);
            out.extend(self.step(Input::Tick));
        }
        out
    }

    /// A message arrives over the link of `from`. A refusal of unverified bytes is a blame, too.
    pub(crate) fn hear(&mut self, from: u8, message: &PeerMessage) -> Effects {
        let unverified = Unverified::from_replica(ReplicaId(from), &codec::encode(message));
        self.open(unverified)
    }

    /// The same, for several messages; all effects.
    pub(crate) fn hear_all<'m>(
        &mut self,
        messages: impl IntoIterator<Item = (u8, &'m PeerMessage)>,
    ) -> Effects {
        let messages = messages.into_iter();
        messages
            .flat_map(|(from, message)| self.hear(from, message))
            .collect()
    }

    /// A request arrives from its client.
    pub(crate) fn ask(&mut self, request: &SignedRequest) -> Effects {
        self.open(Ok(Unverified::from_client(
            request.request.client,
            request.clone(),
        )))
    }

    fn open(&mut self, unverified: Result<Unverified, Misbehaviour>) -> Effects {
        let refused = |misbehaviour| vec![Effect::Blame(misbehaviour)];
        let unverified = match unverified {
            Ok(unverified) => unverified,
            Err(misbehaviour) => return refused(misbehaviour),
        };
        let keyring = self.cluster.keyring.clone();
        let mut batch = Batch::new(&keyring);
        if let Err(misbehaviour) =
            batch.add(unverified, |digest| self.replica.known_request(digest))
        {
            return refused(misbehaviour);
        }
        let checked = batch.check(&mut Checker::new()).into_iter();
        checked
            .flat_map(|checked| match checked {
                Ok(input) => self.step(input),
                Err(misbehaviour) => refused(misbehaviour),
            })
            .collect()
    }

    /// Number `number` is decided by everybody else's votes; every effect of it.
    pub(crate) fn decide(&mut self, number: u64) -> Effects {
        let proposal = self.cluster.proposal(number);
        let digest = super::digest_of(&proposal);
        let mut out = self.hear(0, &self.cluster.pre_prepare(number, proposal));
        for by in 0..u8::try_from(self.cluster.keys.len()).unwrap() {
            if by != self.replica.me().0 {
                let (prepare, commit) = (
                    self.cluster.prepare(by, number, digest),
                    self.cluster.commit(by, number, digest),
                );
                out.extend(self.hear_all([(by, &prepare), (by, &commit)]));
            }
        }
        out
    }

    /// The service has executed `number`; its state there is durable if it has a digest.
    pub(crate) fn executed(&mut self, number: u64, state: Option<Digest>) -> Effects {
        self.executed_with(number, state, None)
    }

    /// The same; something expires at `due_ms`.
    pub(crate) fn executed_with(
        &mut self,
        seq_no: u64,
        state: Option<Digest>,
        due_ms: Option<u64>,
    ) -> Effects {
        let seq_no = SeqNo(seq_no);
        let due = due_ms.map(OrderedTime);
        let time = self.time_after(seq_no);
        let mut out = self.step(Input::Executed { seq_no, time, due });
        if let Some(state) = state {
            out.extend(self.step(Input::CheckpointSaved { seq_no, state }));
        }
        out
    }

    /// Agreed time after a number: that of its proposal, or a millisecond more than before.
    fn time_after(&mut self, seq_no: SeqNo) -> OrderedTime {
        let slot = self.replica.slot(seq_no);
        let proposed = slot.and_then(|slot| slot.decided()).map(|it| it.time());
        self.time = self.time.next().max(proposed.unwrap_or_default());
        self.time
    }

    /// Carries out every order to check commits in `effects`.
    pub(crate) fn check_commits(&mut self, effects: Effects) -> Effects {
        let mut out = Effects::new();
        for effect in effects {
            if let Effect::CheckCommits(votes) = effect {
                let keyring = self.cluster.keyring.clone();
                let checked = check_commits(&keyring, &mut Checker::new(), votes);
                out.extend(self.step(checked));
            }
        }
        out
    }
}

/// Messages sent, without their conditions.
pub(crate) fn sent(effects: &[Effect]) -> Vec<&PeerMessage> {
    let sends = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    sends.collect()
}

/// Numbers handed to the service.
pub(crate) fn executes(effects: &[Effect]) -> Vec<u64> {
    let executes = effects.iter().filter_map(|effect| match effect {
        Effect::Execute { seq_no, .. } => Some(seq_no.0),
        _ => None,
    });
    executes.collect()
}

/// Faults blamed, with the replica blamed if it is one.
pub(crate) fn blames(effects: &[Effect]) -> Vec<(Option<u8>, &Offence)> {
    let blames = effects.iter().filter_map(|effect| match effect {
        Effect::Blame(Misbehaviour { who, what, .. }) => Some((replica_of(who), what)),
        _ => None,
    });
    blames.collect()
}

fn replica_of(source: &bezant_bft::ids::Source) -> Option<u8> {
    match source {
        bezant_bft::ids::Source::Replica(replica) => Some(replica.0),
        bezant_bft::ids::Source::Client(_) => None,
    }
}

pub(crate) fn prepares(effects: &[Effect]) -> usize {
    let prepare = |message: &&&PeerMessage| matches!(message, PeerMessage::Prepare(_));
    sent(effects).iter().filter(prepare).count()
}

pub(crate) fn commits(effects: &[Effect]) -> usize {
    let commit = |message: &&&PeerMessage| matches!(message, PeerMessage::Commit(_));
    sent(effects).iter().filter(commit).count()
}

pub(crate) fn suspects(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Suspect(_)))
}

/// What a send waits for.
pub(crate) fn conditions(effects: &[Effect]) -> Vec<Option<PersistId>> {
    let sends = effects.iter().filter_map(|effect| match effect {
        Effect::Send { after, .. } => Some(*after),
        _ => None,
    });
    sends.collect()
}
