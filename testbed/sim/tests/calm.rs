//! A cluster without any trouble does all its work.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use bezant_sim::{World, options::Options, report::Outcome};

#[test]
fn a_calm_cluster_of_four_does_all_its_work() {
    for seed in 0..10 {
        let (report, _) = World::new(seed, Options::calm(seed), None).run();
        assert_eq!(report.outcome, Outcome::Passed, "seed {seed}");
        assert!(
            report.figures.answers_checked > 30,
            "seed {seed}: {report:?}"
        );
    }
}
