//! `explain` and `doctor`.

use super::cli::Explain;
use super::location::{Files, Place};
use super::open::{Context, Reads};
use crate::core::{Error, Result, SourceFace};
use crate::store_api::{GenerationStore, ManifestLog, records};

pub(super) fn explain(context: &Context<'_>, options: &Explain) -> Result<()> {
    let plan = context.plan;
    if options.dot {
        print!("{}", plan.dot());
        return Ok(());
    }
    print!("{}", plan.explain(Some(context.shares.maps)));
    println!("platforms");
    for face in plan.sources() {
        match context.locations.get(face.name) {
            Some(l) => println!(
                "  source {} is bound to {}, read as {}",
                face.name,
                l,
                context.format(face)
            ),
            None => println!("  source {} is not bound", face.name),
        }
    }
    for (name, _) in plan.sinks() {
        match context.sinks.get(name) {
            Some(binding) => println!(
                "  sink {name} is bound to {}: {}",
                binding.place,
                super::sinks::promised(binding)
            ),
            None => println!("  sink {name} is not bound"),
        }
    }
    match crate::realtime::check(plan) {
        Ok(()) if context.refused_writes.is_some() => {
            println!(
                "  live: refused: {}",
                context.refused_writes.as_deref().unwrap_or_default()
            );
        }
        Ok(()) => println!(
            "  live: decode, run the steps, combine per (key, partition, batch); one write commits cells, counters, offsets and epoch"
        ),
        Err(e) => println!("  live: refused: {e}"),
    }
    #[cfg(feature = "parquet")]
    match crate::platform_parquet::check(plan) {
        Ok(()) => println!(
            "  in bulk: sealed batches of the archive, combined per thread, merged in key order into a new run; one manifest publishes all stores"
        ),
        Err(e) => println!("  in bulk: refused: {e}"),
    }
    let named = |names: Vec<&str>| names.join(", ");
    let live: Vec<_> = plan.live_sinks().map(|(_, name)| name).collect();
    if !live.is_empty() {
        println!(
            "  sinks: the live part writes {}, before its state; bulk runs and backfills write nothing to them",
            named(live)
        );
    }
    let bulk: Vec<_> = plan.bulk_sinks().iter().map(|(_, sink)| sink.name).collect();
    if !bulk.is_empty() {
        println!(
            "  sinks: bulk runs and backfills write {}, as files of each generation; the live part writes nothing to them",
            named(bulk)
        );
    }
    Ok(())
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

/// Prints one line a check; the error at the end has the kind of the first failure.
pub(super) fn doctor(context: &Context<'_>) -> Result<()> {
    let mut failures: Vec<Error> = Vec::new();
    let mut check = |what: &str, result: Result<String>| match result {
        Ok(found) => println!("ok    {what}: {found}"),
        Err(e) => {
            println!("FAIL  {what}: {e}");
            failures.push(e);
        }
    };
    for face in context.plan.sources() {
        check(
            &format!("source {}", face.name),
            context.location(face.name).and_then(|l| match &l.place {
                Place::Parquet(files) => bounded(context, face, files, ".parquet"),
                Place::Bulk(files) => bounded(context, face, files, ""),
                _ => context.log(face, Reads::All).and_then(|mut log| {
                    let partitions = log.partitions()?;
                    let records: u64 = partitions.iter().map(|p| p.end - p.start).sum();
                    Ok(format!(
                        "{}, {} partitions, {records} offsets",
                        log.location(),
                        partitions.len()
                    ))
                }),
            }),
        );
    }
    match super::order::warnings(context) {
        Ok(all) => all.iter().for_each(|warning| println!("warn  {warning}")),
        Err(e) => check("order", Err(e)),
    }
    for (name, _) in context.plan.sinks() {
        check(&format!("sink {name}"), super::sinks::described(context, name));
    }
    let manifest = context.manifests.newest(0);
    check(
        "manifests",
        manifest
            .as_ref()
            .map_err(|e| Error::new(e.kind(), e.to_string()))
            .map(|m| match m {
                None => format!("none yet in {}: nothing was ever run", context.layout.root().display()),
                Some(m) => format!("generation {}, covered until {}", m.number, m.covered_until),
            }),
    );
    #[cfg(feature = "parquet")]
    if let Ok(Some(m)) = &manifest
        && context.plan.live_sinks().next().is_some()
    {
        check("permission to drop", Ok(super::sinks::held(context, m)));
    }
    if context.state.is_shared() {
        let asked = context.namespace(&*context.manifests).and_then(|namespace| {
            let reader = context.state.read(&namespace)?;
            reader.as_ref().map(|r| r.snapshot().map(drop)).transpose()?;
            let begun = if reader.is_some() { "answers" } else { "not begun" };
            Ok(format!("{begun}: {}", context.state.show(&namespace)))
        });
        check("realtime state", asked);
    }
    if let Ok(Some(m)) = &manifest {
        check(
            "job",
            if m.fingerprint == context.plan.fingerprint() {
                Ok(format!("fingerprint {}", m.fingerprint))
            } else {
                Err(Error::invalid(format!(
                    "the job's fingerprint is {}, the data's {}: another code or other arguments",
                    context.plan.fingerprint(),
                    m.fingerprint
                )))
            },
        );
        for face in context.plan.stores() {
            let Some(generation) = m.stores.get(face.name) else {
                continue;
            };
            let fits = if face.reads(&generation.schema) {
                context.generations.verify(face, generation)
            } else {
                Err(Error::invalid(format!(
                    "holds `{}`, the job wants `{}`",
                    generation.schema,
                    face.schema()
                )))
            };
            let keys: u64 = generation.runs.iter().map(|r| r.keys).sum();
            check(
                &format!("store {}", face.name),
                fits.map(|()| format!("{} runs, {keys} keys, every checksum fits", generation.runs.len())),
            );
        }
    }
    if let Ok(Some(m)) = &manifest {
        for (_, binding) in context.plan.bulk_sinks() {
            let Some(generation) = m.sinks.get(binding.name) else {
                continue;
            };
            let fits = if binding.reads(&generation.schema) {
                records::verify(&*context.generations, binding.name, generation)
            } else {
                Err(Error::invalid(format!(
                    "holds `{}`, the job writes `{}`",
                    generation.schema, binding.schema
                )))
            };
            let (files, n) = (generation.files.len(), generation.records());
            check(
                &format!("records of {}", binding.name),
                fits.map(|()| format!("{files} files, {n} records, every checksum fits, each id once")),
            );
        }
    }
    for face in context.plan.stores() {
        if matches!(manifest, Ok(Some(_))) {
            check(
                &format!("answers of {}", face.name),
                context
                    .client()
                    .raw(*face)
                    .get(&[])
                    .map(|a| format!("{}, fresh until {}", a.coverage, super::read::fresh(&a))),
            );
        }
    }
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(Error::new(first.kind(), format!("not all is well: {first}"))),
    }
}
