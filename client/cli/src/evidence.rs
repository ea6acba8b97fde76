//! Evidence on disk: signed lies, each in a file that convicts without this program.
//!
//! A file holds the canonical bytes of one `Evidence`, one folder per cluster
//! beside the user's contexts. Whoever has the cluster file can check it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bezant_bft::codec;
use bezant_client::{ClusterView, Evidence};
use bezant_node::config::to_hex;

use crate::{contexts, exit::Failure, said::Kept};

/// Most files kept for one cluster: a liar must not be able to fill the disk.
const MAX_FILES: usize = 1000;

/// Longest file that is read: an answer of every replica, each at most a page of tuples.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Writes down evidence and names it. What is not sound, or too much, is left out.
pub(crate) fn keep(view: &ClusterView, evidence: &[Evidence]) -> Result<Vec<Kept>, Failure> {
    let Ok(keyring) = view.keyring() else {
        return Ok(Vec::new());
    };
    let sound: Vec<&Evidence> = evidence
        .iter()
        .filter(|evidence| evidence.verify(&keyring).is_ok())
        .collect();
    if sound.is_empty() {
        return Ok(Vec::new());
    }
    keep_in(&folder(view)?, &sound)
}

fn keep_in(folder: &Path, evidence: &[&Evidence]) -> Result<Vec<Kept>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(format!(
            "evidence cannot be kept in {}: {error}",
            folder.display()
        ))
        .next("make the folder writable")
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut number = fs::read_dir(folder).map_err(failed)?.count();
    let mut kept = Vec::new();
    for evidence in evidence {
        // Another command may take a number at the same time: then the next one is free.
        while number < MAX_FILES {
            number += 1;
            let id = format!("ev-{number:04}");
            let file = folder.join(&id);
            match fs::File::create_new(&file) {
                Ok(_) => {
                    fs::write(&file, codec::encode(*evidence)).map_err(failed)?;
                    kept.push(Kept {
                        id,
                        replica: evidence.liar().0,
                    });
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(kept)
}

/// The names of what is kept for a cluster, in order.
pub(crate) fn names(view: &ClusterView) -> Result<Vec<String>, Failure> {
    let Ok(entries) = fs::read_dir(folder(view)?) else {
        return Ok(Vec::new());
    };
    let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort();
    Ok(names)
}

/// Reads evidence by its name or by the path of a file.
pub(crate) fn read(view: &ClusterView, name: &str) -> Result<Evidence, Failure> {
    let kept = folder(view)?.join(name);
    let file = if kept.is_file() {
        kept
    } else {
        PathBuf::from(name)
    };
    let unreadable = |why: String| {
        Failure::error(format!("{} cannot be read: {why}", file.display()))
            .next("bezant evidence ls lists what is kept for this cluster")
    };
    let length = fs::metadata(&file)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable("it is too long to be evidence".to_owned()));
    }
    let bytes = fs::read(&file).map_err(|error| unreadable(error.to_string()))?;
    codec::decode(&bytes).map_err(|error| unreadable(error.to_string()))
}

fn folder(view: &ClusterView) -> Result<PathBuf, Failure> {
    let contexts = contexts::path()?;
    let beside = contexts.parent().unwrap_or(Path::new("."));
    Ok(beside.join("evidence").join(to_hex(&view.id.0)))
}
