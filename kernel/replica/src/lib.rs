//! The driver of one replica: what happens around the state machine in every turn.
//!
//! [`Driver`] owns the ordering state machine and the service and does everything
//! that is neither I/O nor a protocol decision: it screens and verifies what
//! arrived, steps, hands records to storage, holds messages back until what they
//! rest on is durable, executes decisions, takes and serves states, routes replies.
//! [`Event`]s go in, [`Action`]s come out, both closed enums; the time is an
//! argument. There is no socket, file, clock or thread here. `kernel/node` performs
//! the actions on a machine, the simulator in virtual time; neither has a turn of
//! its own, so that what production runs is what the simulator runs.
//!
//! Order of the modules: `event` and `action` are what crosses the border, `hook`
//! what a test may look at and change, `routes`, `budgets`, `counts` and `gate` hold
//! state for the driver, `recovery` says how a replica starts, `driver` is the turn, with
//! `inbound`, `clients` and `outcome` as its parts.

mod action;
mod budgets;
mod counts;
mod driver;
mod event;
mod gate;
mod hook;
mod recovery;
mod routes;

pub use action::{Action, HaltReason, LogEvent};
pub use budgets::LINK_RATE;
pub use counts::Counts;
pub use driver::{Config, Driver};
pub use event::{Command, Event, LinkId};
pub use hook::{Executed, Hook, NoHook};
pub use recovery::{Kept, Memory, StartError, memory};
pub use routes::{MAX_CLIENTS_PER_LINK, MAX_LINKS_PER_CLIENT};
