//! Count-Min: laws, merge trees of signed updates, bytes, and its bounds against exact counts.

mod common;

use std::collections::HashMap;
use std::num::NonZeroU64;

use common::Rng;
use common::bytes::bytes;
use datasketches::countmin::CountMinSketch as Apache;
use probabilistic_collections::count_min_sketch::{CountMinSketch as Collections, CountMinStrategy};
use proptest::prelude::{Strategy, any};
use rufous_algebra::codec::{take_varint, unzigzag};
use rufous_algebra::laws::{
    self, check_absorb, check_codec, check_commutative, check_group, check_merge, exact_trees, rule,
};
use rufous_algebra::{Absorb, Codec, CountMin, Group, HashBytes, Monoid, Semigroup, count_min};

fn sketch<const D: usize, const W: usize>(updates: impl IntoIterator<Item = (u64, i64)>) -> CountMin<D, W> {
    let mut sketch = CountMin::zero();
    updates.into_iter().for_each(|(item, n)| sketch.insert_times(&item, n));
    sketch
}

fn ones<const D: usize, const W: usize>(items: impl IntoIterator<Item = u64>) -> CountMin<D, W> {
    sketch(items.into_iter().map(|item| (item, 1)))
}

fn sum<T: Semigroup>(a: &T, b: &T) -> T {
    let mut sum = a.clone();
    sum.combine(b);
    sum
}

/// The cells, row by row, read from the bytes as the module `bytes` describes them.
fn cells<const D: usize, const W: usize>(sketch: &CountMin<D, W>) -> Vec<Vec<i64>> {
    let bytes = sketch.to_bytes();
    let (mode, mut rest) = (bytes[0] >> 3 & 3, &bytes[1..]);
    let mut table = vec![0; D * W];
    if mode == 0 {
        let mut cell = 0;
        while !rest.is_empty() {
            cell += take_varint(&mut rest).unwrap() as usize;
            table[cell] = unzigzag(take_varint(&mut rest).unwrap());
        }
    } else {
        let width = 1 << mode;
        assert_eq!(rest.len(), D * W * width);
        for (cell, n) in table.iter_mut().zip(rest.chunks(width)) {
            let sign = if n[width - 1] >= 0x80 { 0xff } else { 0 };
            let mut long = [sign; 8];
            long[..width].copy_from_slice(n);
            *cell = i64::from_le_bytes(long);
        }
    }
    table.chunks(W).map(<[i64]>::to_vec).collect()
}

/// Cells not 0 up to which the bytes are a list.
const fn max_cells(cells: usize) -> usize {
    if cells / 8 < 4_096 { cells / 8 } else { 4_096 }
}

/// Sizes around the change of form, both signs, extremes; tables that are lists again, since all or most was taken
/// away.
fn samples<const D: usize, const W: usize>() -> Vec<CountMin<D, W>> {
    let n = (max_cells(D * W) / D) as u64;
    let large = ones(0..4 * n + 9);
    let mut all_but_two = large.clone();
    (2..4 * n + 9).for_each(|item| all_but_two.insert_times(&item, -1));
    let mut nothing = large.clone();
    (0..4 * n + 9).for_each(|item| nothing.insert_times(&item, -1));
    assert_eq!(all_but_two, ones(0..2));
    assert!(nothing.is_zero() && nothing == CountMin::zero());
    let mut negative = ones(0..n + 1);
    negative.negate();
    vec![
        ones([]),
        sketch([(1, 3), (7, -2)]),
        sketch([(1, i64::MIN), (2, i64::MAX), (3, 1 << 40)]),
        ones(0..n),
        negative,
        large,
        all_but_two,
        nothing,
    ]
}

/// A commutative group; bytes add up as values do; absorbing is adding.
#[test]
fn laws() {
    fn all<const D: usize, const W: usize>() {
        let samples = samples::<D, W>();
        check_group(&samples);
        check_commutative(&samples);
        check_codec(&samples);
        check_merge(&samples);
    }
    all::<3, 40>();
    all::<2, 5>();
    all::<1, 64>();
    check_codec(&samples::<5, 2719>());
    check_absorb::<&str, CountMin<3, 16>>(&["a", "b", "a", "c", "d", "e"]);
    check_absorb::<(u32, String), CountMin<5, 2719>>(&[(1, "a".into()), (1, "b".into()), (1, "a".into())]);
}

/// The same on random signed updates, which often cancel out.
#[test]
fn random_laws() {
    let count = (0..4i64, any::<i64>()).prop_map(|(kind, n)| if kind == 0 { n } else { n % 2 });
    let updates = proptest::collection::vec((0..20u64, count), 0..20);
    let sketches = updates.prop_map(sketch::<2, 24>);
    laws::random(sketches.clone(), rule::group);
    laws::random(sketches.clone(), rule::commutative);
    laws::random(sketches.clone(), rule::codec);
    laws::random(sketches, rule::merge);
}

/// An item, and how often it came or (when negative) went.
struct Update(u64, i64);

impl<const D: usize, const W: usize> Absorb<Update> for CountMin<D, W> {
    fn absorb(&mut self, update: &Update) {
        self.insert_times(&update.0, update.1);
    }
}

/// Exact tier: any merge tree has the bytes of one sketch of all items, around the change of form and beyond.
#[test]
fn trees() {
    fn trees<const D: usize, const W: usize>(rounds: u64, trees: usize, rng: &mut Rng) {
        let n = max_cells(D * W) / D;
        for round in 0..rounds {
            let size = if round % 3 == 0 {
                n.saturating_sub(2) + rng.below(5)
            } else {
                rng.below(3 * n)
            };
            let items: Vec<u64> = (0..size).map(|_| rng.next()).collect();
            exact_trees::<u64, CountMin<D, W>>(&items, trees, round).unwrap();
        }
    }
    let mut rng = Rng(1);
    trees::<3, 40>(60, 60, &mut rng);
    trees::<4, 256>(30, 30, &mut rng);
    trees::<5, 2719>(3, 4, &mut rng);
}

/// Exact tier, signed: counts cancel on some ways through the tree and not on others, so that shards are tables where
/// the sum is a list, or nothing at all. This is what a list of items instead of cells could not do.
#[test]
fn trees_of_signed_updates() {
    let mut rng = Rng(2);
    for round in 0..150 {
        let kept = rng.below(12);
        let mut updates: Vec<Update> = (0..rng.below(60))
            .flat_map(|_| {
                let (item, n) = (rng.next() % 50, rng.next() as i64);
                [Update(item, n), Update(item, n.wrapping_neg())]
            })
            .collect();
        updates.extend((0..kept).map(|_| Update(rng.next() % 50, 1 + (rng.next() % 3) as i64)));
        exact_trees::<Update, CountMin<3, 40>>(&updates, 40, round).unwrap();
    }
}

/// The form of the bytes is a function of the content, whatever the sketch was before.
#[test]
fn form_depends_on_content() {
    type Sketch = CountMin<3, 40>;
    let list = |s: &Sketch| s.to_bytes()[0] >> 3 & 3 == 0;
    let in_use = |s: &Sketch| cells(s).iter().flatten().filter(|n| **n != 0).count();
    let mut s = Sketch::zero();
    for item in 0..30u64 {
        assert_eq!(list(&s), in_use(&s) <= max_cells(120), "{item} items");
        s.insert(&item);
    }
    for item in (0..30u64).rev() {
        s.insert_times(&item, -1);
        assert_eq!(s.to_bytes(), ones::<3, 40>(0..item).to_bytes(), "{item} items left");
        assert_eq!(s, Sketch::decode(&s.to_bytes()).unwrap());
    }
    assert!(s.is_zero());
}

/// Sizes: nothing, one item, ten; counts choose the width of a table.
#[test]
fn small_states_are_small() {
    type Sketch = CountMin<5, 2719>;
    let size = |s: &Sketch| s.to_bytes().len();
    assert_eq!(size(&Sketch::zero()), 1);
    for item in 0..1_000u64 {
        assert!(size(&ones([item])) <= 16, "one item, in less than 64 bytes");
    }
    assert!(size(&ones(0..10)) <= 151);
    let table = ones(0..10_000);
    let with = |n| size(&sum(&table, &sketch([(0, n)])));
    let cells = 5 * 2719;
    assert_eq!(
        [20_000, -20_000, 40_000, 1 << 30, 1 << 31, -1 << 40].map(with),
        [2, 2, 4, 4, 8, 8].map(|width| 1 + width * cells)
    );
}

/// Golden bytes, malformed and damaged ones: empty, one, two, around the change of form, wide tables, sums, counts
/// below zero.
#[test]
fn format() {
    fn file<const D: usize, const W: usize>(name: &'static str) {
        let limit = (max_cells(D * W) / D) as u64;
        let mut file = bytes::<CountMin<D, W>>(name);
        for n in [0, 1, 2, limit - 1, limit, limit + 1, 100_000] {
            file = file.value(format!("0..{n}"), ones(0..n));
        }
        let mut taken_away = ones(0..3);
        taken_away.negate();
        file.value("0..3 taken away", taken_away)
            .value("0..40 with 2^20 times 7", sum(&ones(0..40), &sketch([(7, 1 << 20)])))
            .value(
                "0..40 with i64::MIN times 7",
                sum(&ones(0..40), &sketch([(7, i64::MIN)])),
            )
            .value("0..3 + 2..7", sum(&ones(0..3), &ones(2..7)))
            .check();
    }
    file::<3, 40>("count-min-3-40");
    file::<3, 128>("count-min-3-128");
    let mut usual = bytes::<CountMin<5, 2719>>("count-min-5-2719");
    for n in [0, 1, 2, 10, 100] {
        usual = usual.value(format!("0..{n}"), ones(0..n));
    }
    usual.check();
    assert_eq!(CountMin::<5, 2719>::schema(), "cms/5/2719/xxh3w");
}

/// Bytes whose rows do not have one sum are no sketch of any items.
#[test]
fn rows_have_one_sum() {
    let mut bytes = ones::<3, 40>(0..30).to_bytes();
    assert!(CountMin::<3, 40>::decode(&bytes).is_ok());
    bytes[1] ^= 1;
    let error = CountMin::<3, 40>::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "count-min rows of different sums");
}

/// Few items come often: the `i`-th of them about `n / i` times.
fn skewed(n: usize, rng: &mut Rng) -> Vec<u64> {
    let salt = rng.next() << 32;
    (0..n)
        .map(|_| {
            let bits = rng.below(17) as u32;
            salt | rng.next() >> (63 - bits)
        })
        .collect()
}

fn counted(items: &[u64]) -> HashMap<u64, i64> {
    let mut counts = HashMap::new();
    items.iter().for_each(|item| *counts.entry(*item).or_default() += 1);
    counts
}

fn assert_rate(what: &str, misses: f64, asked: f64, rate: f64) {
    let expected = asked * rate;
    assert!(
        misses <= expected + 4.0 * expected.sqrt(),
        "{what}: {misses} misses of {asked}, {expected:.1} expected"
    );
}

/// The guarantee: over many seeds, no estimate is below the truth, and more than `eps * N` above it at most as often as
/// `delta`, for items that were counted and others.
#[test]
fn estimates_are_within_the_bounds() {
    fn check<const D: usize, const W: usize>(seeds: u64, n: usize) {
        let (mut asked, mut misses) = (0.0, 0.0);
        for seed in 0..seeds {
            let mut rng = Rng(seed);
            let items = skewed(n, &mut rng);
            let (s, counts) = (ones::<D, W>(items.iter().copied()), counted(&items));
            assert_eq!(s.total(), n as i64);
            let others = (0..500).map(|_| (rng.next(), 0));
            for (item, n) in counts.into_iter().chain(others) {
                let estimate = s.estimate(&item);
                assert!(estimate.value >= n as f64 && estimate.high >= n as f64);
                assert!(estimate.low >= 0.0 && estimate.high == estimate.value);
                misses += f64::from(u8::from(!estimate.contains(n as f64)));
                asked += 1.0;
            }
        }
        assert_rate(&format!("{D} x {W}, {n} items"), misses, asked, (-(D as f64)).exp());
    }
    check::<1, 40>(20, 2_000);
    check::<2, 33>(20, 2_000);
    check::<3, 272>(10, 10_000);
    check::<5, 2719>(2, 20_000);
    assert!((CountMin::<5, 2719>::CONFIDENCE - 0.993_262_053).abs() < 1e-9);
    assert!((CountMin::<5, 2719>::EPSILON - 0.001).abs() < 1e-6);
}

/// Rows are independent, so that `delta` really falls with each: of items never seen, the share whose estimate is 2 or
/// more is that of one row to the power of the rows. (With 0, 1, 2 and so on as multipliers, items would share many
/// rows.)
#[test]
fn rows_are_independent() {
    fn share<const D: usize>() -> f64 {
        let wrong: usize = (0..40)
            .map(|seed| {
                let mut rng = Rng(seed);
                let s = ones::<D, 100>((0..100).map(|_| rng.next()));
                (0..2_000).filter(|_| s.estimate(&rng.next()).value >= 2.0).count()
            })
            .sum();
        wrong as f64 / 80_000.0
    }
    // A cell has 2 or more with the probability 1 - 2/e.
    let one_row = 1.0 - 2.0 / std::f64::consts::E;
    for (rows, found) in [
        (1, share::<1>()),
        (2, share::<2>()),
        (3, share::<3>()),
        (4, share::<4>()),
    ] {
        let expected = f64::powi(one_row, rows);
        assert!(
            (found / expected - 1.0).abs() < 0.15,
            "{rows} rows: {found}, {expected} expected"
        );
    }
}

/// The inner product: never below the truth, beyond `eps * N * M` at most as often as `delta`; of lists and tables.
#[test]
fn inner_products_are_within_the_bounds() {
    fn check<const D: usize, const W: usize>(sizes: &[(usize, usize)]) {
        let (mut asked, mut misses) = (0.0, 0.0);
        for seed in 0..60 {
            for &(n, m) in sizes {
                let mut rng = Rng(seed);
                let (a, mut b) = (skewed(n, &mut rng), skewed(m, &mut Rng(seed)));
                b.extend(skewed(m, &mut rng));
                let counts = counted(&b);
                let truth: i64 = counted(&a).iter().map(|(x, n)| n * counts.get(x).unwrap_or(&0)).sum();
                let (a, b) = (ones::<D, W>(a), ones::<D, W>(b));
                let found = a.inner_product(&b);
                assert_eq!(found, b.inner_product(&a));
                assert!(found.value >= truth as f64);
                misses += f64::from(u8::from(!found.contains(truth as f64)));
                asked += 1.0;
            }
        }
        assert_rate(&format!("{D} x {W}"), misses, asked, (-(D as f64)).exp());
    }
    check::<1, 64>(&[(4, 3), (4, 200), (300, 200)]);
    check::<3, 272>(&[(0, 9), (20, 20), (20, 500), (500, 500)]);
}

/// Negative counts that the cells prove leave no bounds; overflow wraps and can be taken back.
#[test]
fn negative_and_wrapped_counts() {
    let s = sketch::<3, 40>([(1, -5), (2, 100)]);
    let e = s.estimate(&1u64);
    assert_eq!((e.value, e.low, e.high), (-5.0, f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!(sketch::<3, 40>([(1, -5)]).inner_product(&s).high, f64::INFINITY);

    let mut wrapped = sketch::<3, 40>([(1, i64::MAX), (2, i64::MAX), (3, i64::MAX)]);
    wrapped.insert_times(&1u64, 1);
    assert_eq!(wrapped.estimate(&1u64).value, i64::MIN as f64);
    let _ = (wrapped.inner_product(&wrapped), wrapped.json());
    wrapped.negate();
    wrapped = sum(&wrapped, &sketch([(2, i64::MAX), (3, i64::MAX), (1, i64::MIN)]));
    assert!(wrapped.is_zero());
    let mut times = CountMin::<3, 40>::zero();
    times.absorb_times("a", NonZeroU64::MAX);
    times.absorb("a");
    assert!(times.is_zero());
}

/// Width and depth from error and confidence: rounded up.
#[test]
fn parameters() {
    assert_eq!([0.001, 0.01, 0.5].map(count_min::width), [2719, 272, 6]);
    let e = std::f64::consts::E;
    assert_eq!(
        [0.01, 0.5, 1.001 / e, 0.999 / e, 1e-9].map(count_min::depth),
        [5, 1, 1, 2, 21]
    );
}

/// Algebird #459: a table plus one item that was counted five times added 1, and the estimate fell below the truth.
#[test]
fn a_table_and_an_item_add_the_count_of_the_item() {
    let (table, item) = (ones::<5, 272>(0..1_000), sketch([(7, 5)]));
    for s in [sum(&table, &item), sum(&item, &table)] {
        assert_eq!(s.total(), 1_005);
        assert!(s.estimate(&7u64).value >= 6.0);
        assert_eq!(s, sketch((0..1_000).map(|x| (x, if x == 7 { 6 } else { 1 }))));
    }
    let list = ones::<5, 272>(0..10);
    assert_eq!(sum(&list, &item).estimate(&7u64).value, 6.0);
}

/// Algebird: a sum of sparse sketches took the threshold of the left one, so it depended on the order.
#[test]
fn the_change_of_form_does_not_depend_on_the_order() {
    let (small, larger) = (ones::<3, 40>(0..2), ones::<3, 40>(2..6));
    assert_eq!(sum(&small, &larger).to_bytes(), sum(&larger, &small).to_bytes());
    assert_eq!(sum(&small, &larger).to_bytes(), ones::<3, 40>(0..6).to_bytes());
}

/// Algebird shifted an `i32` by 32, so that columns were always even, and half of an even width was not used: here
/// every column of every row is in use, about equally, for even and odd widths and items of any kind.
#[test]
fn all_columns_are_used() {
    fn used<const W: usize, T: HashBytes>(items: impl Iterator<Item = T>) {
        let mut s = CountMin::<5, W>::zero();
        items.for_each(|item| s.insert(&item));
        let expected = s.total() as f64 / W as f64;
        for (row, counts) in cells(&s).iter().enumerate() {
            let chi: f64 = counts.iter().map(|n| (*n as f64 - expected).powi(2) / expected).sum();
            let freedom = W as f64 - 1.0;
            assert!(
                counts.iter().all(|n| *n > 0),
                "row {row} of width {W} has unused columns"
            );
            assert!(
                (chi - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(),
                "row {row} of width {W}: {chi}"
            );
        }
    }
    used::<2718, i32>(0..100_000);
    used::<2719, i32>(-50_000..50_000);
    used::<1024, u64>(0..100_000);
    used::<1023, u64>((0..100_000).map(|x| x << 40));
    used::<64, String>((0..20_000).map(|x| x.to_string()));
}

/// Algebird multiplied only, so that key 0 was in cell 0 of every row. And negative hashes gave negative columns
/// (Algebird
/// #229, #243): any key has one cell in each row.
#[test]
fn odd_keys_have_a_column_of_their_own_in_each_row() {
    let columns = |s: CountMin<5, 2719>| -> Vec<usize> {
        cells(&s)
            .iter()
            .map(|row| {
                assert_eq!(row.iter().sum::<i64>(), 1);
                row.iter().position(|n| *n == 1).unwrap()
            })
            .collect()
    };
    for key in [0, -1, i64::MIN, i64::MAX] {
        let mut s = CountMin::zero();
        s.insert(&key);
        let mut columns = columns(s);
        columns.sort_unstable();
        columns.dedup();
        assert_eq!(columns.len(), 5, "{key}: {columns:?}");
    }
}

/// The crates that have the sketch keep the same bounds on the same items. Both of them hash through `std::hash`, of
/// which they can persist nothing that another compiler must read. `probabilistic-collections` draws its hashers at
/// random, has no merge, and its `confidence` and `error` have each other's meaning; `datasketches` takes 108,784 bytes
/// for one item.
#[test]
fn other_crates_agree() {
    let items = skewed(30_000, &mut Rng(5));
    let mut apache = Apache::<i64>::new(5, 2719).unwrap();
    let mut collections = Collections::<CountMinStrategy, u64>::new(5, 2719);
    for item in &items {
        apache.update(item);
        collections.insert(item, 1);
    }
    let ours = ones::<5, 2719>(items.iter().copied());
    let counts = counted(&items);
    let mut excess = [0.0; 3];
    for (item, n) in &counts {
        let found = [
            ours.estimate(item).value,
            apache.estimate(item) as f64,
            collections.count(item) as f64,
        ];
        for (excess, found) in excess.iter_mut().zip(found) {
            assert!(found >= *n as f64);
            *excess += found - *n as f64;
        }
    }
    let [ours, apache, collections] = excess.map(|e| e / counts.len() as f64);
    let theirs = (apache + collections) / 2.0;
    assert!(
        (ours / theirs - 1.0).abs() < 0.2,
        "mean excess: ours {ours}, {apache} and {collections}"
    );
}
