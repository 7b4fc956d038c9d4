//! A store that cannot write values and offsets together says so by its type: sets stay exact over crashes between the two
//! writes, counts are refused unless told, and then counted twice at most per crash.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rufous_core::{BatchId, Deltas, Error, Frontier, Job, Plan, Result, SourcePartition, Store, ValueFace};
use rufous_store_api::{
    AtLeastOnce, Cell, Guarantee, Progress, ProgressRows, RealtimeReader, RealtimeStore, Snapshot, SplitStore,
    realtime::floors,
};
use support::{Bed, LINES, Rec, count_lines, lists, sums};

type Cells = BTreeMap<(String, BatchId, Vec<u8>, SourcePartition), Vec<u8>>;
type Rows = BTreeMap<(String, SourcePartition), Progress>;

#[derive(Clone, Default)]
struct Tables {
    cells: Cells,
    rows: Rows,
}

/// Two tables that are written apart; the process dies before write number `dies`, counted down.
#[derive(Clone)]
struct Split {
    values: BTreeMap<String, ValueFace>,
    tables: Arc<Mutex<Tables>>,
    dies: Arc<AtomicI64>,
}

impl Split {
    fn new(plan: &Plan) -> Self {
        Self {
            values: plan.stores().iter().map(|s| (s.name.to_string(), s.value)).collect(),
            tables: Arc::default(),
            dies: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }
    fn alive(&self) -> Result<()> {
        match self.dies.fetch_sub(1, Relaxed) {
            n if n > 0 => Ok(()),
            _ => Err(Error::closed("killed")),
        }
    }
}

impl SplitStore for Split {
    fn stores(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }
    fn row(&self, store: &str, p: &SourcePartition) -> Result<Option<Progress>> {
        Ok(self
            .tables
            .lock()
            .unwrap()
            .rows
            .get(&(store.to_string(), p.clone()))
            .cloned())
    }
    fn save(&self, rows: &[(&str, &SourcePartition, &Progress)]) -> Result<()> {
        for (store, p, row) in rows {
            self.alive()?;
            self.tables
                .lock()
                .unwrap()
                .rows
                .insert((store.to_string(), (*p).clone()), (*row).clone());
        }
        Ok(())
    }
    fn merge(&self, sources: &[&str], deltas: &[(&str, &dyn Deltas)]) -> Result<()> {
        for (store, deltas) in deltas {
            let value = self
                .values
                .get(*store)
                .ok_or_else(|| Error::invalid(format!("no store `{store}`")))?;
            deltas.for_each(&mut |d| {
                self.alive()?;
                let p = SourcePartition::new(sources[d.source as usize], d.partition);
                let mut tables = self.tables.lock().unwrap();
                let cell = tables
                    .cells
                    .entry((store.to_string(), d.batch, d.key.to_vec(), p))
                    .or_default();
                let mut sum = Vec::new();
                let before = (!cell.is_empty()).then_some(cell.as_slice());
                value.sum(&mut before.into_iter().chain([d.value]), &mut sum).unwrap();
                *cell = sum;
                Ok(())
            })?;
        }
        Ok(())
    }
    fn delete(&self, store: &str, p: &SourcePartition, below: Option<BatchId>) -> Result<()> {
        self.alive()?;
        let mut tables = self.tables.lock().unwrap();
        tables
            .cells
            .retain(|(s, b, _, of), _| s != store || of != p || below.is_some_and(|below| *b >= below));
        Ok(())
    }
}

impl RealtimeReader for Split {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(At(self.tables.lock().unwrap().clone(), self.stores())))
    }
}

struct At(Tables, Vec<String>);

impl At {
    fn each(&self, store: &str, from: &Frontier, f: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        let rows = self.partitions(store)?;
        let floors = floors(&rows, from);
        for ((s, batch, key, p), value) in &self.0.cells {
            let Some(i) = rows.iter().position(|(of, _)| of == p).filter(|_| s == store) else {
                continue;
            };
            if *batch >= floors[i].max(rows[i].1.retained_from) {
                f(
                    key,
                    Cell {
                        partition: i as u32,
                        batch: *batch,
                        value: value.clone(),
                    },
                )?;
            }
        }
        Ok(())
    }
}

impl Snapshot for At {
    fn namespace(&self) -> &str {
        "split"
    }
    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        if !self.1.iter().any(|s| s == store) {
            return Err(Error::invalid(format!("no store `{store}`")));
        }
        let of = self.0.rows.iter().filter(|((s, _), _)| s == store);
        Ok(of.map(|((_, p), row)| (p.clone(), row.clone())).collect())
    }
    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let mut found = vec![Vec::new(); keys.len()];
        self.each(store, from, &mut |key, cell| {
            for (i, _) in keys.iter().enumerate().filter(|(_, k)| *k == key) {
                found[i].push(cell.clone());
            }
            Ok(())
        })?;
        Ok(found)
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        self.each(store, from, &mut |key, cell| {
            if key.starts_with(prefix) { f(key, cell) } else { Ok(()) }
        })
    }
}

const SEEN: Store<String, BTreeSet<String>> = Store::new("seen").idempotent();
const LENGTHS: Store<u64, BTreeSet<String>> = Store::new("lengths").idempotent();

fn sets() -> Plan {
    let lines = LINES.read();
    let seen = lines
        .clone()
        .keyed(|l, out| out.emit(&l[..1], BTreeSet::from([l.to_string()])));
    let lengths = lines.keyed(|l, out| out.emit(l.len() as u64, BTreeSet::from([l.to_string()])));
    Job::new("sets", (seen.sum_by_key(SEEN), lengths.sum_by_key(LENGTHS)))
        .plan()
        .unwrap()
}

fn input() -> Vec<Vec<Rec>> {
    (0..2)
        .map(|p| {
            (0..60)
                .map(|i| Rec::text(&format!("{}{}", (b'a' + (i % 5) as u8) as char, i * 2 + p)))
                .collect()
        })
        .collect()
}

/// It passes what other stores pass, but for a commit that fails half-way.
#[test]
fn it_is_a_realtime_store() {
    rufous_store_api::conformance::at_least_once(&|_, stores| {
        let values = stores.iter().map(|s| (s.name.to_string(), s.value)).collect();
        Arc::new(AtLeastOnce::new(Named(Split {
            values,
            tables: Arc::default(),
            dies: Arc::new(AtomicI64::new(i64::MAX)),
        })))
    });
}

/// A crash before any write of any chunk: sets are exact, in all stores.
#[test]
fn idempotent_values_are_exact_over_crashes() {
    let plan = sets();
    let expected = |key: fn(&str) -> String| {
        let mut sets = BTreeMap::<String, BTreeSet<String>>::new();
        for rec in input().iter().flatten() {
            let line = String::from_utf8(rec.value.clone().unwrap()).unwrap();
            sets.entry(key(&line)).or_default().insert(line);
        }
        sets
    };
    for dies in 1..90 {
        let split = Split::new(&plan);
        let mut bed = Bed::new(&plan);
        bed.chunk = 20;
        bed.options.commit_interval = Duration::ZERO;
        split.dies.store(dies, Relaxed);
        let run = || {
            let store: Arc<dyn RealtimeStore> = Arc::new(AtLeastOnce::new(split.clone()));
            assert_eq!(store.guarantee(), Guarantee::AtLeastOnce);
            bed.run_on(&plan, store, vec![bed.bind(&lists(input()))])
        };
        drop(run());
        split.dies.store(i64::MAX, Relaxed);
        run().unwrap();
        for (store, key) in [
            ("seen", (|l| l[..1].to_string()) as fn(&str) -> String),
            ("lengths", |l| l.len().to_string()),
        ] {
            let face = plan.store(store).unwrap();
            let mut got = BTreeMap::<String, BTreeSet<String>>::new();
            split
                .snapshot()
                .unwrap()
                .scan(store, &[], &Frontier::default(), &mut |k, cell| {
                    let items = face.value.json(&cell.value).unwrap();
                    let items = items
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|v| v.as_str().unwrap().to_string());
                    got.entry(face.key.text(k).unwrap()).or_default().extend(items);
                    Ok(())
                })
                .unwrap();
            assert_eq!(got, expected(key), "{store}, killed before write {dies}");
        }
    }
}

/// Counts are refused with the store's name and the repair; told to, they are never too small.
#[test]
fn counts_are_refused_unless_told() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.options.commit_interval = Duration::ZERO;
    let split = Split::new(&plan);
    let run = |bed: &Bed| {
        let store = Arc::new(AtLeastOnce::new(split.clone()));
        bed.run_on(&plan, store, vec![bed.bind(&lists(input()))])
    };
    let e = run(&bed).unwrap_err().to_string();
    for part in ["store `counts`", "added twice", "idempotent()", "at_least_once"] {
        assert!(e.contains(part), "{e}");
    }
    bed.options.at_least_once = true;
    // The first chunk's values, and not its rows.
    split.dies.store(2 + 7, Relaxed);
    assert!(run(&bed).is_err());
    split.dies.store(i64::MAX, Relaxed);
    run(&bed).unwrap();
    let counts = sums(&split, &plan, "counts");
    assert_eq!(counts.len(), 120);
    let total: u64 = counts.values().sum();
    assert!(
        counts.values().all(|n| (1..=2).contains(n)) && total > 120,
        "{counts:?}"
    );
}

/// The conformance checks ask for a namespace's name.
struct Named(Split);

impl RealtimeReader for Named {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        struct Conformance(Box<dyn Snapshot>);
        impl Snapshot for Conformance {
            fn namespace(&self) -> &str {
                "conformance"
            }
            fn partitions(&self, store: &str) -> Result<ProgressRows> {
                self.0.partitions(store)
            }
            fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
                self.0.cells(store, keys, from)
            }
            fn scan(
                &self,
                store: &str,
                prefix: &[u8],
                from: &Frontier,
                f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
            ) -> Result<()> {
                self.0.scan(store, prefix, from, f)
            }
        }
        Ok(Box::new(Conformance(self.0.snapshot()?)))
    }
}
impl SplitStore for Named {
    fn stores(&self) -> Vec<String> {
        self.0.stores()
    }
    fn row(&self, store: &str, p: &SourcePartition) -> Result<Option<Progress>> {
        self.0.row(store, p)
    }
    fn save(&self, rows: &[(&str, &SourcePartition, &Progress)]) -> Result<()> {
        self.0.save(rows)
    }
    fn merge(&self, sources: &[&str], deltas: &[(&str, &dyn Deltas)]) -> Result<()> {
        self.0.merge(sources, deltas)
    }
    fn delete(&self, store: &str, p: &SourcePartition, below: Option<BatchId>) -> Result<()> {
        self.0.delete(store, p, below)
    }
}
