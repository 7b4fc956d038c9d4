//! Compact images of Theta and Tuple sketches, serial version 3: 8 to 24 bytes of head, then each hash with its value.

use super::keys::{Keys, MAX_THETA};
use crate::codec::{Codec, DecodeError, take};
use crate::murmur::{SEED, murmur3_x64_128};
use crate::semigroup::Semigroup;

const COMPACT: u8 = 2 | 8;
const EMPTY: u8 = 4;
const ORDERED: u8 = 16;

/// The families by their number in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Theta,
    Tuple,
}

/// What tells sketches of different seeds apart.
pub(super) fn seed_hash() -> u16 {
    murmur3_x64_128(&SEED.to_le_bytes(), 0)[0] as u16
}

/// Appends the compact, ordered image (serial version 3) of settled keys; `value` appends a value.
pub(super) fn write<S: Semigroup>(keys: &Keys<S>, family: Family, value: impl Fn(&S, &mut Vec<u8>), out: &mut Vec<u8>) {
    let (number, kind) = match family {
        Family::Theta => (3, 0),
        Family::Tuple => (9, 1),
    };
    if keys.is_zero() {
        // The seed of an empty sketch does not matter: any may merge with it.
        out.extend_from_slice(&[1, 3, number, kind, 0, COMPACT | EMPTY | ORDERED, 0, 0]);
        return;
    }
    let longs = match keys.len() {
        _ if keys.theta < MAX_THETA => 3,
        1 => 1,
        _ => 2,
    };
    out.extend_from_slice(&[longs, 3, number, kind, 0, COMPACT | ORDERED]);
    out.extend_from_slice(&seed_hash().to_le_bytes());
    if longs > 1 {
        out.extend_from_slice(&(keys.len() as u64).to_le_bytes());
    }
    if longs > 2 {
        out.extend_from_slice(&keys.theta.to_le_bytes());
    }
    out.reserve(keys.len() * (8 + size_of::<S>()));
    for (hash, summed) in keys.entries() {
        out.extend_from_slice(&hash.to_le_bytes());
        value(summed, out);
    }
}

/// Reads a compact image of serial version 3 whose values have `width` bytes; `strictly`: only what [`write`] writes of
/// keys that are not zero.
pub(super) fn read<S: Semigroup>(
    image: &[u8],
    family: Family,
    width: usize,
    value: impl Fn(&[u8]) -> Result<S, DecodeError>,
    k: usize,
    strictly: bool,
) -> Result<Keys<S>, DecodeError> {
    let wrong = |what: &str| DecodeError::new(format!("{family:?} image: {what}"));
    let (head, mut rest) = image.split_first_chunk::<8>().ok_or_else(|| wrong("cut short"))?;
    let [longs, version, number, kind, unused, flags, seed @ ..] = *head;
    let right = match family {
        Family::Theta => number == 3,
        // Java's older images have another number for the kind.
        Family::Tuple => number == 9 && matches!(kind, 1 | 5),
    };
    if !right || !(version == 3 || family == Family::Tuple && version == 1) {
        return Err(wrong("of another family or version"));
    }
    let canonical = (3, u8::from(family == Family::Tuple), 0, COMPACT | ORDERED);
    if strictly && (version, kind, unused, flags) != canonical {
        return Err(wrong("its head is not the canonical one"));
    }
    if flags & EMPTY != 0 {
        return Ok(Keys::default());
    }
    if seed != seed_hash().to_le_bytes() {
        return Err(wrong("of another seed"));
    }
    let mut long = || -> Result<u64, DecodeError> { u64::decode(take(&mut rest, 8)?) };
    let (count, theta) = match longs {
        1 => (1, MAX_THETA),
        2 => (long()?, MAX_THETA),
        3 => (long()?, long()?),
        _ => return Err(wrong("of an unknown preamble")),
    };
    let longest = match count {
        _ if theta < MAX_THETA => 3,
        1 => 1,
        _ => 2,
    };
    if strictly && (longs != longest || count == 0 && longs == 2) {
        return Err(wrong("its preamble is not the canonical one"));
    }
    // The upper half is unused; the length below shows what is set there in a canonical image.
    let count = if strictly { count } else { count & u64::from(u32::MAX) };
    if theta == 0 || theta > MAX_THETA {
        return Err(wrong("theta is out of range"));
    }
    let whole = usize::try_from(count).ok().and_then(|n| n.checked_mul(8 + width));
    if whole != Some(rest.len()) {
        return Err(wrong("its length is not that of its entries"));
    }
    let entry = |bytes: &[u8]| -> Result<(u64, S), DecodeError> {
        let (hash, bytes) = bytes.split_at(8);
        let hash = u64::decode(hash)?;
        if hash == 0 || hash >= theta {
            return Err(wrong("a hash is out of range"));
        }
        Ok((hash, value(bytes)?))
    };
    let mut entries = Vec::with_capacity(rest.len() / (8 + width));
    for bytes in rest.chunks_exact(8 + width) {
        entries.push(entry(bytes)?);
    }
    if strictly {
        return Keys::of_sorted(theta, entries, k).ok_or_else(|| wrong("its hashes do not ascend or are too many"));
    }
    Ok(Keys::of(theta, entries, k))
}
