//! The five families: what an integer is as a record, a key and a value. The text beside the cases defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use rufous_algebra::{Affine, Codec, Monoid};
use rufous_core::record::{Record, RecordError, Row};
use rufous_core::{
    Anywhere, Field, InOrder, Job, Key, KeyedProducer, Producer, Result, Source, Store, Summed, Timestamp,
};
use rufous_platform_memory::{Concurrent, Memory, Totals};
use serde_json::{Value as Json, json};

/// `i mod m`, never negative.
pub(crate) fn modulo(i: i64, m: i64) -> i64 {
    i.rem_euclid(m)
}

/// A record of a source: an integer, as the family writes it, and its event time.
pub(crate) trait Item: Record + Sync + Debug {
    fn of(x: i64, at: i64) -> Self;
    fn number(&self) -> i64;
    fn time(&self) -> Timestamp;
    fn json(&self) -> Json;
}

/// What a family is. Functions that only repeat a method are here because `Anywhere` and `InOrder` offer it under other
/// bounds.
pub(crate) trait Family: 'static {
    const NAME: &'static str;
    /// Whether the order of its values matters; then its jobs run in order.
    const ORDERED: bool;
    type Scope: 'static;
    type Item: Item;
    type Key: Key + Debug;
    type Value: Monoid + Codec + Debug;

    fn key(i: i64) -> Self::Key;
    /// The integer behind a key.
    fn int(key: &Self::Key) -> i64;
    fn value(i: i64) -> Self::Value;
    fn vnum(value: &Self::Value) -> i64;
    fn key_json(key: &Self::Key) -> Json;
    fn value_json(value: &Self::Value) -> Json;
    /// A value of the files without what counts as absent.
    fn sparse(value: Json) -> Json {
        value
    }
    /// Two values of the files, summed by the formula of the text: only where the order matters.
    fn plain_sum(_: &Json, _: &Json) -> Json {
        unreachable!("{} needs no order", Self::NAME)
    }

    fn read(port: Source<Self::Item>) -> Producer<Self::Item, Self::Scope>;
    fn sum(
        pairs: KeyedProducer<Self::Key, Self::Value, Self::Scope>,
        store: Store<Self::Key, Self::Value>,
    ) -> Summed<Self::Key, Self::Value, Self::Scope>;
    /// Two sums in a row with a step over the keys between: of the deltas, where order does not matter. In order a sum
    /// has no deltas, so the pairs themselves go both ways: the step commutes with addition, so that is the same (O16).
    fn sums_in_row(
        pairs: KeyedProducer<Self::Key, Self::Value, Self::Scope>,
        stores: [Store<Self::Key, Self::Value>; 2],
        keys: fn(&Self::Key) -> Vec<Self::Key>,
    ) -> [Summed<Self::Key, Self::Value, Self::Scope>; 2];
    fn run(job: &Job<Self::Scope>, memory: &Memory) -> Result<Totals>;
    /// On all cores, where any order will do.
    fn run_concurrent(_: &Job<Self::Scope>, _: &Concurrent) -> Option<Result<Totals>> {
        None
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Number {
    x: i32,
    at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Word {
    text: String,
    at: i64,
}

impl Item for Number {
    fn of(x: i64, at: i64) -> Self {
        let x = i32::try_from(x).expect("the inputs are 32 bits wide");
        Self { x, at }
    }
    fn number(&self) -> i64 {
        self.x.into()
    }
    fn time(&self) -> Timestamp {
        Timestamp(self.at)
    }
    fn json(&self) -> Json {
        json!(self.x)
    }
}

impl Item for Word {
    fn of(x: i64, at: i64) -> Self {
        Self {
            text: format!("w{x}"),
            at,
        }
    }
    fn number(&self) -> i64 {
        self.text[1..].parse().expect("w and an integer")
    }
    fn time(&self) -> Timestamp {
        Timestamp(self.at)
    }
    fn json(&self) -> Json {
        json!(self.text)
    }
}

macro_rules! never_decoded {
    ($($t:ty)*) => {$(
        impl Record for $t {
            const FIELDS: &'static [Field] = &[];
            fn from_row(_: &Row<'_>) -> Result<Self, RecordError> {
                Err(RecordError::because("these records come from lists"))
            }
        }
    )*};
}
never_decoded!(Number Word);

macro_rules! scope {
    (Anywhere) => {
        const ORDERED: bool = false;
        type Scope = Anywhere;
        fn read(port: Source<Self::Item>) -> Producer<Self::Item> {
            port.read()
        }
        fn run_concurrent(job: &Job, concurrent: &Concurrent) -> Option<Result<Totals>> {
            Some(job.run_on(concurrent))
        }
        fn sums_in_row(
            pairs: KeyedProducer<Self::Key, Self::Value>,
            [one, two]: [Store<Self::Key, Self::Value>; 2],
            keys: fn(&Self::Key) -> Vec<Self::Key>,
        ) -> [Summed<Self::Key, Self::Value>; 2] {
            let one = pairs.sum_by_key(one);
            let deltas = one.clone().deltas();
            let deltas = deltas.flat_map_keys(move |k, out| keys(k).into_iter().for_each(|k| out.emit(k)));
            [one, deltas.sum_by_key(two)]
        }
        scope!(both);
    };
    (InOrder) => {
        const ORDERED: bool = true;
        type Scope = InOrder;
        fn read(port: Source<Self::Item>) -> Producer<Self::Item, InOrder> {
            port.read().in_order()
        }
        fn sums_in_row(
            pairs: KeyedProducer<Self::Key, Self::Value, InOrder>,
            [one, two]: [Store<Self::Key, Self::Value>; 2],
            keys: fn(&Self::Key) -> Vec<Self::Key>,
        ) -> [Summed<Self::Key, Self::Value, InOrder>; 2] {
            let again = pairs.clone();
            let again = again.flat_map_keys(move |k, out| keys(k).into_iter().for_each(|k| out.emit(k)));
            [pairs.sum_by_key(one), again.sum_by_key(two)]
        }
        scope!(both);
    };
    (both) => {
        fn sum(
            pairs: KeyedProducer<Self::Key, Self::Value, Self::Scope>,
            store: Store<Self::Key, Self::Value>,
        ) -> Summed<Self::Key, Self::Value, Self::Scope> {
            pairs.sum_by_key(store)
        }
        fn run(job: &Job<Self::Scope>, memory: &Memory) -> Result<Totals> {
            job.run_on(memory)
        }
    };
}

macro_rules! key {
    (text) => {
        type Key = String;
        fn key(i: i64) -> String {
            format!("k{i}")
        }
        fn int(key: &String) -> i64 {
            key[1..].parse().expect("k and an integer")
        }
        fn key_json(key: &String) -> Json {
            json!(key)
        }
    };
    ($int:ty) => {
        type Key = $int;
        fn key(i: i64) -> $int {
            i.try_into().expect("keys are small")
        }
        fn int(key: &$int) -> i64 {
            (*key).into()
        }
        fn key_json(key: &$int) -> Json {
            json!(key)
        }
    };
}

pub(crate) struct IntSet;
impl Family for IntSet {
    const NAME: &'static str = "int_set";
    type Item = Number;
    type Value = BTreeSet<i64>;
    key!(i32);
    fn value(i: i64) -> BTreeSet<i64> {
        [modulo(i, 5), modulo(i, 11) + 10].into()
    }
    fn vnum(value: &BTreeSet<i64>) -> i64 {
        value.iter().sum()
    }
    fn value_json(value: &BTreeSet<i64>) -> Json {
        json!(value)
    }
    scope!(Anywhere);
}

pub(crate) struct StringList;
impl Family for StringList {
    const NAME: &'static str = "string_list";
    type Item = Number;
    type Value = Vec<i64>;
    key!(text);
    fn value(i: i64) -> Vec<i64> {
        if modulo(i, 4) == 0 { vec![] } else { vec![i] }
    }
    fn vnum(value: &Vec<i64>) -> i64 {
        value.len() as i64
    }
    fn value_json(value: &Vec<i64>) -> Json {
        json!(value)
    }
    fn plain_sum(a: &Json, b: &Json) -> Json {
        let items = [a, b].into_iter().flat_map(|list| list.as_array().expect("a list"));
        items.cloned().collect()
    }
    scope!(InOrder);
}

pub(crate) struct ShortMap;
impl Family for ShortMap {
    const NAME: &'static str = "short_map";
    type Item = Word;
    type Value = BTreeMap<BTreeSet<i64>, i64>;
    key!(i16);
    /// Without an entry of zero: a map of ours holds none, as it counts as absent.
    fn value(i: i64) -> Self::Value {
        let one = ([modulo(i, 3)].into(), modulo(i, 5) - 2);
        let two = ([modulo(i, 3), modulo(i, 4) + 3].into(), 1);
        [one, two].into_iter().filter(|(_, n)| *n != 0).collect()
    }
    fn vnum(value: &Self::Value) -> i64 {
        value.values().sum()
    }
    fn value_json(value: &Self::Value) -> Json {
        value.iter().map(|entry| json!(entry)).collect()
    }
    fn sparse(value: Json) -> Json {
        let entries = value.as_array().expect("a map is a list of entries");
        entries.iter().filter(|entry| entry[1] != 0).cloned().collect()
    }
    scope!(Anywhere);
}

pub(crate) struct LongSum;
impl Family for LongSum {
    const NAME: &'static str = "long_sum";
    type Item = Number;
    type Value = i64;
    key!(text);
    fn value(i: i64) -> i64 {
        modulo(i, 7) - 3
    }
    fn vnum(value: &i64) -> i64 {
        *value
    }
    fn value_json(value: &i64) -> Json {
        json!(value)
    }
    scope!(Anywhere);
}

const P: u64 = 1_000_003;

pub(crate) struct Affinity;
impl Family for Affinity {
    const NAME: &'static str = "affine";
    type Item = Number;
    type Value = Affine<P>;
    key!(i32);
    fn value(i: i64) -> Affine<P> {
        Affine::new(modulo(i, 97) as u64 + 1, modulo(i, 89) as u64)
    }
    fn vnum(value: &Affine<P>) -> i64 {
        value.parts().1 as i64
    }
    fn value_json(value: &Affine<P>) -> Json {
        json!(value.parts())
    }
    fn plain_sum(a: &Json, b: &Json) -> Json {
        let part = |of: &Json, i: usize| of[i].as_u64().expect("a natural number");
        json!([part(a, 0) * part(b, 0) % P, (part(a, 1) * part(b, 0) + part(b, 1)) % P])
    }
    scope!(InOrder);
}
