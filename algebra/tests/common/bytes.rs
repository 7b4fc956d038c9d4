//! What every persisted format must pass: golden bytes, bytes that are malformed on purpose, and random damage.
//!
//! Under `tests/golden/` a file a type holds named encodings in hexadecimal; under `tests/malformed/` one holds inputs that
//! are no value, with the error that each is. After a *new* value: `UPDATE_GOLDEN=1 cargo test -p rufous-algebra
//! --all-features`, and read the diff: a changed line is a new version of the format, which readers of the old one must
//! survive, never a new literal.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::path::PathBuf;

use rufous_algebra::Codec;

use super::Rng;

/// Bytes in a line of a file.
const WIDTH: usize = 64;
/// Longer encodings stand in the file as length and hash.
const LONG: usize = 16 << 10;
/// Random inputs for each type; with some fifty types, more than 10^6 in all.
const FUZZ: usize = 25_000;
/// Malformed inputs kept for each type.
const MALFORMED: usize = 50;

/// The values of one type, on their way through all of it.
pub(crate) struct Bytes<T> {
    file: &'static str,
    values: Vec<(String, T)>,
    /// Bytes in memory of an element that may take one byte of input.
    element: usize,
    any: bool,
}

/// Golden and malformed files are named after `file`.
pub(crate) fn bytes<T: Codec + PartialEq + Debug>(file: &'static str) -> Bytes<T> {
    Bytes {
        file,
        values: Vec::new(),
        element: 0,
        any: false,
    }
}

impl<T: Codec + PartialEq + Debug> Bytes<T> {
    /// One more value, by the name that its golden bytes have.
    pub(crate) fn value(mut self, name: impl ToString, value: T) -> Self {
        self.values.push((name.to_string(), value));
        self
    }

    /// Lists and maps may take this much for each byte of their input, instead of 4.
    pub(crate) fn element<E>(mut self) -> Self {
        self.element = size_of::<E>();
        self
    }

    /// Hardly any bytes are malformed: there may be fewer than 50 such inputs.
    pub(crate) fn any_bytes(mut self) -> Self {
        self.any = true;
        self
    }

    /// Runs all of it.
    pub(crate) fn check(self) {
        self.golden();
        self.malformed();
        self.damage();
    }

    fn golden(&self) {
        let mut text = format!("schema {}\n", T::schema());
        for (name, value) in &self.values {
            let bytes = value.to_bytes();
            assert_eq!(T::decode(&bytes).as_ref(), Ok(value), "{}: {name}", self.file);
            writeln!(text, "{name}").unwrap();
            if bytes.len() > LONG {
                writeln!(
                    text,
                    "  {} bytes, xxh3 {:016x}",
                    bytes.len(),
                    xxhash_rust::xxh3::xxh3_64(&bytes)
                )
                .unwrap();
                continue;
            }
            for line in bytes.chunks(WIDTH) {
                writeln!(text, "  {}", hex(line)).unwrap();
            }
        }
        compare(&format!("golden/{}.hex", self.file), text);
    }

    /// Inputs that were once found to be malformed stay so, with their errors.
    fn malformed(&self) {
        let name = format!("malformed/{}.hex", self.file);
        let mut text = String::new();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            // As many different errors as can be found, then any.
            let mut rng = Rng(7);
            let mut by_error: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
            for _ in 0..20_000 {
                let damaged = self.damaged(&mut rng, 256);
                if let Err(error) = T::decode(&damaged) {
                    let kind: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
                    let inputs = by_error.entry(kind).or_default();
                    if inputs.len() < MALFORMED && !inputs.contains(&damaged) {
                        inputs.push(damaged);
                    }
                }
            }
            let turns = (0..MALFORMED).flat_map(|i| by_error.values().filter_map(move |inputs| inputs.get(i)));
            for input in turns.take(MALFORMED) {
                writeln!(text, "{} | {}", hex(input), T::decode(input).err().unwrap()).unwrap();
            }
        } else {
            for line in read(&name).lines() {
                let input = unhex(line.split_once(" | ").expect("input | error").0);
                let error = T::decode(&input).map_or_else(|e| e.to_string(), |value| format!("{value:?}"));
                writeln!(text, "{} | {error}", hex(&input)).unwrap();
            }
        }
        assert!(
            self.any || T::WIDTH.is_some() || text.lines().count() == MALFORMED,
            "{name} has {} inputs",
            text.lines().count()
        );
        compare(&name, text);
    }

    /// Damaged encodings are an error or a value with just these bytes; never a panic, never much memory.
    fn damage(&self) {
        let mut rng = Rng(8);
        let mut sum = Vec::new();
        for _ in 0..FUZZ {
            let input = self.damaged(&mut rng, LONG);
            let mut decoded = None;
            let used = allocation_counter::measure(|| decoded = Some(T::decode(&input)));
            let most = 4usize.max(2 * self.element) * input.len() + (64 << 10);
            assert!(
                used.bytes_max <= most as u64,
                "{}: {} bytes allocated for an input of {}: {}",
                self.file,
                used.bytes_max,
                input.len(),
                hex(&input)
            );
            let decoded = decoded.unwrap();
            if let Ok(value) = &decoded {
                assert_eq!(value.to_bytes(), input, "{}: accepted, but not canonical", self.file);
                // What people are shown must survive what hostile bytes decode to.
                let _ = (value.json(), value.magnitude());
            }
            if let (Some(merge), Some((_, other))) = (T::MERGE, self.values.get(rng.below(self.values.len()))) {
                sum.clear();
                let merged = merge(&input, &other.to_bytes(), &mut sum);
                let hidden = decoded.is_err() && merged.is_ok() && T::decode(&sum).is_ok();
                assert!(!hidden, "{}: a merge made a value of {}", self.file, hex(&input));
            }
        }
    }

    /// An encoding with some bytes altered, cut off, inserted or repeated.
    fn damaged(&self, rng: &mut Rng, longest: usize) -> Vec<u8> {
        let short: Vec<Vec<u8>> = self
            .values
            .iter()
            .map(|(_, v)| v.to_bytes())
            .filter(|b| b.len() <= longest)
            .collect();
        let mut bytes = short.get(rng.below(short.len())).cloned().unwrap_or_default();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len());
            match rng.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
                1 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
                2 => bytes.truncate(at),
                3 => bytes.insert(at, rng.next() as u8),
                4 => bytes.extend((0..rng.below(9)).map(|_| rng.next() as u8)),
                5 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
                _ => {
                    let piece: Vec<u8> = bytes[at..].iter().copied().take(1 + rng.below(16)).collect();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn path(name: &str) -> PathBuf {
    // Tests run in their package's folder. Not the path at compile time: clones that share build output share binaries, too.
    ["tests", name].iter().collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

/// The file holds this text.
pub(crate) fn compare(name: &str, text: String) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), &text).unwrap();
    }
    let kept = read(name);
    let differs = kept.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(kept == text, "{name} differs: {differs:?}");
}
