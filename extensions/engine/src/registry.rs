//! Which extensions there are and whom each applies to: agreed state.
//!
//! An extension applies to its owner and to every client that acknowledged it or follows its
//! versions, and to everyone in a space whose administrator attached it; nobody else's
//! operations change their meaning. The index is kept by client, so that a lookup costs what
//! this one client has installed, whatever others do.
//!
//! `versions` is what an owner made of one extension over time, `attached` what holds for
//! everyone in a space, `index` how all of it is found, `snapshot` all of it as bytes.

mod attached;
mod index;
mod snapshot;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use bezant_manifest::{ExtensionHash, Manifest, RegistryError, Subscription};
use bezant_tuplespace::SpaceName;
use sha2::{Digest as _, Sha256};

pub use self::{
    index::EventRef,
    versions::{Schedule, Upgrade, VersionStatus},
};
use self::{index::Index, versions::Line};
use crate::check::check_extension;
use crate::extension::{Extension, content_hash, hash_of};
use crate::limits::{
    MAX_ACKNOWLEDGEMENTS, MAX_ACKNOWLEDGEMENTS_PER_CLIENT, MAX_EXTENSIONS,
    MAX_EXTENSIONS_PER_OWNER, MAX_TOTAL_MODULE_BYTES,
};
use crate::version::EngineVersion;

/// A client: its public key.
type ClientKey = [u8; 32];

/// An extension that is to run.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its hash.
    pub hash: ExtensionHash,
    /// The extension.
    pub extension: &'a Extension,
    /// The subscription that matched; its `entry` is to be called.
    pub subscription: &'a Subscription,
}

/// What of an extension's a client agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Agreements {
    /// These versions. The client's own extensions are not among them.
    exactly: BTreeSet<ExtensionHash>,
    /// Whichever version is in force, of these lines. The client's own are not among them.
    lines: BTreeSet<u64>,
}

/// All installed extensions.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    extensions: BTreeMap<ExtensionHash, Extension>,
    lines: BTreeMap<u64, Line>,
    agreements: BTreeMap<ClientKey, Agreements>,
    attached: BTreeMap<SpaceName, BTreeSet<ExtensionHash>>,
    /// The version of the engine in force.
    engine: EngineVersion,
    /// The one that will be, and from which proposal on.
    next_engine: Option<(u64, EngineVersion)>,
    /// How many extensions were ever registered.
    registered: u64,
    /// How many agreements there are; follows from the field above.
    agreed: usize,
    /// What runs when; follows from the fields above.
    index: Index,
}

impl Agreements {
    fn len(&self) -> usize {
        self.exactly.len().saturating_add(self.lines.len())
    }
}

impl Registry {
    /// A registry without extensions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Installs an extension for `owner`; it applies from the next operation on.
    ///
    /// Content that is installed already stays one extension with its first owner; it
    /// then applies to this client too, as if it had acknowledged it.
    ///
    /// # Errors
    /// [`RegistryError::Rejected`] with the rule that manifest or module breaks;
    /// [`RegistryError::TooManyExtensions`] when this owner or the service has no room.
    pub fn register(
        &mut self,
        owner: [u8; 32],
        manifest: Manifest,
        module: Vec<u8>,
    ) -> Result<ExtensionHash, RegistryError> {
        let hash = content_hash(&manifest, &module);
        if self.extensions.contains_key(&hash) {
            return self.acknowledge(owner, hash).map(|()| hash);
        }
        self.admit(owner, manifest, module, None)?;
        Ok(hash)
    }

    /// Takes in an extension that is not there yet, as the first version of its own line or as
    /// one more of another.
    fn admit(
        &mut self,
        owner: ClientKey,
        manifest: Manifest,
        module: Vec<u8>,
        line: Option<u64>,
    ) -> Result<ExtensionHash, RegistryError> {
        // The cheap bounds first: a check costs milliseconds.
        let owned = self.extensions.values().filter(|e| e.owner == owner);
        let bytes: usize = self.extensions.values().map(|e| e.module.len()).sum();
        if self.extensions.len() >= MAX_EXTENSIONS
            || owned.count() >= MAX_EXTENSIONS_PER_OWNER
            || bytes.saturating_add(module.len()) > MAX_TOTAL_MODULE_BYTES
        {
            return Err(RegistryError::TooManyExtensions);
        }
        check_extension(&manifest, &module).map_err(|rejected| rejected.rejection)?;
        self.registered = self.registered.saturating_add(1);
        let order = self.registered;
        let code: [u8; 32] = Sha256::digest(&module).into();
        let hash = hash_of(&manifest, &code);
        let extension = Extension {
            owner,
            manifest,
            module,
            code,
            order,
            line: line.unwrap_or(order),
            before: None,
        };
        self.extensions.insert(hash, extension);
        if line.is_none() {
            self.lines.insert(order, Line::of(hash));
        }
        self.refresh(hash);
        Ok(hash)
    }

    /// Makes an extension apply to `client`.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`], or [`RegistryError::TooManyAcknowledgements`] when this
    /// client or the service has no room.
    pub fn acknowledge(
        &mut self,
        client: [u8; 32],
        hash: ExtensionHash,
    ) -> Result<(), RegistryError> {
        let extension = self
            .extensions
            .get(&hash)
            .ok_or(RegistryError::NoSuchExtension)?;
        let already = self.agreements.get(&client);
        if extension.owner == client || already.is_some_and(|a| a.exactly.contains(&hash)) {
            return Ok(());
        }
        self.make_room(&client)?;
        let agreements = self.agreements.entry(client).or_default();
        agreements.exactly.insert(hash);
        self.refresh_for(client, hash);
        Ok(())
    }

    /// Counts one more agreement of a client, if there may be one.
    fn make_room(&mut self, client: &ClientKey) -> Result<(), RegistryError> {
        let already = self.agreements.get(client);
        if already.map_or(0, Agreements::len) >= MAX_ACKNOWLEDGEMENTS_PER_CLIENT
            || self.agreed >= MAX_ACKNOWLEDGEMENTS
        {
            return Err(RegistryError::TooManyAcknowledgements);
        }
        self.agreed = self.agreed.saturating_add(1);
        Ok(())
    }

    /// Removes an extension: it applies to nobody any more, not even to those who acknowledged
    /// it. The version whose place it took is in force again, if it is installed.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`]; [`RegistryError::Attached`] while it applies to everyone
    /// in a space.
    pub fn remove(&mut self, hash: ExtensionHash) -> Result<Extension, RegistryError> {
        let extension = self
            .extensions
            .get(&hash)
            .ok_or(RegistryError::NoSuchExtension)?;
        if self.attached.values().any(|here| here.contains(&hash)) {
            return Err(RegistryError::Attached);
        }
        let extension = extension.clone();
        self.leave_line(hash, &extension);
        for agreements in self.agreements.values_mut() {
            if agreements.exactly.remove(&hash) {
                self.agreed = self.agreed.saturating_sub(1);
            }
        }
        self.agreements.retain(|_, agreements| agreements.len() > 0);
        self.extensions.remove(&hash);
        self.index.forget(hash, &extension);
        Ok(extension)
    }

    /// Lets an extension of another client not apply to this one any more, whether it agreed
    /// to this version or to any; whether it did.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchExtension`].
    pub fn withdraw(
        &mut self,
        client: [u8; 32],
        hash: ExtensionHash,
    ) -> Result<bool, RegistryError> {
        let extension = self
            .extensions
            .get(&hash)
            .ok_or(RegistryError::NoSuchExtension)?;
        let line = extension.line;
        let Some(agreements) = self.agreements.get_mut(&client) else {
            return Ok(false);
        };
        let before = agreements.len();
        agreements.exactly.remove(&hash);
        agreements.lines.remove(&line);
        let ended = before.saturating_sub(agreements.len());
        if agreements.len() == 0 {
            self.agreements.remove(&client);
        }
        self.agreed = self.agreed.saturating_sub(ended);
        self.refresh_for(client, hash);
        let in_force = self.lines.get(&line).map(|line| line.active);
        if let Some(in_force) = in_force {
            self.refresh_for(client, in_force);
        }
        Ok(ended > 0)
    }

    /// Whether an extension applies to a client, wherever it may be.
    #[must_use]
    pub fn applies(&self, client: &[u8; 32], hash: &ExtensionHash) -> bool {
        let Some(extension) = self.extensions.get(hash) else {
            return false;
        };
        let agreements = self.agreements.get(client);
        agreements.is_some_and(|agreed| agreed.exactly.contains(hash))
            || (self.is_in_force(hash, extension)
                && (extension.owner == *client
                    || agreements.is_some_and(|agreed| agreed.lines.contains(&extension.line))))
    }

    /// The extension with this hash.
    #[must_use]
    pub fn get(&self, hash: &ExtensionHash) -> Option<&Extension> {
        self.extensions.get(hash)
    }

    /// All extensions, ascending by hash.
    pub fn iter(&self) -> impl Iterator<Item = (&ExtensionHash, &Extension)> {
        self.extensions.iter()
    }

    /// The version of the engine in force.
    #[must_use]
    pub const fn engine(&self) -> EngineVersion {
        self.engine
    }

    /// Another version of the engine is in force when it is to be; whether anything is otherwise
    /// than before.
    pub fn switch_engine(&mut self, version: EngineVersion, when: Schedule) -> bool {
        let before = (self.engine, self.next_engine);
        self.next_engine = (version != self.engine).then_some((when.from, version));
        if when.is_now() {
            self.begin(when.now);
        }
        before != (self.engine, self.next_engine)
    }

    /// The order of the extension registered last.
    #[must_use]
    pub const fn registered(&self) -> u64 {
        self.registered
    }

    /// How many extensions are installed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.extensions.len()
    }

    /// Whether no extension is installed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extensions.is_empty()
    }
}
