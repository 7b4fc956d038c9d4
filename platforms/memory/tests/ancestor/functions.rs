//! The functions of the jobs, by the names that the text beside the cases gives them.

use super::families::{Family, modulo};

/// The pairs that `F1` emits.
pub(crate) fn f1<F: Family>(x: i64) -> Vec<(F::Key, F::Value)> {
    let first = || (F::key(modulo(x, 13)), F::value(x));
    match modulo(x, 5) {
        0 => vec![],
        1 => vec![first()],
        _ => vec![first(), (F::key(modulo(x, 7)), F::value(x + 1))],
    }
}

pub(crate) fn f2<F: Family>(x: i64) -> Vec<(F::Key, F::Value)> {
    if modulo(x, 3) == 0 {
        vec![]
    } else {
        vec![(F::key(modulo(x, 11)), F::value(2 * x + 1))]
    }
}

pub(crate) fn opt(x: i64) -> Option<i64> {
    (modulo(x, 3) != 0).then_some(x + 100)
}

pub(crate) fn kf<F: Family>(key: &F::Key) -> Vec<F::Key> {
    let k = F::int(key);
    match modulo(k, 4) {
        0 => vec![],
        1 => vec![key.clone()],
        _ => vec![F::key(modulo(k, 6)), F::key(k + 20)],
    }
}

pub(crate) fn pj<F: Family>(x: i64) -> Option<(F::Key, i64)> {
    (modulo(x, 5) != 0).then(|| (F::key(modulo(x, 13)), x))
}

/// What the service has for a key.
pub(crate) fn svc(k: i64) -> Option<i64> {
    (modulo(k, 3) != 0).then_some(10 * k + 1)
}

/// What the service of numbers has for a number.
pub(crate) fn triple(x: i64) -> Option<i64> {
    (modulo(x, 4) != 0).then_some(3 * x)
}

pub(crate) fn qj<F: Family>(k: &F::Key, u: i64, w: Option<i64>) -> Vec<(F::Key, F::Value)> {
    match w {
        None => vec![(F::key(modulo(F::int(k) + 1, 13)), F::value(u))],
        Some(w) => vec![(k.clone(), F::value(u)), (k.clone(), F::value(w + u))],
    }
}

pub(crate) fn qv<F: Family>(u: i64, w: Option<i64>) -> Vec<F::Value> {
    match w {
        None => vec![F::value(u)],
        Some(_) if modulo(u, 2) == 0 => vec![],
        Some(w) => vec![F::value(w + u), F::value(w)],
    }
}

pub(crate) fn vf<F: Family>(value: &F::Value) -> Vec<F::Value> {
    let j = F::vnum(value);
    match modulo(j, 3) {
        0 => vec![],
        1 => vec![value.clone()],
        _ => vec![F::value(j), F::value(j + 1)],
    }
}
