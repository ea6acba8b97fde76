//! What a driver counts for its operator; nothing here is read by the driver itself.

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Signatures checked.
    pub verifications: u64,
    /// Those of them that were of commits, checked after they had counted.
    pub commits_checked: u64,
    /// Batches in which signatures of arriving messages were checked.
    pub batches: u64,
    /// Misbehaviours seen.
    pub blames: u64,
    /// Records written.
    pub records: u64,
    /// Frames that came from clients.
    pub frames_from_clients: u64,
}
