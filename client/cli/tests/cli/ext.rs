//! `bezant ext`: what is installed by one and agreed to by another.

use serde_json::{Value, json};

use crate::{
    fixture::{BEZANT, World, root},
    processes::Cluster,
};

#[test]
fn an_extension_is_installed_agreed_to_and_removed() {
    let cluster = Cluster::start(&[]);
    let owner = cluster.enrolled();
    let ran = |args: &[&str], code: i32| cluster.as_client(&owner, args).ends_with(code);
    let other_client = cluster.stranger();
    let as_other_client =
        |args: &[&str], code: i32| cluster.as_client(&other_client, args).ends_with(code);
    let key = as_other_client(&["access", "key", "-o", "raw"], 0).stdout;
    ran(&["access", "enrol", key.trim()], 0);

    let manifest = root().join("extensions/recipes/counter/counter.toml");
    let manifest = manifest.to_str().unwrap();
    ran(&["space", "create", "counter"], 0);
    let tried = as_other_client(&["ext", "install", manifest, "--dry-run", "-o", "json"], 0).json();
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
    as_other_client(&increment, 3);
    let applies = |listed: Value| listed["extensions"][0]["applies"].clone();
    let listed = ["ext", "ls", "-o", "json"];
    assert_eq!(applies(as_other_client(&listed, 0).json()), json!(false));
    as_other_client(&["ext", "ack", hash], 0);
    assert_eq!(applies(as_other_client(&listed, 0).json()), json!(true));
    assert_eq!(
        as_other_client(&increment, 0).stdout,
        "(\"counter\", \"hits\", 2)\n"
    );
    as_other_client(&["ext", "unack", hash], 0);
    as_other_client(&increment, 3);

    as_other_client(&["ext", "rm", hash], 4);
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

/// The starter's script runs, and one that expects something else is told what was answered.
#[test]
fn an_extension_is_tested_before_it_is_installed() {
    let world = World::new();
    let mut new = world.command(BEZANT);
    let made = new.args(["ext", "new", "tasks"]).current_dir(world.path());
    assert!(made.status().unwrap().success());
    let manifest = world.path().join("tasks/tasks.toml");
    let manifest = manifest.to_str().unwrap();
    let tested = world.bezant(["ext", "test", manifest, "-o", "json"]);
    let tested = tested.ends_with(0).json();
    assert!(tested["fuel"].as_u64().unwrap() > 1_000, "{tested}");
    let traced = world.bezant(["ext", "test", manifest, "--trace"]);
    let traced = traced.ends_with(0).stdout;
    for said in [
        "tasks 1 runs take instead of inp work (\"task\")",
        "- work (\"todo\", \"paint\")",
        "+ work (\"busy\", \"paint\")",
    ] {
        assert!(traced.contains(said), "{said} in\n{traced}");
    }
    let script = world.path().join("tasks/tasks.test");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(
        &script,
        text.replace("=> (\"busy\", \"paint\")", "=> waits"),
    )
    .unwrap();
    let failed = world.bezant(["ext", "test", manifest]).ends_with(1);
    let place = "tasks.test:7";
    assert!(
        failed
            .stderr
            .contains("answered (\"busy\", \"paint\"), not waits")
            && failed.stderr.contains(place),
        "{failed:?}"
    );
}

/// The scripts beside the recipes are true.
#[test]
fn the_recipes_pass_their_scripts() {
    let world = World::new();
    let mut scripts = 0;
    for folder in std::fs::read_dir(root().join("extensions/recipes")).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if folder.join(format!("{name}.test")).exists() {
            let manifest = folder.join(format!("{name}.toml"));
            world
                .bezant(["ext", "test", manifest.to_str().unwrap()])
                .ends_with(0);
            scripts += 1;
        }
    }
    assert!(scripts >= 12, "only {scripts} have one");
    // And the one that is written in C.
    let manifest = root().join("extensions/examples/c/hits.toml");
    world
        .bezant(["ext", "test", manifest.to_str().unwrap()])
        .ends_with(0);
}

/// A new version, a way back, what holds for everyone, and what it did.
#[test]
fn versions_policies_and_a_number_executed_again() {
    let mut cluster = Cluster::start(&[]);
    let owner = cluster.enrolled();
    let folder = tempfile::tempdir().unwrap();
    let write = |version: u32| {
        let manifest = format!(
            "name = \"says\"\nversion = {version}\nmodule = \"says{version}.wat\"\nfuel = 10000\n\
            memory_pages = 1\n[[subscription]]\nspace = \"s\"\nkinds = [\"count\"]\n\
            template = '(\"says\")'\nentry = \"say\"\n[[subscription]]\nspace = \"s\"\n\
            judges = [\"out\"]\ntemplate = '(\"no\")'\nentry = \"no\"\n[capabilities]\ns = [\"read\"]\n"
        );
        let module = format!(
            "(module (import \"bezant1\" \"reply\" (func $reply (param i32 i32)))
            (import \"bezant1\" \"log\" (func $log (param i32 i32)))
            (import \"bezant1\" \"refuse\" (func $refuse (param i32)))
            (memory (export \"memory\") 1) (data (i32.const 0) \"\\03\\0{version}hello\")
            (func (export \"say\") i32.const 2 i32.const 5 call $log
                i32.const 0 i32.const 2 call $reply)
            (func (export \"no\") i32.const 9 call $refuse))"
        );
        let path = folder.path().join(format!("says{version}.toml"));
        std::fs::write(&path, manifest).unwrap();
        std::fs::write(path.with_extension("wat"), module).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, two) = (write(1), write(2));
    let ran = |args: &[&str], code: i32| cluster.as_client(&owner, args).ends_with(code);
    ran(&["space", "create", "s"], 0);
    let hash = |ran: Value| ran["hash"].as_str().unwrap().to_owned();
    let first = hash(ran(&["ext", "install", &one, "-o", "json"], 0).json());
    let says = ["count", "s", "(\"says\")", "-o", "json"];
    let said = ran(&says, 0).json();
    assert_eq!(said["count"], json!(1));
    let second = hash(ran(&["ext", "upgrade", &first, &two, "-o", "json"], 0).json());
    assert_eq!(ran(&says, 0).json()["count"], json!(2));
    let listed = ran(&["ext", "ls", "-o", "json"], 0).json();
    assert_eq!(listed["extensions"][1]["replaces"], json!(first));
    ran(&["ext", "rollback", &second], 0);
    assert_eq!(ran(&says, 0).json()["count"], json!(1));
    ran(&["ext", "rollback", &second], 1);

    ran(&["out", "s", "(\"no\")"], 0);
    ran(&["ext", "impose", "s", &first], 0);
    let refused = ran(&["out", "s", "(\"no\")"], 1);
    assert!(refused.stderr.contains("code 9"), "{refused:?}");
    ran(&["ext", "rm", &first], 1);
    ran(&["ext", "lift", "s", &first], 0);

    let number = said["seq"].as_u64().unwrap().to_string();
    let node = cluster.stop_one();
    let ran = |args: &[&str], code: i32| cluster.as_client(&owner, args).ends_with(code);
    let replayed = ran(
        &[
            "ext", "replay", "--seq", &number, "--config", &node, "-o", "json",
        ],
        0,
    );
    let replayed = replayed.json();
    let call = &replayed["calls"][0];
    assert_eq!(
        (&call["name"], &call["ended"], &call["failed"]),
        (&json!("says"), &json!("answered 1"), &json!(false)),
        "{replayed}"
    );
    let far = ran(&["ext", "replay", "--seq", "9999999", "--config", &node], 1);
    assert!(far.stderr.contains("not 9999999"), "{far:?}");
}

/// What an extension logs is told by every replica that executed its call.
#[test]
fn an_extension_says_something() {
    let world = World::new();
    let _dev = world.dev();
    let manifest = world.file(
        "says.toml",
        "name = \"says\"\nversion = 1\nmodule = \"says.wat\"\nfuel = 10000\nmemory_pages = 1\n\
        [[subscription]]\nspace = \"s\"\nevents = [\"inserted\"]\ntemplate = '(?int)'\n\
        entry = \"say\"\n",
    );
    world.file(
        "says.wat",
        "(module (import \"bezant1\" \"log\" (func $log (param i32 i32)))
        (memory (export \"memory\") 1) (data (i32.const 0) \"hello\")
        (func (export \"say\") i32.const 0 i32.const 5 call $log))",
    );
    let ran = |args: &[&str], code: i32| world.bezant(args).ends_with(code);
    ran(&["space", "create", "s"], 0);
    ran(&["ext", "install", &manifest], 0);
    ran(&["out", "s", "(7)"], 0);
    let logged = ran(&["ext", "logs", "says", "-o", "jsonl"], 0).stdout;
    // The last replica may not have come so far.
    assert!(logged.lines().count() >= 3, "{logged}");
    let first: Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["name"], &first["text"]),
        (&json!("says"), &json!("hello"))
    );
    ran(&["ext", "logs", "nobody"], 1);
    let stat = ran(&["ext", "stat", "-o", "json"], 0).stdout;
    assert!(stat.contains("\"calls\""), "{stat}");
}
