//! Contexts: named clusters, so that commands need no flags.
//!
//! One TOML file per user, `$BEZANT_CONFIG` or `bezant/contexts.toml` under the
//! user's configuration folder. It is replaced as a whole (written beside, then
//! renamed), so a reader never sees half of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The contexts file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The context used when no flag names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// All contexts by name.
    #[serde(default)]
    pub(crate) context: BTreeMap<String, Context>,
}

/// One named cluster and how this user reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The cluster file.
    pub(crate) cluster: PathBuf,
    /// The client's private key, if this user has one there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// Whether it is a development cluster, whose replicas may be made to misbehave.
    #[serde(default)]
    pub(crate) dev: bool,
    /// The replicas' admin endpoints, in the order of their numbers.
    #[serde(default)]
    pub(crate) admin: Vec<String>,
}

impl Contexts {
    /// Reads the user's contexts; none if there is no file.
    pub(crate) fn load() -> Result<Self, Failure> {
        Self::read(&path()?)
    }

    /// Replaces the user's contexts file.
    pub(crate) fn store(&self) -> Result<(), Failure> {
        self.write(&path()?)
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(
                    Failure::error(format!("{} cannot be read: {error}", file.display()))
                        .next("make it readable, or point BEZANT_CONFIG at another file"),
                );
            }
        };
        toml::from_str(&text).map_err(|error| {
            Failure::error(format!(
                "{}: {}",
                file.display(),
                error.to_string().trim_end()
            ))
            .next("correct the file, or delete it and run bezant dev again")
        })
    }

    fn write(&self, file: &Path) -> Result<(), Failure> {
        let failed = |error: String| {
            Failure::error(format!("{} cannot be written: {error}", file.display()))
                .next("make its folder writable, or point BEZANT_CONFIG at another file")
        };
        let text = toml::to_string(self).map_err(|error| failed(error.to_string()))?;
        let beside = file.with_extension(format!("toml.{}", std::process::id()));
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&beside, text))
            .and_then(|()| fs::rename(&beside, file))
            .map_err(|error| failed(error.to_string()))
    }
}

/// Where the user's contexts file is.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(file) = set("BEZANT_CONFIG") {
        return Ok(file.into());
    }
    let folder = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")));
    folder
        .map(|folder| folder.join("bezant").join("contexts.toml"))
        .ok_or_else(|| {
            Failure::usage(
                "there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is set",
            )
            .next("set BEZANT_CONFIG to a file")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("contexts.toml");
        assert_eq!(Contexts::read(&file).unwrap(), Contexts::default());
        let contexts = Contexts {
            current: Some("dev".to_owned()),
            context: BTreeMap::from([(
                "dev".to_owned(),
                Context {
                    cluster: "cluster.toml".into(),
                    key: None,
                    dev: true,
                    admin: vec!["127.0.0.1:7501".to_owned()],
                },
            )]),
        };
        contexts.write(&file).unwrap();
        assert_eq!(Contexts::read(&file).unwrap(), contexts);
        Contexts::default().write(&file).unwrap();
        assert_eq!(Contexts::read(&file).unwrap(), Contexts::default());
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("contexts.toml");
        fs::write(&file, "current = 3").unwrap();
        let failure = Contexts::read(&file).unwrap_err();
        assert!(failure.what.contains("contexts.toml"), "{}", failure.what);
        assert!(failure.next.is_some());
    }
}
