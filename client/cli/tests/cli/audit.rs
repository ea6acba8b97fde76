//! Evidence from a running cluster convicts the guilty replica to somebody who has
//! nothing but the cluster's public file.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::fixture::{BEZANT, Ran, Running, World};

const DEADLINE: Duration = Duration::from_secs(30);

/// What `bezant audit` says of `paths` to a stranger with this cluster file.
fn audit(cluster: &Path, paths: &[&Path], code: i32) -> (Value, Ran) {
    let stranger = World::new();
    let mut args = vec!["audit", "-o", "json", "--cluster"];
    args.push(cluster.to_str().unwrap());
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let ran = stranger.bezant(args).ends_with(code);
    (
        serde_json::from_str(&ran.stdout).unwrap_or(Value::Null),
        ran,
    )
}

/// Waits until the evidence in a replica's data folder is there; one of its files.
fn await_evidence(cluster: &Path, data: &Path) -> PathBuf {
    let begun = Instant::now();
    loop {
        let (pieces, _) = audit(cluster, &[data], 0);
        if let Some(piece) = pieces.as_array().unwrap().first() {
            return PathBuf::from(piece["file"].as_str().unwrap());
        }
        assert!(begun.elapsed() < DEADLINE, "no evidence in {data:?}");
    }
}

#[test]
fn an_equivocating_primary_is_convicted_from_the_folders_of_the_others() {
    let world = World::new();
    let kept = world.path().join("kept");
    let mut dev = world.command(BEZANT);
    dev.args(["dev", "-o", "jsonl", "--data"]).arg(&kept);
    let dev = Running::start(&mut dev);
    world.bezant(["out", "jobs", "(1)"]).ends_with(0);
    world
        .bezant(["fault", "set", "0", "equivocate"])
        .ends_with(0);
    world.bezant(["out", "jobs", "(2)"]).ends_with(0);

    let cluster = kept.join("cluster.toml");
    let data = |id: u8| kept.join(format!("data-{id}"));
    let files: Vec<_> = (1..4)
        .map(|id| await_evidence(&cluster, &data(id)))
        .collect();
    let list = world.bezant(["status", "-o", "json"]).ends_with(0).json();
    assert!(list["replicas"][1]["status"]["evidence"].as_u64() >= Some(1));
    drop(dev);

    let (pieces, _) = audit(&cluster, &[&kept], 0);
    for piece in pieces.as_array().unwrap() {
        assert_eq!(
            (&piece["replica"], &piece["valid"]),
            (&json!(0), &json!(true))
        );
        assert_eq!(piece["offence"], "two-proposals");
        assert_eq!(piece["view"], 0);
    }

    // The public files of two clusters differ in everything that is signed.
    let other = World::new();
    let folder = other.path().join("other");
    let hosts = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4";
    let folder_text = folder.to_str().unwrap();
    other
        .bezant(["cluster", "init", "--hosts", hosts, "--dir", folder_text])
        .ends_with(0);
    let (pieces, ran) = audit(&folder.join("cluster.toml"), &[&files[0]], 1);
    assert_eq!(pieces[0]["reason"], "it is about another cluster");
    assert!(ran.stderr.contains("convict nobody"), "{ran:?}");

    // One bit, anywhere, and it proves nothing; what is beside it still does.
    let mut bytes = fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&files[1], bytes).unwrap();
    let (pieces, _) = audit(&cluster, &[&files[0], &files[1]], 1);
    assert_eq!(
        (&pieces[0]["valid"], &pieces[1]["valid"]),
        (&json!(true), &json!(false))
    );

    let (_, ran) = audit(&cluster, &[Path::new("/nowhere/ev-0")], 1);
    assert!(
        ran.stderr.contains("/nowhere/ev-0 cannot be read"),
        "{ran:?}"
    );
    let (pieces, _) = audit(&cluster, &[&cluster], 1);
    assert_eq!(pieces[0]["reason"], "this is no evidence of Bezant's");
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(audit(&cluster, &[nothing.path()], 0).0, json!([]));
}

/// What an admin endpoint answers.
fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    answer.split_off(end + 4)
}

/// A replica without a folder shows what it has on its admin endpoint.
#[test]
fn evidence_in_memory_is_exported_by_the_admin_endpoint() {
    let world = World::new();
    let _dev = world.dev();
    world.bezant(["out", "jobs", "(1)"]).ends_with(0);
    let status = world.bezant(["status", "-o", "json"]).ends_with(0).json();
    let admin = status["replicas"][2]["admin"].as_str().unwrap().to_owned();
    assert_eq!(get(&admin, "/evidence"), b"[]");
    world
        .bezant(["fault", "set", "0", "equivocate"])
        .ends_with(0);
    world.bezant(["out", "jobs", "(2)"]).ends_with(0);
    let begun = Instant::now();
    let name = loop {
        let list: Value = serde_json::from_slice(&get(&admin, "/evidence")).unwrap();
        if let Some(piece) = list.as_array().unwrap().first() {
            assert_eq!(
                (&piece["replica"], &piece["offence"]),
                (&json!(0), &json!("two-proposals"))
            );
            break piece["name"].as_str().unwrap().to_owned();
        }
        assert!(begun.elapsed() < DEADLINE, "no evidence");
    };
    let file = world.path().join("exported");
    fs::write(&file, get(&admin, &format!("/evidence/{name}"))).unwrap();
    let pieces = world.bezant(["audit", "-o", "json", file.to_str().unwrap()]);
    let pieces = pieces.ends_with(0).json();
    assert_eq!(
        (&pieces[0]["replica"], &pieces[0]["valid"]),
        (&json!(0), &json!(true))
    );
}
