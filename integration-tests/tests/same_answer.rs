//! Equation 2: one job, one answer, whatever runs it. Memory, local log, Kafka, Parquet and the hybrid give equal bytes, and
//! the bytes are the exact answers of plain collections and of other engines.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rufous::core::{BatchId, Format, Plan, RecordBatch, Span};
use rufous::prelude::*;
use rufous_examples::flights::{BY_ORIGIN_DAY, FLIGHTS, FlightStats, flights};
use rufous_examples::word_count::{Args, COUNTS, LINES, word_count};
use rufous_integration_tests::run::{self, Bytes, Random, State, assert_same};
use rufous_integration_tests::{data, kafka, oracle};
use rufous_platform_parquet::BulkInput;

fn raw_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut batch = RecordBatch::default();
    for (i, line) in lines.into_iter().enumerate() {
        let span: Span = batch.push_bytes(line.as_bytes());
        batch.entries.push(rufous::core::Entry::plain(i as u64, span));
        if batch.entries.len() == 1_000 {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batches.push(batch);
    batches
}

fn reference_flights(lines: &[String]) -> Result<Bytes> {
    let totals = flights().run_on(&Memory::new().raw(
        FLIGHTS,
        Format::JsonLines,
        raw_lines(lines.iter().map(String::as_str)),
    ))?;
    Ok(totals.bytes(BY_ORIGIN_DAY.name()).cloned().unwrap_or_default())
}

/// The bytes against plain collections: exact figures exactly, sketches within their stated bounds.
fn check_flights(bytes: &Bytes, exact: &BTreeMap<(String, String), oracle::Stats>) -> Result<()> {
    assert_eq!(bytes.len(), exact.len());
    let mut outside = 0;
    for ((origin, day), want) in exact {
        let key = rufous::core::key::to_bytes(&(origin.as_str(), TimeBucket::parse(day)?));
        let got = FlightStats::decode(bytes.get(&key).with_context(|| format!("{origin} {day} is missing"))?)?;
        assert_eq!(
            (got.flights, got.distance, got.delay),
            (want.flights, want.distance, want.delays.iter().sum()),
            "{origin} {day}"
        );
        assert_eq!(
            (got.delay_min.get(), got.delay_max.get()),
            (want.delays.first(), want.delays.last()),
            "{origin} {day}"
        );
        let e = got.destinations.estimate();
        outside += usize::from(!(e.low..=e.high).contains(&(want.destinations.len() as f64)));
        assert_eq!(got.delays.count() as usize, want.delays.len());
        for (q, rank) in [(0.5, want.delays.len().div_ceil(2)), (1.0, want.delays.len())] {
            let (b, exact) = (got.delays.quantile(q).context("values")?, want.delays[rank - 1] as f64);
            assert!(b.low <= exact && exact <= b.high, "{origin} {day}: {exact} in {b:?}");
        }
    }
    // Two standard errors: 5 % expected; small sketches are nearly exact.
    assert!(
        outside * 20 <= exact.len(),
        "{outside} of {} distinct counts outside their bounds",
        exact.len()
    );
    Ok(())
}

#[test]
fn flights_over_the_sample() -> Result<()> {
    let lines = data::sample_lines()?;
    let reference = reference_flights(&lines)?;
    check_flights(&reference, &oracle::flights(lines.iter().map(String::as_str))?)?;

    // The expected answers beside the sample came from another program.
    let expected: serde_json::Value = serde_json::from_slice(&data::read(&data::sample("expected.json.gz"))?)?;
    assert_eq!(expected["rows"], lines.len());
    let one = &expected["by_origin_day"]["ATL"]["2001-01-02"];
    let key = rufous::core::key::to_bytes(&("ATL", TimeBucket::parse("2001-01-02")?));
    let stats = FlightStats::decode(&reference[&key])?;
    assert_eq!(
        (one["flights"].as_u64(), one["delay"].as_i64(), one["distance"].as_i64()),
        (Some(stats.flights), Some(stats.delay), Some(stats.distance))
    );

    let plan = flights().plan()?;
    let files = ["flights-sample-1.parquet", "flights-sample-2.parquet"]
        .map(data::sample)
        .to_vec();
    let bulk = State::memory(&plan);
    let report = bulk.bulk(&plan, BulkInput::parquet(files), None)?;
    assert_eq!(report.records as usize, lines.len());
    assert_same("parquet", &bulk.answers(&plan)?, &reference);
    live_and_hybrid(&plan, &lines, &reference, 4, 5)?;
    over_kafka(&plan, &lines, &reference, 5)
}

/// Arrival order: as in the file, but within a window of this many records.
fn shuffled(lines: &[String], window: usize, random: &mut Random) -> Vec<String> {
    let mut lines = lines.to_vec();
    for i in 0..lines.len() {
        let to = (i + random.below(window as u64) as usize).min(lines.len() - 1);
        lines.swap(i, to);
    }
    lines
}

/// Kafka with 4 partitions, arrival shuffled (so that there are late events at every day's edge), records delivered twice by
/// going back, stopped and gone on, and the hybrid on RocksDB at seeded days.
fn over_kafka(plan: &Plan, lines: &[String], reference: &Bytes, seeded: usize) -> Result<()> {
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("flights");
    broker.create_topic(&topic, 4, &[])?;
    let mut random = Random(0xca_fca);
    let arrived = shuffled(lines, 3_000, &mut random);
    for p in 0..4 {
        broker.produce(
            &topic,
            p,
            arrived.iter().skip(p as usize).step_by(4).map(|l| (1, "", l.as_str())),
        )?;
    }
    let log = || run::kafka(broker, &topic, Format::JsonLines);
    let dir = tempfile::tempdir()?;
    let archive = run::archive(plan, run::GoesBack::over(log()?, 7), &dir.path().join("archive"))?;
    let live = State::disk(plan, &dir.path().join("live"))?;
    let report = live.stream(plan, run::GoesBack::over(log()?, 8))?;
    assert!(report.late > 0, "a shuffled arrival has late events");
    assert_same("kafka", &live.answers(plan)?, reference);
    let days = days(lines);
    for n in 0..seeded {
        let day = days[1 + random.below(days.len() as u64 - 1) as usize];
        let state = State::disk(plan, &dir.path().join(format!("{n}")))?;
        state.stream_until(plan, log()?, Some(random.below(lines.len() as u64)))?;
        state.batch(plan, archive.clone(), Format::JsonLines, true, Some(BatchId(day)))?;
        state.stream(plan, run::GoesBack::over(log()?, n as u64 + 1))?;
        assert_same(
            &format!("hybrid over Kafka at day {day}"),
            &state.answers(plan)?,
            reference,
        );
        state.agree(plan)?;
    }
    Ok(())
}

fn days(lines: &[String]) -> Vec<i64> {
    let day = |l: &String| l.get(9..19).and_then(|d| TimeBucket::parse(d).ok()).map(|b| b.index());
    let mut days: Vec<i64> = lines.iter().filter_map(day).collect();
    days.dedup();
    days
}

/// Local log, then hybrid: memory at every day edge, RocksDB and files at `seeded` of them.
fn live_and_hybrid(plan: &Plan, lines: &[String], reference: &Bytes, partitions: usize, seeded: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    run::write_files(&input, "jsonl", partitions, lines.iter().map(String::as_str), |i, _| i)?;
    let log = || run::local(&input, &registry, Format::JsonLines);

    let live = State::memory(plan);
    let report = live.stream(plan, log()?)?;
    assert_eq!(report.records as usize, lines.len());
    assert_same("local log", &live.answers(plan)?, reference);

    let archive = run::archive(plan, log()?, &dir.path().join("archive"))?;
    let days = days(lines);
    for &day in &days[1..] {
        let hybrid = State {
            realtime: live.realtime.clone(),
            ..State::memory(plan)
        };
        // Genesis first, as a stream would make it; the cells of all batches are in the shared realtime store.
        hybrid.manifests.publish(&live.manifests.get(0)?.context("genesis")?)?;
        let report = hybrid.batch(plan, archive.clone(), Format::JsonLines, false, Some(BatchId(day)))?;
        assert!(report.published, "day {day}");
        assert_same(&format!("hybrid at day {day}"), &hybrid.answers(plan)?, reference);
        hybrid.surely_agree(plan)?;
    }

    // A generation that grows day by day: beyond eight its runs are merged into one.
    let growing = State {
        realtime: live.realtime.clone(),
        ..State::memory(plan)
    };
    growing.manifests.publish(&live.manifests.get(0)?.context("genesis")?)?;
    for &day in &days[1..] {
        let report = growing.batch(plan, archive.clone(), Format::JsonLines, false, Some(BatchId(day)))?;
        growing.surely_agree(plan)?;
        let runs = report.manifest.stores[plan.stores()[0].name].runs.len();
        assert!((1..=8).contains(&runs), "{runs} runs at day {day}");
    }
    assert_same("published day by day", &growing.answers(plan)?, reference);

    let mut random = Random(0x5eed);
    for n in 0..seeded {
        let day = days[1 + random.below(days.len() as u64 - 1) as usize];
        let state = State::disk(plan, &dir.path().join(format!("disk-{n}")))?;
        // Stopped in the middle, published, and gone on: offsets and values are committed together.
        state.stream_until(plan, log()?, Some(random.below(lines.len() as u64)))?;
        state.batch(plan, archive.clone(), Format::JsonLines, false, Some(BatchId(day)))?;
        state.stream(plan, log()?)?;
        assert_same(
            &format!("hybrid on RocksDB at day {day}"),
            &state.answers(plan)?,
            reference,
        );
        // Incremental: the next run adds what is sealed since.
        state.surely_agree(plan)?;
        state.batch(plan, archive.clone(), Format::JsonLines, false, None)?;
        assert_same("after the next run", &state.answers(plan)?, reference);
        state.surely_agree(plan)?;
    }
    Ok(())
}

#[test]
fn word_count_over_a_small_text() -> Result<()> {
    let text = include_str!("../../README.md");
    words_everywhere(text.as_bytes())
}

fn words_everywhere(text: &[u8]) -> Result<()> {
    let text = String::from_utf8(text.to_vec())?;
    // A byte-order mark is no letter; it only has to be no part of a word.
    let plain = oracle::words(&text);
    let job = || word_count(&Args { min_len: 1 });
    let lines: Vec<&str> = text.split_terminator('\n').map(|l| l.trim_end_matches('\r')).collect();
    let totals = job().run_on(&Memory::new().source(LINES, lines.iter().copied()))?;
    assert_eq!(totals.all(COUNTS).into_iter().collect::<BTreeMap<_, _>>(), plain);
    let reference = totals.bytes(COUNTS.name()).cloned().unwrap_or_default();
    let plan = job().plan()?;
    let dir = tempfile::tempdir()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    std::fs::create_dir(&input)?;
    std::fs::write(input.join("text.txt"), &text)?;
    let log = || run::local(&input, &registry, Format::Text);
    let live = State::disk(&plan, &dir.path().join("live"))?;
    live.stream(&plan, log()?)?;
    assert_same("local log", &live.answers(&plan)?, &reference);
    words_over_kafka(&plan, &lines, &reference)
}

/// Kafka's own timestamps cut hours here, out of order; the hybrid hands over at every one of them.
fn words_over_kafka(plan: &Plan, lines: &[&str], reference: &Bytes) -> Result<()> {
    const HOUR: i64 = 3_600_000;
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("lines");
    broker.create_topic(&topic, 4, &[])?;
    let mut random = Random(0x70_91c);
    let hours = 8;
    let stamped: Vec<(i64, &str)> = lines
        .iter()
        .enumerate()
        .map(|(i, l)| {
            (
                ((i * hours / lines.len().max(1)) as i64 + 1_000) * HOUR - random.below(HOUR as u64 / 4) as i64,
                *l,
            )
        })
        .collect();
    for p in 0..4 {
        let records = stamped.iter().skip(p as usize).step_by(4);
        broker.produce(&topic, p, records.map(|(t, l)| (*t, "", *l)))?;
    }
    let log = || run::kafka(broker, &topic, Format::Text);
    let dir = tempfile::tempdir()?;
    let archive = run::archive(plan, log()?, &dir.path().join("archive"))?;
    let live = State::memory(plan);
    live.stream(plan, run::GoesBack::over(log()?, 5))?;
    assert_same("words over Kafka", &live.answers(plan)?, reference);
    for hour in 1_000..1_000 + hours as i64 {
        let hybrid = State {
            realtime: live.realtime.clone(),
            ..State::memory(plan)
        };
        hybrid.manifests.publish(&live.manifests.get(0)?.context("genesis")?)?;
        hybrid.batch(plan, archive.clone(), Format::Text, true, Some(BatchId(hour)))?;
        assert_same(
            &format!("words, hybrid at hour {hour}"),
            &hybrid.answers(plan)?,
            reference,
        );
        hybrid.agree(plan)?;
    }
    Ok(())
}

#[test]
fn word_count_over_large_texts() -> Result<()> {
    let Some(large) = data::large() else { return Ok(()) };
    for name in ["moby-dick", "war-and-peace"] {
        let text = std::fs::read(large.join(format!("text/{name}.txt")))?;
        words_everywhere(&text)?;
        check_expected_words(&large, name, &text)?;
    }
    Ok(())
}

/// The answers of two other engines.
fn check_expected_words(large: &Path, name: &str, text: &[u8]) -> Result<()> {
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(large.join(format!("expected/text-{name}.json")))?)?;
    let text = std::str::from_utf8(text)?;
    let run = word_count(&Args { min_len: 1 }).run_on(&Memory::new().source(LINES, text.split_terminator('\n')))?;
    let all = run.all(COUNTS);
    assert_eq!(
        all.iter().map(|(_, n)| n).sum::<u64>(),
        expected["words"].as_u64().context("words")?
    );
    assert_eq!(
        all.len() as u64,
        expected["distinct_words"].as_u64().context("distinct_words")?
    );
    assert_eq!(
        all.iter().filter(|(_, n)| *n == 1).count() as u64,
        expected["words_seen_once"].as_u64().context("once")?
    );
    for pair in expected["top"].as_array().context("top")? {
        assert_eq!(
            run.get(COUNTS, pair[0].as_str().context("word")?),
            pair[1].as_u64(),
            "{pair}"
        );
    }
    Ok(())
}

#[test]
fn flights_over_the_large_data() -> Result<()> {
    let Some(large) = data::large() else { return Ok(()) };
    let plan = flights().plan()?;
    let files: Vec<_> = (1..=2)
        .map(|n| large.join(format!("flights/flights-2001-0{n}.parquet")))
        .collect();
    let bulk = State::memory(&plan);
    let report = bulk.bulk(&plan, BulkInput::parquet(files), None)?;
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(large.join("expected/flights.json"))?)?;
    assert_eq!(report.records, expected["rows"].as_u64().context("rows")?);
    let client = bulk.client(&plan).store(BY_ORIGIN_DAY)?;
    let mut total = (0, 0, 0);
    for (origin, want) in expected["per_origin"].as_object().context("per_origin")? {
        let got = client.sum_under((origin.as_str(),))?.value.context("an airport")?;
        assert_eq!(want["flights"], got.flights, "{origin}");
        assert_eq!(want["distance"], got.distance, "{origin}");
        assert_eq!(want["delay"], got.delay, "{origin}");
        assert_eq!(got.delay_min.get().copied(), want["delay_min"].as_i64(), "{origin}");
        assert_eq!(got.delay_max.get().copied(), want["delay_max"].as_i64(), "{origin}");
        let (e, n) = (
            got.destinations.estimate(),
            want["destinations"].as_f64().context("destinations")?,
        );
        assert!((e.low - 0.5..=e.high + 0.5).contains(&n), "{origin}: {n} in {e:?}");
        total = (total.0 + got.flights, total.1 + got.distance, total.2 + got.delay);
    }
    assert_eq!(expected["rows"], total.0);
    assert_eq!(expected["distance_sum"], total.1);
    assert_eq!(expected["delay_sum"], total.2);
    // All airports, all days: the quantiles of the whole.
    let everything = client.sum_under(())?.value.context("flights")?;
    for (q, name) in [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")] {
        let (b, exact) = (
            everything.delays.quantile(q).context("values")?,
            expected["delay"][name].as_f64().context("quantile")?,
        );
        assert!(b.low <= exact && exact <= b.high, "{name}: {exact} in {b:?}");
    }
    let mut lines = Vec::new();
    for n in 1..=2 {
        lines.extend(run::flights_as_lines(
            &large.join(format!("flights/flights-2001-0{n}.parquet")),
        )?);
    }
    let reference = bulk.answers(&plan)?;
    check_flights(&reference, &oracle::flights(lines.iter().map(String::as_str))?)?;
    live_and_hybrid(&plan, &lines, &reference, 4, 5)?;
    over_kafka(&plan, &lines, &reference, 5)
}
