//! Every switch of the engine, with its reason.
//!
//! The engine's defaults are made for other uses, and one of them left alone can
//! split replicas: all of them are stated here, and nowhere else. Changing any of
//! them changes what modules do or burn, so it needs a new
//! [`EngineVersion`](crate::EngineVersion).

use wasmi::{CompilationMode, Config, CustomFuelCosts, EnforcedLimits, OperatorCost};
use wasmparser::WasmFeatures;

use crate::limits::{MAX_RECURSION, STACK_BYTES};

/// The features of WebAssembly that are on, for the module check. The engine's
/// own switches below must say the same; a test compares the two.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::empty()
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::BULK_MEMORY);

/// The engine's configuration, for those who compare it with another engine.
#[must_use]
pub fn configuration() -> Config {
    let mut config = Config::default();
    config
        // Translating lazily would charge the first call after a restart for it: a
        // restarted replica would burn other fuel than the rest.
        .compilation_mode(CompilationMode::Eager)
        // Fuel is what ends a program, at the same instruction everywhere.
        .consume_fuel(true)
        // The engine's prices by operator: tied to the module's bytes, not to the
        // engine's internal code.
        .operator_cost(OperatorCost::default())
        // Bytes moved are paid for; translation is not, it happens before the call.
        .fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: 64,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        })
        // Bounds the engine's own work on a hostile module; ours in `limits` come first.
        .enforced_limits(EnforcedLimits::strict())
        // Custom sections have no meaning here and would only take memory.
        .ignore_custom_sections(true)
        // An instance does nothing before its entry point is called.
        .allow_start_fn(false)
        // Depth is bounded by agreement, not by how much stack a machine has.
        .set_max_recursion_depth(MAX_RECURSION)
        // The value stack is taken whole, once, so that it cannot fail to grow midway.
        .set_max_stack_height(STACK_BYTES)
        .set_min_stack_height(STACK_BYTES)
        // Calls run one after another: one stack, kept for the next call.
        .set_max_cached_stacks(1)
        // Compilers export their stack pointer so; harmless, as no global is imported.
        .wasm_mutable_global(true)
        // Integer instructions with one meaning that every compiler uses.
        .wasm_sign_extension(true)
        // `memory.copy` and `memory.fill`: fuel by bytes, far cheaper than loops.
        .wasm_bulk_memory(true)
        // Floats: NaN bit patterns are the classical way for replicas to part.
        .floats(false)
        // Needs floats.
        .wasm_saturating_float_to_int(false)
        // No use for the rest, and each is more to check, more to get wrong.
        .wasm_multi_value(false)
        .wasm_multi_memory(false)
        .wasm_reference_types(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    // SIMD, relaxed SIMD and memory64 are not even compiled in (Cargo.toml); threads,
    // exceptions and garbage collection are unknown to the engine.
    config
}
