//! The jobs of the cases, as one says them here.

use rufous_core::{Counter, Either, Job, KeyedProducer, Producer, Service, Sink, Source, Store};

use super::families::{Family, Item, modulo};
use super::functions::{f1, f2, kf, opt, pj, qj, qv, vf};

pub(crate) const ORIG: Counter = Counter::new("orig");
pub(crate) const FM: Counter = Counter::new("fm");
pub(crate) const FLTR: Counter = Counter::new("fltr");

pub(crate) fn counter(id: &str) -> Counter {
    let counters = [ORIG, FM, FLTR];
    *counters.iter().find(|c| c.name() == id).expect("a counter of the jobs")
}

/// Each source has event times after those of the one before it: so a family that needs an order reads `s1`, then `s2`,
/// as the ancestor's merge does.
pub(crate) fn source<F: Family>(name: &'static str) -> Source<F::Item> {
    Source::new(name).timed_by(F::Item::time)
}

/// `SVC`.
pub(crate) fn svc_port<F: Family>() -> Service<F::Key, i64> {
    Service::new("svc")
}
/// The service of `lookup`.
pub(crate) const NUMBERS: Service<i64, i64> = Service::new("numbers");

type Pairs<F, V> = KeyedProducer<<F as Family>::Key, V, <F as Family>::Scope>;

fn s1<F: Family>() -> Producer<F::Item, F::Scope> {
    F::read(source::<F>("s1"))
}
fn s2<F: Family>() -> Producer<F::Item, F::Scope> {
    F::read(source::<F>("s2"))
}
fn store<F: Family>(name: &'static str) -> Store<F::Key, F::Value> {
    Store::new(name)
}

fn by_f1<F: Family>(items: Producer<F::Item, F::Scope>) -> Pairs<F, F::Value> {
    items.keyed(|item, out| f1::<F>(item.number()).into_iter().for_each(|(k, v)| out.emit(k, v)))
}
fn by_f2<F: Family>(items: Producer<F::Item, F::Scope>) -> Pairs<F, F::Value> {
    items.keyed(|item, out| f2::<F>(item.number()).into_iter().for_each(|(k, v)| out.emit(k, v)))
}
fn by_pj<F: Family>(items: Producer<F::Item, F::Scope>) -> Pairs<F, i64> {
    items.keyed(|item, out| pj::<F>(item.number()).into_iter().for_each(|(k, u)| out.emit(k, u)))
}

fn by_qj<F: Family>(pairs: Pairs<F, i64>) -> Pairs<F, F::Value> {
    let joined = pairs.left_join(svc_port::<F>());
    joined.keyed_pairs(|k, (u, w), out| qj::<F>(k, *u, *w).into_iter().for_each(|(k, v)| out.emit(k, v)))
}

/// The job of a case. A job whose ports the ancestor ran twice is one that is run twice here, too.
pub(crate) fn job<F: Family>(name: &str) -> Job<F::Scope> {
    let p = || by_f1::<F>(s1::<F>());
    let s = store::<F>("s");
    let tail = match name {
        "single_step" | "run_twice_same_store" => F::sum(p(), s),
        "single_step_initial_store" => {
            let initial = F::read(source::<F>("initial")).keyed(|item, out| match item.number() {
                3 => out.emit(F::key(3), rufous_algebra::Monoid::zero()),
                k => out.emit(F::key(k), F::value(if k == 0 { 1 } else { 2 })),
            });
            F::sum(p().merge(initial), s)
        }
        "twin_step_option_map_flat_map" => {
            let some = s1::<F>().filter_map(|item| opt(item.number()));
            let pairs = some.keyed(|x, out| f2::<F>(*x).into_iter().for_each(|(k, v)| out.emit(k, v)));
            F::sum(pairs, s)
        }
        "single_step_map_keys" => {
            let pairs = p().flat_map_keys(|k, out| kf::<F>(k).into_iter().for_each(|k| out.emit(k)));
            F::sum(pairs, s)
        }
        "flat_map_values" => {
            let pairs = p().flat_map_values(|v, out| vf::<F>(v).into_iter().for_each(|v| out.emit(v)));
            F::sum(pairs, s)
        }
        "diamond" => {
            let w = s1::<F>().write(Sink::new("w"));
            let both = by_f1::<F>(w.clone().records()).merge(by_f2::<F>(w.clone().records()));
            return Job::new("ancestor", (w, F::sum(both, s)));
        }
        "multiple_summers" => {
            let c = s1::<F>().filter_map(|item| opt(item.number()));
            let one = c
                .clone()
                .keyed(|x, out| f1::<F>(*x).into_iter().for_each(|(k, v)| out.emit(k, v)));
            let two = c.keyed(|x, out| f2::<F>(*x).into_iter().for_each(|(k, v)| out.emit(k, v)));
            let tails = (F::sum(one, store::<F>("s1")), F::sum(two, store::<F>("s2")));
            return Job::new("ancestor", tails);
        }
        "map_only" => return Job::new("ancestor", p().pairs().write(Sink::new("w"))),
        "two_sum_by_key" => {
            let [one, two] = F::sums_in_row(p(), [store::<F>("s1"), store::<F>("s2")], kf::<F>);
            return Job::new("ancestor", (one, two));
        }
        "job_with_stats" => {
            let counted = by_f1::<F>(s1::<F>().counted(ORIG)).counted_by(FM, |_| 2).counted(FLTR);
            F::sum(counted, s)
        }
        "merge_two_sources" => F::sum(p().merge(by_f2::<F>(s2::<F>())), s),
        "self_merge" => {
            let p = p();
            F::sum(p.clone().merge(p), s)
        }
        "self_merge_of_source" => {
            let items = s1::<F>();
            F::sum(by_f1::<F>(items.clone().merge(items)), s)
        }
        "also_two_sinks" => {
            let a = p().pairs().write(Sink::new("a"));
            return Job::new("ancestor", (a, by_f2::<F>(s1::<F>()).pairs().write(Sink::new("b"))));
        }
        "also_same_sink_order" => {
            let both = p().pairs().merge(by_f2::<F>(s1::<F>()).pairs());
            return Job::new("ancestor", both.write(Sink::new("w")));
        }
        "write_then_continue" => {
            let w = p().pairs().write(Sink::new("w"));
            let even = w.clone().records().filter(|(k, _)| modulo(F::int(k), 2) == 0);
            let next = even.map(|(k, v)| (F::key(F::int(k) + 1), v.clone()));
            let w2 = next.write(Sink::new("w2"));
            let pairs = w2.clone().records().keyed(|(k, v), out| out.emit(k, v.clone()));
            return Job::new("ancestor", (w, w2, F::sum(pairs, s)));
        }
        "needless_also" => {
            let p = p();
            let w = p.clone().pairs().write(Sink::<(F::Key, F::Value)>::new("w"));
            let [c, again] = F::sums_in_row(p, [store::<F>("s1"), store::<F>("s2")], |k| vec![k.clone()]);
            return Job::new("ancestor", (c.clone(), w, c, again));
        }
        "self_also_two_writes" => {
            let t = F::sum(p(), s);
            return Job::new("ancestor", (t.clone(), t));
        }
        "also_two_equal_summers" => {
            let p = p();
            let tails = (F::sum(p.clone(), store::<F>("s1")), F::sum(p, store::<F>("s2")));
            return Job::new("ancestor", tails);
        }
        "either" => {
            let right = s2::<F>().map(|item| item.number() + 7);
            let pairs = s1::<F>().either(right).keyed(|either, out| {
                let pairs = match either {
                    Either::Left(item) => f1::<F>(item.number()),
                    Either::Right(n) => f2::<F>(*n),
                };
                pairs.into_iter().for_each(|(k, v)| out.emit(k, v));
            });
            F::sum(pairs, s)
        }
        "keyed_method_chain" => {
            let pairs = by_pj::<F>(s1::<F>())
                .keyed_pairs(|k, u, out| {
                    if modulo(F::int(k), 5) != 4 {
                        out.emit(k.clone(), *u);
                    }
                })
                .filter_keys(|k| modulo(F::int(k), 7) != 6)
                .map_keys(|k| F::key(2 * F::int(k)))
                .pairs()
                .filter(|(_, u)| modulo(*u, 9) != 8)
                .keyed(|(k, u), out| out.emit(k, *u))
                .filter_values(|u| modulo(*u, 8) != 7)
                .map_values(|u| u + 1)
                .swap()
                .map_keys(|u: &i64| u + 1)
                .swap()
                .filter_keys(|k| modulo(F::int(k), 11) != 10)
                .keyed_pairs(|k, u, out| out.emit(k.clone(), F::value(*u)));
            F::sum(pairs, s)
        }
        "keys_and_values" => {
            let p = by_pj::<F>(s1::<F>());
            let keys = p
                .clone()
                .keys()
                .keyed(|k, out| out.emit(k.clone(), F::value(F::int(k))));
            let values = p.values().keyed(|u, out| out.emit(F::key(modulo(*u, 3)), F::value(*u)));
            F::sum(keys.merge(values), s)
        }
        "deep_diamonds" => {
            let mut p = s1::<F>().map(Item::number);
            for i in 1..=4 {
                let left = p.clone().map(move |n| n + i);
                p = left.merge(p.filter(|n| modulo(*n, 3) == 0).map(move |n| n - i));
            }
            let pairs = p.keyed(|n, out| out.emit(F::key(modulo(*n, 13)), F::value(*n)));
            F::sum(pairs, s)
        }
        "left_join" => F::sum(by_qj::<F>(by_pj::<F>(s1::<F>())), s),
        "repeated_tuple_left_join" => {
            let twice = by_pj::<F>(s1::<F>()).flat_map_values(|u, out| (0..2).for_each(|_| out.emit(*u)));
            F::sum(by_qj::<F>(twice), s)
        }
        "left_join_flat_map_values" => {
            let joined = by_pj::<F>(s1::<F>()).left_join(svc_port::<F>());
            let values = joined.flat_map_values(|(u, w), out| qv::<F>(*u, *w).into_iter().for_each(|v| out.emit(v)));
            F::sum(values, s)
        }
        "real_join" => {
            let s4 = F::read(source::<F>("s4"))
                .keyed(|item, out| out.emit(F::key(modulo(item.number(), 13)), item.number()));
            let first = p()
                .merge(by_f2::<F>(s2::<F>()))
                .merge(by_f1::<F>(F::read(source::<F>("s3"))));
            F::sum(first.merge(by_qj::<F>(s4)), s)
        }
        "lookup" => {
            let found = s1::<F>().map(Item::number).lookup(NUMBERS);
            let present = found.filter_map(|(x, found)| found.map(|found| (*x, found)));
            return Job::new("ancestor", present.write(Sink::<(i64, i64)>::new("w")));
        }
        other => unreachable!("{other} is left out"),
    };
    Job::new("ancestor", tail)
}

/// The second run of `run_twice_same_store`.
pub(crate) fn second_run<F: Family>() -> Job<F::Scope> {
    Job::new("ancestor", F::sum(by_f2::<F>(s2::<F>()), store::<F>("s")))
}

/// Two writes to one sink, which are refused: see `also_same_sink_order`.
pub(crate) fn two_writes_to_one_sink<F: Family>() -> Job<F::Scope> {
    let write = |pairs: Pairs<F, F::Value>| pairs.pairs().write(Sink::<(F::Key, F::Value)>::new("w"));
    Job::new("ancestor", (write(by_f1::<F>(s1::<F>())), write(by_f2::<F>(s1::<F>()))))
}

/// One write given twice as a tail, which is one write: see `self_also_two_writes`.
pub(crate) fn one_write_twice<F: Family>() -> Job<F::Scope> {
    let w = by_f1::<F>(s1::<F>())
        .pairs()
        .write(Sink::<(F::Key, F::Value)>::new("w"));
    Job::new("ancestor", (w.clone(), w))
}
