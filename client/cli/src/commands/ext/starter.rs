//! `bezant ext new`: an extension that works, in the text format, to begin with.
//!
//! In the text format, because that needs no compiler: what is made can be installed at once,
//! and every byte that passes between it and the service is seen.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    print::Printer,
};

/// The module: a work queue that hands a task on in one step.
const MODULE: &str = include_str!("starter.wat");

/// A script for `bezant ext test`.
const SCRIPT: &str = include_str!("starter.test");

/// The manifest, but for the name.
const MANIFEST: &str = include_str!("starter.toml");

/// Makes the folder `name` with a manifest and a module.
pub(super) fn write(name: &str, printer: &Printer) -> Result<Exit, Failure> {
    let is_sign = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    let is_sound = name
        .chars()
        .all(|sign| is_sign(sign) || "._-".contains(sign));
    if !is_sound || !name.starts_with(is_sign) || name.len() > 64 {
        return Err(
            Failure::usage(format!("{name:?} is no name of an extension"))
                .next("use 1 to 64 of a-z 0-9 . _ - and begin with a letter or a digit"),
        );
    }
    let folder = Path::new(name);
    let failed = |error: std::io::Error| {
        let failure = Failure::error(format!("this folder cannot be made: {error}"));
        failure
            .at(name)
            .next("choose another name, or go to another folder")
    };
    fs::create_dir(folder).map_err(failed)?;
    let files = [
        (format!("{name}.toml"), MANIFEST.replace("NAME", name)),
        (format!("{name}.wat"), MODULE.replace("NAME", name)),
        (format!("{name}.test"), SCRIPT.replace("NAME", name)),
    ];
    for (file, text) in &files {
        fs::write(folder.join(file), text).map_err(failed)?;
    }
    if printer.is_json() {
        let files = files.map(|(file, _)| folder.join(file).display().to_string());
        printer.json(&json!({ "op": "ext-new", "files": files }))?;
        return Ok(Exit::Ok);
    }
    for (file, _) in &files {
        printer.line(&folder.join(file).display().to_string())?;
    }
    printer.note(&format!("try it: bezant ext test {name}/{name}.toml"));
    Ok(Exit::Ok)
}
