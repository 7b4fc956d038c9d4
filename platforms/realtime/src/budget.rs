//! One budget of memory for a process, and how it is split.
//!
//! | part | of what is left after [`FIXED`] | what it bounds |
//! |---|---|---|
//! | combining maps | 1/12 each | two sets: one fills while the other is written |
//! | writing one set | 5/12 | the sorted list of its cells, the encoded write, the same in the store's memtable, and the room that growing buffers leave |
//! | reading ahead | 2/12 | what clients of a log hold, all sources and both readers of each |
//! | archivers | 1/12 | records that wait for their file, and the file's columns |
//! | store | 2/12 | blocks that were read, indexes, filters, and memtables |
//!
//! The parts are limits, not reservations. What cannot be cut in pieces may exceed its part: one record, one value, one commit of
//! a single key. A process that only archives gives the parts of maps and store to readers and archivers.

use rufous_core::{Error, Result};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// What a process has without any state: the program's pages, threads, the libraries' own structures.
pub const FIXED: usize = 64 * MIB;
/// The least budget.
pub const LEAST: usize = 128 * MIB;
/// The budget of a process that nobody gave one.
pub const DEFAULT: usize = GIB;

/// How many bytes a process may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget(usize);

/// Who shares a budget.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// Sources that are read.
    pub sources: usize,
    /// Whether the job runs.
    pub stream: bool,
    /// Whether the archivers run.
    pub archive: bool,
    /// Bytes that the user gave to maps of single stores and steps.
    pub own: usize,
}

/// Everybody's part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// What one set of combining maps may hold before it is written, without those that have a limit of their own.
    pub maps: usize,
    /// What one client of a log may read ahead.
    pub prefetch: usize,
    /// What one archiver may hold, over all its partitions.
    pub archiver: usize,
    /// The store.
    pub store: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Budget {
    /// A budget of this many bytes.
    ///
    /// # Errors
    /// When it is below [`LEAST`].
    pub fn new(bytes: usize) -> Result<Self> {
        if bytes < LEAST {
            return Err(Error::invalid(format!(
                "a memory budget of {} is too small: give at least {}",
                show(bytes),
                show(LEAST)
            )));
        }
        Ok(Self(bytes))
    }

    /// Reads `512MiB`, `2GiB`, `200000KiB`.
    ///
    /// # Errors
    /// When it is something else, or below [`LEAST`].
    pub fn parse(text: &str) -> Result<Self> {
        let unit = [("KiB", KIB), ("MiB", MIB), ("GiB", GIB)]
            .into_iter()
            .find_map(|(unit, size)| Some((text.trim().strip_suffix(unit)?, size)));
        let bytes = unit.and_then(|(n, size)| n.trim().parse::<usize>().ok()?.checked_mul(size));
        let bytes = bytes.ok_or_else(|| {
            Error::invalid(format!(
                "memory `{text}`: write a whole number and KiB, MiB or GiB: 512MiB"
            ))
        })?;
        Self::new(bytes)
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        self.0
    }

    /// Everybody's part.
    ///
    /// # Errors
    /// When single stores and steps were given more than all maps have.
    pub fn split(self, users: &Users) -> Result<Shares> {
        let part = (self.0 - FIXED.min(self.0)) / 12;
        let sources = users.sources.max(1);
        let clients = sources * (usize::from(users.stream) + usize::from(users.archive)).max(1);
        let (reading, archiving) = match (users.stream, users.archive) {
            (true, true) => (2 * part, part),
            (true, false) => (3 * part, 0),
            _ => (4 * part, 8 * part),
        };
        let maps = part;
        if users.own > maps / 4 * 3 {
            return Err(Error::invalid(format!(
                "settings: stores and steps have {} of their own (`memory_mib`); of a memory budget of {} at most {} can be given away: lower them, or raise `--memory`",
                show(users.own),
                show(self.0),
                show(maps / 4 * 3)
            )));
        }
        Ok(Shares {
            maps: maps - users.own,
            // A client holds what it read ahead, one answer on its way, and the batch that is being worked on.
            prefetch: reading / clients / 2,
            // A file's columns are built beside the records that go into it.
            archiver: archiving / sources / 2,
            store: 2 * part,
        })
    }
}

fn show(bytes: usize) -> String {
    if bytes >= MIB {
        format!("{}MiB", bytes / MIB)
    } else {
        format!("{}KiB", bytes / KIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(Budget::parse("512MiB").unwrap().bytes(), 512 << 20);
        assert_eq!(Budget::parse(" 2 GiB").unwrap().bytes(), 2 << 30);
        assert_eq!(Budget::parse("200000KiB").unwrap().bytes(), 200_000 << 10);
        for bad in [
            "",
            "512",
            "512MB",
            "MiB",
            "-1GiB",
            "1.5GiB",
            "99999999999999999999GiB",
            "18014398509481984KiB",
        ] {
            let e = Budget::parse(bad).unwrap_err().to_string();
            assert!(e.contains("write a whole number"), "{bad}: {e}");
        }
        let e = Budget::parse("64MiB").unwrap_err().to_string();
        assert!(e.contains("64MiB is too small: give at least 128MiB"), "{e}");
    }

    /// All parts together never exceed the budget, whoever shares it.
    #[test]
    fn the_parts_fit() {
        for total in [LEAST, 512 * MIB, 7 * GIB] {
            for (stream, archive) in [(true, true), (true, false), (false, true)] {
                for sources in [1, 3, 40] {
                    let users = Users {
                        sources,
                        stream,
                        archive,
                        own: 0,
                    };
                    let s = Budget::new(total).unwrap().split(&users).unwrap();
                    let clients = sources * (usize::from(stream) + usize::from(archive));
                    let mut all = FIXED + 2 * clients * s.prefetch;
                    if archive {
                        all += 2 * sources * s.archiver;
                    }
                    if stream {
                        all += 2 * s.maps + 5 * s.maps + s.store;
                    }
                    assert!(all <= total, "{total} {users:?}: {all}");
                    assert!(all >= total / 8 * 7, "{total} {users:?}: {all}");
                }
            }
        }
        let users = Users {
            sources: 1,
            stream: true,
            archive: true,
            own: 8 * MIB,
        };
        let e = Budget::new(LEAST).unwrap().split(&users).unwrap_err();
        assert!(e.to_string().contains("lower them, or raise `--memory`"), "{e}");
        assert_eq!(Budget::default().split(&users).unwrap().maps, 72 * MIB);
    }
}
