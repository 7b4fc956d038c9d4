//! Numbers of any width in bits, and Rice codes, from the low bit of the first byte on.

use super::DecodeError;

/// Appends bits to bytes. The last byte is filled up with zeros.
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    bits: u64,
    /// How many of `bits` are in use: fewer than 32 between calls.
    used: u32,
}

impl<'a> BitWriter<'a> {
    /// Starts at the next byte of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, bits: 0, used: 0 }
    }

    /// Appends the `width` low bits of `value`: from 0 to 32, and the others are zero.
    #[inline]
    pub fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 32 && value >> width == 0);
        self.bits |= value << self.used;
        self.used += width;
        if self.used >= 32 {
            self.out.extend_from_slice(&(self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.used -= 32;
        }
    }

    /// Appends `n` zeros and a one.
    #[inline]
    pub fn put_unary(&mut self, mut n: u64) {
        while n >= 32 {
            self.put(0, 32);
            n -= 32;
        }
        self.put(1 << n, n as u32 + 1);
    }

    /// Appends a Rice code: `value >> k` in unary, then the `k` low bits; `k` is from 0 to 32.
    #[inline]
    pub fn put_rice(&mut self, value: u64, k: u32) {
        self.put_unary(value >> k);
        self.put(value & ((1 << k) - 1), k);
    }

    /// Fills up the last byte.
    pub fn finish(self) {
        let bytes = self.used.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.bits.to_le_bytes()[..bytes]);
    }
}

/// Reads what [`BitWriter`] wrote.
pub struct BitReader<'a> {
    rest: &'a [u8],
    bits: u64,
    /// How many of `bits` are left.
    left: u32,
}

impl<'a> BitReader<'a> {
    /// From the first byte on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            bits: 0,
            left: 0,
        }
    }

    #[inline]
    fn fill(&mut self) {
        if self.left <= 32
            && let Some((four, rest)) = self.rest.split_first_chunk::<4>()
        {
            self.bits |= u64::from(u32::from_le_bytes(*four)) << self.left;
            self.left += 32;
            self.rest = rest;
            return;
        }
        while self.left <= 56
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.bits |= u64::from(byte) << self.left;
            self.left += 8;
            self.rest = rest;
        }
    }

    /// The next `width` bits, from 0 to 32.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn take(&mut self, width: u32) -> Result<u64, DecodeError> {
        if self.left < width {
            self.fill();
            if self.left < width {
                return Err(DecodeError::new("bits cut short"));
            }
        }
        let value = self.bits & ((1 << width) - 1);
        self.bits >>= width;
        self.left -= width;
        Ok(value)
    }

    /// The number of zeros before the next one.
    ///
    /// # Errors
    /// When there is no one.
    #[inline]
    pub fn take_unary(&mut self) -> Result<u64, DecodeError> {
        let mut n = 0;
        loop {
            if self.bits == 0 {
                n += u64::from(self.left);
                self.left = 0;
                self.fill();
                if self.left == 0 {
                    return Err(DecodeError::new("bits cut short"));
                }
                continue;
            }
            let zeros = self.bits.trailing_zeros();
            // Not more than 63 zeros, so two shifts: a shift by 64 is none.
            self.bits = self.bits >> zeros >> 1;
            self.left -= zeros + 1;
            return Ok(n + u64::from(zeros));
        }
    }

    /// A Rice code; `k` is from 0 to 32.
    ///
    /// # Errors
    /// When it is cut short or longer than 64 bits.
    #[inline]
    pub fn take_rice(&mut self, k: u32) -> Result<u64, DecodeError> {
        let high = self.take_unary()?;
        if high.leading_zeros() < k {
            return Err(DecodeError::new("number longer than 64 bits"));
        }
        Ok(high << k | self.take(k)?)
    }

    /// Checks that only the zeros of the last byte are left.
    ///
    /// # Errors
    /// When there is more.
    pub fn finish(mut self) -> Result<(), DecodeError> {
        self.fill();
        self.fill();
        if self.left >= 8 || !self.rest.is_empty() {
            return Err(DecodeError::new("bytes follow the last bits"));
        }
        if self.bits != 0 {
            return Err(DecodeError::new("the last byte is not filled up with zeros"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written is read, whatever the widths; the end is found.
    #[test]
    fn round_trip() {
        let numbers = [0u64, 1, 2, 3, 47, 48, 49, 95, 96, 97, 1_000, (1 << 26) - 1];
        for k in [0, 1, 5, 19, 26, 32] {
            let mut out = vec![9];
            let mut writer = BitWriter::new(&mut out);
            for n in numbers.iter().filter(|n| **n >> k < 5_000) {
                writer.put_rice(*n, k);
                writer.put_unary(n % 131);
                writer.put(n & 0x7f, 7);
            }
            writer.finish();
            let mut reader = BitReader::new(&out[1..]);
            for n in numbers.iter().filter(|n| **n >> k < 5_000) {
                assert_eq!(reader.take_rice(k), Ok(*n));
                assert_eq!(reader.take_unary(), Ok(n % 131));
                assert_eq!(reader.take(7), Ok(n & 0x7f));
            }
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    /// Ends that were not written are errors.
    #[test]
    fn hostile_ends() {
        assert!(BitReader::new(&[]).take(1).is_err());
        assert_eq!(BitReader::new(&[]).take(0), Ok(0));
        assert!(BitReader::new(&[0; 9]).take_unary().is_err());
        assert!(BitReader::new(&[0]).finish().is_err());
        assert_eq!(BitReader::new(&[]).finish(), Ok(()));
        let mut reader = BitReader::new(&[1, 0]);
        assert_eq!(reader.take_unary(), Ok(0));
        assert!(reader.finish().is_err());
        let mut reader = BitReader::new(&[0b11]);
        assert_eq!(reader.take_unary(), Ok(0));
        assert!(reader.finish().is_err());
        assert!(
            BitReader::new(&[0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff])
                .take_rice(32)
                .is_err()
        );
    }
}
