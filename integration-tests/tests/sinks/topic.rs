//! Topics of a real Kafka.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use rufous::core::{ErrorKind, Format, Promise, SourcePartition};
use rufous::platform_kafka::{KafkaOptions, KafkaSink, SinkIdentity, SinkMemory};
use rufous::realtime::{SinkRow, SinkWrite, SinkWriter};
use rufous::store_api::Hole;
use rufous_integration_tests::kafka::{Broker, block_on, shared, unique_name};

use crate::world::{Got, World};

/// Fewer than the source has: two of its partitions share one.
const TOPIC_PARTITIONS: i32 = 2;

struct Topics {
    world: World,
    broker: &'static Broker,
    prefix: String,
}

impl Topics {
    fn new(seed: u64, kind: &str) -> Result<Self> {
        let (broker, prefix) = (shared()?, unique_name("sink"));
        for sink in ["overdrawn", "copies"] {
            broker.create_topic(&format!("{prefix}-{sink}"), TOPIC_PARTITIONS, &[])?;
        }
        let to = format!("{kind} kafka://{}/{prefix}-", broker.addr());
        // The job's name takes part in transactional ids, and so does the instance: each test has a broker's names of its own.
        let world = World::named(seed, |_| to, &prefix)?;
        Ok(Self { world, broker, prefix })
    }
    /// What a consumer of committed records sees, in the order of the partitions.
    fn read(&self, sink: &str) -> Result<Vec<Got>> {
        read(self.broker, &format!("{}-{sink}", self.prefix))?
            .into_iter()
            .map(|(_, id, payload)| Got::new(sink, &id, payload))
            .collect()
    }
    fn check(&self, what: &str) -> Result<()> {
        let overdrawn = self.read("overdrawn")?;
        self.world.check(what, &overdrawn, &self.read("copies")?)
    }
}

/// Partition, id and payload of all committed records.
fn read(broker: &Broker, topic: &str) -> Result<Vec<(i32, String, String)>> {
    let mut config = broker.client();
    config
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.set("group.id", "nobody").create()?;
    let mut all = TopicPartitionList::new();
    for p in 0..TOPIC_PARTITIONS {
        all.add_partition_offset(topic, p, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let (mut records, mut ended) = (Vec::new(), std::collections::BTreeSet::new());
    let until = Instant::now() + Duration::from_secs(60);
    while ended.len() < TOPIC_PARTITIONS as usize {
        ensure!(Instant::now() < until, "topic {topic} has no end");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(p))) => {
                ended.insert(p);
            }
            Some(Err(e)) => return Err(e.into()),
            Some(Ok(message)) => {
                let header = message.headers().and_then(|h| h.iter().find(|h| h.key == "rufous-id"));
                let id = header.and_then(|h| h.value).context("a record without an id")?;
                let payload = message.payload().context("a record without a payload")?;
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
                records.push((message.partition(), text(id)?, text(payload)?));
            }
        }
    }
    Ok(records)
}

/// O23: killed between any two steps of a transaction and of the state, and at seeded instants.
#[test]
fn killed_anywhere() -> Result<()> {
    let mut t = Topics::new(41, "topic")?;
    let points = rufous::store_api::points::TOPIC;
    let mut ended = 0;
    for point in points.iter().chain(&["commit.before", "commit.written"]) {
        for time in [1, 4, 7] {
            t.world.append_all(30)?;
            ended += usize::from(t.world.end_at(&format!("{point}:{time}"))?);
        }
        t.world.append_all(3)?;
        t.world.catch_up()?;
        t.check(point)?;
    }
    ensure!(ended >= points.len() + 2, "{ended} streams came to their points");
    for _ in 0..6 {
        t.world.append_all(60)?;
        t.world.kill(400)?;
    }
    t.world.catch_up()?;
    t.check("killed")?;
    // O25, P32: the state is lost and made anew; nothing is written again.
    std::fs::remove_dir_all(t.world.state())?;
    t.world.append_all(40)?;
    t.world.catch_up()?;
    t.check("without the state")
}

/// O24: without transactions nothing is missing, and what comes twice has the same id and the same bytes.
#[test]
fn at_least_once_is_never_less() -> Result<()> {
    let mut t = Topics::new(42, "again")?;
    for time in [1, 3] {
        t.world.append_all(30)?;
        t.world.end_at(&format!("sinks.written:{time}"))?;
    }
    t.world.append_all(30)?;
    t.world.catch_up()?;
    let mut again = 0;
    let mut once = |sink: &str| -> Result<Vec<Got>> {
        let mut by_id: BTreeMap<(u32, u64, u64), Got> = BTreeMap::new();
        for got in t.read(sink)? {
            let before = by_id.insert((got.partition, got.offset, got.number), got.clone());
            ensure!(before.as_ref().is_none_or(|b| *b == got), "{before:?} {got:?}");
            again += usize::from(before.is_some());
        }
        Ok(by_id.into_values().collect())
    };
    let (overdrawn, copies) = (once("overdrawn")?, once("copies")?);
    ensure!(again > 0, "a process that ends behind the sink writes again");
    t.world.check("at least once", &overdrawn, &copies)
}

/// O23: the mark is gone, and nobody knows what was written: refused, with what to say.
#[test]
fn a_lost_mark_is_no_new_beginning() -> Result<()> {
    let mut t = Topics::new(43, "topic")?;
    t.world.append_all(30)?;
    t.world.catch_up()?;
    let admin: AdminClient<DefaultClientContext> = t.broker.client().create()?;
    let group = format!("rufous/alerts/{}/copies/payments/1", t.prefix);
    for (name, outcome) in block_on(admin.delete_groups(&[&group], &AdminOptions::new()))?
        .into_iter()
        .map(|r| match r {
            Ok(name) => (name, None),
            Err((name, e)) => (name, Some(e)),
        })
    {
        ensure!(outcome.is_none(), "{name}: {outcome:?}");
    }
    let out = t
        .world
        .command("stream")
        .args(["--until-end", "--no-archive"])
        .output()?;
    let err = String::from_utf8_lossy(&out.stderr);
    ensure!(
        !out.status.success() && err.contains("there is no mark of payments/1"),
        "{err}"
    );
    ensure!(err.contains("mark_from_state = true"), "{err}");
    std::fs::write(
        t.world.dir.path().join("rufous.toml"),
        "[sinks.copies]\nmark_from_state = true\n",
    )?;
    t.world.append_all(30)?;
    t.world.catch_up()?;
    t.check("with the mark of the state")
}

fn sink(broker: &Broker, topic: &str) -> Result<KafkaSink> {
    let identity = SinkIdentity {
        job: "job".into(),
        instance: topic.into(),
        sink: "sink".into(),
    };
    Ok(KafkaSink::open(
        broker.addr(),
        topic,
        KafkaOptions::new(Format::Text),
        identity,
        Promise::ExactlyOnce,
        false,
    )?)
}

fn write(sink: &mut KafkaSink, p: &SourcePartition, mark: u64, text: &str) -> rufous::Result<()> {
    let row = SinkRow {
        offset: mark,
        number: 0,
        bytes: text.as_bytes(),
    };
    sink.write(&SinkWrite {
        partition: p,
        mark,
        to: mark + 1,
        rows: &[row],
    })
}

/// O23, O27: who becomes the writer shuts out the one before, also one that is in the middle of a write, and goes on from
/// the mark.
#[test]
fn a_zombie_is_fenced() -> Result<()> {
    let (broker, topic) = (shared()?, unique_name("fence"));
    broker.create_topic(&topic, TOPIC_PARTITIONS, &[])?;
    let p = SourcePartition::new("payments", 5);
    let (mut old, mut new) = (sink(broker, &topic)?, sink(broker, &topic)?);
    ensure!(old.open(&p, 10, 10)? == Some(10), "it begins where it is told");
    write(&mut old, &p, 10, "old")?;
    ensure!(new.open(&p, 0, 0)? == Some(11), "the mark is that of the old writer");
    write(&mut new, &p, 11, "new")?;
    let e = write(&mut old, &p, 11, "zombie")
        .err()
        .context("the zombie is fenced")?;
    ensure!(e.kind() == ErrorKind::Closed, "{e}");
    ensure!(e.to_string().contains("another process is the writer now"), "{e}");
    // It does not go on as if nothing had been.
    ensure!(write(&mut old, &p, 11, "zombie").is_err(), "it must open again");
    write(&mut new, &p, 12, "newer")?;
    let got = read(broker, &topic)?;
    let texts: Vec<_> = got.iter().map(|(to, _, text)| (*to, text.as_str())).collect();
    ensure!(texts == [(1, "old"), (1, "new"), (1, "newer")], "{texts:?}");
    ensure!(got[0].1 == "sink/payments/5/10/0", "{}", got[0].1);
    Ok(())
}

/// What no broker takes is named with the repair, and nothing else of its transaction is seen.
#[test]
fn what_is_too_large_is_named() -> Result<()> {
    let (broker, topic) = (shared()?, unique_name("large"));
    broker.create_topic(&topic, TOPIC_PARTITIONS, &[("max.message.bytes", "10000")])?;
    let p = SourcePartition::new("payments", 0);
    let mut s = sink(broker, &topic)?;
    s.open(&p, 0, 0)?;
    let large = "x".repeat(20_000);
    let texts = ["small", &large, "small, too"];
    let e = written_at_last(&mut s, &p, 0, &texts).err().context("too large")?;
    ensure!(e.kind() == ErrorKind::InvalidRequest, "{e}");
    ensure!(e.to_string().contains("sink/payments/0/1/0 has 20000 bytes"), "{e}");
    ensure!(s.open(&p, 0, 0)? == Some(0), "the mark did not move");
    write(&mut s, &p, 0, "small")?;
    ensure!(read(broker, &topic)?.len() == 1, "one record");
    Ok(())
}

/// Writes records of one offset each as the engine does: opens and writes again what did not end well. Says how often.
fn written_at_last(sink: &mut KafkaSink, p: &SourcePartition, mark: u64, texts: &[&str]) -> rufous::Result<usize> {
    let rows: Vec<SinkRow<'_>> = texts
        .iter()
        .zip(mark..)
        .map(|(text, offset)| SinkRow {
            offset,
            number: 0,
            bytes: text.as_bytes(),
        })
        .collect();
    let mut tries = 1;
    loop {
        let write = SinkWrite {
            partition: p,
            mark,
            to: mark + texts.len() as u64,
            rows: &rows,
        };
        match sink.write(&write) {
            Err(e) if e.kind() == ErrorKind::TryAgain && tries < 5 => {
                tries += 1;
                sink.open(p, mark, mark)?;
            }
            done => return done.map(|()| tries),
        }
    }
}

/// Many small records are more than a topic takes at once: none of them is called too large, and they go in smaller batches.
#[test]
fn small_records_are_not_too_large() -> Result<()> {
    let (broker, topic) = (shared()?, unique_name("small"));
    broker.create_topic(&topic, TOPIC_PARTITIONS, &[("max.message.bytes", "10000")])?;
    let p = SourcePartition::new("payments", 0);
    let mut s = sink(broker, &topic)?;
    s.open(&p, 0, 0)?;
    let text = "y".repeat(400);
    let texts = vec![text.as_str(); 500];
    let tries = written_at_last(&mut s, &p, 0, &texts)?;
    ensure!(tries > 1, "the brokers took a batch of 200 kB");
    let got = read(broker, &topic)?;
    ensure!(
        got.len() == 500 && got.iter().all(|(_, _, t)| *t == text),
        "{} records",
        got.len()
    );
    Ok(())
}

/// What a sink is told to remember.
#[derive(Clone, Default)]
struct Remembered(Arc<Mutex<(Vec<SourcePartition>, Vec<Hole>)>>);

impl SinkMemory for Remembered {
    fn was_begun(&self, p: &SourcePartition) -> rufous::Result<bool> {
        Ok(self.0.lock().unwrap().0.contains(p))
    }
    fn begin(&self, p: &SourcePartition) -> rufous::Result<()> {
        self.0.lock().unwrap().0.push(p.clone());
        Ok(())
    }
    fn lose(&self, _: &SourcePartition, hole: &Hole) -> rufous::Result<()> {
        self.0.lock().unwrap().1.push(hole.clone());
        Ok(())
    }
}

/// O26: a lost range moves the mark, and is remembered where brokers forget nothing; who only asks does not become the writer.
#[test]
fn a_hole_is_remembered() -> Result<()> {
    let (broker, topic) = (shared()?, unique_name("hole"));
    broker.create_topic(&topic, TOPIC_PARTITIONS, &[])?;
    let (p, memory) = (SourcePartition::new("payments", 0), Remembered::default());
    let mut s = sink(broker, &topic)?.remembering(Box::new(memory.clone()));
    ensure!(s.mark_of(&p)?.is_none(), "it was not begun");
    s.open(&p, 3, 3)?;
    let hole = Hole {
        from: 3,
        to: 9,
        reason: "lost".into(),
    };
    s.pass(&p, &hole)?;
    let asker = sink(broker, &topic)?;
    ensure!(asker.mark_of(&p)? == Some(9), "{:?}", asker.mark_of(&p)?);
    write(&mut s, &p, 9, "behind it")?;
    ensure!(asker.mark_of(&p)? == Some(10), "the writer goes on");
    let (begun, holes) = &*memory.0.lock().unwrap();
    ensure!((begun, holes) == (&vec![p], &vec![hole]), "{begun:?} {holes:?}");
    Ok(())
}

/// A process with state of its own, over a topic that a consumer group shares out.
struct Member {
    dir: tempfile::TempDir,
    child: std::process::Child,
}

impl Member {
    fn start(broker: &Broker, prefix: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(
            dir.path().join("rufous.toml"),
            "[kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n",
        )?;
        let mut c = std::process::Command::new(env!("CARGO_BIN_EXE_job-alerts"));
        c.args(["stream", "--no-archive", "--commit-ms", "20", "--instance", prefix]);
        c.args(["--source", &format!("payments=kafka://{}/{prefix}+text", broker.addr())]);
        c.env("RUFOUS_LOG", "error")
            .env("ALERTS_TO", format!("topic kafka://{}/{prefix}-", broker.addr()));
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = c
            .current_dir(dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { dir, child })
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// P10a, O23: partitions move between two processes, one of which is killed; each goes on from the mark of the other.
#[test]
fn partitions_are_handed_over() -> Result<()> {
    let (broker, prefix) = (shared()?, unique_name("handed"));
    broker.create_topic(&prefix, 3, &[])?;
    for sink in ["overdrawn", "copies"] {
        broker.create_topic(&format!("{prefix}-{sink}"), TOPIC_PARTITIONS, &[])?;
    }
    let mut lines: Vec<Vec<String>> = vec![Vec::new(); 3];
    let mut feed = |n: usize| -> Result<Vec<String>> {
        for (p, lines) in lines.iter_mut().enumerate() {
            let from = lines.len();
            lines.extend(
                (from..from + n)
                    .map(|i| format!("p{p}a{} {}", i % 5, (i * 37 + p) % 201) + if i % 4 == 0 { "3" } else { "" }),
            );
            let new = lines[from..].iter().map(|line| (0, "", line.as_str()));
            broker.produce(&prefix, p as i32, new)?;
        }
        let all = lines
            .iter()
            .map(|lines| rufous_integration_tests::alerts::expected(lines.iter().map(String::as_str)));
        Ok(all.flat_map(|e| e.copies).collect())
    };
    // All that is expected is there, once, within a while.
    let comes = |what: &str, mut expected: Vec<String>, members: &[&Member]| -> Result<()> {
        expected.sort_unstable();
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let got = read(broker, &format!("{prefix}-copies"))?;
            let ids: std::collections::BTreeSet<_> = got.iter().map(|(_, id, _)| id).collect();
            ensure!(
                ids.len() == got.len(),
                "{what}: {} records of {} ids",
                got.len(),
                ids.len()
            );
            let mut texts: Vec<String> = got.into_iter().map(|(_, _, text)| text).collect();
            texts.sort_unstable();
            if texts == expected {
                return Ok(());
            }
            let logs: Vec<_> = members.iter().map(|m| m.log()).collect();
            ensure!(
                Instant::now() < until,
                "{what}: {} of {}: {logs:?}",
                texts.len(),
                expected.len()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let expected = feed(200)?;
    let mut first = Member::start(broker, &prefix)?;
    comes("one process", expected, &[&first])?;
    let second = Member::start(broker, &prefix)?;
    let expected = feed(200)?;
    comes("two processes", expected, &[&first, &second])?;
    first.child.kill()?;
    first.child.wait()?;
    let expected = feed(200)?;
    comes("the second alone", expected, &[&second])?;
    Ok(())
}
