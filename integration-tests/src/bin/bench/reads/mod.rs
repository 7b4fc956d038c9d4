//! `./x bench reads`: what answers cost, in process and over HTTP, over a month of hourly sketches and counters of many pages; Redis and
//! PostgreSQL answer the same questions in the same run.

mod load;
mod peers;
mod place;
mod process;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hdrhistogram::Histogram;
use rufous::client::{Client, Window};
use rufous::prelude::*;
use rufous::store_api::{Layout, ManifestLog, RealtimeReader, Until};
use rufous_integration_tests::hourly::{COUNTS, HOT, HOUR, Log, PARTITIONS, START, TOTALS, VISITORS, hourly};
use rufous_integration_tests::run::{Random, client_of, client_on_disk};
use rufous_store_offline::Manifests;
use rufous_store_rocksdb::{RocksOptions, RocksStore};
use serde_json::Value;

use load::{Kind, Load, Wrk};
use place::{Place, Running};

/// What is measured, and how large.
#[derive(Parser, Debug)]
#[command(name = "bench reads")]
struct Options {
    /// Different pages
    #[arg(long, default_value_t = 100_000)]
    pages: u64,
    /// Days of hourly cells
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Seconds of each load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where the state is built, or found from an earlier run with as many pages; else in a directory that is removed at the end
    #[arg(long)]
    state: Option<PathBuf>,
    /// Only these parts: process, idle, ingest, peers
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == part)
    }
}

pub(crate) fn table(args: &[String]) -> Result<()> {
    let options = Options::parse_from(std::iter::once("bench reads".to_string()).chain(args.iter().cloned()));
    ensure!(options.pages > HOT, "--pages must be more than {HOT}");
    let own = tempfile::tempdir()?;
    let dir = options.state.clone().unwrap_or_else(|| own.path().to_path_buf());
    let mut place = Place::build(
        &dir,
        Log {
            pages: options.pages,
            hours: options.days * 24,
        },
    )?;
    let stream = place.stream()?;
    let server = place.serve()?;
    until_applied(&place, &server)?;
    check(&place, &server, 2_000)?;
    if options.wants("process") {
        let plan = hourly().plan()?;
        in_process("from another process", &place, &client_on_disk(&plan, &place.data())?)?;
    }
    if options.wants("idle") {
        idle(&options, &place, &stream, &server)?;
    }
    if options.wants("ingest") {
        while_it_works(&options, &mut place, &stream, &server)?;
    }
    server.stop()?;
    stream.stop()?;
    if options.wants("process") {
        in_process("in the owner's process", &place, &owner(&place)?)?;
    }
    if options.wants("peers") {
        peers::table(&place.log, &options)?;
    }
    Ok(())
}

/// The text of a reply, by one connection that is kept.
fn ask_text(url: &str) -> Result<String> {
    thread_local!(static AGENT: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into());
    AGENT.with(|agent| Ok(agent.get(url).call()?.body_mut().read_to_string()?))
}

/// The JSON of a reply.
fn ask(url: &str) -> Result<Value> {
    let text = ask_text(url)?;
    serde_json::from_str(&text).with_context(|| text)
}

fn offset(reply: &Value, page: u64) -> Result<u64> {
    let name = format!("events/{}", page % PARTITIONS);
    let offset = reply["token"]["offsets"][&name].as_u64();
    offset.with_context(|| format!("no offset of {name}: {reply}"))
}

/// Waits until every line that was written is in the answers.
fn until_applied(place: &Place, server: &Running) -> Result<()> {
    let url = format!("{}/v1/stores/totals/keys/{}", server.url, Log::key(0));
    let start = Instant::now();
    loop {
        let reply = ask(&url)?;
        let applied = (0..PARTITIONS).map(|p| offset(&reply, p).unwrap_or(0));
        if applied.eq(place.written()?) {
            return Ok(());
        }
        ensure!(start.elapsed() < Duration::from_secs(600), "waited in vain: {reply}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Answers over HTTP, each compared with the log at exactly the offsets that it names.
fn checked(log: &Log, server: &Running, random: &mut Random) -> Result<()> {
    let page = random.below(log.pages);
    let reply = ask(&format!("{}/v1/stores/totals/keys/{}", server.url, Log::key(page)))?;
    let expected = log.total(page, offset(&reply, page)?)?;
    ensure!(
        reply["value"].as_u64().unwrap_or(0) == expected,
        "{page}: {expected} expected: {reply}"
    );
    Ok(())
}

fn check(place: &Place, server: &Running, answers: u64) -> Result<()> {
    let mut random = Random(11);
    (0..answers).try_for_each(|_| checked(&place.log, server, &mut random))?;
    println!("{answers} answers over HTTP, each compared with the log at its offsets; exact: yes");
    Ok(())
}

fn show(what: &str, bar: &str, times: &Histogram<u64>) {
    let at = |q: f64| times.value_at_quantile(q) as f64 / 1000.0;
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!("{what}: p50 {p50:.1} us, p99 {p99:.1} us, p99.9 {p999:.1} us; {bar}exact: yes");
}

fn timed(what: &str, bar: &str, n: u64, mut f: impl FnMut(&mut Random) -> Result<Duration>) -> Result<()> {
    let (mut times, mut random) = (Histogram::<u64>::new(3)?, Random(5));
    for i in 0..n + n / 10 {
        let took = f(&mut random)?;
        // The first ones only warm up.
        if i >= n / 10 {
            times.record(took.as_nanos() as u64)?;
        }
    }
    show(what, bar, &times);
    Ok(())
}

/// A client of the realtime part that this process itself has open.
fn owner(place: &Place) -> Result<Client> {
    let plan = hourly().plan()?;
    let layout = Layout::new(&place.data(), "main")?;
    let current = Manifests::new(layout.manifests(plan.job()))
        .newest(0)?
        .context("no manifest")?;
    let namespace = current.realtime_namespace.context("no realtime part")?;
    let dir = layout.realtime(plan.job(), &namespace);
    let store = Arc::new(RocksStore::open(
        &dir,
        &namespace,
        &plan.live_stores(),
        RocksOptions::default(),
    )?);
    let open = move |_: &str, _: &Until| Ok(Some(store.clone() as Arc<dyn RealtimeReader>));
    client_of(&plan, &place.data(), Arc::new(open))
}

/// The library's client.
fn in_process(from: &str, place: &Place, client: &Client) -> Result<()> {
    let log = place.log;
    let (totals, counts) = (client.store(TOTALS)?, client.windows(COUNTS)?);
    let visitors = client.windows(VISITORS)?;
    let expected = |page: u64, token: &rufous::client::Token| {
        let partition = rufous::core::SourcePartition::new("events", (page % PARTITIONS) as u32);
        log.total(page, token.offsets().get(&partition).copied().unwrap_or(0))
    };
    timed(&format!("{from}, get"), "bar p99 100 us; ", 50_000, |random| {
        let page = random.below(log.pages);
        let key = Log::key(page);
        let start = Instant::now();
        let answer = totals.get(key.as_str())?;
        let took = start.elapsed();
        ensure!(
            answer.value == Some(expected(page, &answer.token)?),
            "{page}: {answer:?}"
        );
        Ok(took)
    })?;
    timed(&format!("{from}, 100 keys"), "bar p99 5 ms; ", 1_000, |random| {
        let pages: Vec<u64> = (0..100).map(|_| random.below(log.pages)).collect();
        let keys: Vec<String> = pages.iter().map(|page| Log::key(*page)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let start = Instant::now();
        let answers = totals.multi_get(&keys);
        let took = start.elapsed();
        for (page, answer) in pages.iter().zip(answers) {
            let answer = answer?;
            ensure!(
                answer.value == Some(expected(*page, &answer.token)?),
                "{page}: {answer:?}"
            );
        }
        Ok(took)
    })?;
    // The month that ends with the last hour of one round.
    let hours = log.hours;
    let window = |from: u64| {
        Window::between(
            Timestamp(START + from as i64 * HOUR),
            Timestamp(START + hours as i64 * HOUR),
        )
    };
    let of = hours.min(720);
    let plain: Vec<Hll<12>> = (0..HOT)
        .map(|page| {
            let mut all = Hll::zero();
            for hour in hours - of..hours {
                (0..Log::events(page)).for_each(|n| all.insert(&Log::user(page, hour, n)));
            }
            all
        })
        .collect();
    let ask = |page: u64| {
        let key = Log::key(page);
        let start = Instant::now();
        let found = visitors.get(key.as_str(), window(hours - of))?;
        let estimate = found.answer.value.as_ref().map(|v| v.estimate().value);
        let took = start.elapsed();
        ensure!(
            estimate.is_some() && found.answer.value.as_ref() == plain.get(page as usize),
            "{page}"
        );
        Ok(took)
    };
    let sketches = format!("{from}, {of} hourly HyperLogLogs of a hot page, with estimate");
    // Nothing of them is kept yet: every sketch is added.
    let mut first = Histogram::<u64>::new(3)?;
    for page in 0..HOT {
        first.record(ask(page)?.as_nanos() as u64)?;
    }
    show(&format!("{sketches}, for the first time"), "bar 1 ms; ", &first);
    timed(&sketches, "bar 1 ms; ", 1_000, |random| ask(random.below(HOT)))?;
    timed(
        &format!("{from}, {of} hourly counters of any page"),
        "",
        1_000,
        |random| {
            let page = random.below(log.pages);
            let key = Log::key(page);
            let start = Instant::now();
            let found = counts.get(key.as_str(), window(hours - of))?;
            let took = start.elapsed();
            ensure!(
                found.answer.value == Some(of * Log::events(page)),
                "{page}: {:?}",
                found.answer
            );
            Ok(took)
        },
    )
}

/// Nothing else goes on.
fn idle(options: &Options, place: &Place, stream: &Running, server: &Running) -> Result<()> {
    let hours = place.log.hours;
    let from = hours.saturating_sub(720);
    let window = format!(
        "since={}&end={}",
        Timestamp(START + from as i64 * HOUR),
        Timestamp(START + hours as i64 * HOUR)
    );
    let cases: [(&str, Kind, u32, &str); 7] = [
        ("get, 1 connection", Kind::Get, 1, "bar p99 1 ms"),
        ("get, 4 connections", Kind::Get, 4, "bar p99 1 ms"),
        ("get, 64 connections", Kind::Get, 64, "bar 40,000 a core-second"),
        ("get, 256 connections", Kind::Get, 256, "bar 40,000 a core-second"),
        ("100 keys, 1 connection", Kind::Many, 1, "bar p99 5 ms"),
        ("720 hourly HyperLogLogs, 1 connection", Kind::Window("visitors"), 1, ""),
        ("720 hourly counters, 1 connection", Kind::Window("counts"), 1, ""),
    ];
    // wrk adds what it would have asked while it waited, so its percentiles are of the time that passes; these are of requests.
    timed(
        "over HTTP, get, one after the other",
        "bar p99 1 ms; ",
        20_000,
        |random| {
            let page = random.below(place.log.pages);
            let url = format!("{}/v1/stores/totals/keys/{}", server.url, Log::key(page));
            let start = Instant::now();
            let text = ask_text(&url)?;
            let took = start.elapsed();
            let reply: Value = serde_json::from_str(&text).with_context(|| text)?;
            let expected = place.log.total(page, offset(&reply, page)?)?;
            ensure!(
                reply["value"].as_u64().unwrap_or(0) == expected,
                "{page}: {expected} expected: {reply}"
            );
            Ok(took)
        },
    )?;
    println!("{}", process::gaps(Duration::from_secs(options.seconds))?);
    for (what, kind, connections, bar) in cases {
        let wrk = Wrk {
            kind,
            connections,
            pages: place.log.pages,
            window: &window,
            seconds: options.seconds,
        };
        let before = [server.cpu()?, stream.cpu()?];
        let load = wrk.run(&server.url)?;
        let cpu = [server.cpu()? - before[0], stream.cpu()? - before[1]];
        println!("idle, {what}: {}; {bar}", load.show(Some(cpu)));
    }
    check(place, server, 2_000)
}

/// While lines come in at half the rate that the live process can take, and while a generation is published.
fn while_it_works(options: &Options, place: &mut Place, stream: &Running, server: &Running) -> Result<()> {
    let of_round: u64 = (0..PARTITIONS).map(|p| place.log.lines(p)).sum();
    let rounds = (3_000_000 / of_round).max(1);
    let (start, before) = (Instant::now(), stream.cpu()?);
    place.append(rounds)?;
    until_applied(place, server)?;
    let top = (rounds * of_round) as f64 / start.elapsed().as_secs_f64();
    println!(
        "ingest: {:.2} M lines/s at most ({} lines, {:.2} CPU-s)",
        top / 1e6,
        rounds * of_round,
        stream.cpu()? - before
    );
    let wrk = |connections| Wrk {
        kind: Kind::Get,
        connections,
        pages: place.log.pages,
        window: "",
        seconds: options.seconds,
    };
    let (small, large) = (wrk(4), wrk(64));
    let batch = place.command(&["batch"])?;
    let (log, rate) = (place.log, top / 2.0);
    let feed = place.feed(rate)?;
    let stop = AtomicBool::new(false);
    let measured = std::thread::scope(|scope| -> Result<Vec<(&str, Load)>> {
        let checker = scope.spawn(|| -> Result<u64> {
            let (mut random, mut n) = (Random(17), 0);
            while !stop.load(Relaxed) {
                checked(&log, server, &mut random)?;
                n += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(n)
        });
        let measure = || -> Result<Vec<(&str, Load)>> {
            let mut all = vec![
                ("half the ingest, get, 4 connections", small.run(&server.url)?),
                ("half the ingest, get, 64 connections", large.run(&server.url)?),
            ];
            let mut publish = process::spawn(batch)?;
            let start = Instant::now();
            all.push((
                "half the ingest and a batch run, get, 4 connections",
                small.run(&server.url)?,
            ));
            let within = publish.try_wait()?.is_some();
            ensure!(publish.wait()?.success(), "`batch` failed: {}", place.log_text());
            println!(
                "the batch run took {:.1} s{}",
                start.elapsed().as_secs_f64(),
                if within {
                    ", all of it under the load"
                } else {
                    ", longer than the load"
                }
            );
            Ok(all)
        };
        let all = measure();
        stop.store(true, Relaxed);
        let n = checker.join().map_err(|_| anyhow::anyhow!("the checker panicked"))??;
        println!("{n} answers beside it, each compared with the log at its offsets; exact: yes");
        all
    });
    let fed = feed.stop()?;
    println!("fed: {:.2} M lines/s of {:.2} wanted", fed / 1e6, rate / 1e6);
    for (what, load) in measured? {
        println!("{what}: {}; bar p99 10 ms", load.show(None));
    }
    until_applied(place, server)?;
    check(place, server, 2_000)
}
