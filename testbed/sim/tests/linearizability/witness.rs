//! The check by the agreed order: it accepts what is right and rejects each kind of
//! planted wrong.

use bezant_bft::ids::RequestNumber;
use bezant_sim::{
    linear::{
        Seen,
        witness::{Anomaly, check},
    },
    model::Performed,
};

use crate::common::{
    ANN, BEN, DONE, NOTHING, found, good, history, history_in_space, out, rdp, take, told,
};

fn verdict(seen: &[Seen], order: &[Performed]) -> Result<u64, Anomaly> {
    check(&told(seen), order, &[]).map(|checked| checked.answers)
}

#[test]
fn what_is_right_is_accepted() {
    let (seen, order) = good();
    assert_eq!(verdict(&seen, &order), Ok(6));
}

#[test]
fn an_operation_without_an_answer_may_have_happened_or_not() {
    let (mut seen, order) = good();
    seen[5].returned = None;
    seen[5].answer = None;
    assert_eq!(verdict(&seen, &order), Ok(5));
    assert_eq!(verdict(&seen, &order[..5]), Ok(5));
}

#[test]
fn a_stale_read_is_rejected() {
    // Ann was told of her tuple before Ben asked, and Ben is placed before her.
    let (seen, order) = history_in_space(&[
        (BEN, 1, rdp(), NOTHING, 20, 30),
        (ANN, 1, out(1), DONE, 0, 10),
    ]);
    assert!(matches!(
        verdict(&seen, &order),
        Err(Anomaly::RealTime { .. })
    ));
    // Nor does it help to place him after her.
    let (seen, order) = history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, rdp(), NOTHING, 20, 30),
    ]);
    assert!(matches!(
        verdict(&seen, &order),
        Err(Anomaly::WrongAnswer(BEN, ..))
    ));
}

#[test]
fn a_lost_take_is_rejected() {
    // Ben took the tuple and nobody remembers: Ann finds it still there.
    let (mut seen, order) = good();
    seen[4].answer = Some(found(1));
    assert!(matches!(
        verdict(&seen, &order),
        Err(Anomaly::WrongAnswer(ANN, ..))
    ));
    // Or his take has no place in the order at all.
    let (seen, mut order) = good();
    order.remove(3);
    let lost = verdict(&seen, &order);
    assert!(lost.is_err(), "{lost:?}");
    let (seen, order) = history(&[(ANN, 1, out(1), DONE, 0, 10)]);
    assert_eq!(
        verdict(&seen, &order[..0]),
        Err(Anomaly::NeverHappened(ANN, RequestNumber(1)))
    );
}

#[test]
fn a_double_take_is_rejected() {
    let (mut seen, order) = good();
    seen[5].answer = Some(found(2));
    assert!(matches!(
        verdict(&seen, &order),
        Err(Anomaly::WrongAnswer(BEN, ..))
    ));
    let (seen, mut order) = good();
    order.push(order[3].clone());
    assert_eq!(
        verdict(&seen, &order),
        Err(Anomaly::Twice(BEN, RequestNumber(2)))
    );
}

#[test]
fn a_reordered_session_is_rejected() {
    let (seen, mut order) = good();
    order.swap(0, 2);
    assert_eq!(
        verdict(&seen, &order),
        Err(Anomaly::SessionOrder(ANN, RequestNumber(1)))
    );
}

#[test]
fn another_call_than_the_clients_own_is_rejected() {
    let (mut seen, order) = good();
    seen[0].call = out(7);
    assert_eq!(
        verdict(&seen, &order),
        Err(Anomaly::OtherCall(ANN, RequestNumber(1)))
    );
}

/// A wait takes effect when it gets a delivery, long after its own turn.
#[test]
fn a_wait_is_placed_where_its_delivery_was() {
    let told = [
        (BEN, 1, take(), found(1), 0, 40),
        (ANN, 1, rdp(), NOTHING, 10, 20),
        (ANN, 2, out(1), DONE, 25, 35),
    ];
    let (seen, order) = history_in_space(&told);
    assert_eq!(verdict(&seen, &order), Ok(4));
    // Served before the tuple was even asked to be put: impossible.
    let (mut seen, order) = history_in_space(&told);
    seen[1].returned = Some(22);
    assert!(matches!(
        verdict(&seen, &order),
        Err(Anomaly::RealTime { .. })
    ));
}
