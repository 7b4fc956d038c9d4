//! Encodings added to registers as they are read: a window over months of sketches is one pass over their bits.

use super::bytes::{DENSE, LIST, PACKED, form, rice_bits};
use super::hash::ItemHash;
use super::tokens::Tokens;
use super::{HyperLogLog, SLOT_BITS, State, Token, raise};
use crate::codec::{BitReader, DecodeError};

/// Packed tokens are read from so many sketches side by side: each one is a chain of dependent shifts, and two of them overlap.
const LANES: usize = 2;
/// Bits that are surely at hand after a refill.
const READY: u32 = 56;

/// Packed tokens that are being read.
struct Cursor<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in `bits`.
    at: usize,
    bits: u64,
    /// How many of `bits` count; what is above them is what comes next.
    ready: u32,
    /// Tokens that are left.
    left: usize,
    k: u32,
    /// The least slot of the next token.
    next: u64,
}

impl Cursor<'_> {
    /// So many tokens can be read before a look at the ends: each takes at most 7 bytes.
    #[inline(always)]
    fn sure(&self) -> usize {
        self.left.min(self.bytes.len().saturating_sub(self.at + 8) / 7)
    }

    /// Makes at least 56 bits ready; `None`: there are not so many.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        let (word, _) = self.bytes.get(self.at..)?.split_first_chunk::<8>()?;
        self.bits |= u64::from_le_bytes(*word) << self.ready;
        self.at += ((63 - self.ready) >> 3) as usize;
        self.ready |= READY;
        Some(())
    }

    /// The next token; `None`: it is longer than what is ready, or wrong, and nothing was taken.
    #[inline(always)]
    fn ready(&mut self, highest: u8) -> Option<Token> {
        let high = self.bits.trailing_zeros();
        // Not a shift by 64, which is none.
        let behind = self.bits >> (high & 63) >> 1;
        let low = behind & ((1 << self.k) - 1);
        let tail = behind >> self.k;
        let zeros = tail.trailing_zeros();
        let taken = high + 1 + self.k + zeros + 1;
        let slot = self.next.wrapping_add(u64::from(high) << self.k | low);
        if (taken > self.ready) | (slot >> SLOT_BITS != 0) | (zeros >= u32::from(highest)) {
            return None;
        }
        self.bits = tail >> zeros >> 1;
        self.ready -= taken;
        self.left -= 1;
        self.next = slot + 1;
        Some(Token::new(slot as u32, zeros as u8 + 1))
    }

    /// The same, of what can be made ready.
    #[inline(always)]
    fn next(&mut self, highest: u8) -> Option<Token> {
        self.refill()?;
        self.ready(highest)
    }

    /// Two tokens, which are mostly ready together.
    #[inline(always)]
    fn pair(&mut self, highest: u8, registers: &mut [u8]) -> Option<()> {
        raise(registers, self.next(highest)?);
        let second = match self.ready(highest) {
            Some(token) => token,
            None => self.next(highest)?,
        };
        raise(registers, second);
        Some(())
    }

    /// Reads what is left, to the end, with all checks.
    fn finish<const P: u8, H: ItemHash>(mut self, registers: &mut [u8]) -> Result<(), DecodeError> {
        while self.sure() > 0
            && let Some(token) = self.next(H::MAX_RANK)
        {
            raise(registers, token);
        }
        let taken = self.at * 8 - self.ready as usize;
        let mut bits = BitReader::new(self.bytes.get(taken / 8..).unwrap_or_default());
        bits.take(taken as u32 % 8)?;
        let mut reader = HyperLogLog::<P, H>::packed(bits, self.left, self.k, self.next);
        while let Some(token) = reader.next::<H>()? {
            raise(registers, token);
        }
        Ok(())
    }
}

/// Reads the tokens of sketches side by side, as far as all of them go. Nearly all that it does is to shift by what it just read:
/// processors with BMI do so in half the instructions.
#[multiversion::multiversion(targets("x86_64+bmi1+bmi2+lzcnt"))]
fn side_by_side(cursors: &mut [Cursor<'_>; LANES], highest: u8, registers: &mut [u8]) {
    loop {
        let pairs = cursors.iter().map(Cursor::sure).min().unwrap_or(0) / 2;
        if pairs == 0 {
            return;
        }
        for _ in 0..pairs {
            for cursor in cursors.iter_mut() {
                if cursor.pair(highest, registers).is_none() {
                    return;
                }
            }
        }
    }
}

/// Adds encodings to registers.
fn add_registers<const P: u8, H: ItemHash>(registers: &mut [u8], parts: &[&[u8]]) -> Result<(), DecodeError> {
    let mut waiting: Vec<Cursor<'_>> = Vec::with_capacity(LANES);
    for part in parts {
        let (mode, rest) = form::<H>().split(part)?;
        match mode {
            DENSE => {
                let theirs = HyperLogLog::<P, H>::decode_registers(rest)?;
                registers.iter_mut().zip(theirs).for_each(|(a, b)| *a = (*a).max(b));
            }
            PACKED => {
                let (left, bytes) = HyperLogLog::<P, H>::count(rest)?;
                waiting.push(Cursor {
                    bytes,
                    at: 0,
                    bits: 0,
                    ready: 0,
                    left,
                    k: rice_bits(left),
                    next: 0,
                });
                if let Ok(cursors) = <&mut [_; LANES]>::try_from(waiting.as_mut_slice()) {
                    side_by_side(cursors, H::MAX_RANK, registers);
                    for cursor in waiting.drain(..) {
                        cursor.finish::<P, H>(registers)?;
                    }
                }
            }
            LIST => {
                let (_, mut reader) = HyperLogLog::<P, H>::reader(LIST, rest)?;
                while let Some(token) = reader.next::<H>()? {
                    raise(registers, token);
                }
            }
            other => return Err(form::<H>().unknown_mode(other)),
        }
    }
    for cursor in waiting {
        cursor.finish::<P, H>(registers)?;
    }
    Ok(())
}

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    /// The registers of a sparse sketch and of parts, if the sum surely has registers: each of a slot at least, so that with more of them
    /// than a sparse sketch has tokens there are more slots, too. Nothing is sorted to find that out.
    fn surely_dense(tokens: &Tokens, parts: &[&[u8]]) -> Result<Option<Box<[u8]>>, DecodeError> {
        let (mut most, mut dense) = (tokens.len(), false);
        for part in parts {
            let (mode, rest) = form::<H>().split(part)?;
            match mode {
                DENSE => dense = true,
                PACKED => most += Self::count(rest)?.0,
                _ => most += rest.len() / 4,
            }
        }
        if most <= Self::MAX_TOKENS && !dense {
            return Ok(None);
        }
        let mut registers = vec![0; Self::REGISTERS].into_boxed_slice();
        tokens.for_each(|t| raise(&mut registers, t));
        add_registers::<P, H>(&mut registers, parts)?;
        let set = registers.iter().filter(|r| **r > 0).count();
        Ok((dense || set > Self::MAX_TOKENS).then_some(registers))
    }
}

/// A [`Codec::ADD_ALL`](crate::Codec::ADD_ALL), of sums that are dense.
pub(super) fn add_all<const P: u8, H: ItemHash>(
    sum: &mut HyperLogLog<P, H>,
    parts: &[&[u8]],
) -> Result<bool, DecodeError> {
    match &mut sum.state {
        State::Dense(registers) => add_registers::<P, H>(registers, parts)?,
        State::Sparse(tokens) => match HyperLogLog::<P, H>::surely_dense(tokens, parts)? {
            Some(registers) => sum.state = State::Dense(registers),
            None => return Ok(false),
        },
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::Hll;
    use super::*;
    use crate::codec::{Codec, sum_bytes};
    use crate::semigroup::{Monoid, Semigroup};

    fn sketch<const P: u8>(seed: u64, n: u64) -> Hll<P> {
        let mut sketch = Hll::<P>::zero();
        (0..n).for_each(|i| sketch.insert(&(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i * i * 7919 + i))));
        sketch
    }

    fn sizes(seed: u64) -> u64 {
        [0, 1, 15, 16, 17, 18, 40, 100, 600, 700, 767, 768, 769, 2_000, 20_000][(seed as usize * 7) % 15]
    }

    /// The sum of encodings is the encoding of the sum, whatever comes beside what.
    #[test]
    fn as_decoded() {
        fn check<const P: u8>() {
            for len in [5, 63, 64, 65, 130, 200] {
                let sketches: Vec<Hll<P>> = (0..len).map(|i| sketch(i, sizes(i))).collect();
                let mut sum = Hll::<P>::zero();
                sketches.iter().for_each(|s| sum.combine(s));
                let bytes: Vec<Vec<u8>> = sketches.iter().map(Codec::to_bytes).collect();
                let mut out = Vec::new();
                assert_eq!(
                    sum_bytes::<Hll<P>>(&mut bytes.iter().map(Vec::as_slice), &mut out),
                    Ok(true)
                );
                assert_eq!(out, sum.to_bytes());
            }
        }
        check::<4>();
        check::<12>();
        check::<14>();
    }

    /// Sums of sparse sketches are dense exactly where they have more tokens than a sparse one may, however often each of them comes; and a
    /// sketch to which nothing could be added is as it was.
    #[test]
    fn sums_of_sparse_sketches_are_canonical() {
        let tokens = |n: u64, from: u64| {
            let mut sketch = Hll::<12>::zero();
            (from..from + n).for_each(|i| sketch.insert(&i));
            sketch
        };
        let most = Hll::<12>::MAX_TOKENS as u64;
        for (n, again) in [(most, 9), (most - 1, 40), (most / 2, 3), (10, 200), (most + 1, 2)] {
            for more in [0, 1, 2, most / 2, most] {
                let parts: Vec<Hll<12>> = (0..again).map(|_| tokens(n, 0)).chain([tokens(more, n)]).collect();
                let encoded: Vec<Vec<u8>> = parts.iter().map(Codec::to_bytes).collect();
                let encoded: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
                let mut out = Vec::new();
                assert_eq!(sum_bytes::<Hll<12>>(&mut encoded.iter().copied(), &mut out), Ok(true));
                assert_eq!(
                    out,
                    tokens(n + more, 0).to_bytes(),
                    "{n} tokens {again} times, and {more}"
                );

                let mut sum = parts[0].clone();
                let added = add_all(&mut sum, &encoded[1..]).unwrap();
                let expected = if added { tokens(n + more, 0) } else { parts[0].clone() };
                assert_eq!(sum, expected);
                assert!(added || n + more < 2 * most, "found by its registers");
            }
        }
    }

    /// Every single changed bit, and every cut: refused where decoding refuses, the same sum where it does not.
    #[test]
    fn damage_is_found_as_when_decoded() {
        const TOKENS: u64 = 120;
        let dense = sketch::<12>(1, 20_000);
        let whole = sketch::<12>(2, TOKENS).to_bytes();
        let other = sketch::<12>(3, 600).to_bytes();
        let check = |bytes: &[u8]| {
            let plain = Hll::<12>::decode(bytes).map(|s| {
                let mut sum = dense.clone();
                sum.combine(&s);
                sum
            });
            let mut alone = dense.clone();
            let said = add_all(&mut alone, &[bytes]);
            assert_eq!(said.as_ref().err(), plain.as_ref().err());
            for parts in [[bytes, &other], [&other[..], bytes]] {
                let mut sum = dense.clone();
                let said = add_all(&mut sum, &parts);
                assert_eq!(said.is_ok(), plain.is_ok());
            }
            if let Ok(plain) = plain {
                assert_eq!(alone, plain);
            }
            // The same of a sparse sum, which becomes dense by its parts.
            let third = sketch::<12>(4, 700);
            for parts in [[bytes, &other], [&other[..], bytes]] {
                let found = sum_bytes::<Hll<12>>(
                    &mut [&third.to_bytes()[..], parts[0], parts[1], &other, &other].into_iter(),
                    &mut Vec::new(),
                );
                assert_eq!(found.err(), Hll::<12>::decode(bytes).err());
            }
        };
        check(&whole);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes);
        }
        for len in 0..whole.len() {
            check(&whole[..len]);
        }
        check(&[whole.as_slice(), &[0]].concat());
    }
}
