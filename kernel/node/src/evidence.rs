//! Keeps evidence in a folder beside the journal, a file a piece.
//!
//! What is kept convicts without this program's word: `bezant audit` checks it with the
//! cluster's public file. A faulty replica can make as much evidence against itself as
//! it likes, so there is a bound on pieces of each kind against each of the accused, on
//! all pieces and on their bytes; the first ones stand. Evidence is never worth a
//! replica: what cannot be written stays in memory, and the replica goes on.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bezant_bft::{
    evidence::{Accusation, Evidence, NotProven},
    ids::Source,
    keyring::Keyring,
    limits::MAX_EVIDENCE_BYTES,
};
use bytes::Bytes;
use tracing::warn;

/// The folder of evidence inside a data folder.
pub const EVIDENCE_FOLDER: &str = "evidence";

/// How the names of pieces begin.
pub const PREFIX: &str = "ev-";

/// Ends the names of files that are being written.
const UNFINISHED: &str = ".new";

/// Most pieces of one kind against one of the accused.
const MAX_OF_A_KIND: usize = 4;

/// Most pieces against all clients: keys cost nothing.
const MAX_OF_CLIENTS: usize = 32;

/// Most pieces.
const MAX_PIECES: usize = 256;

/// Most bytes of all pieces.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

const _: () = assert!(
    MAX_EVIDENCE_BYTES as u64 <= MAX_BYTES,
    "the longest piece must fit"
);

/// One piece.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Who is accused of what; nothing of a file that this build cannot read.
    pub accusation: Option<Accusation>,
    /// Its length.
    pub bytes: u64,
    /// Its content, if it is in no file.
    held: Option<Bytes>,
}

/// What became of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept under this name.
    New(String),
    /// It was kept before, or another one about the same place, under this name.
    Known(String),
    /// There is enough against the accused already.
    Enough,
}

/// The pieces that are kept.
#[derive(Debug, Default)]
pub struct Archive {
    folder: Option<PathBuf>,
    pieces: BTreeMap<String, Piece>,
    bytes: u64,
}

impl Archive {
    /// The archive in `folder`, with what is there; in memory without one. A folder that
    /// cannot be read counts as empty.
    #[must_use]
    pub fn open(folder: Option<PathBuf>) -> Self {
        let mut archive = Self {
            folder,
            ..Self::default()
        };
        if let Some(folder) = archive.folder.clone()
            && let Err(error) = archive.read(&folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(folder = %folder.display(), %error, "stored evidence unreadable");
        }
        archive
    }

    fn read(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            } else if name.starts_with(PREFIX) && self.pieces.len() < MAX_PIECES {
                let bytes = entry.metadata()?.len();
                let content = if bytes <= MAX_EVIDENCE_BYTES as u64 {
                    fs::read(entry.path())?
                } else {
                    Vec::new()
                };
                let evidence = Evidence::decode(&content).ok();
                let piece = Piece {
                    accusation: evidence.map(|evidence| evidence.accusation()),
                    bytes,
                    held: None,
                };
                self.bytes = self.bytes.saturating_add(bytes);
                self.pieces.insert(name, piece);
            }
        }
        Ok(())
    }

    /// Keeps a piece, if it convicts, is new, and there is not enough of its kind.
    ///
    /// # Errors
    /// [`NotProven`] if it convicts nobody.
    pub fn keep(&mut self, evidence: &Evidence, keyring: &Keyring) -> Result<Kept, NotProven> {
        let accusation = evidence.accusation();
        if let Some(name) = self.same_place(&accusation) {
            return Ok(Kept::Known(name));
        }
        // Without a place the name tells what is known; with one, no more need be encoded.
        if accusation.has_place() && self.has_enough(&accusation) {
            return Ok(Kept::Enough);
        }
        let content = evidence.encode();
        let (name, bytes) = (Evidence::name(&content), content.len() as u64);
        if self.pieces.contains_key(&name) {
            return Ok(Kept::Known(name));
        }
        let too_long = content.len() > MAX_EVIDENCE_BYTES;
        if too_long || self.has_enough(&accusation) || self.bytes + bytes > MAX_BYTES {
            return Ok(Kept::Enough);
        }
        evidence.verify(keyring)?;
        let written = self.folder.as_deref().is_some_and(|folder| {
            write(folder, &name, &content)
                .inspect_err(|error| {
                    warn!(folder = %folder.display(), %error, "evidence not written; kept in memory");
                })
                .is_ok()
        });
        let piece = Piece {
            accusation: Some(accusation),
            bytes,
            held: (!written).then_some(content),
        };
        self.bytes += bytes;
        self.pieces.insert(name.clone(), piece);
        Ok(Kept::New(name))
    }

    /// What is kept about the same offence at the same place.
    fn same_place(&self, accusation: &Accusation) -> Option<String> {
        if !accusation.has_place() {
            return None;
        }
        let mut pieces = self.pieces.iter();
        let same = pieces.find(|(_, piece)| piece.accusation.as_ref() == Some(accusation));
        same.map(|(name, _)| name.clone())
    }

    fn has_enough(&self, accusation: &Accusation) -> bool {
        let kept = || self.pieces.values().filter_map(|piece| piece.accusation);
        let same = |other: &Accusation| {
            (other.accused, other.offence) == (accusation.accused, accusation.offence)
        };
        let of_clients = |other: &Accusation| matches!(other.accused, Source::Client(_));
        self.pieces.len() >= MAX_PIECES
            || kept().filter(same).count() >= MAX_OF_A_KIND
            || (of_clients(accusation) && kept().filter(of_clients).count() >= MAX_OF_CLIENTS)
    }

    /// The pieces by name.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, &Piece)> {
        self.pieces
            .iter()
            .map(|(name, piece)| (name.as_str(), piece))
    }

    /// How many pieces are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The content of a piece, as far as it can be read.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Bytes> {
        let piece = self.pieces.get(name)?;
        let from_file = || {
            Some(Bytes::from(
                fs::read(self.folder.as_ref()?.join(name)).ok()?,
            ))
        };
        piece.held.clone().or_else(from_file)
    }
}

/// Writes the durable file `name`; whatever has a name is whole.
fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("{name}.{}{UNFINISHED}", std::process::id()));
    let attempt = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))
    };
    attempt().inspect_err(|_| {
        // Half a file would only take up room.
        let _gone = fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::{
        crypto::SigningKey,
        evidence::Charge,
        ids::{
            ClusterId, Digest, Epoch, Incarnation, ReplicaId, RequestNumber, SeqNo, SessionId, View,
        },
        message::{Phase, Request, Signed, Vote},
    };

    const CLUSTER: ClusterId = ClusterId([7; 32]);

    fn key(id: u8) -> SigningKey {
        SigningKey::from_seed([id + 1; 32])
    }

    fn keyring() -> Keyring {
        let keys = (0..4).map(|id| key(id).public()).collect();
        Keyring::new(CLUSTER, Epoch(0), keys).unwrap()
    }

    fn vote(by: u8, seq_no: u64, digest: u8) -> Signed<Vote> {
        let body = Vote {
            epoch: Epoch(0),
            replica: ReplicaId(by),
            incarnation: Incarnation(0),
            view: View(0),
            seq_no: SeqNo(seq_no),
            digest: Digest([digest; 32]),
        };
        Signed::new(body, Phase::Prepare.domain(), &CLUSTER, &key(by))
    }

    fn two_votes(by: u8, number: u64, second: u8) -> Evidence {
        let charge = Charge::TwoVotes {
            phase: Phase::Prepare,
            first: vote(by, number, 0),
            second: vote(by, number, second),
        };
        Evidence::new(CLUSTER, charge)
    }

    fn bad_request(client: u8) -> Evidence {
        let key = SigningKey::from_seed([0xc0 + client; 32]);
        let request = Request {
            client: key.client(),
            session: SessionId(1),
            number: RequestNumber(1),
            acked: vec![RequestNumber(1); 2],
            op: Bytes::new(),
        };
        let signed = request.sign(&CLUSTER, &key);
        Evidence::new(CLUSTER, Charge::BadRequest(Box::new(signed)))
    }

    fn name(kept: Result<Kept, NotProven>) -> String {
        match kept.unwrap() {
            Kept::New(name) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_piece_is_a_file_that_convicts_and_is_there_after_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join(EVIDENCE_FOLDER);
        let mut archive = Archive::open(Some(folder.clone()));
        assert!(!folder.exists(), "no folder for nothing");
        let piece = two_votes(2, 1, 1);
        let name = name(archive.keep(&piece, &keyring()));
        let content = fs::read(folder.join(&name)).unwrap();
        assert_eq!(Evidence::decode(&content), Ok(piece.clone()));
        fs::write(folder.join(format!("x{UNFINISHED}")), b"half").unwrap();
        let mut archive = Archive::open(Some(folder.clone()));
        assert_eq!(archive.content(&name).unwrap(), content);
        let known = Ok(Kept::Known(name));
        assert_eq!(archive.keep(&piece, &keyring()), known);
        // Another pair of votes for the same place tells nothing new.
        assert_eq!(archive.keep(&two_votes(2, 1, 2), &keyring()), known);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn the_first_pieces_of_a_kind_stand_and_a_client_takes_no_replicas_room() {
        let mut archive = Archive::open(None);
        for number in 0..20 {
            let kept = archive.keep(&two_votes(2, number, 1), &keyring()).unwrap();
            assert_eq!(kept == Kept::Enough, number >= MAX_OF_A_KIND as u64);
        }
        for client in 0..40 {
            let kept = archive.keep(&bad_request(client), &keyring()).unwrap();
            assert_eq!(kept == Kept::Enough, usize::from(client) >= MAX_OF_CLIENTS);
        }
        let kept = archive.keep(&two_votes(3, 1, 1), &keyring());
        assert!(archive.content(&name(kept)).is_some());
    }

    #[test]
    fn what_convicts_nobody_is_not_kept() {
        let mut archive = Archive::open(None);
        let same = two_votes(2, 1, 0);
        let kept = archive.keep(&same, &keyring());
        assert_eq!(kept, Err(NotProven::NoContradiction));
        assert!(archive.is_empty());
    }

    /// A disk that takes nothing more costs the file and nothing else.
    #[test]
    fn without_room_on_the_disk_it_stays_in_memory() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join(EVIDENCE_FOLDER);
        fs::write(&folder, b"in the way").unwrap();
        let mut archive = Archive::open(Some(folder));
        let piece = two_votes(2, 1, 1);
        let name = name(archive.keep(&piece, &keyring()));
        assert_eq!(archive.content(&name), Some(piece.encode()));
    }
}
