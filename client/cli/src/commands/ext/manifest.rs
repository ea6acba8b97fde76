//! An extension on disk: its manifest as people write it, beside its module.
//!
//! ```toml
//! name = "counter"
//! version = 1
//! module = "counter.wasm"     # beside this file; .wat in the text format
//! fuel = 1000000              # most that one call may burn
//! memory_pages = 8            # of 64 KiB
//!
//! [[subscription]]            # one for each class of what it runs for
//! space = "counter"
//! kinds = ["inp"]             # instead of operations of these kinds; or after
//!                             # events = ["taken"], or before what it judges = ["inp"]
//! template = '("increment", ?text, ?int)'
//! entry = "increment"         # the exported function that runs
//!
//! [capabilities]              # what it may do in which space
//! counter = ["insert", "take"]
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bezant_api::{ABI_VERSION, Access, Capability, EventKind, Manifest, Subscription, Trigger};
use bezant_tuple::Template;
use bezant_tuplespace::{OperationKind, SpaceName};
use serde::Deserialize;

use crate::exit::Failure;

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    version: u32,
    module: PathBuf,
    fuel: u64,
    memory_pages: u32,
    #[serde(default)]
    subscription: Vec<WrittenSubscription>,
    #[serde(default)]
    capabilities: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSubscription {
    space: String,
    kinds: Option<Vec<String>>,
    events: Option<Vec<String>>,
    judges: Option<Vec<String>>,
    template: String,
    entry: String,
}

/// A manifest and where its module lies.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) manifest: Manifest,
    pub(super) module: PathBuf,
}

/// Reads the text of `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Described, Failure> {
    let place = || file.display().to_string();
    let wrong = |what: String| Failure::usage(what).at(place());
    let written: Written = toml::from_str(text).map_err(|error| {
        wrong(error.to_string().trim_end().to_owned())
            .next("docs/extensions/README.md shows a whole manifest")
    })?;
    let mut subscriptions = Vec::new();
    for subscription in written.subscription {
        subscriptions.push(read_subscription(subscription).map_err(&wrong)?);
    }
    let mut capabilities = Vec::new();
    for (space, rights) in written.capabilities {
        let space = read_space(&space).map_err(wrong)?;
        let access = rights.iter().try_fold(Access::NONE, |all, right| {
            let right = read_access(right)?;
            Ok(all.and(right))
        });
        let access = access.map_err(wrong)?;
        capabilities.push(Capability { space, access });
    }
    capabilities.sort_by(|one, other| one.space.cmp(&other.space));
    let beside = file.parent().unwrap_or(Path::new(""));
    Ok(Described {
        manifest: Manifest {
            name: written.name,
            version: written.version,
            abi: (ABI_VERSION, ABI_VERSION),
            subscriptions,
            capabilities,
            fuel: written.fuel,
            memory_pages: written.memory_pages,
        },
        module: beside.join(written.module),
    })
}

fn read_space(text: &str) -> Result<SpaceName, String> {
    let name = text.parse();
    name.map_err(|error| format!("{text:?} names no space: {error}"))
}

fn read_access(text: &str) -> Result<Access, String> {
    match text {
        "read" => Ok(Access::READ),
        "insert" => Ok(Access::INSERT),
        "take" => Ok(Access::TAKE),
        _ => Err(format!(
            "{text:?} is no right of an extension: it may read, insert and take"
        )),
    }
}

fn read_subscription(written: WrittenSubscription) -> Result<Subscription, String> {
    let operations = |texts: &[String]| {
        let all = OperationKind::ALL.map(|kind| (kind.name(), kind));
        read_kinds(texts, "operation", &all)
    };
    let on = match (&written.kinds, &written.events, &written.judges) {
        (Some(kinds), None, None) => Trigger::Operations(operations(kinds)?),
        (None, Some(events), None) => {
            let all = EventKind::ALL.map(|kind| (kind.name(), kind));
            Trigger::Events(read_kinds(events, "event", &all)?)
        }
        (None, None, Some(judges)) => Trigger::Judges(operations(judges)?),
        _ => {
            return Err(
                "a subscription has one of kinds (it runs instead of these operations), \
                 events (after these) and judges (before these operations)"
                    .to_owned(),
            );
        }
    };
    let template: Template = written
        .template
        .parse()
        .map_err(|error| format!("this is no template\n{error}"))?;
    Ok(Subscription {
        space: read_space(&written.space)?,
        on,
        template,
        entry: written.entry,
    })
}

/// The kinds with these names, ascending, each once.
fn read_kinds<K: Copy + Ord>(
    texts: &[String],
    what: &str,
    all: &[(&str, K)],
) -> Result<Vec<K>, String> {
    let mut kinds = Vec::new();
    for text in texts {
        let found = all.iter().find(|(name, _)| name == text);
        let (_, kind) = found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is no kind of {what}: {}", names.join(" "))
        })?;
        kinds.push(*kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use bezant_extensions::recipes;

    use super::*;

    const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../extensions/recipes");

    /// The manifests that lie beside the modules say what the service's own recipes say.
    #[test]
    fn the_recipes_describe_themselves() {
        for recipe in recipes::ALL {
            let name = recipe.name;
            let file = Path::new(RECIPES).join(name).join(format!("{name}.toml"));
            let text = std::fs::read_to_string(&file).unwrap();
            let described = parse(&file, &text).unwrap();
            let expected = recipe.in_space(&name.parse().unwrap());
            assert_eq!(described.manifest, expected.manifest);
            assert_eq!(std::fs::read(described.module).unwrap(), expected.module);
        }
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said() {
        let sound = |line: &str, by: &str| {
            let text = r#"
                name = "x"
                version = 1
                module = "x.wasm"
                fuel = 1
                memory_pages = 1
                [[subscription]]
                space = "s"
                kinds = ["inp"]
                template = '(_)'
                entry = "run"
                [capabilities]
                s = ["read"]
            "#;
            assert!(text.contains(line), "{line}");
            parse(Path::new("x.toml"), &text.replace(line, by))
        };
        assert!(sound("fuel = 1", "fuel = 2").is_ok());
        for (line, by, said) in [
            ("version = 1", "", "version"),
            ("version = 1", "version = -1", "version"),
            ("fuel = 1", "fuel = 1\nfeul = 2", "feul"),
            ("\"inp\"", "\"imp\"", "no kind of operation"),
            (
                "kinds = [\"inp\"]",
                "events = [\"inp\"]",
                "no kind of event",
            ),
            ("kinds = [\"inp\"]", "", "one of kinds"),
            ("'(_)'", "'(_'", "no template"),
            ("space = \"s\"", "space = \"S\"", "names no space"),
            ("[\"read\"]", "[\"write\"]", "no right of an extension"),
        ] {
            let failure = sound(line, by).unwrap_err();
            assert!(failure.what.contains(said), "{by}: {}", failure.what);
            assert_eq!(failure.at.as_deref(), Some("x.toml"));
        }
    }
}
