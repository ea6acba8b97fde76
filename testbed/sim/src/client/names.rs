//! The spaces and the group that all clients know.

use bezant_api::GroupName;
use bezant_tuplespace::SpaceName;

/// The space in which rights are given and taken.
pub(super) const RULED: &str = "c";

pub(super) fn name(name: &str) -> SpaceName {
    match SpaceName::new(name) {
        Ok(name) => name,
        Err(error) => unreachable!("{name} is a name: {error}"),
    }
}

/// The one group that there is.
pub(super) fn team() -> GroupName {
    match GroupName::try_from(name("team")) {
        Ok(group) => group,
        Err(error) => unreachable!("a space's name names a group: {error}"),
    }
}
