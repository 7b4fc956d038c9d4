//! Processes, and what they cost.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

/// Starts a child that ends with this process.
pub(super) fn spawn(command: Command) -> Result<Child> {
    rufous_integration_tests::kafka::process::spawn(command)
}

/// User and system seconds of a process and of its children that have ended.
pub(super) fn cpu(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path)?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((11..15).map(ticks).sum::<f64>() / 100.0)
}

/// What the machine itself takes away: how often loops that only read the clock, one a core, see it jump. On a shared host no tail of a load
/// can be shorter than that.
pub(super) fn gaps(lasting: Duration) -> Result<String> {
    let look = move || {
        let begun = Instant::now();
        let (mut last, mut found) = (begun, Vec::new());
        while last - begun < lasting {
            let now = Instant::now();
            if now - last > Duration::from_millis(1) {
                found.push(now - last);
            }
            last = now;
        }
        found
    };
    let cores = std::thread::available_parallelism()?.get();
    let loops: Vec<_> = (0..cores).map(|_| std::thread::spawn(look)).collect();
    let mut found = Vec::new();
    for one in loops {
        found.extend(one.join().map_err(|_| anyhow!("a loop over the clock has panicked"))?);
    }
    let lost: Duration = found.iter().sum();
    let most = found.iter().max().copied().unwrap_or_default();
    let share = 100.0 * lost.as_secs_f64() / (lasting.as_secs_f64() * cores as f64);
    Ok(format!(
        "the machine itself: {} gaps above 1 ms on {cores} cores in {} s, at most {:.1} ms, {share:.2} % of the time",
        found.len(),
        lasting.as_secs(),
        most.as_secs_f64() * 1e3
    ))
}
