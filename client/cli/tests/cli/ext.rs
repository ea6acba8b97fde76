//! `bezant ext`: what is installed by one and agreed to by another.

use serde_json::{Value, json};

use crate::{
    fixture::{World, root},
    processes::Cluster,
};

#[test]
fn an_extension_is_installed_agreed_to_and_removed() {
    let cluster = Cluster::start(&[]);
    let owner = cluster.enrolled();
    let ran = |args: &[&str], code: i32| cluster.as_client(&owner, args).ends_with(code);
    let guest = cluster.stranger();
    let as_guest = |args: &[&str], code: i32| cluster.as_client(&guest, args).ends_with(code);
    let key = as_guest(&["access", "key", "-o", "raw"], 0).stdout;
    ran(&["access", "enrol", key.trim()], 0);

    let manifest = root().join("extensions/recipes/counter/counter.toml");
    let manifest = manifest.to_str().unwrap();
    ran(&["space", "create", "counter"], 0);
    let tried = as_guest(&["ext", "install", manifest, "--dry-run", "-o", "json"], 0).json();
    assert_eq!(
        (&tried["installed"], &tried["applies"]),
        (&json!(false), &json!(false))
    );
    let installed = ran(&["ext", "install", manifest, "-o", "json"], 0).json();
    let hash = installed["hash"].as_str().unwrap();
    assert_eq!(tried["hash"], json!(hash));
    let increment = [
        "inp",
        "counter",
        "(\"increment\", \"hits\", 1)",
        "-o",
        "raw",
    ];
    assert_eq!(ran(&increment, 0).stdout, "(\"counter\", \"hits\", 1)\n");

    // To another client it is a plain operation until he agrees.
    as_guest(&increment, 3);
    let applies = |listed: Value| listed["extensions"][0]["applies"].clone();
    let listed = ["ext", "ls", "-o", "json"];
    assert_eq!(applies(as_guest(&listed, 0).json()), json!(false));
    as_guest(&["ext", "ack", hash], 0);
    assert_eq!(applies(as_guest(&listed, 0).json()), json!(true));
    assert_eq!(
        as_guest(&increment, 0).stdout,
        "(\"counter\", \"hits\", 2)\n"
    );
    as_guest(&["ext", "unack", hash], 0);
    as_guest(&increment, 3);

    as_guest(&["ext", "rm", hash], 4);
    ran(&["ext", "rm", hash], 0);
    ran(&increment, 3);
    assert_eq!(ran(&["ext", "ls", "-o", "raw"], 0).stdout, "");
    for gone in [["ext", "ack", hash], ["ext", "rm", hash]] {
        let gone = ran(&gone, 1);
        assert!(gone.stderr.contains("next: "), "{gone:?}");
    }
    ran(&["ext", "ack", "abc"], 2);
}

#[test]
fn what_is_wrong_with_files_of_an_extension_is_said() {
    let world = World::new();
    let place = |name: &str| world.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(place("half.wat"), "(module").unwrap();
    std::fs::write(place("none.wasm"), b"\0asm").unwrap();
    std::fs::write(place("none.toml"), "name = 1").unwrap();
    for (file, code) in [
        ("half.wat", 1),
        ("none.wasm", 1),
        ("none.toml", 2),
        ("gone.toml", 1),
    ] {
        let said = world.bezant(["ext", "check", &place(file)]).ends_with(code);
        assert!(said.stderr.contains(file), "{said:?}");
        assert!(said.stderr.contains("next: "), "{said:?}");
    }
    world.bezant(["ext", "new", "Upper"]).ends_with(2);
}

/// Replicas may lag, but those that answered have counted.
#[test]
fn replicas_tell_what_an_extension_did() {
    let world = World::new();
    let _dev = world.dev();
    let ran = |args: &[&str], code: i32| world.bezant(args).ends_with(code);
    let manifest = root().join("extensions/recipes/counter/counter.toml");
    ran(&["space", "create", "counter"], 0);
    ran(&["ext", "install", manifest.to_str().unwrap()], 0);
    ran(&["inp", "counter", "(\"increment\", \"hits\", 1)"], 0);
    ran(&["inp", "counter", "(\"increment\", ?text, ?int)"], 1);
    let stat = ran(&["ext", "stat", "-o", "json"], 0).json();
    let all = stat.as_array().unwrap();
    assert_eq!(all.len(), 4, "{stat}");
    let done: Vec<&Value> = all.iter().filter(|one| one["calls"] == json!(2)).collect();
    assert!(done.len() >= 2, "{stat}");
    for one in done {
        assert_eq!(
            (&one["name"], &one["failures"]),
            (&json!("counter"), &json!(1))
        );
        assert!(one["fuel"].as_u64() > Some(2_000), "{stat}");
        assert!(one["last_failure"].is_string(), "{stat}");
    }
    let table = ran(&["ext", "stat"], 0).stdout;
    assert_eq!(table.lines().count(), 5, "{table}");
}
