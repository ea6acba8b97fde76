//! `bezant lock` and `bezant elect`: commands that run while something is held.

use std::process::{Child, Stdio};

use serde_json::json;

use crate::fixture::{BEZANT, World};

/// Runs `bezant` beside the test, with its output read later.
fn beside(world: &World, args: &[&str]) -> Child {
    let mut command = world.command(BEZANT);
    let command = command.args(args).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn text_of(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn commands_run_one_after_the_other_and_see_their_fence() {
    let world = World::new();
    let _dev = world.dev();
    let log = world.path().join("log");
    let log = log.to_str().unwrap();
    // Were two of them inside, a second `in` would stand before an `out`.
    let script = format!("echo in >> {log}; echo $BEZANT_FENCE; echo out >> {log}");
    let all: Vec<Child> = (0..6)
        .map(|_| beside(&world, &["lock", "one", "--", "sh", "-c", &script]))
        .collect();
    let mut fences: Vec<u64> = Vec::new();
    for child in all {
        let (code, text) = text_of(child);
        assert_eq!(code, Some(0));
        fences.push(text.trim().parse().unwrap());
    }
    fences.sort_unstable();
    fences.dedup();
    assert_eq!(fences.len(), 6);
    assert_eq!(std::fs::read_to_string(log).unwrap(), "in\nout\n".repeat(6));
    let left = world.bezant(["count", "locks", "(_, _, _, _)", "-o", "raw"]);
    assert_eq!(left.ends_with(0).stdout, "0\n");
}

#[test]
fn the_exit_code_is_the_commands() {
    let world = World::new();
    let _dev = world.dev();
    world
        .bezant(["lock", "one", "--", "sh", "-c", "exit 7"])
        .ends_with(7);
    world
        .bezant(["lock", "one", "--", "sh", "-c", "kill -9 $$"])
        .ends_with(128 + 9);
    let ran = world.bezant(["lock", "one", "--", "/no/such/program"]);
    let ran = ran.ends_with(2);
    assert!(ran.stderr.contains("/no/such/program"), "{ran:?}");
    world.bezant(["lock", "one"]).ends_with(2);
    // Nothing of it stands in the way.
    world
        .bezant(["lock", "one", "--within", "10s", "--", "true"])
        .ends_with(0);
}

#[test]
fn a_lock_that_is_held_is_given_up_in_time() {
    let world = World::new();
    let _dev = world.dev();
    let pipe = world.path().join("go");
    let pipe = pipe.to_str().unwrap();
    assert!(
        world
            .command("mkfifo")
            .arg(pipe)
            .status()
            .unwrap()
            .success()
    );
    world.bezant(["space", "create", "locks"]).ends_with(0);
    // Nobody ever writes to it: it reads until it is stopped.
    let holder = beside(&world, &["lock", "one", "--shared", "--", "cat", pipe]);
    let there = r#"("rwlock", "one", "read", ?bytes)"#;
    world.bezant(["rd", "locks", there]).ends_with(0);
    let short = ["lock", "one", "--within", "300ms"];
    let alone = short.iter().chain(&["--exclusive", "--", "true"]);
    world.bezant(alone).ends_with(3);
    let shared = short.iter().chain(&["--shared", "--", "true"]);
    world.bezant(shared).ends_with(0);
    // Another lock of the same name.
    let permit = short.iter().chain(&["--permits", "1", "--", "true"]);
    world.bezant(permit).ends_with(0);
    // Somebody takes it away: the command is stopped.
    world.bezant(["inp", "locks", there]).ends_with(0);
    let (code, _) = text_of(holder);
    assert_eq!(code, Some(1));
}

#[test]
fn a_leader_leads_until_its_command_ends_and_all_see_who() {
    let world = World::new();
    let _dev = world.dev();
    // There is no such space yet.
    let refused = world.bezant(["elect", "head", "--leader"]).ends_with(1);
    assert!(refused.stderr.contains("space create"), "{refused:?}");
    let script = format!("{BEZANT} elect head --leader -o json");
    let ran = world.bezant(["elect", "head", "--as", "me", "--", "sh", "-c", &script]);
    let told = ran.ends_with(0).json();
    assert_eq!(told["leader"], json!("me"));
    assert!(told["fence"].as_u64().unwrap() > 0, "{told}");
    world.bezant(["elect", "head", "--leader"]).ends_with(3);
    world.bezant(["elect", "head"]).ends_with(2);
    world
        .bezant(["elect", "head", "--leader", "--", "true"])
        .ends_with(2);
}
