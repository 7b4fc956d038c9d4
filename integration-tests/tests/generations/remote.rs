//! Rows 12, 13, 22: generations in an object store: publish races, uploads that fail half-way, lost answers, damage, reads, gc.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous_core::{ErrorKind, Frontier, Store, StoreFace, Timestamp};
use rufous_integration_tests::s3::Server;
use rufous_place::Place;
use rufous_store_api::{GenerationStore, Manifest, ManifestLog, Published, RunFile, StoreGeneration};
use rufous_store_offline::{Gc, Generations, Manifests};

const BUCKET: &str = "generations";
const COUNTS: Store<u64, u64> = Store::new("counts");

struct World {
    server: Server,
    place: Arc<dyn Place>,
    manifests: Manifests,
    generations: Generations,
}

fn face() -> StoreFace {
    StoreFace::of(COUNTS)
}

fn key(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn of(runs: Vec<RunFile>) -> StoreGeneration {
    StoreGeneration {
        schema: face().schema(),
        runs,
        ..Default::default()
    }
}

impl World {
    fn new() -> Result<Self> {
        let server = Server::start(BUCKET)?;
        let place: Arc<dyn Place> = Arc::new(rufous_place::s3::open(
            &format!("s3://{BUCKET}/a/b"),
            &server.options(),
            "offline",
        )?);
        Ok(Self {
            manifests: Manifests::on(place.clone(), "manifests"),
            generations: Generations::on(place.clone(), "offline"),
            server,
            place,
        })
    }
    /// Another process: nothing is kept.
    fn fresh(&self) -> Generations {
        Generations::on(self.place.clone(), "offline")
    }
    /// Keys 0, step, 2 step ..., with `n` bytes or 8 of value.
    fn write(&self, keys: u64, step: u64) -> rufous_core::Result<Option<RunFile>> {
        let mut run = self.generations.begin_run(&face())?;
        for n in 0..keys {
            run.push(&key(n * step), &(n + step).to_le_bytes())?;
        }
        run.finish()
    }
    fn runs(&self) -> Result<usize> {
        Ok(self.place.list("offline/counts")?.len())
    }
}

fn manifest(number: u64, line: &str, runs: &[RunFile]) -> Manifest {
    Manifest {
        format: 1,
        number,
        job: "j".into(),
        line: line.into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: None,
        stores: BTreeMap::from([("counts".into(), of(runs.to_vec()))]),
        frontier: Frontier::default(),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(0),
        covered_until: String::new(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

/// A store that hangs: a read with a deadline, or that nobody waits for any more, is over by then, wherever it waits, and says so; once the store
/// answers, so does the client.
#[test]
fn reads_know_their_deadline_while_the_store_hangs() -> Result<()> {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::Instant;

    let mut w = World::new()?;
    let run = w.write(1_000, 1)?.context("run")?;
    let m = manifest(0, "l", &[run]);
    ensure!(w.manifests.publish(&m)? == Published::Done);
    let client = |generations: Generations| {
        rufous::client::Client::new(rufous::client::ClientParts {
            job: m.job.clone(),
            manifests: Arc::new(w.manifests.clone()),
            generations: Arc::new(generations),
            realtime: Arc::new(|_, _| Ok(None)),
        })
    };
    // One has looked at the manifest and the run before, one at the manifest alone, and one at nothing.
    let clients = [client(w.fresh()), client(w.fresh()), client(w.fresh())];
    ensure!(clients[0].store(COUNTS)?.get(7)?.value == Some(8));
    let held = clients[1].snapshot()?;
    let patience = Duration::from_millis(400);

    w.server.pause()?;
    let late = |what: &str, read: &dyn Fn(Instant) -> rufous_core::Result<()>| -> Result<()> {
        let begun = Instant::now();
        let e = read(begun + patience)
            .err()
            .with_context(|| format!("{what} was answered"))?;
        let took = begun.elapsed();
        ensure!(e.kind() == ErrorKind::TryAgain, "{what}: {e}");
        ensure!(
            e.to_string().contains("the deadline, ") && e.to_string().contains("s3://generations"),
            "{what}: {e}"
        );
        ensure!(took >= patience && took < Duration::from_secs(8), "{what}: {took:?}");
        Ok(())
    };
    for client in &clients {
        let raw = client.raw(face());
        late("get", &|until| raw.clone().until(until).get(&key(900)).map(drop))?;
        late("a list", &|until| raw.clone().until(until).under(&[]).map(drop))?;
        late("a snapshot", &|until| client.snapshot_until(until).map(drop))?;
    }
    late("a held moment", &|until| {
        held.raw(face()).until(until).get(&key(900)).map(drop)
    })?;
    // Nobody waits any more.
    let gone = Arc::new(AtomicBool::new(false));
    let flag = gone.clone();
    let raw = clients[2]
        .raw(face())
        .unless_all_left(Arc::new(move || flag.load(Relaxed)));
    std::thread::scope(|s| {
        let read = s.spawn(|| raw.get(&key(1)));
        std::thread::sleep(Duration::from_millis(200));
        ensure!(!read.is_finished(), "it waits");
        gone.store(true, Relaxed);
        let begun = Instant::now();
        let e = read.join().unwrap().err().context("answered")?;
        ensure!(
            e.to_string().contains("given up by who asked") && begun.elapsed() < Duration::from_secs(8),
            "{e}"
        );
        Ok(())
    })?;

    w.server.resume()?;
    for client in &clients {
        ensure!(client.raw(face()).get(&key(900))?.value == Some(901u64.to_le_bytes().to_vec()));
    }
    Ok(())
}

/// P22: of many who publish one number, one wins, and its bytes stay.
#[test]
fn one_of_many_publishers_wins() -> Result<()> {
    let w = World::new()?;
    for number in 0..8 {
        let all: Vec<_> = (0..4).map(|i| manifest(number, &format!("line {i}"), &[])).collect();
        let won: Vec<bool> = std::thread::scope(|s| {
            let threads: Vec<_> = all
                .iter()
                .map(|m| s.spawn(|| w.manifests.publish(m).unwrap() == Published::Done))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let winners: Vec<_> = all
            .iter()
            .zip(won)
            .filter(|(_, won)| *won)
            .map(|(m, _)| m.clone())
            .collect();
        ensure!(winners.len() == 1, "{} of number {number}", winners.len());
        ensure!(w.manifests.newest(number.saturating_sub(1))? == winners.first().cloned());
    }
    Ok(())
}

/// The manifest was created and nobody heard of it: it counts, once, and it is the publisher's own.
#[test]
fn publishes_whose_answer_is_lost() -> Result<()> {
    let w = World::new()?;
    w.manifests.publish(&manifest(0, "l", &[]))?;
    for (number, times) in [(1, 1), (2, 2), (3, 4)] {
        let m = manifest(number, &format!("{times}"), &[]);
        w.server.fail(times, "PUT", "/manifests/", true)?;
        let published = w.manifests.publish(&m);
        w.server.fail(0, "PUT", "/", false)?;
        ensure!(published? == Published::Done && w.manifests.newest(0)? == Some(m.clone()));
        ensure!(w.manifests.publish(&manifest(number, "other", &[]))? == Published::Conflict);
    }
    // Not applied, and no end of it: an error, and nothing is there.
    w.server.fail(1_000, "PUT", "/manifests/", false)?;
    let e = w.manifests.publish(&manifest(4, "l", &[])).unwrap_err();
    ensure!(e.kind() == ErrorKind::TryAgain, "{e}");
    w.server.fail(0, "PUT", "/", false)?;
    ensure!(w.manifests.newest(0)?.context("newest")?.number == 3);
    ensure!(w.manifests.publish(&manifest(4, "l", &[]))? == Published::Done);
    Ok(())
}

/// A run that cannot be sent, small or in parts, at any step of it: an error, no object, and the next one is whole.
#[test]
fn torn_uploads_leave_nothing() -> Result<()> {
    let w = World::new()?;
    ensure!(w.write(10, 1)?.is_some());
    for (keys, method) in [(1_000, "PUT"), (700_000, "POST"), (700_000, "PUT")] {
        let before = w.runs()?;
        w.server.fail(1_000, method, "/offline/counts/", false)?;
        let e = w.write(keys, 3).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::TryAgain && e.to_string().contains("run-"),
            "{method}: {e}"
        );
        w.server.fail(0, "PUT", "/", false)?;
        ensure!(w.runs()? == before, "{method} of {keys} keys left something");
        // Some requests fail: the whole thing is sent all the same.
        w.server.fail(2, method, "/offline/counts/", false)?;
        let run = w.write(keys, 3)?.context("a run")?;
        ensure!(run.keys == keys && (keys < 700_000 || run.bytes > 8 << 20), "{run:?}");
        w.fresh().verify(&face(), &of(vec![run]))?;
        ensure!(w.runs()? == before + 1);
    }
    // It was sent, and nobody heard of it.
    for keys in [1_000, 700_000] {
        w.server
            .fail(1, if keys > 1_000 { "POST" } else { "PUT" }, "/offline/counts/", true)?;
        let run = w.write(keys, 5)?.context("a run")?;
        w.fresh().verify(&face(), &of(vec![run]))?;
    }
    Ok(())
}

/// Reads against a plain map: points, absent keys, scans; how many requests they cost is the work of index and filter.
#[test]
fn reads_are_those_of_a_map() -> Result<()> {
    let w = World::new()?;
    let runs = [w.write(300_000, 2)?, w.write(30_000, 3)?];
    let generation = of(runs.into_iter().flatten().collect());
    let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for (keys, step) in [(300_000, 2), (30_000, 3)] {
        (0..keys).for_each(|n| *expected.entry(key(n * step)).or_default() += n + step);
    }
    let g = w.fresh();
    // Each alone, and all at once: repeated ones, absent ones, more than are looked up together.
    let asked: Vec<_> = (0..700).map(|n| key(n % 600 * 7_919 % 650_000)).collect();
    for some in [&asked[..1], &asked[1..2], &asked[..2], &asked] {
        for (key, got) in some.iter().zip(g.get(&face(), &generation, some)?) {
            ensure!(got == expected.get(key).map(|v| v.to_le_bytes().to_vec()), "{key:?}");
        }
    }
    let small = w.fresh().cache_bytes(0);
    ensure!(small.get(&face(), &generation, &asked)? == g.get(&face(), &generation, &asked)?);
    let mut seen = BTreeMap::new();
    g.scan(&face(), &generation, &[], &mut |k, v| {
        seen.insert(k.to_vec(), u64::from_le_bytes(v.try_into().unwrap()));
        Ok(())
    })?;
    ensure!(seen == expected);
    w.fresh().verify(&face(), &generation)?;
    Ok(())
}

/// Every altered object is an error that names it, or the answer is right all the same; one that is gone is no absence.
#[test]
fn damage_is_named() -> Result<()> {
    let w = World::new()?;
    let run = w.write(4_000, 1)?.context("a run")?;
    let (path, generation) = (format!("offline/counts/{}", run.path), of(vec![run.clone()]));
    let good = w.place.read(&path)?.context("the object")?;
    let put = |bytes: &[u8]| {
        w.place.put(&path, &mut |f| {
            f.write_all(bytes).map_err(|e| rufous_core::Error::bug(e.to_string()))
        })
    };
    for at in (0..good.len())
        .step_by(good.len() / 60)
        .chain(good.len() - 60..good.len())
    {
        let mut bad = good.to_vec();
        bad[at] ^= 0x41;
        put(&bad)?;
        let e = w.fresh().verify(&face(), &generation).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains(&run.path),
            "byte {at}: {e}"
        );
        for asked in [&[17][..], &[17, 1_800, 3_999]] {
            let keys: Vec<_> = asked.iter().map(|n| key(*n)).collect();
            match w.fresh().get(&face(), &generation, &keys) {
                Ok(got) => {
                    let right = |(n, v): (&u64, Option<Vec<u8>>)| v == Some((n + 1).to_le_bytes().to_vec());
                    ensure!(asked.iter().zip(got).all(right), "byte {at}");
                }
                Err(e) => ensure!(
                    e.kind() == ErrorKind::CorruptData && e.to_string().contains(&run.path),
                    "{e}"
                ),
            }
        }
    }
    // Shorter while it is open, and before it is opened.
    put(&good)?;
    let open = w.fresh();
    open.get(&face(), &generation, &[key(1)])?;
    put(&good[..20_000])?;
    for g in [&open, &w.fresh()] {
        let e = g.get(&face(), &generation, &[key(3_999)]).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains(&run.path),
            "{e}"
        );
    }
    w.place.delete(&path)?;
    for g in [&open, &w.fresh()] {
        let e = g.get(&face(), &generation, &[key(3_999)]).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::TryAgain && e.to_string().contains("is gone"),
            "{e}"
        );
    }
    // A manifest, too.
    w.manifests.publish(&manifest(0, "l", &generation.runs))?;
    let good = w.place.read("manifests/0.json")?.context("the manifest")?;
    for at in (0..good.len()).step_by(13) {
        let mut bad = good.to_vec();
        bad[at] ^= 0x15;
        w.place.put("manifests/0.json", &mut |f| {
            f.write_all(&bad).map_err(|e| rufous_core::Error::bug(e.to_string()))
        })?;
        let e = w.manifests.newest(0).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains("/0.json"),
            "{e}"
        );
    }
    Ok(())
}

/// P25 in a bucket.
#[test]
fn gc_keeps_the_window() -> Result<()> {
    let w = World::new()?;
    let mut runs = Vec::new();
    for n in 0..5 {
        runs.extend(w.write(100, n + 1)?);
        w.manifests.publish(&manifest(n, "l", &runs[runs.len() - 1..]))?;
    }
    let now = Gc {
        grace: Duration::ZERO,
        ..Gc::default()
    };
    let World {
        place,
        manifests,
        generations,
        server,
    } = w;
    let none = now.collect(&manifests, None, &generations)?;
    ensure!(
        none.iter().all(|d| d.name.contains("manifests")),
        "who writes keeps its runs: {none:?}"
    );
    drop(generations);
    let g = Generations::on(place.clone(), "offline");
    let gone = now.collect(&manifests, None, &g)?;
    ensure!(gone.len() == 3 && manifests.numbers()? == [3, 4], "{gone:?}");
    ensure!(place.list("offline")?.len() == 2);
    g.verify(&face(), &of(runs[3..].to_vec()))?;
    drop(server);
    Ok(())
}
