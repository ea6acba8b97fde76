//! What holds for everyone in a space, because its administrator said so.

use bezant_manifest::{ExtensionHash, RegistryError};
use bezant_tuplespace::SpaceName;

use super::Registry;
use crate::limits::{MAX_IMPOSED, MAX_IMPOSED_PER_SPACE};

impl Registry {
    /// Makes an extension apply to everyone in a space; whether it did not before.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`], [`RegistryError::TooManyImposed`].
    pub fn impose(
        &mut self,
        space: &SpaceName,
        hash: ExtensionHash,
    ) -> Result<bool, RegistryError> {
        if !self.extensions.contains_key(&hash) {
            return Err(RegistryError::NoSuchExtension);
        }
        let here = self.imposed.get(space);
        if here.is_some_and(|here| here.contains(&hash)) {
            return Ok(false);
        }
        let all: usize = self
            .imposed
            .values()
            .map(std::collections::BTreeSet::len)
            .sum();
        if here.map_or(0, std::collections::BTreeSet::len) >= MAX_IMPOSED_PER_SPACE
            || all >= MAX_IMPOSED
        {
            return Err(RegistryError::TooManyImposed);
        }
        self.imposed.entry(space.clone()).or_default().insert(hash);
        Ok(true)
    }

    /// Ends that an extension applies to everyone in a space; whether it did.
    pub fn lift(&mut self, space: &SpaceName, hash: &ExtensionHash) -> bool {
        let Some(here) = self.imposed.get_mut(space) else {
            return false;
        };
        let lifted = here.remove(hash);
        if here.is_empty() {
            self.imposed.remove(space);
        }
        lifted
    }

    /// Nothing is imposed any more in a space that is gone.
    pub fn space_removed(&mut self, space: &SpaceName) {
        self.imposed.remove(space);
    }

    /// What is imposed in a space, in the order of registration.
    #[must_use]
    pub fn imposed_in(&self, space: &SpaceName) -> Vec<ExtensionHash> {
        let mut here: Vec<(u64, ExtensionHash)> = Vec::new();
        for hash in self.imposed.get(space).into_iter().flatten() {
            here.extend(self.extensions.get(hash).map(|e| (e.order, *hash)));
        }
        here.sort_unstable();
        here.into_iter().map(|(_, hash)| hash).collect()
    }

    /// The spaces in which an extension is imposed, ascending.
    #[must_use]
    pub fn imposes(&self, hash: &ExtensionHash) -> Vec<SpaceName> {
        let spaces = self.imposed.iter();
        let spaces = spaces.filter(|(_, here)| here.contains(hash));
        spaces.map(|(space, _)| space.clone()).collect()
    }

    /// The spaces in which anything is imposed, ascending.
    pub fn imposing(&self) -> impl Iterator<Item = &SpaceName> {
        self.imposed.keys()
    }
}
