//! Scenarios: corner cases of the protocol as scripts.
//!
//! A script is a dialogue: commands, a line `----`, and what they answer, up to an
//! empty line. Lines that begin with `#` tell the reader why. The commands drive
//! a whole cluster in the simulator (the table lists them), real
//! replicas with their real service and real client sessions, under virtual time
//! and without any chance: the same script gives the same answers. [`play`] gives
//! the script back with the answers it got; a difference is a failed test. Scripts
//! hold `expect` besides, which no update of the answers makes pass.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster n=4 interval=8 clients=2 gather=24` | begins; clients are `a`, `b`, ... with a session each |
//! | `call a out s ("x", 1)` | asks and runs until the answer; also `rdp inp rd in count rdall inall cas replace`, `create s`, `list`, `cancel 3` |
//! | `ask a in s ("x", _)` | asks and goes on |
//! | `fill a s 20` | puts twenty tuples, one after another |
//! | `run 500ms`, `run until CONDITION` | lets time pass: `decided 3`, `executed 3 by 0 1`, `view 1 by 2`, `answered`, `quiet` |
//! | `drop 0 -> 1 2 prepare 3` | loses messages: from, to (`*` is all), kind (all), number (any) |
//! | `hold 0 -> 1`, `release` | keeps messages back, and lets them go on |
//! | `lift` | ends all `drop` and `hold`; what is held is lost |
//! | `partition 0 1 a \| 2 3`, `heal` | cuts groups off; ends cuts, `drop` and `hold`, with new links |
//! | `crash 1`, `restart 1`, `freeze 1`, `thaw 1` | power and its return; standing still |
//! | `forget 1` | power and the disk are gone; `restart 1` begins a new incarnation |
//! | `clock 2 +20s` | moves a replica's time of day |
//! | `adversary 0 equivocation` | makes a replica faulty, as the seeds do |
//! | `show replicas`, `show log 2`, `show blames`, `show open` | |
//! | `expect CONDITION`, `expect null 3`, `expect holds 3 a 1`, `expect once a 1`, `expect blamed 0 TEXT`, `expect no blames`, `expect messages at most 20` (between replicas, in the last `run`), `expect installs 1`, `expect open a 1`, `expect not CONDITION` | fails the script unless it is so; `expect view 1` means no other |
//! | `settle` | ends all trouble; all work must get done and all replicas agree |

mod calls;
mod diff;
mod expect;
mod player;
mod recorder;
mod script;
mod wire;

pub use diff::diff;
pub(crate) use recorder::Recorder;
pub(crate) use wire::{Filter, Wire};

use player::Player;
use script::Script;

/// Why a script could not be played to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Failure {
    /// The script.
    pub file: String,
    /// The line of the command.
    pub line: usize,
    /// What happened.
    pub what: String,
}

/// Plays a script; the same script with the answers it got.
///
/// # Errors
/// A command that is none, cannot be carried out, broke a rule of the simulator, or
/// expected something else.
pub fn play(file: &str, text: &str) -> Result<String, Failure> {
    let fail = |(line, what)| Failure {
        file: file.to_owned(),
        line,
        what,
    };
    let mut script = Script::parse(text).map_err(fail)?;
    let mut player = Player::default();
    for block in script.blocks() {
        let mut answers = Vec::new();
        for (line, command) in &block.commands {
            let answer = player
                .command(command)
                .map_err(|what| fail((*line, what)))?;
            answers.extend(answer);
        }
        block.answers = answers;
    }
    Ok(script.to_string())
}
