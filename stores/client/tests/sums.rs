//! Sums of hops that are kept by generation: never of another generation, never where cells are, and never with anything merged into them.

mod support;

use std::collections::BTreeMap;

use rufous_algebra::Codec;
use rufous_client::{End, Window};
use rufous_core::{AsKey, BatchId, HopSize, StoreFace, Timestamp, WindowedStore};
use support::*;

const HOUR: i64 = 3_600_000;
const VIEWS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::hours(1)]);
const KEYS: [&str; 4] = ["a", "ab", "b", "never"];

fn hop(page: &str, hour: i64) -> Vec<u8> {
    let mut bytes = key(page);
    let grid = VIEWS.windows().grid().unwrap();
    grid.hop(HopSize::hours(1), Timestamp(hour * HOUR))
        .encode_key(&mut bytes);
    bytes
}

/// What there is: by page and hour, offline and live.
#[derive(Default)]
struct Log(BTreeMap<(&'static str, i64), u64>, BTreeMap<(&'static str, i64), u64>);

impl Log {
    fn random(rng: &mut Rng, live: bool) -> Self {
        let mut log = Self::default();
        for page in &KEYS[..3] {
            for hour in -40..200 {
                if !rng.one_in(4) {
                    log.0.insert((page, hour), 1 + rng.below(1 << 30));
                }
            }
            for _ in 0..if live { rng.below(6) } else { 0 } {
                log.1.insert((page, rng.below(260) as i64 - 50), 1 + rng.below(1 << 30));
            }
        }
        log
    }
    fn fold(&self, page: &str, from: i64, to: i64) -> Option<u64> {
        let in_it = |(of, hour): &(&str, i64)| *of == page && (from..to).contains(hour);
        let all = self.0.iter().chain(&self.1).filter(|(at, _)| in_it(at));
        all.map(|(_, n)| *n).reduce(|a, b| a + b)
    }
}

fn show(w: &World, number: u64, log: &Log) {
    let offline = log.0.iter().map(|((page, hour), n)| (hop(page, *hour), n.to_bytes()));
    w.publish_store(
        manifest(number, Some("n1"), &[(0, cut(5, 100))]),
        &StoreFace::windowed(VIEWS),
        offline.collect(),
    );
    let cells = log
        .1
        .iter()
        .map(|((page, hour), n)| ((hop(page, *hour), BatchId(5 + hour.rem_euclid(3))), n.to_bytes()));
    let shard = Shard {
        row: row(&[(5, 100), (6, 110), (7, 120)], 200),
        cells: cells.collect(),
    };
    w.put_store("n1", "views", 0, shard);
}

#[test]
fn windows_are_the_fold_of_their_hops_whatever_is_kept() {
    let mut rng = Rng(77);
    let w = World::default();
    let client = w.client().refresh_after(std::time::Duration::ZERO);
    let clients = [
        client.clone(),
        client.clone().cache_bytes(0),
        client.cache_bytes(400_000),
    ];
    for number in 1..40 {
        let log = Log::random(&mut rng, number % 3 > 0);
        show(&w, number, &log);
        for _ in 0..6 {
            let from = rng.below(230) as i64 - 45;
            let to = from + 1 + rng.below((215 - from) as u64) as i64;
            let window = Window::between(Timestamp(from * HOUR), Timestamp(to * HOUR));
            for client in &clients {
                let views = client.windows(VIEWS).unwrap();
                for page in KEYS {
                    let found = views.get(page, window).unwrap();
                    assert_eq!(
                        found.answer.value,
                        log.fold(page, from, to),
                        "{page} {from}..{to} of {number}"
                    );
                }
                let keys: Vec<Vec<u8>> = [2, 0, 3, 1, 0].map(|i| key(KEYS[i])).to_vec();
                let found = views.raw().read(&keys, &[window]).unwrap();
                for (i, answers) in [2, 0, 3, 1, 0].into_iter().zip(found) {
                    let answer = answers.into_iter().next().unwrap().unwrap();
                    let value = answer
                        .answer
                        .value
                        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
                    assert_eq!(
                        value,
                        log.fold(KEYS[i], from, to),
                        "{} {from}..{to} of {number}",
                        KEYS[i]
                    );
                }
            }
        }
    }
}

/// The second time only what lies beside whole blocks is read, and the block of a cell; another generation is read anew.
#[test]
fn a_window_is_read_once_a_generation() {
    let w = World::default();
    let client = w.client().refresh_after(std::time::Duration::ZERO);
    let offline = |factor: u64| {
        let all = (0..240).map(|hour| (("a", hour), factor * (1 + hour as u64)));
        Log(all.collect(), BTreeMap::new())
    };
    let read = |log: &Log, from: i64, to: i64| {
        let before = w.state().values_read;
        let window = Window::between(Timestamp(from * HOUR), Timestamp(to * HOUR));
        let found = client.windows(VIEWS).unwrap().get("a", window).unwrap();
        assert_eq!(found.answer.value, log.fold("a", from, to));
        w.state().values_read - before
    };
    for (number, factor) in [(1, 1), (2, 1000)] {
        let mut log = offline(factor);
        show(&w, number, &log);
        assert_eq!(read(&log, 3, 227), 224);
        assert_eq!(read(&log, 3, 227), 21 + 11, "beside the blocks");
        assert_eq!(read(&log, 24, 72), 0, "blocks of another window");
        assert_eq!(read(&log, 25, 71), 46, "no whole block");
        // A cell comes into a block: the block is read, and its sum stays what it is.
        log.1.insert(("a", 50), 7);
        log.1.insert(("a", 5), 9);
        show(&w, number, &log);
        assert_eq!(read(&log, 3, 227), 21 + 11 + 24);
        log.1.clear();
        show(&w, number, &log);
        assert_eq!(read(&log, 3, 227), 21 + 11);
    }
}

/// What is damaged is told each time, and nothing that was added up without it is kept.
#[test]
fn damage_is_not_kept() {
    let w = World::default();
    let client = w.client();
    let mut log = Log::default();
    log.0.extend((0..48).map(|hour| (("a", hour), 1)));
    show(&w, 1, &log);
    let path = "views-1".to_string();
    w.state().files.get_mut(&path).unwrap().insert(hop("a", 30), vec![1]);
    let ask = || {
        let window = Window::since(Timestamp(0), End::At(Timestamp(48 * HOUR)));
        client
            .windows(VIEWS)
            .unwrap()
            .get("a", window)
            .map(|found| found.answer.value)
    };
    for _ in 0..3 {
        assert_eq!(ask().unwrap_err().kind(), rufous_core::ErrorKind::CorruptData);
    }
    w.state()
        .files
        .get_mut(&path)
        .unwrap()
        .insert(hop("a", 30), 1_u64.to_bytes());
    assert_eq!(ask().unwrap(), Some(48));
}
