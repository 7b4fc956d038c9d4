//! Keys that come from all partitions of two sources, which have different numbers of them (O1): who waits, and who reads.

use anyhow::{Context, Result, ensure};
use rufous::store_api::{ManifestLog, RealtimeReader};

use crate::joint::{Joint, LEFT, RIGHT, Shape, TRACE, to_end};

const ALL: [&[u32]; 2] = [&[0, 1, 2], &[0, 1]];

fn world(seed: u64) -> Result<(Joint, usize, usize)> {
    let world = Joint::new(seed, Shape::Spread)?;
    let source = |name: &str| {
        let found = world.plan.sources().iter().position(|face| face.name == name);
        found.context("a source of the job")
    };
    let (left, right) = (source(LEFT.name())?, source(RIGHT.name())?);
    Ok((world, left, right))
}

fn taken(world: &Joint) -> Result<i64> {
    Ok(world.read(false)?.0.1.values().sum())
}

/// O4: a record waits for every other partition, also for those of its own source, and a heartbeat in each is enough. With queues of
/// one poll as with large ones.
#[test]
fn a_record_waits_for_all_partitions() -> Result<()> {
    let _alone = crate::alone();
    for budget in [0, 128 << 20] {
        let (mut world, left, right) = world(3)?;
        for i in 0..20 {
            world.put(left, 0, 8_000 + i / 4, Some(format!("k {i}")));
        }
        world.put(left, 1, 8_100, None);
        world.put(right, 0, 8_100, None);
        world.put(right, 1, 8_100, None);
        let (_, whom) = to_end(&world, ALL, budget)?;
        ensure!(taken(&world)? == 0, "{}", taken(&world)?);
        ensure!(
            whom.iter()
                .map(|(name, p, _)| (name.as_str(), *p))
                .eq([(LEFT.name(), 2)]),
            "{whom:?}"
        );
        // Hours 8000 to 8002; at equal times the lower number goes first.
        world.put(left, 2, 8_002, Some("k 100".into()));
        to_end(&world, ALL, budget)?;
        ensure!(taken(&world)? == 13, "{}", taken(&world)?);
        world.put(left, 2, 8_100, None);
        let (waiting, whom) = to_end(&world, ALL, budget)?;
        ensure!(taken(&world)? == 21, "{waiting} {whom:?}: {}", taken(&world)?);
        world.genesis = world.manifests.get(0)?.context("genesis")?.frontier;
        world.check()?;
    }
    Ok(())
}

/// O6: one process reads all partitions of a domain. Of a part of them it reads none, and answers say so.
#[test]
fn of_a_part_of_the_partitions_none_is_read() -> Result<()> {
    let _alone = crate::alone();
    let (mut world, left, right) = world(4)?;
    for (s, partitions) in [(left, 3), (right, 2)] {
        for p in 0..partitions {
            world.put(s, p, 8_000 + p as i64, Some(format!("k {p}")));
            world.put(s, p, 8_100, None);
        }
    }
    let parts: [[&[u32]; 2]; 3] = [[&[0, 2], &[0, 1]], [&[0, 1, 2], &[1]], [&[0, 1, 2], &[]]];
    for owned in parts {
        to_end(&world, owned, 128 << 20)?;
        let rows = world.store.snapshot()?.partitions(TRACE.name())?;
        ensure!(rows.len() == 5, "{rows:?}");
        ensure!(rows.iter().all(|(_, row)| row.released && row.next == 0), "{rows:?}");
        ensure!(world.read(false).is_err(), "an answer without a partition");
    }
    to_end(&world, ALL, 128 << 20)?;
    world.genesis = world.manifests.get(0)?.context("genesis")?.frontier;
    world.check()?;
    ensure!(taken(&world)? == 5, "{}", taken(&world)?);
    Ok(())
}
