//! No correct replica is held guilty of what only a faulty one does.

use bezant_bft::{misbehaviour::Fault, seal::Source};

use super::{Common, Fact, Invariant};

/// Looks at who is blamed for what.
#[derive(Debug, Default)]
pub(super) struct Innocent;

/// Whether clocks, delays and losses alone can lead to it.
const fn happens_to_the_innocent(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::WrongView { .. } | Fault::TimeOutOfBounds { .. } | Fault::BeyondWindow { .. }
    )
}

impl Invariant for Innocent {
    fn name(&self) -> &'static str {
        "innocent"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Blamed { by, misbehaviour } = fact else {
            return Ok(());
        };
        let Source::Replica(accused) = misbehaviour.who else {
            return Ok(());
        };
        let correct = common.correct.get(usize::from(accused.0)) == Some(&true);
        if correct && !happens_to_the_innocent(&misbehaviour.what) {
            return Err(format!(
                "replica {by} blames replica {accused}, which is correct: {}",
                misbehaviour.what
            ));
        }
        Ok(())
    }
}
