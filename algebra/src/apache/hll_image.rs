//! HyperLogLog images of Apache DataSketches, written and read without the library.
//!
//! [`to_image`] writes what the library itself would for the same items, merged: coupons while they are few, then
//! `HLL_8` registers marked as out of order, so that every reader uses the composite estimate, which is a function of
//! the registers, and none the running one, which is not. [`from_image`] reads all of `HLL_4`, `HLL_6`, `HLL_8`, lists
//! and sets of coupons, compact or not.
//!
//! ```
//! use rufous_algebra::apache::hll_image::{Content, from_image, to_image};
//! let tokens = vec![3 << 6 | 2, 9 << 6 | 1];
//! let image = to_image(12, Content::Tokens((&tokens).into()));
//! assert_eq!(from_image(&image).unwrap(), (12, Content::Tokens(tokens.into())));
//! ```

use std::borrow::Cow;

use crate::codec::{DecodeError, take};

const RANK_BITS: u32 = 6;
const SLOT_BITS: u32 = 26;
const MAX_RANK: u8 = 63;

const FAMILY: u8 = 7;
const EMPTY: u8 = 4;
const COMPACT: u8 = 8;
const OUT_OF_ORDER: u8 = 16;

const LIST: u8 = 0;
const SET: u8 = 1;
const REGISTERS: u8 = 2;
const HLL_4: u8 = 0;
const HLL_6: u8 = 1;
const HLL_8: u8 = 2;
/// A list of coupons is full with eight.
const LIST_MOST: usize = 7;
/// The smallest set has this many places, as a power of two.
const LG_SET: u8 = 5;
/// The nibble of an exception.
const EXCEPTION: u8 = 15;

/// What a HyperLogLog has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// `slot << 6 | rank`, ascending, one a slot, the highest rank.
    Tokens(Cow<'a, [u32]>),
    /// `2^lg_k` ranks, the highest among the slots that are equal modulo `2^lg_k`.
    Registers(Cow<'a, [u8]>),
}

fn raise(registers: &mut [u8], slot: u32, rank: u8) {
    let mask = registers.len() - 1;
    let register = &mut registers[slot as usize & mask];
    *register = rank.max(*register);
}

/// So many coupons stay coupons in a sketch of this size.
fn most_coupons(lg_k: u8) -> usize {
    if lg_k < 8 { LIST_MOST } else { 3 << (lg_k - 5) }
}

/// The image of a sketch with `2^lg_k` registers, `lg_k` from 4 to 21.
pub fn to_image(lg_k: u8, content: Content<'_>) -> Vec<u8> {
    match content {
        Content::Registers(registers) => registers_image(lg_k, &registers),
        Content::Tokens(tokens) if tokens.len() > most_coupons(lg_k) => {
            let mut registers = vec![0; 1 << lg_k];
            for token in &*tokens {
                raise(&mut registers, token >> RANK_BITS, *token as u8 & MAX_RANK);
            }
            registers_image(lg_k, &registers)
        }
        Content::Tokens(tokens) => {
            let n = tokens.len();
            let kind = HLL_8 << 2;
            let mut out = if n <= LIST_MOST {
                let flags = if n == 0 { COMPACT | EMPTY } else { COMPACT };
                vec![2, 1, FAMILY, lg_k, 3, flags, n as u8, kind | LIST]
            } else {
                // At most three quarters of the places are taken.
                let lg_places = (LG_SET..).find(|lg| 4 * n <= 3 << lg).unwrap_or(LG_SET);
                let mut head = vec![3, 1, FAMILY, lg_k, lg_places, COMPACT, 0, kind | SET];
                head.extend_from_slice(&(n as u32).to_le_bytes());
                head
            };
            for token in &*tokens {
                out.extend_from_slice(&token.rotate_right(RANK_BITS).to_le_bytes());
            }
            out
        }
    }
}

fn registers_image(lg_k: u8, registers: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + registers.len());
    out.extend_from_slice(&[10, 1, FAMILY, lg_k, 0, OUT_OF_ORDER, 0, HLL_8 << 2 | REGISTERS]);
    // The running estimate: none. Sums of 2^-rank below rank 32 and from it on: both are exact, in any order.
    let (mut low, mut high, mut zeros) = (0.0f64, 0.0f64, 0u32);
    for rank in registers {
        let share = f64::from_bits((1023 - u64::from(rank & MAX_RANK)) << 52);
        if *rank < 32 {
            low += share;
        } else {
            high += share;
        }
        zeros += u32::from(*rank == 0);
    }
    for number in [0.0, low, high] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&zeros.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(registers);
    out
}

fn wrong(what: &str) -> DecodeError {
    DecodeError::new(format!("hll image: {what}"))
}

fn word(bytes: &mut &[u8]) -> Result<u32, DecodeError> {
    let word = take(bytes, 4)?;
    Ok(word.iter().rev().fold(0, |word, b| word << 8 | u32::from(*b)))
}

/// The logarithm of the number of registers, and what the image holds; coupons as tokens.
///
/// # Errors
/// When it is no such image.
pub fn from_image(image: &[u8]) -> Result<(u8, Content<'static>), DecodeError> {
    let (head, mut rest) = image.split_first_chunk::<8>().ok_or_else(|| wrong("cut short"))?;
    let [ints, version, family, lg_k, lg_places, flags, state, mode] = *head;
    if version != 1 || family != FAMILY {
        return Err(wrong("of another family or version"));
    }
    if !(4..=21).contains(&lg_k) {
        return Err(wrong("of an impossible size"));
    }
    let (kind, compact) = (mode >> 2 & 3, flags & COMPACT != 0);
    let content = match (mode & 3, ints) {
        (LIST, 2) => {
            let n = usize::from(state);
            if n > 8 || (n == 0) != (flags & EMPTY != 0) {
                return Err(wrong("of an impossible list"));
            }
            // Empty lists end here, and others may have unused places.
            let places = if compact || n == 0 { n } else { 8 };
            coupons(take(&mut rest, 4 * places)?, n)?
        }
        (SET, 3) => {
            let n = word(&mut rest)? as usize;
            let places = if compact {
                n
            } else {
                1 << lg_places.min(SLOT_BITS as u8)
            };
            if places > rest.len() / 4 {
                return Err(wrong("cut short"));
            }
            coupons(take(&mut rest, 4 * places)?, n)?
        }
        (REGISTERS, 10) => {
            take(&mut rest, 3 * 8)?;
            take(&mut rest, 4)?;
            let exceptions = word(&mut rest)?;
            let registers = match kind {
                HLL_8 => take(&mut rest, 1 << lg_k)?.to_vec(),
                HLL_6 => six(take(&mut rest, (3 << lg_k) / 4)?, 1 << lg_k)?,
                HLL_4 => {
                    let nibbles = take(&mut rest, 1 << (lg_k - 1))?;
                    let places = match (compact, exceptions) {
                        (true, n) => n as usize,
                        (false, 0) => 0,
                        (false, _) => 1 << lg_places.min(SLOT_BITS as u8),
                    };
                    if places > rest.len() / 4 {
                        return Err(wrong("cut short"));
                    }
                    four(nibbles, state, take(&mut rest, 4 * places)?, exceptions)?
                }
                _ => return Err(wrong("of an unknown kind")),
            };
            if registers.iter().any(|rank| *rank > MAX_RANK) {
                return Err(wrong("a rank is out of range"));
            }
            Content::Registers(registers.into())
        }
        _ => return Err(wrong("of an unknown mode")),
    };
    Ok((lg_k, content))
}

/// `n` coupons among places that may be empty.
fn coupons(mut bytes: &[u8], n: usize) -> Result<Content<'static>, DecodeError> {
    let mut tokens = Vec::with_capacity(n.min(bytes.len() / 4));
    while !bytes.is_empty() {
        let coupon = word(&mut bytes)?;
        if coupon == 0 {
            continue;
        }
        if coupon >> SLOT_BITS == 0 {
            return Err(wrong("a rank is out of range"));
        }
        tokens.push(coupon.rotate_left(RANK_BITS));
    }
    if tokens.len() != n {
        return Err(wrong("not as many coupons as it says"));
    }
    // Descending: of one slot, the highest rank comes first and stays. The library may keep both.
    tokens.sort_unstable_by(|a, b| b.cmp(a));
    tokens.dedup_by_key(|token| *token >> RANK_BITS);
    tokens.reverse();
    Ok(Content::Tokens(tokens.into()))
}

/// Registers of six bits, little-endian.
fn six(packed: &[u8], n: usize) -> Result<Vec<u8>, DecodeError> {
    let mut registers = Vec::with_capacity(n);
    for three in packed.chunks_exact(3) {
        let bits = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        registers.extend((0..4).map(|i| (bits >> (6 * i)) as u8 & MAX_RANK));
    }
    Ok(registers)
}

/// Registers of four bits above `least`; those that do not fit are exceptions.
fn four(nibbles: &[u8], least: u8, mut exceptions: &[u8], count: u32) -> Result<Vec<u8>, DecodeError> {
    let nibbles = nibbles.iter().flat_map(|two| [two & 15, two >> 4]);
    let mut registers: Vec<u8> = nibbles
        .map(|nibble| {
            if nibble == EXCEPTION {
                u8::MAX
            } else {
                least.saturating_add(nibble)
            }
        })
        .collect();
    let mut found = 0;
    while !exceptions.is_empty() {
        let coupon = word(&mut exceptions)?;
        if coupon == 0 {
            continue;
        }
        let slot = coupon as usize & (registers.len() - 1);
        // One that is no exception, or was named before, has a rank already.
        if registers[slot] != u8::MAX {
            return Err(wrong("an exception that is none"));
        }
        registers[slot] = (coupon >> SLOT_BITS) as u8;
        found += 1;
    }
    if found != count {
        return Err(wrong("not as many exceptions as it says"));
    }
    Ok(registers)
}
