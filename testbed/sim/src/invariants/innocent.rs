//! No correct replica is held guilty of what only a faulty one does, and what is said to
//! be proof convicts.

use bezant_bft::{evidence::Evidence, ids::Source, misbehaviour::Offence};

use super::{Common, Fact, Invariant};

/// Looks at who is blamed for what.
#[derive(Debug, Default)]
pub(super) struct Innocent;

/// Whether delays and losses alone can lead to it. Clocks that are wrong lead to nothing.
const fn happens_to_the_innocent(offence: &Offence) -> bool {
    matches!(offence, Offence::BeyondWindow { .. })
}

/// Every piece of evidence verifies, and none against a correct replica.
fn judge(by: impl std::fmt::Display, piece: &Evidence, common: &mut Common) -> Result<(), String> {
    let verdict = piece.verify_with(&common.keyring, &mut common.checker);
    let verdict = verdict.map_err(|error| {
        let accusation = piece.accusation();
        format!("replica {by} has evidence that convicts nobody: {accusation}: {error}")
    })?;
    match verdict.accused {
        Source::Replica(accused) if common.is_correct(accused) => Err(format!(
            "replica {by} convicts replica {accused}, which is correct: {verdict}"
        )),
        _ => Ok(()),
    }
}

impl Invariant for Innocent {
    fn name(&self) -> &'static str {
        "innocent"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Blamed { by, misbehaviour } = fact else {
            return Ok(());
        };
        if let Some(piece) = &misbehaviour.proof {
            judge(by, piece, common)?;
        }
        let Source::Replica(accused) = misbehaviour.who else {
            return Ok(());
        };
        // A replica that stands still for longer than the slack may take what is old for new.
        let little = common.slack_ms < 10_000;
        let late = little && matches!(misbehaviour.what, Offence::TimeOutOfBounds { .. });
        if common.is_correct(accused) && !late && !happens_to_the_innocent(&misbehaviour.what) {
            return Err(format!(
                "replica {by} blames replica {accused}, which is correct: {}",
                misbehaviour.what
            ));
        }
        Ok(())
    }
}
