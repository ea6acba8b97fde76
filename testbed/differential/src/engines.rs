//! The same module in two engines that share no code.

use rand_chacha::rand_core::RngCore;

use crate::{Wanted, generate};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// With a number.
    Value(i64),
    /// With a trap.
    Trap,
    /// It cannot be compared: depth and fuel are each engine's own.
    Unknown,
}

/// What is left in memory.
type Memory = Vec<u8>;

/// Fuel for one run; every program ends long before.
const FUEL: u64 = 50_000_000;

fn ours(module: &[u8], arguments: (i32, i64)) -> Result<(Ended, Memory), String> {
    let engine = wasmi::Engine::new(&bezant_extensions::configuration());
    let module = wasmi::Module::new(&engine, module).map_err(|error| error.to_string())?;
    let mut store = wasmi::Store::new(&engine, ());
    store.set_fuel(FUEL).map_err(|error| error.to_string())?;
    let Ok(instance) = wasmi::Instance::new(&mut store, &module, &[]) else {
        return Ok((Ended::Trap, Memory::new()));
    };
    let run = instance
        .get_typed_func::<(i32, i64), i64>(&store, "run")
        .map_err(|error| error.to_string())?;
    let ended = match run.call(&mut store, arguments) {
        Ok(value) => Ended::Value(value),
        Err(error) => match error.as_trap_code() {
            Some(wasmi::TrapCode::StackOverflow | wasmi::TrapCode::OutOfFuel) => Ended::Unknown,
            _ => Ended::Trap,
        },
    };
    let memory = instance.get_memory(&store, "memory");
    let memory = memory.map_or_else(Memory::new, |memory| memory.data(&store).to_vec());
    Ok((ended, memory))
}

fn theirs(
    engine: &wasmtime::Engine,
    module: &[u8],
    arguments: (i32, i64),
) -> Result<(Ended, Memory), String> {
    let module = wasmtime::Module::new(engine, module).map_err(|error| error.to_string())?;
    let mut store = wasmtime::Store::new(engine, ());
    store.set_fuel(FUEL).map_err(|error| error.to_string())?;
    let Ok(instance) = wasmtime::Instance::new(&mut store, &module, &[]) else {
        return Ok((Ended::Trap, Memory::new()));
    };
    let run = instance
        .get_typed_func::<(i32, i64), i64>(&mut store, "run")
        .map_err(|error| error.to_string())?;
    let ended = match run.call(&mut store, arguments) {
        Ok(value) => Ended::Value(value),
        Err(error) => match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::StackOverflow | wasmtime::Trap::OutOfFuel) => Ended::Unknown,
            _ => Ended::Trap,
        },
    };
    let memory = instance.get_memory(&mut store, "memory");
    let memory = memory.map_or_else(Memory::new, |memory| memory.data(&store).to_vec());
    Ok((ended, memory))
}

/// Compares so many modules.
///
/// # Errors
/// The first difference.
pub(crate) fn run(wanted: &Wanted) -> Result<(), String> {
    let shape = wat::parse_str(
        "(module (memory (export \"memory\") 1 4)
        (func (export \"run\") (param i32 i64) (result i64) unreachable))",
    );
    let shape = shape.map_err(|error| error.to_string())?;
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true);
    let engine = wasmtime::Engine::new(&config).map_err(|error| error.to_string())?;
    let (mut values, mut traps, mut unknown) = (0_u64, 0_u64, 0_u64);
    for number in 0..wanted.modules {
        let mut dice = generate::dice(wanted.seed, number);
        let Some(module) = generate::program(&shape, &mut dice) else {
            continue;
        };
        // Some are beyond the engine's bounds on its own work.
        if bezant_extensions::check(&module)
            .is_err_and(|rejected| rejected.rejection.rule != bezant_manifest::Rule::Exports)
        {
            continue;
        }
        for _ in 0..4 {
            let arguments = (dice.next_u32() as i32, dice.next_u64() as i64);
            let (mine, other) = (
                ours(&module, arguments)?,
                theirs(&engine, &module, arguments)?,
            );
            if mine.0 == Ended::Unknown || other.0 == Ended::Unknown {
                unknown += 1;
                continue;
            }
            if mine != other {
                return Err(format!(
                    "module {number}, arguments {arguments:?}: {:?} here, {:?} there, memories {}",
                    mine.0,
                    other.0,
                    if mine.1 == other.1 {
                        "the same"
                    } else {
                        "different"
                    }
                ));
            }
            match mine.0 {
                Ended::Value(_) => values += 1,
                _ => traps += 1,
            }
        }
    }
    println!(
        "{} modules, seed {}: {values} results and {traps} traps are the same, {unknown} cannot be compared",
        wanted.modules, wanted.seed
    );
    Ok(())
}
