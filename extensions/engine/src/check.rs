//! Checks whether a module may be installed; says what is wrong and where.
//!
//! The command line runs the same check before it sends a registration, every
//! replica runs it when the registration is executed, and the verdict is part of
//! the agreed answer. So it depends on nothing but the bytes, and a module that
//! passes also compiles. The work is bounded before it is done: lengths and counts
//! first, validation after.

use core::fmt;
use std::collections::BTreeSet;

use bezant_manifest::limits::{MAX_MEMORY_PAGES, MAX_MODULE_BYTES};
use bezant_manifest::{Manifest, Rejection, Rule};
use wasmparser::{
    BinaryReaderError, Encoding, ExternalKind, FuncType, FuncValidatorAllocations, FunctionBody,
    KnownCustom, Name, Parser, Payload, TypeRef, ValType, ValidPayload, Validator, WasmFeatures,
};

use crate::abi::{self, HostCall, Type};
use crate::engine::Engine;
use crate::limits::{
    MAX_EXPORT_NAME_BYTES, MAX_FUNCTIONS, MAX_GLOBALS, MAX_IMPORTS_EXPORTS, MAX_LOCALS,
    MAX_PARAMETERS, MAX_SEGMENTS, MAX_TABLE_ENTRIES,
};
use crate::switches::FEATURES;

/// A module that may be installed, and what a manifest must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The pages of memory it starts with.
    pub memory_pages: u32,
    /// The functions that can be entry points: exported, without parameters and results.
    pub entries: BTreeSet<String>,
    /// The names of the host calls it imports, in order.
    pub imports: Vec<&'static str>,
}

/// Why a module or manifest may not be installed.
///
/// The [`Rejection`] is what replicas agree on; the rest is for the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The rule and the place.
    pub rejection: Rejection,
    /// The name of the function at fault, if the module tells.
    pub function_name: Option<String>,
    /// What was found there.
    pub detail: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)?;
        if let Some(name) = &self.function_name {
            write!(f, ", in `{name}`")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl core::error::Error for Rejected {}

/// Checks a manifest, its module, and that they fit each other.
///
/// # Errors
/// The first rule that is broken.
pub fn check_extension(manifest: &Manifest, wasm: &[u8]) -> Result<Checked, Rejected> {
    manifest
        .check()
        .map_err(|error| reject(Rule::Manifest(error), None, "see its manifest"))?;
    let checked = check(wasm)?;
    checked.fits(manifest)?;
    Ok(checked)
}

/// Checks a module.
///
/// # Errors
/// The first rule that is broken, in the order of the module's bytes.
pub fn check(wasm: &[u8]) -> Result<Checked, Rejected> {
    if wasm.len() > MAX_MODULE_BYTES {
        let detail = format!("it has {} bytes", wasm.len());
        return Err(reject(Rule::Size, None, detail));
    }
    let mut inspector = Inspector::default();
    inspector
        .walk(wasm)
        .map_err(|rejected| rejected.named(wasm))?;
    let checked = inspector.finish()?;
    // The engine has limits of its own beyond validity; they must speak now, not when
    // the first operation matches.
    Engine::new()
        .compile(wasm)
        .map_err(|rejection| reject(rejection.rule, None, "the engine cannot compile it"))?;
    Ok(checked)
}

impl Checked {
    /// Whether the module does what the manifest says of it.
    ///
    /// # Errors
    /// [`Rule::Memory`] when it starts with more memory than the manifest allows,
    /// [`Rule::Exports`] when it lacks an entry point.
    pub fn fits(&self, manifest: &Manifest) -> Result<(), Rejected> {
        if self.memory_pages > manifest.memory_pages {
            let detail = format!(
                "it starts with {} pages, the manifest allows {}",
                self.memory_pages, manifest.memory_pages
            );
            return Err(reject(Rule::Memory, None, detail));
        }
        for subscription in &manifest.subscriptions {
            if !self.entries.contains(&subscription.entry) {
                let detail = format!("no entry point `{}`", subscription.entry);
                return Err(reject(Rule::Exports, None, detail));
            }
        }
        Ok(())
    }
}

fn reject(rule: Rule, offset: Option<usize>, detail: impl Into<String>) -> Rejected {
    Rejected {
        rejection: Rejection {
            rule,
            function: None,
            offset: offset.and_then(|offset| u32::try_from(offset).ok()),
        },
        function_name: None,
        detail: detail.into(),
    }
}

impl Rejected {
    fn in_function(mut self, function: u32) -> Self {
        self.rejection.function = Some(function);
        self
    }

    /// Adds the function's name from the module's name section.
    fn named(mut self, wasm: &[u8]) -> Self {
        self.function_name = self
            .rejection
            .function
            .and_then(|function| function_name(wasm, function));
        self
    }
}

/// What has been seen of a module so far.
#[derive(Default)]
struct Inspector {
    types: Vec<FuncType>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imports: Vec<&'static str>,
    entries: BTreeSet<String>,
    memory_pages: Option<u64>,
    memory_exported: bool,
    bodies: u32,
}

impl Inspector {
    fn walk(&mut self, wasm: &[u8]) -> Result<(), Rejected> {
        let mut validator = Validator::new_with_features(FEATURES);
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        let mut allocations = FuncValidatorAllocations::default();
        for payload in parser.parse_all(wasm) {
            let payload = payload.map_err(|error| invalid(wasm, &error))?;
            self.count(&payload)?;
            let body = validator.payload(&payload);
            if let ValidPayload::Func(function, body) = body.map_err(|e| invalid(wasm, &e))? {
                let index = self.imported().saturating_add(self.bodies);
                self.bodies = self.bodies.saturating_add(1);
                count_locals(&body).map_err(|rejected| rejected.in_function(index))?;
                let mut function = function.into_validator(allocations);
                function
                    .validate(&body)
                    .map_err(|error| invalid(wasm, &error).in_function(index))?;
                allocations = function.into_allocations();
            }
            self.inspect(payload)
                .map_err(|error| invalid(wasm, &error))??;
        }
        Ok(())
    }

    fn imported(&self) -> u32 {
        u32::try_from(self.imports.len()).unwrap_or(u32::MAX)
    }

    /// Bounds the work of what follows.
    fn count(&self, payload: &Payload<'_>) -> Result<(), Rejected> {
        let (count, most, what, range) = match payload {
            Payload::TypeSection(s) => (s.count(), MAX_FUNCTIONS, "types", s.range()),
            Payload::ImportSection(s) => (s.count(), MAX_IMPORTS_EXPORTS, "imports", s.range()),
            Payload::FunctionSection(s) => (s.count(), MAX_FUNCTIONS, "functions", s.range()),
            Payload::GlobalSection(s) => (s.count(), MAX_GLOBALS, "globals", s.range()),
            Payload::ExportSection(s) => (s.count(), MAX_IMPORTS_EXPORTS, "exports", s.range()),
            Payload::ElementSection(s) => (s.count(), MAX_SEGMENTS, "segments", s.range()),
            Payload::DataSection(s) => (s.count(), MAX_SEGMENTS, "segments", s.range()),
            _ => return Ok(()),
        };
        if count > most {
            let detail = format!("{count} {what}, of at most {most}");
            return Err(reject(Rule::Count, Some(range.start), detail));
        }
        Ok(())
    }

    /// Applies the rules beyond validity to a section that is valid.
    ///
    /// The outer error is the reader's; it has read all of this before.
    fn inspect(&mut self, payload: Payload<'_>) -> Result<Result<(), Rejected>, BinaryReaderError> {
        match payload {
            Payload::Version {
                encoding, range, ..
            } if encoding != Encoding::Module => {
                return Ok(Err(reject(Rule::Valid, Some(range.start), "a component")));
            }
            Payload::TypeSection(section) => {
                let start = section.range().start;
                for signature in section.into_iter_err_on_gc_types() {
                    let signature = signature?;
                    if signature.params().len() > MAX_PARAMETERS {
                        let detail = format!("a type with {} parameters", signature.params().len());
                        return Ok(Err(reject(Rule::Count, Some(start), detail)));
                    }
                    self.types.push(signature);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_iter_with_offsets() {
                    let (offset, import) = import?;
                    if let Err(rejected) = self.import(offset, &import) {
                        return Ok(Err(rejected));
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for signature in section {
                    self.functions.push(signature?);
                }
            }
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    if table.ty.initial > MAX_TABLE_ENTRIES {
                        let detail = format!("a table of {} entries", table.ty.initial);
                        return Ok(Err(reject(Rule::Count, Some(offset), detail)));
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.into_iter_with_offsets() {
                    let (offset, memory) = memory?;
                    if memory.initial > u64::from(MAX_MEMORY_PAGES) {
                        let detail = format!("it starts with {} pages", memory.initial);
                        return Ok(Err(reject(Rule::Memory, Some(offset), detail)));
                    }
                    self.memory_pages = Some(memory.initial);
                }
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    if let Err(rejected) = self.export(offset, &export) {
                        return Ok(Err(rejected));
                    }
                }
            }
            Payload::StartSection { func, range } => {
                let rejected = reject(Rule::NoStart, Some(range.start), "a start function");
                return Ok(Err(rejected.in_function(func)));
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    fn import(&mut self, offset: usize, import: &wasmparser::Import<'_>) -> Result<(), Rejected> {
        let wrong = |why: &str| {
            let detail = format!("`{}.{}`: {why}", import.module, import.name);
            reject(Rule::Imports, Some(offset), detail)
        };
        let TypeRef::Func(signature) = import.ty else {
            return Err(wrong("not a function"));
        };
        if import.module != abi::MODULE {
            return Err(wrong("not of module `bezant1`"));
        }
        let call = abi::find(import.name)
            .and_then(|place| abi::TABLE.get(place))
            .ok_or_else(|| wrong("there is no such call"))?;
        if !self
            .signature(signature)
            .is_some_and(|s| is_type_of(s, call))
        {
            return Err(wrong(&format!("its type is {}", call.signature())));
        }
        self.functions.push(signature);
        self.imports.push(call.name);
        Ok(())
    }

    fn export(&mut self, offset: usize, export: &wasmparser::Export<'_>) -> Result<(), Rejected> {
        if export.name.len() > MAX_EXPORT_NAME_BYTES {
            let detail = format!("an export's name of {} bytes", export.name.len());
            return Err(reject(Rule::Names, Some(offset), detail));
        }
        match export.kind {
            ExternalKind::Memory if export.name == "memory" => self.memory_exported = true,
            ExternalKind::Func => {
                let signature = usize::try_from(export.index)
                    .ok()
                    .and_then(|index| self.functions.get(index))
                    .and_then(|signature| self.signature(*signature));
                if signature.is_some_and(|s| s.params().is_empty() && s.results().is_empty()) {
                    self.entries.insert(export.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn signature(&self, index: u32) -> Option<&FuncType> {
        self.types.get(usize::try_from(index).ok()?)
    }

    fn finish(self) -> Result<Checked, Rejected> {
        let pages = self
            .memory_pages
            .and_then(|pages| u32::try_from(pages).ok())
            .ok_or_else(|| reject(Rule::Memory, None, "it has no memory"))?;
        if !self.memory_exported {
            return Err(reject(Rule::Exports, None, "no memory named `memory`"));
        }
        Ok(Checked {
            memory_pages: pages,
            entries: self.entries,
            imports: self.imports,
        })
    }
}

/// Whether an imported function has the type of the host's.
fn is_type_of(signature: &FuncType, call: &HostCall) -> bool {
    let same = |actual: &ValType, wanted: Type| {
        *actual
            == match wanted {
                Type::I32 | Type::U32 | Type::Pointer => ValType::I32,
                Type::I64 => ValType::I64,
            }
    };
    let parameters = signature.params();
    let results = signature.results();
    parameters.len() == call.parameters.len()
        && parameters
            .iter()
            .zip(call.parameters)
            .all(|(actual, (_, wanted))| same(actual, *wanted))
        && results.len() == usize::from(call.result.is_some())
        && results
            .iter()
            .zip(call.result)
            .all(|(actual, wanted)| same(actual, wanted))
}

/// Refuses a function that declares more locals than the engine should make room for.
fn count_locals(body: &FunctionBody<'_>) -> Result<(), Rejected> {
    let start = body.range().start;
    let too_many = |locals: u64| {
        reject(
            Rule::Count,
            Some(start),
            format!("{locals} locals, of at most {MAX_LOCALS}"),
        )
    };
    // A declaration that cannot be read is for the validator to report.
    let Ok(declarations) = body.get_locals_reader() else {
        return Ok(());
    };
    let mut locals = 0u64;
    for (count, _) in declarations.into_iter().flatten() {
        locals = locals.saturating_add(u64::from(count));
        if locals > u64::from(MAX_LOCALS) {
            return Err(too_many(locals));
        }
    }
    Ok(())
}

/// The rejection of a module that is not valid here. If it would be valid with floats
/// or with more of WebAssembly, that is what its author needs to hear.
fn invalid(wasm: &[u8], error: &BinaryReaderError) -> Rejected {
    let passes_with = |features: WasmFeatures| {
        let other = Validator::new_with_features(features).validate_all(wasm);
        other.map_or_else(|other| other.offset() > error.offset(), |_| true)
    };
    // SIMD is left out of the parser, which then takes its prefix for an unknown opcode.
    let simd = wasm.get(error.offset()) == Some(&0xfd);
    let floats = WasmFeatures::FLOATS.union(WasmFeatures::SATURATING_FLOAT_TO_INT);
    let rule = if passes_with(FEATURES.union(floats)) {
        Rule::NoFloats
    } else if simd || passes_with(WasmFeatures::all()) {
        Rule::NoProposal
    } else {
        Rule::Valid
    };
    reject(rule, Some(error.offset()), error.message())
}

/// The function's name in the module's name section, if there is one.
fn function_name(wasm: &[u8], function: u32) -> Option<String> {
    Parser::new(0).parse_all(wasm).find_map(|payload| {
        let Ok(Payload::CustomSection(section)) = payload else {
            return None;
        };
        let KnownCustom::Name(names) = section.as_known() else {
            return None;
        };
        names.into_iter().flatten().find_map(|subsection| {
            let Name::Function(functions) = subsection else {
                return None;
            };
            functions
                .into_iter()
                .flatten()
                .find(|naming| naming.index == function)
                .map(|naming| naming.name.to_owned())
        })
    })
}
