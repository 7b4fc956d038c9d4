//! Index and filter of one partition.

use std::sync::Arc;

use rufous_core::Result;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::entry::{Block, Partition, blocks, word};
use super::reader::Reader;
use super::{SUM, filter};

/// So many pieces are asked for at the same time.
pub(super) const WIDTH: usize = 64;

/// Decoded; every byte was checked.
#[derive(Debug)]
pub(super) struct Meta {
    bytes: Vec<u8>,
    filter: std::ops::Range<usize>,
    pub(super) blocks: Vec<Block>,
}

impl Meta {
    pub(super) fn first(&self, block: usize) -> &[u8] {
        let key = self.blocks.get(block).map(|b| b.first.clone());
        key.and_then(|key| self.bytes.get(key)).unwrap_or_default()
    }

    /// The last block whose first key is not above `key`.
    pub(super) fn block_of(&self, key: &[u8]) -> usize {
        self.blocks
            .partition_point(|b| self.bytes[b.first.clone()] <= *key)
            .saturating_sub(1)
    }

    pub(super) fn filter(&self) -> &[u8] {
        self.bytes.get(self.filter.clone()).unwrap_or_default()
    }

    /// `false`: the key is surely absent.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        filter::may_hold(self.filter(), filter::hash(key))
    }

    /// What it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<Block>() + 128
    }
}

impl Reader {
    /// Reads index and filter of a partition; nothing is kept. `raw` gets their bytes as they are in the file.
    pub(super) fn load_meta(&self, i: usize, raw: Option<&mut Vec<u8>>) -> Result<Arc<Meta>> {
        let partition = &self.partitions[i];
        let mut bytes = vec![0; partition.meta()];
        self.read_at(&mut bytes, partition.index_at)?;
        if let Some(raw) = raw {
            raw.clone_from(&bytes);
        }
        self.decode_meta(i, bytes)
    }

    /// Checks index and filter of a partition as they are in the file.
    fn decode_meta(&self, i: usize, bytes: Vec<u8>) -> Result<Arc<Meta>> {
        let partition = &self.partitions[i];
        let Partition {
            index_at,
            index,
            filter,
            ..
        } = partition;
        let index_sum = word(&bytes, *index);
        let filter_at = index + SUM;
        let filter = filter_at..filter_at + filter;
        if xxh3_64(&bytes[..*index]) != index_sum {
            return Err(self.corrupt(&format!("has a damaged index at byte {index_at}")));
        }
        if xxh3_64_with_seed(&bytes[filter.clone()], index_sum) != word(&bytes, filter.end) {
            let at = index_at + filter_at as u64;
            return Err(self.corrupt(&format!("has a damaged filter at byte {at}")));
        }
        let malformed = || self.corrupt(&format!("has a malformed index at byte {index_at}"));
        let blocks = blocks(&bytes[..*index], partition).ok_or_else(malformed)?;
        let last = blocks.last().map(|b| &bytes[b.first.clone()]).unwrap_or_default();
        if last > self.last.as_slice() || self.partitions.get(i + 1).is_some_and(|next| *last >= *next.first) {
            return Err(malformed());
        }
        Ok(Arc::new(Meta { bytes, filter, blocks }))
    }

    /// Index and filter of a partition, kept for the next who asks.
    pub(super) fn meta(&self, i: usize) -> Result<Arc<Meta>> {
        let name = (self.id, i);
        if let Some(found) = self.cache.get(name) {
            return Ok(found);
        }
        let meta = self.load_meta(i, None)?;
        self.cache.put(name, meta.clone());
        Ok(meta)
    }

    /// The same of many partitions, which are asked for at the same time.
    pub(super) fn metas(&self, all: &[usize]) -> Result<Vec<Arc<Meta>>> {
        let mut found: Vec<_> = all.iter().map(|i| self.cache.get((self.id, *i))).collect();
        let missing: Vec<usize> = all
            .iter()
            .zip(&found)
            .filter(|(_, m)| m.is_none())
            .map(|(i, _)| *i)
            .collect();
        let mut missing = missing.as_slice();
        let mut read = Vec::new();
        while !missing.is_empty() {
            let (now, later) = missing.split_at(missing.len().min(WIDTH));
            let of = |i: &usize| (self.partitions[*i].index_at, vec![0; self.partitions[*i].meta()]);
            let mut reads: Vec<_> = now.iter().map(of).collect();
            self.read_many(&mut reads)?;
            for (i, (_, bytes)) in now.iter().zip(reads) {
                let meta = self.decode_meta(*i, bytes)?;
                self.cache.put((self.id, *i), meta.clone());
                read.push(meta);
            }
            missing = later;
        }
        let mut read = read.into_iter();
        found.iter_mut().filter(|m| m.is_none()).for_each(|m| *m = read.next());
        Ok(found.into_iter().flatten().collect())
    }

    /// The same for who passes by once: what others need stays.
    pub(super) fn meta_once(&self, i: usize) -> Result<Arc<Meta>> {
        self.cache.get((self.id, i)).map_or_else(|| self.load_meta(i, None), Ok)
    }
}
