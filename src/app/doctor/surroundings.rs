//! What a job stands on: directories, disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Checks;
use crate::app::location::ArchivePlace;
use crate::app::open::Context;
use crate::core::sink::SinkPlace;
use crate::core::{Error, Result};
use crate::store_api::Manifest;

/// Below this nothing can be written for long, unless another bound is said.
const LEAST_FREE: u64 = 256 << 20;

/// The directories that the job writes to, and what for.
fn places(context: &Context<'_>) -> Vec<(&'static str, PathBuf)> {
    let mut all = vec![("data", context.layout.root().to_path_buf())];
    let settings = context.settings;
    for (what, section, place) in [
        ("archive", "archive", &settings.archive),
        ("generations", "offline", &settings.offline),
    ] {
        let place = place.location.as_deref().map(|l| ArchivePlace::parse(l, section));
        if let Some(Ok(ArchivePlace::Dir(dir))) = place {
            all.push((what, dir.join(context.layout.instance())));
        }
    }
    for (name, _) in context.plan.sinks() {
        if let Some(SinkPlace::Files(dir)) = context.sinks.get(name).map(|b| &b.place) {
            all.push(("sink", dir.into()));
        }
    }
    all
}

/// The place itself, or what it would be made in.
pub(super) fn present(path: &Path) -> PathBuf {
    let mut at = path;
    while !at.as_os_str().is_empty() && !at.exists() {
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    if at.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        at.to_path_buf()
    }
}

/// Writes a file, asks when it was written by the clock of where it is, and takes it away.
pub(super) fn probe(dir: &Path) -> std::io::Result<SystemTime> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&path, b"doctor").and_then(|()| fs::metadata(&path)?.modified());
    let removed = fs::remove_file(&path);
    let at = written?;
    removed.map(|()| at)
}

/// Whether a directory can be written, as far as its permissions say.
fn may_write(dir: &Path) -> std::io::Result<()> {
    Ok(rustix::fs::access(dir, rustix::fs::Access::WRITE_OK)?)
}

/// Every directory can be written, and read. Without probes only what the permissions say is looked at.
pub(super) fn directories(context: &Context<'_>, probes: bool, checks: &mut Checks<'_>) {
    for (what, path) in places(context) {
        let at = present(&path);
        let what = format!("permissions of {what}");
        let user = || format!("let the user that runs the job write {}", at.display());
        if !at.is_dir() {
            let e = Error::invalid(format!("{} is no directory", at.display()));
            checks.fail(
                &what,
                e.repaired_by(format!("move it away: {} is to lie there", path.display())),
            );
        } else if let Err(e) = fs::read_dir(&at) {
            let e = Error::io("cannot read", &at, e);
            checks.fail(
                &what,
                e.repaired_by(format!("let the user that runs the job read {}", at.display())),
            );
        } else if let Err(e) = if probes { probe(&at).map(drop) } else { may_write(&at) } {
            let said = format!(
                "cannot write {}: {e}; commands that only read work: {}",
                at.display(),
                user()
            );
            checks.warn(&what, &said);
        } else if !probes {
            let said = format!(
                "{} can be read, and its permissions let it be written; not tried here: `doctor` tries it",
                at.display()
            );
            checks.ok(&what, &said);
        } else if at == path {
            checks.ok(&what, &format!("{} can be read and written", path.display()));
        } else {
            checks.ok(&what, &format!("{} is made with the first write", path.display()));
        }
    }
}

/// Room for what is written next: a generation is written beside the one before, and the live part merges its files.
pub(super) fn disk(context: &Context<'_>, manifest: Option<&Manifest>, min_free: Option<u64>, checks: &mut Checks<'_>) {
    let runs = manifest
        .into_iter()
        .flat_map(|m| m.stores.values())
        .flat_map(|s| &s.runs);
    let generation: u64 = runs.map(|run| run.bytes).sum();
    // How large it is beside what else is said of it does not matter where it cannot be asked.
    let state = context.state.namespaces();
    let without = if state.is_err() {
        ", without the realtime state, which cannot be asked"
    } else {
        ""
    };
    let state: u64 = state.unwrap_or_default().iter().map(|found| found.bytes).sum();
    let needed = generation.saturating_add(state).max(LEAST_FREE);
    for (what, path) in places(context) {
        let (at, what) = (present(&path), format!("disk of {what}"));
        match free(&at) {
            Err(e) => checks.fail(&what, Error::io("cannot ask for free space of", &at, e)),
            Ok(free) => {
                let least = min_free.unwrap_or(LEAST_FREE);
                let place = format!("{} free below {}", size(free), path.display());
                if free < least {
                    let e = Error::try_again(format!("{place}, and at least {} are asked for", size(least)));
                    checks.fail(
                        &what,
                        e.repaired_by("delete what is not needed (`gc`, `sweep`), or give it more room"),
                    );
                } else if free < needed {
                    let said = format!(
                        "{place}, and the next generation and the live part may take {}: `gc` and `sweep` make room",
                        size(needed)
                    );
                    checks.warn(&what, &said);
                } else {
                    checks.ok(&what, &format!("{place}{without}"));
                }
            }
        }
    }
}

/// What a user who is no administrator may still write.
fn free(at: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(at)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{bytes} bytes"),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// `--min-free`.
///
/// # Errors
/// `InvalidRequest` with the forms.
pub(in crate::app) fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let found = units.into_iter().find_map(|(unit, bits)| {
        let n = text.trim().strip_suffix(unit)?.trim().parse::<u64>().ok()?;
        n.checked_mul(1 << bits)
    });
    found.ok_or_else(|| "write a whole number and KiB, MiB, GiB or TiB, as in 10GiB".into())
}
