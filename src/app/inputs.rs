//! Where the sources are for a bulk run, and what the command line says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cli::Bulk;
use super::location::{Files, Place};
use super::open::Context;
use super::settings::OnBad;
use crate::core::{BatchId, Error, Result, SourceFace};
use crate::platform_parquet::input::InputFile;
use crate::platform_parquet::input::{endings, listing, local::LocalFiles, storage::Storage};
use crate::platform_parquet::{BatchOptions, BulkInput};
use crate::store_api::{Manifest, Window};

pub(super) fn bulk_inputs(context: &Context<'_>, current: Option<&Manifest>) -> Result<BTreeMap<String, BulkInput>> {
    let mut inputs = BTreeMap::new();
    for face in context.plan.sources() {
        let input = match context.locations.get(face.name).map(|l| &l.place) {
            Some(Place::Parquet(files)) => BulkInput::Parquet(list(context, face, files, ".parquet")?),
            Some(Place::Bulk(place)) => {
                let (files, format) = (list(context, face, place, "")?, context.format(face));
                // Who names one file and its format has looked at both.
                let said = context.locations.get(face.name).is_some_and(|l| l.said);
                if !(said && place.is(&files)) {
                    endings::check(&files, format).map_err(|e| e.at(format_args!("source `{}`", face.name)))?;
                }
                BulkInput::Files { files, format }
            }
            _ => {
                let spec = match current.and_then(|m| m.cut_specs.get(face.name)) {
                    Some(spec) => spec.clone(),
                    None => context.cut_spec(face)?,
                };
                BulkInput::Archive {
                    archive: context.archive_cut(face.name, &spec)?,
                    format: context.format(face),
                    cut_spec: spec,
                }
            }
        };
        inputs.insert(face.name.to_string(), input);
    }
    Ok(inputs)
}

/// The files of a bounded input whose names end in `ending`.
pub(super) fn list(context: &Context<'_>, face: &SourceFace, files: &Files, ending: &str) -> Result<Vec<InputFile>> {
    let (storage, path) = open(context, face, files)?;
    listing::files(&storage, &path, ending).map_err(|e| e.at(format_args!("source `{}`", face.name)))
}

impl Files {
    /// Whether it names a file, and no directory.
    fn is(&self, found: &[InputFile]) -> bool {
        let path = match self {
            Self::Local(path) => path.as_path(),
            Self::S3 { name, .. } => Path::new(name),
        };
        matches!(found, [file] if file.path() == path)
    }
}

fn open(context: &Context<'_>, face: &SourceFace, files: &Files) -> Result<(Arc<dyn Storage>, PathBuf)> {
    match files {
        Files::Local(path) => Ok((Arc::new(LocalFiles), path.clone())),
        Files::S3 { bucket, name } => Ok((s3(context, face, &format!("s3://{bucket}"))?, name.into())),
    }
}

#[cfg(feature = "s3")]
fn s3(context: &Context<'_>, face: &SourceFace, bucket: &str) -> Result<Arc<dyn Storage>> {
    let own = context.settings.sources.get(face.name);
    let options = own.map_or_else(|| Ok(BTreeMap::new()), |s| s.options.all())?;
    let remote = rufous_place::s3::open(bucket, &options, &format!("sources.{}", face.name))?;
    Ok(Arc::new(crate::platform_parquet::input::objects::Objects::new(remote)))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &Context<'_>, face: &SourceFace, bucket: &str) -> Result<Arc<dyn Storage>> {
    Err(Error::invalid(format!(
        "source `{}`: {bucket}: this binary was built without the feature `s3`",
        face.name
    )))
}

/// `--since` and `--until`: event time of bounded inputs, batches of archives.
///
/// # Errors
/// When the batches of archives cannot be named by it.
pub(super) fn span(
    context: &Context<'_>,
    inputs: &BTreeMap<String, BulkInput>,
    options: &Bulk,
) -> Result<(Option<Window>, Option<BatchId>)> {
    let (since, until) = (options.since, options.until);
    if since.is_none() && until.is_none() {
        return Ok((None, None));
    }
    if since.is_some() || inputs.values().any(BulkInput::is_bounded) {
        return Ok((Some(Window { since, until }), None));
    }
    let batches = context.plan.sources().iter().map(|face| {
        let spec = match inputs.get(face.name) {
            Some(BulkInput::Archive { cut_spec, .. }) => cut_spec.as_str(),
            _ => "",
        };
        let batch = until.and_then(|until| face.batcher().batch_of(until));
        batch.filter(|_| !spec.contains("clock=offset")).ok_or_else(|| {
            Error::invalid(format!(
                "source `{}` is cut into batches by offsets, so no time names one of them: leave out --until",
                face.name
            ))
        })
    });
    let batches = batches.collect::<Result<BTreeSet<BatchId>>>()?;
    match batches.len() {
        1 => Ok((None, batches.into_iter().next())),
        _ => Err(Error::invalid(
            "the sources have batches of different lengths, so one time names different ones: leave out --until",
        )),
    }
}

/// What the command line says of a bulk run.
pub(super) fn bulk_options(context: &Context<'_>, options: &Bulk) -> BatchOptions {
    // Dead letters are written live; here the same records are left out and counted.
    let skips = context.plan.sources().iter().map(|s| {
        let skips = super::bad::policy(context, s.name) != OnBad::Fail;
        (s.name.to_string(), skips)
    });
    BatchOptions {
        threads: options.threads,
        memory: context.budget.bytes(),
        spill_dir: context.layout.root().join("tmp"),
        keep: super::gc::keep(context),
        written_to: super::sinks::written_to(context),
        skip_bad_of: skips.collect(),
        ..BatchOptions::default()
    }
}
