//! The versions that an owner made of one extension: which is in force, and from when.
//!
//! Every extension is the first of a line or was installed as a later version of one. One
//! version of a line is in force: it applies to the owner and to whoever follows the line,
//! and subscribes to events. Whoever acknowledged a version by its hash keeps that version,
//! whatever its owner does. What waits and what lives on a lease is in the spaces, so no
//! change of version touches it.

use std::collections::BTreeSet;

use bezant_manifest::{ExtensionHash, Manifest, RegistryError};

use super::{ClientKey, Registry};
use crate::extension::{Extension, content_hash};

/// The versions of one extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The version in force.
    pub(super) active: ExtensionHash,
    /// The version that will be, and from which proposal on.
    pub(super) next: Option<(u64, ExtensionHash)>,
}

/// How a version stands among the others of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionStatus {
    /// Whether it is in force.
    pub in_force: bool,
    /// The version it took the place of.
    pub replaces: Option<ExtensionHash>,
    /// The proposal from which on it will be in force.
    pub from: Option<u64>,
}

/// When something comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From this proposal on.
    pub from: u64,
    /// The proposal that is being executed.
    pub now: u64,
}

impl Schedule {
    /// Whether it has come so far.
    #[must_use]
    pub const fn is_now(self) -> bool {
        self.from <= self.now
    }
}

/// A new version of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Of which extension, by any of its versions.
    pub of: ExtensionHash,
    /// The new version's manifest.
    pub manifest: Manifest,
    /// The new version's module.
    pub module: Vec<u8>,
    /// When it is in force.
    pub when: Schedule,
}

impl Line {
    /// The line of a first version.
    pub(super) const fn of(first: ExtensionHash) -> Self {
        Self {
            active: first,
            next: None,
        }
    }
}

impl Registry {
    /// Installs a new version of an extension of `owner`'s, to be in force when it is to be. It
    /// may be installed already, as a version that was in force before.
    ///
    /// # Errors
    /// As [`Registry::register`]; [`RegistryError::NoSuchExtension`]; [`RegistryError::Forbidden`]
    /// if it is another client's, or the new content is an extension of its own.
    pub fn upgrade(
        &mut self,
        owner: [u8; 32],
        upgrade: Upgrade,
    ) -> Result<ExtensionHash, RegistryError> {
        let Upgrade {
            of,
            manifest,
            module,
            when,
        } = upgrade;
        let line = self.owned(owner, of)?.line;
        let hash = content_hash(&manifest, &module);
        match self.extensions.get(&hash) {
            Some(there) if there.line != line => return Err(RegistryError::Forbidden),
            Some(_) => {}
            None => {
                self.admit(owner, manifest, module, Some(line))?;
            }
        }
        if let Some(line) = self.lines.get_mut(&line) {
            line.next = (line.active != hash).then_some((when.from, hash));
        }
        if when.is_now() {
            self.activate(line);
        }
        Ok(hash)
    }

    /// Puts the version before back in force, or calls off the one that was to come; which is
    /// in force now.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`]; [`RegistryError::Forbidden`] if it is another client's;
    /// [`RegistryError::NoVersionBefore`].
    pub fn roll_back(
        &mut self,
        owner: [u8; 32],
        hash: ExtensionHash,
    ) -> Result<ExtensionHash, RegistryError> {
        let extension = self.owned(owner, hash)?;
        let (line, before) = (extension.line, extension.before);
        let entry = self
            .lines
            .get_mut(&line)
            .ok_or(RegistryError::NoVersionBefore)?;
        if entry.active != hash {
            return Err(RegistryError::NoVersionBefore);
        }
        if entry.next.take().is_some() {
            return Ok(hash);
        }
        let before = before.ok_or(RegistryError::NoVersionBefore)?;
        entry.active = before;
        if let Some(extension) = self.extensions.get_mut(&hash) {
            extension.before = None;
        }
        self.refresh(hash);
        self.refresh(before);
        Ok(before)
    }

    /// Puts into force what is to be so from this proposal on.
    pub fn begin(&mut self, proposal: u64) {
        if let Some((at, engine)) = self.next_engine
            && at <= proposal
        {
            (self.engine, self.next_engine) = (engine, None);
        }
        let due = self.lines.iter();
        let due = due.filter(|(_, line)| line.next.is_some_and(|(at, _)| at <= proposal));
        let due: Vec<u64> = due.map(|(line, _)| *line).collect();
        due.into_iter().for_each(|line| self.activate(line));
    }

    /// Lets whichever version of an extension is in force apply to `client`.
    ///
    /// # Errors
    /// As [`Registry::acknowledge`].
    pub fn follow(&mut self, client: [u8; 32], hash: ExtensionHash) -> Result<(), RegistryError> {
        let extension = self
            .extensions
            .get(&hash)
            .ok_or(RegistryError::NoSuchExtension)?;
        let line = extension.line;
        let already = self.agreements.get(&client);
        if extension.owner == client || already.is_some_and(|a| a.lines.contains(&line)) {
            return Ok(());
        }
        self.make_room(&client)?;
        self.agreements
            .entry(client)
            .or_default()
            .lines
            .insert(line);
        if let Some(active) = self.lines.get(&line).map(|line| line.active) {
            self.refresh_for(client, active);
        }
        Ok(())
    }

    /// How a version stands among the others of its line.
    #[must_use]
    pub fn version_status(&self, hash: &ExtensionHash) -> Option<VersionStatus> {
        let extension = self.extensions.get(hash)?;
        let line = self.lines.get(&extension.line)?;
        Some(VersionStatus {
            in_force: line.active == *hash,
            replaces: extension.before,
            from: line.next.filter(|(_, next)| next == hash).map(|(at, _)| at),
        })
    }

    pub(super) fn is_in_force(&self, hash: &ExtensionHash, extension: &Extension) -> bool {
        let line = self.lines.get(&extension.line);
        line.is_some_and(|line| line.active == *hash)
    }

    /// Whoever follows a line.
    pub(super) fn followers(&self, line: u64) -> impl Iterator<Item = ClientKey> {
        let following = self.agreements.iter();
        let following = following.filter(move |(_, agreed)| agreed.lines.contains(&line));
        following.map(|(client, _)| *client)
    }

    fn owned(&self, owner: ClientKey, hash: ExtensionHash) -> Result<&Extension, RegistryError> {
        let extension = self
            .extensions
            .get(&hash)
            .ok_or(RegistryError::NoSuchExtension)?;
        if extension.owner == owner {
            Ok(extension)
        } else {
            Err(RegistryError::Forbidden)
        }
    }

    /// Puts the next version of a line into force.
    fn activate(&mut self, line: u64) {
        let Some(entry) = self.lines.get_mut(&line) else {
            return;
        };
        let Some((_, next)) = entry.next.take() else {
            return;
        };
        let before = std::mem::replace(&mut entry.active, next);
        // A version that comes back takes its place in no circle.
        if let Some(extension) = self.extensions.get_mut(&next) {
            extension.before = Some(before);
        }
        let back = self.extensions.get(&before).and_then(|e| e.before);
        if back == Some(next)
            && let Some(extension) = self.extensions.get_mut(&before)
        {
            extension.before = None;
        }
        self.refresh(before);
        self.refresh(next);
    }

    /// An extension that is to be removed leaves its line: the version before it, or else the
    /// newest that is left, is in force; with the last the line ends.
    pub(super) fn leave_line(&mut self, hash: ExtensionHash, extension: &Extension) {
        let id = extension.line;
        let mut others = self.extensions.iter_mut();
        let mut newest = None;
        for (other, version) in others.by_ref().filter(|(_, version)| version.line == id) {
            if *other == hash {
                continue;
            }
            if version.before == Some(hash) {
                version.before = extension.before.filter(|before| before != other);
            }
            newest = newest.max(Some((version.order, *other)));
        }
        let heir = extension.before.or(newest.map(|(_, other)| other));
        let (Some(line), Some(heir)) = (self.lines.get_mut(&id), heir) else {
            self.end_line(id);
            return;
        };
        if line.next.is_some_and(|(_, next)| next == hash) {
            line.next = None;
        }
        if line.active == hash {
            line.active = heir;
            if line.next.is_some_and(|(_, next)| next == heir) {
                line.next = None;
            }
            self.refresh(heir);
        }
    }

    fn end_line(&mut self, line: u64) {
        self.lines.remove(&line);
        for agreements in self.agreements.values_mut() {
            if agreements.lines.remove(&line) {
                self.agreed = self.agreed.saturating_sub(1);
            }
        }
    }

    /// Everyone to whom an extension may apply by agreement.
    pub(super) fn agreed_to(&self, hash: ExtensionHash) -> BTreeSet<ClientKey> {
        let Some(extension) = self.extensions.get(&hash) else {
            return BTreeSet::new();
        };
        let exactly = self.agreements.iter();
        let exactly = exactly.filter(|(_, agreed)| agreed.exactly.contains(&hash));
        exactly
            .map(|(client, _)| *client)
            .chain(self.followers(extension.line))
            .chain([extension.owner])
            .collect()
    }
}
