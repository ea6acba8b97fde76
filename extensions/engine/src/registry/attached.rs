//! The extensions attached to a space, which apply to everyone in it.

use bezant_manifest::{ExtensionHash, RegistryError};
use bezant_tuplespace::SpaceName;

use super::Registry;
use crate::limits::{MAX_ATTACHED, MAX_ATTACHED_PER_SPACE};

impl Registry {
    /// Makes an extension apply to everyone in a space; whether it did not before.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`], [`RegistryError::TooManyAttached`].
    pub fn attach(
        &mut self,
        space: &SpaceName,
        hash: ExtensionHash,
    ) -> Result<bool, RegistryError> {
        if !self.extensions.contains_key(&hash) {
            return Err(RegistryError::NoSuchExtension);
        }
        let here = self.attached.get(space);
        if here.is_some_and(|here| here.contains(&hash)) {
            return Ok(false);
        }
        let all: usize = self
            .attached
            .values()
            .map(std::collections::BTreeSet::len)
            .sum();
        if here.map_or(0, std::collections::BTreeSet::len) >= MAX_ATTACHED_PER_SPACE
            || all >= MAX_ATTACHED
        {
            return Err(RegistryError::TooManyAttached);
        }
        self.attached.entry(space.clone()).or_default().insert(hash);
        Ok(true)
    }

    /// Ends that an extension applies to everyone in a space; whether it did.
    pub fn detach(&mut self, space: &SpaceName, hash: &ExtensionHash) -> bool {
        let Some(here) = self.attached.get_mut(space) else {
            return false;
        };
        let detached = here.remove(hash);
        if here.is_empty() {
            self.attached.remove(space);
        }
        detached
    }

    /// Nothing is attached any more in a space that is gone.
    pub fn space_removed(&mut self, space: &SpaceName) {
        self.attached.remove(space);
    }

    /// What is attached in a space, in the order of registration.
    #[must_use]
    pub fn attached_in(&self, space: &SpaceName) -> Vec<ExtensionHash> {
        let mut here: Vec<(u64, ExtensionHash)> = Vec::new();
        for hash in self.attached.get(space).into_iter().flatten() {
            here.extend(self.extensions.get(hash).map(|e| (e.order, *hash)));
        }
        here.sort_unstable();
        here.into_iter().map(|(_, hash)| hash).collect()
    }

    /// The spaces in which an extension is attached, ascending.
    #[must_use]
    pub fn attached_to(&self, hash: &ExtensionHash) -> Vec<SpaceName> {
        let spaces = self.attached.iter();
        let spaces = spaces.filter(|(_, here)| here.contains(hash));
        spaces.map(|(space, _)| space.clone()).collect()
    }

    /// The spaces in which anything is attached, ascending.
    pub fn spaces_with_attached(&self) -> impl Iterator<Item = &SpaceName> {
        self.attached.keys()
    }
}
