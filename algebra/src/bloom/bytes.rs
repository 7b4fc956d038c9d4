//! The bytes of a Bloom filter: a [`Form`] byte, then
//!
//! | mode | follows |
//! |---|---|
//! | 0 list | the hashes, ascending, 8 bytes each, little-endian |
//! | 1 bits | all `BITS`, from the low bit of the first byte on |
//!
//! A list has at most a quarter of the bytes of the bits, and 4,096 hashes; a filter that saw more has bits. So there
//! is one encoding of a value.

use serde_json::{Value, json};

use super::{Bloom, State};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, merge_decoded};

const FORM: Form = Form::new("bloom filter", 1, HashId::Xxh3);
const LIST: u8 = 0;
const WORDS: u8 = 1;

impl<const BITS: usize, const K: usize> Bloom<BITS, K> {
    fn decode_hashes(bytes: &[u8]) -> Result<State, DecodeError> {
        let list = FORM.list::<u64>(bytes)?;
        if list.len() > Self::MAX_HASHES {
            return Err(DecodeError::new(format!(
                "bloom filter of {} hashes: at most {}",
                list.len(),
                Self::MAX_HASHES
            )));
        }
        let hashes = list.collect::<Result<Vec<u64>, _>>()?;
        if hashes.is_sorted_by(|a, b| a < b) {
            Ok(State::Sparse(hashes))
        } else {
            Err(DecodeError::new("bloom filter hashes do not ascend"))
        }
    }

    /// Checks that these are the bits of a filter that saw something.
    fn check_bits(bytes: &[u8]) -> Result<(), DecodeError> {
        if bytes.len() != Self::WORDS * 8 {
            return Err(DecodeError::new(format!(
                "bloom filter of {} bytes, not {}",
                bytes.len(),
                Self::WORDS * 8
            )));
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(DecodeError::new("bloom filter with no bit set"));
        }
        Ok(())
    }

    /// Bits are merged as they are; a list must be looked into.
    fn merge(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let ((WORDS, mine), (WORDS, theirs)) = (FORM.split(a)?, FORM.split(b)?) else {
            return merge_decoded::<Self>(a, b, out);
        };
        Self::check_bits(mine)?;
        Self::check_bits(theirs)?;
        out.reserve(a.len());
        out.push(FORM.byte(WORDS));
        out.extend(mine.iter().zip(theirs).map(|(a, b)| a | b));
        Ok(())
    }
}

impl<const BITS: usize, const K: usize> Codec for Bloom<BITS, K> {
    const MERGE: Option<Merge> = Some(Self::merge);

    fn encode(&self, out: &mut Vec<u8>) {
        let (mode, words) = match &self.state {
            State::Sparse(hashes) => (LIST, hashes.as_slice()),
            State::Dense(words) => (WORDS, &**words),
        };
        out.reserve(1 + words.len() * 8);
        out.push(FORM.byte(mode));
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, bytes) = FORM.split(bytes)?;
        let state = match mode {
            LIST => Self::decode_hashes(bytes)?,
            WORDS => {
                Self::check_bits(bytes)?;
                State::Dense(
                    bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|word| u64::from_le_bytes(*word))
                        .collect(),
                )
            }
            other => return Err(FORM.unknown_mode(other)),
        };
        Ok(Self { state })
    }

    fn schema() -> String {
        format!("bloom/{BITS}/{K}/xxh3")
    }

    fn json(&self) -> Value {
        let mut object = self.estimate_len().json();
        object["false_positive_rate"] = json!(self.false_positive_rate());
        object
    }

    fn magnitude(&self) -> f64 {
        self.estimate_len().value
    }
}
