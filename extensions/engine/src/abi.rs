//! The table of host calls, and the manual page made from it.
//!
//! `extensions/abi/bezant1.rs` is the one description of what a guest may call.
//! Included here it becomes [`TABLE`], from which the module check takes names and
//! types, the functions the engine links, and [`page`], the text of
//! docs/extensions/abi.md. The SDK includes the same file for its bindings.

use core::fmt::Write as _;

use wasmi::{Caller, Error, Func, Store};

use crate::calls::{self, State};

/// The name of the WebAssembly module whose functions guests import.
pub const MODULE: &str = "bezant1";

/// One call a guest can make.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    /// Its name.
    pub name: &'static str,
    /// What it does, in Markdown.
    pub doc: &'static str,
    /// Where it stands in the manual.
    pub group: Group,
    /// The fuel it costs before anything else is charged.
    pub fuel: u64,
    /// Its parameters: names and types.
    pub parameters: &'static [(&'static str, Type)],
    /// Its result, if it has one.
    pub result: Option<Type>,
}

/// What a host call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Tells of the operation the extension runs instead of.
    Invocation,
    /// Reads tuples.
    Reads,
    /// Inserts and removes tuples.
    Writes,
    /// Ends the call, or serves it.
    Control,
}

/// A number as it passes between guest and host. The sign is a matter of reading:
/// WebAssembly knows `i32` and `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 32 bits, signed.
    I32,
    /// 32 bits, unsigned.
    U32,
    /// 64 bits, signed.
    I64,
    /// An address in the guest's memory: 32 bits, unsigned.
    Pointer,
}

impl Type {
    /// The type's name in WebAssembly.
    #[must_use]
    pub const fn wasm(self) -> &'static str {
        match self {
            Self::I32 | Self::U32 | Self::Pointer => "i32",
            Self::I64 => "i64",
        }
    }

    /// The type as C writes it, up to the name of what has it.
    const fn c(self) -> &'static str {
        match self {
            Self::I32 => "int32_t ",
            Self::U32 => "uint32_t ",
            Self::I64 => "int64_t ",
            Self::Pointer => "void *",
        }
    }
}

macro_rules! type_of {
    (i32) => {
        Type::I32
    };
    (u32) => {
        Type::U32
    };
    (i64) => {
        Type::I64
    };
    (ptr) => {
        Type::Pointer
    };
    (buf) => {
        Type::Pointer
    };
}

/// The Rust type by which the engine passes a number.
macro_rules! passed {
    (ptr) => {
        u32
    };
    (buf) => {
        u32
    };
    ($type:ident) => {
        $type
    };
}

macro_rules! result_of {
    () => {
        None
    };
    ($type:ident) => {
        Some(type_of!($type))
    };
}

macro_rules! returned {
    () => {
        ()
    };
    ($type:ident) => {
        $type
    };
}

macro_rules! host_calls {
    ($(
        $(#[doc = $doc:literal])+
        [$group:ident $fuel:literal]
        fn $name:ident($($argument:ident: $type:ident),*) $(-> $result:ident)?;
    )+) => {
        /// Every call a guest can make, in the order of the manual.
        pub const TABLE: &[HostCall] = &[$(
            HostCall {
                name: stringify!($name),
                doc: concat!($($doc),+),
                group: Group::$group,
                fuel: $fuel,
                parameters: &[$((stringify!($argument), type_of!($type))),*],
                result: result_of!($($result)?),
            }
        ),+];

        /// The functions themselves: each pays the call's own fuel, then does the call.
        mod charged {
            use super::{Caller, Error, State, calls};

            $(
                #[allow(
                    clippy::too_many_arguments,
                    reason = "a call has as many arguments as the table says"
                )]
                pub(super) fn $name(
                    mut caller: Caller<'_, State<'_>>
                    $(, $argument: passed!($type))*
                ) -> Result<returned!($($result)?), Error> {
                    calls::charge(&mut caller, $fuel)?;
                    calls::$name(&mut caller $(, $argument)*)
                }
            )+
        }

        /// Makes a function of [`TABLE`] known to a store.
        type Link = for<'a> fn(&mut Store<State<'a>>) -> Func;

        const LINKS: &[Link] = &[$(
            |store| Func::wrap(store, charged::$name)
        ),+];
    };
}

include!("../../abi/bezant1.rs");

/// The place in [`TABLE`] of the call named `name`.
#[must_use]
pub fn find(name: &str) -> Option<usize> {
    TABLE.iter().position(|call| call.name == name)
}

/// The function at `place` of [`TABLE`], for use by an instance in `store`.
pub(crate) fn link(place: usize, store: &mut Store<State<'_>>) -> Option<Func> {
    LINKS.get(place).map(|link| link(store))
}

impl HostCall {
    /// The call's type as the manual writes it.
    #[must_use]
    pub fn signature(&self) -> String {
        let mut text = format!("{}(", self.name);
        for (index, (name, kind)) in self.parameters.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{name}: {}", kind.wasm());
        }
        text.push(')');
        if let Some(result) = self.result {
            let _ = write!(text, " -> {}", result.wasm());
        }
        text
    }
}

/// The text of extensions/abi/bezant1.h: the calls as C declares them.
#[must_use]
pub fn header() -> String {
    let mut header = String::from(include_str!("abi_header.h"));
    for call in TABLE {
        let mut parameters = String::new();
        for (index, (name, kind)) in call.parameters.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(parameters, "{comma}{}{name}", kind.c());
        }
        if parameters.is_empty() {
            parameters.push_str("void");
        }
        let result = call.result.map_or("void ", Type::c);
        let _ = write!(
            header,
            "\n/* {} Fuel: {}. */\nBEZANT({name}) {result}bezant_{name}({parameters});\n",
            call.doc.trim().replace('`', ""),
            call.fuel,
            name = call.name,
        );
    }
    header.push_str("\n#endif\n");
    header
}

/// The text of docs/extensions/abi.md.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(include_str!("abi_page.md"));
    for (group, title) in [
        (Group::Invocation, "The operation and its circumstances"),
        (Group::Reads, "Reading tuples"),
        (Group::Writes, "Changing tuples"),
        (Group::Control, "Answering, refusing, logging"),
    ] {
        let _ = write!(page, "\n### {title}\n\n| call | fuel | |\n|---|---|---|\n");
        for call in TABLE.iter().filter(|call| call.group == group) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} |",
                call.signature(),
                call.fuel,
                call.doc.trim()
            );
        }
    }
    page
}
