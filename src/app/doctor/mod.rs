//! `doctor`: whether all can be reached and fits together; each line says what to do where something does not.
//!
//! - here: sources, sinks, manifests, stores, answers; `reach`: what the log keeps against what was read, the archive, the live state;
//! - `surroundings`: directories, disk, clock.

mod reach;
mod surroundings;

use serde_json::json;

pub(super) use surroundings::parse_size;

use super::location::{Files, Place};
use super::open::{Context, Reads};
use super::out;
use crate::core::{Error, ErrorKind, Result, SourceFace};
use crate::store_api::{GenerationStore, Manifest, ManifestLog, records};

/// What is asked for.
pub(super) struct Options {
    /// Every setting and its origin, first.
    pub(super) verbose: bool,
    /// Bytes that must be free where the job writes.
    pub(super) min_free: Option<u64>,
    /// Every byte of the current generation is read, and not only lengths, first and last blocks.
    pub(super) checksums: bool,
}

/// Says each check as it is made.
#[derive(Default)]
pub(super) struct Checks {
    worst: Option<Error>,
}

/// The worse comes later.
fn rank(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::TryAgain => 0,
        ErrorKind::InvalidRequest => 1,
        ErrorKind::Closed => 2,
        ErrorKind::Incomplete => 3,
        ErrorKind::CorruptData => 4,
        _ => 5,
    }
}

impl Checks {
    fn ok(&self, what: &str, found: &str) {
        out::say(
            || format!("ok    {what}: {found}"),
            || json!({ "event": "check", "status": "ok", "check": what, "says": found }),
        );
    }
    /// What works now, and may not later.
    fn warn(&self, what: &str, found: &str) {
        out::say(
            || match what {
                "" => format!("warn  {found}"),
                what => format!("warn  {what}: {found}"),
            },
            || json!({ "event": "check", "status": "warn", "check": what, "says": found }),
        );
    }
    fn fail(&mut self, what: &str, e: Error) {
        out::say(
            || format!("FAIL  {what}: {e}"),
            || {
                let said = out::error(&e);
                let (kind, repair) = (&said["error"]["kind"], said["error"].get("repair"));
                json!({ "event": "check", "status": "fail", "check": what, "says": e.to_string(), "kind": kind, "repair": repair })
            },
        );
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| rank(worst.kind()) < rank(e.kind()))
        {
            self.worst = Some(e);
        }
    }
    fn check(&mut self, what: &str, result: Result<String>) {
        match result {
            Ok(found) => self.ok(what, &found),
            Err(e) => self.fail(what, e),
        }
    }
    /// # Errors
    /// The worst, of its kind.
    fn done(self) -> Result<()> {
        match self.worst {
            None => Ok(()),
            Some(worst) => Err(Error::new(worst.kind(), format!("not all is well: {worst}"))),
        }
    }
}

pub(super) fn doctor(context: &Context<'_>, options: &Options) -> Result<()> {
    let mut checks = Checks::default();
    if options.verbose {
        super::config::config(&context.settings.layers, false, Some("setting"));
    }
    for face in context.plan.sources() {
        source(context, face, &mut checks);
    }
    match super::order::warnings(context) {
        Ok(all) => all.iter().for_each(|warning| checks.warn("", warning)),
        Err(e) => checks.fail("order", e),
    }
    for (name, _) in context.plan.sinks() {
        checks.check(&format!("sink {name}"), super::sinks::described(context, name));
    }
    let manifest = context.manifests.newest(0);
    checks.check(
        "manifests",
        match &manifest {
            Err(e) => Err(Error::new(e.kind(), e.to_string())),
            Ok(None) => Ok(format!(
                "none yet in {}: nothing was ever run",
                context.layout.root().display()
            )),
            Ok(Some(m)) => Ok(format!("generation {}, covered until {}", m.number, m.covered_until)),
        },
    );
    let manifest = manifest.ok().flatten();
    #[cfg(feature = "parquet")]
    if let Some(m) = &manifest
        && context.plan.live_sinks().next().is_some()
    {
        checks.ok("permission to drop", &super::sinks::held(context, m));
    }
    reach::state(context, &mut checks);
    reach::archives(context, manifest.as_ref(), &mut checks);
    if let Some(m) = &manifest {
        fits(context, m, options.checksums, &mut checks);
    }
    surroundings::directories(context, &mut checks);
    surroundings::disk(context, manifest.as_ref(), options.min_free, &mut checks);
    surroundings::clock(context, manifest.as_ref(), &mut checks);
    if manifest.is_some() {
        for face in context.plan.stores() {
            let answer = context.client().raw(*face).get(&[]);
            checks.check(
                &format!("answers of {}", face.name),
                answer.map(|a| format!("{}, fresh until {}", a.coverage, super::read::fresh(&a))),
            );
        }
    }
    checks.done()
}

fn source(context: &Context<'_>, face: &SourceFace, checks: &mut Checks) {
    let what = format!("source {}", face.name);
    let place = match context.location(face.name) {
        Ok(location) => &location.place,
        Err(e) => return checks.fail(&what, e),
    };
    match place {
        Place::Parquet(files) => checks.check(&what, bounded(context, face, files, ".parquet")),
        Place::Bulk(files) => checks.check(&what, bounded(context, face, files, "")),
        _ => {
            let asked = context.log(face, Reads::Look).and_then(|mut log| {
                let partitions = log.partitions()?;
                Ok((log.location(), partitions))
            });
            match asked {
                Ok((location, partitions)) => {
                    let n: u64 = partitions.iter().map(|p| p.end.saturating_sub(p.start)).sum();
                    checks.ok(
                        &what,
                        &format!("{location}, {} partitions, {n} offsets", partitions.len()),
                    );
                    reach::kept(context, face, &partitions, checks);
                }
                Err(e) => checks.fail(&what, e),
            }
        }
    }
}

#[cfg(feature = "parquet")]
fn bounded(context: &Context<'_>, face: &SourceFace, files: &Files, ending: &str) -> Result<String> {
    let found = super::inputs::list(context, face, files, ending)?;
    Ok(format!("{files}, {} files", found.len()))
}

#[cfg(not(feature = "parquet"))]
fn bounded(_: &Context<'_>, _: &SourceFace, files: &Files, _: &str) -> Result<String> {
    Err(Error::invalid(format!(
        "{files}: this binary was built without the feature `parquet`"
    )))
}

/// Whether code and data are of one version, and the files whole.
fn fits(context: &Context<'_>, m: &Manifest, checksums: bool, checks: &mut Checks) {
    let looked = if checksums {
        "every checksum fits"
    } else {
        "every length fits (--checksums reads every byte)"
    };
    let ours = context.plan.fingerprint();
    checks.check(
        "job",
        if m.fingerprint == ours {
            Ok(format!("fingerprint {}", m.fingerprint))
        } else {
            let theirs = &m.fingerprint;
            Err(Error::invalid(format!(
                "the job's fingerprint is {ours}, the data's {theirs}: another code or other arguments"
            ))
            .repaired_by("run the code that made the data, or `backfill` and `switch` with this one"))
        },
    );
    for face in context.plan.stores() {
        let Some(generation) = m.stores.get(face.name) else {
            continue;
        };
        let fits = if face.reads(&generation.schema) {
            match checksums {
                true => context.generations.verify(face, generation),
                false => context.generations.check(face.name, generation),
            }
        } else {
            Err(Error::invalid(format!(
                "holds `{}`, the job wants `{}`",
                generation.schema,
                face.schema()
            )))
        };
        let keys: u64 = generation.runs.iter().map(|r| r.keys).sum();
        checks.check(
            &format!("store {}", face.name),
            fits.map(|()| format!("{} runs, {keys} keys, {looked}", generation.runs.len())),
        );
    }
    for (_, binding) in context.plan.bulk_sinks() {
        let Some(generation) = m.sinks.get(binding.name) else {
            continue;
        };
        let fits = if binding.reads(&generation.schema) {
            match checksums {
                true => records::verify(&*context.generations, binding.name, generation),
                false => context.generations.check_sink(binding.name, generation),
            }
        } else {
            Err(Error::invalid(format!(
                "holds `{}`, the job writes `{}`",
                generation.schema, binding.schema
            )))
        };
        let (files, n) = (generation.files.len(), generation.records());
        checks.check(
            &format!("records of {}", binding.name),
            fits.map(|()| {
                let once = if checksums { ", each id once" } else { "" };
                format!("{files} files, {n} records, {looked}{once}")
            }),
        );
    }
}
