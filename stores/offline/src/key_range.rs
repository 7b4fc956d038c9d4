//! Which keys a run can hold, by what its manifest says: the others cost no read.

use std::cmp::Ordering;
use std::ops::Range;

use rufous_core::{Error, Result};
use rufous_store_api::RunFile;

/// `key` beside a key in lower-case hexadecimal; `None` when that is none.
fn compare(key: &[u8], hex: &str) -> Option<Ordering> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = key.iter();
    for [high, low] in pairs {
        let byte = digit(*high)? << 4 | digit(*low)?;
        match bytes.next().map(|b| b.cmp(&byte)) {
            None => return Some(Ordering::Less),
            Some(Ordering::Equal) => {}
            other => return other,
        }
    }
    Some(if bytes.next().is_some() {
        Ordering::Greater
    } else {
        Ordering::Equal
    })
}

/// What the manifest says is looked at as a whole first: a comparison may end before it comes to what is wrong.
fn check(run: &RunFile) -> Result<()> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    for hex in [&run.first_key, &run.last_key] {
        if hex.len() % 2 != 0 || !hex.bytes().all(digit) {
            let path = &run.path;
            return Err(Error::corrupt(format!(
                "the manifest says that run `{path}` holds a key `{hex}`, which is not hexadecimal: restore the manifest from a copy"
            )));
        }
    }
    Ok(())
}

/// Which of the keys, which ascend, the run can hold.
pub(crate) fn range(keys: &[&[u8]], run: &RunFile) -> Result<Range<usize>> {
    check(run)?;
    let from = keys.partition_point(|key| compare(key, &run.first_key).is_some_and(Ordering::is_lt));
    let to = keys.partition_point(|key| compare(key, &run.last_key).is_some_and(Ordering::is_le));
    Ok(from..to.max(from))
}

/// Whether the run surely holds no key that begins with `prefix`.
pub(crate) fn outside(prefix: &[u8], run: &RunFile) -> Result<bool> {
    check(run)?;
    let above = compare(prefix, &run.last_key).is_some_and(Ordering::is_gt);
    // The first key is above all those keys when it is above the prefix and does not begin with it.
    let shared = run.first_key.get(..prefix.len() * 2);
    let begins = shared.is_some_and(|f| compare(prefix, f) == Some(Ordering::Equal));
    let below = compare(prefix, &run.first_key).is_some_and(Ordering::is_lt);
    Ok(above || (below && !begins))
}

/// Whether the run surely holds no key of a range.
pub(crate) fn apart(keys: &Range<Vec<u8>>, run: &RunFile) -> Result<bool> {
    check(run)?;
    let above = compare(&keys.start, &run.last_key).is_some_and(Ordering::is_gt);
    Ok(above || compare(&keys.end, &run.first_key).is_some_and(Ordering::is_le))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::hex;

    /// Against the plain comparison of bytes, for all short keys of three letters.
    #[test]
    fn ranges_are_those_of_bytes() {
        let mut keys: Vec<Vec<u8>> = vec![vec![]];
        for _ in 0..3 {
            let longer = keys
                .iter()
                .flat_map(|k| [0u8, 0x5a, 0xff].map(|b| [&k[..], &[b]].concat()));
            keys.extend(longer.collect::<Vec<_>>());
        }
        keys.sort();
        keys.dedup();
        let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        for (i, first) in all.iter().enumerate() {
            for (j, last) in all.iter().enumerate().skip(i).step_by(3) {
                let run = RunFile {
                    path: String::new(),
                    bytes: 0,
                    checksum: String::new(),
                    keys: 1,
                    first_key: hex(first),
                    last_key: hex(last),
                };
                assert_eq!(range(&all, &run).unwrap(), i..j + 1);
                for prefix in &all {
                    // Keys that could be there: those between, and whatever is longer than they are.
                    let could = all[i..=j].iter().any(|k| k.starts_with(prefix)) || (first < prefix && prefix <= last);
                    assert_eq!(outside(prefix, &run).unwrap(), !could, "{prefix:?} {first:?} {last:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        for bad in ["1", "zz", "AB", "0é", "6b6b6b6b6bzz", "6b6b6"] {
            let run = RunFile {
                path: "run-7.rrun".into(),
                bytes: 0,
                checksum: String::new(),
                keys: 1,
                first_key: "00".into(),
                last_key: bad.into(),
            };
            for e in [range(&[b"k"], &run).unwrap_err(), outside(b"k", &run).unwrap_err()] {
                assert!(e.to_string().contains("run-7.rrun"), "{e}");
            }
        }
    }
}
