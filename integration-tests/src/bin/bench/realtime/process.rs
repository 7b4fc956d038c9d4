//! Subjects as processes of their own, their CPU seconds as the system counted them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What a subject said, and what the system says of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) records: f64,
    /// From the warm mark to the end.
    pub(super) warm_records: f64,
    pub(super) warm_wall: f64,
    pub(super) warm_cpu: f64,
    /// CPU seconds of the whole process, its start and the writing of totals included.
    pub(super) whole_cpu: f64,
    /// The peak of resident memory, in MiB.
    pub(super) peak_mb: f64,
    pub(super) exact: bool,
}

impl Outcome {
    pub(super) fn per_second(&self) -> f64 {
        self.warm_records / self.warm_wall
    }
    pub(super) fn per_cpu_second(&self) -> f64 {
        self.warm_records / self.warm_cpu
    }
}

/// Runs a subject to its end; what it prints on standard error is shown.
pub(super) fn run(mut command: Command, totals: &Path, exact: impl FnOnce(&[u8]) -> bool) -> Result<Outcome> {
    let before = children_cpu();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{command:?} ended with {}: {text}", output.status);
    }
    let line = text
        .lines()
        .find(|l| l.starts_with("result "))
        .with_context(|| format!("no result in: {text}"))?;
    let value = |name: &str| -> Result<f64> {
        let found = line
            .split_whitespace()
            .find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
        Ok(found.with_context(|| format!("no {name} in: {line}"))?.parse()?)
    };
    let lines = std::fs::read(totals).with_context(|| totals.display().to_string())?;
    std::fs::remove_file(totals)?;
    Ok(Outcome {
        records: value("records")?,
        warm_records: value("records")? - value("warm_records")?,
        warm_wall: value("wall")? - value("warm_wall")?,
        warm_cpu: value("cpu")? - value("warm_cpu")?,
        whole_cpu: children_cpu() - before,
        peak_mb: value("peak_mb")?,
        exact: exact(&lines),
    })
}

/// User and system seconds of the children that were waited for.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / 100.0
}

/// A program that is built beside this one.
pub(super) fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!(
            "{} is not built: run `./x bench realtime`, which builds it",
            path.display()
        );
    }
    Ok(path)
}
