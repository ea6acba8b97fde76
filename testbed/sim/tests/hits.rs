//! Every adversary and every fault strikes, and none of them does harm.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use bezant_sim::{
    World,
    adversaries::Kind,
    faults::Fault,
    options::Options,
    report::{Outcome, Report},
    rng::Rng,
};

/// Seeds in which something must strike.
const SEEDS: u64 = 40;

/// Runs seeds until `strikes` says yes of one.
fn strikes(what: &str, options: impl Fn(u64) -> Options, strikes: impl Fn(&Report) -> bool) {
    for seed in 0..SEEDS {
        let (report, _) = World::new(seed, options(seed), None).run();
        assert_eq!(report.outcome, Outcome::Passed, "{what}, seed {seed}");
        if strikes(&report) {
            return;
        }
    }
    panic!("{what} never strikes in {SEEDS} seeds");
}

/// What a seed draws, but one trouble only.
fn quiet(seed: u64) -> Options {
    let mut options = Options::draw(seed);
    options.n = 4;
    options.adversaries.clear();
    options.faults.clear();
    options.cut_off = None;
    options.flood = false;
    options
}

#[test]
fn every_adversary_strikes() {
    for kind in Kind::REPLICAS {
        let options = |seed| {
            let mut options = quiet(seed);
            options.admit(kind, &mut Rng::new(seed));
            options
        };
        strikes(&format!("{kind:?}"), options, |report| {
            report.hits.adversaries[&kind].hits > 0
        });
    }
}

/// What only a faulty replica can prove stops nobody, wherever it sits and whatever was under way
/// when the first primary was cut off: of so many seeds several fail if replicas let go what
/// they voted for.
#[test]
fn a_hoarder_stops_nobody() {
    let mut hits = 0;
    for seed in 0..100 {
        let mut options = quiet(seed);
        options.admit(Kind::Hoarding, &mut Rng::new(seed));
        let (report, _) = World::new(seed, options, None).run();
        assert_eq!(report.outcome, Outcome::Passed, "seed {seed}");
        hits += report.hits.adversaries[&Kind::Hoarding].hits;
    }
    assert!(hits > 50, "{hits}");
}

#[test]
fn a_flooding_client_strikes() {
    let options = |seed| Options {
        flood: true,
        ..quiet(seed)
    };
    strikes("a flood", options, |report| {
        report.hits.adversaries[&Kind::FloodingClient].hits > 0
    });
}

#[test]
fn every_fault_strikes() {
    for fault in Fault::ALL {
        let chosen = |seed: &u64| Options::draw(*seed).faults.contains(&fault);
        let seeds: Vec<u64> = (0..1000).filter(chosen).collect();
        let options = |at: u64| {
            let mut options = Options::draw(seeds[usize::try_from(at).unwrap()]);
            options.n = 4;
            options.adversaries.clear();
            options.flood = false;
            options
        };
        strikes(&format!("{fault:?}"), options, |report| {
            report.hits.faults[&fault].hits > 0
        });
    }
}
