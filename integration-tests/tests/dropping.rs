//! P26, P27, P23 with real generations: cells that a generation covers are dropped while the job runs on, a generation later;
//! answers do not change, and a rollback by one generation still has its cells. P6, P7: what seals a batch over a real topic.

use anyhow::{Result, ensure};
use rufous::prelude::*;
use rufous_core::{Batcher, Format, Frontier};
use rufous_integration_tests::run::{self, State, assert_same};

const LINES: Source<str> = Source::new("lines").batches(Batcher::of_offsets(1000));
const COUNTS: Store<String, u64> = Store::new("counts");

fn cells(state: &State) -> Result<u64> {
    let mut n = 0;
    state
        .realtime
        .snapshot()?
        .scan("counts", &[], &Frontier::default(), &mut |_, _| {
            n += 1;
            Ok(())
        })?;
    Ok(n)
}

#[test]
fn covered_cells_go_and_answers_stay() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let job = Job::new("count", LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS));
    let plan = job.plan()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let unpublished = State::memory(&plan);
    let open = || run::local(&input, &registry, Format::Text);
    let mut sizes = Vec::new();
    for round in 0..4_u32 {
        let lines: Vec<String> = (0..3000).map(|i| format!("word-{}", (i * 7 + round) % 500)).collect();
        run::write_files(&input, "txt", 3, lines.iter().map(String::as_str), |i, _| i % 3)?;
        state.stream(&plan, open()?)?;
        unpublished.stream(&plan, open()?)?;
        let archive = run::archive(&plan, open()?, &dir.path().join("archive"))?;
        state.batch(&plan, archive, Format::Text, false, None)?;
        let before = cells(&state)?;
        // The next start sees the new manifest.
        state.stream(&plan, open()?)?;
        sizes.push((before, cells(&state)?));
        assert_same("dropped", &state.answers(&plan)?, &unpublished.answers(&plan)?);
        // A rollback is a publish of the generation before, on top: its frontier must still have its cells.
        let newest = state.manifests.newest(0)?.expect("published");
        let base = state.manifests.get(newest.number - 1)?.expect("kept");
        let rows = state.realtime.snapshot()?.partitions("counts")?;
        for (p, row) in rows.iter() {
            ensure!(
                row.retained_from <= base.frontier.of(p).batch,
                "{p}: a rollback would find a gap"
            );
            ensure!(row.aligned(newest.frontier.of(p)).is_ok() && row.aligned(base.frontier.of(p)).is_ok());
        }
    }
    // The first publish permits nothing but genesis; from the second on cells go.
    ensure!(sizes[0].0 == sizes[0].1, "{sizes:?}");
    ensure!(
        sizes[1..].iter().all(|(before, after)| after * 3 < before * 2),
        "{sizes:?}"
    );
    Ok(())
}

/// P6, P7: over a real topic a record with the header `rufous-heartbeat` seals the batch before it for stream, archive and
/// bulk run alike, and is counted by nobody; a partition without one keeps its batch open and holds nobody up.
#[test]
fn a_heartbeat_seals_over_kafka() -> Result<()> {
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    const LOGGED: Source<str> = Source::new("lines");
    let broker = rufous_integration_tests::kafka::shared()?;
    let topic = rufous_integration_tests::kafka::unique_name("heartbeat");
    broker.create_topic(&topic, 2, &[])?;
    let hour = 3_600_000;
    for p in 0..2 {
        broker.produce(&topic, p, [(hour, "", "a"), (hour + 1, "", "b"), (2 * hour, "", "a")])?;
    }
    let producer: BaseProducer = broker.client().create()?;
    let headers = OwnedHeaders::new().insert(Header {
        key: "rufous-heartbeat",
        value: None::<&str>,
    });
    let heartbeat = BaseRecord::<(), str>::to(&topic)
        .partition(0)
        .timestamp(9 * hour)
        .payload("beat")
        .headers(headers);
    producer.send(heartbeat).map_err(|(e, _)| e)?;
    producer.flush(std::time::Duration::from_secs(30))?;
    let dir = tempfile::tempdir()?;
    let plan = Job::new("beats", LOGGED.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS)).plan()?;
    let state = State::memory(&plan);
    let open = || -> Result<Box<dyn rufous_realtime::Log>> {
        let options = rufous_platform_kafka::KafkaOptions::new(Format::Text);
        Ok(Box::new(rufous_platform_kafka::KafkaLog::open(
            broker.addr(),
            &topic,
            options,
        )?))
    };
    state.stream(&plan, open()?)?;
    let live = state.answers(&plan)?;
    let archive = run::archive(&plan, open()?, &dir.path().join("archive"))?;
    let report = state.batch(&plan, archive, Format::Text, true, None)?;
    let cut = |p| {
        report
            .manifest
            .frontier
            .of(&rufous_core::SourcePartition::new("lines", p))
    };
    ensure!((cut(0).cut, cut(1).cut) == (3, 2), "{:?}", report.manifest.frontier);
    ensure!(report.records == 5, "{report:?}");
    assert_same("sealed by a heartbeat", &state.answers(&plan)?, &live);
    ensure!(live.len() == 2, "the heartbeat is no line");
    Ok(())
}
