//! The only module with `unsafe`: imported functions, the allocator, the panic handler.
//!
//! The bindings are made from `extensions/abi/bezant1.rs`, the table the engine links
//! by: where it has an address and a length, they have a slice. On any other target than
//! WebAssembly [`crate::native`] takes the host's place.

#![allow(
    unsafe_code,
    reason = "imports, a global allocator and a panic handler cannot be had without"
)]

use alloc::{vec, vec::Vec};

/// Most results fit here, so that one call fetches them.
const ROOM: usize = 512;

/// The Rust type of a number that passes to or from the host. Addresses are passed as
/// pointers: passed as numbers, the compiler could not know that the host reads and
/// writes what they point to.
#[cfg(target_arch = "wasm32")]
macro_rules! passed {
    (ptr) => { *const u8 };
    (buf) => { *mut u8 };
    ($type:ident) => { $type };
}

/// The functions that call the host, each a line of the table in which slices take the place of
/// addresses and lengths. The host reads and writes at the addresses it is given and nowhere
/// else, within the lengths beside them (32 bytes where there is none), and only during the
/// call: in the bounds of slices borrowed for it, shared where it reads and exclusive where it
/// writes.
macro_rules! binding {
    // A function is complete once all its arguments are.
    ($name:ident [$($taken:ident: $type:ty,)*] [$($given:expr,)*] () $(-> $result:ident)?) => {
        #[cfg(target_arch = "wasm32")]
        pub(crate) fn $name($($taken: $type),*) $(-> $result)? {
            // SAFETY: addresses and lengths are those of borrowed slices, as the host demands.
            unsafe { host::$name($($given),*) }
        }

        #[cfg(all(feature = "native", not(target_arch = "wasm32")))]
        pub(crate) fn $name($($taken: $type),*) $(-> $result)? {
            crate::native::with(|host| host.$name($($taken),*))
        }
    };
    // Otherwise one moves over: bytes the host reads,
    (
        $name:ident [$($taken:tt)*] [$($given:tt)*]
        ($bytes:ident: ptr, $length:ident: u32, $($rest:tt)*) $($result:tt)*
    ) => {
        binding! {
            $name [$($taken)* $bytes: &[u8],] [$($given)* $bytes.as_ptr(), len($bytes),]
            ($($rest)*) $($result)*
        }
    };
    // room it writes a result to,
    (
        $name:ident [$($taken:tt)*] [$($given:tt)*]
        ($into:ident: buf, $room:ident: u32, $($rest:tt)*) $($result:tt)*
    ) => {
        binding! {
            $name [$($taken)* $into: &mut [u8],] [$($given)* $into.as_mut_ptr(), len($into),]
            ($($rest)*) $($result)*
        }
    };
    // room for a key,
    ($name:ident [$($taken:tt)*] [$($given:tt)*] ($into:ident: buf, $($rest:tt)*)) => {
        binding! {
            $name [$($taken)* $into: &mut [u8; 32],] [$($given)* $into.as_mut_ptr(),] ($($rest)*)
        }
    };
    // a number.
    (
        $name:ident [$($taken:tt)*] [$($given:tt)*]
        ($number:ident: $type:ident, $($rest:tt)*) $($result:tt)*
    ) => {
        binding! {
            $name [$($taken)* $number: $type,] [$($given)* $number,] ($($rest)*) $($result)*
        }
    };
}

macro_rules! host_calls {
    ($(
        $(#[doc = $doc:literal])+
        [$group:ident $fuel:literal]
        fn $name:ident($($argument:ident: $type:ident),*) $(-> $result:ident)?;
    )+) => {
        #[cfg(target_arch = "wasm32")]
        mod host {
            #[link(wasm_import_module = "bezant1")]
            unsafe extern "C" {
                $(
                    $(#[doc = $doc])+
                    pub(super) fn $name($($argument: passed!($type)),*) $(-> $result)?;
                )+
            }
        }

        $(binding! { $name [] [] ($($argument: $type,)*) $(-> $result)? })+
    };
}

include!("../../abi/bezant1.rs");

/// A length as the host takes it; lossless where guests run.
#[cfg(target_arch = "wasm32")]
fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Calls `ask` with a buffer for the result and gives the result; fetches it if it was
/// longer than the buffer. `None` if the host has none.
pub(crate) fn fetch(ask: impl FnOnce(&mut [u8]) -> i32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; ROOM];
    let found = usize::try_from(ask(&mut bytes)).ok()?;
    if found > bytes.len() {
        bytes = vec![0; found];
        result(&mut bytes);
    }
    bytes.truncate(found);
    Some(bytes)
}

/// The text in an encoding that the host or [`crate::TupleBytes`] wrote.
pub(crate) fn text(bytes: &[u8]) -> &str {
    // SAFETY: the host passes tuples and templates it has decoded itself, whose texts are
    // UTF-8; the types of `encoded` put texts from `&str` and cannot be made from bytes.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// Ends the call; everything it did is undone.
#[cfg(target_arch = "wasm32")]
pub(crate) fn stop() -> ! {
    core::arch::wasm32::unreachable()
}

/// Ends the test: an extension would be stopped here.
#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::panic, reason = "it is for tests, which end so")]
pub(crate) fn stop() -> ! {
    panic!("the extension stopped itself")
}

#[cfg(target_arch = "wasm32")]
mod guest {
    //! What a program without an operating system must bring along.

    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::wasm32::{memory_grow, memory_size};
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const PAGE: usize = 65_536;

    /// Hands out memory from the end of the static data upwards and takes none back:
    /// an instance lives for one call.
    struct Bump {
        /// The first free address; 0 before the first allocation.
        next: AtomicUsize,
    }

    #[global_allocator]
    static MEMORY: Bump = Bump {
        next: AtomicUsize::new(0),
    };

    unsafe extern "C" {
        /// Put by the linker where the static data and the stack end.
        static __heap_base: u8;
    }

    impl Bump {
        fn next(&self) -> usize {
            match self.next.load(Relaxed) {
                0 => (&raw const __heap_base).expose_provenance(),
                next => next,
            }
        }

        /// Makes memory up to `end` exist and marks it as used.
        fn take_to(&self, end: usize) -> bool {
            let have = memory_size(0) * PAGE;
            if end > have && memory_grow(0, (end - have).div_ceil(PAGE)) == usize::MAX {
                return false;
            }
            self.next.store(end, Relaxed);
            true
        }
    }

    // SAFETY: blocks do not overlap, because `next` only moves up, by the size of each
    // block, and the memory above `__heap_base` is used by nobody else. A guest has one
    // thread.
    unsafe impl GlobalAlloc for Bump {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let start = self.next().next_multiple_of(layout.align());
            match start.checked_add(layout.size()) {
                Some(end) if self.take_to(end) => core::ptr::with_exposed_provenance_mut(start),
                _ => core::ptr::null_mut(),
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as asked of our caller. Memory of a fresh instance is zero, and
            // none is handed out twice.
            unsafe { self.alloc(layout) }
        }

        unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            let start = block.expose_provenance();
            // The newest block grows in place: a vector being filled does not copy.
            if start.checked_add(layout.size()) == Some(self.next()) {
                return match start.checked_add(size.max(layout.size())) {
                    Some(end) if self.take_to(end) => block,
                    _ => core::ptr::null_mut(),
                };
            }
            if size <= layout.size() {
                return block;
            }
            // SAFETY: the caller vouches that `size` and the alignment make a layout.
            let layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: the new block is as long as the old one at least, and apart from it.
            unsafe {
                let new = self.alloc(layout);
                if !new.is_null() {
                    core::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                }
                new
            }
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        super::stop()
    }
}
