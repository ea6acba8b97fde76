//! Streams, exit codes and JSON: what docs/cli.md promises to scripts.

use serde_json::{Value, json};

use crate::fixture::World;

#[test]
fn a_mistake_in_the_command_ends_with_2_and_says_what_to_do() {
    let world = World::new();
    world.bezant(["no-such-command"]).ends_with(2);
    world.bezant(["rd"]).ends_with(2);
    let ran = world.bezant(["rd", "jobs", r#"("a", ?in)"#]).ends_with(2);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n         ^\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  next: "), "{}", ran.stderr);
    let ran = world.bezant(["rd", "Not A Space", "()"]).ends_with(2);
    assert!(ran.stderr.contains("next: "), "{}", ran.stderr);
}

#[test]
fn without_a_cluster_a_command_says_how_to_get_one() {
    let ran = World::new().bezant(["rd", "jobs", "()"]).ends_with(2);
    assert!(
        ran.stderr.contains("next: start one with bezant dev"),
        "{}",
        ran.stderr
    );
}

#[test]
fn help_and_version_go_to_standard_output() {
    let world = World::new();
    assert!(
        world
            .bezant(["--help"])
            .ends_with(0)
            .stdout
            .contains("Exit codes")
    );
    assert!(
        world
            .bezant(["--version"])
            .ends_with(0)
            .stdout
            .starts_with("bezant 0.")
    );
    let script = world.bezant(["completion", "bash"]).ends_with(0);
    assert!(script.stdout.contains("_bezant()") && script.stderr.is_empty());
}

#[test]
fn operations_keep_the_contract() {
    let world = World::new();
    let _dev = world.dev();
    let common = |value: &Value| {
        assert!(value["seq"].as_u64().unwrap() > 0, "{value}");
        assert!(value["votes"].as_u64().unwrap() >= 2, "{value}");
        assert_eq!(value["of"], 4);
        assert_eq!(value["dissent"], json!([]));
        assert_eq!(value["evidence"], json!([]));
    };
    let ran = world
        .bezant(["out", "jobs", r#"("a", 1, 0x"cafe")"#, "-o", "json"])
        .ends_with(0);
    common(&ran.json());
    assert_eq!(ran.stderr, "");

    let read = world
        .bezant(["rd", "jobs", "(_, ?int, _)", "-o", "json"])
        .ends_with(0)
        .json();
    common(&read);
    assert_eq!(read["op"], "rd");
    assert_eq!(read["space"], "jobs");
    assert_eq!(read["tuple"], json!(["a", 1, { "bytes": "cafe" }]));
    assert_eq!(read["text"], r#"("a", 1, 0x"cafe")"#);
    let raw = world
        .bezant(["rd", "jobs", "(_, ?int, _)", "-o", "raw"])
        .ends_with(0);
    assert_eq!(raw.stdout, "(\"a\", 1, 0x\"cafe\")\n");

    let none = world
        .bezant(["rdp", "jobs", r#"("b")"#, "-o", "json"])
        .ends_with(3);
    assert_eq!(none.json()["tuple"], Value::Null);
    let waited = world
        .bezant(["in", "jobs", r#"("b")"#, "--timeout", "200ms"])
        .ends_with(3);
    assert_eq!(waited.stdout, "");

    let cas = [
        "cas",
        "jobs",
        r#"("lock", _)"#,
        r#"("lock", 1)"#,
        "-o",
        "json",
    ];
    assert_eq!(world.bezant(cas).ends_with(0).json()["inserted"], true);
    let again = world.bezant(cas).ends_with(3).json();
    assert_eq!(
        (&again["inserted"], &again["tuple"]),
        (&json!(false), &json!(["lock", 1]))
    );

    let count = world
        .bezant(["count", "jobs", "(_, _)", "-o", "json"])
        .ends_with(0)
        .json();
    assert_eq!(count["count"], 1);
    let missing = world.bezant(["rdp", "nowhere", "()"]).ends_with(1);
    assert!(missing.stderr.contains("next: "), "{}", missing.stderr);
}

#[test]
fn a_lease_is_given_renewed_and_ends() {
    let world = World::new();
    let _dev = world.dev();
    let renew = |lease| ["renew", "jobs", "(_, ?int)", "--lease", lease, "-o", "json"];
    let out = ["out", "jobs", r#"("a", 1)"#, "--lease", "1h"];
    world.bezant(out).ends_with(0);
    let renewed = world.bezant(renew("2h")).ends_with(0).json();
    assert_eq!(
        (&renewed["op"], &renewed["tuple"]),
        (&json!("renew"), &json!(["a", 1]))
    );
    // It goes by itself: whoever waits for that asks again and again.
    world.bezant(renew("1ms")).ends_with(0);
    let count = ["count", "jobs", "(_, _)", "-o", "json"];
    while world.bezant(count).ends_with(0).json()["count"] != 0 {}
    let late = world.bezant(renew("1h")).ends_with(3).json();
    assert_eq!(late["tuple"], Value::Null);
    let cas = ["cas", "jobs", "(_, _)", r#"("b", 2)"#, "--lease", "9000h"];
    let ran = world.bezant(cas).ends_with(1);
    assert!(ran.stderr.contains("a year"), "{}", ran.stderr);
    world
        .bezant(["out", "jobs", "()", "--lease", "5"])
        .ends_with(2);
}

#[test]
fn pages_go_on_where_they_ended() {
    let world = World::new();
    let _dev = world.dev();
    for number in 0..3 {
        world
            .bezant(["out", "jobs", &format!("({number})")])
            .ends_with(0);
    }
    let page = ["rd-all", "jobs", "(?int)", "--limit", "2", "-o", "json"];
    let first = world.bezant(page).ends_with(0).json();
    let values = |page: &Value| -> Vec<Value> {
        page["tuples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["tuple"][0].clone())
            .collect()
    };
    assert_eq!(values(&first), [json!(0), json!(1)]);
    let after = first["next"].as_str().unwrap().to_owned();
    let second = world
        .bezant(page.into_iter().chain(["--after", &after]))
        .ends_with(0)
        .json();
    assert_eq!(values(&second), [json!(2)]);
    assert_eq!(second["next"], Value::Null);
    // A place in one space is none in another.
    for (foreign, code) in [("other:1", 1), ("1", 2)] {
        let refused = world.bezant(page.into_iter().chain(["--after", foreign]));
        let refused = refused.ends_with(code);
        assert!(refused.stderr.contains("cursor"), "{refused:?}");
    }
    let lines = world
        .bezant(["in-all", "jobs", "(?int)", "-o", "jsonl"])
        .ends_with(0);
    assert_eq!(lines.stdout.lines().count(), 3);
    world.bezant(["in-all", "jobs", "(?int)"]).ends_with(3);
}

#[test]
fn a_lying_replica_is_outvoted_and_convicted() {
    let world = World::new();
    let _dev = world.dev();
    world.bezant(["out", "jobs", "(42)"]).ends_with(0);
    world
        .bezant(["fault", "set", "1", "lie-replies"])
        .ends_with(0);
    let read = world
        .bezant(["rd", "jobs", "(?int)", "-o", "json"])
        .ends_with(0)
        .json();
    assert_eq!(read["tuple"], json!([42]));
    assert_eq!(read["dissent"], json!([1]));
    let evidence = read["evidence"][0].as_str().unwrap();
    let proofs = world.bezant(["audit", "-o", "json"]).ends_with(0).json();
    let proof = &proofs[0];
    assert_eq!(
        (&proof["replica"], &proof["valid"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(proof["offence"], "false-reply");
    assert_eq!(proof["witnesses"].as_array().unwrap().len(), 2);

    let file = std::fs::read_dir(world.path().join("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let file = file.path().join(evidence);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused = world.bezant(["audit", "-o", "json"]).ends_with(1);
    assert_eq!(refused.json()[0]["valid"], false);
    assert!(refused.stderr.contains("convict nobody"), "{refused:?}");
    let missing = world.bezant(["audit", "no-such-file"]).ends_with(1);
    assert!(missing.stderr.contains("cannot be read"), "{missing:?}");
}

#[test]
fn status_counts_replicas() {
    let world = World::new();
    let _dev = world.dev();
    let status = world.bezant(["status", "-o", "json"]).ends_with(0).json();
    assert_eq!((&status["n"], &status["f"]), (&json!(4), &json!(1)));
    let replicas = status["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 4);
    assert!(
        replicas
            .iter()
            .zip(0..)
            .all(|(r, id)| r["status"]["replica"] == json!(id))
    );
}

#[test]
fn contexts_are_listed_chosen_and_forgotten() {
    let world = World::new();
    let dir = world.path().join("made");
    let hosts = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403,127.0.0.1:7404";
    let init = [
        "cluster",
        "init",
        "--hosts",
        hosts,
        "--dir",
        dir.to_str().unwrap(),
    ];
    world.bezant(init).ends_with(0);
    let again = world.bezant(init).ends_with(1);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);

    let cluster = dir.join("cluster.toml");
    world
        .bezant(["context", "add", "one", cluster.to_str().unwrap()])
        .ends_with(0);
    world.bezant(["context", "use", "two"]).ends_with(2);
    let list = world
        .bezant(["context", "ls", "-o", "json"])
        .ends_with(0)
        .json();
    assert_eq!(
        (&list[0]["name"], &list[0]["current"]),
        (&json!("one"), &json!(true))
    );
    let shown = world
        .bezant(["config", "show", "-o", "json"])
        .ends_with(0)
        .json();
    assert_eq!(shown["context"], "one");
    world.bezant(["context", "rm", "one"]).ends_with(0);
    assert_eq!(
        world
            .bezant(["context", "ls", "-o", "raw"])
            .ends_with(0)
            .stdout,
        ""
    );
}

#[test]
fn configuration_that_cannot_be_used_is_named() {
    let world = World::new();
    let dir = world.path().join("made");
    let hosts = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403,127.0.0.1:7404";
    let dir_text = dir.to_str().unwrap();
    world
        .bezant(["cluster", "init", "--hosts", hosts, "--dir", dir_text])
        .ends_with(0);
    let node = dir.join("replica-2").join("node.toml");
    let node_text = node.to_str().unwrap();
    world.bezant(["config", "check", node_text]).ends_with(0);
    let text = std::fs::read_to_string(&node).unwrap();
    std::fs::write(&node, text.replace("replica = 2", "replica = 1")).unwrap();
    let ran = world.bezant(["config", "check", node_text]).ends_with(1);
    assert!(
        ran.stderr.contains("this is the key of replica 2"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("next: set replica = 2"),
        "{}",
        ran.stderr
    );

    let few = [
        "cluster",
        "init",
        "--hosts",
        "127.0.0.1:7401",
        "--dir",
        "few",
    ];
    let ran = world.bezant(few).ends_with(1);
    assert!(
        ran.stderr.contains("next: list 3f+1 replicas"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_group_keeps_the_contract() {
    let world = World::new();
    let _dev = world.dev();
    world.bezant(["out", "jobs", "(1)"]).ends_with(0);
    let mv = [
        "group", "-o", "json", "present", "jobs", "(1)", "+", "inp", "jobs", "(1)", "+", "out",
        "done", "(2)", "--else", "count", "jobs", "(_)",
    ];
    let moved = world.bezant(mv).ends_with(0).json();
    assert_eq!(moved["op"], "group");
    assert_eq!(moved["unmet"], Value::Null);
    assert!(moved["seq"].as_u64().unwrap() > 0 && moved["votes"].as_u64().unwrap() >= 2);
    assert_eq!(moved["outcomes"][0]["op"], "inp");
    assert_eq!(moved["outcomes"][0]["tuple"], json!([1]));
    assert_eq!(moved["outcomes"][1]["space"], "done");

    let late = world.bezant(mv).ends_with(3).json();
    assert_eq!(late["unmet"], 0);
    assert_eq!(
        late["outcomes"],
        json!([{ "op": "count", "space": "jobs", "count": 0 }])
    );

    let ran = world.bezant(["group", "rdp", "done", "(2)", "+", "absent", "done", "(3)"]);
    let ran = ran.ends_with(0);
    assert!(ran.stdout.starts_with("(2)\nok  seq "), "{}", ran.stdout);

    let ran = world.bezant(["group", "out", "done", "(3)", "+", "rdp", "nowhere", "(_)"]);
    let ran = ran.ends_with(1);
    assert!(ran.stderr.contains("step 1 of the group"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  next: "), "{}", ran.stderr);
    world.bezant(["rdp", "done", "(3)"]).ends_with(3);

    let ran = world.bezant(["group", "take", "jobs", "(_)"]).ends_with(2);
    assert!(
        ran.stderr.contains("step `take jobs (_)`"),
        "{}",
        ran.stderr
    );
    let ran = world.bezant(["group", "rd", "jobs", "(_)"]).ends_with(1);
    assert!(ran.stderr.contains("waits"), "{}", ran.stderr);
}

/// More than a page, of several arities and kinds, and back into another space.
#[test]
fn what_is_exported_can_be_imported() {
    let world = World::new();
    let _dev = world.dev();
    let lines: String = (0..1200)
        .map(|i| format!("(\"n\", {i})\n"))
        .chain(["\n()\n(0x\"cafe\", [nil, true], \"x\")\n".to_owned()])
        .collect();
    let typed = world.file("typed.txt", &lines);
    let ran = world.bezant(["import", "a", &typed]).ends_with(0);
    assert_eq!(ran.stdout, "ok  1202 tuples\n");
    let exported = world.bezant(["export", "a"]).ends_with(0).stdout;
    assert_eq!(exported.lines().count(), 1202);
    let file = world.file("a.jsonl", &exported);
    world.bezant(["import", "b", &file]).ends_with(0);
    let again = world.bezant(["export", "b"]).ends_with(0).stdout;
    assert_eq!(again, exported);

    let raw = world
        .bezant(["export", "b", "(_, _, _)", "-o", "raw"])
        .ends_with(0);
    assert_eq!(raw.stdout, "(0x\"cafe\", [nil, true], \"x\")\n");
    world.bezant(["export", "b", "(1)"]).ends_with(3);

    let wrong = world.file("wrong.jsonl", "(1)\n{\"tuple\": [1]}\n");
    let ran = world.bezant(["import", "c", &wrong]).ends_with(2);
    assert!(ran.stderr.contains("line 2"), "{}", ran.stderr);
    world.bezant(["rdp", "c", "(1)"]).ends_with(1);
    let ran = world.bezant(["import", "c", "no-such-file"]).ends_with(1);
    assert!(ran.stderr.contains("no-such-file"), "{}", ran.stderr);
}

/// What is there, then what happened, each with its number; and on behind any of them.
#[test]
fn a_watch_tells_what_happens() {
    let world = World::new();
    let _dev = world.dev();
    for tuple in ["(1)", "(\"other\")", "(2)"] {
        world.bezant(["out", "jobs", tuple]).ends_with(0);
    }
    world.bezant(["inp", "jobs", "(1)"]).ends_with(0);
    let there = world
        .bezant(["watch", "jobs", "(?int)", "--existing", "--count", "1"])
        .ends_with(0);
    assert_eq!(there.stdout, "       -  there     (2)\n");
    let told = world
        .bezant(["watch", "jobs", "(?int)", "--after", "0", "--count", "3"])
        .ends_with(0);
    let expected = "       1  inserted  (1)\n       3  inserted  (2)\n       4  taken     (1)\n";
    assert_eq!(told.stdout, expected);
    let line = world
        .bezant([
            "watch", "jobs", "(?int)", "--after", "3", "--count", "1", "-o", "json",
        ])
        .ends_with(0)
        .json();
    let expected = json!({
        "event": "taken", "number": 4, "id": 1, "tuple": [1], "text": "(1)",
    });
    assert_eq!(line, expected);
    let ahead = world
        .bezant(["watch", "jobs", "(?int)", "--after", "99"])
        .ends_with(1);
    assert!(ahead.stderr.contains("\n  next: "), "{}", ahead.stderr);
    world
        .bezant(["watch", "nowhere", "(_)", "--existing"])
        .ends_with(1);
}
