//! Where a fork meets itself again, in order.
//!
//! The ancestor's Memory platform drains the left side of a merge before the right one. So the order of a key's values
//! depends on the shape of the graph, and no log could keep it: the second path would have to read the log again. Here
//! the order is that of the records; the values of one record come in the order of the paths. Both orders have the same
//! values, which this oracle lists with their record and path: sorted by path first it must give the ancestor's bytes,
//! sorted by record first it says what ours have to be.

use super::families::{Family, modulo};
use super::functions::{f1, f2, pj};
use super::golden::{StoreRows, store_rows};
use serde_json::{Value as Json, json};

/// A value that is added to a key's total.
pub(crate) struct Contribution {
    record: usize,
    /// The side taken at each merge, first the one that is nearest to the source.
    path: Vec<u8>,
    key: Json,
    value: Json,
}

/// What is added to store `s` by a job with such a fork; `None` for other jobs.
pub(crate) fn contributions<F: Family>(job: &str, s1: &[i64]) -> Option<Vec<Contribution>> {
    let mut all = Vec::new();
    for (record, &x) in s1.iter().enumerate() {
        let mut add = |path: &[u8], pairs: Vec<(F::Key, F::Value)>| {
            all.extend(pairs.iter().map(|(key, value)| Contribution {
                record,
                path: path.to_vec(),
                key: F::key_json(key),
                value: F::value_json(value),
            }));
        };
        match job {
            "diamond" => {
                add(&[0], f1::<F>(x));
                add(&[1], f2::<F>(x));
            }
            "self_merge" | "self_merge_of_source" => {
                add(&[0], f1::<F>(x));
                add(&[1], f1::<F>(x));
            }
            "keys_and_values" => {
                if let Some((key, u)) = pj::<F>(x) {
                    let k = F::int(&key);
                    add(&[0], vec![(key, F::value(k))]);
                    add(&[1], vec![(F::key(modulo(u, 3)), F::value(u))]);
                }
            }
            "deep_diamonds" => {
                let mut ways = vec![(vec![], x)];
                for i in 1..=4 {
                    let mut next = Vec::new();
                    for (path, n) in ways {
                        next.push(([&path[..], &[0]].concat(), n + i));
                        if modulo(n, 3) == 0 {
                            next.push(([&path[..], &[1]].concat(), n - i));
                        }
                    }
                    ways = next;
                }
                for (path, n) in ways {
                    add(&path, vec![(F::key(modulo(n, 13)), F::value(n))]);
                }
            }
            _ => return None,
        }
    }
    Some(all)
}

fn total<F: Family>(contributions: &[Contribution]) -> StoreRows {
    let mut rows: std::collections::BTreeMap<String, Json> = std::collections::BTreeMap::new();
    let mut keys = std::collections::BTreeMap::new();
    for c in contributions {
        let text = c.key.to_string();
        let sum = rows
            .get(&text)
            .map_or_else(|| c.value.clone(), |sum| F::plain_sum(sum, &c.value));
        keys.insert(text.clone(), c.key.clone());
        rows.insert(text, sum);
    }
    let rows = rows.into_iter().map(|(text, value)| json!([keys[&text], value]));
    store_rows::<F>(&rows.collect())
}

/// The store in the ancestor's order: of the last merge the whole left side, then the whole right one.
pub(crate) fn by_path<F: Family>(contributions: &mut [Contribution]) -> StoreRows {
    contributions.sort_by_key(|c| (c.path.iter().rev().copied().collect::<Vec<_>>(), c.record));
    total::<F>(contributions)
}

/// The store in our order: record after record.
pub(crate) fn by_record<F: Family>(contributions: &mut [Contribution]) -> StoreRows {
    contributions.sort_by(|a, b| (a.record, &a.path).cmp(&(b.record, &b.path)));
    total::<F>(contributions)
}
