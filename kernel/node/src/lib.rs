//! The replica process: sockets, storage, timers, admin endpoint, metrics
