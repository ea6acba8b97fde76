//! An attack in the middle of a measurement: useful throughput before it, under it, after it.
//!
//! One run on one cluster: first nobody attacks, which is what the rest of the report measures;
//! then the attack begins, and some time later it ends. What counts is what the clients of the
//! measurement get done; what attackers get done counts for nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bezant_bft::ids::ReplicaId;
use bezant_node::NodeStatus;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    BenchError, Counts, Phase, attackers::AttackerProcess, counted, histogram, ms, pulse::Sample,
    ratio, strike,
};
use crate::{
    attacker::{self, ClientAttack},
    faults::Fault,
    local::{ProcessCluster, cluster_file},
    processor,
};

/// How often completions are counted.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// After so long a replaced primary is no excuse any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// The time over which throughput is looked at to find when it is back.
const WINDOW: Duration = Duration::from_millis(500);

/// The part of the throughput before that counts as being back.
const BACK: f64 = 0.9;

/// How many times as much as the cluster served before an overload asks for.
const OVERLOAD: f64 = 10.0;

/// What faulty parties do that keep to the letter of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Attack {
    /// By a replica.
    Replica(ReplicaAttack),
    /// By clients.
    Clients(ClientAttack),
}

/// What a faulty replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReplicaAttack {
    /// The primary says nothing to anybody.
    Silent,
    /// The primary proposes just before it would be suspected.
    SlowPrimary,
    /// The primary proposes something else to every backup.
    Equivocate,
    /// The primary orders everything but one client's requests.
    Unfair,
    /// The primary proposes nothing, again and again.
    EmptyProposals,
    /// The next primary keeps its votes to itself, and leaves every view early.
    Hoard,
    /// A backup asks its peers for all they have, all the time.
    Storm,
    /// A backup sends its peers the largest messages there are, all the time.
    Bulk,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Replica(ReplicaAttack::Silent),
        Self::Replica(ReplicaAttack::SlowPrimary),
        Self::Replica(ReplicaAttack::Equivocate),
        Self::Replica(ReplicaAttack::Unfair),
        Self::Replica(ReplicaAttack::EmptyProposals),
        Self::Replica(ReplicaAttack::Hoard),
        Self::Replica(ReplicaAttack::Storm),
        Self::Replica(ReplicaAttack::Bulk),
        Self::Clients(ClientAttack::Flood),
        Self::Clients(ClientAttack::Repeat),
        Self::Clients(ClientAttack::NeverAcknowledge),
        Self::Clients(ClientAttack::BadSignatures),
        Self::Clients(ClientAttack::Overload),
    ];

    /// How it is spelled.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            // A replica's attack is a fault on demand, called the same.
            Self::Replica(attack) => {
                let fault = attack.fault(0).to_string();
                fault.split(':').next().unwrap_or_default().to_owned()
            }
            Self::Clients(attack) => attack.to_string(),
        }
    }
}

impl ReplicaAttack {
    /// The fault that the replica is told to commit, held to `percent` of a processor.
    const fn fault(self, percent: u8) -> Fault {
        match self {
            Self::Silent => Fault::Silent,
            Self::SlowPrimary => Fault::SlowPrimary,
            Self::Equivocate => Fault::Equivocate,
            Self::Unfair => Fault::Unfair,
            Self::EmptyProposals => Fault::EmptyProposals,
            Self::Hoard => Fault::Hoard,
            Self::Storm => Fault::Storm(percent),
            Self::Bulk => Fault::Bulk(percent),
        }
    }

    /// Whether it takes as much of the processor as it is given.
    const fn is_held(self) -> bool {
        matches!(self, Self::Storm | Self::Bulk)
    }

    /// The replica that does it where `primary` of `n` leads.
    fn attacker(self, primary: u8, n: u8) -> ReplicaId {
        let steps = match self {
            Self::Hoard => 1,
            Self::Storm | Self::Bulk => n.saturating_sub(1),
            _ => 0,
        };
        ReplicaId((primary + steps) % n.max(1))
    }
}

/// An attack, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Assault {
    /// What is done.
    pub attack: Attack,
    /// For how many seconds, after the measurement without it.
    pub seconds: f64,
    /// How many seconds are measured after it.
    pub after: f64,
    /// The share of one processor, in percent, that an attacker may take which takes all it is
    /// given; one that is a replica may take it on top of what it took before.
    pub share: u8,
}

/// What came of an attack. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Attacked {
    /// What was done.
    pub attack: Attack,
    /// For how many seconds.
    pub seconds: f64,
    /// Operations of the clients that completed under it.
    pub ops: u64,
    /// The same a second.
    pub ops_per_s: f64,
    /// The same to what it was before the attack.
    pub ratio: f64,
    /// The same without the first two seconds of the attack, in which a primary may be replaced.
    pub settled_ratio: f64,
    /// Median latency in microseconds of the operations that were under way under it, those
    /// included that ended later.
    pub p50_us: u64,
    /// 99th percentile in microseconds.
    pub p99_us: u64,
    /// The longest in microseconds.
    pub max_us: u64,
    /// Operations that failed under it.
    pub errors: u64,
    /// Clients that waited for one operation longer than half of the attack.
    pub starved_clients: u64,
    /// Clients whose sessions ended, under it or after it, while they waited.
    pub lost_sessions: usize,
    /// The longest time in which no operation of any client completed, in milliseconds.
    pub longest_stall_ms: u64,
    /// Views entered under it by the replica that entered most.
    pub views_entered: u64,
    /// Times a replica suspected the primary under it.
    pub suspicions: u64,
    /// Pieces of evidence that came to be kept under it, by the replica with most of them.
    pub evidence: u64,
    /// Messages for which replicas blamed their sender under it.
    pub blames: u64,
    /// How often the attackers did what no correct one does.
    pub hits: u64,
    /// The processors of the machine that all share, attackers and attacked.
    pub processors: usize,
    /// Who attacked, and what that took.
    pub attacker: Attacker,
    /// What the clients got when it was over.
    pub after: After,
}

/// Who attacked. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Attacker {
    /// The replica, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<u8>,
    /// The share of one processor that its process took before the attack, in percent; nothing
    /// if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_before: Option<f64>,
    /// The same under the attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What it was held to, if it takes all it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_to_percent: Option<u8>,
    /// What clients did.
    #[serde(flatten)]
    pub clients: Option<attacker::Tally>,
    /// Requests a second that an overload asked for, as many times as the clients got before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_ratio: Option<f64>,
}

/// The time after an attack. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct After {
    /// How long, in seconds.
    pub seconds: f64,
    /// Operations a second.
    pub ops_per_s: f64,
    /// The same to what it was before the attack.
    pub ratio: f64,
    /// Milliseconds until half a second had nine tenths of the throughput before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_ms: Option<u64>,
}

/// What one client noted under an attack.
pub(super) struct Noted {
    pub(super) latencies: Histogram<u64>,
    pub(super) errors: u64,
}

/// An attack that is to come, and who is to do it.
pub(super) struct Attempt {
    assault: Assault,
    /// The attackers, if they are clients.
    process: Option<AttackerProcess>,
    /// The processor time of replicas at `marked`.
    used: BTreeMap<u8, Duration>,
    marked: Instant,
}

/// What was measured under an attack and after it, but for what the clients noted themselves.
pub(super) struct Endured {
    assault: Assault,
    under: Vec<Sample>,
    after: Vec<Sample>,
    before_per_s: f64,
    longest_stall: Duration,
    statuses: (Vec<NodeStatus>, Vec<NodeStatus>),
    hits: u64,
    attacker: Attacker,
}

impl Attempt {
    /// Starts the attackers, who do nothing yet.
    pub(super) async fn prepare(
        cluster: &ProcessCluster,
        assault: Assault,
    ) -> Result<Self, BenchError> {
        let process = match assault.attack {
            Attack::Replica(_) => None,
            Attack::Clients(attack) => {
                let (binary, file) = (cluster.binary(), cluster_file(cluster.folder()));
                Some(AttackerProcess::start(binary, &file, attack, assault.share).await?)
            }
        };
        Ok(Self {
            assault,
            process,
            used: BTreeMap::new(),
            marked: Instant::now(),
        })
    }

    /// From now on the processor time of replicas counts as that before the attack.
    pub(super) fn mark(&mut self, cluster: &ProcessCluster) {
        self.marked = Instant::now();
        let used = |id| Some((id, used(cluster, ReplicaId(id))?));
        self.used = (0..n(cluster)).filter_map(used).collect();
    }

    /// Attacks, after so many operations a second without.
    pub(super) async fn carry_out(
        mut self,
        cluster: &ProcessCluster,
        counts: &Counts,
        before_per_s: f64,
    ) -> Result<Endured, BenchError> {
        let Assault {
            attack,
            seconds,
            after,
            ..
        } = self.assault;
        let (replica, fault, mut attacker) = self.attackers(cluster).await?;
        let process = match replica {
            Some(replica) => cluster.process_id(replica),
            None => self.process.as_ref().map(AttackerProcess::id),
        };
        let before = strike::statuses(cluster).await;
        let used = process.and_then(|process| processor::used(Some(process)));
        let begun = Instant::now();
        counts.begin(Phase::Attacked);
        counts.pulse.restart();
        if let (Some(replica), Some(fault)) = (replica, fault) {
            strike::set_fault(cluster, replica, fault).await?;
        }
        if let Some(process) = &mut self.process {
            let rate = matches!(attack, Attack::Clients(ClientAttack::Overload))
                .then(|| whole(before_per_s * OVERLOAD));
            process.begin(rate)?;
        }
        let under = sample(counts, Duration::from_secs_f64(seconds)).await;
        let longest_stall = counts.pulse.restart();
        counts.begin(Phase::After);
        let time = begun.elapsed();
        let used_after = process.and_then(|process| processor::used(Some(process)));
        let percent = |used: Duration| processor::percent(used, time);
        attacker.percent = match (used, used_after) {
            (Some(before), Some(after)) => Some(percent(after.saturating_sub(before))),
            _ => None,
        };
        // A replica that floods may have no time to answer; what it did is asked for when it
        // was told to stop.
        let statuses = (before, strike::statuses(cluster).await);
        let mut hits = 0;
        if let Some(replica) = replica {
            hits = strike::hits(cluster, replica).await?;
            strike::clear_fault(cluster, replica).await?;
        }
        if let Some(process) = self.process.take() {
            let tally = process.end().await?;
            hits = tally.sent;
            attacker.clients = Some(tally);
            if matches!(attack, Attack::Clients(ClientAttack::Overload)) {
                let offered = ratio(tally.tried, time.as_secs_f64());
                attacker.offered_ratio = Some(offered / before_per_s.max(1.0));
            }
        }
        let after = sample(counts, Duration::from_secs_f64(after)).await;
        Ok(Endured {
            assault: self.assault,
            under,
            after,
            before_per_s,
            longest_stall,
            statuses,
            hits,
            attacker,
        })
    }

    /// Who attacks: the replica and what it is told, if it is one, and what is known of it.
    async fn attackers(
        &self,
        cluster: &ProcessCluster,
    ) -> Result<(Option<ReplicaId>, Option<Fault>, Attacker), BenchError> {
        let mut attacker = Attacker {
            replica: None,
            percent_before: None,
            percent: None,
            held_to_percent: None,
            clients: None,
            offered_ratio: None,
        };
        let Attack::Replica(attack) = self.assault.attack else {
            attacker.held_to_percent = Some(self.assault.share);
            return Ok((None, None, attacker));
        };
        let Some(status) = strike::foremost(cluster, None).await else {
            let why = "no replica says who the primary is";
            return Err(BenchError::Fault(why.to_owned()));
        };
        let replica = attack.attacker(status.primary, n(cluster));
        attacker.replica = Some(replica.0);
        if let (Some(now), Some(before)) = (used(cluster, replica), self.used.get(&replica.0)) {
            let used = now.saturating_sub(*before);
            attacker.percent_before = Some(processor::percent(used, self.marked.elapsed()));
        }
        // On top of what it does as a correct replica does.
        let own = whole(attacker.percent_before.unwrap_or_default().ceil());
        let own = u8::try_from(own).unwrap_or(u8::MAX);
        let share = self.assault.share.saturating_add(own).clamp(1, 100);
        attacker.held_to_percent = attack.is_held().then_some(share);
        Ok((Some(replica), Some(attack.fault(share)), attacker))
    }
}

fn n(cluster: &ProcessCluster) -> u8 {
    u8::try_from(cluster.cluster.replicas.len()).unwrap_or(u8::MAX)
}

/// The processor time that a replica's process used.
fn used(cluster: &ProcessCluster, replica: ReplicaId) -> Option<Duration> {
    processor::used(Some(cluster.process_id(replica)?))
}

/// Counts completions for `time`.
async fn sample(counts: &Counts, time: Duration) -> Vec<Sample> {
    let begun = Instant::now();
    let first = counts.pulse.completed();
    let mut samples = vec![Sample::default()];
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        tokio::time::sleep(left.min(SAMPLE_EVERY)).await;
        samples.push(Sample {
            at: begun.elapsed(),
            completed: counts.pulse.completed() - first,
        });
    }
    samples
}

impl Endured {
    /// The report, with what the clients noted.
    pub(super) fn report(
        self,
        noted: &[Noted],
        lost_sessions: usize,
    ) -> Result<Attacked, BenchError> {
        let before = self.before_per_s;
        let share = |per_s: f64| per_s / before.max(f64::MIN_POSITIVE);
        let (seconds, ops, ops_per_s) = whole_of(&self.under);
        let (after_s, _, after_per_s) = whole_of(&self.after);
        let mut latencies = histogram()?;
        for one in noted {
            // Both have the same bounds.
            let _same = latencies.add(&one.latencies);
        }
        let half_us = whole(seconds * 500_000.0);
        let starved = noted.iter().filter(|one| one.latencies.max() > half_us);
        let (statuses, later) = &self.statuses;
        let counted = |count| counted(statuses, later, count);
        Ok(Attacked {
            attack: self.assault.attack,
            seconds,
            ops,
            ops_per_s,
            ratio: share(ops_per_s),
            settled_ratio: share(per_s_since(&self.under, SETTLES_WITHIN).unwrap_or(ops_per_s)),
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            max_us: latencies.max(),
            errors: noted.iter().map(|one| one.errors).sum(),
            starved_clients: starved.count() as u64,
            lost_sessions,
            longest_stall_ms: ms(self.longest_stall),
            views_entered: counted(|s| s.views_entered).max().unwrap_or(0),
            suspicions: counted(|s| s.suspicions).sum(),
            evidence: counted(|s| s.evidence as u64).max().unwrap_or(0),
            blames: counted(|s| s.blames).sum(),
            hits: self.hits,
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            attacker: self.attacker,
            after: After {
                seconds: after_s,
                ops_per_s: after_per_s,
                ratio: share(after_per_s),
                recovered_ms: recovered(&self.after, before * BACK).map(ms),
            },
        })
    }
}

/// Seconds, completions, and completions a second.
fn whole_of(samples: &[Sample]) -> (f64, u64, f64) {
    let last = samples.last().copied().unwrap_or_default();
    let seconds = last.at.as_secs_f64();
    (seconds, last.completed, ratio(last.completed, seconds))
}

/// Completions a second after `from`; nothing if it ended before.
fn per_s_since(samples: &[Sample], from: Duration) -> Option<f64> {
    let first = samples.iter().find(|sample| sample.at >= from)?;
    let last = samples.last()?;
    let time = last
        .at
        .checked_sub(first.at)
        .filter(|time| !time.is_zero())?;
    Some(ratio(last.completed - first.completed, time.as_secs_f64()))
}

/// When the first window ended that had at least so many completions a second.
fn recovered(samples: &[Sample], per_s: f64) -> Option<Duration> {
    let mut windows = samples.iter().enumerate().filter_map(|(index, end)| {
        let from = end.at.checked_sub(WINDOW)?;
        let begin = samples.iter().take(index).rfind(|s| s.at <= from)?;
        let time = (end.at - begin.at).as_secs_f64();
        let enough = ratio(end.completed - begin.completed, time) >= per_s;
        enough.then_some(end.at)
    });
    windows.next()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and percents, far below 2^53 and not negative"
)]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(completed: &[u64]) -> Vec<Sample> {
        let times = (0_u32..).map(|index| index * Duration::from_millis(250));
        let samples = times.zip(completed);
        samples
            .map(|(at, completed)| Sample {
                at,
                completed: *completed,
            })
            .collect()
    }

    #[test]
    fn every_attack_has_a_name_of_its_own_and_a_replica_s_is_its_fault_s() {
        let names: std::collections::BTreeSet<String> =
            Attack::ALL.into_iter().map(Attack::name).collect();
        assert_eq!(names.len(), Attack::ALL.len());
        for attack in Attack::ALL {
            let json = serde_json::to_value(attack).unwrap();
            assert_eq!(json, attack.name(), "{attack:?}");
        }
    }

    #[test]
    fn primaries_attack_or_those_beside_them() {
        let attacker = |attack: ReplicaAttack, primary| attack.attacker(primary, 4).0;
        assert_eq!(attacker(ReplicaAttack::Unfair, 2), 2);
        assert_eq!(attacker(ReplicaAttack::Hoard, 3), 0);
        assert_eq!(attacker(ReplicaAttack::Storm, 0), 3);
        assert_eq!(attacker(ReplicaAttack::Bulk, 1), 0);
    }

    #[test]
    fn the_first_two_seconds_are_left_out_of_what_is_settled() {
        // Nothing for two seconds, then ten each quarter of a second.
        let all = samples(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20]);
        assert_eq!(per_s_since(&all, SETTLES_WITHIN), Some(40.0));
        assert_eq!(whole_of(&all), (2.5, 20, 8.0));
        assert_eq!(per_s_since(&samples(&[0, 5]), SETTLES_WITHIN), None);
    }

    #[test]
    fn it_is_back_when_half_a_second_had_enough() {
        let all = samples(&[0, 0, 2, 12, 22, 32]);
        assert_eq!(recovered(&all, 40.0), Some(Duration::from_secs(1)));
        assert_eq!(recovered(&all, 24.0), Some(Duration::from_millis(750)));
        assert_eq!(recovered(&all, 41.0), None);
    }
}
