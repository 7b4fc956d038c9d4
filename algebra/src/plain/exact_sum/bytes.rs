//! Nothing for zero. Otherwise a LEB128 number, twice the place of the lowest byte that is not zero, plus one if counts follow:
//! those of infinity, its negative and not-a-number (zigzag LEB128). Then the number from that byte on, in two's complement,
//! no longer than needed.

use serde_json::Value;

use super::{DIGITS, ExactSum};
use crate::codec::{Codec, DecodeError, Merge, merge_decoded, put_varint, take_varint, unzigzag, zigzag};

impl Codec for ExactSum {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        let (digits, range) = self.digits();
        let first = range.start;
        let digits = &digits[range];
        if digits.is_empty() && self.odd.is_none() {
            return;
        }
        let zeros = digits.first().map_or(0, |lowest| lowest.trailing_zeros() as usize / 8);
        let place = if digits.is_empty() { 0 } else { 4 * first + zeros };
        put_varint(2 * place as u64 + u64::from(self.odd.is_some()), out);
        if let Some(odd) = &self.odd {
            odd.iter().for_each(|count| put_varint(zigzag(*count), out));
        }
        let at = out.len();
        digits.iter().for_each(|d| out.extend_from_slice(&d.to_le_bytes()));
        out.drain(at..at + zeros);
        while let [.., below, top] = out[at..]
            && top as i8 == below as i8 >> 7
        {
            out.pop();
        }
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut sum = Self::default();
        if bytes.is_empty() {
            return Ok(sum);
        }
        let head = take_varint(&mut bytes)?;
        if head & 1 == 1 {
            let mut odd = [0; 3];
            for count in &mut odd {
                *count = unzigzag(take_varint(&mut bytes)?);
            }
            if odd == [0; 3] {
                return Err(DecodeError::new("exact sum with counts of zero"));
            }
            sum.odd = Some(Box::new(odd));
        }
        let place = head >> 1;
        match bytes {
            [] if place == 0 && head & 1 == 1 => return Ok(sum),
            [] => return Err(DecodeError::new("exact sum of no digits")),
            [0, ..] => return Err(DecodeError::new("exact sum with a lowest byte of zero")),
            [.., below, top] if *top as i8 == *below as i8 >> 7 => {
                return Err(DecodeError::new("exact sum longer than needed"));
            }
            _ => {}
        }
        if place as u128 + bytes.len() as u128 > 4 * DIGITS as u128 {
            return Err(DecodeError::new(format!(
                "exact sum of {} bytes from {place} on",
                bytes.len()
            )));
        }
        let place = place as usize;
        let negative = bytes.last().is_some_and(|top| *top as i8 <= -1);
        let fill = if negative { 0xff } else { 0 };
        sum.first = place / 4;
        let digits = (place % 4 + bytes.len()).div_ceil(4);
        let byte = |i: usize| match i.checked_sub(place % 4) {
            None => 0,
            Some(i) => bytes.get(i).copied().unwrap_or(fill),
        };
        sum.words = (0..digits)
            .map(|d| i64::from(u32::from_le_bytes([0, 1, 2, 3].map(|i| byte(4 * d + i)))))
            .collect();
        if let Some(top) = sum.words.last_mut() {
            *top = i64::from(*top as i32);
        }
        Ok(sum)
    }

    fn schema() -> String {
        "exact-sum".into()
    }
    fn json(&self) -> Value {
        self.value().json()
    }
    fn magnitude(&self) -> f64 {
        self.value()
    }
}
