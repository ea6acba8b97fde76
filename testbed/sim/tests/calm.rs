//! A cluster without any trouble does all its work.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use bezant_sim::{
    World,
    options::Options,
    report::{BlackBox, Outcome},
};

#[test]
fn a_calm_cluster_of_four_does_all_its_work() {
    let mut searched = BlackBox::default();
    for seed in 0..10 {
        let (report, _) = World::new(seed, Options::calm(seed), None).run();
        assert_eq!(report.outcome, Outcome::Passed, "seed {seed}");
        assert!(
            report.figures.answers_checked > 30,
            "seed {seed}: {report:?}"
        );
        let black_box = report.figures.black_box;
        searched.decided += black_box.decided;
        searched.undecided += black_box.undecided;
        searched.unseen += black_box.unseen;
    }
    // Both checks of linearizability ran, and the harder one found orders, too.
    assert_eq!(searched.decided + searched.undecided + searched.unseen, 10);
    assert!(searched.decided >= 2, "{searched:?}");
}
