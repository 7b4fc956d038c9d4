//! The keys at which several threads divide the work.

use super::List;

/// A list in memory is sampled so often that a sample stands for about this many bytes: as many as a block of a file has.
const SAMPLE: usize = super::file::BLOCK;

/// Below so many bytes a second thread is not worth a second run, which every read has to look into.
const WORTH: u64 = 8 << 20;

/// At most `threads - 1` keys, ascending, that part the pairs into pieces of about the same size.
pub(super) fn splits(lists: &[&List], threads: usize) -> Vec<Vec<u8>> {
    let bytes: u64 = lists.iter().map(|list| list.bytes()).sum();
    let threads = threads.min(usize::try_from(bytes / WORTH).unwrap_or(usize::MAX)).max(1);
    let mut samples: Vec<&[u8]> = Vec::new();
    for list in lists {
        match list {
            List::Memory(sorted) => {
                let step = (sorted.len() * SAMPLE / sorted.bytes().max(1)).max(1);
                samples.extend((0..sorted.len()).step_by(step).filter_map(|i| Some(sorted.get(i)?.0)));
            }
            List::File(file) => samples.extend(file.blocks.iter().map(|b| &*b.first)),
        }
    }
    samples.sort_unstable();
    let mut splits: Vec<Vec<u8>> = (1..threads)
        .filter_map(|i| samples.get(samples.len() * i / threads))
        .map(|key| key.to_vec())
        .collect();
    splits.dedup();
    // Nothing is below the first sample.
    splits.retain(|key| samples.first().is_some_and(|first| *first != key.as_slice()));
    splits
}
