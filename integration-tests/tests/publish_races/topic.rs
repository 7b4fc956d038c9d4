//! A topic whose every record is a function of its place, so that any process can compute any prefix of it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rufous::client::Coverage;
use rufous::core::SourcePartition;
use rufous_integration_tests::kafka::Broker;

pub(crate) const PARTITIONS: u32 = 4;
/// How many words there are.
pub(crate) const WORDS: u64 = 150;
/// Log time from record to record: an hour, which is a batch, is 40 records.
const STEP: i64 = 90_000;
/// In 2023.
const EPOCH: i64 = 470_000 * 3_600_000;
/// Records of a partition between two pauses.
const ROUND: u64 = 15;

pub(crate) fn partition(p: u32) -> SourcePartition {
    SourcePartition::new("lines", p)
}

/// Two letters a word.
pub(crate) fn word(n: u64) -> String {
    [n / 26 % 26, n % 26]
        .map(|n| char::from(b'a' + n as u8))
        .into_iter()
        .collect()
}

/// The word of a place: splitmix64 of it, and the lower words come more often.
fn at(p: u32, offset: u64) -> u64 {
    let mut x = ((u64::from(p) << 40) | offset)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    x % (1 + (x >> 32) % WORDS)
}

/// Prefix sums: per partition and word the offsets where it is, ascending.
#[derive(Default)]
pub(crate) struct Prefixes {
    offsets: BTreeMap<(u32, u64), Vec<u64>>,
    known: [u64; PARTITIONS as usize],
}

impl Prefixes {
    /// How often a word is in the first `applied` records of each partition.
    pub(crate) fn count(&mut self, word: u64, coverage: &Coverage) -> u64 {
        let mut sum = 0;
        for p in 0..PARTITIONS {
            let (applied, known) = (coverage.applied(&partition(p)), &mut self.known[p as usize]);
            while *known < applied {
                self.offsets.entry((p, at(p, *known))).or_default().push(*known);
                *known += 1;
            }
            let offsets = self.offsets.get(&(p, word)).map_or(&[][..], Vec::as_slice);
            sum += offsets.partition_point(|offset| *offset < applied) as u64;
        }
        sum
    }
}

/// Produces until it is told to stop; how many records each partition has then.
pub(crate) fn feed(broker: &Broker, topic: &str, stop: &AtomicBool, fed: &Mutex<u64>) -> Result<u64> {
    let mut config = broker.client();
    config.set("enable.idempotence", "true").set("linger.ms", "1");
    let producer: BaseProducer = config.create()?;
    let mut next = 0;
    while !stop.load(Relaxed) {
        for offset in next..next + ROUND {
            for p in 0..PARTITIONS {
                let text = word(at(p, offset));
                let record = BaseRecord::<(), str>::to(topic)
                    .partition(p as i32)
                    .timestamp(EPOCH + offset as i64 * STEP)
                    .payload(&text);
                producer.send(record).map_err(|(e, _)| anyhow!("not sent: {e}"))?;
            }
        }
        producer.flush(Duration::from_secs(60)).context("not delivered")?;
        ensure!(
            producer.client().fatal_error().is_none(),
            "the producer had a fatal error"
        );
        next += ROUND;
        *fed.lock().expect("nobody panics with it") = next;
        // The pace of the load.
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(next)
}
