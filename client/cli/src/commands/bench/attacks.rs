//! The attacks of `bezant bench pair --attack`: their names, and what came of them.

use bezant_lab::{
    attacker::ClientAttack,
    bench::{Assault, Attack, Attacked, ReplicaAttack, Report},
};
use clap::ValueEnum;

use crate::{exit::Failure, flags::Format, print::Printer};

/// What faulty replicas or clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AttackArg {
    /// The primary says nothing to anybody
    Silent,
    /// The primary proposes just before it would be suspected
    SlowPrimary,
    /// The primary proposes something else, properly signed, to every backup
    Equivocate,
    /// The primary orders everything but one client's requests
    Unfair,
    /// The primary proposes nothing, again and again
    EmptyProposals,
    /// The next primary keeps its votes to itself, and leaves every view early
    Hoard,
    /// A backup asks its peers for all they have, all the time
    Storm,
    /// A backup sends its peers the largest messages there are, all the time
    Bulk,
    /// Clients ask all replicas as fast as they can
    Flood,
    /// Clients ask, again and again, for a large answer that they had long ago
    Repeat,
    /// Clients acknowledge nothing, and open session after session
    NeverAcknowledge,
    /// Clients send requests whose signatures are wrong
    BadSignatures,
    /// Clients ask for ten times as much as the cluster served, whatever comes back
    Overload,
    /// All of them, one after the other
    Every,
}

impl AttackArg {
    /// The attacks that these stand for.
    pub(super) fn all(arguments: &[Self]) -> Vec<Attack> {
        let attacks = |argument: &Self| match argument.attack() {
            Some(attack) => vec![attack],
            None => Attack::ALL.to_vec(),
        };
        arguments.iter().flat_map(attacks).collect()
    }

    const fn attack(self) -> Option<Attack> {
        Some(match self {
            Self::Silent => Attack::Replica(ReplicaAttack::Silent),
            Self::SlowPrimary => Attack::Replica(ReplicaAttack::SlowPrimary),
            Self::Equivocate => Attack::Replica(ReplicaAttack::Equivocate),
            Self::Unfair => Attack::Replica(ReplicaAttack::Unfair),
            Self::EmptyProposals => Attack::Replica(ReplicaAttack::EmptyProposals),
            Self::Hoard => Attack::Replica(ReplicaAttack::Hoard),
            Self::Storm => Attack::Replica(ReplicaAttack::Storm),
            Self::Bulk => Attack::Replica(ReplicaAttack::Bulk),
            Self::Flood => Attack::Clients(ClientAttack::Flood),
            Self::Repeat => Attack::Clients(ClientAttack::Repeat),
            Self::NeverAcknowledge => Attack::Clients(ClientAttack::NeverAcknowledge),
            Self::BadSignatures => Attack::Clients(ClientAttack::BadSignatures),
            Self::Overload => Attack::Clients(ClientAttack::Overload),
            Self::Every => return None,
        })
    }
}

/// The attacks of one command.
#[derive(Clone, Debug)]
pub(super) struct Attacks {
    pub(super) attacks: Vec<Attack>,
    pub(super) runs: u16,
    pub(super) seconds: f64,
    pub(super) after: f64,
    pub(super) share: u8,
}

impl Attacks {
    /// Whether there is more than one measurement to make.
    pub(super) const fn are_several(&self) -> bool {
        self.attacks.len() > 1 || self.runs > 1
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<Assault> {
        self.attacks.first().map(|attack| self.assault(*attack))
    }

    /// One of them.
    pub(super) const fn assault(&self, attack: Attack) -> Assault {
        Assault {
            attack,
            seconds: self.seconds,
            after: self.after,
            share: self.share,
        }
    }
}

/// What came of one attack, for people.
pub(super) fn rows(attacked: &Attacked) -> Vec<(&'static str, String)> {
    let attacker = &attacked.attacker;
    let percent = |percent: f64| format!("{percent:.0} % of a processor");
    let held = attacker.held_to_percent.map(f64::from);
    let who = attacker.replica.map_or_else(
        || "clients".to_owned(),
        |replica| format!("replica {replica}"),
    );
    let ms = |ms: u64| format!("{ms} ms");
    let rows = [
        ("attack", Some(attacked.attack.name())),
        ("attacker", Some(who)),
        ("it did so", Some(format!("{} times", attacked.hits))),
        (
            "under it, a second",
            Some(format!("{:.0}", attacked.ops_per_s)),
        ),
        ("to before", Some(format!("{:.2}", attacked.ratio))),
        (
            "after two seconds",
            Some(format!("{:.2}", attacked.settled_ratio)),
        ),
        ("under it, p50", Some(format!("{} µs", attacked.p50_us))),
        ("under it, p99", Some(format!("{} µs", attacked.p99_us))),
        ("under it, longest", Some(format!("{} µs", attacked.max_us))),
        ("under it, errors", Some(attacked.errors.to_string())),
        (
            "clients starved",
            Some(attacked.starved_clients.to_string()),
        ),
        ("sessions lost", Some(attacked.lost_sessions.to_string())),
        (
            "under it, longest stall",
            Some(ms(attacked.longest_stall_ms)),
        ),
        (
            "under it, views entered",
            Some(attacked.views_entered.to_string()),
        ),
        (
            "under it, suspicions",
            Some(attacked.suspicions.to_string()),
        ),
        ("under it, blames", Some(attacked.blames.to_string())),
        ("under it, evidence", Some(attacked.evidence.to_string())),
        ("attacker took before", attacker.percent_before.map(percent)),
        ("attacker took", attacker.percent.map(percent)),
        ("attacker held to", held.map(percent)),
        (
            "asked for, to before",
            attacker.offered_ratio.map(|ratio| format!("{ratio:.1}")),
        ),
        (
            "after it, to before",
            Some(format!("{:.2}", attacked.after.ratio)),
        ),
        ("recovered after", attacked.after.recovered_ms.map(ms)),
    ];
    let known = rows.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What came of several: as JSON all reports, for people medians and what they lie between.
pub(super) fn print(reports: &[Report], printer: &Printer) -> Result<(), Failure> {
    match printer.format {
        Format::Json | Format::Jsonl => return printer.json(&reports),
        Format::Raw | Format::Table => {}
    }
    let mut groups: Vec<Vec<&Attacked>> = Vec::new();
    for attacked in reports
        .iter()
        .filter_map(|report| report.under_attack.as_ref())
    {
        match groups.iter_mut().find(|group| {
            group
                .first()
                .is_some_and(|first| first.attack == attacked.attack)
        }) {
            Some(group) => group.push(attacked),
            None => groups.push(vec![attacked]),
        }
    }
    let head = [
        "attack",
        "to before",
        "after 2 s",
        "stall, ms",
        "p99, ms",
        "starved",
        "views",
        "hits",
        "took, %",
        "held to, %",
        "after it",
        "back after, ms",
    ];
    printer.table(&head, groups.iter().map(|group| row(group)).collect())
}

fn row(group: &[&Attacked]) -> Vec<String> {
    let of = |digits: usize, figure: &dyn Fn(&Attacked) -> Option<f64>| {
        let figures = group
            .iter()
            .filter_map(|attacked| figure(attacked))
            .collect();
        median(figures, digits)
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts far below 2^52, for display"
    )]
    let whole = |figure: fn(&Attacked) -> u64| of(0, &|attacked| Some(figure(attacked) as f64));
    let name = group
        .first()
        .map_or_else(String::new, |first| first.attack.name());
    vec![
        name,
        of(2, &|a| Some(a.ratio)),
        of(2, &|a| Some(a.settled_ratio)),
        whole(|a| a.longest_stall_ms),
        whole(|a| a.p99_us / 1000),
        whole(|a| a.starved_clients),
        whole(|a| a.views_entered),
        whole(|a| a.hits),
        of(0, &|a| a.attacker.percent),
        of(0, &|a| a.attacker.held_to_percent.map(f64::from)),
        of(2, &|a| Some(a.after.ratio)),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a short run")]
        of(0, &|a| a.after.recovered_ms.map(|ms| ms as f64)),
    ]
}

/// The median, and what all lie between if they are several.
fn median(mut figures: Vec<f64>, digits: usize) -> String {
    figures.sort_by(f64::total_cmp);
    let Some(middle) = figures.get(figures.len() / 2) else {
        return String::new();
    };
    match (figures.first(), figures.last()) {
        (Some(low), Some(high)) if figures.len() > 1 => {
            format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
        }
        _ => format!("{middle:.digits$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_can_be_typed_by_its_name() {
        let typed: Vec<Attack> = AttackArg::value_variants()
            .iter()
            .filter_map(|argument| argument.attack())
            .collect();
        assert_eq!(typed, Attack::ALL);
        for argument in AttackArg::value_variants() {
            let spelled = argument.to_possible_value().unwrap();
            if let Some(attack) = argument.attack() {
                assert_eq!(spelled.get_name(), attack.name());
            }
        }
        assert_eq!(AttackArg::all(&[AttackArg::Every]), Attack::ALL);
    }

    #[test]
    fn a_median_tells_what_it_lies_between() {
        assert_eq!(median(vec![3.0, 1.0, 2.0], 1), "2.0 (1.0 to 3.0)");
        assert_eq!(median(vec![0.5], 2), "0.50");
        assert_eq!(median(vec![], 2), "");
    }
}
