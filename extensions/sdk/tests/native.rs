//! An author's day: an extension's functions, natively, against spaces in memory.

use bezant_sdk::{
    Answer, Kind, Lease, Refused, Space, TemplateBytes, TupleBytes, invocation,
    native::{Call, World},
};

/// A line of clients that want one thing: `rd` of `("want", NAME)` waits until NAME is first.
fn want() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(Refused(1))?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(Refused(1))?;
    bezant_sdk::log(name);
    Space::HERE.out(&TupleBytes::new().text("line").text(name));
    let all = TemplateBytes::new().text("line").of_kind(Kind::Text);
    if Space::HERE.count(&all) == 1 {
        return Ok(Answer::Match(Some(
            TupleBytes::new().text("want").text(name),
        )));
    }
    let mine = TemplateBytes::new().text("want").text(name);
    Ok(Space::HERE.wait_for(&mine, false))
}

/// Somebody left the line.
fn next() -> Result<(), Refused> {
    let all = TemplateBytes::new().text("line").of_kind(Kind::Text);
    let Some(first) = Space::HERE.rdp(&all) else {
        return Ok(());
    };
    let mut fields = first.fields();
    fields.text();
    let name = fields.text().ok_or(Refused(2))?;
    Space::HERE.wake(&TupleBytes::new().text("want").text(name));
    Ok(())
}

#[test]
fn who_waits_is_woken_in_turn() {
    let mut world = World::new();
    let ann = world.call(&Call::rd("(\"want\", \"ann\")"), want);
    assert_eq!(World::spelled(&ann), "(\"want\", \"ann\")");
    let ben = world.call(&Call::rd("(\"want\", \"ben\")"), want);
    assert_eq!((ben, world.found()), (Ok(Answer::Awaited), None));
    assert_eq!(world.logs(), ["ann", "ben"]);
    let left = world.call(&Call::inp("(\"line\", \"ann\")"), || {
        let template = invocation::template().ok_or(Refused(1))?;
        Ok(Answer::Match(Space::HERE.inp(&template)))
    });
    assert_eq!(World::spelled(&left), "(\"line\", \"ann\")");
    let taken = Call::event(1, "(\"line\", \"ann\")");
    assert_eq!(world.handle(&taken, next), Ok(()));
    assert_eq!(world.served(), ["(\"want\", \"ben\")"]);
}

#[test]
fn what_is_refused_leaves_nothing() {
    let mut world = World::new();
    let refused = world.call(&Call::out("(1)"), || {
        Space::HERE.out(&TupleBytes::new().int(7));
        Err(Refused(9))
    });
    assert_eq!(World::spelled(&refused), "refused with 9");
    assert!(world.all(Space::HERE).is_empty());
}

#[test]
fn what_lives_on_a_lease_ends_with_it() {
    let mut world = World::new();
    world.set_now(100);
    let put = |lease| {
        move || {
            Space::HERE.out_leased(&TupleBytes::new().int(7), lease);
            Ok(Answer::Done)
        }
    };
    let done = world.call(&Call::out("(1)"), put(Lease::Ms(50)));
    assert_eq!(World::spelled(&done), "done");
    let done = world.call(&Call::out("(1)"), put(Lease::Session));
    assert_eq!(World::spelled(&done), "done");
    world.set_now(149);
    assert_eq!(world.all(Space::HERE), ["(7)", "(7)"]);
    world.set_now(150);
    assert_eq!(world.all(Space::HERE), ["(7)"]);
}

#[test]
#[should_panic(expected = "the space refuses")]
fn what_is_done_for_an_event_has_no_session() {
    let event = Call::event(1, "(1)");
    let done = World::new().handle(&event, || {
        Space::HERE.out_leased(&TupleBytes::new().int(7), Lease::Session);
        Ok(())
    });
    assert_eq!(done, Ok(()));
}

#[test]
fn pages_and_the_smallest_are_found() {
    let mut world = World::new();
    for number in [5, 3, 4] {
        world.put(Space::HERE, &format!("(\"n\", {number})"));
    }
    world.put(Space::capability(0), "(\"n\", 1)");
    let all = TemplateBytes::new().text("n").of_kind(Kind::Int);
    let found = world.call(&Call::rd_all("(\"n\", ?int)", 9), || {
        let first = Space::HERE.rd_all(&all, 2, None);
        let rest = Space::HERE.rd_all(&all, 2, first.next);
        assert_eq!(
            (first.tuples.len(), rest.tuples.len(), rest.next),
            (2, 1, None)
        );
        Ok(Answer::Match(Space::HERE.inp_min(&all, 1)))
    });
    assert_eq!(World::spelled(&found), "(\"n\", 3)");
    assert_eq!(world.all(Space::HERE), ["(\"n\", 5)", "(\"n\", 4)"]);
    let emptied = world.call(&Call::count("(\"n\", ?int)"), || {
        Ok(Answer::Page(Space::HERE.in_all(&all, 9).tuples, None))
    });
    assert_eq!(World::spelled(&emptied), "(\"n\", 5) (\"n\", 4)");
    assert_eq!(world.all(Space::capability(0)), ["(\"n\", 1)"]);
}
