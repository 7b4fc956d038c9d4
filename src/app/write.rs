//! `stream`, `archive`, `batch`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::cli::{Bulk, Live, Sweep, Upkeep};
use super::follow::Follower;
use super::metrics::View;
use super::monitor::{Bound, Monitor, limits};
use super::open::{Context, Reads};
use super::out;
#[cfg(feature = "server")]
use super::processes::{Status, tell};
use super::progress::Progress;
use super::settings::OnBad;
use crate::core::{Error, Result, SourcePartition};
use crate::realtime::{
    Archiver, ArchiverOptions, BoundLog, Metrics, OnBadRecord, Stream, StreamOptions, StreamReport, genesis,
};
use crate::store_api::{Manifest, ManifestLog};

/// Set by Ctrl-C and SIGTERM: what was read is committed, then the program ends. A second signal ends it at once.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(|e| Error::try_again(format!("cannot listen for signals: {e}")))?;
    }
    Ok(stop)
}

/// What others see of the job, and the server that shows it, if one is asked for: before anything else of the job starts.
fn show(context: &Context<'_>, options: &Live, stream: bool) -> Result<(Arc<View>, Option<Monitor>)> {
    let settings = &context.settings.monitor;
    let bound = Bound::take(settings.address.as_deref())?;
    let view = Arc::new(View {
        job: context.plan.job().to_string(),
        instance: context
            .layout
            .root()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        fingerprint: context.plan.fingerprint().to_string(),
        stream: stream.then(Arc::default),
        archive: (!options.no_archive || !stream).then(Arc::default),
        reconciled: Arc::default(),
        limits: limits(settings),
        store: OnceLock::new(),
    });
    // Those that do not archive yet are awaited as well.
    for (metrics, face) in view
        .archive
        .iter()
        .flat_map(|m| context.plan.sources().iter().map(move |f| (m, f)))
    {
        metrics.source(face.name);
    }
    let monitor = bound.map(|b| b.serve(view.clone())).transpose()?;
    Ok((view, monitor))
}

/// P10, before either layer reads. Returns the genesis manifest: where an empty archive begins.
fn begin(
    context: &Context<'_>,
    manifests: &dyn ManifestLog,
    logs: &mut [BoundLog],
    until_end: bool,
) -> Result<Manifest> {
    let plan = context.plan;
    if until_end {
        for bound in logs.iter_mut() {
            if bound.log.partitions()?.is_empty() {
                return Err(Error::invalid(format!(
                    "source `{}`: {} holds no files: put the input there, or leave out `--until-end` to wait for it",
                    bound.source,
                    bound.log.location()
                )));
            }
        }
    }
    let mut specs = BTreeMap::new();
    for (face, bound) in plan.sources().iter().zip(logs.iter()) {
        specs.insert(face.name.to_string(), face.cut_spec(bound.log.has_time()).text());
    }
    let current = genesis(plan, &specs, manifests, || {
        let mut starts = Vec::new();
        for bound in logs.iter_mut() {
            let infos = bound.log.partitions()?;
            starts.extend(
                infos
                    .into_iter()
                    .map(|i| (SourcePartition::new(&bound.source, i.partition), i.start)),
            );
        }
        Ok(starts)
    })?;
    if current.number == 0 {
        return Ok(current);
    }
    // It may have been deleted long ago; then there is an archive that goes on where it ends.
    Ok(manifests.get(0)?.unwrap_or(current))
}

fn logs(context: &Context<'_>, reads: Reads) -> Result<Vec<BoundLog>> {
    context
        .plan
        .sources()
        .iter()
        .map(|face| Ok(BoundLog::new(face.name, context.log(face, reads)?)))
        .collect()
}

pub(super) fn stream(context: &Context<'_>, options: &Live) -> Result<()> {
    let stop = stop_on_signal()?;
    let (view, _monitor) = show(context, options, true)?;
    let metrics = view.stream.clone().unwrap_or_default();
    let archive_metrics = view.archive.clone().unwrap_or_default();
    // The lock comes first: a second process must not touch anything.
    let (manifests, staged) = context.followed()?;
    if staged {
        super::sinks::check_staged(context)?;
    }
    let namespace = context.namespace(&*manifests)?;
    let opened = context.state.open(&namespace, context.state_memory())?;
    let store = opened.store.clone();
    // It is set once.
    let _ = view.store.set(Arc::downgrade(&store));
    let mut follower = Follower::new(context, &namespace, store.clone(), view.reconciled.clone());
    let mut stream_logs = logs(context, Reads::Shared)?;
    let manifest = begin(context, &*manifests, &mut stream_logs, options.until_end)?;
    (opened.serve)()?;
    for bound in &mut stream_logs {
        bound.dead_letters = super::bad::open(context, &bound.source)?;
    }
    let policies = context.plan.sources().iter().map(|s| {
        let policy = match super::bad::policy(context, s.name) {
            OnBad::Fail => OnBadRecord::Fail,
            OnBad::Skip => OnBadRecord::Skip,
            OnBad::DeadLetter => OnBadRecord::DeadLetter,
        };
        (s.name.to_string(), policy)
    });
    if staged {
        tracing::info!(
            "other code is current: this process fills its own state beside it, and archives nothing until `switch`"
        );
    }
    let engine = Stream {
        plan: context.plan,
        logs: stream_logs,
        store,
        manifests: &*manifests,
        generations: Some(&*context.generations),
        metrics: metrics.clone(),
        options: StreamOptions {
            commit_interval: options.commit_interval,
            memory_budget: context.shares.maps,
            until_end: options.until_end,
            on_bad_record_of: policies.collect(),
            stop: stop.clone(),
            ..StreamOptions::default()
        },
    };
    let sinks = super::sinks::open(context)?;
    #[cfg(feature = "server")]
    let _told = tell(context, Status::of(context, "stream").live(view.clone()));
    let progress = Progress::start(view, context.settings.log.format);
    let (following, followed) = std::sync::mpsc::channel::<()>();
    let no_more = Arc::new(AtomicBool::new(false));
    let report = std::thread::scope(|scope| {
        scope.spawn(|| follower.run(followed, &no_more));
        // The code that is current archives already; two may, and neither would gain. After a switch it is this code's turn.
        let archivers = (!(options.no_archive || staged && options.until_end)).then(|| {
            scope.spawn(|| {
                let ours = || becomes_current(context, &stop).inspect_err(|_| stop.store(true, Relaxed));
                if staged && !ours()? {
                    return Ok(());
                }
                archivers(context, &manifest, options.until_end, stop.clone(), &archive_metrics)
            })
        });
        let report = engine.run_with(sinks);
        no_more.store(true, Relaxed);
        drop(following);
        if report.is_err() || !options.until_end {
            stop.store(true, Relaxed);
        }
        let archived = archivers.map_or(Ok(()), |a| {
            a.join().unwrap_or_else(|_| Err(Error::bug("the archiver panicked")))
        });
        report.and_then(|r| archived.map(|()| r))
    });
    if report.is_ok() && options.until_end {
        // What a batch run could not compare, since this process had not read so far.
        follower.look(&stop);
    }
    progress.finish();
    show_report(&report?, &metrics);
    Ok(())
}

/// What a stream did.
fn show_report(report: &StreamReport, metrics: &Metrics) {
    let skipped = report.bad - report.dead_letters;
    let lateness: Vec<_> = [
        "less than a minute",
        "less than an hour",
        "less than a day",
        "less than a week",
        "a week or more",
    ]
    .iter()
    .zip(&metrics.lateness)
    .map(|(name, n)| (*name, n.load(Relaxed)))
    .filter(|(_, n)| *n > 0)
    .collect();
    let steps = metrics.steps();
    if out::is_json() {
        let behind: BTreeMap<_, _> = lateness.iter().map(|(name, n)| (name.replace(' ', "_"), *n)).collect();
        out::line(json!({
            "event": "streamed", "records": report.records, "commits": report.commits, "late": report.late, "skipped": skipped,
            "dead_letters": report.dead_letters, "waiting": report.waiting,
            "fresh_until": metrics.last_time().map(|t| t.to_string()), "behind": behind, "steps": steps,
        }));
        return;
    }
    out::line(format_args!(
        "{} records, {} commits, {} late, {skipped} skipped; fresh until {}",
        report.records,
        report.commits,
        report.late,
        super::read::show_time(metrics.last_time())
    ));
    if report.waiting > 0 {
        out::line(format_args!(
            "{} records wait for later ones of other partitions (a heartbeat will do)",
            report.waiting
        ));
    }
    if report.dead_letters > 0 {
        out::line(format_args!(
            "{} bad records sent to the dead letters",
            report.dead_letters
        ));
    }
    if !lateness.is_empty() {
        let lateness: Vec<_> = lateness.iter().map(|(name, n)| format!("{n} by {name}")).collect();
        out::line(format_args!(
            "behind the greatest time of their partition: {}",
            lateness.join(", ")
        ));
    }
    for (step, n) in steps {
        out::line(format_args!("step {step}: {n} records"));
    }
}

/// Waits until this code is current; `false`: it was stopped before.
fn becomes_current(context: &Context<'_>, stop: &AtomicBool) -> Result<bool> {
    while !stop.load(Relaxed) {
        match context.manifests.newest(0) {
            Ok(m) if m.as_ref().is_some_and(|m| m.fingerprint == context.plan.fingerprint()) => return Ok(true),
            // The engine reads the same manifests, and says what it cannot wait for.
            Ok(_) => {}
            Err(e) if e.kind() == crate::core::ErrorKind::TryAgain => {}
            Err(e) => return Err(e),
        }
        // A look every two seconds, and a stop is seen soon.
        for _ in 0..20 {
            if !stop.load(Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
    Ok(false)
}

fn archivers(
    context: &Context<'_>,
    manifest: &Manifest,
    until_end: bool,
    stop: Arc<AtomicBool>,
    metrics: &Arc<Metrics>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = context
            .plan
            .sources()
            .iter()
            .map(|face| {
                let options = ArchiverOptions {
                    until_end,
                    stop: stop.clone(),
                    buffer: context.shares.archiver,
                    ..ArchiverOptions::default()
                };
                scope.spawn(move || {
                    let run = || {
                        #[cfg(feature = "parquet")]
                        super::recut::catch_up(context, face, metrics, &options.stop)?;
                        let archiver = Archiver {
                            face,
                            log: context.log(face, Reads::All)?,
                            archive: context.archive_to_write(face)?,
                            start: manifest.frontier.clone(),
                            metrics: metrics.clone(),
                            options: options.clone(),
                        };
                        archiver.run()
                    };
                    // Without an archive no batch would ever be published: the stream stops, too.
                    run().inspect_err(|_| options.stop.store(true, Relaxed))
                })
            })
            .collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::bug("an archiver panicked")))?;
        }
        Ok(())
    })
}

pub(super) fn archive(context: &Context<'_>, options: &Live) -> Result<()> {
    let stop = stop_on_signal()?;
    let (view, _monitor) = show(context, options, false)?;
    let metrics = view.archive.clone().unwrap_or_default();
    let manifest = begin(
        context,
        &*context.manifests,
        &mut logs(context, Reads::All)?,
        options.until_end,
    )?;
    #[cfg(feature = "server")]
    let _told = tell(context, Status::of(context, "archive").live(view.clone()));
    let progress = Progress::start(view, context.settings.log.format);
    let done = archivers(context, &manifest, options.until_end, stop, &metrics);
    progress.finish();
    done?;
    let report = metrics.report();
    out::say(
        || format!("{} records archived in {} entries", report.records, report.commits),
        || json!({ "event": "archived", "records": report.records, "entries": report.commits }),
    );
    Ok(())
}

/// P19: what losers of a commit and crashed archivers left.
#[cfg(feature = "parquet")]
pub(super) fn sweep(context: &Context<'_>, options: &Sweep) -> Result<()> {
    let (mut files, mut bytes) = (0u64, 0u64);
    for face in context.plan.sources() {
        for archive in super::recut::all(context, face)? {
            let orphans = if options.dry_run {
                archive.orphans(options.older_than)?
            } else {
                archive.sweep(options.older_than)?
            };
            for orphan in orphans {
                out::say(
                    || format!("{} ({} bytes)", orphan.name, orphan.bytes),
                    || json!({ "event": "file", "source": face.name, "name": orphan.name, "bytes": orphan.bytes }),
                );
                (files, bytes) = (files + 1, bytes + orphan.bytes);
            }
        }
    }
    out::say(
        || {
            let done = if options.dry_run { "would be deleted" } else { "deleted" };
            format!("{files} files that no index names, {bytes} bytes: {done}")
        },
        || json!({ "event": "deleted", "files": files, "bytes": bytes, "dry_run": options.dry_run }),
    );
    Ok(())
}

#[cfg(not(feature = "parquet"))]
pub(super) fn sweep(_: &Context<'_>, _: &Sweep) -> Result<()> {
    Err(Error::invalid("this binary was built without the feature `parquet`"))
}

#[cfg(feature = "parquet")]
pub(super) fn batch(context: &Context<'_>, options: &Bulk, upkeep: &Upkeep) -> Result<()> {
    let current = context.manifests.newest(0)?;
    let inputs = super::inputs::bulk_inputs(context, current.as_ref())?;
    let (window, until) = super::inputs::span(context, &inputs, options)?;
    let started = std::time::Instant::now();
    super::bulk::come_after_others(options.nice);
    let stop = stop_on_signal()?;
    let run = crate::platform_parquet::BatchRun {
        plan: context.plan,
        inputs,
        manifests: &*context.manifests,
        generations: &*context.generations,
        options: crate::platform_parquet::BatchOptions {
            stop: stop.clone(),
            window,
            until,
            listed_at: Some(current.as_ref().map_or(0, |m| m.number + 1)),
            ..super::inputs::bulk_options(context, options)
        },
    };
    if options.dry_run {
        let plan = run.plan()?.to_string();
        out::say(|| plan.clone(), || json!({ "event": "plan", "plan": plan }));
        return Ok(());
    }
    #[cfg(feature = "server")]
    let _told = super::bulk::tell(context, "batch", &run.options.progress);
    let shown = super::bulk::Shown::start(run.options.progress.clone(), context.settings.log.format);
    let report = run.publish();
    drop(shown);
    let report = report?;
    let open: Vec<_> = report
        .open
        .iter()
        .map(|(p, b)| {
            let by_offset = report
                .manifest
                .cut_specs
                .get(&p.source)
                .is_some_and(|s| s.contains("clock=offset"));
            let source = context.plan.sources().iter().find(|s| s.name == p.source);
            match source {
                Some(s) if !by_offset => format!("{p} from {}", s.batcher().show(*b)),
                _ => format!("{p} from offset {}", report.manifest.frontier.of(p).cut),
            }
        })
        .collect();
    let took = started.elapsed().as_secs_f64();
    if out::is_json() {
        out::line(json!({
            "event": "batch", "published": report.published, "generation": report.manifest.number, "records": report.records,
            "keys": report.keys, "written": report.written, "skipped": report.bad, "outside": report.outside,
            "covered_until": report.manifest.covered_until, "open": open, "notes": report.notes, "seconds": took,
        }));
        return super::upkeep::after(context, upkeep, &run, context.settings.log.format);
    }
    if !open.is_empty() {
        out::line(format_args!("open and not covered yet: {}", open.join(", ")));
    }
    for note in &report.notes {
        out::line(note);
    }
    if report.published {
        let keys: Vec<_> = report
            .keys
            .iter()
            .map(|(store, n)| format!("{n} keys in {store}"))
            .chain(report.written.iter().map(|(sink, n)| format!("{n} records in {sink}")))
            .collect();
        out::line(format_args!(
            "generation {}: {} records -> {}, {} skipped, covered until {} ({took:.1} s)",
            report.manifest.number,
            report.records,
            keys.join(", "),
            report.bad,
            report.manifest.covered_until,
        ));
        if report.outside > 0 {
            out::line(format_args!(
                "{} of the records read lie outside that time and do not count",
                report.outside
            ));
        }
    } else {
        out::line(format_args!(
            "nothing new: generation {} covers all that is sealed, until {}",
            report.manifest.number, report.manifest.covered_until
        ));
    }
    super::upkeep::after(context, upkeep, &run, context.settings.log.format)
}

#[cfg(not(feature = "parquet"))]
pub(super) fn batch(_: &Context<'_>, _: &Bulk, _: &Upkeep) -> Result<()> {
    Err(Error::invalid("this binary was built without the feature `parquet`"))
}
