//! Who reads which partition (P10a): one group, one process or two, each with its own data directory. Whatever happens to the
//! group, the answer of a process that has all partitions is the plain fold of the log, byte for byte, and a process that has
//! only some says so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rufous_integration_tests::kafka::job::{Live, SOON_DEAD, Words};
use rufous_integration_tests::kafka::{self, Broker};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");

fn live(broker: &Broker, words: &Words<'_>, properties: &[(&str, &str)]) -> Result<Live> {
    Live::new(PROGRAM, broker, words.topic(), properties)
}

/// P10a: a static member is back at once after kill -9: its session, which would hold the partitions for a minute, is its own.
#[test]
fn a_killed_process_gets_its_partitions_back_at_once() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    let mut a = live(&broker, &words, &[("session.timeout.ms", "300000")])?;
    words.write(1_000)?;
    a.start()?;
    a.comes_to("the first start", &words.expected())?;
    for n in 0..3 {
        a.kill9()?;
        words.write(500)?;
        a.start()?;
        a.comes_to(&format!("start {n} after a kill"), &words.expected())?;
    }
    Ok(())
}

/// P10a: the second process of a group gets some partitions; both say so, none gives an answer that lacks something; and
/// after the second has gone the first is exact again.
#[test]
fn two_processes_share_and_one_gets_all_back() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(2_000)?;
    let mut a = live(&broker, &words, &SOON_DEAD)?;
    let mut b = live(&broker, &words, &SOON_DEAD)?;
    a.start()?;
    a.comes_to("alone", &words.expected())?;
    b.start()?;
    a.is_refused(
        "the first, when the second came",
        &["has no owner at present", "another process"],
    )?;
    b.is_refused("the second", &["has no owner at present", "another process"])?;
    words.write(1_000)?;
    ensure!(
        a.log()
            .contains("the consumer group gave partitions to another process"),
        "{}",
        a.log()
    );
    ensure!(a.is_running()? && b.is_running()?, "both run on");
    b.stop()?;
    a.comes_to("alone again", &words.expected())?;
    words.write(500)?;
    a.comes_to("and it reads on", &words.expected())
}

/// Row 5, light: another member joins and dies every second; progress is made, and the end is exact.
#[test]
fn row_5_a_rebalance_storm() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    let mut a = live(&broker, &words, &SOON_DEAD)?;
    a.start()?;
    let start = Instant::now();
    let mut joins = 0;
    while start.elapsed() < Duration::from_secs(15) {
        words.write(300)?;
        // Each time another member: what the one before had is held until its session ends.
        let mut b = live(&broker, &words, &SOON_DEAD)?;
        b.start()?;
        joins += 1;
        // The pace of the fault, not a wait for anything.
        std::thread::sleep(Duration::from_millis(1_000));
        b.kill9()?;
        ensure!(a.is_running()?, "{}", a.log());
    }
    words.write(300)?;
    a.comes_to("after the storm", &words.expected())?;
    ensure!(joins > 2, "{joins} joins");
    Ok(())
}

/// P10a: two processes that were given one member id throw each other out in turn; one ends and says why, and the other has all.
#[test]
fn two_with_one_member_id() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(1_000)?;
    let same = [&SOON_DEAD[..], &[("group.instance.id", "twin")]].concat();
    let mut a = live(&broker, &words, &same)?;
    let mut b = live(&broker, &words, &same)?;
    a.start()?;
    a.comes_to("alone", &words.expected())?;
    b.start()?;
    let start = Instant::now();
    while a.is_running()? && b.is_running()? {
        ensure!(
            start.elapsed() < Duration::from_secs(60),
            "both run on:\n{}\n{}",
            a.log(),
            b.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut ended, mut other) = if a.is_running()? { (b, a) } else { (a, b) };
    ensure!(ended.ends()?.code() == Some(5), "{}", ended.log());
    ensure!(ended.log().contains("with the same member id"), "{}", ended.log());
    words.write(500)?;
    other.comes_to("the other", &words.expected())
}

/// Row 6, light: the owner is stopped past its session, another takes its partitions and is killed, the owner wakes up.
#[test]
fn row_6_a_zombie_wakes_up() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(1_000)?;
    let mut a = live(&broker, &words, &SOON_DEAD)?;
    let mut b = live(&broker, &words, &SOON_DEAD)?;
    a.start()?;
    a.comes_to("before", &words.expected())?;
    words.write(1_000)?;
    a.pause()?;
    b.start()?;
    // All partitions are the second's when its answer is whole.
    b.comes_to("the second, alone", &words.expected())?;
    words.write(1_000)?;
    a.resume()?;
    a.is_refused("the zombie, awake", &["another process"])?;
    b.kill9()?;
    a.comes_to("the zombie, alone", &words.expected())
}

/// Row 19, P41: a partition that is added under a running job is read from its start.
#[test]
fn row_19_a_partition_is_added() -> Result<()> {
    let broker = kafka::shared()?;
    let mut words = Words::new(broker, 2)?;
    words.write(500)?;
    let mut a = live(broker, &words, &SOON_DEAD)?;
    a.start()?;
    a.comes_to("two partitions", &words.expected())?;
    words.grow(5)?;
    words.write(500)?;
    a.comes_to("five partitions", &words.expected())?;
    a.kill9()?;
    words.write(500)?;
    a.start()?;
    a.comes_to("after a kill", &words.expected())
}

/// P42: a topic that is deleted and made again under a running job ends it, with the reason.
#[test]
fn p42_a_topic_made_again_is_refused() -> Result<()> {
    let broker = kafka::shared()?;
    let mut words = Words::new(broker, 2)?;
    words.write(500)?;
    let mut a = live(broker, &words, &SOON_DEAD)?;
    a.start()?;
    a.comes_to("before", &words.expected())?;
    let before = a.answers()?;
    broker.delete_topic(words.topic())?;
    let start = Instant::now();
    while broker.create_topic(words.topic(), 2, &[]).is_err() {
        ensure!(
            start.elapsed() < Duration::from_secs(30),
            "the topic does not come again"
        );
    }
    let said = |log: &str| {
        [
            "made again",
            "is another log",
            "there is no topic",
            "not there any more",
        ]
        .iter()
        .any(|w| log.contains(w))
    };
    let status = a.ends()?;
    ensure!(!status.success() && said(&a.log()), "{status} {}", a.log());
    // A new start compares the ids.
    let out = a.command(&["stream", "--until-end", "--no-archive"]).output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(
        !out.status.success() && text.contains("is another log than the one that was read"),
        "{text}"
    );
    ensure!(a.answers()? == before, "nothing was changed");
    Ok(())
}
