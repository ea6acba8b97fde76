//! The two opening frames of a link: the dialer's hello and the acceptor's welcome.
//!
//! Both begin with the protocol version as a `u32` (little-endian), which every
//! version will keep, so that any two versions can at least tell each other
//! apart; the rest is canonical postcard. The keys are already known from TLS:
//! a hello only adds what TLS does not know, and the acceptor checks the
//! claimed role against the proven key.

use bezant_bft::{
    crypto::PublicKey,
    ids::{ClusterId, Epoch, ReplicaId},
};
use bezant_codec::{decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    config::{Config, Peer, Role},
    error::Refusal,
    version::PROTOCOL_VERSION,
};

/// What a dialer says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) cluster: ClusterId,
    pub(crate) epoch: Epoch,
    /// `None` for a client.
    pub(crate) replica: Option<ReplicaId>,
    /// The largest frame the dialer accepts on this link.
    pub(crate) frame_bytes: u32,
}

/// What the acceptor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The largest frame the acceptor accepts on this link.
    pub(crate) frame_bytes: u32,
}

/// Why bytes were not an opening frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpeningError {
    Version(u32),
    Malformed(String),
}

/// The frame for `opening`.
pub(crate) fn spell<T: Serialize>(opening: &T) -> Vec<u8> {
    let mut frame = PROTOCOL_VERSION.to_le_bytes().to_vec();
    frame.extend_from_slice(&encode(opening));
    frame
}

/// Reads an opening frame, its version first.
pub(crate) fn read<T: Serialize + DeserializeOwned>(frame: &[u8]) -> Result<T, OpeningError> {
    let Some((version, rest)) = frame.split_first_chunk::<4>() else {
        return Err(OpeningError::Malformed("cut short".to_owned()));
    };
    match u32::from_le_bytes(*version) {
        PROTOCOL_VERSION => {
            decode(rest).map_err(|error| OpeningError::Malformed(error.to_string()))
        }
        other => Err(OpeningError::Version(other)),
    }
}

/// Decides who a dialer with the proven key `key` is, and whether it may link here.
pub(crate) fn judge(
    config: &Config,
    key: PublicKey,
    frame: &[u8],
) -> Result<(Peer, Hello), Refusal> {
    let hello: Hello = read(frame).map_err(|error| match error {
        OpeningError::Version(theirs) => Refusal::WrongVersion {
            theirs,
            ours: PROTOCOL_VERSION,
        },
        OpeningError::Malformed(what) => Refusal::Malformed(what),
    })?;
    if hello.cluster != config.cluster {
        return Err(Refusal::WrongCluster {
            theirs: hello.cluster,
            ours: config.cluster,
        });
    }
    if hello.epoch != config.epoch {
        return Err(Refusal::WrongEpoch {
            theirs: hello.epoch,
            ours: config.epoch,
        });
    }
    let owner = config.replicas.iter().find(|replica| replica.key == key);
    let peer = match (hello.replica, owner) {
        (None, None) => Peer::Client(key.into()),
        (None, Some(_)) => return Err(Refusal::RoleMismatch("a replica's key came as a client")),
        (Some(claimed), Some(owner)) if owner.id == claimed => Peer::Replica(claimed),
        (Some(claimed), _) => return Err(Refusal::UnknownReplica { claimed, key }),
    };
    // One connection per pair of replicas: the higher id dials. This also turns away a second
    // process with our own key.
    if let (Peer::Replica(theirs), Role::Replica(ours)) = (peer, config.me)
        && theirs <= ours
    {
        return Err(Refusal::RoleMismatch("replicas dial lower ids only"));
    }
    Ok((peer, hello))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_HELLO_BYTES;

    proptest! {
        #[test]
        fn a_hello_is_read_back_and_fits(cluster: [u8; 32], epoch: u64, replica: Option<u8>, frame_bytes: u32) {
            let hello = Hello {
                cluster: ClusterId(cluster),
                epoch: Epoch(epoch),
                replica: replica.map(ReplicaId),
                frame_bytes,
            };
            let frame = spell(&hello);
            prop_assert!(frame.len() <= MAX_HELLO_BYTES);
            prop_assert_eq!(read::<Hello>(&frame), Ok(hello));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Hello>(&bytes);
            let _ = read::<Welcome>(&bytes);
        }
    }

    #[test]
    fn another_version_is_told_apart_whatever_follows_it() {
        assert_eq!(
            read::<Hello>(&[9, 0, 0, 0, 255, 255]),
            Err(OpeningError::Version(9))
        );
        assert!(matches!(
            read::<Hello>(&[1]),
            Err(OpeningError::Malformed(_))
        ));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut frame = spell(&Welcome { frame_bytes: 7 });
        frame.push(0);
        assert!(matches!(
            read::<Welcome>(&frame),
            Err(OpeningError::Malformed(_))
        ));
    }
}
