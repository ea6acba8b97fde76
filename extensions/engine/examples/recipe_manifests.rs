//! Writes the manifest of each recipe, for the space named like it, beside its module:
//! `cargo run -p bezant-extensions --example recipe_manifests -- extensions/recipes`.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for the builder; the crate itself does no I/O"
)]

use std::path::Path;

use bezant_extensions::recipes;
use bezant_tuplespace::SpaceName;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("name the folder of the recipes")?;
    for recipe in recipes::ALL {
        let name = recipe.name;
        let path = Path::new(&folder)
            .join(name)
            .join(format!("{name}.manifest"));
        let made = recipe.in_space(&SpaceName::new(name)?);
        std::fs::write(path, made.manifest.encode())?;
    }
    Ok(())
}
