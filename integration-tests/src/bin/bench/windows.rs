//! `./x bench windows`: reads of windows in process, over a hybrid state: generations below, live cells above.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use rufous::client::{Window, WindowClient};
use rufous::core::Format;
use rufous::prelude::*;
use rufous::{Codec, Commutative};
use rufous_integration_tests::run::{self, State};

const START: i64 = 1_699_920_000_000; // 2023-11-14T00:00Z
const HOUR: i64 = 3_600_000;
/// Thirty days with a day around them.
const HOURS: i64 = 32 * 24;
const KEYS: u64 = 50;
const READS: usize = 400;

const EVENTS: Source<str> = Source::new("events")
    .batches(Batcher::of_hours(1))
    .timed_by(|line| parts(line).0);
const USERS: WindowedStore<u64, Hll<12>> = WindowedStore::new("users", &[HopSize::hours(1)]);
const COUNTS: WindowedStore<u64, u64> = WindowedStore::new("counts", &[HopSize::hours(1), HopSize::days(1)]);

/// `MILLISECONDS KEY USER`
fn parts(line: &str) -> (Timestamp, u64, u64) {
    let mut parts = line.split(' ').map(|p| p.parse::<i64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (Timestamp(next()), next() as u64, next() as u64)
}

struct World {
    state: State,
    plan: rufous::core::Plan,
    /// Per key and hour: how many, and the users.
    plain: BTreeMap<(u64, i64), (u64, Vec<u64>)>,
    _dir: tempfile::TempDir,
}

/// Two thirds of the time are published, the rest is live.
fn world(users_an_hour: u64) -> Result<World> {
    let dir = tempfile::tempdir()?;
    let events = EVENTS.read().keyed(|line, out| {
        let (at, key, user) = parts(line);
        out.emit((key, at), user);
    });
    let users = events.clone().windowed_aggregate_by_key(USERS);
    let counts = events.map_values(|_| 1).windowed_sum_by_key(COUNTS);
    let plan = Job::new("windows", (users, counts)).plan()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    fs::create_dir_all(&input)?;
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let log = || run::local(&input, &registry, Format::Text);
    let (mut text, mut plain, mut random) = (String::new(), BTreeMap::new(), run::Random(3));
    for hour in 0..HOURS {
        for key in 0..KEYS {
            // One key has all the users, so that its sketches are dense; the others a few.
            let n = if key == 0 { users_an_hour } else { 2 };
            for i in 0..n {
                let at = START + hour * HOUR + (i as i64 * 997) % HOUR;
                let user = random.below(1_000_000);
                writeln!(text, "{at} {key} {user}")?;
                let cell: &mut (u64, Vec<u64>) = plain.entry((key, hour)).or_default();
                cell.0 += 1;
                cell.1.push(user);
            }
        }
        if hour == HOURS * 2 / 3 {
            fs::write(input.join("0.txt"), &text)?;
            state.stream(&plan, log()?)?;
            let archive = run::archive(&plan, log()?, &dir.path().join("archive"))?;
            let report = state.batch(&plan, archive, Format::Text, false, None)?;
            ensure!(report.published);
        }
    }
    fs::write(input.join("0.txt"), &text)?;
    state.stream(&plan, log()?)?;
    Ok(World {
        state,
        plan,
        plain,
        _dir: dir,
    })
}

fn read<V: Commutative + Codec + PartialEq>(
    what: &str,
    bar_us: f64,
    client: &WindowClient<u64, V>,
    window: Window,
    hops: usize,
    expected: &V,
) -> Result<()> {
    let mut times = Vec::with_capacity(READS);
    let mut exact = true;
    for i in 0..READS + 20 {
        let start = Instant::now();
        let answer = client.get(0_u64, window)?;
        let time = start.elapsed().as_secs_f64() * 1e6;
        exact &= answer.answer.value.as_ref() == Some(expected) && answer.hops == hops;
        // The first ones only warm up.
        if i >= 20 {
            times.push(time);
        }
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{what}: p50 {:.0} us, p99 {:.0} us (bar {bar_us:.0} us: {}); exact: {}",
        times[READS / 2],
        times[READS * 99 / 100],
        if times[READS / 2] <= bar_us { "met" } else { "MISSED" },
        if exact { "yes" } else { "NO" }
    );
    Ok(())
}

/// Prints the lines.
pub(crate) fn reads() -> Result<()> {
    let world = world(600)?;
    let client = world.state.client(&world.plan);
    let (users, counts) = (client.windows(USERS)?, client.windows(COUNTS)?);
    let at = |hour: i64| Timestamp(START + hour * HOUR);
    let cells = |from: i64, to: i64| (from..to).filter_map(|h| world.plain.get(&(0, h)));
    // 720 hours that end with the last.
    let mut sketch = Hll::<12>::zero();
    for (_, of_hour) in cells(HOURS - 720, HOURS) {
        of_hour.iter().for_each(|user| sketch.absorb(user));
    }
    let window = Window::between(at(HOURS - 720), at(HOURS));
    read(
        "720 hourly HyperLogLogs of 600 users",
        1000.0,
        &users,
        window,
        720,
        &sketch,
    )?;
    // Half a day, thirty days, half a day.
    let (from, to) = (12, HOURS - 12);
    let count: u64 = cells(from, to).map(|(n, _)| n).sum();
    let window = Window::between(at(from), at(to));
    read("30 daily and 24 hourly counters", 50.0, &counts, window, 54, &count)
}
