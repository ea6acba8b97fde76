//! Plays every script in `scenarios/` and compares what it answers with what it says.
//!
//! `cargo xtask scenarios update` puts the answers it gets into the scripts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::{fs, path::PathBuf};

use bezant_sim::scenario::{diff, play};

/// Set by `cargo xtask scenarios update`.
const UPDATE: &str = "BEZANT_SCENARIOS_UPDATE";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn check(name: &str) {
    let file = format!("testbed/sim/scenarios/{name}.txt");
    let path = folder().join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let played = play(&file, &text).unwrap_or_else(|failure| panic!("{failure}"));
    if played == text {
        return;
    }
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, played).unwrap();
        return;
    }
    let diff = diff(&text, &played);
    panic!(
        "{file} answers something else than it says (-):\n{diff}\n\
         if that is right: cargo xtask scenarios update"
    );
}

/// One test for each script, so that each can be named and run alone.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const PAGES: &[&str] = &[$(stringify!($name)),*];
    };
}

scripts! {
    a_laggard_catches_up_without_traffic
    a_primary_stands_still
    a_primary_that_leaves_a_request_out
    a_primary_that_proposes_two_things
    a_restarted_replica_keeps_its_word
    a_session_survives_a_transfer
    a_storm_of_view_changes_is_bounded
    an_idle_cluster_says_little
    an_old_proposal_that_others_committed
    decided_twice_executed_once
    gaps_in_a_new_view
    more_than_f_are_joined
    one_client_is_left_out
    one_clock_may_be_wrong_for_ever
    one_of_those_left_restarts
    the_certificate_of_the_highest_view_wins
    the_normal_case
    wrong_clocks_make_nothing_longer
}

#[test]
fn every_script_is_played() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    let named: Vec<String> = PAGES.iter().map(|name| format!("{name}.txt")).collect();
    assert_eq!(
        found, named,
        "scripts in the folder, and scripts named here in order"
    );
}

fn failure(text: &str) -> String {
    play("x.txt", text).unwrap_err().to_string()
}

#[test]
fn a_mistake_is_named_with_its_file_and_line() {
    let begin = "# A script.\ncluster n=4\n----\n\n";
    for (wrong, says) in [
        ("jump\n----\n", "x.txt:5: \"jump \" is no command"),
        (
            "crash 4\n----\n",
            "x.txt:5: \"4\" is no replica of this cluster",
        ),
        (
            "expect no blames\nask z list\n----\n",
            "x.txt:6: \"z\" is no client",
        ),
        ("drop 0 prepare\n----\n", "x.txt:5: say from whom to whom"),
        (
            "drop 0 -> 1 letter\n----\n",
            "x.txt:5: \"letter\" is no kind of message",
        ),
        ("call a out s (\n----\n", "x.txt:5: one pair of parentheses"),
        (
            "adversary 0 kind\n----\n",
            "x.txt:5: \"kind\" is no adversary",
        ),
        ("run 5\n----\n", "x.txt:5: \"5\" is no time"),
        (
            "expect executed 9\n----\n",
            "x.txt:5: expected executed 9, and it is not so",
        ),
        ("----\n", "x.txt:5: ---- without a command above it"),
    ] {
        let said = failure(&format!("{begin}{wrong}"));
        assert!(said.starts_with(says), "{said}");
    }
    let said = failure("crash 1\n----\n");
    assert!(
        said.starts_with("x.txt:1: a script begins with a cluster"),
        "{said}"
    );
}

/// A script cannot pass over work that does not get done.
#[test]
fn work_left_undone_fails_the_script() {
    let said =
        failure("cluster n=4\ncall a out s (\"x\", 1)\nask a in s (\"none\", _)\nsettle\n----\n");
    assert!(said.starts_with("x.txt:4: stuck: session"), "{said}");
    assert!(said.contains("has 1 requests unanswered"), "{said}");
}

#[test]
fn a_difference_is_shown_with_lines_around_it() {
    let said = "1\n2\n3\n4\n5\nold\n7\n8\n9\n10\n11\n12\n";
    let played = said.replace("old", "new");
    let expected =
        "   3   3\n   4   4\n   5   5\n   6 - old\n     + new\n   7   7\n   8   8\n   9   9\n";
    assert_eq!(diff(said, &played), expected);
    assert_eq!(diff(said, said), "");
}
