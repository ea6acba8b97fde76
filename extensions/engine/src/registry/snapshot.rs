//! The registry as bytes, and back.
//!
//! Extensions stand in the order of their registration and are meant by their numbers in it,
//! which are never used twice; hashes, sums and the index follow from the rest.

use std::collections::{BTreeMap, BTreeSet};

use bezant_manifest::{ExtensionHash, Manifest};
use bezant_tuple::codec::{self, Reader};
use bezant_tuplespace::{BadContent, SpaceName};
use sha2::{Digest as _, Sha256};

use super::{Agreements, ClientKey, Line, Registry};
use crate::check::check_extension;
use crate::extension::{Extension, hash_of};
use crate::limits::{
    MAX_ACKNOWLEDGEMENTS, MAX_ACKNOWLEDGEMENTS_PER_CLIENT, MAX_ATTACHED, MAX_ATTACHED_PER_SPACE,
    MAX_EXTENSIONS, MAX_EXTENSIONS_PER_OWNER, MAX_TOTAL_MODULE_BYTES,
};
use crate::version::EngineVersion;

/// The hash of the extension with each number.
type Numbers = BTreeMap<u64, ExtensionHash>;

/// An extension that was read, and the number of the one whose place it took; 0 for none.
struct DecodedVersion {
    hash: ExtensionHash,
    before: u64,
}

impl Registry {
    /// Appends everything.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let number = |hash: &ExtensionHash| self.extensions.get(hash).map_or(0, |e| e.order);
        let mut ordered: Vec<&Extension> = self.extensions.values().collect();
        ordered.sort_unstable_by_key(|extension| extension.order);
        codec::put_varint(out, u64::from(self.engine.number()));
        codec::put_varint(out, u64::from(self.next_engine.is_some()));
        if let Some((at, engine)) = self.next_engine {
            codec::put_varint(out, at);
            codec::put_varint(out, u64::from(engine.number()));
        }
        codec::put_varint(out, self.registered);
        codec::put_varint(out, ordered.len() as u64);
        for extension in ordered {
            codec::put_varint(out, extension.order);
            codec::put_bytes(out, &extension.owner);
            codec::put_bytes(out, &extension.manifest.encode());
            codec::put_bytes(out, &extension.module);
            codec::put_varint(out, extension.line);
            codec::put_varint(out, extension.before.as_ref().map_or(0, number));
        }
        codec::put_varint(out, self.lines.len() as u64);
        for (id, line) in &self.lines {
            codec::put_varint(out, *id);
            codec::put_varint(out, number(&line.active));
            codec::put_varint(out, line.next.map_or(0, |(_, next)| number(&next)));
            if let Some((at, _)) = line.next {
                codec::put_varint(out, at);
            }
        }
        codec::put_varint(out, self.agreements.len() as u64);
        for (client, agreements) in &self.agreements {
            codec::put_bytes(out, client);
            put_numbers(out, agreements.exactly.iter().map(number));
            put_numbers(out, agreements.lines.iter().copied());
        }
        codec::put_varint(out, self.attached.len() as u64);
        for (space, here) in &self.attached {
            codec::put_bytes(out, space.as_str().as_bytes());
            put_numbers(out, here.iter().map(number));
        }
    }

    /// Reads what [`Registry::encode_into`] wrote. Every module is checked, which takes
    /// milliseconds for each.
    ///
    /// # Errors
    /// [`BadContent`] for anything that no registry could have written.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut registry = Self::new();
        let engine = |number| {
            let known = EngineVersion::known(number);
            known.ok_or(BadContent::Contradiction(
                "an engine that this build does not know; run the one that does",
            ))
        };
        registry.engine = engine(reader.varint()?)?;
        if reader.truth()? {
            let (at, next) = (reader.varint()?, engine(reader.varint()?)?);
            BadContent::unless(next != registry.engine, "an engine to come that is there")?;
            registry.next_engine = Some((at, next));
        }
        registry.registered = reader.varint()?;
        let mut numbers = Numbers::new();
        let mut versions = Vec::new();
        for _ in 0..reader.length()? {
            versions.push(registry.decode_extension(&mut numbers, reader)?);
        }
        for version in versions {
            registry.decode_before(version, &numbers)?;
        }
        registry.decode_lines(&numbers, reader)?;
        registry.decode_agreements(&numbers, reader)?;
        registry.decode_attached(&numbers, reader)?;
        numbers
            .into_values()
            .for_each(|hash| registry.refresh(hash));
        Ok(registry)
    }

    fn decode_extension(
        &mut self,
        numbers: &mut Numbers,
        reader: &mut Reader<'_>,
    ) -> Result<DecodedVersion, BadContent> {
        let order = reader.varint()?;
        let last = numbers.last_key_value().map_or(0, |(last, _)| *last);
        BadContent::unless(
            last < order && order <= self.registered,
            "extensions out of order",
        )?;
        let owner = read_key(reader)?;
        let manifest = Manifest::decode(reader.bytes()?)
            .map_err(|_| BadContent::Contradiction("an extension without a manifest"))?;
        let module = reader.bytes()?.to_vec();
        check_extension(&manifest, &module)
            .map_err(|_| BadContent::Contradiction("an extension that breaks a rule"))?;
        let code: [u8; 32] = Sha256::digest(&module).into();
        let hash = hash_of(&manifest, &code);
        let line = reader.varint()?;
        let before = reader.varint()?;
        let extension = Extension {
            owner,
            manifest,
            module,
            code,
            order,
            line,
            before: None,
        };
        BadContent::unless(line >= 1 && line <= order, "a version of no line")?;
        numbers.insert(order, hash);
        let there = self.extensions.insert(hash, extension);
        BadContent::unless(there.is_none(), "an extension registered twice")?;
        let owned = self.extensions.values().filter(|e| e.owner == owner);
        let bytes: usize = self.extensions.values().map(|e| e.module.len()).sum();
        let fits = self.extensions.len() <= MAX_EXTENSIONS
            && owned.count() <= MAX_EXTENSIONS_PER_OWNER
            && bytes <= MAX_TOTAL_MODULE_BYTES;
        BadContent::unless(fits, "more extensions than there may be")?;
        Ok(DecodedVersion { hash, before })
    }

    /// The version whose place another took, which is one of the same line.
    fn decode_before(
        &mut self,
        version: DecodedVersion,
        numbers: &Numbers,
    ) -> Result<(), BadContent> {
        let DecodedVersion { hash, before } = version;
        if before == 0 {
            return Ok(());
        }
        let other = find(numbers, before)?;
        let line = self.extensions.get(&other).map(|other| other.line);
        if let Some(extension) = self.extensions.get_mut(&hash) {
            let is_other = other != hash && line == Some(extension.line);
            BadContent::unless(is_other, "a version in the place of none of its line")?;
            extension.before = Some(other);
        }
        Ok(())
    }

    fn decode_lines(
        &mut self,
        numbers: &Numbers,
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        for _ in 0..reader.length()? {
            let id = reader.varint()?;
            let last = self.lines.last_key_value();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < id),
                "lines out of order",
            )?;
            let active = find(numbers, reader.varint()?)?;
            let next = match reader.varint()? {
                0 => None,
                number => Some((reader.varint()?, find(numbers, number)?)),
            };
            let line = Line { active, next };
            let other_next = line.next.is_none_or(|(_, next)| next != active);
            BadContent::unless(other_next, "a version to come that is there")?;
            self.lines.insert(id, line);
        }
        let mut owners: BTreeMap<u64, ClientKey> = BTreeMap::new();
        for extension in self.extensions.values() {
            let owner = *owners.entry(extension.line).or_insert(extension.owner);
            BadContent::unless(owner == extension.owner, "a line of several owners")?;
        }
        let of_line = |hash: &ExtensionHash| self.extensions.get(hash).map(|e| e.line);
        let sound = self.lines.iter().all(|(id, line)| {
            let next = line.next.map(|(_, next)| next);
            of_line(&line.active) == Some(*id)
                && next.is_none_or(|next| of_line(&next) == Some(*id))
        });
        BadContent::unless(
            sound && owners.keys().eq(self.lines.keys()),
            "a line without its versions",
        )
    }

    fn decode_agreements(
        &mut self,
        numbers: &Numbers,
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        for _ in 0..reader.length()? {
            let client = read_key(reader)?;
            let last = self.agreements.last_key_value();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < client),
                "acknowledgements out of order of clients",
            )?;
            let exactly = read_numbers(reader)?;
            let exactly = exactly.into_iter().map(|number| find(numbers, number));
            let agreements = Agreements {
                exactly: exactly.collect::<Result<_, _>>()?,
                lines: read_numbers(reader)?.into_iter().collect(),
            };
            let count = agreements.len();
            BadContent::unless(count > 0, "a client that acknowledged nothing")?;
            BadContent::unless(
                count <= MAX_ACKNOWLEDGEMENTS_PER_CLIENT,
                "too many acknowledgements",
            )?;
            let owned = |hash: &ExtensionHash| {
                let extension = self.extensions.get(hash);
                extension.is_some_and(|extension| extension.owner == client)
            };
            let mut lines = agreements.lines.iter();
            let followed = lines.all(|id| {
                let line = self.lines.get(id);
                line.is_some_and(|line| !owned(&line.active))
            });
            BadContent::unless(
                followed && !agreements.exactly.iter().any(owned),
                "an acknowledgement that could not be made",
            )?;
            self.agreed = self.agreed.saturating_add(count);
            self.agreements.insert(client, agreements);
        }
        BadContent::unless(
            self.agreed <= MAX_ACKNOWLEDGEMENTS,
            "too many acknowledgements",
        )
    }

    fn decode_attached(
        &mut self,
        numbers: &Numbers,
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        let mut all = 0_usize;
        for _ in 0..reader.length()? {
            let space = reader.text()?.parse::<SpaceName>();
            let space = space.map_err(|_| BadContent::Contradiction("a name that is none"))?;
            let last = self.attached.last_key_value();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < space),
                "attachments out of order",
            )?;
            let here = read_numbers(reader)?;
            let count = here.len();
            BadContent::unless(
                (1..=MAX_ATTACHED_PER_SPACE).contains(&count),
                "attachments of no number",
            )?;
            all = all.saturating_add(count);
            let here = here.into_iter().map(|number| find(numbers, number));
            let here = here.collect::<Result<BTreeSet<_>, _>>()?;
            self.attached.insert(space, here);
        }
        BadContent::unless(all <= MAX_ATTACHED, "too many attachments")
    }
}

/// Appends numbers, ascending.
fn put_numbers(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>) {
    let numbers: BTreeSet<u64> = numbers.collect();
    codec::put_varint(out, numbers.len() as u64);
    for number in numbers {
        codec::put_varint(out, number);
    }
}

/// Reads what [`put_numbers`] wrote.
fn read_numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, BadContent> {
    let mut numbers = Vec::new();
    for _ in 0..reader.length()? {
        let number = reader.varint()?;
        let ordered = numbers.last().is_none_or(|last| *last < number);
        BadContent::unless(ordered, "numbers out of order")?;
        numbers.push(number);
    }
    Ok(numbers)
}

fn find(numbers: &Numbers, number: u64) -> Result<ExtensionHash, BadContent> {
    let found = numbers.get(&number).copied();
    found.ok_or(BadContent::Contradiction("an extension that is not there"))
}

fn read_key(reader: &mut Reader<'_>) -> Result<ClientKey, BadContent> {
    let key = reader.bytes()?.try_into();
    key.map_err(|_| BadContent::Contradiction("a key that is not 32 bytes long"))
}
