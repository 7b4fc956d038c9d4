//! The bytes of a MinHash: a [`Form`] byte, then
//!
//! | mode | follows |
//! |---|---|
//! | 0 few | for each bin in use: how many unused ones come before it, LEB128; its rank, `u32` |
//! | 1 all | `M` ranks, `u32`; `ffff_ffff` in unused bins |
//!
//! Decoding accepts only what encoding writes: ranks that items have, bins that exist, and the form that so many bins
//! in use have.

use serde_json::{Value, json};

use super::{Bin, MinHash, State, UNUSED};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, merge_decoded, put_varint, take, take_varint};

const FORM: Form = Form::new("minhash", 1, HashId::Xxh3);
const FEW: u8 = 0;
const ALL: u8 = 1;

impl<const M: usize> MinHash<M> {
    fn decode_few(mut bytes: &[u8]) -> Result<Vec<Bin>, DecodeError> {
        let mut bins: Vec<Bin> = Vec::with_capacity(Self::FEW.min(bytes.len() / 5));
        let mut next = 0;
        while !bytes.is_empty() {
            let number = take_varint(&mut bytes)?.saturating_add(next);
            let rank = u32::decode(take(&mut bytes, 4)?)?;
            let Some(number) = usize::try_from(number).ok().filter(|n| *n < M) else {
                return Err(DecodeError::new(format!("minhash bin {number} of {M}")));
            };
            if rank == UNUSED {
                return Err(DecodeError::new("minhash rank that no item has"));
            }
            if bins.len() == Self::FEW {
                return Err(DecodeError::new(format!(
                    "more than {} minhash bins in a list",
                    Self::FEW
                )));
            }
            bins.push(Bin::new(number, rank));
            next = number as u64 + 1;
        }
        Ok(bins)
    }

    fn decode_all(bytes: &[u8]) -> Result<Box<[u32; M]>, DecodeError> {
        if bytes.len() != 4 * M {
            return Err(DecodeError::new(format!(
                "minhash of {} bytes, not {}",
                bytes.len(),
                4 * M
            )));
        }
        let mut ranks = Box::new([UNUSED; M]);
        for (rank, four) in ranks.iter_mut().zip(bytes.chunks_exact(4)) {
            *rank = u32::decode(four)?;
        }
        if ranks.iter().filter(|rank| **rank != UNUSED).count() <= Self::FEW {
            return Err(DecodeError::new("minhash of all bins that uses few"));
        }
        Ok(ranks)
    }
}

impl<const M: usize> Codec for MinHash<M> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.state {
            State::Few(bins) => {
                out.push(FORM.byte(FEW));
                let mut next = 0;
                for bin in bins {
                    put_varint((bin.number() - next) as u64, out);
                    bin.rank().encode(out);
                    next = bin.number() + 1;
                }
            }
            State::All(ranks) => {
                out.reserve(1 + 4 * M);
                out.push(FORM.byte(ALL));
                ranks.iter().for_each(|rank| rank.encode(out));
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let state = match FORM.split(bytes)? {
            (FEW, bytes) => State::Few(Self::decode_few(bytes)?),
            (ALL, bytes) => State::All(Self::decode_all(bytes)?),
            (mode, _) => return Err(FORM.unknown_mode(mode)),
        };
        Ok(Self { state })
    }

    fn schema() -> String {
        format!("minhash/{M}/xxh3")
    }

    fn json(&self) -> Value {
        json!({ "distinct": self.distinct().json() })
    }

    fn magnitude(&self) -> f64 {
        self.distinct().value
    }
}
