//! `doctor`: whether all can be reached and fits together; each line says what to do where something does not.
//!
//! - `checks`: each as a value; `opening`: as much of settings and places as can be had;
//! - here: sources, sinks, manifests, stores, answers; `reach`: what the log keeps against what was read, the archive, the live state;
//! - `surroundings`: directories, disk; `clock`: ours against all others.

pub(super) mod checks;
mod clock;
mod opening;
mod reach;
mod surroundings;

use std::time::Duration;

pub(super) use checks::Checks;
use clock::Clocks;
pub(super) use opening::doctor;
use reach::Row;
pub(super) use surroundings::parse_size;

use super::location::{Files, Place};
use super::open::{Context, Reads};
use crate::core::{Error, Result, SourceFace};
use crate::store_api::{GenerationStore, Manifest, ManifestLog, records};

/// What is asked for.
pub(super) struct Options {
    /// Every setting and its origin, first.
    pub(super) verbose: bool,
    /// Bytes that must be free where the job writes.
    pub(super) min_free: Option<u64>,
    /// Every byte of the current generation is read, and not only lengths, first and last blocks.
    pub(super) checksums: bool,
    /// How long each answer of a broker or a server is waited for.
    pub(super) patience: Option<Duration>,
    /// Directories are written to, to see whether they can be, and what their clocks say.
    pub(super) probes: bool,
}

/// All that can be looked at, in an order in which what comes later may need what came before.
pub(super) fn run(context: &Context<'_>, options: &Options, checks: &mut Checks<'_>) {
    if checks.are_over() {
        return;
    }
    let manifest = context.manifests.newest(0);
    let rows = match &manifest {
        Ok(manifest) => reach::rows(context, manifest.as_ref()),
        Err(_) => Err(Error::try_again("the manifests say which state is theirs")),
    };
    let rows = rows.as_deref().map_err(|_| ROWS);
    let clocks = Clocks::default();
    for face in context.plan.sources() {
        if checks.are_over() {
            return;
        }
        source(context, face, rows, &clocks, checks);
    }
    match (super::order::warnings(context), rows) {
        (Ok(all), _) => all.iter().for_each(|warning| checks.warn("", warning)),
        // Said of the state itself.
        (Err(_), Err(why)) => checks.skip("order", why),
        (Err(e), Ok(_)) => checks.fail("order", e),
    }
    for (name, _) in context.plan.sinks() {
        checks.check(&format!("sink {name}"), super::sinks::described(context, name));
    }
    match &manifest {
        Err(e) => checks.fail("manifests", copy(e)),
        Ok(None) => checks.ok(
            "manifests",
            &format!("none yet in {}: nothing was ever run", context.layout.root().display()),
        ),
        Ok(Some(m)) => checks.ok(
            "manifests",
            &format!("generation {}, covered until {}", m.number, m.covered_until),
        ),
    }
    let known = manifest.as_ref().map_err(|_| MANIFESTS);
    #[cfg(feature = "parquet")]
    if let Ok(Some(m)) = known
        && context.plan.live_sinks().next().is_some()
    {
        checks.ok("permission to drop", &super::sinks::held(context, m));
    }
    match known {
        Ok(m) => reach::state(context, m.as_ref(), checks),
        Err(why) => checks.skip("realtime state", why),
    }
    reach::archives(context, known.ok().and_then(Option::as_ref), checks);
    if checks.are_over() {
        return;
    }
    match known {
        Ok(Some(m)) => fits(context, m, options.checksums, checks),
        Ok(None) => {}
        Err(why) => {
            for face in context.plan.stores() {
                checks.skip(&format!("store {}", face.name), why);
            }
        }
    }
    let manifest = known.ok().and_then(Option::as_ref);
    if checks.are_over() {
        return;
    }
    surroundings::directories(context, options.probes, checks);
    surroundings::disk(context, manifest, options.min_free, checks);
    clocks.check(context, manifest, rows, options.probes, checks);
    for face in context.plan.stores() {
        if checks.are_over() {
            return;
        }
        let what = format!("answers of {}", face.name);
        match known {
            Ok(None) => {}
            Ok(Some(_)) => {
                let mut client = context.client().raw(*face);
                if let Some(deadline) = context.deadline() {
                    client = client.until(deadline);
                }
                let said =
                    |a: crate::client::Answer<_>| format!("{}, fresh until {}", a.coverage, super::read::fresh(&a));
                checks.check(&what, client.get(&[]).map(said));
            }
            Err(why) => checks.skip(&what, why),
        }
    }
}

/// What is not there where checks are left out.
const MANIFESTS: &str = "the manifests cannot be read";
const ROWS: &str = "the realtime state, which says how far was read, cannot be read";

/// An error that is told twice.
fn copy(e: &Error) -> Error {
    let again = Error::new(e.kind(), e.message());
    match e.repair() {
        Some(repair) => again.repaired_by(repair),
        None => again,
    }
}

fn source(
    context: &Context<'_>,
    face: &SourceFace,
    rows: Result<&[Row], &'static str>,
    clocks: &Clocks,
    checks: &mut Checks<'_>,
) {
    let what = format!("source {}", face.name);
    let place = match context.location(face.name) {
        Ok(location) => &location.place,
        Err(e) => return checks.fail(&what, e),
    };
    match place {
        Place::Parquet(files) => checks.check(&what, bounded(context, face, files, ".parquet")),
        Place::Bulk(files) => checks.check(&what, bounded(context, face, files, "")),
        _ => {
            let retention = format!("retention of {}", face.name);
            let asked = context.log(face, Reads::Look).and_then(|mut log| {
                let partitions = log.partitions()?;
                Ok((log, partitions))
            });
            match asked {
                Ok((mut log, partitions)) => {
                    let n: u64 = partitions.iter().map(|p| p.end.saturating_sub(p.start)).sum();
                    checks.ok(
                        &what,
                        &format!("{}, {} partitions, {n} offsets", log.location(), partitions.len()),
                    );
                    match rows {
                        Ok(rows) => reach::kept(face, rows, &partitions, checks),
                        Err(why) => checks.skip(&retention, why),
                    }
                    clocks.ask(context, &mut *log, &partitions);
                }
                Err(e) => {
                    checks.fail(&what, e);
                    checks.skip(&retention, "the log cannot be asked");
                }
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
fn fits(context: &Context<'_>, m: &Manifest, checksums: bool, checks: &mut Checks<'_>) {
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
