//! `bezant bench` on replicas of its own: what it counts, and what it does to them.

use serde_json::Value;

use crate::fixture::World;

/// A short measurement of pairs; the machine may be busy, so that answers may take their time.
const SHORT: [&str; 12] = [
    "bench",
    "pair",
    "--clients",
    "8",
    "--seconds",
    "1",
    "--warmup",
    "0.1",
    "--timeout",
    "60s",
    "-o",
    "json",
];

fn bench(more: &[&str]) -> Value {
    let report = World::new().bezant(SHORT.iter().chain(more));
    let report = report.ends_with(0).json();
    for none in ["errors", "lost", "doubled"] {
        assert_eq!(report[none], 0, "{report}");
    }
    assert!(report["ops"].as_u64().unwrap() > 0, "{report}");
    report
}

/// The counts of four replicas, which follow from the protocol (docs/performance.md).
#[test]
fn what_a_request_costs_is_counted() {
    let report = bench(&["--busy", "1"]);
    let cost = |name: &str| report["costs"][name].as_f64().unwrap();
    let batch = cost("requests_per_proposal");
    assert!((1.0..=8.0).contains(&batch), "{report}");
    // The ends of the measurement cut some off; what was lost on the way is sent again.
    for (name, expected) in [
        ("signatures_per_proposal", 8.0),
        ("replica_frames_per_proposal", 24.0),
        ("reply_frames_per_request", 4.0),
    ] {
        let share = cost(name) / expected;
        assert!((0.7..=1.5).contains(&share), "{name}: {report}");
    }
    assert!(cost("replica_bytes_per_request") > 100.0, "{report}");
    assert!(cost("verifications_per_request") > 4.0, "{report}");
    assert!(report.get("fault").is_none(), "{report}");
}

#[test]
fn a_primary_that_is_killed_is_replaced_and_nothing_is_lost() {
    let report = bench(&["--fault", "kill", "--fault-at", "0.3"]);
    let fault = &report["fault"];
    assert_eq!(
        (&fault["blow"], &fault["replica"]),
        (&"kill".into(), &0.into())
    );
    assert!(report["views_entered"].as_u64().unwrap() >= 1, "{report}");
    assert!(report["suspicions"].as_u64().unwrap() >= 2, "{report}");
    // Nobody is suspected earlier than after a second.
    let stall = report["longest_stall_ms"].as_u64().unwrap();
    assert!(stall >= 700 && fault["resumed_ms"].is_u64(), "{report}");
}

#[test]
fn a_frozen_primary_catches_up() {
    let report = bench(&["--fault", "stop", "--fault-at", "0.3"]);
    assert!(report["fault"]["replaced_ms"].is_u64(), "{report}");
    assert!(report["fault"]["caught_up_ms"].is_u64(), "{report}");
}

#[test]
fn all_may_be_killed_if_they_keep_their_log() {
    let report = bench(&["--fault", "kill-all", "--storage", "sync"]);
    assert!(report["fault"]["restart_ms"].is_u64(), "{report}");
    assert!(report["fault"]["resumed_ms"].is_u64(), "{report}");
}

#[test]
fn faults_that_make_no_measurement_are_refused() {
    for (arguments, because) in [
        (
            &["bench", "pair", "--fault", "kill-all"][..],
            "--storage sync",
        ),
        (&["bench", "out", "--fault", "kill"], "workload pair"),
        (
            &["bench", "pair", "--fault", "kill", "--fault-at", "9"],
            "outside the measurement",
        ),
        (&["bench", "pair", "--fault-at", "1"], "--fault"),
    ] {
        let ran = World::new().bezant(arguments).ends_with(2);
        assert!(ran.stderr.contains(because), "{}", ran.stderr);
    }
}

/// Reads among many find what they look for, and nothing else is laid out.
#[test]
fn reads_go_over_all_that_was_laid_out() {
    let mut args = SHORT.to_vec();
    args[1] = "rdp";
    args.extend(["--preload", "4999"]);
    let report = World::new().bezant(&args).ends_with(0).json();
    // As many for each of eight clients.
    assert_eq!(
        (&report["preload"], &report["errors"]),
        (&5000.into(), &0.into())
    );
    assert!(report["ops"].as_u64().unwrap() > 0, "{report}");
    let wrong = World::new().bezant(SHORT.iter().chain(&["--preload", "5"]));
    assert!(wrong.ends_with(2).stderr.contains("--preload"));
}

#[test]
fn all_forms_of_a_recipe_are_compared() {
    let mut args = SHORT.to_vec();
    args[1] = "queue";
    args.extend(["--mode", "both"]);
    let report = World::new().bezant(&args).ends_with(0).json();
    for form in ["plain", "best_plain", "extension", "bare_inp"] {
        assert_eq!(report[form]["errors"], 0, "{report}");
        assert!(report[form]["ops"].as_u64().unwrap() > 0, "{report}");
    }
    let calls = |form: &str| report[form]["calls_per_operation"].as_f64().unwrap();
    assert!(calls("plain") > calls("extension"), "{report}");
    for ratio in [
        "ratio",
        "ratio_best_plain",
        "ratio_bare_inp",
        "ratio_latency",
    ] {
        assert!(report[ratio].as_f64().unwrap() > 0.0, "{report}");
    }
    // What has one form only cannot be compared.
    args[1] = "pair";
    World::new().bezant(&args).ends_with(2);
}

/// The recipes that wait and hand over have an extension, too.
#[test]
fn barriers_and_elections_go_through_an_extension() {
    for (op, most) in [("barrier", 1.5), ("election", 3.0)] {
        let mut args = SHORT.to_vec();
        args[1] = op;
        let report = World::new().bezant(&args).ends_with(0).json();
        assert_eq!(report["mode"], "extension", "{report}");
        assert_eq!(report["errors"], 0, "{report}");
        assert!(report["ops"].as_u64().unwrap() > 0, "{report}");
        let calls = report["calls_per_operation"].as_f64().unwrap();
        assert!(calls < most, "{report}");
    }
}
