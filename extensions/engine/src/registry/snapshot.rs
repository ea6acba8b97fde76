//! The registry as bytes, and back.
//!
//! Extensions stand in their order of registration and are meant by their places
//! in it; hashes, sums and the index by client follow from the rest.

use std::collections::{BTreeMap, BTreeSet};

use bezant_api::{ExtensionHash, Manifest};
use bezant_tuple::codec::{self, Reader};
use bezant_tuplespace::BadContent;

use super::{ClientKey, Extension, Registry};

impl Registry {
    /// Appends all extensions and acknowledgements.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let mut ordered: Vec<(&ExtensionHash, &Extension)> = self.extensions.iter().collect();
        ordered.sort_unstable_by_key(|(_, extension)| extension.order);
        codec::put_varint(out, ordered.len() as u64);
        for (_, extension) in &ordered {
            codec::put_bytes(out, &extension.owner);
            codec::put_bytes(out, &extension.manifest.encode());
            codec::put_bytes(out, &extension.module);
        }
        let places: BTreeMap<&ExtensionHash, u64> =
            ordered.iter().map(|(hash, _)| *hash).zip(0..).collect();
        codec::put_varint(out, self.acknowledged.len() as u64);
        for (client, hashes) in &self.acknowledged {
            codec::put_bytes(out, client);
            let acknowledged: BTreeSet<u64> = hashes
                .iter()
                .filter_map(|hash| places.get(hash).copied())
                .collect();
            codec::put_varint(out, acknowledged.len() as u64);
            for place in acknowledged {
                codec::put_varint(out, place);
            }
        }
    }

    /// Reads what [`Registry::encode_into`] wrote: registers and acknowledges everything
    /// again, so that whatever would be refused is refused here, too. Every module is
    /// checked, which takes milliseconds for each.
    ///
    /// # Errors
    /// [`BadContent`] for anything that no registry could have written.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut registry = Self::new();
        let mut hashes = Vec::new();
        for _ in 0..reader.length()? {
            let owner = read_key(reader)?;
            let manifest = Manifest::decode(reader.bytes()?)
                .map_err(|_| BadContent::Contradiction("an extension without a manifest"))?;
            let hash = registry
                .register(owner, manifest, reader.bytes()?.to_vec())
                .map_err(|_| BadContent::Contradiction("an extension that breaks a rule"))?;
            hashes.push(hash);
            // The same content once more would have been an acknowledgement.
            let once = registry.len() == hashes.len();
            BadContent::unless(once, "an extension registered twice")?;
        }
        let mut before = None;
        for _ in 0..reader.length()? {
            let client = read_key(reader)?;
            let ordered = before.is_none_or(|before| before < client);
            BadContent::unless(ordered, "acknowledgements out of order of clients")?;
            before = Some(client);
            registry.decode_acknowledgements(client, &hashes, reader)?;
        }
        Ok(registry)
    }

    fn decode_acknowledgements(
        &mut self,
        client: ClientKey,
        hashes: &[ExtensionHash],
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        let count = reader.length()?;
        BadContent::unless(count > 0, "a client that acknowledged nothing")?;
        let mut before = None;
        for _ in 0..count {
            let place = reader.varint()?;
            let ordered = before.is_none_or(|before| before < place);
            BadContent::unless(ordered, "acknowledgements out of order")?;
            before = Some(place);
            let acknowledgements = self.acknowledgements;
            let accepted = usize::try_from(place)
                .ok()
                .and_then(|place| hashes.get(place))
                .map(|hash| self.acknowledge(client, *hash));
            // An owner's own, which needs no acknowledgement, is accepted and counts nothing.
            let made = accepted == Some(Ok(())) && self.acknowledgements > acknowledgements;
            BadContent::unless(made, "an acknowledgement that could not be made")?;
        }
        Ok(())
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<ClientKey, BadContent> {
    let key = reader.bytes()?.try_into();
    key.map_err(|_| BadContent::Contradiction("a key that is not 32 bytes long"))
}
