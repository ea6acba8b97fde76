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

/* The kind of the operation that the extension runs instead of, or judges: 0 out, 1 rdp, 2 inp, 3 rd, 4 in, 5 cas, 6 replace, 7 rd_all, 8 in_all, 9 count, 10 renew, 13 out_to; policies also see 11 watch and 12 survey. -1 for an event. Fuel: 10. */
BEZANT(operation) int32_t bezant_operation(void);

/* What happened to a tuple: 0 it was inserted, 1 taken, 2 its lease was over, 3 its session ended, 4 somebody who waited got it. -1 for an operation. Fuel: 10. */
BEZANT(event) int32_t bezant_event(void);

/* The operation's template. -1 if it has none. Fuel: 20. */
BEZANT(argument_template) int32_t bezant_argument_template(void *into, uint32_t room);

/* The operation's tuple, or the one that an event is about. -1 if there is none. Fuel: 20. */
BEZANT(argument_tuple) int32_t bezant_argument_tuple(void *into, uint32_t room);

/* The limit of a rd_all or in_all; -1 for other operations. Fuel: 10. */
BEZANT(argument_limit) int64_t bezant_argument_limit(void);

/* The cursor of a rd_all; -1 if it begins at the start, and for other operations. Fuel: 10. */
BEZANT(argument_after) int64_t bezant_argument_after(void);

/* Writes the 32 bytes of a public key: that of the client whose operation it is; for event 4 that of the client who waited; for other events that of the extension's owner. Fuel: 40. */
BEZANT(invoker) void bezant_invoker(void *into);

/* The agreed time in milliseconds since 1970; the same on every replica, and for all operations of one proposal. Fuel: 10. */
BEZANT(now) int64_t bezant_now(void);

/* The sequence number of the proposal the operation is part of. Fuel: 10. */
BEZANT(sequence) int64_t bezant_sequence(void);

/* Reads the oldest tuple that matches. -1 if none does. Fuel: 500. */
BEZANT(rdp) int32_t bezant_rdp(int32_t space, void *template, uint32_t template_len, void *into, uint32_t room);

/* Reads at most limit (1 to 256) matching tuples, oldest first, after the cursor after (-1: from the start), as a page. after costs no search: a large space is read page by page. Fuel: 500. */
BEZANT(rd_all) int32_t bezant_rd_all(int32_t space, void *template, uint32_t template_len, uint32_t limit, int64_t after, void *into, uint32_t room);

/* Counts the tuples that match. Fuel: 500. */
BEZANT(count) int64_t bezant_count(int32_t space, void *template, uint32_t template_len);

/* Reads, of the tuples that match, the one with the smallest integer at position (counted from 0; tuples with another kind of value there do not count), the oldest among equals. -1 if there is none. Fuel: 600. */
BEZANT(rdp_min) int32_t bezant_rdp_min(int32_t space, void *template, uint32_t template_len, uint32_t position, void *into, uint32_t room);

/* Inserts a tuple. Fuel: 800. */
BEZANT(out) void bezant_out(int32_t space, void *tuple, uint32_t tuple_len);

/* Inserts a tuple that lives for lease_ms milliseconds of agreed time; with 0 as long as the session of the client whose operation it is (there is none for an event). Fuel: 800. */
BEZANT(out_leased) void bezant_out_leased(int32_t space, void *tuple, uint32_t tuple_len, int64_t lease_ms);

/* Removes the oldest tuple that matches and gives it. -1 if none does. Fuel: 800. */
BEZANT(inp) int32_t bezant_inp(int32_t space, void *template, uint32_t template_len, void *into, uint32_t room);

/* Removes the tuple rdp_min would read and gives it. -1 if there is none. Fuel: 900. */
BEZANT(inp_min) int32_t bezant_inp_min(int32_t space, void *template, uint32_t template_len, uint32_t position, void *into, uint32_t room);

/* Inserts tuple if no tuple matches: -1. Otherwise changes nothing and gives the oldest that matches. Fuel: 900. */
BEZANT(cas) int32_t bezant_cas(int32_t space, void *template, uint32_t template_len, void *tuple, uint32_t tuple_len, void *into, uint32_t room);

/* Removes the oldest tuple that matches, inserts tuple and gives the removed one. -1 if none matches; then nothing is changed. Fuel: 1200. */
BEZANT(replace) int32_t bezant_replace(int32_t space, void *template, uint32_t template_len, void *tuple, uint32_t tuple_len, void *into, uint32_t room);

/* Removes at most limit (1 to 256) matching tuples, oldest first, and gives them as a page. If the page names a cursor there are more. Fuel: 800. */
BEZANT(in_all) int32_t bezant_in_all(int32_t space, void *template, uint32_t template_len, uint32_t limit, void *into, uint32_t room);

/* Lets the oldest matching tuple that has a lease live for lease_ms milliseconds from now, and gives it. -1 if there is none. Fuel: 800. */
BEZANT(renew) int32_t bezant_renew(int32_t space, void *template, uint32_t template_len, int64_t lease_ms, void *into, uint32_t room);

/* Answers an rd or in with the oldest tuple that matches, read (take 0) or removed (1): 1. If none does, the client waits for one, under its own operation's end and by its own rights: 0. In place of reply. Fuel: 800. */
BEZANT(wait_for) int32_t bezant_wait_for(int32_t space, void *template, uint32_t template_len, uint32_t take);

/* Hands a tuple to those who wait for one like it, as out would: to all who read, and to the first who takes. It is never in the space. Gives how many got it. Fuel: 800. */
BEZANT(wake) int32_t bezant_wake(int32_t space, void *tuple, uint32_t tuple_len);

/* For event 4: the client who was served gets no answer but waits as before, and the tuple that it took is in the space again: 1. 0 if it has its answer already, and for everything else. Only for clients that the extension applies to. Fuel: 800. */
BEZANT(hold_back) int32_t bezant_hold_back(void);

/* The last result that was longer than the room given for it. -1 if there is none (any more). Fuel: 20. */
BEZANT(result) int32_t bezant_result(void *into, uint32_t room);

/* Answers the operation, exactly once, in its own result type. The call may go on afterwards. Events and judgements have no answer. Fuel: 50. */
BEZANT(reply) void bezant_reply(void *outcome, uint32_t outcome_len);

/* Refuses the operation with a code of the extension's own. Does not return; everything is undone. Fuel: 50. */
BEZANT(refuse) void bezant_refuse(uint32_t code);

/* Writes a line, in UTF-8, to the replica's log: outside the agreed state, for debugging. Costs the same whether or not anybody listens; what goes beyond 4096 bytes in one call of the extension is dropped. Fuel: 50. */
BEZANT(log) void bezant_log(void *text, uint32_t text_len);

#endif
