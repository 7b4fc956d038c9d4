//! Tuples: part after part, so a shorter tuple is a prefix.

use serde_json::Value;

use super::{AsKey, Key, KeyError, KeyOf, PrefixOf};
use crate::native::KeyColumn;

macro_rules! tuples {
    ($($n:ident $q:ident $i:tt),+) => {
        impl<$($n: AsKey),+> AsKey for ($($n,)+) {
            type Key = ($($n::Key,)+);
            #[inline]
            fn encode_key(&self, out: &mut Vec<u8>) {
                $(self.$i.encode_key(out);)+
            }
        }
        impl<$($n: KeyOf<$q>, $q),+> KeyOf<($($q,)+)> for ($($n,)+) {}
        impl<$($n: Key),+> Key for ($($n,)+) {
            fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
                Ok(($($n::decode_key(bytes)?,)+))
            }
            fn decode_key_into(&mut self, bytes: &mut &[u8]) -> Result<(), KeyError> {
                $(self.$i.decode_key_into(bytes)?;)+
                Ok(())
            }
            fn schema() -> String {
                format!("({})", [$($n::schema()),+].join(","))
            }
            fn parts(&self, out: &mut Vec<Value>) {
                $(self.$i.parts(out);)+
            }
            fn columns(out: &mut Vec<KeyColumn>) {
                $($n::columns(out);)+
            }
            fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
                Ok(($($n::parse_parts(parts)?,)+))
            }
            fn encode_prefix(parts: &mut &[&str], out: &mut Vec<u8>) -> Result<(), KeyError> {
                $($n::encode_prefix(parts, out)?;)+
                Ok(())
            }
        }
    };
}
tuples!(A X 0);
tuples!(A X 0, B Y 1);
tuples!(A X 0, B Y 1, C Z 2);
tuples!(A X 0, B Y 1, C Z 2, D W 3);

/// Prefixes: every shorter tuple of a tuple.
macro_rules! prefixes {
    ($($n:ident $q:ident),+ ; $($rest:ident),+) => {
        impl<$($n: KeyOf<$q>,)+ $($rest,)+ $($q: AsKey),+> PrefixOf<($($q,)+)> for ($($n,)+ $($rest,)+) {
            fn encode_prefix_of(prefix: &($($q,)+), out: &mut Vec<u8>) {
                prefix.encode_key(out);
            }
        }
    };
}
prefixes!(A X; B);
prefixes!(A X; B, C);
prefixes!(A X; B, C, D);
prefixes!(A X, B Y; C);
prefixes!(A X, B Y; C, D);
prefixes!(A X, B Y, C Z; D);

macro_rules! everything {
    ($($n:ident),+) => {
        /// `()` is the prefix of every key: all of the store.
        impl<$($n),+> PrefixOf<()> for ($($n,)+) {
            fn encode_prefix_of(_: &(), _: &mut Vec<u8>) {}
        }
    };
}
everything!(A, B);
everything!(A, B, C);
everything!(A, B, C, D);

macro_rules! single {
    ($($t:ty)*) => {$(
        impl PrefixOf<()> for $t {
            fn encode_prefix_of(_: &(), _: &mut Vec<u8>) {}
        }
    )*};
}
single!(String bool u8 u16 u32 u64 i8 i16 i32 i64 crate::TimeBucket crate::Timestamp);

impl<A> PrefixOf<()> for (A,) {
    fn encode_prefix_of(_: &(), _: &mut Vec<u8>) {}
}
