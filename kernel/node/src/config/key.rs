//! Private keys on disk: one line, the RFC 8032 seed in hexadecimal, for its owner's eyes only.

use std::{fs, path::Path};

use bezant_bft::crypto::SigningKey;
use bezant_codec::hex::{from_hex, to_hex};

use super::{
    document::create_new,
    error::{ConfigError, Problem},
};

/// Longest text a key file may have; what is longer is not read into memory.
const MAX_KEY_FILE_BYTES: u64 = 256;

/// Reads the private key in `file`.
///
/// # Errors
/// [`ConfigError`] if the file cannot be read, is open to other users of the
/// machine (checked where the system has modes), or is not a key.
pub fn load_key(file: &Path) -> Result<SigningKey, ConfigError> {
    let metadata =
        fs::metadata(file).map_err(|error| ConfigError::new(file, Problem::Unreadable(error)))?;
    if metadata.len() > MAX_KEY_FILE_BYTES {
        return Err(ConfigError::new(file, Problem::NotAKey));
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(ConfigError::new(file, Problem::KeyOpenToOthers { mode }));
        }
    }
    let text = super::document::read(file)?;
    from_hex(text.trim())
        .map(SigningKey::from_seed)
        .ok_or_else(|| ConfigError::new(file, Problem::NotAKey))
}

/// Writes `key` to the new file `file`, readable by its owner alone.
///
/// # Errors
/// [`ConfigError`] if the file exists or cannot be written.
pub fn store_key(file: &Path, key: &SigningKey) -> Result<(), ConfigError> {
    let line = format!("{}\n", to_hex(&key.seed()));
    create_new(file, 0o600, line.as_bytes())
}

/// A fresh key from the system's randomness.
///
/// # Errors
/// [`ConfigError`] if the system gives no random bytes.
pub fn random_key() -> Result<SigningKey, ConfigError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|_| ConfigError::new(Path::new("a new key"), Problem::NoRandomness))?;
    Ok(SigningKey::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_loaded_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("replica.key");
        let key = SigningKey::from_seed([7; 32]);
        store_key(&file, &key).unwrap();
        assert_eq!(load_key(&file).unwrap().seed(), key.seed());

        let error = store_key(&file, &SigningKey::from_seed([8; 32])).unwrap_err();
        assert!(matches!(error.problem, Problem::Exists), "{error}");
        assert_eq!(load_key(&file).unwrap().seed(), key.seed());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("replica.key");
        store_key(&file, &SigningKey::from_seed([7; 32])).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = load_key(&file).unwrap_err();
            assert!(
                matches!(error.problem, Problem::KeyOpenToOthers { .. }),
                "{error}"
            );
            assert!(
                error.next_step().starts_with("chmod 600 "),
                "{}",
                error.next_step()
            );
        }
    }

    #[test]
    fn other_files_are_not_keys() {
        let folder = tempfile::tempdir().unwrap();
        for (index, content) in ["", "cafe", &"g".repeat(64), &"0".repeat(300)]
            .iter()
            .enumerate()
        {
            let file = folder.path().join(format!("{index}.key"));
            create_new(&file, 0o600, content.as_bytes()).unwrap();
            let error = load_key(&file).unwrap_err();
            assert!(matches!(error.problem, Problem::NotAKey), "{error}");
        }
        let error = load_key(&folder.path().join("none.key")).unwrap_err();
        assert!(matches!(error.problem, Problem::Unreadable(_)), "{error}");
    }
}
