//! The bytes of a HyperLogLog.
//!
//! One header byte `version:3 | mode:2 | hash:3` (version 1; hash 0 is XXH3-64 of [`HashBytes`](crate::HashBytes)), then
//!
//! | mode | follows | length |
//! |---|---|---|
//! | 3 empty | nothing | 1 |
//! | 2 one item | its token: `u32` little-endian, `slot << 6 \| rank` | 5 |
//! | 0 sparse | LEB128 count `n` (at least 2), then the tokens, ascending | 2 or 3 + 4 n |
//! | 1 dense | `2^P` registers of 6 bits, four in three bytes, little-endian | 1 + 3/4 * 2^P |
//!
//! The count makes a value know its own end, as [`Codec`] asks. Most keys have few items, so no item and one item are modes
//! of their own and need no count. The precision is part of the type, hence of the schema text that stores keep; the
//! length of a dense state would betray a mix-up as well.
//!
//! Decoding accepts only what encoding writes: tokens ascend, one a slot, ranks in range, not more of them than a sparse
//! state has, and registers that so many tokens can have left.

use serde_json::{Value, json};

use super::{Hll, MAX_RANK, RANK_BITS, SLOT_BITS, State, Token};
use crate::codec::{Codec, DecodeError, put_varint, take, take_varint};

const VERSION: u8 = 1;
const HASH_XXH3: u8 = 0;
const SPARSE: u8 = 0;
const DENSE: u8 = 1;
const ONE: u8 = 2;
const EMPTY: u8 = 3;

const fn header(mode: u8) -> u8 {
    VERSION << 5 | mode << 3 | HASH_XXH3
}

fn put_token(token: Token, out: &mut Vec<u8>) {
    token.0.encode(out);
}

/// Takes a token whose slot is above that of the one `before`.
fn take_token(bytes: &mut &[u8], before: Option<Token>) -> Result<Token, DecodeError> {
    let token = Token(u32::decode(bytes)?);
    if token.rank() == 0 || token.rank() > MAX_RANK {
        return Err(DecodeError::new(format!(
            "hll token with rank {}: from 1 to {MAX_RANK}",
            token.rank()
        )));
    }
    if before.is_some_and(|b| token.slot() <= b.slot()) {
        return Err(DecodeError::new("hll tokens do not ascend"));
    }
    Ok(token)
}

impl<const P: u8> Codec for Hll<P> {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.state {
            State::Sparse(tokens) => match tokens.as_slice() {
                [] => out.push(header(EMPTY)),
                [token] => {
                    out.push(header(ONE));
                    put_token(*token, out);
                }
                tokens => {
                    out.reserve(4 + 4 * tokens.len());
                    out.push(header(SPARSE));
                    put_varint(tokens.len() as u64, out);
                    tokens.iter().for_each(|t| put_token(*t, out));
                }
            },
            State::Dense(registers) => {
                out.reserve(1 + registers.len() / 4 * 3);
                out.push(header(DENSE));
                for four in registers.chunks_exact(4) {
                    let bits = four
                        .iter()
                        .rev()
                        .fold(0u32, |bits, r| bits << RANK_BITS | u32::from(*r));
                    out.extend_from_slice(&bits.to_le_bytes()[..3]);
                }
            }
        }
    }

    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let head = u8::decode(bytes)?;
        let state = match head {
            h if h == header(EMPTY) => State::Sparse(Vec::new()),
            h if h == header(ONE) => State::Sparse(vec![take_token(bytes, None)?]),
            h if h == header(SPARSE) => State::Sparse(Self::decode_tokens(bytes)?),
            h if h == header(DENSE) => State::Dense(Self::decode_registers(bytes)?),
            other => return Err(DecodeError::new(format!("hll header {other:#04x} is unknown"))),
        };
        Ok(Self { state })
    }

    fn schema() -> String {
        format!("hll/{P}/xxh3")
    }

    fn json(&self) -> Value {
        let e = self.estimate();
        json!({ "estimate": e.value.round(), "low": e.low.floor(), "high": e.high.ceil() })
    }

    fn magnitude(&self) -> f64 {
        self.estimate().value
    }
}

impl<const P: u8> Hll<P> {
    fn decode_tokens(bytes: &mut &[u8]) -> Result<Vec<Token>, DecodeError> {
        let count = take_varint(bytes)?;
        let Some(n) = usize::try_from(count)
            .ok()
            .filter(|n| (2..=Self::MAX_TOKENS).contains(n))
        else {
            return Err(DecodeError::new(format!(
                "{count} sparse hll tokens: from 2 to {}",
                Self::MAX_TOKENS
            )));
        };
        // The count is only a claim: no more memory than the bytes can fill.
        let mut tokens = Vec::with_capacity(n.min(bytes.len() / 4));
        for _ in 0..n {
            tokens.push(take_token(bytes, tokens.last().copied())?);
        }
        Ok(tokens)
    }

    fn decode_registers(bytes: &mut &[u8]) -> Result<Box<[u8]>, DecodeError> {
        let packed = take(bytes, Self::REGISTERS / 4 * 3)?;
        let mut registers = vec![0u8; Self::REGISTERS].into_boxed_slice();
        for (four, three) in registers.chunks_exact_mut(4).zip(packed.chunks_exact(3)) {
            let bits = u32::from_le_bytes([three[0], three[1], three[2], 0]);
            for (i, register) in (0..).zip(four) {
                *register = (bits >> (RANK_BITS * i)) as u8 & 63;
            }
        }
        let highest = registers.iter().copied().fold(0, u8::max);
        if highest > MAX_RANK {
            return Err(DecodeError::new(format!(
                "hll register {highest}: from 0 to {MAX_RANK}"
            )));
        }
        // A sketch is dense because it saw more than MAX_TOKENS slots, and a register stands for 2^(26 - P) of them.
        let slots = registers.iter().filter(|r| **r > 0).count() << (SLOT_BITS - u32::from(P));
        if slots <= Self::MAX_TOKENS {
            return Err(DecodeError::new("dense hll with fewer items than a sparse one"));
        }
        Ok(registers)
    }
}
