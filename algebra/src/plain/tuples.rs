//! Tuples: part by part, so a tuple has every law that all of its parts have.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_parts, nothing_left, put_part, width_of_two};
use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::{Tier, Tiered};

macro_rules! tuples {
    ($first:ident $fi:tt $(, $n:ident $i:tt)*) => {
        impl<$first: Semigroup, $($n: Semigroup),*> Semigroup for ($first, $($n,)*) {
            const BY_PARTS: bool = $first::BY_PARTS $(&& $n::BY_PARTS)*;
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
            #[inline]
            fn heap_bytes(&self) -> usize {
                self.$fi.heap_bytes() $(+ self.$i.heap_bytes())*
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
        impl<$first: Tiered, $($n: Tiered),*> Tiered for ($first, $($n,)*) {
            type Tier = tuples!(@weakest $first::Tier $(, $n::Tier)*);
        }
        impl<$first: Codec, $($n: Codec),*> Codec for ($first, $($n,)*) {
            const WIDTH: Option<usize> = {
                let width = $first::WIDTH;
                $(let width = width_of_two(width, $n::WIDTH);)*
                width
            };
            const MERGE: Option<Merge> = if $first::MERGE.is_some() $(&& $n::MERGE.is_some())* {
                Some(|mut a, mut b, out| {
                    merge_parts::<$first>(&mut a, &mut b, out).map_err(|e| e.within(concat!("part ", $fi)))?;
                    $(merge_parts::<$n>(&mut a, &mut b, out).map_err(|e| e.within(concat!("part ", $i)))?;)*
                    nothing_left(a).and_then(|()| nothing_left(b))
                })
            } else {
                None
            };
            fn encode(&self, out: &mut Vec<u8>) {
                put_part(&self.$fi, out);
                $(put_part(&self.$i, out);)*
            }
            fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
                let value = (
                    decode_part(&mut bytes).map_err(|e| e.within(concat!("part ", $fi)))?,
                    $(decode_part(&mut bytes).map_err(|e| e.within(concat!("part ", $i)))?,)*
                );
                nothing_left(bytes).map(|()| value)
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
            fn agrees(&self, other: &Self) -> bool {
                self.$fi.agrees(&other.$fi) $(&& self.$i.agrees(&other.$i))*
            }
        }
    };
    (@weakest $tier:ty) => { $tier };
    (@weakest $tier:ty, $($rest:ty),+) => { <$tier as Tier>::And<tuples!(@weakest $($rest),+)> };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
