//! The trace of a run, for people and for comparison.

use bezant_bft::ids::ReplicaId;
use sha2::{Digest as _, Sha256};

use crate::{network::Arrivals, world::Event};

/// A record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hash: Sha256,
    /// Frames between replicas, if they are to be drawn.
    pub(crate) frames: Option<Vec<Frame>>,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) sent: u64,
    pub(crate) arrived: Option<u64>,
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
    pub(crate) bytes: bytes::Bytes,
}

impl Trace {
    /// One that only computes a digest.
    #[must_use]
    pub fn digesting() -> Self {
        Self::default()
    }

    /// One that keeps what is to be drawn, too.
    #[must_use]
    pub fn drawing() -> Self {
        Self {
            frames: Some(Vec::new()),
            ..Self::default()
        }
    }

    pub(crate) fn digest(&mut self, at: u64, event: &Event) {
        self.hash.update(at.to_le_bytes());
        match event {
            Event::Frame { to, from, bytes } => {
                self.hash.update([b'f', from.0]);
                self.hash.update(to.to_le_bytes());
                self.hash.update(bytes);
            }
            Event::Asked {
                to, client, bytes, ..
            } => {
                self.hash.update([b'a']);
                self.hash.update(to.to_le_bytes());
                self.hash.update(client.to_le_bytes());
                self.hash.update(bytes);
            }
            Event::Told {
                client,
                from,
                bytes,
            } => {
                self.hash.update([b't', from.0]);
                self.hash.update(client.to_le_bytes());
                self.hash.update(bytes);
            }
            other => self.hash.update(format!("{other:?}")),
        }
    }

    pub(crate) fn frame(
        &mut self,
        sent: u64,
        from: ReplicaId,
        to: ReplicaId,
        bytes: &bytes::Bytes,
        arrivals: Arrivals,
    ) {
        if let Some(frames) = &mut self.frames {
            frames.push(Frame {
                sent,
                arrived: arrivals[0],
                from,
                to,
                bytes: bytes.clone(),
            });
        }
    }

    pub(crate) fn finish(&self) -> Option<String> {
        let digest = self.hash.clone().finalize();
        Some(bezant_codec::hex::to_hex(&digest))
    }
}
