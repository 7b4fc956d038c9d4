//! Topics filled once a run, and the totals that every subject must find.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rufous_integration_tests::kafka::Broker;

use super::generate::{Law, Ranks, rank, spell};

/// How a record looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The word is the value; records go round the partitions.
    Word,
    /// The word is key and value; a word's records are in one partition, as Kafka Streams needs them to count without a repartition topic.
    Keyed,
    /// A JSON object of 300 bytes with the word in it.
    Json,
}

/// A filled topic.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) records: u64,
    /// By rank.
    expected: Vec<u32>,
}

/// Counts what the brokers took.
#[derive(Default, Clone)]
struct Taken(Arc<AtomicU64>);
impl ClientContext for Taken {}
impl ProducerContext for Taken {
    type DeliveryOpaque = ();
    fn delivery(&self, outcome: &DeliveryResult<'_>, (): ()) {
        self.0.fetch_add(u64::from(outcome.is_ok()), Relaxed);
    }
}

impl Topic {
    /// Makes and fills a topic.
    pub(super) fn fill(
        broker: &Broker,
        name: &str,
        partitions: i32,
        (shape, law): (Shape, Law),
        records: u64,
    ) -> Result<Self> {
        broker.create_topic(name, partitions, &[])?;
        let mut config = broker.client();
        for (key, value) in [
            ("enable.idempotence", "true"),
            ("compression.type", "lz4"),
            ("linger.ms", "50"),
            ("batch.size", "1000000"),
            ("batch.num.messages", "100000"),
            ("queue.buffering.max.messages", "1000000"),
        ] {
            config.set(key, value);
        }
        let taken = Taken::default();
        let producer: BaseProducer<Taken> = config.create_with_context(taken.clone())?;
        let mut ranks = Ranks::new(law, 1);
        let mut expected = vec![0; law.keys() as usize];
        let (mut word, mut value) = (Vec::new(), Vec::new());
        for i in 0..records {
            let rank = ranks.draw();
            *expected.get_mut(rank as usize).context("a rank above the law")? += 1;
            word.clear();
            spell(rank, &mut word);
            let mut record = BaseRecord::<[u8], [u8]>::to(name);
            record = match shape {
                Shape::Word => record.partition((i % partitions as u64) as i32).payload(&word),
                Shape::Keyed => record
                    .partition((rank % partitions as u32) as i32)
                    .key(&word)
                    .payload(&word),
                Shape::Json => {
                    json(i, &word, &mut value);
                    record.partition((i % partitions as u64) as i32).payload(&value)
                }
            };
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        producer.poll(Duration::from_millis(10));
                        record = again;
                    }
                    Err((e, _)) => return Err(e).with_context(|| format!("record {i} to {name}")),
                }
            }
            if i % 1_000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_secs(120))?;
        let acknowledged = taken.0.load(Relaxed);
        ensure!(
            acknowledged == records,
            "{acknowledged} of {records} records are in {name}"
        );
        Ok(Self {
            name: name.to_string(),
            shape,
            records,
            expected,
        })
    }

    /// Produces one record more; returns its word and how often it is there now.
    pub(super) fn one_more(&mut self, broker: &Broker) -> Result<(String, u64)> {
        let rank = self.expected.iter().position(|n| *n > 0).context("an empty topic")?;
        let mut word = Vec::new();
        spell(rank as u32, &mut word);
        broker.produce(&self.name, 0, [(now_ms(), "", &word)])?;
        self.records += 1;
        let count = self.expected.get_mut(rank).context("a rank above the law")?;
        *count += 1;
        Ok((String::from_utf8(word)?, u64::from(*count)))
    }

    /// How many words occur.
    pub(super) fn keys(&self) -> usize {
        self.expected.iter().filter(|n| **n > 0).count()
    }

    /// Whether these lines, a word, a tab and a count each, are exactly the totals.
    pub(super) fn is_exact(&self, lines: &[u8]) -> bool {
        let mut seen = 0;
        let mut last = vec![false; self.expected.len()];
        for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let parse = || {
                let at = line.iter().position(|b| *b == b'\t')?;
                let (word, count) = line.split_at(at);
                let count: u32 = std::str::from_utf8(count.get(1..)?).ok()?.parse().ok()?;
                Some((rank(word)? as usize, count))
            };
            let Some((rank, count)) = parse() else { return false };
            if self.expected.get(rank) != Some(&count) || std::mem::replace(&mut last[rank], true) {
                return false;
            }
            seen += 1;
        }
        seen == self.keys()
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis() as i64)
}

/// 300 bytes: four fields that are read among others that are not.
fn json(i: u64, word: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    out.clear();
    let word = std::str::from_utf8(word).unwrap_or_default();
    // Writing into memory does not fail.
    let _ = write!(
        out,
        r#"{{"id":"{:016x}","at":{},"agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","user":{},"word":"{word}","path":"/articles/2026/11/21/index.html","referrer":"https://example.org/search?q=rufous","amount":{},"country":"NZ","pad":""#,
        i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        1_790_000_000_000 + i,
        i % 5_000_000,
        i % 1_000
    );
    out.resize(298, b'.');
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is called exact is: one count more, a word twice, a word less or a strange one are not.
    #[test]
    fn only_the_totals_are_exact() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        spell(0, &mut a);
        spell(2, &mut b);
        let (a, b) = (String::from_utf8(a).unwrap(), String::from_utf8(b).unwrap());
        let topic = Topic {
            name: String::new(),
            shape: Shape::Word,
            records: 5,
            expected: vec![2, 0, 3],
        };
        assert!(topic.is_exact(format!("{b}\t3\n{a}\t2\n").as_bytes()));
        for wrong in [
            format!("{a}\t2\n"),
            format!("{a}\t2\n{b}\t4\n"),
            format!("{a}\t2\n{b}\t3\n{b}\t3\n"),
            format!("{a}\t2\n{b}\t3\nwhat\t1\n"),
        ] {
            assert!(!topic.is_exact(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn records_have_300_bytes() {
        let mut out = Vec::new();
        for i in [0, 1_000_000_000] {
            json(i, b"abcdeings", &mut out);
            assert_eq!(out.len(), 300);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["word"], "abcdeings");
            assert_eq!(value["at"], 1_790_000_000_000 + i);
        }
    }
}
