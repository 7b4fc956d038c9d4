//! Values that are exact: structs, extremes, maps, sets, groups.

use std::collections::{BTreeMap, BTreeSet};

use rufous_algebra::codec::{Codec, DecodeError};
use rufous_algebra::{Absorb, Commutative, Max, Mean, Min, Monoid, Semigroup};

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::super::random::Random;
use super::super::records::Sale;
use super::plain::{LINES, SALES, some_sales, tally};
use crate::job::Job;
use crate::port::Store;

const TURNOVER: Store<String, Turnover> = Store::new("turnover");
const LARGEST: Store<String, Max<i64>> = Store::new("largest");
const SMALLEST: Store<String, Min<i64>> = Store::new("smallest");
const FIRST_BUYER: Store<u32, Option<Min<u64>>> = Store::new("first-buyer");
const ITEMS: Store<String, BTreeMap<u32, i64>> = Store::new("items");
const BUYERS: Store<u32, BTreeSet<u64>> = Store::new("buyers");
const MEANS: Store<String, Mean> = Store::new("means");
const BALANCES: Store<String, i64> = Store::new("balances");
const MIXED: Store<u32, (u64, Max<i64>, Min<i64>)> = Store::new("mixed");

pub(super) fn cases() -> Vec<Case> {
    vec![
        struct_of_monoids(),
        extremes(),
        option(),
        map_values_in_a_map(),
        set_and_mean(),
        tuple(),
        negative_numbers(),
        groups_cancel(),
    ]
}

/// A struct of monoids, by hand: `#[derive(Monoid, Codec)]` writes it elsewhere.
#[derive(Clone, Debug, PartialEq)]
struct Turnover {
    sold: u64,
    cents: i64,
    largest: Max<i64>,
    buyers: BTreeSet<u64>,
}

impl Semigroup for Turnover {
    const BY_PARTS: bool = true;
    fn combine(&mut self, other: &Self) {
        self.sold += other.sold;
        self.cents += other.cents;
        self.largest.combine(&other.largest);
        self.buyers.combine(&other.buyers);
    }
}
impl Monoid for Turnover {
    fn zero() -> Self {
        Self {
            sold: 0,
            cents: 0,
            largest: Max::zero(),
            buyers: BTreeSet::new(),
        }
    }
    fn is_zero(&self) -> bool {
        *self == Self::zero()
    }
}
impl Commutative for Turnover {}
impl Absorb<Sale> for Turnover {
    fn absorb(&mut self, sale: &Sale) {
        self.sold += 1;
        self.cents += sale.cents;
        self.largest.absorb(&sale.cents);
        self.buyers.extend(sale.buyer);
    }
}

type Parts = (u64, i64, Max<i64>, BTreeSet<u64>);

impl Turnover {
    fn parts(&self) -> Parts {
        (self.sold, self.cents, self.largest, self.buyers.clone())
    }
}
impl Codec for Turnover {
    const MERGE: Option<rufous_algebra::codec::Merge> = Parts::MERGE;
    fn encode(&self, out: &mut Vec<u8>) {
        self.parts().encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (sold, cents, largest, buyers) = Parts::decode(bytes)?;
        Ok(Self {
            sold,
            cents,
            largest,
            buyers,
        })
    }
    fn schema() -> String {
        format!("turnover{}", Parts::schema())
    }
    fn json(&self) -> serde_json::Value {
        self.parts().json()
    }
    fn magnitude(&self) -> f64 {
        self.sold as f64
    }
}

fn struct_of_monoids() -> Case {
    let (sales, input) = some_sales(51);
    let turnover = SALES.read().key_by(|s| s.shop.clone()).aggregate_by_key(TURNOVER);
    let mut expected: BTreeMap<String, Turnover> = BTreeMap::new();
    for s in &sales {
        let t = expected.entry(s.shop.clone()).or_insert_with(Turnover::zero);
        t.sold += 1;
        t.cents += s.cents;
        t.largest = Max::of(t.largest.get().map_or(s.cents, |&most| most.max(s.cents)));
        t.buyers.extend(s.buyer);
    }
    Case::new(
        "records are absorbed into a struct of four monoids",
        Job::new("struct-of-monoids", turnover),
        input,
    )
    .store(TURNOVER, expected)
}

/// Per shop all amounts, in order.
fn by_shop(sales: &[Sale]) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for s in sales {
        all.entry(s.shop.clone()).or_default().push(s.cents);
    }
    all.values_mut().for_each(|cents| cents.sort_unstable());
    all
}

fn extremes() -> Case {
    let (sales, input) = some_sales(52);
    let cents = SALES.read().keyed(|s, out| out.emit(s.shop.as_str(), s.cents));
    let largest = cents.clone().map_values(|&c| Max::of(c)).sum_by_key(LARGEST);
    let smallest = cents.aggregate_by_key(SMALLEST);
    let all = by_shop(&sales);
    Case::new(
        "idempotent sums without a number for nothing",
        Job::new("extremes", (largest, smallest)),
        input,
    )
    .store(
        LARGEST,
        all.iter()
            .map(|(shop, cents)| (shop.clone(), Max::of(cents[cents.len() - 1]))),
    )
    .store(
        SMALLEST,
        all.iter().map(|(shop, cents)| (shop.clone(), Min::of(cents[0]))),
    )
}

fn option() -> Case {
    let (sales, input) = some_sales(53);
    let first = SALES.read().keyed(|s, out| out.emit(s.item, s.buyer.map(Min::of)));
    let mut expected: BTreeMap<u32, u64> = BTreeMap::new();
    for (item, buyer) in sales.iter().filter_map(|s| Some((s.item, s.buyer?))) {
        let least = expected.entry(item).or_insert(buyer);
        *least = buyer.min(*least);
    }
    Case::new(
        "trap 2: keys that only ever had `None` are as good as absent",
        Job::new("option", first.sum_by_key(FIRST_BUYER)),
        input,
    )
    .store(
        FIRST_BUYER,
        expected.into_iter().map(|(item, buyer)| (item, Some(Min::of(buyer)))),
    )
}

fn map_values_in_a_map() -> Case {
    let (sales, input) = some_sales(54);
    let items = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), BTreeMap::from([(s.item % 20, s.cents.signum())])));
    let mut expected: BTreeMap<String, BTreeMap<u32, i64>> = BTreeMap::new();
    for s in &sales {
        *expected
            .entry(s.shop.clone())
            .or_default()
            .entry(s.item % 20)
            .or_default() += s.cents.signum();
    }
    expected.values_mut().for_each(|items| items.retain(|_, n| *n != 0));
    Case::new(
        "7.1 values of type map; entries that come to zero leave it (trap 2)",
        Job::new("map-values-in-a-map", items.sum_by_key(ITEMS)),
        input,
    )
    .store(ITEMS, expected)
}

fn set_and_mean() -> Case {
    let (sales, input) = some_sales(55);
    let read = SALES.read();
    let buyers = read
        .clone()
        .filter_map(|s| Some((s.item, s.buyer?)))
        .keyed(|&(item, buyer), out| out.emit(item, buyer));
    let means = read
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .aggregate_by_key(MEANS);
    let mut expected: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for (item, buyer) in sales.iter().filter_map(|s| Some((s.item, s.buyer?))) {
        expected.entry(item).or_default().insert(buyer);
    }
    let mean = |cents: &Vec<i64>| {
        let mut mean = Mean::zero();
        cents.iter().for_each(|c| mean.absorb(c));
        mean
    };
    Case::new(
        "7.1 values of type set; means",
        Job::new("set-and-mean", (buyers.aggregate_by_key(BUYERS), means)),
        input,
    )
    .store(BUYERS, expected)
    .store(
        MEANS,
        by_shop(&sales).iter().map(|(shop, cents)| (shop.clone(), mean(cents))),
    )
}

fn tuple() -> Case {
    let (sales, input) = some_sales(56);
    let mixed = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, (1, Max::of(s.cents), Min::of(s.cents))));
    let mut expected: BTreeMap<u32, (u64, i64, i64)> = BTreeMap::new();
    for s in &sales {
        let e = expected.entry(s.item).or_insert((0, i64::MIN, i64::MAX));
        *e = (e.0 + 1, e.1.max(s.cents), e.2.min(s.cents));
    }
    let cell = |(item, (n, most, least))| (item, (n, Max::of(most), Min::of(least)));
    Case::new(
        "a tuple of three sums",
        Job::new("tuple", mixed.sum_by_key(MIXED)),
        input,
    )
    .store(MIXED, expected.into_iter().map(cell))
}

fn negative_numbers() -> Case {
    let (sales, input) = some_sales(57);
    let balances = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), -3 * s.cents.abs()));
    Case::new(
        "sums below zero",
        Job::new("negative-numbers", balances.sum_by_key(BALANCES)),
        input,
    )
    .store(
        BALANCES,
        tally(sales.iter().map(|s| (s.shop.clone(), -3 * s.cents.abs()))),
    )
}

fn groups_cancel() -> Case {
    // Every booking is taken back, most of them an hour or more later; of account 7 one is not.
    let mut random = Random::new(58);
    let bookings: Vec<(u64, i64)> = (0..300)
        .map(|_| (random.below(20), random.below(1_000) as i64))
        .collect();
    let there = bookings.iter().map(|(account, cents)| format!("{account} {cents}"));
    let back = bookings
        .iter()
        .rev()
        .map(|(account, cents)| format!("{account} {}", -cents));
    let lines: Vec<String> = there.chain(["7 42".to_string()]).chain(back).collect();
    let input = Input::of(LINES, SourceInput::text(58, lines));
    let balances = LINES.read().keyed(|line, out| {
        if let Some((account, cents)) = line.split_once(' ') {
            out.emit(account, cents.parse::<i64>().unwrap_or_default());
        }
    });
    Case::new(
        "trap 2: sums that come to zero over all batches, while no batch alone does",
        Job::new("groups-cancel", balances.sum_by_key(BALANCES)),
        input,
    )
    .store(BALANCES, [("7".to_string(), 42)])
}
