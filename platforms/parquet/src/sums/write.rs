//! Files out of lists.

use rufous_core::panics::{Panicked, catch};
use rufous_core::{Error, Result};

use super::merge::Merge;
use super::split::splits;
use super::target::Target;
use super::{List, SpillDir, SpillWriter};

/// So many lists are read at once; more are added up to fewer before. One costs a block of memory.
const WIDTH: usize = 256;

/// Writes the sum of all lists, which are in the order in which they were made, as files that share no key: one, or one a
/// thread when they are large.
///
/// # Errors
/// When something cannot be read or written; nothing is left behind then. `Panicked`: the job's sum did.
pub(crate) fn write<T: Target>(
    lists: Vec<List>,
    target: &T,
    dir: &SpillDir,
    threads: usize,
) -> Result<Result<Vec<T::File>>, Panicked> {
    write_split(lists, None, WIDTH, target, dir, threads)
}

/// The same, parted at these keys, and so many lists at once.
pub(super) fn write_split<T: Target>(
    mut lists: Vec<List>,
    given: Option<&[&[u8]]>,
    width: usize,
    target: &T,
    dir: &SpillDir,
    threads: usize,
) -> Result<Result<Vec<T::File>>, Panicked> {
    // O2: which partition a key came from is looked at in the last merge, so lists of several are not added up before it. Values
    // of such stores commute.
    lists.sort_by_key(List::domain);
    while lists.len() > width {
        let (mut fewer, before) = (Vec::new(), lists.len());
        // Neighbours, so that the order is kept.
        while !lists.is_empty() {
            let domain = lists.first().and_then(List::domain);
            let of_it = lists.iter().take_while(|l| l.domain() == domain).count();
            let rest = lists.split_off(width.min(of_it));
            if lists.len() == 1 {
                fewer.append(&mut lists);
                lists = rest;
                continue;
            }
            match catch(|| shorten(&lists, target, dir))? {
                Ok(list) => fewer.push(list),
                Err(e) => return Ok(Err(e)),
            }
            lists = rest;
        }
        lists = fewer;
        // More partitions than lists at once: the merge is as wide as they are many.
        if lists.len() == before {
            break;
        }
    }
    let lists: Vec<&List> = lists.iter().collect();
    let splits = splits(&lists, threads);
    let splits: Vec<&[u8]> = given.map_or_else(|| splits.iter().map(Vec::as_slice).collect(), <[_]>::to_vec);
    let ranges = (0..=splits.len()).map(|i| (i.checked_sub(1).map(|i| splits[i]), splits.get(i).copied()));
    let written = std::thread::scope(|scope| {
        let threads: Vec<_> = ranges
            .map(|(from, to)| {
                let lists = &lists;
                scope.spawn(move || catch(|| target.write(Merge::new(lists, from, to)?)))
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|_| Ok(Err(Error::bug("a thread that adds up sums panicked"))))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>, Panicked>>()
    })?;
    Ok(written
        .into_iter()
        .collect::<Result<Vec<_>>>()
        .map(|runs| runs.into_iter().flatten().collect()))
}

fn shorten(lists: &[List], target: &impl Target, dir: &SpillDir) -> Result<List> {
    let domain = lists.first().and_then(List::domain);
    let lists: Vec<&List> = lists.iter().collect();
    let mut merge = Merge::new(&lists, None, None)?;
    let mut writer = SpillWriter::create(dir)?;
    while let Some((key, value)) = merge.next(target)? {
        writer.push(key, value)?;
    }
    let mut file = writer.finish()?;
    file.domain = domain;
    Ok(List::File(file))
}
