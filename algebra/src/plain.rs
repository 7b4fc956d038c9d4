//! Numbers, text, options, tuples, lists and maps.
//!
//! | type | zero | commutative | idempotent | inverse | bytes |
//! |---|---|---|---|---|---|
//! | `u32 u64 u128 i32 i64 i128` (wrapping sums) | 0 | yes | no | yes | fixed width, little-endian |
//! | `Option<T>` (`None` is the zero) | `None` | as `T` | as `T` | no | tag 0 or 1, then the value |
//! | tuples of 1 to 6 | all zeros | as parts | as parts | as parts | part after part |
//! | `Vec<T>` (concatenation) | `[]` | no | no | no | LEB128 count, then the elements |
//! | `BTreeMap<K, V>` (key by key) | `{}` | as `V` | as `V` | as `V` | LEB128 count, then key and value, keys ascending |
//! | `u8 u16 i8 i16 bool f64`, `String`, `CompactString` | no sums, only bytes | | | | fixed width; text: LEB128 length, UTF-8 |
//!
//! All laws here are exact: equal multisets have equal bytes under any merge tree. Hence no sum of `f64`: it would depend
//! on the order.
//!
//! **Overflow.** Integer sums wrap, signed and unsigned. So they are groups, no order of summing overflows where another
//! does not, and nothing panics. A sum that may pass 2^64 wants `u128`.
//!
//! **Zero values in maps.** An entry whose value is zero stays out: `combine` never adds one and removes those that become
//! zero, so equal sums are equal bytes and a group's inverse leaves nothing behind. A map built by hand keeps to the
//! same rule; otherwise it is not a value of this monoid.

mod list;
mod map;
mod numbers;
mod option;
mod text;
mod tuples;
