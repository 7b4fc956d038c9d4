//! Row 9 of the fault table: the wall clock of a running job jumps an hour ahead, an hour back, and steps back. Batches come
//! from the log's clock alone (P1), so cuts, manifests and answers are those of a run beside it whose clock is true; commits
//! go on, and nothing hangs. `libfaketime` is between the job and the system's clock; `./x test` installs it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::torture::{Fed, Place};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const STREAM: [&str; 3] = ["stream", "--commit-ms", "50"];

/// Where Debian has it, and where other systems do.
fn library() -> Result<PathBuf> {
    let mut roots = vec![PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")];
    roots.extend(
        std::fs::read_dir("/usr/lib")
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path()),
    );
    roots
        .iter()
        .map(|root| root.join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .context("libfaketime.so.1 is missing: install the package `faketime`, as `./x test` does")
}

/// librdkafka waits by the C11 form `cnd_timedwait`, until a time that it takes from the clock. libfaketime changes that clock
/// but does not know that function. This waits as the kernel does when the clock is set: until the clock, as it is then, shows
/// that time. A clock that is set back makes a wait longer that is under way.
const WAITS: &str = r#"
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>
static int reached(const struct timespec *now, const struct timespec *until) {
  return now->tv_sec > until->tv_sec || (now->tv_sec == until->tv_sec && now->tv_nsec >= until->tv_nsec);
}
int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until) {
  for (;;) {
    struct timespec now, next;
    clock_gettime(CLOCK_REALTIME, &now);
    if (reached(&now, until)) return thrd_timedout;
    next = now;
    next.tv_nsec += 20 * 1000 * 1000;
    if (next.tv_nsec >= 1000000000) { next.tv_sec++; next.tv_nsec -= 1000000000; }
    int outcome = pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, reached(&next, until) ? until : &next);
    if (outcome == 0) return thrd_success;
    if (outcome != ETIMEDOUT) return thrd_error;
  }
}
"#;

/// The library of it, built beside the job.
fn waits(place: &Place) -> Result<PathBuf> {
    let (source, built) = (place.path("waits.c"), place.path("waits.so"));
    std::fs::write(&source, WAITS)?;
    let mut cc = std::process::Command::new("gcc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&built)
        .arg(&source)
        .arg("-lpthread");
    let out = cc.output().context("cannot start `gcc`, which `./x test` installs")?;
    ensure!(out.status.success(), "gcc: {}", String::from_utf8_lossy(&out.stderr));
    Ok(built)
}

/// The job's clock is so many seconds ahead from now on. A rename: nobody reads half of it.
fn set_clock(place: &Place, seconds: i64) -> Result<()> {
    std::fs::write(place.path("clock.new"), format!("{seconds:+}\n"))?;
    Ok(std::fs::rename(place.path("clock.new"), place.path("clock"))?)
}

fn now() -> Result<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

/// A manifest without what names a file or the wall clock. Which files an archiver makes depends on when it looks.
fn plain(mut manifest: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("created_at");
                fields.remove("path");
                fields.remove("files");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut manifest);
    manifest
}

#[test]
fn row_9_the_clock_jumps() -> Result<()> {
    let library = library()?.display().to_string();
    let (broker, topic) = (kafka::shared()?, unique_name("clock"));
    let mut fed = Fed::new(broker, &topic, 9)?;
    // A true clock. Both are in one consumer group, so this one runs when the other has ended.
    let steady = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    let mut jumps = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    set_clock(&jumps, 0)?;
    jumps.set("LD_PRELOAD", &format!("{}:{library}", waits(&jumps)?.display()));
    jumps.set("FAKETIME_TIMESTAMP_FILE", &jumps.path("clock").display().to_string());
    jumps.set("FAKETIME_NO_CACHE", "1");
    // As with a real jump, the monotonic clock goes on.
    jumps.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    fed.round()?;
    let mut stream = jumps.spawn(&STREAM, &[])?;
    jumps.comes_to("before any jump", &mut stream, &fed.counts)?;
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", stream.id()))?;
    ensure!(maps.contains("libfaketime"), "the job runs without libfaketime");
    let hour = 3_600;
    let steps = (1..=20).map(|n| -10 * n);
    for seconds in [hour, -hour, 0, 26 * hour]
        .into_iter()
        .chain(steps)
        .chain([-hour, hour])
    {
        set_clock(&jumps, seconds)?;
        // Two commits at least: one that may have begun before the jump, and one after it. After a step back of hours the load
        // lasts longer than the session of the consumer (4 s): it must not be thrown out.
        let (since, least) = (Instant::now(), if seconds == -hour { 6 } else { 0 });
        for n in 0.. {
            if n >= 2 && since.elapsed() >= Duration::from_secs(least) {
                break;
            }
            fed.advance(1_200_000);
            fed.round()?;
            jumps.comes_to(&format!("at {seconds:+} s"), &mut stream, &fed.counts)?;
        }
    }
    jumps.stop(stream)?;
    let log = jumps.log();
    ensure!(
        !log.contains("WARN") && !log.contains("ERROR"),
        "the stream had trouble:\n{log}"
    );
    // Once more from its state, at another time.
    set_clock(&jumps, -hour)?;
    jumps.run(&["stream", "--until-end"])?;
    jumps.run(&["batch"])?;
    jumps.is_exact("with a generation", &fed.counts)?;
    let created =
        |place: &Place| -> Result<i64> { place.manifest(1)?["created_at"].as_i64().context("a time of creation") };
    let behind = now()? - created(&jumps)?;
    ensure!(behind > 3_000_000, "the clock was not set: created {behind} ms ago");

    steady.run(&["stream", "--until-end", "--commit-ms", "50"])?;
    steady.run(&["batch"])?;
    steady.is_exact("the run with a true clock", &fed.counts)?;
    for number in 0..2 {
        let (one, other) = (plain(jumps.manifest(number)?), plain(steady.manifest(number)?));
        for (field, value) in one.as_object().context("an object")? {
            ensure!(
                Some(value) == other.get(field),
                "manifest {number}, {field}: {value} is not {}",
                other[field]
            );
        }
    }
    ensure!(jumps.manifest(1)?["frontier"] != Value::Null, "a frontier");
    let cuts = |place: &Place| -> Result<Vec<_>> {
        let rows = place.progress()?;
        Ok(rows
            .into_iter()
            .map(|(p, row)| (p, row.next, row.batch, row.cuts))
            .collect())
    };
    let (one, other) = (cuts(&jumps)?, cuts(&steady)?);
    ensure!(one.len() == 8 && one == other, "{one:?} is not {other:?}");
    Ok(())
}
