//! Reads a run: the top once, then one block a look-up. Every byte that is used was checked against a checksum.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rufous_core::{Error, Result};
use rufous_place::{Filled, Open, Place};
use rufous_store_api::RunFile;
use xxhash_rust::xxh3::xxh3_64;

use super::cache::Cache;
use super::entry::{Partition, entry, top, word};
use super::meta::{Meta, WIDTH};
use super::{BLOCK, FOOTER, FORMAT, MAGIC, SUM, Scan, hex};

/// So many bytes at the end of a file are read at once: most often they hold the whole top.
const TAIL: u64 = 32 << 10;
/// So many keys are looked up together in a place far away.
const FAR_KEYS: usize = 256;

/// An open run.
#[derive(Debug)]
pub(crate) struct Reader {
    /// As messages name it.
    name: String,
    pub(super) file: Box<dyn Open>,
    /// A read of it costs a round trip.
    pub(super) far: bool,
    pub(super) partitions: Vec<Partition>,
    pub(super) last: Vec<u8>,
    /// Where the partitions end and the top begins.
    pub(super) top_at: u64,
    /// Its number in the cache.
    pub(super) id: u64,
    pub(super) cache: Arc<Cache>,
    /// What the manifest says; [`verify`](Self::verify) compares it with the bytes.
    checksum: String,
}

fn gone(name: &str) -> Error {
    let why = "is gone: a newer generation may have replaced it, read again with the newest manifest";
    Error::try_again(format!("run {name} {why}"))
}

fn corrupt(name: &str, why: &str) -> Error {
    let repair = "restore it from a copy, or run `batch` again into a new instance";
    Error::corrupt(format!("run {name} {why}: {repair}"))
}

/// A later format says its number in the same place, at both ends.
fn not_format_1(name: &str, first: [u8; MAGIC.len()], last: &[u8]) -> Error {
    match first {
        [m @ .., format, 0] if m == MAGIC[..MAGIC.len() - 2] && last == first => Error::corrupt(format!(
            "run {name} has format {format}, this program knows {FORMAT}: read it with the program that wrote it"
        )),
        _ => corrupt(name, "is no run"),
    }
}

/// Fills `bytes` from offset `at`; a file that ends before is corrupt.
fn read_at(name: &str, file: &dyn Open, bytes: &mut [u8], at: u64) -> Result<()> {
    match file.read_at(bytes, at).map_err(|e| e.at("run"))? {
        Filled::Whole => Ok(()),
        Filled::Short => Err(corrupt(
            name,
            &format!("ends within the {} bytes at byte {at}", bytes.len()),
        )),
        Filled::Gone => Err(gone(name)),
    }
}

impl Reader {
    /// Opens the run that a manifest names, and reads its footer and its top.
    ///
    /// # Errors
    /// `TryAgain` when the file is gone (a newer manifest may have replaced it, P25), `CorruptData` that names the file
    /// when its length, footer or top is not what was written.
    pub(crate) fn open(place: &dyn Place, path: &str, expected: &RunFile, cache: &Arc<Cache>) -> Result<Self> {
        let name = place.show(path);
        let corrupt = |why: &str| corrupt(&name, why);
        let file = place.open(path).map_err(|e| e.at("run"))?.ok_or_else(|| gone(&name))?;
        let len = file.size();
        if len != expected.bytes {
            return Err(corrupt(&format!("has {len} bytes in place of {}", expected.bytes)));
        }
        let footer_at = match len.checked_sub(FOOTER as u64) {
            Some(at) if at >= MAGIC.len() as u64 => at,
            _ => return Err(corrupt(&format!("has {len} bytes, fewer than any run"))),
        };
        let mut magic = [0; MAGIC.len()];
        read_at(&name, &*file, &mut magic, 0)?;
        let tail_at = len.saturating_sub(TAIL);
        let mut tail = vec![0; (len - tail_at) as usize];
        read_at(&name, &*file, &mut tail, tail_at)?;
        let (before, footer) = tail.split_at(tail.len() - FOOTER);
        if magic != MAGIC || footer[FOOTER - MAGIC.len()..] != MAGIC {
            return Err(not_format_1(&name, magic, &footer[FOOTER - MAGIC.len()..]));
        }
        if xxh3_64(&footer[..32]) != word(footer, 32) {
            return Err(corrupt(&format!("has a damaged footer at byte {footer_at}")));
        }
        let (top_at, top_len, top_sum, keys) = (word(footer, 0), word(footer, 8), word(footer, 16), word(footer, 24));
        if top_at.checked_add(top_len) != Some(footer_at) {
            return Err(corrupt("has a footer that does not fit its length"));
        }
        if keys != expected.keys {
            return Err(corrupt(&format!("holds {keys} keys in place of {}", expected.keys)));
        }
        let held = top_at.checked_sub(tail_at).and_then(|n| usize::try_from(n).ok());
        let mut read = Vec::new();
        let bytes = match held.and_then(|n| before.get(n..)) {
            Some(bytes) => bytes,
            None => {
                let len = usize::try_from(top_len).map_err(|_| corrupt("is too large for this machine"))?;
                read.resize(len, 0);
                read_at(&name, &*file, &mut read, top_at)?;
                &read
            }
        };
        if xxh3_64(bytes) != top_sum {
            return Err(corrupt(&format!("has a damaged index at byte {top_at}")));
        }
        let (last, partitions) =
            top(bytes, top_at).ok_or_else(|| corrupt(&format!("has a malformed index at byte {top_at}")))?;
        let first = partitions.first().map_or_else(String::new, |p| hex(&p.first));
        for (what, found, said) in [
            ("begins", first, &expected.first_key),
            ("ends", hex(&last), &expected.last_key),
        ] {
            if found != *said {
                return Err(corrupt(&format!("{what} with key {found} in place of {said}")));
            }
        }
        Ok(Self {
            name,
            file,
            far: place.is_far(),
            partitions,
            last,
            top_at,
            id: cache.number(),
            cache: cache.clone(),
            checksum: expected.checksum.clone(),
        })
    }

    pub(super) fn corrupt(&self, why: &str) -> Error {
        corrupt(&self.name, why)
    }

    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<()> {
        read_at(&self.name, &*self.file, bytes, at)
    }

    pub(super) fn read_many(&self, reads: &mut [(u64, Vec<u8>)]) -> Result<()> {
        match self.file.read_many(reads).map_err(|e| e.at("run"))? {
            Filled::Whole => Ok(()),
            Filled::Short => Err(self.corrupt("is shorter than it was")),
            Filled::Gone => Err(gone(&self.name)),
        }
    }

    /// Whether this is the run that a manifest means; names are unique, so it is unless a manifest was made by hand.
    pub(crate) fn is(&self, run: &RunFile) -> bool {
        self.checksum == run.checksum
    }

    /// Whether the file has no name any more; it keeps its space while it is open.
    pub(crate) fn is_deleted(&self) -> bool {
        self.file.is_deleted()
    }

    /// Checks a block and the checksum behind it, and its first key.
    pub(super) fn check_block(&self, meta: &Meta, i: usize, bytes: &[u8]) -> Result<()> {
        let block = &meta.blocks[i];
        let (at, len) = (block.offset, block.len);
        if xxh3_64(&bytes[..len]) != word(bytes, len) {
            return Err(self.corrupt(&format!("is damaged in the block at byte {at}")));
        }
        let (key, _) = entry(&bytes[..len], 0).ok_or_else(|| self.malformed(meta, i, 0))?;
        if bytes[key] != *meta.first(i) {
            return Err(self.corrupt(&format!("has a block at byte {at} that belongs elsewhere")));
        }
        Ok(())
    }

    /// The entries of a block.
    fn block(&self, meta: &Meta, i: usize, bytes: &mut Vec<u8>) -> Result<()> {
        self.cache.blocks.fetch_add(1, Relaxed);
        bytes.resize(meta.blocks[i].len + SUM, 0);
        self.read_at(bytes, meta.blocks[i].offset)?;
        self.check_block(meta, i, bytes)?;
        bytes.truncate(meta.blocks[i].len);
        Ok(())
    }

    /// An entry at `at` of a block cannot be decoded though the checksum fits.
    pub(super) fn malformed(&self, meta: &Meta, block: usize, at: usize) -> Error {
        let at = meta.blocks.get(block).map_or(0, |b| b.offset) + at as u64;
        self.corrupt(&format!("has a malformed entry at byte {at}"))
    }

    /// The last partition whose first key is not above `key`.
    pub(super) fn partition_of(&self, key: &[u8]) -> Option<usize> {
        self.partitions
            .partition_point(|p| p.first.as_slice() <= key)
            .checked_sub(1)
    }

    /// Calls `found` with the place in `keys` and the value of each key that is here. `keys` must ascend; equal ones may
    /// follow each other. Every block is read once, and passed once.
    ///
    /// # Errors
    /// `CorruptData` that names the file and the byte; `TryAgain` when the file is gone.
    pub(crate) fn get_sorted(&self, keys: &[&[u8]], found: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        if self.far && keys.len() > 1 {
            // So that not too many indexes are in memory at once.
            return keys
                .chunks(FAR_KEYS)
                .enumerate()
                .try_for_each(|(chunk, keys)| self.get_far(keys, &mut |n, value| found(chunk * FAR_KEYS + n, value)));
        }
        let mut partition: Option<(usize, Arc<Meta>)> = None;
        let (mut current, mut bytes, mut at) = (None, Vec::new(), 0);
        for (n, key) in keys.iter().enumerate() {
            let Some(p) = self.partition_of(key) else { continue };
            let meta = match &partition {
                Some((q, meta)) if *q == p => meta,
                _ => {
                    current = None;
                    &partition.insert((p, self.meta(p)?)).1
                }
            };
            if !meta.may_hold(key) {
                continue;
            }
            let i = meta.block_of(key);
            if current != Some(i) {
                self.block(meta, i, &mut bytes)?;
                (current, at) = (Some(i), 0);
            }
            if let Some(value) = self.seek(meta, i, &bytes, &mut at, key)? {
                found(n, &bytes[value]);
            }
        }
        Ok(())
    }

    /// Goes on from `at` in a block to the first key that is not below `key`; its value when it is that one.
    fn seek(&self, meta: &Meta, i: usize, bytes: &[u8], at: &mut usize, key: &[u8]) -> Result<Option<Range<usize>>> {
        while *at < bytes.len() {
            let (k, v) = entry(bytes, *at).ok_or_else(|| self.malformed(meta, i, *at))?;
            match bytes[k].cmp(key) {
                Ordering::Less => *at = v.end,
                Ordering::Equal => return Ok(Some(v)),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// [`get_sorted`](Self::get_sorted) where a question costs a round trip: first all indexes and filters that are not known,
    /// then all blocks, many at the same time.
    fn get_far(&self, keys: &[&[u8]], found: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        let homes: Vec<Option<usize>> = keys.iter().map(|key| self.partition_of(key)).collect();
        let mut partitions: Vec<usize> = homes.iter().flatten().copied().collect();
        partitions.dedup();
        let metas = self.metas(&partitions)?;
        // Each block, and which keys may be in it.
        let mut wanted: Vec<(&Meta, usize, Vec<usize>)> = Vec::new();
        for (n, (key, home)) in keys.iter().zip(&homes).enumerate() {
            let place = home.and_then(|p| partitions.binary_search(&p).ok());
            let Some(meta) = place.and_then(|at| metas.get(at)).filter(|meta| meta.may_hold(key)) else {
                continue;
            };
            let i = meta.block_of(key);
            match wanted.last_mut() {
                Some((last, j, of)) if std::ptr::eq(*last, &**meta) && *j == i => of.push(n),
                _ => wanted.push((meta, i, vec![n])),
            }
        }
        let mut wanted = wanted.as_slice();
        while !wanted.is_empty() {
            // At least one, and not much more than that of the largest.
            let mut sum = 0;
            let fits = |(meta, i, _): &&(&Meta, usize, Vec<usize>)| {
                sum += meta.blocks[*i].len;
                sum <= WIDTH * BLOCK
            };
            let n = wanted.iter().take(WIDTH).take_while(fits).count().max(1);
            let (now, later) = wanted.split_at(n);
            let of = |(meta, i, _): &(&Meta, usize, Vec<usize>)| {
                let block = &meta.blocks[*i];
                (block.offset, vec![0; block.len + SUM])
            };
            let mut reads: Vec<_> = now.iter().map(of).collect();
            self.cache.blocks.fetch_add(now.len() as u64, Relaxed);
            self.read_many(&mut reads)?;
            for ((meta, i, of), (_, bytes)) in now.iter().zip(&reads) {
                self.check_block(meta, *i, bytes)?;
                let (bytes, mut at) = (&bytes[..meta.blocks[*i].len], 0);
                for n in of {
                    if let Some(value) = self.seek(meta, *i, bytes, &mut at, keys[*n])? {
                        found(*n, &bytes[value]);
                    }
                }
            }
            wanted = later;
        }
        Ok(())
    }

    /// The entries from the first key at or above `from` on.
    pub(crate) fn scan(self: &Arc<Self>, from: &[u8]) -> Scan {
        Scan::new(self.clone(), self.partition_of(from).unwrap_or(0), from, false)
    }

    /// The same for few entries: index and filter are kept for the next who asks, as of point reads.
    pub(crate) fn scan_near(self: &Arc<Self>, from: &[u8]) -> Scan {
        Scan::new(self.clone(), self.partition_of(from).unwrap_or(0), from, true)
    }
}
