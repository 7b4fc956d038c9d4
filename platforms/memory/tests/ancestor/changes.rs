//! The jobs that look at what a sum emits with the value before it: `changes` and `scan_by_key`. Only the families whose sums
//! need no order of event time: operators take records in the order of the log, which is the ancestor's as well.

use rufous_algebra::{Commutative, Tiered};
use rufous_core::{Anywhere, Job, Rules, Sink, Store};
use rufous_platform_memory::Memory;
use serde_json::{Value as Json, json};

use super::families::{Family, IntSet, Item, LongSum, ShortMap, modulo};
use super::functions::f1;
use super::{golden, jobs};

const S: &str = "s";

/// The jobs; `None`: it is none of these.
fn job<F: Family<Scope = Anywhere>>(name: &str) -> Option<Job>
where
    F::Value: Commutative + Tiered,
{
    let pairs = F::read(jobs::source::<F>("s1"))
        .keyed(|item, out| f1::<F>(item.number()).into_iter().for_each(|(k, v)| out.emit(k, v)));
    Some(match name {
        "two_sum_by_key_before" => {
            let counted = pairs
                .sum_by_key(Store::new("s1"))
                .changes()
                .keyed_pairs(|_, (before, _), out| {
                    let key = before.as_ref().map_or(0, |before| 1 + modulo(F::vnum(before), 4));
                    out.emit(F::key(key), F::value(1));
                });
            Job::new("ancestor", counted.sum_by_key(Store::new("s2")))
        }
        "written_post_sum" => {
            let changes = pairs.sum_by_key(Store::new(S)).changes();
            Job::new(
                "ancestor",
                changes
                    .map_values(|(before, _)| before.clone())
                    .pairs()
                    .write(Sink::new("w")),
            )
        }
        "self_also_two_writes" => Job::new(
            "ancestor",
            pairs.scan_by_key(Store::new(S)).values().write(Sink::new("w")),
        ),
        _ => return None,
    })
}

/// The values of a sink in the files: what `of` takes of an item.
fn values<F: Family>(case: &golden::Case, of: impl Fn(&Json) -> Json) -> Vec<String> {
    let mut all: Vec<String> = case.sink_items("W").iter().map(|item| of(item).to_string()).collect();
    all.sort();
    all
}

fn some<F: Family>(value: &Json) -> Json {
    if value.is_null() {
        Json::Null
    } else {
        F::sparse(value.clone())
    }
}

fn family<F: Family<Scope = Anywhere>>() -> usize
where
    F::Value: Commutative + Tiered,
{
    let mut ran = 0;
    for case in golden::cases()
        .into_iter()
        .flatten()
        .filter(|case| case.family == F::NAME)
    {
        let Some(job) = job::<F>(&case.job) else { continue };
        let items = golden::inputs(case.n)["s1"].clone();
        let expected = case.answer_of_stores::<F>();
        for (chunk, rules) in [(1, Rules::none()), (3, Rules::all()), (1024, Rules::all())] {
            let items = items.iter().enumerate().map(|(i, &x)| F::Item::of(x, i as i64));
            let memory = Memory::new()
                .chunk(chunk)
                .rules(rules)
                .source(jobs::source::<F>("s1"), items);
            let totals = job.run_on(&memory).expect("a run");
            let got = golden::ours::<F>(&totals, &expected, &case.job);
            assert_eq!(got, expected, "{}", case.title());
            let (mut written, expected): (Vec<String>, _) = match case.job.as_str() {
                "written_post_sum" => {
                    let written = totals.written(Sink::<(F::Key, Option<F::Value>)>::new("w"));
                    let before = |v: &Option<F::Value>| v.as_ref().map_or(Json::Null, F::value_json);
                    let texts = written
                        .iter()
                        .map(|(k, v)| json!([F::key_json(k), before(v)]).to_string());
                    (
                        texts.collect(),
                        values::<F>(&case, |item| json!([item[0], some::<F>(&item[1])])),
                    )
                }
                "self_also_two_writes" => {
                    let written = totals.written(Sink::<F::Value>::new("w"));
                    let texts = written.iter().map(|v| F::value_json(v).to_string());
                    (texts.collect(), values::<F>(&case, some::<F>))
                }
                _ => (Vec::new(), Vec::new()),
            };
            written.sort();
            assert_eq!(written, expected, "{}", case.title());
        }
        ran += 1;
    }
    ran
}

/// Three jobs at three sizes, each.
#[test]
fn values_before_and_after() {
    let ran = [family::<IntSet>(), family::<ShortMap>(), family::<LongSum>()];
    assert!(golden::cases().is_none() || ran == [9; 3], "{ran:?}");
}
