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

use super::hash::ItemHash;
use super::{HyperLogLog, SLOT_BITS, State, Token};
use crate::codec::{BitReader, BitWriter, Codec, DecodeError, Form, Merge, merge_decoded, put_varint, take_varint};

const LIST: u8 = 0;
const PACKED: u8 = 1;
const DENSE: u8 = 2;

/// With more tokens than this, packed ones are shorter by enough to be worth the time.
const MAX_LIST: usize = 16;

const fn form<H: ItemHash>() -> Form {
    Form::new("hll", 1, H::ID)
}

impl<const P: u8, H: ItemHash> Codec for HyperLogLog<P, H> {
    const MERGE: Option<Merge> = Some(merge::<P, H>);

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.state {
            State::Sparse(tokens) => encode_tokens::<H>(tokens, out),
            State::Dense(registers) => {
                out.push(form::<H>().byte(DENSE));
                pack(registers, out);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, rest) = form::<H>().split(bytes)?;
        let state = match mode {
            LIST => State::Sparse(Self::decode_list(rest)?),
            PACKED => State::Sparse(Self::decode_packed(rest)?),
            DENSE => State::Dense(Self::decode_registers(rest)?),
            mode => return Err(form::<H>().unknown_mode(mode)),
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
fn rice_bits(n: usize) -> u32 {
    // 2^26 ln 2
    (46_516_319 / n.max(1)).max(1).ilog2()
}

/// Reads a token whose slot is not below `next`.
fn check_token<H: ItemHash>(token: Token, next: u32) -> Result<Token, DecodeError> {
    if token.rank() == 0 || token.rank() > H::MAX_RANK {
        return Err(DecodeError::new(format!(
            "hll token with rank {}: from 1 to {}",
            token.rank(),
            H::MAX_RANK
        )));
    }
    if token.slot() < next {
        return Err(DecodeError::new("hll tokens do not ascend"));
    }
    Ok(token)
}

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    /// The most tokens that stand in a list.
    const LIST_TOKENS: usize = if Self::MAX_TOKENS < MAX_LIST {
        Self::MAX_TOKENS
    } else {
        MAX_LIST
    };

    fn decode_list(bytes: &[u8]) -> Result<Vec<Token>, DecodeError> {
        let raw = form::<H>().list::<u32>(bytes)?;
        if raw.len() > Self::LIST_TOKENS {
            return Err(DecodeError::new(format!(
                "{} tokens in an hll list: at most {}",
                raw.len(),
                Self::LIST_TOKENS
            )));
        }
        let mut tokens = Vec::with_capacity(raw.len());
        let mut next = 0;
        for token in raw {
            let token = check_token::<H>(Token(token?), next)?;
            next = token.slot() + 1;
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn decode_packed(mut bytes: &[u8]) -> Result<Vec<Token>, DecodeError> {
        let count = take_varint(&mut bytes)?;
        let n = usize::try_from(count).unwrap_or(usize::MAX);
        if n <= MAX_LIST || n > Self::MAX_TOKENS {
            return Err(DecodeError::new(format!(
                "{count} packed hll tokens: from {} to {}",
                MAX_LIST + 1,
                Self::MAX_TOKENS
            )));
        }
        let k = rice_bits(n);
        // The count is only a claim: no more memory than the bits can fill.
        let mut tokens = Vec::with_capacity(n.min(bytes.len() * 8 / (k as usize + 2)));
        let mut bits = BitReader::new(bytes);
        let mut next = 0u64;
        for _ in 0..n {
            let slot = next.saturating_add(bits.take_rice(k)?);
            let rank = bits.take_unary()? + 1;
            if slot >> SLOT_BITS != 0 || rank > u64::from(H::MAX_RANK) {
                return Err(DecodeError::new(format!("hll token of slot {slot} and rank {rank}")));
            }
            tokens.push(Token::new(slot as u32, rank as u8));
            next = slot + 1;
        }
        bits.finish()?;
        Ok(tokens)
    }

    fn decode_registers(bytes: &[u8]) -> Result<Box<[u8]>, DecodeError> {
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

/// Most sketches of a store are lists: those are merged as they are, without a vector each.
fn merge<const P: u8, H: ItemHash>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let list = form::<H>().byte(LIST);
    let most = 4 * HyperLogLog::<P, H>::LIST_TOKENS;
    let (mut x, mut y) = match (a.split_first(), b.split_first()) {
        (Some((a, x)), Some((b, y))) if *a == list && *b == list && x.len() <= most && y.len() <= most => (x, y),
        _ => return merge_decoded::<HyperLogLog<P, H>>(a, b, out),
    };
    let mut merged = [Token(0); 2 * MAX_LIST];
    let mut n = 0;
    let mut mine = front::<H>(&mut x, 0)?;
    let mut theirs = front::<H>(&mut y, 0)?;
    while let (Some(m), Some(t)) = (mine, theirs) {
        merged[n] = if m.slot() == t.slot() { m.max(t) } else { m.min(t) };
        n += 1;
        if m.slot() <= t.slot() {
            mine = front::<H>(&mut x, m.slot() + 1)?;
        }
        if t.slot() <= m.slot() {
            theirs = front::<H>(&mut y, t.slot() + 1)?;
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
        last = front::<H>(rest, token.slot() + 1)?;
    }
    if n > HyperLogLog::<P, H>::MAX_TOKENS {
        return merge_decoded::<HyperLogLog<P, H>>(a, b, out);
    }
    encode_tokens::<H>(&merged[..n], out);
    Ok(())
}

/// Takes the first token of a list, whose slot is not below `next`.
#[inline]
fn front<H: ItemHash>(bytes: &mut &[u8], next: u32) -> Result<Option<Token>, DecodeError> {
    match bytes.split_first_chunk::<4>() {
        Some((token, rest)) => {
            *bytes = rest;
            check_token::<H>(Token(u32::from_le_bytes(*token)), next).map(Some)
        }
        None if bytes.is_empty() => Ok(None),
        None => Err(DecodeError::new("an hll token is cut short")),
    }
}
