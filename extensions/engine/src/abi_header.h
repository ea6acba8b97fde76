/* Generated: cargo run -p bezant-extensions --example abi_header > extensions/abi/bezant1.h
 *
 * The host calls of an extension, for C. What they mean is in docs/extensions/abi.md; build
 * with clang for wasm32 as extensions/examples/c does. Pointers are only read from where the
 * page says so.
 */
#ifndef BEZANT1_H
#define BEZANT1_H

#include <stdint.h>

#define BEZANT(name) __attribute__((import_module("bezant1"), import_name(#name))) extern
/* An entry point, under the name that the manifest gives. */
#define BEZANT_ENTRY(name) __attribute__((export_name(#name))) void name(void)
/* The space that the operation or event is in. */
#define BEZANT_HERE (-1)
