//! The bytes of a HyperLogLog: a [`Form`] byte, then
//!
//! | mode | when | follows |
//! |---|---|---|
//! | 0 list | at most 16 tokens | the tokens, ascending, 4 bytes each: `slot << 6 \| rank` |
//! | 1 packed | at most `3/16 * 2^P` tokens | LEB128 count `n`; then in bits, for each token: its slot less the one before and 1 (of the first: its slot) as a Rice code with `k = floor(log2(2^26 ln 2 / n))`, and `rank - 1` in unary |
//! | 2 dense | more | `2^P` registers of 6 bits |
//!
//! One item takes 5 bytes, 10 take 41, 100 about 285: slots are uniform, so the gaps between them are geometric, for which
//! Rice codes are within a few percent of the best there is (R. Rice, "Some practical universal noiseless coding
//! techniques", 1979).
//!
//! Of a quarter of the registers, `q = 2^P / 4`, three planes of `q` bytes are made: byte `i` of plane `j` has register
//! `i + j q` in its low 6 bits, and above them bits `2 j` and `2 j + 1` of register `i + 3 q`. So packing and unpacking is the
//! same for neighbouring bytes, and compiles to SIMD.
//!
//! The precision is part of the type, hence of the schema text that stores keep; the length of a dense state would betray a
//! mix-up as well. Decoding accepts only what encoding writes: tokens ascend, one a slot, ranks in range, not more of them
//! than the mode is for, and registers that so many tokens can have left.

use serde_json::{Value, json};

use super::add::add_all;
use super::hash::ItemHash;
use super::tokens::{Tokens, merge_sorted};
use super::{HyperLogLog, SLOT_BITS, State, Token};
use crate::codec::{
    AddAll, BitReader, BitWriter, Codec, DecodeError, Form, Merge, merge_decoded, put_varint, take_varint,
};

pub(super) const LIST: u8 = 0;
pub(super) const PACKED: u8 = 1;
pub(super) const DENSE: u8 = 2;

/// With more tokens than this, packed ones are shorter by enough to be worth the time.
const MAX_LIST: usize = 16;

pub(super) const fn form<H: ItemHash>() -> Form {
    Form::new("hll", 1, H::ID)
}

impl<const P: u8, H: ItemHash> Codec for HyperLogLog<P, H> {
    const MERGE: Option<Merge> = Some(merge::<P, H>);
    const ADD_ALL: Option<AddAll<Self>> = Some(add_all::<P, H>);

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.state {
            State::Sparse(tokens) => encode_tokens::<H>(&tokens.to_vec(), out),
            State::Dense(registers) => {
                out.push(form::<H>().byte(DENSE));
                pack(registers, out);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, rest) = form::<H>().split(bytes)?;
        let state = match mode {
            DENSE => State::Dense(Self::decode_registers(rest)?),
            sparse => State::Sparse(Self::decode_tokens(sparse, rest)?),
        };
        Ok(Self::of(state))
    }

    fn schema() -> String {
        format!("hll/{P}/{}", H::NAME)
    }

    fn json(&self) -> Value {
        let e = self.estimate();
        json!({ "estimate": e.value.round(), "low": e.low.floor(), "high": e.high.ceil() })
    }

    fn magnitude(&self) -> f64 {
        self.estimate().value
    }
}

fn encode_tokens<H: ItemHash>(tokens: &[Token], out: &mut Vec<u8>) {
    if tokens.len() <= MAX_LIST {
        out.push(form::<H>().byte(LIST));
        out.reserve(4 * tokens.len());
        tokens.iter().for_each(|t| t.0.encode(out));
        return;
    }
    out.push(form::<H>().byte(PACKED));
    put_varint(tokens.len() as u64, out);
    let k = rice_bits(tokens.len());
    out.reserve(tokens.len() * (k as usize + 5) / 8);
    let mut bits = BitWriter::new(out);
    let mut next = 0;
    for token in tokens {
        bits.put_rice(u64::from(token.slot() - next), k);
        bits.put_unary(u64::from(token.rank()) - 1);
        next = token.slot() + 1;
    }
    bits.finish();
}

/// The low bits of a gap between two of `n` slots, so that the rest is 0 for about half of them.
pub(super) fn rice_bits(n: usize) -> u32 {
    // 2^26 ln 2
    (46_516_319 / n.max(1)).max(1).ilog2()
}

/// The tokens of a sparse sketch as they are read, checked: ascending, in range, and nothing behind the last.
pub(super) enum Reader<'a> {
    List {
        bytes: &'a [u8],
        next: u32,
    },
    Packed {
        bits: BitReader<'a>,
        left: usize,
        k: u32,
        next: u64,
    },
    Done,
}

fn rank_error(rank: u64, highest: u8) -> DecodeError {
    DecodeError::new(format!("hll token with rank {rank}: from 1 to {highest}"))
}

impl Reader<'_> {
    /// The next token; `None` behind the last.
    #[inline]
    pub(super) fn next<H: ItemHash>(&mut self) -> Result<Option<Token>, DecodeError> {
        match self {
            Self::List { bytes, next } => {
                let Some((token, rest)) = bytes.split_first_chunk::<4>() else {
                    return Ok(None);
                };
                let token = Token(u32::from_le_bytes(*token));
                if token.rank() == 0 || token.rank() > H::MAX_RANK {
                    return Err(rank_error(u64::from(token.rank()), H::MAX_RANK));
                }
                if token.slot() < *next {
                    return Err(DecodeError::new("hll tokens do not ascend"));
                }
                (*bytes, *next) = (rest, token.slot() + 1);
                Ok(Some(token))
            }
            Self::Packed { left: 0, .. } => {
                let Self::Packed { bits, .. } = std::mem::replace(self, Self::Done) else {
                    return Ok(None);
                };
                bits.finish().map(|()| None)
            }
            Self::Packed { bits, left, k, next } => {
                let slot = next.saturating_add(bits.take_rice(*k)?);
                let rank = bits.take_unary()? + 1;
                if slot >> SLOT_BITS != 0 {
                    return Err(DecodeError::new(format!("hll slot {slot}: below 2^{SLOT_BITS}")));
                }
                if rank > u64::from(H::MAX_RANK) {
                    return Err(rank_error(rank, H::MAX_RANK));
                }
                (*left, *next) = (*left - 1, slot + 1);
                Ok(Some(Token::new(slot as u32, rank as u8)))
            }
            Self::Done => Ok(None),
        }
    }
}

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    /// The most tokens that stand in a list.
    const LIST_TOKENS: usize = if Self::MAX_TOKENS < MAX_LIST {
        Self::MAX_TOKENS
    } else {
        MAX_LIST
    };

    /// How many tokens follow in these bytes of a mode, and what reads them.
    pub(super) fn reader(mode: u8, bytes: &[u8]) -> Result<(usize, Reader<'_>), DecodeError> {
        if mode == LIST {
            let n = bytes.len() / 4;
            if !bytes.len().is_multiple_of(4) || n > Self::LIST_TOKENS {
                let most = Self::LIST_TOKENS;
                return Err(DecodeError::new(format!(
                    "{} bytes of an hll list: 4 a token, at most {most} tokens",
                    bytes.len()
                )));
            }
            return Ok((n, Reader::List { bytes, next: 0 }));
        }
        if mode != PACKED {
            return Err(form::<H>().unknown_mode(mode));
        }
        let (n, bytes) = Self::count(bytes)?;
        Ok((n, Self::packed(BitReader::new(bytes), n, rice_bits(n), 0)))
    }

    /// How many packed tokens there are, and their bits.
    pub(super) fn count(mut bytes: &[u8]) -> Result<(usize, &[u8]), DecodeError> {
        let count = take_varint(&mut bytes)?;
        let n = usize::try_from(count).unwrap_or(usize::MAX);
        if n <= MAX_LIST || n > Self::MAX_TOKENS {
            return Err(DecodeError::new(format!(
                "{count} packed hll tokens: from {} to {}",
                MAX_LIST + 1,
                Self::MAX_TOKENS
            )));
        }
        // The count is only a claim: no more memory than the bits can fill.
        if bytes.len() * 8 < n * (rice_bits(n) as usize + 2) {
            return Err(DecodeError::new(format!("{n} packed hll tokens are cut short")));
        }
        Ok((n, bytes))
    }

    /// What reads so many packed tokens.
    pub(super) fn packed(bits: BitReader<'_>, left: usize, k: u32, next: u64) -> Reader<'_> {
        Reader::Packed { bits, left, k, next }
    }

    fn decode_tokens(mode: u8, bytes: &[u8]) -> Result<Tokens, DecodeError> {
        let (n, mut reader) = Self::reader(mode, bytes)?;
        let tokens = std::iter::from_fn(|| reader.next::<H>().transpose());
        Tokens::of_sorted(n, tokens)
    }

    fn decode_list(mode: u8, bytes: &[u8]) -> Result<Vec<Token>, DecodeError> {
        let (n, mut reader) = Self::reader(mode, bytes)?;
        let mut tokens = Vec::with_capacity(n);
        while let Some(token) = reader.next::<H>()? {
            tokens.push(token);
        }
        Ok(tokens)
    }

    pub(super) fn decode_registers(bytes: &[u8]) -> Result<Box<[u8]>, DecodeError> {
        if bytes.len() != Self::REGISTERS / 4 * 3 {
            return Err(DecodeError::new(format!(
                "{} bytes of hll registers, not {}",
                bytes.len(),
                Self::REGISTERS / 4 * 3
            )));
        }
        let registers = unpack(bytes);
        let highest = registers.iter().copied().fold(0, u8::max);
        if highest > H::MAX_RANK {
            return Err(DecodeError::new(format!(
                "hll register {highest}: from 0 to {}",
                H::MAX_RANK
            )));
        }
        // A sketch is dense because it saw more than MAX_TOKENS slots, and a register stands for 2^(26 - P) of them.
        let least = (Self::MAX_TOKENS >> (SLOT_BITS - u32::from(P))) + 1;
        if registers.iter().filter(|r| **r > 0).take(least).count() < least {
            return Err(DecodeError::new("dense hll with fewer items than a sparse one"));
        }
        Ok(registers)
    }
}

/// Four quarters of the registers, all of one length.
fn quarters(registers: &[u8]) -> [&[u8]; 4] {
    let n = registers.len() / 4;
    [0, 1, 2, 3].map(|i| &registers[i * n..(i + 1) * n])
}

fn pack(registers: &[u8], out: &mut Vec<u8>) {
    let [r0, r1, r2, r3] = quarters(registers);
    out.reserve(3 * r0.len());
    out.extend(r0.iter().zip(r3).map(|(r, last)| r | last << 6));
    out.extend(r1.iter().zip(r3).map(|(r, last)| r | last >> 2 << 6));
    out.extend(r2.iter().zip(r3).map(|(r, last)| r | last >> 4 << 6));
}

fn unpack(packed: &[u8]) -> Box<[u8]> {
    let n = packed.len() / 3;
    let [a, b, c] = [0, 1, 2].map(|j| &packed[j * n..(j + 1) * n]);
    let mut registers = Vec::with_capacity(4 * n);
    registers.extend(packed.iter().map(|byte| byte & 63));
    registers.extend(
        a.iter()
            .zip(b)
            .zip(c)
            .map(|((a, b), c)| a >> 6 | b >> 6 << 2 | c >> 6 << 4),
    );
    registers.into_boxed_slice()
}

/// Sparse sketches are merged as they are read. Most of a store are lists and stay lists: those need no vector each.
fn merge<const P: u8, H: ItemHash>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let ((a_mode, x), (b_mode, y)) = (form::<H>().split(a)?, form::<H>().split(b)?);
    if (a_mode, b_mode) == (LIST, LIST) {
        let (mut x, mut y) = (
            HyperLogLog::<P, H>::reader(LIST, x)?.1,
            HyperLogLog::<P, H>::reader(LIST, y)?.1,
        );
        let mut merged = [Token(0); 2 * MAX_LIST];
        let mut n = 0;
        let (mut mine, mut theirs) = (x.next::<H>()?, y.next::<H>()?);
        while let (Some(m), Some(t)) = (mine, theirs) {
            merged[n] = if m.slot() == t.slot() { m.max(t) } else { m.min(t) };
            n += 1;
            if m.slot() <= t.slot() {
                mine = x.next::<H>()?;
            }
            if t.slot() <= m.slot() {
                theirs = y.next::<H>()?;
            }
        }
        // At most one of the lists has more.
        let (mut last, rest) = if mine.is_some() {
            (mine, &mut x)
        } else {
            (theirs, &mut y)
        };
        while let Some(token) = last {
            merged[n] = token;
            n += 1;
            last = rest.next::<H>()?;
        }
        if n <= HyperLogLog::<P, H>::MAX_TOKENS {
            encode_tokens::<H>(&merged[..n], out);
            return Ok(());
        }
    } else if a_mode != DENSE && b_mode != DENSE {
        let (x, y) = (
            HyperLogLog::<P, H>::decode_list(a_mode, x)?,
            HyperLogLog::<P, H>::decode_list(b_mode, y)?,
        );
        let merged = merge_sorted(&x, &y);
        if merged.len() <= HyperLogLog::<P, H>::MAX_TOKENS {
            encode_tokens::<H>(&merged, out);
            return Ok(());
        }
    }
    merge_decoded::<HyperLogLog<P, H>>(a, b, out)
}
