;; One walk over the bytes of a head, sixteen at a time: is it whole, is it well-formed, where do its lines stand?
;; Which of them are known, by their names? The grammar is that of grammar.ts, the names are those of known-fields.ts.
;; `npm run generate` makes scan-wasm.ts of this; scan.ts says what lies where in memory.
(module
  (import "scan" "memory" (memory 1))

  ;; Index of the first byte from $at on that is not in a set of ASCII characters; $end at most.
  ;; A set is a table by the lower four bits of a character, whose bit n stands for the upper four: bytes from 128 have none.
  (func $skipSet (param $at i32) (param $end i32) (param $set v128) (result i32)
    (local $bytes v128)
    (local $others i32)
    (block $found
      (loop $next
        (br_if $found (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $bytes (v128.load (local.get $at)))
        (local.set $others
          (i8x16.bitmask
            (i8x16.eq
              (v128.and
                (i8x16.swizzle (local.get $set) (v128.and (local.get $bytes) (i8x16.splat (i32.const 15))))
                (i8x16.swizzle
                  (v128.const i8x16 0x01 0x02 0x04 0x08 0x10 0x20 0x40 0x80 0 0 0 0 0 0 0 0)
                  (i8x16.shr_u (local.get $bytes) (i32.const 4))))
              (v128.const i64x2 0 0))))
        (if (local.get $others)
          (then
            (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $others))))
            (br $found)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (select (local.get $at) (local.get $end) (i32.lt_u (local.get $at) (local.get $end))))

  ;; ! # $ % & ' * + - . ^ _ ` | ~, digits, letters (RFC 9110, 5.6.2)
  (func $skipToken (param $at i32) (param $end i32) (result i32)
    (call $skipSet (local.get $at) (local.get $end)
      (v128.const i8x16 0xe8 0xfc 0xf8 0xfc 0xfc 0xfc 0xfc 0xfc 0xf8 0xf8 0xf4 0x54 0xd0 0x54 0xf4 0x70)))

  ;; From ! to ~ without #
  (func $skipTarget (param $at i32) (param $end i32) (result i32)
    (call $skipSet (local.get $at) (local.get $end)
      (v128.const i8x16 0xf8 0xfc 0xfc 0xf8 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0xfc 0x7c)))

  ;; The first control character from $at on, HTAB excepted; $end at most.
  (func $skipValue (param $at i32) (param $end i32) (result i32)
    (local $bytes v128)
    (local $others i32)
    (block $found
      (loop $next
        (br_if $found (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $bytes (v128.load (local.get $at)))
        (local.set $others
          (i8x16.bitmask
            (v128.or
              (v128.andnot
                (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 32)))
                (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 9))))
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 127))))))
        (if (local.get $others)
          (then
            (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $others))))
            (br $found)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (select (local.get $at) (local.get $end) (i32.lt_u (local.get $at) (local.get $end))))

  ;; CR LF stands at $at, before $end.
  (func $isLineEnd (param $at i32) (param $end i32) (result i32)
    (i32.and
      (i32.le_u (i32.add (local.get $at) (i32.const 2)) (local.get $end))
      (i32.eq (i32.load16_u (local.get $at)) (i32.const 0x0a0d))))

  ;; Number of the known field that is called so, in any case; negative where `_` stands for `-`; 0 = of none.
  (func $field (param $start i32) (param $colon i32) (result i32)
    (local $length i32)
    (local $number i32)
    (local $first v128)
    (local $second v128)
    (local $firstUnder v128)
    (local $secondUnder v128)
    (local $mask i32)
    (local.set $length (i32.sub (local.get $colon) (local.get $start)))
    (if (i32.gt_u (local.get $length) (i32.const 31))
      (then (return (i32.const 0))))
    ;; No two known names have both their length and their last character but one in common.
    (local.set $number
      (i32.load8_u offset=196608
        (i32.or
          (i32.shl (local.get $length) (i32.const 5))
          (i32.and (i32.load8_u (i32.sub (local.get $colon) (i32.const 2))) (i32.const 31)))))
    (if (i32.eqz (local.get $number))
      (then (return (i32.const 0))))
    ;; Setting bit 5 makes no letter, digit or `-` of any other token character, and DEL, which is none, of `_` alone.
    (local.set $first (v128.or (v128.load (local.get $start)) (i8x16.splat (i32.const 32))))
    (local.set $second (v128.or (v128.load offset=16 (local.get $start)) (i8x16.splat (i32.const 32))))
    (local.set $firstUnder (i8x16.eq (local.get $first) (i8x16.splat (i32.const 127))))
    (local.set $secondUnder (i8x16.eq (local.get $second) (i8x16.splat (i32.const 127))))
    (local.set $mask (i32.sub (i32.shl (i32.const 1) (local.get $length)) (i32.const 1)))
    (if (i32.and
          (local.get $mask)
          (i32.xor
            (i32.const -1)
            (call $bits
              (i8x16.eq
                (v128.bitselect (i8x16.splat (i32.const 45)) (local.get $first) (local.get $firstUnder))
                (v128.load offset=197632 (i32.shl (local.get $number) (i32.const 5))))
              (i8x16.eq
                (v128.bitselect (i8x16.splat (i32.const 45)) (local.get $second) (local.get $secondUnder))
                (v128.load offset=197648 (i32.shl (local.get $number) (i32.const 5)))))))
      (then (return (i32.const 0))))
    (select
      (i32.sub (i32.const 0) (local.get $number))
      (local.get $number)
      (i32.and (local.get $mask) (call $bits (local.get $firstUnder) (local.get $secondUnder)))))

  ;; A bit for each of 32 bytes that are all ones or all zeros.
  (func $bits (param $first v128) (param $second v128) (result i32)
    (i32.or
      (i8x16.bitmask (local.get $first))
      (i32.shl (i8x16.bitmask (local.get $second)) (i32.const 16))))

  ;; Header lines from $at up to the empty line; what is written of them counts from $base.
  (func $lines (param $base i32) (param $at i32) (param $end i32) (result i32)
    (local $start i32)
    (local $colon i32)
    (local $cell i32)
    (local.set $cell (i32.const 16))
    (loop $next (result i32)
      (if (call $isLineEnd (local.get $at) (local.get $end))
        (then
          (i32.store (i32.const 8) (i32.shr_u (i32.sub (local.get $cell) (i32.const 16)) (i32.const 2)))
          (return (i32.add (local.get $at) (i32.const 2)))))
      (local.set $start (local.get $at))
      (local.set $colon (call $skipToken (local.get $at) (local.get $end)))
      (if (i32.or
            (i32.or (i32.eq (local.get $colon) (local.get $start)) (i32.ge_u (local.get $colon) (local.get $end)))
            (i32.ne (i32.load8_u (local.get $colon)) (i32.const 58)))
        (then (return (i32.const -1))))
      (local.set $at (call $skipValue (i32.add (local.get $colon) (i32.const 1)) (local.get $end)))
      (if (i32.eqz (call $isLineEnd (local.get $at) (local.get $end)))
        (then (return (i32.const -1))))
      ;; More lines than there is room for are more than any limit allows: they are counted.
      (if (i32.lt_u (local.get $cell) (i32.const 196608))
        (then
          (i32.store (local.get $cell) (i32.sub (local.get $start) (local.get $base)))
          (i32.store offset=4 (local.get $cell) (i32.sub (local.get $colon) (local.get $base)))
          (i32.store offset=8 (local.get $cell) (i32.sub (local.get $at) (local.get $base)))
          (i32.store offset=12 (local.get $cell) (call $field (local.get $start) (local.get $colon)))))
      (local.set $cell (i32.add (local.get $cell) (i32.const 16)))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br $next)))

  ;; Index behind the head of a request, or -1.
  (func (export "request") (param $start i32) (param $end i32) (result i32)
    (local $at i32)
    (local $target i32)
    (local.set $at (call $skipToken (local.get $start) (local.get $end)))
    (if (i32.or
          (i32.or (i32.eq (local.get $at) (local.get $start)) (i32.ge_u (local.get $at) (local.get $end)))
          (i32.ne (i32.load8_u (local.get $at)) (i32.const 32)))
      (then (return (i32.const -1))))
    (i32.store (i32.const 0) (i32.sub (local.get $at) (local.get $start)))
    (local.set $target (i32.add (local.get $at) (i32.const 1)))
    (local.set $at (call $skipTarget (local.get $target) (local.get $end)))
    ;; ` HTTP/1.`, 0 or 1, CR LF
    (if (i32.or
          (i32.eq (local.get $at) (local.get $target))
          (i32.gt_u (i32.add (local.get $at) (i32.const 11)) (local.get $end)))
      (then (return (i32.const -1))))
    (if (i32.or
          (i64.ne (i64.load (local.get $at)) (i64.const 0x2e312f5054544820))
          (i32.ne (i32.and (i32.load8_u offset=8 (local.get $at)) (i32.const 0xfe)) (i32.const 48)))
      (then (return (i32.const -1))))
    (local.set $at (i32.add (local.get $at) (i32.const 9)))
    (if (i32.eqz (call $isLineEnd (local.get $at) (local.get $end)))
      (then (return (i32.const -1))))
    (i32.store (i32.const 4) (i32.sub (local.get $at) (local.get $start)))
    (call $lines (local.get $start) (i32.add (local.get $at) (i32.const 2)) (local.get $end)))

  ;; Index behind the head of a response, or -1.
  (func (export "response") (param $start i32) (param $end i32) (result i32)
    (local $at i32)
    ;; `HTTP/1.`, 0 or 1, a space, three digits that make at least 100, CR LF
    (if (i32.gt_u (i32.add (local.get $start) (i32.const 14)) (local.get $end))
      (then (return (i32.const -1))))
    (if (i64.ne
          (i64.and (i64.load (local.get $start)) (i64.const 0xfeffffffffffffff))
          (i64.const 0x302e312f50545448))
      (then (return (i32.const -1))))
    (if (i32.or
          (i32.or
            (i32.ne (i32.load8_u offset=8 (local.get $start)) (i32.const 32))
            (i32.gt_u (i32.sub (i32.load8_u offset=9 (local.get $start)) (i32.const 49)) (i32.const 8)))
          (i32.or
            (i32.gt_u (i32.sub (i32.load8_u offset=10 (local.get $start)) (i32.const 48)) (i32.const 9))
            (i32.gt_u (i32.sub (i32.load8_u offset=11 (local.get $start)) (i32.const 48)) (i32.const 9))))
      (then (return (i32.const -1))))
    (local.set $at (i32.add (local.get $start) (i32.const 12)))
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 32))
      (then (local.set $at (call $skipValue (local.get $at) (local.get $end)))))
    (if (i32.eqz (call $isLineEnd (local.get $at) (local.get $end)))
      (then (return (i32.const -1))))
    (i32.store (i32.const 4) (i32.sub (local.get $at) (local.get $start)))
    (call $lines (local.get $start) (i32.add (local.get $at) (i32.const 2)) (local.get $end))))
