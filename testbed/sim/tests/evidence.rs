//! Replicas that contradict themselves are convicted. That every piece of evidence
//! verifies and none is against a correct replica is a rule of every run (`innocent`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use bezant_sim::{adversaries::Kind, options::Options, report::Outcome, run_seed};

/// Runs the first seeds with adversaries of this kind alone; in how many it deviated, and
/// in how many of those it was convicted.
fn convicted(kind: Kind, seeds: usize) -> (usize, usize) {
    let of_kind = |seed: &u64| {
        let adversaries = Options::draw(*seed).adversaries;
        !adversaries.is_empty() && adversaries.values().all(|other| *other == kind)
    };
    let (mut deviated, mut convicted) = (0, 0);
    for seed in (0..).filter(of_kind).take(seeds) {
        let (report, _) = run_seed(seed, None);
        assert_eq!(report.outcome, Outcome::Passed, "seed {seed}");
        if report.hits.adversaries.get(&kind).unwrap().hits > 0 {
            deviated += 1;
            convicted += usize::from(report.hits.convicted.contains_key(&kind));
        }
    }
    (deviated, convicted)
}

#[test]
fn most_replicas_that_contradict_themselves_are_convicted() {
    for (kind, share) in [(Kind::Equivocation, 0.8), (Kind::DoubleVotes, 0.8)] {
        let (deviated, convicted) = convicted(kind, 24);
        println!("{kind:?}: convicted in {convicted} of {deviated} seeds");
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let found = convicted as f64 / deviated as f64;
        assert!(
            deviated >= 12 && found >= share,
            "{kind:?}: {convicted} of {deviated}"
        );
    }
}
