//! One helper around [`std::sync::Mutex`].
//!
//! All shared state here is behind short critical sections that are never held
//! across an await; on the single-threaded runtime of a replica they are
//! uncontended, and the client library may still use many threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`; a thread that panicked while holding it left data that is
/// still sound, because no critical section of this crate calls foreign code.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
