//! `reconcile`: the two layers compared where both hold the same records (P36).

use serde_json::{Value, json};

use super::cli::Reconcile;
use super::open::Context;
use crate::client::{Comparison, Drift, Reconciled};
use crate::core::{Error, Result, StoreFace};

pub(super) fn reconcile(context: &Context<'_>, options: &Reconcile) -> Result<()> {
    let client = context.client();
    let mut faces: Vec<&StoreFace> = context.plan.stores().iter().collect();
    if let Some(name) = &options.store {
        faces.retain(|face| face.name == name);
        if faces.is_empty() {
            let names: Vec<_> = context.plan.stores().iter().map(|s| s.name).collect();
            return Err(Error::invalid(format!(
                "job `{}` has no store `{name}` (it has: {})",
                context.plan.job(),
                names.join(", ")
            )));
        }
    }
    let (mut drifted, mut unknown) = (Vec::new(), Vec::new());
    for face in faces {
        let found = client.reconcile(face, options.manifest)?;
        match &found.outcome {
            Comparison::Compared { drifted: 0, .. } => {}
            Comparison::NotComparable(why) => unknown.push(format!("store `{}`: {why}", face.name)),
            _ => drifted.push(format!("`{}`", face.name)),
        }
        if options.json {
            println!("{}", as_json(face, &found)?);
        } else {
            print(face, &found)?;
        }
    }
    // Drift is the worse news.
    if !drifted.is_empty() {
        return Err(Error::corrupt(format!(
            "the layers do not agree in {}: find out which one is wrong (`rebuild` makes the live part anew, `backfill` the \
             offline part)",
            drifted.join(", ")
        )));
    }
    if !unknown.is_empty() {
        return Err(Error::try_again(format!("not comparable: {}", unknown.join("; "))));
    }
    Ok(())
}

/// The batches that were compared.
fn reach(found: &Reconciled) -> String {
    let moved = found.to.0.iter().filter(|(p, to)| found.from.of(p) != **to);
    let parts: Vec<_> = moved
        .map(|(p, to)| format!("{p} offsets {}..{}", found.from.of(p).cut, to.cut))
        .collect();
    parts.join(", ")
}

fn print(face: &StoreFace, found: &Reconciled) -> Result<()> {
    let (store, manifest) = (&found.store, found.manifest);
    match &found.outcome {
        Comparison::NotComparable(why) => println!("{store}: generation {manifest}: not comparable: {why}"),
        Comparison::Compared { keys, drifted, first } => {
            println!(
                "{store}: generation {manifest}: {keys} keys compared, {drifted} differ ({})",
                reach(found)
            );
            for drift in first {
                let (key, offline, realtime) = shown(face, drift)?;
                println!("  {key}: offline {offline}, realtime {realtime}");
            }
            if *drifted > first.len() as u64 {
                println!("  and {} more", drifted - first.len() as u64);
            }
        }
        other => println!("{store}: {other:?}"),
    }
    Ok(())
}

fn shown(face: &StoreFace, drift: &Drift) -> Result<(String, Value, Value)> {
    let bad = |e: crate::algebra::DecodeError| Error::corrupt(format!("store `{}`: {e}", face.name));
    let value = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => face.value.json(bytes).map_err(bad),
        None => Ok(Value::Null),
    };
    let key = face.key.text(&drift.key).map_err(bad)?;
    Ok((key, value(&drift.offline)?, value(&drift.realtime)?))
}

fn as_json(face: &StoreFace, found: &Reconciled) -> Result<Value> {
    let common = json!({ "store": found.store, "generation": found.manifest });
    let more = match &found.outcome {
        Comparison::NotComparable(why) => json!({ "not_comparable": why }),
        Comparison::Compared { keys, drifted, first } => {
            let first = first.iter().map(|drift| {
                let (key, offline, realtime) = shown(face, drift)?;
                Ok(json!({ "key": key, "offline": offline, "realtime": realtime }))
            });
            let first = first.collect::<Result<Vec<_>>>()?;
            json!({ "compared": reach(found), "keys": keys, "drifted": drifted, "first": first })
        }
        other => json!({ "outcome": format!("{other:?}") }),
    };
    let (Value::Object(mut common), Value::Object(more)) = (common, more) else {
        return Err(Error::bug("a report is no object"));
    };
    common.extend(more);
    Ok(Value::Object(common))
}
