//! A changed cut spec is new code (P40): its history is the archive of the code before it, cut again. Each spec has an archive
//! of its own; that of the first spec is named like the source.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::open::Context;
use super::out;
use crate::core::{Result, SourceFace};
use crate::realtime::{ArchiverOptions, Metrics, Recut};
use crate::store_api::{Archive, ManifestLog};
use crate::store_archive::ParquetArchive;

/// The name of the archive of a source under a spec that is not its first.
pub(super) fn name(source: &str, spec: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "=_.-".contains(c) {
            c
        } else {
            '-'
        }
    };
    // In a bucket's URL `@`, `?` and `#` mean something else.
    format!("{source}~{}", spec.chars().map(plain).collect::<String>())
}

/// The newest spec in the job's manifests that cut a source and is `wanted`.
fn find(context: &Context<'_>, face: &SourceFace, mut wanted: impl FnMut(&str) -> bool) -> Result<Option<String>> {
    let mut next = context.manifests.newest(0)?;
    while let Some(m) = next {
        if let Some(spec) = m.cut_specs.get(face.name).filter(|spec| wanted(spec)) {
            return Ok(Some(spec.clone()));
        }
        next = match m.number.checked_sub(1) {
            Some(number) => context.manifests.get(number)?,
            None => None,
        };
    }
    Ok(None)
}

/// The spec that the code before this one cut a source by, if that is another.
pub(super) fn before(context: &Context<'_>, face: &SourceFace) -> Result<Option<String>> {
    let spec = context.cut_spec(face)?;
    find(context, face, |other| other != spec)
}

/// Whether the archive of this code's spec is to be brought further first: says so.
pub(super) fn announce(context: &Context<'_>, face: &SourceFace) -> Result<bool> {
    let Some(other) = before(context, face)? else {
        return Ok(false);
    };
    let (from, to) = (context.archive_cut(face.name, &other)?, context.archive(face)?);
    if !behind(&*to, &*from)? {
        return Ok(false);
    }
    let spec = context.cut_spec(face)?;
    out::say(
        || {
            format!(
                "source `{}`: its archive is cut by `{other}`; a backfill cuts it again by `{spec}` first",
                face.name
            )
        },
        || json!({ "event": "recut", "source": face.name, "from": other, "to": spec }),
    );
    Ok(true)
}

/// The archives of a source: of this code's spec, of the first, and of every other in the job's manifests.
pub(super) fn all(context: &Context<'_>, face: &SourceFace) -> Result<Vec<Arc<ParquetArchive>>> {
    let mut names = std::collections::BTreeSet::from([face.name.to_string()]);
    names.insert(name(face.name, &context.cut_spec(face)?));
    find(context, face, |spec| {
        names.insert(name(face.name, spec));
        false
    })?;
    let mut found = Vec::new();
    for name in names {
        let archive = context.archive_named(face.name, &name)?;
        if name == face.name || !archive.partitions()?.is_empty() {
            found.push(Arc::new(archive));
        }
    }
    Ok(found)
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
        context.cut_spec(face)?
    );
    let recut = Recut {
        face,
        from,
        format: context.format(face),
        has_time: context.has_time(face)?,
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

#[cfg(test)]
mod tests {
    use crate::core::{Batcher, Clock, CutSpec};

    /// Names of directories and of objects: no character that a URL takes for something else, and another spec has another name.
    #[test]
    fn names() {
        let specs =
            [Clock::Event, Clock::Log].map(|clock| [1, 3].map(|n| CutSpec::new(clock, Batcher::of_hours(n)).text()));
        let names: std::collections::BTreeSet<_> = specs.iter().flatten().map(|spec| super::name("s", spec)).collect();
        assert_eq!(names.len(), 4);
        for name in names {
            assert!(
                name.starts_with("s~") && !name.contains(['?', '#', '@', '/', ' ']),
                "{name}"
            );
        }
    }
}
