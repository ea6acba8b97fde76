//! The recipes that wait, hand over or hear of events, as their clients meet them.

use bezant_api::{Answer, FailureCode, Refused};

use crate::town::{ANN, BEN, CAT, DAN, Town, on_a};

/// The code with which an extension refuses an operation.
pub(crate) fn refusal(town: &mut Town, who: usize, kind: &str, text: &str) -> FailureCode {
    match town.ask(who, &on_a(kind, text)) {
        Answer::Refused(Refused::Extension(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_barrier_lets_all_pass_when_the_last_has_come_and_serves_the_next_round() {
    let mut town = Town::with("barrier");
    for _round in 0..2 {
        let first = town.start(ANN, "rd", "(\"barrier\", \"b\", 3)");
        let second = town.start(BEN, "rd", "(\"barrier\", \"b\", 3)");
        assert_eq!(
            (town.delivered(first), town.delivered(second)),
            (None, None)
        );
        let all = Some("(\"barrier\", \"b\", 3)".to_owned());
        assert_eq!(town.op(CAT, "rd", "(\"barrier\", \"b\", 3)"), all);
        assert_eq!(
            (town.delivered(first), town.delivered(second)),
            (all.clone(), all)
        );
        assert_eq!(town.count("(\"came\", _)"), 0);
    }
    let code = refusal(&mut town, ANN, "rd", "(\"barrier\", \"b\", 0)");
    assert_eq!(code, FailureCode::Refused(2));
}

#[test]
fn a_party_whose_session_ends_is_missing_at_the_barrier() {
    let mut town = Town::with("barrier");
    town.start(ANN, "rd", "(\"barrier\", \"b\", 2)");
    town.comes_back(ANN);
    let waits = town.start(BEN, "rd", "(\"barrier\", \"b\", 2)");
    assert_eq!(town.delivered(waits), None);
    town.start(CAT, "rd", "(\"barrier\", \"b\", 2)");
    assert!(town.delivered(waits).is_some());
}

#[test]
fn leadership_goes_on_in_the_order_of_candidacy_whether_a_leader_steps_down_or_dies() {
    let mut town = Town::with("election");
    let says = |town: &mut Town| town.op(DAN, "rdp", "(\"leader\", \"x\", ?text)");
    assert_eq!(says(&mut town), None);
    let campaign = |town: &mut Town, who, name: &str| {
        town.start(who, "rd", &format!("(\"leader\", \"x\", \"{name}\")"))
    };
    let ann = campaign(&mut town, ANN, "ann");
    let ben = campaign(&mut town, BEN, "ben");
    let cat = campaign(&mut town, CAT, "cat");
    let leads = |name: &str| Some(format!("(\"leader\", \"x\", \"{name}\")"));
    assert_eq!(town.delivered(ann), leads("ann"));
    assert_eq!((town.delivered(ben), town.delivered(cat)), (None, None));
    // She steps down.
    let stepped = town.op(ANN, "inp", "(\"candidate\", \"x\", \"ann\", _)");
    assert!(stepped.is_some());
    assert_eq!(town.delivered(ben), leads("ben"));
    assert_eq!(town.delivered(cat), None);
    assert_eq!(says(&mut town), leads("ben"));
    // He dies.
    town.comes_back(BEN);
    assert_eq!(town.delivered(cat), leads("cat"));
    assert_eq!(says(&mut town), leads("cat"));
    // Asking again changes nothing.
    let again = campaign(&mut town, CAT, "cat");
    assert_eq!(town.delivered(again), leads("cat"));
    assert_eq!(town.count("(\"candidate\", _, _, _)"), 1);
}

#[test]
fn a_lock_has_one_holder_and_its_fence_grows() {
    let mut town = Town::with("lock");
    let lock = |town: &mut Town, who, token: &str| {
        town.start(who, "rd", &format!("(\"lock\", \"l\", \"{token}\", ?int)"))
    };
    let ann = lock(&mut town, ANN, "ann");
    let ben = lock(&mut town, BEN, "ben");
    let cat = lock(&mut town, CAT, "cat");
    let held = |name: &str, fence| Some(format!("(\"lock\", \"l\", \"{name}\", {fence})"));
    assert_eq!(town.delivered(ann), held("ann", 1));
    assert_eq!((town.delivered(ben), town.delivered(cat)), (None, None));
    // One who waits gives up: nobody gets the lock by that.
    town.op(BEN, "inp", "(\"lock line\", \"l\", \"ben\", _)");
    assert_eq!((town.delivered(ben), town.delivered(cat)), (None, None));
    town.comes_back(ANN);
    assert_eq!(town.delivered(cat), held("cat", 3));
    let again = lock(&mut town, ANN, "ann");
    assert_eq!(town.delivered(again), None);
    town.op(CAT, "inp", "(\"lock line\", \"l\", \"cat\", _)");
    assert_eq!(town.delivered(again), held("ann", 4));
    assert_eq!(
        refusal(&mut town, ANN, "rd", "(\"lock\", \"l\", ?text, ?int)"),
        FailureCode::Refused(1)
    );
}

#[test]
fn readers_share_a_lock_and_nobody_is_overtaken() {
    let mut town = Town::with("rwlock");
    let read = "(\"read lock\", \"l\", \"NAME\")";
    let write = "(\"write lock\", \"l\", \"NAME\")";
    let ask =
        |town: &mut Town, who, text: &str, name| town.start(who, "rd", &text.replace("NAME", name));
    let ann = ask(&mut town, ANN, read, "ann");
    let ben = ask(&mut town, BEN, read, "ben");
    let cat = ask(&mut town, CAT, write, "cat");
    let dan = ask(&mut town, DAN, read, "dan");
    assert!(town.delivered(ann).is_some() && town.delivered(ben).is_some());
    assert_eq!((town.delivered(cat), town.delivered(dan)), (None, None));
    town.op(ANN, "inp", "(\"rw line\", \"l\", \"ann\", _)");
    assert_eq!(town.delivered(cat), None);
    town.comes_back(BEN);
    assert!(town.delivered(cat).is_some());
    assert_eq!(town.delivered(dan), None, "who writes is alone");
    town.op(CAT, "inp", "(\"rw line\", \"l\", \"cat\", _)");
    assert!(town.delivered(dan).is_some());
}

#[test]
fn a_semaphore_has_so_many_permits() {
    let mut town = Town::with("semaphore");
    let ask = |town: &mut Town, who, name: &str| {
        town.start(who, "rd", &format!("(\"permit\", \"s\", \"{name}\", 2)"))
    };
    let ann = ask(&mut town, ANN, "ann");
    let ben = ask(&mut town, BEN, "ben");
    let cat = ask(&mut town, CAT, "cat");
    let dan = ask(&mut town, DAN, "dan");
    assert!(town.delivered(ann).is_some() && town.delivered(ben).is_some());
    assert_eq!((town.delivered(cat), town.delivered(dan)), (None, None));
    town.op(BEN, "inp", "(\"permit line\", \"s\", \"ben\", _)");
    assert!(town.delivered(cat).is_some());
    assert_eq!(town.delivered(dan), None);
    town.comes_back(ANN);
    assert!(town.delivered(dan).is_some());
    for none in ["0", "257", "-1"] {
        let text = format!("(\"permit\", \"s\", \"ann\", {none})");
        assert_eq!(
            refusal(&mut town, ANN, "rd", &text),
            FailureCode::Refused(2)
        );
    }
}

#[test]
fn a_double_barrier_keeps_rounds_apart() {
    let mut town = Town::with("double_barrier");
    let enter = |town: &mut Town, who, name: &str| {
        town.start(who, "rd", &format!("(\"enter\", \"b\", \"{name}\", 2)"))
    };
    let leave = |town: &mut Town, who, name: &str, round| {
        let text = format!("(\"leave\", \"b\", \"{name}\", {round})");
        town.start(who, "rd", &text)
    };
    let ann = enter(&mut town, ANN, "ann");
    assert_eq!(town.delivered(ann), None);
    let ben = enter(&mut town, BEN, "ben");
    let entered = |round| Some(format!("(\"entered\", \"b\", {round})"));
    assert_eq!(
        (town.delivered(ann), town.delivered(ben)),
        (entered(1), entered(1))
    );
    // Whoever comes now is of the next round.
    let cat = enter(&mut town, CAT, "cat");
    assert_eq!(town.delivered(cat), None);
    let out = leave(&mut town, ANN, "ann", 1);
    assert_eq!(town.delivered(out), None);
    // The other one dies: all have left.
    town.comes_back(BEN);
    assert_eq!(town.delivered(out), Some("(\"left\", \"b\", 1)".to_owned()));
    assert_eq!(town.delivered(cat), None);
    let dan = enter(&mut town, DAN, "dan");
    assert_eq!(
        (town.delivered(cat), town.delivered(dan)),
        (entered(2), entered(2))
    );
    let first = leave(&mut town, CAT, "cat", 2);
    let last = leave(&mut town, DAN, "dan", 2);
    assert!(town.delivered(first).is_some() && town.delivered(last).is_some());
    assert_eq!(town.count("(\"in\", _, _, _)"), 0);
}

#[test]
fn a_delay_queue_gives_nothing_before_it_is_due() {
    let mut town = Town::with("delay_queue");
    town.now = 10_000;
    town.out(ANN, "(\"job\", 30000, \"late\")");
    town.out(ANN, "(\"job\", 20000, \"soon\")");
    assert_eq!(town.op(BEN, "inp", "(\"due\")"), None);
    town.tick(10_000);
    let soon = Some("(\"job\", 20000, \"soon\")".to_owned());
    assert_eq!(town.op(BEN, "rdp", "(\"due\")"), soon);
    assert_eq!(town.op(BEN, "inp", "(\"due\")"), soon);
    assert_eq!(town.op(BEN, "inp", "(\"due\")"), None);
    town.tick(60_000);
    let late = Some("(\"job\", 30000, \"late\")".to_owned());
    assert_eq!(town.op(BEN, "inp", "(\"due\")"), late);
}

#[test]
fn a_job_is_handed_on_when_its_takers_session_ends() {
    let mut town = Town::with("work_queue");
    town.out(ANN, "(\"job\", 1, \"one\")");
    town.out(ANN, "(\"job\", 2, \"two\")");
    let one = Some("(\"job\", 1, \"one\")".to_owned());
    let two = Some("(\"job\", 2, \"two\")".to_owned());
    assert_eq!(town.op(BEN, "inp", "(\"work\")"), one);
    town.comes_back(BEN);
    // Behind the others.
    assert_eq!(town.op(CAT, "inp", "(\"work\")"), two);
    assert!(town.op(CAT, "inp", "(\"taken\", 2, _)").is_some());
    assert_eq!(town.op(CAT, "inp", "(\"work\")"), one);
    assert_eq!(town.op(DAN, "inp", "(\"work\")"), None);
    town.op(CAT, "inp", "(\"taken\", 1, _)");
    town.comes_back(CAT);
    assert_eq!(town.op(DAN, "inp", "(\"work\")"), None, "it was done");
}

#[test]
fn members_are_as_their_sessions_and_views_are_numbered() {
    let mut town = Town::with("membership");
    let view = |town: &mut Town| town.op(DAN, "rdp", "(\"view\", \"g\", ?int)");
    town.out(ANN, "(\"member\", \"g\", \"ann\")");
    town.out(BEN, "(\"member\", \"g\", \"ben\")");
    assert_eq!(view(&mut town), Some("(\"view\", \"g\", 2)".to_owned()));
    assert_eq!(
        refusal(&mut town, CAT, "out", "(\"member\", \"g\", \"ben\")"),
        FailureCode::Refused(2)
    );
    let next = town.start(DAN, "rd", "(\"view\", \"g\", 3..)");
    town.comes_back(BEN);
    assert_eq!(
        town.delivered(next),
        Some("(\"view\", \"g\", 3)".to_owned())
    );
    town.op(ANN, "inp", "(\"member\", \"g\", \"ann\")");
    assert_eq!(view(&mut town), Some("(\"view\", \"g\", 4)".to_owned()));
    assert_eq!(town.count("(\"member\", _, _)"), 0);
}

#[test]
fn a_rate_limiter_admits_so_many_in_a_window() {
    let mut town = Town::with("rate_limiter");
    town.now = 1_000_000;
    let call = "(\"admit\", \"api\", 2, 1000)";
    assert!(town.op(ANN, "inp", call).is_some());
    assert!(town.op(BEN, "inp", call).is_some());
    assert_eq!(town.op(CAT, "inp", call), None);
    town.tick(900);
    assert_eq!(town.op(CAT, "inp", call), None);
    town.tick(100);
    assert!(town.op(CAT, "inp", call).is_some());
}
