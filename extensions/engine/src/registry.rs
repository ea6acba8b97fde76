//! Which extensions there are and whom each applies to: agreed state.
//!
//! An extension applies to its owner and to every client that acknowledged it;
//! nobody else's operations change their meaning. The index is kept by client, so
//! that a lookup costs what this one client has installed, whatever others do.

mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use bezant_api::{ExtensionFailure, ExtensionHash, Manifest, Refused, Subscription};
use bezant_tuplespace::{Operation, SpaceName};
use sha2::{Digest as _, Sha256};

use crate::check::check_extension;
use crate::engine::CallReport;
use crate::limits::{
    MAX_ACKNOWLEDGEMENTS, MAX_ACKNOWLEDGEMENTS_PER_CLIENT, MAX_EXTENSIONS,
    MAX_EXTENSIONS_PER_OWNER, MAX_TOTAL_MODULE_BYTES,
};
use crate::matching::covers;

/// A client: its public key.
type ClientKey = [u8; 32];

/// An installed extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The client that installed it.
    pub owner: [u8; 32],
    /// What it is and may do.
    pub manifest: Manifest,
    /// Its module.
    pub module: Vec<u8>,
    /// SHA-256 of the module.
    pub code: [u8; 32],
    /// Its place in the order of registrations, counted from 1.
    pub order: u64,
}

/// The extension that runs instead of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its hash.
    pub hash: ExtensionHash,
    /// The extension.
    pub extension: &'a Extension,
    /// The subscription that matched; its `entry` is to be called.
    pub subscription: &'a Subscription,
}

/// All installed extensions.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    extensions: BTreeMap<ExtensionHash, Extension>,
    /// What each client acknowledged. Its own extensions are not among these.
    acknowledged: BTreeMap<ClientKey, BTreeSet<ExtensionHash>>,
    /// How many acknowledgements there are; follows from the field above.
    acknowledgements: usize,
    /// How many extensions were ever registered.
    registered: u64,
    /// What applies to each client in each space, in order of registration; follows
    /// from the fields above.
    applying: BTreeMap<ClientKey, BTreeMap<SpaceName, BTreeMap<u64, ExtensionHash>>>,
}

impl Extension {
    /// What a client is told of a failed call.
    #[must_use]
    pub fn failure(&self, report: &CallReport) -> Option<ExtensionFailure> {
        report.result.as_ref().err().map(|code| ExtensionFailure {
            code: *code,
            name: self.manifest.name.clone(),
            version: self.manifest.version,
            fuel: report.fuel_used,
        })
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
    /// [`Refused::Rejected`] with the rule that manifest or module breaks;
    /// [`Refused::TooManyExtensions`] when this owner or the service has no room.
    pub fn register(
        &mut self,
        owner: [u8; 32],
        manifest: Manifest,
        module: Vec<u8>,
    ) -> Result<ExtensionHash, Refused> {
        let code: [u8; 32] = Sha256::digest(&module).into();
        let hash = hash_of(&manifest, &code);
        if self.extensions.contains_key(&hash) {
            return self.acknowledge(owner, hash).map(|()| hash);
        }
        // The cheap bounds first: a check costs milliseconds.
        let owned = self.extensions.values().filter(|e| e.owner == owner);
        let bytes: usize = self.extensions.values().map(|e| e.module.len()).sum();
        if self.extensions.len() >= MAX_EXTENSIONS
            || owned.count() >= MAX_EXTENSIONS_PER_OWNER
            || bytes.saturating_add(module.len()) > MAX_TOTAL_MODULE_BYTES
        {
            return Err(Refused::TooManyExtensions);
        }
        check_extension(&manifest, &module).map_err(|rejected| rejected.rejection)?;
        self.registered = self.registered.saturating_add(1);
        let extension = Extension {
            owner,
            manifest,
            module,
            code,
            order: self.registered,
        };
        apply_to(&mut self.applying, owner, hash, &extension);
        self.extensions.insert(hash, extension);
        Ok(hash)
    }

    /// Makes an extension apply to `client`.
    ///
    /// # Errors
    /// [`Refused::NoSuchExtension`], or [`Refused::TooManyAcknowledgements`] when this
    /// client or the service has no room.
    pub fn acknowledge(&mut self, client: [u8; 32], hash: ExtensionHash) -> Result<(), Refused> {
        let extension = self.extensions.get(&hash).ok_or(Refused::NoSuchExtension)?;
        if extension.owner == client {
            return Ok(());
        }
        let already = self.acknowledged.get(&client);
        if already.is_some_and(|hashes| hashes.contains(&hash)) {
            return Ok(());
        }
        if already.map_or(0, BTreeSet::len) >= MAX_ACKNOWLEDGEMENTS_PER_CLIENT
            || self.acknowledgements >= MAX_ACKNOWLEDGEMENTS
        {
            return Err(Refused::TooManyAcknowledgements);
        }
        self.acknowledgements = self.acknowledgements.saturating_add(1);
        self.acknowledged.entry(client).or_default().insert(hash);
        apply_to(&mut self.applying, client, hash, extension);
        Ok(())
    }

    /// Removes an extension: it applies to nobody any more, not even to those who acknowledged
    /// it.
    ///
    /// # Errors
    /// [`Refused::NoSuchExtension`].
    pub fn remove(&mut self, hash: ExtensionHash) -> Result<Extension, Refused> {
        let extension = self.extensions.remove(&hash);
        let extension = extension.ok_or(Refused::NoSuchExtension)?;
        let clients = self.acknowledged.iter();
        let clients = clients.filter(|(_, hashes)| hashes.contains(&hash));
        let clients: Vec<ClientKey> = clients.map(|(client, _)| *client).collect();
        for client in clients {
            self.take_back(client, hash, &extension);
        }
        apply_no_more(&mut self.applying, extension.owner, &extension);
        Ok(extension)
    }

    /// Lets an extension of another client not apply to this one any more; whether it did.
    ///
    /// # Errors
    /// [`Refused::NoSuchExtension`].
    pub fn withdraw(&mut self, client: [u8; 32], hash: ExtensionHash) -> Result<bool, Refused> {
        let extension = self.extensions.get(&hash).ok_or(Refused::NoSuchExtension)?;
        let extension = extension.clone();
        Ok(self.take_back(client, hash, &extension))
    }

    /// Ends an acknowledgement; whether there was one.
    fn take_back(&mut self, client: ClientKey, hash: ExtensionHash, extension: &Extension) -> bool {
        let Some(hashes) = self.acknowledged.get_mut(&client) else {
            return false;
        };
        if !hashes.remove(&hash) {
            return false;
        }
        if hashes.is_empty() {
            self.acknowledged.remove(&client);
        }
        self.acknowledgements = self.acknowledgements.saturating_sub(1);
        apply_no_more(&mut self.applying, client, extension);
        true
    }

    /// Whether an extension applies to a client.
    #[must_use]
    pub fn applies(&self, client: &[u8; 32], hash: &ExtensionHash) -> bool {
        let acknowledged = self.acknowledged.get(client);
        let owned = self.extensions.get(hash);
        owned.is_some_and(|extension| extension.owner == *client)
            || acknowledged.is_some_and(|hashes| hashes.contains(hash))
    }

    /// The extension to run instead of `operation`: of those that apply to `invoker`
    /// and mean the operation, the most recently registered.
    #[must_use]
    pub fn find(
        &self,
        invoker: &[u8; 32],
        space: &SpaceName,
        operation: &Operation,
    ) -> Option<Found<'_>> {
        let here = self.applying.get(invoker)?.get(space)?;
        let kind = operation.kind();
        here.values().rev().find_map(|hash| {
            let extension = self.extensions.get(hash)?;
            let subscription = extension
                .manifest
                .subscriptions
                .iter()
                .find(|subscription| {
                    subscription.space == *space
                        && subscription.kinds.contains(&kind)
                        && covers(&subscription.template, operation)
                })?;
            Some(Found {
                hash: *hash,
                extension,
                subscription,
            })
        })
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

/// Enters an extension into the index for one client.
fn apply_to(
    applying: &mut BTreeMap<ClientKey, BTreeMap<SpaceName, BTreeMap<u64, ExtensionHash>>>,
    client: ClientKey,
    hash: ExtensionHash,
    extension: &Extension,
) {
    let spaces = applying.entry(client).or_default();
    for subscription in &extension.manifest.subscriptions {
        spaces
            .entry(subscription.space.clone())
            .or_default()
            .insert(extension.order, hash);
    }
}

/// Takes an extension out of the index for one client.
fn apply_no_more(
    applying: &mut BTreeMap<ClientKey, BTreeMap<SpaceName, BTreeMap<u64, ExtensionHash>>>,
    client: ClientKey,
    extension: &Extension,
) {
    let Some(spaces) = applying.get_mut(&client) else {
        return;
    };
    for subscription in &extension.manifest.subscriptions {
        if let Some(here) = spaces.get_mut(&subscription.space) {
            here.remove(&extension.order);
            if here.is_empty() {
                spaces.remove(&subscription.space);
            }
        }
    }
    if spaces.is_empty() {
        applying.remove(&client);
    }
}

/// The hash that names an extension: SHA-256 over its manifest's canonical bytes, preceded by
/// their length, and the digest of its module.
#[must_use]
pub fn content_hash(manifest: &Manifest, module: &[u8]) -> ExtensionHash {
    hash_of(manifest, &Sha256::digest(module).into())
}

fn hash_of(manifest: &Manifest, code: &[u8; 32]) -> ExtensionHash {
    let manifest = manifest.encode();
    let mut hash = Sha256::new();
    hash.update(b"bezant extension");
    hash.update((manifest.len() as u64).to_le_bytes());
    hash.update(&manifest);
    hash.update(code);
    ExtensionHash(hash.finalize().into())
}
