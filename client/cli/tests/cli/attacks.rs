//! `bezant bench pair --attack` on real processes: every attack has effect, what keeps to the
//! letter of the protocol proves nothing against anybody, and what clients asked for is done.

use serde_json::Value;

use crate::fixture::World;

/// A short measurement under `attack`; the machine may be busy, so that answers may take their
/// time. What holds for every attack is asserted; the rest is the caller's.
fn attack(name: &str, seconds: &str, share: &str) -> Value {
    let arguments = [
        "bench",
        "pair",
        "--clients",
        "6",
        "--seconds",
        "0.5",
        "--warmup",
        "0.1",
        "--attack",
        name,
        "--attack-seconds",
        seconds,
        "--attack-share",
        share,
        "--attack-after",
        "0.2",
        "--timeout",
        "60s",
        "-o",
        "json",
    ];
    let report = World::new().bezant(arguments).ends_with(0).json();
    // Every operation, those under the attack included, was completed, once.
    for none in ["errors", "lost", "doubled"] {
        assert_eq!(report[none], 0, "{report}");
    }
    let attacked = &report["under_attack"];
    assert_eq!(attacked["errors"], 0, "{report}");
    assert_eq!(attacked["attack"], name, "{report}");
    assert!(report["ops"].as_u64().unwrap() > 0, "{report}");
    assert!(attacked["hits"].as_u64().unwrap() > 0, "{report}");
    for figure in ["ratio", "settled_ratio", "longest_stall_ms", "p99_us"] {
        assert!(attacked[figure].is_number(), "{report}");
    }
    assert!(attacked["after"]["ratio"].is_number(), "{report}");
    report
}

/// The same, by a party of which nothing that it says may be held against it.
fn to_the_letter(name: &str, seconds: &str) -> Value {
    let report = attack(name, seconds, "20");
    assert_eq!(report["under_attack"]["evidence"], 0, "{report}");
    report
}

fn attacker(report: &Value) -> &Value {
    &report["under_attack"]["attacker"]
}

#[test]
fn a_silent_primary() {
    let report = to_the_letter("silent", "2.5");
    assert_eq!(attacker(&report)["replica"], 0, "{report}");
    let attacked = &report["under_attack"];
    assert!(attacked["views_entered"].as_u64().unwrap() > 0, "{report}");
    assert!(attacked["ops"].as_u64().unwrap() > 0, "{report}");
    // Nobody is suspected earlier than after a second.
    assert!(
        attacked["longest_stall_ms"].as_u64().unwrap() >= 700,
        "{report}"
    );
}

#[test]
fn a_slow_primary() {
    let report = to_the_letter("slow-primary", "1");
    assert_eq!(attacker(&report)["replica"], 0, "{report}");
}

#[test]
fn an_equivocating_primary() {
    let report = attack("equivocate", "2.5", "20");
    let attacked = &report["under_attack"];
    assert!(attacked["views_entered"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn an_unfair_primary() {
    let report = to_the_letter("unfair", "1");
    assert!(
        report["under_attack"]["ops"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn a_primary_that_proposes_nothing() {
    let report = to_the_letter("empty-proposals", "1");
    assert_eq!(attacker(&report)["replica"], 0, "{report}");
}

#[test]
fn a_hoarding_backup() {
    let report = to_the_letter("hoard", "1.5");
    assert_eq!(attacker(&report)["replica"], 1, "{report}");
    // What it says early is true: nobody blames it for it.
    assert_eq!(report["under_attack"]["blames"], 0, "{report}");
    assert!(
        report["under_attack"]["ops"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn a_storming_backup() {
    let report = to_the_letter("storm", "1");
    assert_eq!(attacker(&report)["replica"], 3, "{report}");
    assert!(attacker(&report)["held_to_percent"].is_u64(), "{report}");
}

#[test]
fn a_backup_that_sends_in_bulk() {
    let report = to_the_letter("bulk", "1");
    assert_eq!(attacker(&report)["replica"], 3, "{report}");
}

#[test]
fn flooding_clients() {
    let report = to_the_letter("flood", "1");
    assert_eq!(attacker(&report)["held_to_percent"], 20, "{report}");
    assert!(
        attacker(&report)["answered"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn clients_that_repeat_what_is_done() {
    // A little: each of these is answered with a quarter of a megabyte.
    let report = attack("repeat", "0.5", "1");
    assert_eq!(report["under_attack"]["evidence"], 0, "{report}");
}

#[test]
fn clients_that_never_acknowledge() {
    let report = to_the_letter("never-acknowledge", "1");
    assert!(
        attacker(&report)["answered"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn clients_whose_signatures_are_wrong() {
    let report = to_the_letter("bad-signatures", "1");
    assert!(
        report["under_attack"]["blames"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn an_overload_asks_for_more_than_was_served() {
    let report = to_the_letter("overload", "1");
    assert!(
        attacker(&report)["offered_ratio"].as_f64().unwrap() > 0.0,
        "{report}"
    );
}

#[test]
fn several_runs_are_compared() {
    let arguments = "bench pair --clients 2 --seconds 0.2 --warmup 0 --attack unfair,hoard \
                     --attack-seconds 0.3 --attack-after 0.1 --timeout 60s";
    let table = World::new()
        .bezant(arguments.split_whitespace())
        .ends_with(0);
    for word in ["unfair", "hoard", "to before", "held to"] {
        assert!(table.stdout.contains(word), "{}", table.stdout);
    }
}

#[test]
fn attacks_that_make_no_measurement_are_refused() {
    for (arguments, because) in [
        ("bench out --attack silent", "workload pair"),
        ("bench pair --attack silent --fault kill", "--fault"),
        ("bench pair --attack silent --attack-share 0", "0"),
        ("bench pair --attack silent --attack-seconds 0", "no time"),
        ("bench pair --attack-seconds 1", "--attack"),
        ("bench pair --attack nonsense", "nonsense"),
        ("attack flood", "no cluster"),
    ] {
        let ran = World::new()
            .bezant(arguments.split_whitespace())
            .ends_with(2);
        assert!(ran.stderr.contains(because), "{}", ran.stderr);
    }
}
