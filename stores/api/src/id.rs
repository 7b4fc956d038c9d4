//! Which record it is that was written (O13).

use std::fmt;

use rufous_core::{Error, Result, SourcePartition};

/// The id of a record of a sink: the record of the input that it was made of, and which of the things made of that it is. Ordered
/// as its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WrittenId {
    /// The source.
    pub source: String,
    /// The partition; of bounded inputs the number of the file.
    pub partition: u32,
    /// The offset of the record of the log; of rows of Parquet files the row group, times 2^32, and the row in it.
    pub offset: u64,
    /// Which of the things that the steps made of it: [`Origin::number`](rufous_core::Origin::number).
    pub number: u64,
}

/// Behind the source's name.
const NUMBERS: usize = 1 + 4 + 8 + 8;

impl WrittenId {
    /// Of what was made of a record of a log.
    pub fn of(p: &SourcePartition, offset: u64, number: u64) -> Self {
        Self {
            source: p.source.clone(),
            partition: p.partition,
            offset,
            number,
        }
    }

    /// Whose record it was made of.
    pub fn partition(&self) -> SourcePartition {
        SourcePartition::new(self.source.as_str(), self.partition)
    }

    /// Appends the bytes of an id: the source's name, a zero byte, then the numbers, the highest byte first.
    pub fn put(source: &str, partition: u32, offset: u64, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(source.as_bytes());
        out.push(0);
        out.extend_from_slice(&partition.to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.source.len() + NUMBERS);
        Self::put(&self.source, self.partition, self.offset, self.number, &mut out);
        out
    }

    /// The id whose bytes these are; `None`: they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (source, mut rest) = bytes.split_at_checked(bytes.len().checked_sub(NUMBERS)?)?;
        if source.is_empty() || source.contains(&0) || *rest.split_off_first()? != 0 {
            return None;
        }
        let (partition, rest) = rest.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            source: std::str::from_utf8(source).ok()?.to_string(),
            partition: u32::from_be_bytes(*partition),
            offset: u64::from_be_bytes(*offset),
            number: u64::from_be_bytes(*rest.first_chunk::<8>()?),
        })
    }

    /// The id as sinks show it: `sink/source/partition/offset/number`.
    pub fn of_sink(&self, sink: &str) -> String {
        format!("{sink}/{self}")
    }

    /// What a person typed: `source/partition/offset/number`, or less of it from the left, with the sink's name before it or
    /// without. What is left out is 0.
    ///
    /// # Errors
    /// `InvalidRequest` with the form when it is no such text.
    pub fn parse(sink: &str, text: &str) -> Result<Self> {
        let own = text.strip_prefix(sink).and_then(|rest| rest.strip_prefix('/'));
        let read = |text: &str| -> Option<Self> {
            let mut parts = text.split('/');
            let source = parts.next().filter(|s| !s.is_empty() && !s.contains('\0'))?;
            let id = Self {
                source: source.into(),
                partition: parts.next().map_or(Some(0), |p| p.parse().ok())?,
                offset: parts.next().map_or(Some(0), |p| p.parse().ok())?,
                number: parts.next().map_or(Some(0), |p| p.parse().ok())?,
            };
            parts.next().is_none().then_some(id)
        };
        // A source may have the name of the sink: the whole text goes first.
        read(text).or_else(|| own.and_then(read)).ok_or_else(|| {
            Error::invalid(format!(
                "`{text}` is no id of a record: write {sink}/SOURCE/PARTITION/OFFSET/NUMBER, or less of it from the left"
            ))
        })
    }
}

impl fmt::Display for WrittenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.source, self.partition, self.offset, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, partition: u32, offset: u64, number: u64) -> WrittenId {
        WrittenId {
            source: source.into(),
            partition,
            offset,
            number,
        }
    }

    /// The order of ids is that of their bytes, whatever the names of sources begin with; both ways lead back.
    #[test]
    fn ids_are_ordered_as_their_bytes() {
        let names = ["a", "a-b", "ab", "a0"];
        let numbers = [0, 1, 255, 256, u64::from(u32::MAX), u64::MAX];
        let mut all = Vec::new();
        for name in names {
            for partition in [0, 1, 256, u32::MAX] {
                for offset in numbers {
                    all.extend(numbers.map(|number| id(name, partition, offset, number)));
                }
            }
        }
        let mut by_bytes = all.clone();
        by_bytes.sort_by_key(WrittenId::to_bytes);
        all.sort();
        assert_eq!(all, by_bytes);
        for id in all {
            let bytes = id.to_bytes();
            assert_eq!(WrittenId::from_bytes(&bytes).as_ref(), Some(&id));
            assert_eq!(WrittenId::parse("s", &id.of_sink("s")).unwrap(), id);
            for n in 0..NUMBERS {
                assert_eq!(WrittenId::from_bytes(&bytes[..n]), None);
            }
        }
    }

    /// What is no id is none: no name, a name that is no text, a zero byte within.
    #[test]
    fn bytes_that_are_no_id_are_none() {
        let good = id("ab", 1, 2, 3).to_bytes();
        assert!(WrittenId::from_bytes(&good[2..]).is_none());
        for (at, byte) in [(0, 0), (0, 0xff), (1, 0), (2, 1)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(WrittenId::from_bytes(&bad).is_none(), "byte {at} is {byte}");
        }
    }

    /// People write an id as it is shown, or the beginning of it.
    #[test]
    fn ids_are_typed() {
        let parsed = |text: &str| WrittenId::parse("overdrawn", text).map_err(|e| e.to_string());
        assert_eq!(parsed("overdrawn/payments/1/20/3"), Ok(id("payments", 1, 20, 3)));
        assert_eq!(parsed("payments/1/20/3"), Ok(id("payments", 1, 20, 3)));
        assert_eq!(parsed("payments/1/20"), Ok(id("payments", 1, 20, 0)));
        assert_eq!(parsed("overdrawn/payments/1"), Ok(id("payments", 1, 0, 0)));
        assert_eq!(parsed("payments"), Ok(id("payments", 0, 0, 0)));
        for bad in ["", "/1", "payments/x", "payments/1/2/3/4", "payments/-1", "a\0b"] {
            let e = parsed(bad).unwrap_err();
            assert!(
                e.contains("is no id") && e.contains("overdrawn/SOURCE/PARTITION"),
                "{e}"
            );
        }
    }
}
