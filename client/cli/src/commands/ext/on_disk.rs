//! An extension as it lies on disk: its manifest and its module, read and checked.

use std::{fs, path::Path};

use bezant_api::{ExtensionHash, Manifest};
use bezant_extensions::{Checked, check_extension, content_hash};

use super::manifest;
use crate::exit::Failure;

/// An extension as it lies on disk.
pub(super) struct OnDisk {
    pub(super) manifest: Manifest,
    pub(super) module: Vec<u8>,
    pub(super) hash: ExtensionHash,
}

impl OnDisk {
    /// Reads a manifest and its module and checks both.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        Self::check(file).map(|(found, _)| found)
    }

    /// As [`Self::read`], with what the check found.
    pub(super) fn check(file: &Path) -> Result<(Self, Checked), Failure> {
        let text = String::from_utf8(read(file)?);
        let text = text.map_err(|_| refused(file, "a manifest is a text"))?;
        let described = manifest::parse(file, &text)?;
        let module = read_module(&described.module)?;
        let manifest = described.manifest;
        let checked = check_extension(&manifest, &module);
        let checked = checked.map_err(|rejected| refused(&described.module, rejected))?;
        let hash = content_hash(&manifest, &module);
        let found = Self {
            manifest,
            module,
            hash,
        };
        Ok((found, checked))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| {
        Failure::error(format!("this file cannot be read: {error}"))
            .at(file.display().to_string())
            .next("check its name and that it may be read")
    })
}

/// The module in a file; one in the text format is translated.
pub(super) fn read_module(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(file)?;
    if !is_text(file) {
        return Ok(bytes);
    }
    let module = wat::parse_bytes(&bytes);
    let module = module.map_err(|error| {
        Failure::error(error.to_string())
            .at(file.display().to_string())
            .next("correct the text of the module")
    })?;
    Ok(module.into_owned())
}

/// Whether a module is written in the text format.
pub(super) fn is_text(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "wat")
}

pub(super) fn refused(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::error(why.to_string())
        .at(file.display().to_string())
        .next("docs/extensions/README.md has the rules and their reasons")
}
