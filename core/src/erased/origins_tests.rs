//! Random jobs against plain lists that carry the origin beside each record.

#[allow(dead_code, unreachable_pub, reason = "one generator for all tests")]
#[path = "../testing/random.rs"]
mod random;

use std::collections::HashSet;

use self::random::Random;
use super::Origin;
use crate::planner::Rules;
use crate::*;

const LEFT: Source<u64> = Source::new("left");
const RIGHT: Source<u64> = Source::new("right");
const SEEN: Sink<(u64, (Origin, u64))> = Sink::new("seen");
const ALSO: Sink<u64> = Sink::new("also");

impl Record for u64 {
    const FIELDS: &'static [Field] = &[];
    fn from_row(_: &Row<'_>) -> std::result::Result<Self, RecordError> {
        Ok(0)
    }
}

/// A stream, and the list that it is: (time, offset), key, value.
type Model = Vec<((i64, u64), u64, u64)>;

struct Stream {
    said: KeyedProducer<u64, u64>,
    model: Model,
}

fn each(model: &Model, f: impl Fn(u64, u64) -> Vec<(u64, u64)>) -> Model {
    let one = |(o, k, v): &((i64, u64), u64, u64)| f(*k, *v).into_iter().map(|(k, v)| (*o, k, v)).collect::<Vec<_>>();
    model.iter().flat_map(one).collect()
}

/// One more step, each of the words of the producer that can follow pairs.
fn grow(random: &mut Random, streams: &mut Vec<Stream>, ends: &mut Vec<Written<u64>>) {
    let at = random.below(streams.len() as u64) as usize;
    let (said, model) = (streams[at].said.clone(), streams[at].model.clone());
    let n = random.below(3) + 1;
    let (said, model) = match random.below(16) {
        0 => (said.map_values(move |v| v + n), each(&model, |k, v| vec![(k, v + n)])),
        1 => (
            said.map_keys(move |k| k % 7 + n),
            each(&model, |k, v| vec![(k % 7 + n, v)]),
        ),
        2 => (
            said.filter_values(move |v| v % 3 != n % 3),
            each(&model, |k, v| if v % 3 != n % 3 { vec![(k, v)] } else { vec![] }),
        ),
        3 => (
            said.filter_keys(move |k| k % 4 != n),
            each(&model, |k, v| if k % 4 != n { vec![(k, v)] } else { vec![] }),
        ),
        4 => (
            said.flat_map_values(move |v, out| (0..v % 4).for_each(|i| out.emit(v + i * n))),
            each(&model, |k, v| (0..v % 4).map(|i| (k, v + i * n)).collect()),
        ),
        5 => (
            said.flat_map_keys(move |k, out| (0..k % 3).for_each(|i| out.emit(k + i * n))),
            each(&model, |k, v| (0..k % 3).map(|i| (k + i * n, v)).collect()),
        ),
        6 => (
            said.keyed_pairs(move |k, v, out| (0..n).for_each(|i| out.emit(k + i, v + i))),
            each(&model, |k, v| (0..n).map(|i| (k + i, v + i)).collect()),
        ),
        7 => (said.swap(), each(&model, |k, v| vec![(v, k)])),
        8 => (
            said.pairs()
                .filter(move |(k, v)| (k + v) % 5 != n)
                .keyed(|(k, v), out| out.emit(*k, *v)),
            each(&model, |k, v| if (k + v) % 5 != n { vec![(k, v)] } else { vec![] }),
        ),
        9 => (
            said.values()
                .flat_map(move |v, out| (0..v % 3).for_each(|i| out.emit(v ^ i)))
                .key_by(|v| v % 5),
            each(&model, |_, v| (0..v % 3).map(|i| ((v ^ i) % 5, v ^ i)).collect()),
        ),
        10 => (
            said.keys().map(|k| k + 1).key_by(|k| *k),
            each(&model, |k, _| vec![(k + 1, k + 1)]),
        ),
        11 => (
            said.map_values(|v| v / 2).named(&format!("step-{}", streams.len())),
            each(&model, |k, v| vec![(k, v / 2)]),
        ),
        12 if ends.is_empty() => {
            let written = said.values().write(ALSO);
            ends.push(written.clone());
            (
                written.records().key_by(|v| v % 3),
                each(&model, |_, v| vec![(v % 3, v)]),
            )
        }
        13 => (said.counted(Counter::new("passed")), model),
        _ => {
            let other = &streams[random.below(streams.len() as u64) as usize];
            if model.len() + other.model.len() > 3_000 {
                return;
            }
            let both = model.into_iter().chain(other.model.clone()).collect();
            (said.merge(other.said.clone()), both)
        }
    };
    if model.len() < 5_000 {
        streams.push(Stream { said, model });
    }
}

/// What the sink got, sorted: time, offset, number, key, value.
fn run(job: &Job, rules: &Rules, inputs: &[Vec<(i64, u64, u64)>; 2], chunk: usize, shared: bool) -> Vec<[i64; 5]> {
    let plan = job.plan_with(rules).unwrap();
    let mut run = plan.instantiate();
    for (number, source) in plan.sources().iter().enumerate() {
        let input = &inputs[usize::from(source.name == RIGHT.name())];
        for records in input.chunks(chunk) {
            let meta = ChunkMeta {
                source: number as u32,
                partition: 1,
                batch: BatchId(2),
            };
            let mut values: Vec<u64> = records.iter().map(|(_, _, v)| *v).collect();
            if let Some(origins) = run.origins(meta.source) {
                origins.begin(meta.partition, meta.batch);
                records
                    .iter()
                    .for_each(|(time, offset, _)| origins.add(Some(Timestamp(*time)), *offset));
            }
            if shared {
                run.push_shared(&meta, &values).unwrap();
            } else {
                run.push(&meta, &mut values).unwrap();
            }
        }
    }
    let sink = plan.sinks().iter().position(|(name, _)| *name == SEEN.name()).unwrap();
    let written: Box<dyn std::any::Any> = run.take_written(sink).unwrap();
    let written = written.downcast::<Vec<(u64, (Origin, u64))>>().unwrap();
    let one = |(k, (o, v)): &(u64, (Origin, u64))| {
        [
            o.time().unwrap().0,
            o.offset as i64,
            o.number as i64,
            *k as i64,
            *v as i64,
        ]
    };
    let mut got: Vec<_> = written.iter().map(one).collect();
    got.sort_unstable();
    got
}

/// O13, O17: time and offset of what a step sees are those of the record of the source that it became of, whatever the steps
/// between do; its number is its alone and the same in chunks of any size.
#[test]
fn origins_of_random_jobs() {
    let mut multiplied = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut input = |first: u64| -> Vec<(i64, u64, u64)> {
            let n = random.below(60);
            (0..n)
                .map(|i| (random.below(1_000) as i64, first + i * 2, random.below(50)))
                .collect()
        };
        let inputs = [input(0), input(1_001)];
        let start = |port: Source<u64>, input: &Vec<(i64, u64, u64)>| Stream {
            said: port.read().key_by(|v| v % 6),
            model: input
                .iter()
                .map(|(time, offset, v)| ((*time, *offset), v % 6, *v))
                .collect(),
        };
        let mut streams = vec![start(LEFT, &inputs[0]), start(RIGHT, &inputs[1])];
        let mut ends = Vec::new();
        for _ in 0..random.below(14) {
            grow(&mut random, &mut streams, &mut ends);
        }
        let last = streams.pop().unwrap();
        let seen = last.said.with_origins().pairs().write(SEEN);
        let job = match ends.pop() {
            Some(also) => Job::new("origins", (seen, also)),
            None => Job::new("origins", seen),
        };
        let mut expected: Vec<[i64; 4]> = last
            .model
            .iter()
            .map(|((time, offset), k, v)| [*time, *offset as i64, *k as i64, *v as i64])
            .collect();
        expected.sort_unstable();
        for rules in [Rules::all(), Rules::none()] {
            let first = run(&job, &rules, &inputs, 1024, false);
            let mut plain: Vec<_> = first.iter().map(|[t, o, _, k, v]| [*t, *o, *k, *v]).collect();
            plain.sort_unstable();
            assert_eq!(plain, expected, "seed {seed}");
            let numbers: HashSet<_> = first.iter().map(|[_, o, n, ..]| (o, n)).collect();
            assert_eq!(
                numbers.len(),
                first.len(),
                "seed {seed}: two records of one origin have one number"
            );
            multiplied += numbers.iter().filter(|(_, n)| **n != 0).count();
            for (chunk, shared) in [(1, false), (7, false), (7, true), (1024, true)] {
                assert_eq!(
                    run(&job, &rules, &inputs, chunk, shared),
                    first,
                    "seed {seed}, chunks of {chunk}"
                );
            }
        }
    }
    assert!(multiplied > 1_000, "the jobs multiply too little: {multiplied}");
}

/// A platform that does not say where records come from is told so; a job that does not ask needs no such word.
#[test]
fn nothing_is_made_up() {
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let asks = Job::new(
        "asks",
        LEFT.read()
            .key_by(|v| *v)
            .map_values(|v| *v)
            .with_origins()
            .pairs()
            .write(SEEN),
    );
    let mut run = asks.plan().unwrap().instantiate();
    let e = run.push(&meta, &mut vec![1_u64]).unwrap_err().to_string();
    assert!(e.contains("without the origins"), "{e}");
    let plain = Job::new("plain", LEFT.read().write(ALSO));
    let mut run = plain.plan().unwrap().instantiate();
    assert!(run.origins(0).is_none());
    run.push(&meta, &mut vec![1_u64]).unwrap();
}
