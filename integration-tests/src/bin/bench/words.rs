//! Word count, live: over files and over Kafka, in this process.

use std::collections::HashMap;
use std::io::Write;

use anyhow::Result;
use rufous::core::{Format, Plan};
use rufous_examples::word_count::{Args, COUNTS, word_count};
use rufous_integration_tests::kafka;
use rufous_integration_tests::run::{self, Random, State};

use crate::clock::{Clock, print};

/// Words of a Zipf-like law over 100,000, without a table of floats: rank = 100,000 ^ u.
fn word(random: &mut Random) -> u32 {
    let u = (random.number() >> 11) as f64 / (1u64 << 53) as f64;
    100_000f64.powf(u) as u32
}

fn spell(rank: u32, out: &mut String) {
    let mut n = rank;
    out.clear();
    loop {
        out.push((b'a' + (n % 26) as u8) as char);
        n /= 26;
        if n == 0 {
            return;
        }
    }
}

/// Every count against the generated ones.
fn check(state: &State, plan: &Plan, counts: &HashMap<u32, u64>) -> Result<bool> {
    let rows = state.client(plan).store(COUNTS)?.under(())?;
    let got: HashMap<String, Option<u64>> = rows.into_iter().map(|(k, a)| (k, a.value)).collect();
    let mut text = String::new();
    Ok(got.len() == counts.len()
        && counts.iter().all(|(rank, n)| {
            spell(*rank, &mut text);
            got.get(&text) == Some(&Some(*n))
        }))
}

pub(crate) fn words_local(words: u64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("in");
    std::fs::create_dir(&input)?;
    let (mut random, mut counts, mut text) = (Random(1), HashMap::new(), String::new());
    let mut file = std::io::BufWriter::new(std::fs::File::create(input.join("words.txt"))?);
    for i in 0..words {
        let rank = word(&mut random);
        *counts.entry(rank).or_insert(0) += 1;
        spell(rank, &mut text);
        file.write_all(text.as_bytes())?;
        file.write_all(if i % 10 == 9 { b"\n" } else { b" " })?;
    }
    file.write_all(b"\n")?;
    file.flush()?;
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let state = State::disk_every_second(&plan, &dir.path().join("state"))?;
    let clock = Clock::start();
    state.stream(&plan, run::local(&input, &dir.path().join("registry"), Format::Text)?)?;
    let time = clock.stop();
    print(
        "word count, live over the local log",
        "words",
        words,
        time,
        check(&state, &plan, &counts)?,
    );
    Ok(())
}

pub(crate) fn words_kafka(words: u64) -> Result<()> {
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("words");
    broker.create_topic(&topic, 8, &[])?;
    let (mut random, mut counts) = (Random(2), HashMap::new());
    for p in 0..8 {
        let mut text = String::new();
        let records = (0..words / 8).map(|_| {
            let rank = word(&mut random);
            *counts.entry(rank).or_insert(0) += 1;
            spell(rank, &mut text);
            (1_000, "", text.clone())
        });
        broker.produce(&topic, p, records)?;
    }
    let dir = tempfile::tempdir()?;
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let state = State::disk_every_second(&plan, dir.path())?;
    let clock = Clock::start();
    state.stream(&plan, run::kafka(broker, &topic, Format::Text)?)?;
    let time = clock.stop();
    let what = "word count, live over Kafka (one word a record, 8 partitions, lz4, commits each second)";
    print(what, "records", words, time, check(&state, &plan, &counts)?);
    Ok(())
}
