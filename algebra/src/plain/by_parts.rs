//! Sums that are several exact sums side by side.

/// Makes a struct of exact groups an exact group, part by part, with the bytes of a tuple of its fields.
macro_rules! sums_of_parts {
    ($name:ident { $($field:ident: $type:ty),+ }, $schema:literal) => {
        impl $crate::Semigroup for $name {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                $($crate::Semigroup::combine(&mut self.$field, &other.$field);)+
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                $($crate::Semigroup::combine_owned(&mut self.$field, other.$field);)+
            }
            fn times(self, n: std::num::NonZeroU64) -> Self {
                Self { $($field: $crate::Semigroup::times(self.$field, n)),+ }
            }
        }
        impl $crate::Monoid for $name {
            fn zero() -> Self {
                Self { $($field: <$type as $crate::Monoid>::zero()),+ }
            }
            fn is_zero(&self) -> bool {
                $($crate::Monoid::is_zero(&self.$field))&&+
            }
        }
        impl Default for $name {
            fn default() -> Self {
                $crate::Monoid::zero()
            }
        }
        impl $crate::Group for $name {
            fn negate(&mut self) {
                $($crate::Group::negate(&mut self.$field);)+
            }
        }
        impl $crate::Commutative for $name {}
        impl $crate::Tiered for $name {
            type Tier = $crate::Exact;
        }
        impl $crate::Codec for $name {
            const WIDTH: Option<usize> = $crate::plain::by_parts::width_of(&[$(<$type as $crate::Codec>::WIDTH),+]);
            const MERGE: Option<$crate::codec::Merge> = Some(|mut a, mut b, out| {
                $($crate::codec::merge_parts::<$type>(&mut a, &mut b, out).map_err(|e| e.within(stringify!($field)))?;)+
                $crate::codec::nothing_left(a).and_then(|()| $crate::codec::nothing_left(b))
            });
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::codec::put_part(&self.$field, out);)+
            }
            fn decode(mut bytes: &[u8]) -> Result<Self, $crate::DecodeError> {
                let value = Self {
                    $($field: $crate::codec::decode_part(&mut bytes).map_err(|e| e.within(stringify!($field)))?),+
                };
                $crate::codec::nothing_left(bytes).map(|()| value)
            }
            fn schema() -> String {
                $schema.into()
            }
            fn json(&self) -> serde_json::Value {
                self.shown()
            }
            fn magnitude(&self) -> f64 {
                self.size()
            }
        }
    };
}
pub(super) use sums_of_parts;

/// The width of parts in a row, if all have one.
pub(super) const fn width_of(parts: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0;
    let mut i = 0;
    while i < parts.len() {
        match parts[i] {
            Some(width) if width > 0 => sum += width,
            _ => return None,
        }
        i += 1;
    }
    Some(sum)
}

/// A result for JSON: no number where there is none.
pub(super) fn number(value: Option<f64>) -> serde_json::Value {
    value.map_or(serde_json::Value::Null, |v| crate::Codec::json(&v))
}
