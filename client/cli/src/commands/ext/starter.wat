;; Takes the oldest ("todo", X), puts ("busy", X) in its place and answers with it: in one step,
;; so that a task is never in neither state, and never handed out twice.
(module
  (import "bezant1" "inp" (func $inp (param i32 i32 i32 i32 i32) (result i32)))
  (import "bezant1" "out" (func $out (param i32 i32 i32)))
  (import "bezant1" "reply" (func $reply (param i32 i32)))
  (memory (export "memory") 2)

  ;; At 0 the template ("todo", _): two fields, exactly (00) a text (03) of 4 bytes, anything (01).
  (data (i32.const 0) "\02\00\03\04todo\01")
  ;; At 64 an answer: a match (01) that is there (01). Its tuple comes behind it, at 66.
  (data (i32.const 64) "\01\01")

  (func (export "take") (local $length i32)
    ;; -1 is the space that the operation is on.
    (local.set $length
      (call $inp (i32.const -1) (i32.const 0) (i32.const 9) (i32.const 66) (i32.const 65536)))
    (if (i32.lt_s (local.get $length) (i32.const 0))
      (then
        ;; No match (00).
        (i32.store8 (i32.const 65) (i32.const 0))
        (call $reply (i32.const 64) (i32.const 2))
        (return)))
    ;; The tuple begins with its number of fields and the kind and length of the first one:
    ;; 3 bytes. Then comes "todo", which becomes "busy".
    (i32.store (i32.const 69) (i32.const 0x79737562))
    (call $out (i32.const -1) (i32.const 66) (local.get $length))
    (call $reply (i32.const 64) (i32.add (local.get $length) (i32.const 2)))))
