//! Modules from a seed.

use arbitrary::Unstructured;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Config, Module};

/// Most random bytes a module is made of.
const MAX_BYTES: u64 = 4096;

/// The chance of one module.
pub(crate) fn dice(seed: u64, number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number)
}

/// What an extension's module may have; `hostile` ones may have more.
fn config(hostile: bool) -> Config {
    Config {
        allow_floats: hostile,
        allow_start_export: hostile,
        bulk_memory_enabled: true,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        generate_custom_sections: hostile,
        max_imports: 30,
        max_memories: if hostile { 2 } else { 1 },
        max_memory32_bytes: 4 * 65_536,
        max_tables: 1,
        max_table_elements: if hostile { 1_000_000 } else { 1_000 },
        max_instructions: 200,
        memory64_enabled: false,
        min_memories: 0,
        multi_value_enabled: hostile,
        reference_types_enabled: hostile,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: false,
        sign_extension_ops_enabled: true,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

fn module(config: Config, dice: &mut ChaCha8Rng) -> Option<Module> {
    let length = 64 + dice.next_u64() % MAX_BYTES;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    dice.fill_bytes(&mut bytes);
    Module::new(config, &mut Unstructured::new(&bytes)).ok()
}

/// A module that imports host calls and exports `memory` and `run`; one in four tries what is
/// not allowed.
pub(crate) fn extension(shape: &[u8], dice: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let mut config = config(dice.next_u64().is_multiple_of(4));
    config.module_shape = Some(shape.to_vec());
    module(config, dice).map(|module| module.to_bytes())
}

/// A module that imports nothing and exports `memory` and `run`, and ends.
pub(crate) fn program(shape: &[u8], dice: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let mut config = config(false);
    config.exports = Some(shape.to_vec());
    config.max_imports = 0;
    // The one that is exported comes on top.
    config.max_memories = 0;
    let mut module = module(config, dice)?;
    module.ensure_termination(2_000).ok()?;
    Some(module.to_bytes())
}
