//! Text keys: escaped and end-marked, so that they keep their order and a shorter text never reads a longer one.

use compact_str::CompactString;
use serde_json::Value;

use super::parts::next;
use super::{AsKey, Key, KeyError, KeyOf};
use crate::native::KeyColumn;

/// The byte that ends a text.
const END: u8 = 0;
/// The byte that begins an escape; `ESCAPE, b + 1` stands for `b` in {0, 1}.
const ESCAPE: u8 = 1;

/// Whether all bytes of a word are above 1: a byte below 2 borrows into its high bit.
#[inline(always)]
fn is_plain(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    (word.wrapping_sub(ONES * 2) & !word & (ONES << 7)) == 0
}

/// Appends a text of 4 to 8 bytes that needs no escape, and its end mark, without a search and without a copy of unknown length.
#[inline(always)]
fn put_short(text: &[u8], out: &mut Vec<u8>) -> bool {
    if text.len() > 8 {
        return false;
    }
    let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) else {
        return false;
    };
    // The first and the last bytes, which may overlap, are all bytes.
    let (first, last) = (
        u64::from(u32::from_le_bytes(*first)),
        u64::from(u32::from_le_bytes(*last)),
    );
    if !is_plain(first | last << 32) {
        return false;
    }
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&(first | last << (8 * (text.len() - 4))).to_le_bytes());
    let end = out.len() + text.len() + 1;
    out.extend_from_slice(&bytes);
    out.truncate(end);
    true
}

impl AsKey for str {
    type Key = String;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        let mut rest = self.as_bytes();
        if put_short(rest, out) {
            return;
        }
        while let Some(at) = memchr::memchr2(END, ESCAPE, rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(&[ESCAPE, rest[at] + 1]);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(END);
    }
}

impl AsKey for String {
    type Key = String;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.as_str().encode_key(out);
    }
}

impl AsKey for CompactString {
    type Key = String;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.as_str().encode_key(out);
    }
}

impl KeyOf<&str> for String {}
impl KeyOf<String> for String {}
impl KeyOf<&String> for String {}
impl KeyOf<CompactString> for String {}
impl KeyOf<&CompactString> for String {}

impl Key for String {
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        let mut text = Self::new();
        text.decode_key_into(bytes).map(|()| text)
    }
    fn decode_key_into(&mut self, bytes: &mut &[u8]) -> Result<(), KeyError> {
        let mut text = std::mem::take(self).into_bytes();
        text.clear();
        loop {
            let at = memchr::memchr2(END, ESCAPE, bytes).ok_or_else(|| KeyError::new("text key without an end"))?;
            text.extend_from_slice(&bytes[..at]);
            let mark = bytes[at];
            *bytes = &bytes[at + 1..];
            if mark == END {
                break;
            }
            match bytes.split_first() {
                Some((&b @ 1..=2, rest)) => {
                    text.push(b - 1);
                    *bytes = rest;
                }
                _ => return Err(KeyError::new("text key with a broken escape")),
            }
        }
        *self = String::from_utf8(text).map_err(|_| KeyError::new("text key is not UTF-8"))?;
        Ok(())
    }
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Text);
    }
    fn schema() -> String {
        "text".into()
    }
    fn parts(&self, out: &mut Vec<Value>) {
        out.push(Value::String(self.clone()));
    }
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
        next(parts, "text").map(str::to_string)
    }
}
