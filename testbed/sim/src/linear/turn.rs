//! One call's turn on the dumb spaces: what it answers, and which waits it ends.

use bezant_api::{Answer, Call, Lists, Refused};
use bezant_bft::ids::{RequestNumber, SessionId};
use bezant_tuplespace::{SpaceName, WaiterId};

use super::Key;
use crate::model::{self, Spaces, group::By};

/// What came of a turn.
#[derive(Debug)]
pub(super) struct Turn {
    /// The call's answer; `None` if it waits now.
    pub(super) answer: Option<Answer>,
    /// Waits that ended, this call's own not among them, and their answers.
    pub(super) ended: Vec<(Key, Answer)>,
}

/// The request that waited.
pub(super) const fn key_of(wait: WaiterId) -> Key {
    (SessionId(wait.owner), RequestNumber(wait.number))
}

/// Lets `call` take its turn.
pub(super) fn take(spaces: &mut Spaces, makes_spaces: bool, key: Key, call: &Call) -> Turn {
    let mut ended = Vec::new();
    let answered = match call {
        Call::CreateSpace { space } => {
            let made = spaces.create(key.0.0, space, Lists::open());
            made.map(|()| Some(Answer::Created))
        }
        Call::ListSpaces => {
            let mut names: Vec<SpaceName> = spaces.names().to_vec();
            names.sort_unstable();
            Ok(Some(Answer::Spaces(names)))
        }
        Call::Space { space, operation } => {
            let outcome = spaces.operate(makes_spaces, (key.0.0, key.1.0), space, operation);
            outcome.map(|outcome| outcome.map(Answer::Outcome))
        }
        Call::Group(group) => {
            let by = By {
                makes_spaces,
                session: key.0.0,
            };
            model::group::carry_out(spaces, by, group).map(Some)
        }
        Call::Cancel { number } => {
            let was_waiting = spaces.cancel(key.0.0, *number);
            if was_waiting {
                let wait = (key.0, RequestNumber(*number));
                ended.push((wait, Answer::Refused(Refused::Cancelled)));
            }
            Ok(Some(Answer::Cancelled(was_waiting)))
        }
        Call::KeepAlive => Ok(Some(Answer::Alive)),
        Call::CloseSession => {
            spaces.end_owner(key.0.0);
            Ok(Some(Answer::Closed))
        }
        other => match spaces.rule(key.0.0, other) {
            Some(ruled) => ruled.map(Some),
            None => Err(Refused::Malformed),
        },
    };
    let refused = spaces.take_refused();
    spaces.publish();
    let answered_now = refused.into_iter().chain(spaces.take_answers());
    ended.extend(answered_now.map(|(wait, answer)| (key_of(wait), answer)));
    Turn {
        answer: answered.unwrap_or_else(|refused| Some(refused.into())),
        ended,
    }
}
