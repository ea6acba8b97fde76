//! Policies: asked before an operation, of everyone, where the administrator wants it so.

use bezant_api::{
    Answer, Call, Condition, FailureCode, Group, Principal, Refused, Right, Step, Trigger,
};
use bezant_tuplespace::{OperationKind, Outcome, Refusal};

use crate::{
    fixture::{space, template},
    recipes::refusal,
    town::{ANN, BEN, CAT, Town, number_of, on_a, waiting, written},
};

fn attach(town: &mut Town, who: usize, hash: bezant_api::ExtensionHash) -> Answer {
    let space = space("a");
    town.ask(who, &Call::Attach { space, hash })
}

#[test]
fn what_was_put_stays_for_everyone_where_it_is_attached() {
    let mut town = Town::new();
    let hash = town.install_recipe("append_only");
    town.out(BEN, "(1)");
    assert!(town.op(CAT, "inp", "(1)").is_some(), "not attached yet");
    assert_eq!(
        attach(&mut town, BEN, hash),
        Answer::Refused(Refused::Space(Refusal::Forbidden))
    );
    assert_eq!(attach(&mut town, ANN, hash), Answer::Changed(true));
    assert_eq!(attach(&mut town, ANN, hash), Answer::Changed(false));
    town.out(BEN, "(1)");
    // Not even by who administers the space.
    for who in [ANN, BEN, CAT] {
        assert_eq!(
            refusal(&mut town, who, "inp", "(1)"),
            FailureCode::Refused(1)
        );
    }
    assert_eq!(
        refusal(&mut town, BEN, "in", "(1)"),
        FailureCode::Refused(1)
    );
    assert!(town.op(BEN, "rdp", "(1)").is_some());
    // It cannot be taken away from under the space.
    let gone = town.ask(ANN, &Call::Unregister { hash });
    assert_eq!(gone, Answer::Refused(Refused::Attached));
    let detach = Call::Detach {
        space: space("a"),
        hash,
    };
    assert_eq!(town.ask(ANN, &detach), Answer::Changed(true));
    assert!(town.op(BEN, "inp", "(1)").is_some());
    assert_eq!(
        town.ask(ANN, &Call::Unregister { hash }),
        Answer::Changed(true)
    );
}

#[test]
fn a_key_is_written_once() {
    let mut town = Town::new();
    let hash = town.install_recipe("write_once");
    attach(&mut town, ANN, hash);
    town.out(BEN, "(\"config\", \"port\", 80)");
    assert_eq!(
        refusal(&mut town, CAT, "out", "(\"config\", \"port\", 81)"),
        FailureCode::Refused(1)
    );
    town.out(CAT, "(\"config\", \"host\", \"h\")");
    // In a group it is asked as well, and what went before is undone.
    let put = |text: &str| match on_a("out", text) {
        Call::Space { space, operation } => Step::Do(bezant_api::Act { space, operation }),
        other => panic!("{other:?}"),
    };
    let group = Group {
        steps: vec![
            put("(\"config\", \"new\", 1)"),
            put("(\"config\", \"new\", 2)"),
        ],
        otherwise: Vec::new(),
    };
    let refused = town.ask(BEN, &Call::Group(group));
    assert!(
        matches!(refused, Answer::GroupRefused { step: 1, .. }),
        "{refused:?}"
    );
    assert_eq!(town.count("(\"config\", \"new\", _)"), 0);
}

/// A policy that traps refuses all but who administers the space, who can detach it.
#[test]
fn a_policy_that_fails_does_not_open_the_space() {
    let mut town = Town::new();
    let on = Trigger::Judges(vec![OperationKind::Rdp, OperationKind::Count]);
    let broken = written(
        "broken",
        &[(on, "(_)", "judge")],
        "(memory (export \"memory\") 1) (func (export \"judge\") unreachable)",
    );
    let hash = town.install(BEN, broken);
    attach(&mut town, ANN, hash);
    assert_eq!(refusal(&mut town, BEN, "rdp", "(1)"), FailureCode::Trap);
    assert_eq!(town.op(ANN, "rdp", "(1)"), None);
    // What it does not judge goes on.
    town.out(BEN, "(1)");
    // A condition asks the same question as an operation.
    let group = Group {
        steps: vec![Step::Require(Condition::Present {
            space: space("a"),
            template: template("(1)"),
        })],
        otherwise: Vec::new(),
    };
    let refused = town.ask(BEN, &Call::Group(group));
    assert!(
        matches!(
            refused,
            Answer::GroupRefused {
                step: 0,
                why: Refused::Extension(_)
            }
        ),
        "{refused:?}"
    );
}

#[test]
fn a_policy_changes_nothing() {
    let mut town = Town::new();
    let on = Trigger::Judges(vec![OperationKind::Rdp]);
    let (bytes, length) = crate::town::data(0, "(7)");
    let body = format!(
        "(import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
        (memory (export \"memory\") 1) {bytes}
        (func (export \"judge\") i32.const -1 i32.const 0 i32.const {length} call $out)"
    );
    let hash = town.install(ANN, written("writes", &[(on, "(_)", "judge")], &body));
    attach(&mut town, ANN, hash);
    assert_eq!(
        refusal(&mut town, BEN, "rdp", "(7)"),
        FailureCode::Capability
    );
    assert_eq!(town.count("(7)"), 0);
}

/// What a client may not, an extension that he installs may not either.
#[test]
fn no_extension_is_a_way_past_a_policy() {
    let mut town = Town::new();
    town.out(ANN, "(1)");
    let hash = town.install_recipe("append_only");
    attach(&mut town, ANN, hash);
    let asks = bezant_tuple::codec::encode_template(&template("(?int)"));
    let escaped: String = asks.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = asks.len();
    let body = format!(
        "(import \"bezant1\" \"inp\" (func $inp (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1) (data (i32.const 0) \"{escaped}\")
        (func (export \"run\")
            i32.const -1 i32.const 0 i32.const {length} i32.const 64 i32.const 64 call $inp drop)"
    );
    let on = Trigger::Operations(vec![OperationKind::Rdp]);
    town.install(BEN, written("thief", &[(on, "(\"steal\")", "run")], &body));
    let code = refusal(&mut town, BEN, "rdp", "(\"steal\")");
    assert_eq!(code, FailureCode::Space(Refusal::Forbidden.code()));
    assert_eq!(town.count("(1)"), 1);
}

/// Where the administrator wants it, everybody's operations are the extension's.
#[test]
fn an_attached_extension_runs_for_everyone() {
    let mut town = Town::new();
    let hash = town.install_recipe("counter");
    let add = "(\"increment\", \"hits\", 1)";
    assert_eq!(town.op(BEN, "inp", add), None);
    attach(&mut town, ANN, hash);
    let one = Some("(\"counter\", \"hits\", 1)".to_owned());
    assert_eq!(town.op(BEN, "inp", add), one);
    let told = town.ask(BEN, &Call::Inspect { space: space("a") });
    assert!(matches!(told, Answer::Space(info) if info.attached == [hash]));
    // It is gone with the space.
    town.op(BEN, "inp", "(\"counter\", _, _)");
    assert_eq!(
        town.ask(ANN, &Call::RemoveSpace { space: space("a") }),
        Answer::Removed
    );
    assert_eq!(
        town.ask(ANN, &Call::Unregister { hash }),
        Answer::Changed(true)
    );
}

#[test]
fn who_lost_the_right_to_administer_cannot_attach() {
    let mut town = Town::new();
    let hash = town.install_recipe("append_only");
    let principal = Principal::Client(crate::fixture::client_id(number_of(BEN)).0);
    let grant = Call::Grant {
        space: space("a"),
        right: Right::Administer,
        principal,
    };
    assert_eq!(town.ask(ANN, &grant), Answer::Changed(true));
    assert_eq!(attach(&mut town, BEN, hash), Answer::Changed(true));
    town.out(CAT, "(1)");
    assert_eq!(
        refusal(&mut town, CAT, "inp", "(1)"),
        FailureCode::Refused(1)
    );
    let done = town.ask(CAT, &on_a("out", "(2)"));
    assert_eq!(done, Answer::Outcome(Outcome::Done));
}

/// Nor is waiting through one.
#[test]
fn no_wait_is_a_way_past_a_policy() {
    let mut town = Town::new();
    town.out(ANN, "(1)");
    let hash = town.install_recipe("append_only");
    attach(&mut town, ANN, hash);
    let body = waiting(-1, "(?int)", true);
    let on = Trigger::Operations(vec![OperationKind::Rd]);
    town.install(BEN, written("thief", &[(on, "(\"steal\")", "run")], &body));
    let code = refusal(&mut town, BEN, "rd", "(\"steal\")");
    assert_eq!(code, FailureCode::Space(Refusal::Forbidden.code()));
    assert_eq!(town.count("(1)"), 1);
}
