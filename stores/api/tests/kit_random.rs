//! Random stacks of combinators over stores that fail at random: an answer may be an error, but one that is none is never wrong.
//!
//! The oracle is a plain map of what each key may have. After an error that is what it had or what it would have; any answer that is no
//! error must be one of these, and from then on it is the only one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use proptest::prelude::*;
use rufous_core::{ErrorKind, Result};
use rufous_store_api::conformance::kit::{Broken, Flaky};
use rufous_store_api::kit::{
    Backoff, BoxStore, BytesExt, Call, Conversion, EntriesExt, FullStore, MapStore, MemoryCache, Operation, Quorum,
    Replicated, RowsExt, Sharded, StoreExt,
};

type Texts = MapStore<String, u64>;

/// What lies below.
#[derive(Clone, Debug)]
enum Base {
    Map,
    Bytes,
    Shards(usize),
    Copies { n: usize, roll_back: bool },
    Rows,
    Entries,
}

#[derive(Clone, Debug)]
enum Layer {
    Cached {
        entries: usize,
        absence: bool,
        written: bool,
    },
    Batched(usize, usize),
    Retrying,
    OtherKeys,
    OtherValues,
    Observed,
}

#[derive(Clone, Debug)]
enum Step {
    Get(Vec<u8>),
    Put(Vec<(u8, Option<u8>)>),
    Merge(Vec<(u8, u8)>),
}

/// Fails so many of a thousand keys, before or after.
fn flaky<K: 'static, S>(store: S, seed: u64, per_mille: u64) -> Flaky<S, K> {
    let mut state = seed;
    Flaky::new(store, move |_: Operation, _: &K| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let n = (state >> 33) % 1000;
        let how = if n.is_multiple_of(2) {
            Broken::Before
        } else {
            Broken::After
        };
        (n < per_mille).then(|| how(ErrorKind::TryAgain))
    })
}

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn base(base: &Base, seed: u64, fail: u64) -> BoxStore<String, u64> {
    let texts = |i: usize| flaky::<String, _>(Texts::new(), seed + i as u64, fail);
    match *base {
        Base::Map => texts(0).boxed(),
        Base::Bytes => {
            let bytes = flaky::<Vec<u8>, _>(MapStore::<Vec<u8>, Vec<u8>>::new(), seed, fail);
            bytes.typed::<String, u64>().merged_by_put().boxed()
        }
        Base::Shards(n) => Sharded::new((0..n).map(|i| Some(texts(i))).collect()).unwrap().boxed(),
        Base::Copies { n, roll_back } => {
            let copies = Replicated::new((0..n).map(texts).collect(), Quorum::Majority, Quorum::Majority).unwrap();
            if roll_back {
                copies.roll_back().merged_by_put().boxed()
            } else {
                copies.merged_by_put().boxed()
            }
        }
        Base::Rows => {
            let rows = flaky::<u8, _>(MapStore::<u8, BTreeMap<String, u64>>::new(), seed, fail);
            let entry = |key: &String| Ok((key.len() as u8 % 2, key.clone()));
            rows.unpivoted().keyed_by(entry).boxed()
        }
        Base::Entries => {
            let entries = flaky::<(String, u8), _>(MapStore::<(String, u8), u64>::new(), seed, fail);
            let rows = entries.pivoted(|_: &String| vec![0, 1]);
            rows.unpivoted()
                .keyed_by(|key: &String| Ok((key.clone(), key.len() as u8 % 2)))
                .boxed()
        }
    }
}

fn over(store: BoxStore<String, u64>, layer: &Layer) -> BoxStore<String, u64> {
    match *layer {
        Layer::Cached {
            entries,
            absence,
            written,
        } => {
            let mut store = store.cached(MemoryCache::of_entries(entries));
            if absence {
                store = store.remember_absence();
            }
            if written {
                store = store.keep_written();
            }
            store.boxed()
        }
        Layer::Batched(keys, calls) => store.batched(n(keys)).side_by_side(n(calls)).boxed(),
        Layer::Retrying => {
            let pause = Duration::from_micros(1);
            let backoff = Backoff::default()
                .tries(NonZeroU32::new(3).unwrap())
                .pauses(pause, pause);
            store.retrying(backoff).boxed()
        }
        Layer::OtherKeys => store.keyed_by(|key: &String| Ok(format!("<{key}>"))).boxed(),
        Layer::OtherValues => {
            let odd = Conversion::new(|v: &u64| Ok(v * 2 + 1), |v: u64| Ok(v / 2));
            store.converted(odd).merged_by_put().boxed()
        }
        Layer::Observed => store
            .observed(|call: &Call| assert_eq!(call.present + call.absent + call.failed, call.keys))
            .boxed(),
    }
}

/// What each key may have.
#[derive(Default)]
struct Oracle(BTreeMap<u8, BTreeSet<Option<u64>>>);

impl Oracle {
    fn may(&mut self, key: u8) -> &mut BTreeSet<Option<u64>> {
        self.0.entry(key).or_insert_with(|| BTreeSet::from([None]))
    }
    fn said(&mut self, key: u8, answer: &Result<Option<u64>>) -> Result<(), TestCaseError> {
        if let Ok(value) = answer {
            let may = self.may(key);
            prop_assert!(may.contains(value), "key {key} is {value:?}, and may be {may:?}");
            *may = BTreeSet::from([*value]);
        }
        Ok(())
    }
    fn put(&mut self, key: u8, value: Option<u64>, done: bool) {
        let may = self.may(key);
        if done {
            may.clear();
        }
        may.insert(value);
    }
    fn add(&mut self, key: u8, value: u64, done: bool) {
        let may = self.may(key);
        let sums: Vec<_> = may.iter().map(|old| Some(old.unwrap_or(0) + value)).collect();
        if done {
            may.clear();
        }
        may.extend(sums);
    }
}

fn key(key: u8) -> String {
    "k".repeat(usize::from(key))
}

fn run(store: &impl FullStore<String, u64>, steps: &[Step]) -> Result<usize, TestCaseError> {
    let mut oracle = Oracle::default();
    let mut errors = 0;
    for step in steps {
        match step {
            Step::Get(keys) => {
                let asked: Vec<String> = keys.iter().map(|k| key(*k)).collect();
                let answers = store.multi_get(&asked);
                prop_assert_eq!(answers.len(), keys.len());
                for (key, answer) in keys.iter().zip(&answers) {
                    errors += usize::from(answer.is_err());
                    oracle.said(*key, answer)?;
                }
            }
            Step::Put(pairs) => {
                let sent = pairs
                    .iter()
                    .map(|(k, v)| (key(*k), v.map(|v| u64::from(v) + 1)))
                    .collect();
                let answers = store.multi_put(sent);
                prop_assert_eq!(answers.len(), pairs.len());
                for ((key, value), done) in pairs.iter().zip(&answers) {
                    errors += usize::from(done.is_err());
                    oracle.put(*key, value.map(|v| u64::from(v) + 1), done.is_ok());
                }
            }
            Step::Merge(pairs) => {
                let sent = pairs.iter().map(|(k, v)| (key(*k), u64::from(*v) + 1)).collect();
                let answers = store.multi_merge(sent);
                prop_assert_eq!(answers.len(), pairs.len());
                for ((key, value), before) in pairs.iter().zip(&answers) {
                    errors += usize::from(before.is_err());
                    oracle.said(*key, before)?;
                    oracle.add(*key, u64::from(*value) + 1, before.is_ok());
                }
            }
        }
    }
    Ok(errors)
}

fn bases() -> impl Strategy<Value = Base> {
    prop_oneof![
        Just(Base::Map),
        Just(Base::Bytes),
        (1..4usize).prop_map(Base::Shards),
        (1..4usize, any::<bool>()).prop_map(|(n, roll_back)| Base::Copies { n, roll_back }),
        Just(Base::Rows),
        Just(Base::Entries),
    ]
}

fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let layer = prop_oneof![
        (1..8usize, any::<bool>(), any::<bool>()).prop_map(|(entries, absence, written)| Layer::Cached {
            entries,
            absence,
            written
        }),
        (1..4usize, 1..3usize).prop_map(|(keys, calls)| Layer::Batched(keys, calls)),
        Just(Layer::Retrying),
        Just(Layer::OtherKeys),
        Just(Layer::OtherValues),
        Just(Layer::Observed),
    ];
    prop::collection::vec(layer, 0..4)
}

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..6u8;
    let step = prop_oneof![
        prop::collection::vec(key.clone(), 0..6).prop_map(Step::Get),
        prop::collection::vec((key.clone(), any::<Option<u8>>()), 0..5).prop_map(Step::Put),
        prop::collection::vec((key, any::<u8>()), 0..5).prop_map(Step::Merge),
    ];
    prop::collection::vec(step, 1..30)
}

fn stack(below: &Base, layers: &[Layer], seed: u64, fail: u64) -> BoxStore<String, u64> {
    layers.iter().fold(base(below, seed, fail), over)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where nothing fails nothing is an error, and every answer is that of a plain map.
    #[test]
    fn a_stack_over_sound_stores_is_a_map(below in bases(), layers in layers(), steps in histories()) {
        prop_assert_eq!(run(&stack(&below, &layers, 0, 0), &steps)?, 0);
    }

    /// Where some of everything fails, what is no error is right.
    #[test]
    fn a_stack_over_failing_stores_is_never_wrong(
        below in bases(), layers in layers(), steps in histories(), seed in any::<u64>(), fail in 1..500u64,
    ) {
        run(&stack(&below, &layers, seed >> 1, fail), &steps)?;
    }
}
