// The host calls of WebAssembly module `bezant1`: the one table.
//
// Whoever includes this file defines the macro `host_calls!` first. The engine
// makes from it the functions it links, the types the module check demands and
// docs/extensions/abi.md; the SDK makes its bindings. Each call has its group,
// the fuel it costs before its arguments are looked at, and its type: `ptr` is an
// address the host reads from, `buf` one it writes to, both `u32` to it. A call is
// added here and in extensions/engine/src/calls.rs, and nowhere else.
//
// A call's meaning and type never change once released: a new meaning is a new
// name, or a new module `bezant2`.

host_calls! {
    /// The kind of the operation that the extension runs instead of, or judges: 0 `out`, 1 `rdp`, 2 `inp`, 3 `rd`, 4 `in`, 5 `cas`, 6 `replace`, 7 `rd_all`, 8 `in_all`, 9 `count`, 10 `renew`, 13 `out_to`; policies also see 11 `watch` and 12 `survey`. -1 for an event.
    [Invocation 10] fn operation() -> i32;
    /// What happened to a tuple: 0 it was inserted, 1 taken, 2 its lease was over, 3 its session ended, 4 somebody who waited got it. -1 for an operation.
    [Invocation 10] fn event() -> i32;
    /// The operation's template. -1 if it has none.
    [Invocation 20] fn argument_template(into: buf, room: u32) -> i32;
    /// The operation's tuple, or the one that an event is about. -1 if there is none.
    [Invocation 20] fn argument_tuple(into: buf, room: u32) -> i32;
    /// The limit of a `rd_all` or `in_all`; -1 for other operations.
    [Invocation 10] fn argument_limit() -> i64;
    /// The cursor of a `rd_all`; -1 if it begins at the start, and for other operations.
    [Invocation 10] fn argument_after() -> i64;
    /// Writes the 32 bytes of a public key: that of the client whose operation it is; for event 4 that of the client who waited; for other events that of the extension's owner.
    [Invocation 40] fn invoker(into: buf);
    /// The agreed time in milliseconds since 1970; the same on every replica, and for all operations of one proposal.
    [Invocation 10] fn now() -> i64;
    /// The sequence number of the proposal the operation is part of.
    [Invocation 10] fn sequence() -> i64;

    /// Reads the oldest tuple that matches. -1 if none does.
    [Reads 500] fn rdp(space: i32, template: ptr, template_len: u32, into: buf, room: u32) -> i32;
    /// Reads at most `limit` (1 to 256) matching tuples, oldest first, after the cursor `after` (-1: from the start), as a page. `after` costs no search: a large space is read page by page.
    [Reads 500] fn rd_all(space: i32, template: ptr, template_len: u32, limit: u32, after: i64, into: buf, room: u32) -> i32;
    /// Counts the tuples that match.
    [Reads 500] fn count(space: i32, template: ptr, template_len: u32) -> i64;
    /// Reads, of the tuples that match, the one with the smallest integer at `position` (counted from 0; tuples with another kind of value there do not count), the oldest among equals. -1 if there is none.
    [Reads 600] fn rdp_min(space: i32, template: ptr, template_len: u32, position: u32, into: buf, room: u32) -> i32;

    /// Inserts a tuple.
    [Writes 800] fn out(space: i32, tuple: ptr, tuple_len: u32);
    /// Inserts a tuple that lives for `lease_ms` milliseconds of agreed time; with 0 as long as the session of the client whose operation it is (there is none for an event).
    [Writes 800] fn out_leased(space: i32, tuple: ptr, tuple_len: u32, lease_ms: i64);
    /// Removes the oldest tuple that matches and gives it. -1 if none does.
    [Writes 800] fn inp(space: i32, template: ptr, template_len: u32, into: buf, room: u32) -> i32;
    /// Removes the tuple `rdp_min` would read and gives it. -1 if there is none.
    [Writes 900] fn inp_min(space: i32, template: ptr, template_len: u32, position: u32, into: buf, room: u32) -> i32;
    /// Inserts `tuple` if no tuple matches: -1. Otherwise changes nothing and gives the oldest that matches.
    [Writes 900] fn cas(space: i32, template: ptr, template_len: u32, tuple: ptr, tuple_len: u32, into: buf, room: u32) -> i32;
    /// Removes the oldest tuple that matches, inserts `tuple` and gives the removed one. -1 if none matches; then nothing is changed.
    [Writes 1200] fn replace(space: i32, template: ptr, template_len: u32, tuple: ptr, tuple_len: u32, into: buf, room: u32) -> i32;

    /// Removes at most `limit` (1 to 256) matching tuples, oldest first, and gives them as a page. If the page names a cursor there are more.
    [Writes 800] fn in_all(space: i32, template: ptr, template_len: u32, limit: u32, into: buf, room: u32) -> i32;
    /// Lets the oldest matching tuple that has a lease live for `lease_ms` milliseconds from now, and gives it. -1 if there is none.
    [Writes 800] fn renew(space: i32, template: ptr, template_len: u32, lease_ms: i64, into: buf, room: u32) -> i32;

    /// Answers an `rd` or `in` with the oldest tuple that matches, read (`take` 0) or removed (1): 1. If none does, the client waits for one, under its own operation's end and by its own rights: 0. In place of `reply`.
    [Control 800] fn wait_for(space: i32, template: ptr, template_len: u32, take: u32) -> i32;
    /// Hands a tuple to those who wait for one like it, as `out` would: to all who read, and to the first who takes. It is never in the space. Gives how many got it.
    [Control 800] fn wake(space: i32, tuple: ptr, tuple_len: u32) -> i32;
    /// For event 4: the client who was served gets no answer but waits as before, and the tuple that it took is in the space again: 1. 0 if it has its answer already, and for everything else. Only for clients that the extension applies to.
    [Control 800] fn hold_back() -> i32;
    /// The last result that was longer than the room given for it. -1 if there is none (any more).
    [Control 20] fn result(into: buf, room: u32) -> i32;
    /// Answers the operation, exactly once, in its own result type. The call may go on afterwards. Events and judgements have no answer.
    [Control 50] fn reply(outcome: ptr, outcome_len: u32);
    /// Refuses the operation with a code of the extension's own. Does not return; everything is undone.
    [Control 50] fn refuse(code: u32);
    /// Writes a line, in UTF-8, to the replica's log: outside the agreed state, for debugging. Costs the same whether or not anybody listens; what goes beyond 4096 bytes in one call of the extension is dropped.
    [Control 50] fn log(text: ptr, text_len: u32);
}
