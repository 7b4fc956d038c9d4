//! What the operating system says about this process. On systems without `/proc` it says nothing.

use std::fs;

/// Ticks in a second of the times in `/proc`: the kernel's promise to user programs, on every architecture.
const TICKS: f64 = 100.0;

/// One look at this process. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) peak_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_fds: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Seconds since 1970.
    pub(super) started: Option<f64>,
}

impl Process {
    pub(super) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib << 10),
            peak_bytes: field(&status, "VmHWM:").map(|kib| kib << 10),
            cpu_seconds: ticks(&stat, 11)
                .zip(ticks(&stat, 12))
                .map(|(user, system)| user + system),
            // The look itself has one of them open.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|d| (d.count() as u64).saturating_sub(1)),
            threads: field(&status, "Threads:"),
            started: boot().zip(ticks(&stat, 19)).map(|(boot, after)| boot + after),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A time in `stat`, by its place after the program's name, which stands in parentheses and may hold spaces: 11 and 12 are
/// user and system time, 19 is the start after the boot.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(field)?.parse().ok()?;
    Some(ticks as f64 / TICKS)
}

/// When the machine started.
fn boot() -> Option<f64> {
    Some(field(&fs::read_to_string("/proc/stat").ok()?, "btime")? as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 700 2 3";
        assert_eq!((ticks(stat, 11), ticks(stat, 12)), (Some(1.5), Some(0.5)));
        assert_eq!(ticks(stat, 19), Some(7.0));
        assert_eq!(ticks("nothing", 11), None);
        assert_eq!(field("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
    }
}
