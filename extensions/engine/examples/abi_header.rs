//! Prints extensions/abi/bezant1.h, the host calls for C.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", bezant_extensions::abi::header());
}
