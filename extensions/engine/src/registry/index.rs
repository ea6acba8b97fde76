//! The index of subscriptions, by client and space, or by space.
//!
//! All of it follows from the registry and is kept in step with it by
//! [`Registry::refresh`], after whatever changes whom an extension applies to.

use std::collections::BTreeMap;

use bezant_manifest::{EventKind, ExtensionHash, Trigger};
use bezant_tuple::Tuple;
use bezant_tuplespace::{Operation, SpaceName};

use super::{ClientKey, Found, Registry};
use crate::extension::Extension;
use crate::matching::covers;

/// Extensions in the order of their registration.
type Ordered = BTreeMap<u64, ExtensionHash>;

/// An event as subscriptions are compared with it.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// Where it happened.
    pub space: &'a SpaceName,
    /// What.
    pub kind: EventKind,
    /// To which tuple.
    pub tuple: &'a Tuple,
}

/// The index of a [`Registry`].
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// What runs instead of operations, of each client in each space.
    applying: BTreeMap<ClientKey, BTreeMap<SpaceName, Ordered>>,
    /// The subscribers of events, in each space.
    subscribers: BTreeMap<SpaceName, Ordered>,
}

impl Index {
    /// Takes an extension out, wherever it is.
    pub(super) fn forget(&mut self, hash: ExtensionHash, extension: &Extension) {
        let clients: Vec<ClientKey> = self.applying.keys().copied().collect();
        for client in clients {
            self.apply(client, hash, extension, false);
        }
        self.hear(hash, extension, false);
    }

    /// Enters an extension for one client, or takes it out.
    pub(super) fn apply(
        &mut self,
        client: ClientKey,
        hash: ExtensionHash,
        extension: &Extension,
        applies: bool,
    ) {
        let spaces = self.applying.entry(client).or_default();
        for space in spaces_of(extension, |on| matches!(on, Trigger::Operations(_))) {
            set(spaces, space, extension.order, applies.then_some(hash));
        }
        if spaces.is_empty() {
            self.applying.remove(&client);
        }
    }

    /// Enters an extension for events, or takes it out.
    pub(super) fn hear(
        &mut self,
        hash: ExtensionHash,
        extension: &Extension,
        has_subscribers: bool,
    ) {
        for space in spaces_of(extension, |on| matches!(on, Trigger::Events(_))) {
            let hash = has_subscribers.then_some(hash);
            set(&mut self.subscribers, space, extension.order, hash);
        }
    }
}

/// The spaces of an extension's subscriptions of one sort.
fn spaces_of(
    extension: &Extension,
    is_meant: impl Fn(&Trigger) -> bool,
) -> impl Iterator<Item = &SpaceName> {
    let subscriptions = extension.manifest.subscriptions.iter();
    let meant = subscriptions.filter(move |subscription| is_meant(&subscription.on));
    meant.map(|subscription| &subscription.space)
}

/// Enters a hash at a place, or clears it.
fn set(
    spaces: &mut BTreeMap<SpaceName, Ordered>,
    space: &SpaceName,
    order: u64,
    hash: Option<ExtensionHash>,
) {
    if let Some(hash) = hash {
        spaces.entry(space.clone()).or_default().insert(order, hash);
    } else if let Some(here) = spaces.get_mut(space) {
        here.remove(&order);
        if here.is_empty() {
            spaces.remove(space);
        }
    }
}

impl Registry {
    /// Brings the index up to date with an extension, for everyone to whom it may apply.
    pub(super) fn refresh(&mut self, hash: ExtensionHash) {
        for client in self.agreed_to(hash) {
            self.refresh_for(client, hash);
        }
        if let Some(extension) = self.extensions.get(&hash) {
            let has_subscribers = self.is_in_force(&hash, extension);
            self.index.hear(hash, extension, has_subscribers);
        }
    }

    /// Brings the index up to date with an extension for one client.
    pub(super) fn refresh_for(&mut self, client: ClientKey, hash: ExtensionHash) {
        let applies = self.applies(&client, &hash);
        if let Some(extension) = self.extensions.get(&hash) {
            self.index.apply(client, hash, extension, applies);
        }
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
        let applying = self.index.applying.get(invoker);
        let agreed = applying.and_then(|spaces| spaces.get(space));
        let kind = operation.kind();
        let means =
            |on: &Trigger| matches!(on, Trigger::Operations(kinds) if kinds.contains(&kind));
        let found = |hash: &ExtensionHash| {
            self.found(*hash, space, &means, |template| covers(template, operation))
        };
        let by_agreement = agreed.and_then(|here| here.values().rev().find_map(found));
        // Few spaces have any.
        let attached = self.attached.get(space).into_iter().flatten();
        let attached = attached.filter_map(found);
        by_agreement
            .into_iter()
            .chain(attached)
            .max_by_key(|found| found.extension.order)
    }

    /// What is to be asked before an operation in a space, in the order of registration.
    #[must_use]
    pub fn judges(&self, space: &SpaceName, operation: &Operation) -> Vec<Found<'_>> {
        let Some(here) = self.attached.get(space) else {
            return Vec::new();
        };
        let kind = operation.kind();
        let means = |on: &Trigger| matches!(on, Trigger::Judges(kinds) if kinds.contains(&kind));
        let judges = here.iter().filter_map(|hash| {
            self.found(*hash, space, &means, |template| covers(template, operation))
        });
        let mut judges: Vec<Found<'_>> = judges.collect();
        judges.sort_unstable_by_key(|found| found.extension.order);
        judges
    }

    /// The first extension registered after the one at `after`, and not after the one at
    /// `until`, that subscribes to an event.
    #[must_use]
    pub fn subscriber(&self, event: EventRef<'_>, after: u64, until: u64) -> Option<Found<'_>> {
        if after >= until {
            return None;
        }
        let EventRef { space, kind, tuple } = event;
        let here = self.index.subscribers.get(space)?;
        let means = |on: &Trigger| matches!(on, Trigger::Events(kinds) if kinds.contains(&kind));
        here.range(after.saturating_add(1)..=until)
            .find_map(|(_, hash)| {
                self.found(*hash, space, &means, |template| template.matches(tuple))
            })
    }

    /// Whether any extension subscribes to events.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        !self.index.subscribers.is_empty()
    }

    /// The first subscription of an extension that means something.
    fn found(
        &self,
        hash: ExtensionHash,
        space: &SpaceName,
        means: &dyn Fn(&Trigger) -> bool,
        matches: impl Fn(&bezant_tuple::Template) -> bool,
    ) -> Option<Found<'_>> {
        let extension = self.extensions.get(&hash)?;
        let mut subscriptions = extension.manifest.subscriptions.iter();
        let subscription = subscriptions.find(|subscription| {
            subscription.space == *space
                && means(&subscription.on)
                && matches(&subscription.template)
        })?;
        Some(Found {
            hash,
            extension,
            subscription,
        })
    }
}
