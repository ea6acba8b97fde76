//! `bezant space` and `bezant access`: who may do what.

use serde_json::json;

use crate::processes::Cluster;

#[test]
fn rights_are_given_taken_and_shown() {
    let cluster = Cluster::start(&[]);
    let operator = cluster.enrolled();
    let ran = |args: &[&str], code: i32| cluster.as_client(&operator, args).ends_with(code);
    let other_client = cluster.stranger();
    let as_other_client =
        |args: &[&str], code: i32| cluster.as_client(&other_client, args).ends_with(code);

    // Who it is, one knows without asking anybody.
    let key = as_other_client(&["access", "key", "-o", "raw"], 0).stdout;
    let key = key.trim();
    as_other_client(&["access", "mine"], 4);
    ran(&["access", "enrol", key], 0);
    let again = ran(&["access", "enrol", key, "-o", "json"], 0).json();
    assert_eq!(again["changed"], json!(false));
    let mine = as_other_client(&["access", "mine", "-o", "json"], 0).json();
    assert_eq!(mine["client"], json!(key));
    assert_eq!(
        (&mine["operator"], &mine["spaces"]),
        (&json!(false), &json!({}))
    );

    ran(&["space", "create", "vault", "--private"], 0);
    ran(&["out", "vault", "(1)"], 0);
    for denied in [
        &["rdp", "vault", "(_)"][..],
        &["watch", "vault", "(_)"],
        &["out", "vault", "(2)"],
        &["space", "grant", "vault", "read", "anyone"],
        &["space", "rm", "vault"],
        &["access", "enrol", key],
    ] {
        let denied = as_other_client(denied, 4);
        assert!(denied.stderr.contains("next: "), "{denied:?}");
    }
    ran(&["access", "join", "readers", key], 0);
    ran(&["space", "grant", "vault", "read", "group:readers"], 0);
    assert_eq!(
        as_other_client(&["rdp", "vault", "(_)", "-o", "raw"], 0).stdout,
        "(1)\n"
    );
    as_other_client(&["inp", "vault", "(_)"], 4);
    ran(&["space", "grant", "vault", "insert", key], 0);
    let shown = as_other_client(&["space", "show", "vault", "-o", "json"], 0).json();
    assert_eq!(shown["read"], json!(["group:readers"]));
    assert_eq!(shown["insert"], json!([key]));
    assert_eq!((&shown["take"], &shown["tuples"]), (&json!([]), &json!(1)));
    ran(&["space", "quota", "vault", "--tuples", "1"], 0);
    let full = as_other_client(&["out", "vault", "(2)"], 1);
    assert!(full.stderr.contains("quota"), "{full:?}");
    let shown = as_other_client(&["space", "show", "vault", "-o", "json"], 0).json();
    assert_eq!(
        (&shown["quota_tuples"], &shown["quota_bytes"]),
        (&json!(1), &json!(null))
    );
    ran(&["space", "quota", "vault"], 0);
    // The same for one client, wherever it puts tuples.
    as_other_client(&["access", "quota", key, "--tuples", "9"], 4);
    ran(&["access", "quota", key, "--tuples", "1"], 0);
    as_other_client(&["out", "vault", "(2)"], 0);
    let full = as_other_client(&["out", "vault", "(3)"], 1);
    assert!(full.stderr.contains("operator"), "{full:?}");
    let mine = as_other_client(&["access", "mine", "-o", "json"], 0).json();
    let account = &mine["account"];
    assert_eq!(
        (&account["tuples"], &account["quota_tuples"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(account["quota_bytes"], json!(null));
    ran(&["access", "quota", key], 0);
    ran(&["inp", "vault", "(2)"], 0);
    let mine = as_other_client(&["access", "mine", "-o", "json"], 0).json();
    assert_eq!(mine["spaces"]["vault"], json!(["insert", "read"]));
    assert_eq!(mine["groups"], json!(["readers"]));
    // One tuple for the group to see and for this client to take, one for nobody here.
    ran(&["space", "grant", "vault", "take", key], 0);
    let group = ["--reader", "group:readers", "--taker", key];
    ran(&[&["out", "vault", "(7)"][..], &group].concat(), 0);
    let elsewhere = "ab".repeat(32);
    let somebody = ["--reader", &elsewhere, "--taker", &elsewhere];
    ran(&[&["out", "vault", "(8)"][..], &somebody].concat(), 0);
    as_other_client(&["rdp", "vault", "(7)"], 0);
    ran(&["inp", "vault", "(7)"], 3);
    as_other_client(&["inp", "vault", "(7)"], 0);
    as_other_client(&["rdp", "vault", "(8)"], 3);
    ran(&["out", "vault", "(9)", "--reader", "somebody"], 2);
    ran(&["access", "leave", "readers", key], 0);
    as_other_client(&["rdp", "vault", "(_)"], 4);

    for wrong in [
        &["space", "grant", "vault", "write", "anyone"][..],
        &["space", "grant", "vault", "read", "everyone"],
        &["access", "join", "Readers", key],
        &["access", "enrol", "abc"],
    ] {
        ran(wrong, 2);
    }
    let holds = ran(&["space", "rm", "vault"], 1);
    assert!(holds.stderr.contains("--all"), "{holds:?}");
    ran(&["out", "vault", "(\"a\", 2)"], 0);
    ran(&["space", "rm", "vault", "--all"], 0);
    assert_eq!(ran(&["space", "ls", "-o", "raw"], 0).stdout, "");

    ran(&["access", "expel", key], 0);
    as_other_client(&["space", "ls"], 4);
}
