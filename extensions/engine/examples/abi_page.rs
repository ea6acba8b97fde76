//! Prints docs/extensions/abi.md.

fn main() {
    print!("{}", bezant_extensions::abi::page());
}
