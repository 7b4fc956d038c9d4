//! Two runs of one job must leave the same.

use std::fmt::Debug;

use rufous_core::{Error, ErrorKind, Plan, Result, StoreFace};

use super::Script;
use crate::totals::{Bytes, Totals};

const HINT: &str = "a closure that is no pure function of its record, a value whose sum depends on order or grouping, or bytes that \
    do not add up as the values do (`laws` check both; if it is approximate, say `.approximate(STORE)`)";

fn differ(job: &str, what: String, how: &str) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        format!("job `{job}`: {what}, {how}; the cause may be {HINT}"),
    )
}

/// Every store of both, and every sink.
pub(super) fn totals(plan: &Plan, script: &Script, whole: &Totals, other: &Totals, how: &str) -> Result<()> {
    for face in plan.stores() {
        let (Some(whole), Some(other)) = (whole.bytes(face.name), other.bytes(face.name)) else {
            return Err(Error::bug(format!("store `{}` is not of the run", face.name)));
        };
        stores(plan, script, face, whole, other, how)?;
    }
    sinks(plan, script, whole, other, how)
}

pub(super) fn sinks(plan: &Plan, script: &Script, whole: &Totals, other: &Totals, how: &str) -> Result<()> {
    for (sink, _) in plan.sinks() {
        let (n, found) = (whole.written_len(sink), other.written_len(sink));
        let difference = match script.sinks.get(sink) {
            Some(compare) => compare(whole, other),
            None => (n != found).then(|| format!("{n} records whole, and {found}")),
        };
        if let Some(difference) = difference {
            return Err(differ(plan.job(), format!("sink `{sink}` holds {difference}"), how));
        }
    }
    Ok(())
}

pub(super) fn stores(
    plan: &Plan,
    script: &Script,
    face: &StoreFace,
    whole: &Bytes,
    other: &Bytes,
    how: &str,
) -> Result<()> {
    let keys_alone = script.approximate.contains(face.name);
    let same = |key: &Vec<u8>| match (whole.get(key), other.get(key)) {
        (Some(_), Some(_)) if keys_alone => true,
        (whole, other) => whole == other,
    };
    let Some(key) = whole.keys().chain(other.keys()).find(|key| !same(key)) else {
        return Ok(());
    };
    let show = |value: Option<&Vec<u8>>| match value.map(|bytes| face.value.json(bytes)) {
        None => "nothing".to_string(),
        Some(Ok(json)) => json.to_string(),
        Some(Err(e)) => format!("bytes that are no value ({e})"),
    };
    let key_text = face.key.text(key).unwrap_or_else(|e| format!("(no key: {e})"));
    let what = format!(
        "store `{}`, key `{key_text}`: {} whole, and {}",
        face.name,
        show(whole.get(key)),
        show(other.get(key))
    );
    Err(differ(plan.job(), what, how))
}

/// What is in one list and not in the other, as often as it is.
pub(super) fn multiset<T: PartialEq + Debug>(whole: Vec<T>, mut other: Vec<T>) -> Option<String> {
    for record in whole {
        match other.iter().position(|o| *o == record) {
            Some(i) => drop(other.swap_remove(i)),
            None => return Some(format!("{record:?} whole, and lacks it or holds it less often")),
        }
    }
    let more = other.first()?;
    Some(format!("{more:?} less often whole, and more often"))
}
