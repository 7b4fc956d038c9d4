//! The Rufous side of a row: the user's job over Parquet to a published generation, in a process of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use cpu_time::ProcessTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rufous::core::service::{Version, Versions, versions};
use rufous::prelude::*;
use rufous_integration_tests::run::State;
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};

#[derive(Clone, Debug, Record)]
struct Line {
    word: Text,
}

/// Two readings of the same files: a record names the columns that its job needs.
#[derive(Clone, Debug, Record)]
struct Cost {
    campaign: i64,
    cost: i64,
}

#[derive(Clone, Debug, Record)]
struct Visit {
    campaign: i64,
    user: i64,
}

#[derive(Clone, Debug, Record)]
struct Click {
    campaign: i64,
    at: i64,
    cost: i64,
}

const LINES: Source<Line> = Source::new("lines");
const COSTS: Source<Cost> = Source::new("ads");
const VISITS: Source<Visit> = Source::new("ads");
const CLICKS: Source<Click> = Source::new("clicks");
/// The same rows as those of clicks, each with its time.
const TIMED: Source<Click> = Source::new("clicks").timed_by(|c| Timestamp(c.at));
const RATES: Service<i64, i64> = Service::new("rates");
const COUNTS: Store<String, u64> = Store::new("counts");
const SUMS: Store<i64, (u64, i64)> = Store::new("sums");
const UNIQUES: Store<i64, Hll<12>> = Store::new("uniques");
const HOPS: WindowedStore<i64, (u64, i64)> =
    WindowedStore::new("hops", &[HopSize::minutes(5), HopSize::hours(1), HopSize::days(1)]);

fn job(question: &str) -> Result<Job> {
    Ok(match question {
        "words" => Job::new(
            "words",
            LINES.read().keyed(|l, out| out.emit(&l.word, 1)).sum_by_key(COUNTS),
        ),
        "sums" => Job::new(
            "sums",
            COSTS
                .read()
                .keyed(|a, out| out.emit(a.campaign, (1, a.cost)))
                .sum_by_key(SUMS),
        ),
        "uniques" => Job::new(
            "uniques",
            VISITS
                .read()
                .keyed(|a, out| out.emit(a.campaign, a.user))
                .aggregate_by_key(UNIQUES),
        ),
        "windows" => Job::new(
            "windows",
            CLICKS
                .read()
                .keyed(|c, out| out.emit((c.campaign, Timestamp(c.at)), (1, c.cost)))
                .windowed_sum_by_key(HOPS),
        ),
        "as-of" => Job::new(
            "as-of",
            TIMED
                .read()
                .keyed(|c, out| out.emit(c.campaign, c.cost))
                .left_join(RATES)
                .map_values(|(cost, rate)| (1, cost * rate.unwrap_or(0)))
                .sum_by_key(SUMS),
        ),
        other => bail!("no question `{other}`"),
    })
}

/// The rates of a file, complete for ever.
fn rates(path: &Path) -> Result<Versions<i64, i64>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = |i: usize| batch.column(i).as_primitive::<Int64Type>().values().to_vec();
        let (campaigns, since, rates) = (column(0), column(1), column(2));
        let row = |((campaign, since), rate)| Version::new(campaign, Timestamp(since), rate);
        rows.extend(campaigns.into_iter().zip(since).zip(rates).map(row));
    }
    Ok(versions(rows, Timestamp(i64::MAX)))
}

/// `QUESTION DIRECTORY STATE OUTPUT MEMORY_MB`: prints `result wall=S cpu=S peak_mb=M records=N`.
pub(crate) fn subject(args: &[String]) -> Result<()> {
    let [question, dir, state, output, memory] = args else {
        bail!("usage: bulk-subject QUESTION DIRECTORY STATE OUTPUT MEMORY_MB");
    };
    let mut plan = job(question)?.plan()?;
    let state = State::disk(&plan, Path::new(state))?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.sort();
    let source = plan.sources().first().context("a source")?.name.to_string();
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    if question == "as-of" {
        plan.bind(RATES, rates(&Path::new(dir).with_extension("rates"))?)?;
    }
    let run = BatchRun {
        plan: &plan,
        inputs: [(source, BulkInput::Parquet(files.into_iter().map(Into::into).collect()))].into(),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            memory: memory.parse::<usize>()? << 20,
            spill_dir: Path::new(output).with_extension("tmp"),
            ..BatchOptions::default()
        },
    };
    let report = run.run()?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    println!(
        "result wall={wall} cpu={cpu} peak_mb={} records={}",
        peak_mb()?,
        report.records
    );
    let mut out = std::io::BufWriter::new(std::fs::File::create(output)?);
    let face = *plan.stores().first().context("a store")?;
    state.client(&plan).raw(face).scan(&[], &mut |key, value| {
        let mut key_text = face.key.text(key).map_err(|e| rufous::Error::bug(e.to_string()))?;
        if question == "windows" {
            let (campaign, hop): (i64, Hop) =
                rufous::core::key::decode_all(key).map_err(|e| rufous::Error::bug(e.to_string()))?;
            key_text = format!("{campaign}/{}/{}", hop.size(), hop.number());
        }
        let bad = |e: rufous::algebra::DecodeError| rufous::Error::bug(e.to_string());
        let line = match question.as_str() {
            "words" => u64::decode(value).map_err(bad)?.to_string(),
            "sums" | "windows" | "as-of" => {
                let (n, cost) = <(u64, i64)>::decode(value).map_err(bad)?;
                format!("{n}\t{cost}")
            }
            _ => Hll::<12>::decode(value).map_err(bad)?.estimate().value.to_string(),
        };
        writeln!(out, "{key_text}\t{line}").map_err(|e| rufous::Error::bug(e.to_string()))
    })?;
    out.flush()?;
    Ok(())
}

pub(super) fn peak_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<f64>()? / 1024.0)
}
