//! What a process costs, as the system sees it.

use std::fs;

/// Resident memory in KiB and open files of a process; `None` when it is not there.
pub(super) fn of(id: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let rss = line.split_whitespace().nth(1)?.parse().ok()?;
    let files = fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64;
    Some((rss, files))
}

/// The median of some numbers; 0 of none.
pub(super) fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Whether numbers taken in the course of a run grew by more than a fifth, and by more than `slack`, from its first quarter to
/// its last; both medians.
pub(super) fn growth(samples: &[u64], slack: u64) -> (bool, u64, u64) {
    let quarter = samples.len() / 4;
    let (first, last) = (median(&samples[..quarter]), median(&samples[samples.len() - quarter..]));
    (last * 5 > first * 6 && last > first + slack, first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the soak fails by: a fifth more, from the first quarter to the last.
    #[test]
    fn a_fifth_is_the_limit() {
        let samples = |last: u64| [vec![1_000; 10], vec![5_000; 20], vec![last; 10]].concat();
        assert_eq!(growth(&samples(1_200), 0), (false, 1_000, 1_200));
        assert_eq!(growth(&samples(1_201), 0), (true, 1_000, 1_201));
        assert_eq!(growth(&samples(1_201), 300), (false, 1_000, 1_201));
        assert_eq!(growth(&[], 0), (false, 0, 0));
    }
}
