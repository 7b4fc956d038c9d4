//! Footers and page headers, walked before the Parquet decoder sees them: it takes space for what they say they hold.
//!
//! Both are written in Thrift's compact protocol. The walk knows its types, not the fields' meaning: every list has as many
//! elements as it says, every text lies inside, and nothing nests deeper than [`DEEP`].

/// Structs in structs; Parquet's own go six deep.
const DEEP: usize = 32;

/// Why a walk ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end first.
    Cut,
    /// They are no such struct.
    Malformed(&'static str),
}

/// Walks the struct that `bytes` begin with; returns its length. `number` is told of its integers, by the ids of the fields on
/// the way.
pub(super) fn walk(bytes: &[u8], number: &mut dyn FnMut(&[i16], i64)) -> Result<usize, Stop> {
    let mut walk = Walk {
        rest: bytes,
        path: Vec::new(),
        number,
    };
    walk.structure()?;
    Ok(bytes.len() - walk.rest.len())
}

struct Walk<'a, 'f> {
    rest: &'a [u8],
    path: Vec<i16>,
    number: &'f mut dyn FnMut(&[i16], i64),
}

impl Walk<'_, '_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let (byte, rest) = self.rest.split_first().ok_or(Stop::Cut)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn skip(&mut self, n: u64) -> Result<(), Stop> {
        let n = usize::try_from(n).map_err(|_| Stop::Malformed("a length is out of range"))?;
        self.rest = self.rest.get(n..).ok_or(Stop::Cut)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Stop::Malformed("a number is longer than any"))
    }

    fn zigzag(&mut self) -> Result<i64, Stop> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn structure(&mut self) -> Result<(), Stop> {
        if self.path.len() >= DEEP {
            return Err(Stop::Malformed("it nests too deep"));
        }
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            let ty = head & 0xf;
            if ty == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.zigzag()? as i16,
                delta => id.wrapping_add(i16::from(delta)),
            };
            self.path.push(id);
            // The value of a boolean field is its type.
            if !matches!(ty, 1 | 2) {
                self.value(ty)?;
            }
            self.path.pop();
        }
    }

    fn value(&mut self, ty: u8) -> Result<(), Stop> {
        match ty {
            1..=3 => self.skip(1),
            4..=6 => {
                let n = self.zigzag()?;
                (self.number)(&self.path, n);
                Ok(())
            }
            7 => self.skip(8),
            8 => {
                let n = self.varint()?;
                self.skip(n)
            }
            9 | 10 => {
                let head = self.byte()?;
                let n = match head >> 4 {
                    15 => self.varint()?,
                    n => u64::from(n),
                };
                self.elements(n, &[head & 0xf])
            }
            11 => match self.varint()? {
                0 => Ok(()),
                n => {
                    let types = self.byte()?;
                    self.elements(n, &[types >> 4, types & 0xf])
                }
            },
            12 => self.structure(),
            13 => self.skip(16),
            _ => Err(Stop::Malformed("a field is of no known type")),
        }
    }

    fn elements(&mut self, n: u64, types: &[u8]) -> Result<(), Stop> {
        // Each takes a byte at least, so a number that is too large ends at the end of the bytes.
        if self.path.len() >= DEEP {
            return Err(Stop::Malformed("it nests too deep"));
        }
        self.path.push(0);
        for _ in 0..n {
            for ty in types {
                self.value(*ty)?;
            }
        }
        self.path.pop();
        Ok(())
    }
}

/// What a page's header says of its sizes, as far as it says so.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageHead {
    /// Bytes when it is unpacked.
    pub(super) unpacked: i64,
    /// Values of a page of data, nulls too.
    pub(super) values: i64,
    /// Entries of a dictionary.
    pub(super) entries: i64,
}

/// The page header that `bytes` begin with.
pub(super) fn page_head(bytes: &[u8]) -> Result<PageHead, Stop> {
    let mut head = PageHead::default();
    walk(bytes, &mut |path, n| match path {
        [2] => head.unpacked = n,
        [5, 1] | [8, 1] => head.values = n,
        [7, 1] => head.entries = n,
        _ => {}
    })?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page header as the format's description writes it: type 0, 100 bytes unpacked, 40 packed, 7 values.
    #[test]
    fn heads_of_pages() {
        let bytes = [
            0x15, 0, 0x15, 200, 1, 0x15, 80, 0x2c, 0x15, 14, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0,
        ];
        let head = page_head(&bytes).unwrap();
        assert_eq!((head.unpacked, head.values, head.entries), (100, 7, 0));
        for cut in 0..bytes.len() {
            assert_eq!(page_head(&bytes[..cut]), Err(Stop::Cut), "{cut}");
        }
        assert_eq!(
            walk(&[bytes.as_slice(), &[9; 5]].concat(), &mut |_, _| {}),
            Ok(bytes.len())
        );
    }

    /// Lists that say more than is there, and structs without an end, take neither space nor time.
    #[test]
    fn hostile_lengths() {
        assert_eq!(
            walk(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0x0f], &mut |_, _| {}),
            Err(Stop::Cut)
        );
        assert_eq!(
            walk(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], &mut |_, _| {}),
            Err(Stop::Cut)
        );
        assert!(matches!(walk(&[0x1c; 100], &mut |_, _| {}), Err(Stop::Malformed(_))));
        assert!(matches!(walk(&[0x19; 100], &mut |_, _| {}), Err(Stop::Malformed(_))));
        assert!(matches!(walk(&[0x15; 20], &mut |_, _| {}), Err(Stop::Cut)));
        assert!(matches!(walk(&[0x1e, 0], &mut |_, _| {}), Err(Stop::Malformed(_))));
    }
}
