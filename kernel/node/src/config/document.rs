//! A TOML file while it is being checked: its text, and where each value stood.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use toml::Spanned;

use super::error::{ConfigError, Problem};

/// A file's path and text, to turn the place of a value into a line.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
}

/// Reads the whole of `file`.
pub(super) fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|error| ConfigError::new(file, Problem::Unreadable(error)))
}

/// `value` as TOML, meant for `file`.
pub(super) fn print<T: Serialize>(file: &Path, value: &T) -> Result<String, ConfigError> {
    toml::to_string(value)
        .map_err(|error| ConfigError::new(file, Problem::Unprintable(error.to_string())))
}

/// Writes `value` as TOML under the comment `head`; refuses to overwrite.
pub(super) fn write<T: Serialize>(file: &Path, head: &str, value: &T) -> Result<(), ConfigError> {
    let body = print(file, value)?;
    create_new(file, 0o644, format!("{head}{body}").as_bytes())
}

/// Creates `file` with `mode` (where the system has modes) and `bytes`; refuses to overwrite.
pub(super) fn create_new(file: &Path, mode: u32, bytes: &[u8]) -> Result<(), ConfigError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(file).and_then(|mut opened| {
        opened.write_all(bytes)?;
        opened.sync_all()
    });
    written.map_err(|error| {
        let problem = match error.kind() {
            std::io::ErrorKind::AlreadyExists => Problem::Exists,
            _ => Problem::Unwritable(error),
        };
        ConfigError::new(file, problem)
    })
}

/// `path` as written in `file`: relative paths start at the file's own folder.
pub(super) fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent()
        .map_or_else(|| path.to_path_buf(), |folder| folder.join(path))
}

impl<'a> Document<'a> {
    pub(super) const fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text }
    }

    /// Parses the text into `T`.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| ConfigError {
            file: self.file.to_path_buf(),
            line: error.span().map(|span| self.line(span.start)),
            field: None,
            problem: Problem::Syntax(error.message().to_owned()),
        })
    }

    /// The error that `problem` is wrong with the value `at`, called `field`.
    pub(super) fn wrong<T>(
        &self,
        at: &Spanned<T>,
        field: impl Into<String>,
        problem: Problem,
    ) -> ConfigError {
        ConfigError {
            file: self.file.to_path_buf(),
            line: Some(self.line(at.span().start)),
            field: Some(field.into()),
            problem,
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.bytes().take(offset);
        before
            .filter(|byte| *byte == b'\n')
            .count()
            .saturating_add(1)
    }
}
