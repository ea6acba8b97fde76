//! Recipes of the client library: the same [`programs`] of fifty clients over real sockets and
//! in the simulator, [`stories`] of a few clients, and the recipes as extensions ([`extended`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

/// A test of each program but that of the lock, which `contend` of the module runs.
macro_rules! every_other_program {
    () => {
        $crate::every_other_program! {
            readers_share_and_a_writer_is_alone: read_write_lock;
            a_semaphore_has_so_many_holders_and_no_more: semaphore;
            there_is_one_leader_at_a_time_and_all_see_who: election;
            there_is_one_leased_leader_at_a_time: leased_election;
            a_counter_counts_everybody_once: counter;
            a_queue_loses_and_doubles_nothing: queue;
            nobody_passes_a_barrier_before_all_are_there: barrier;
            rounds_of_a_double_barrier_do_not_mix: double_barrier;
            members_are_those_that_are_there: membership;
            a_watch_tells_each_change_once: watch;
        }
    };
    ($($name:ident: $program:ident;)*) => {
        $(
            #[test]
            fn $name() {
                contend(programs::$program);
            }
        )*
    };
}
pub(crate) use every_other_program;

#[path = "../common/mod.rs"]
mod common;
mod extended;
mod programs;
mod simulated;
mod stories;

use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

/// As many as the recipes must be correct for.
const MANY: usize = 50;

/// Where the recipes' tuples are.
const SPACE: &str = "r";
