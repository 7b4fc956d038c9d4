//! Tuples: part by part, so a tuple has every law that all of its parts have.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError};
use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};

macro_rules! tuples {
    ($first:ident $fi:tt $(, $n:ident $i:tt)*) => {
        impl<$first: Semigroup, $($n: Semigroup),*> Semigroup for ($first, $($n,)*) {
            #[inline]
            fn combine(&mut self, other: &Self) {
                self.$fi.combine(&other.$fi);
                $(self.$i.combine(&other.$i);)*
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                self.$fi.combine_owned(other.$fi);
                $(self.$i.combine_owned(other.$i);)*
            }
            fn times(self, n: NonZeroU64) -> Self {
                (self.$fi.times(n), $(self.$i.times(n),)*)
            }
        }
        impl<$first: Monoid, $($n: Monoid),*> Monoid for ($first, $($n,)*) {
            fn zero() -> Self {
                ($first::zero(), $($n::zero(),)*)
            }
            fn is_zero(&self) -> bool {
                self.$fi.is_zero() $(&& self.$i.is_zero())*
            }
        }
        impl<$first: Group, $($n: Group),*> Group for ($first, $($n,)*) {
            fn negate(&mut self) {
                self.$fi.negate();
                $(self.$i.negate();)*
            }
        }
        impl<$first: Commutative, $($n: Commutative),*> Commutative for ($first, $($n,)*) {}
        impl<$first: Idempotent, $($n: Idempotent),*> Idempotent for ($first, $($n,)*) {}
        impl<$first: Codec, $($n: Codec),*> Codec for ($first, $($n,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                self.$fi.encode(out);
                $(self.$i.encode(out);)*
            }
            fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                Ok(($first::decode(bytes)?, $($n::decode(bytes)?,)*))
            }
            fn schema() -> String {
                format!("({})", [$first::schema(), $($n::schema()),*].join(","))
            }
            fn json(&self) -> Value {
                Value::Array(vec![self.$fi.json(), $(self.$i.json()),*])
            }
            fn magnitude(&self) -> f64 {
                self.$fi.magnitude()
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
