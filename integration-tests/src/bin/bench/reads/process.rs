//! Processes, and what they cost.

use std::process::{Child, Command};

use anyhow::{Context, Result};

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
