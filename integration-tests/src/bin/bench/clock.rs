//! What a run cost.

use std::time::Instant;

/// Wall and CPU seconds, and the peak of resident memory, of this process.
pub(crate) struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }
    /// Seconds of wall and CPU since the start.
    pub(crate) fn stop(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu)
    }
}

pub(crate) fn print(what: &str, unit: &str, n: u64, (wall, cpu): (f64, f64), exact: bool) {
    println!(
        "{what}: {n} {unit} in {wall:.2} s wall, {cpu:.2} s CPU: {:.2} M {unit}/s, {:.2} M {unit}/CPU-s; exact: {}; peak {} MB",
        n as f64 / wall / 1e6,
        n as f64 / cpu / 1e6,
        if exact { "yes" } else { "NO" },
        peak_mb()
    );
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The peak of resident memory in MiB.
pub(crate) fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
