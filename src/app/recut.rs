//! A changed cut spec is new code (P40): its history is the archive of the code before it, cut again. Each spec has an archive
//! of its own; that of the first spec is named like the source.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::open::Context;
use crate::core::{Result, SourceFace};
use crate::realtime::{ArchiverOptions, Metrics, Recut};
use crate::store_api::{Archive, ManifestLog};

/// The name of the archive of a source under a spec that is not its first.
pub(super) fn name(source: &str, spec: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "=_.-".contains(c) {
            c
        } else {
            '-'
        }
    };
    format!("{source}@{}", spec.chars().map(plain).collect::<String>())
}

/// The spec that the code before this one cut a source by, if that is another: the newest in the job's manifests.
pub(super) fn before(context: &Context<'_>, face: &SourceFace) -> Result<Option<String>> {
    let spec = context.cut_spec(face);
    let mut next = context.manifests.newest(0)?;
    while let Some(m) = next {
        if let Some(other) = m.cut_specs.get(face.name).filter(|other| **other != spec) {
            return Ok(Some(other.clone()));
        }
        next = match m.number.checked_sub(1) {
            Some(number) => context.manifests.get(number)?,
            None => None,
        };
    }
    Ok(None)
}

/// Brings the archive of this code's spec as far as that of the spec before it.
pub(super) fn catch_up(
    context: &Context<'_>,
    face: &SourceFace,
    metrics: &Arc<Metrics>,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    let Some(other) = before(context, face)? else {
        return Ok(());
    };
    let (from, to) = (context.archive_cut(face.name, &other)?, context.archive(face)?);
    if !behind(&*to, &*from)? {
        return Ok(());
    }
    tracing::info!(
        source = face.name,
        "the archive is cut again: by `{}`, it was cut by `{other}`",
        context.cut_spec(face)
    );
    let recut = Recut {
        face,
        from,
        format: context.format(face),
        has_time: context.has_time(face),
        to,
        metrics: metrics.clone(),
    };
    let report = recut.run(ArchiverOptions {
        buffer: context.shares.archiver,
        stop: stop.clone(),
        ..ArchiverOptions::default()
    })?;
    tracing::info!(
        source = face.name,
        "the archive was cut again: {} records, {} entries",
        report.records,
        report.commits
    );
    Ok(())
}

/// Whether one archive of a source ends before another one.
fn behind(one: &dyn Archive, other: &dyn Archive) -> Result<bool> {
    for partition in other.partitions()? {
        let end = |archive: &dyn Archive| Ok(archive.last(partition, 0)?.map_or(0, |(_, last)| last.to));
        if end(one)? < end(other)? {
            return Ok(true);
        }
    }
    Ok(false)
}
