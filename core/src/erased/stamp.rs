//! Values with their times, of which versions are made (O17).

use std::any::Any;
use std::marker::PhantomData;

use rufous_algebra::{Commutative, Last, Timeline};

use super::origins::Origin;
use super::stage::{Context, In, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Below it nobody is going to ask, of records of the chunk's batch on: the start of that batch less the horizon. A batch
/// without times has none.
pub(super) fn floor(cx: &Context, horizon: u32) -> i64 {
    let first = cx.batch.0.checked_sub(i64::from(horizon)).map(crate::BatchId);
    let start = first.and_then(|b| cx.batcher?.start_of(b));
    start.map_or(i64::MIN, |t| t.0)
}

pub(super) fn time(origin: &Origin, step: &str) -> Result<Timestamp> {
    origin.time().ok_or_else(|| {
        Error::invalid(format!(
            "{step}: a record has no time, so there is nothing to join it as of: say `.timed_by(..)` of its source"
        ))
    })
}

pub(super) fn origins<'a>(cx: &'a Context, records: usize, step: &str) -> Result<&'a [Origin]> {
    if cx.origins.len() == records {
        Ok(&cx.origins)
    } else {
        Err(Error::bug(format!(
            "{step}: {records} records with {} origins",
            cx.origins.len()
        )))
    }
}

/// Gives values their times, and the earliest that is asked about from their batch on.
struct Stamp<V, W, F> {
    horizon: u32,
    value: F,
    _t: PhantomData<fn(V) -> W>,
}

impl<V, W, F> Stage for Stamp<V, W, F>
where
    V: Clone + Send + 'static,
    W: Commutative,
    F: Fn(V, &Origin, u32) -> W + Send,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<Timeline<W>>>(out, "stamp")?;
        let (floor, source) = (floor(cx, self.horizon), cx.meta.source);
        let stamp = |value: V, origin: &Origin, values: &mut Vec<Timeline<W>>| -> Result<()> {
            let time = time(origin, "stamp")?;
            values.push(Timeline::of(time.0, floor, (self.value)(value, origin, source)));
            Ok(())
        };
        match input.open::<KeyedChunk<V>>("stamp")? {
            In::Shared(chunk) => {
                let origins = origins(cx, chunk.values.len(), "stamp")?;
                for (value, origin) in chunk.values.iter().zip(origins) {
                    stamp(value.clone(), origin, &mut out.values)?;
                }
                out.bytes.extend_from_slice(&chunk.bytes);
                out.ends.extend_from_slice(&chunk.ends);
            }
            In::Owned(chunk) => {
                let origins = origins(cx, chunk.values.len(), "stamp")?;
                for (value, origin) in chunk.values.drain(..).zip(origins) {
                    stamp(value, origin, &mut out.values)?;
                }
                std::mem::swap(&mut out.bytes, &mut chunk.bytes);
                std::mem::swap(&mut out.ends, &mut chunk.ends);
            }
        }
        Ok(true)
    }
}

pub(crate) fn stamp<V: Commutative>(horizon: u32) -> Box<dyn Stage> {
    Box::new(Stamp {
        horizon,
        value: |value: V, _: &Origin, _| value,
        _t: PhantomData,
    })
}

/// Where a record stands among those of its key: time, source, offset.
pub type Position = (i64, u32, u64);

/// The same for records of which only the newest counts.
pub(crate) fn stamp_newest<J: Ord + Clone + Send + Sync + 'static>(horizon: u32) -> Box<dyn Stage> {
    Box::new(Stamp {
        horizon,
        value: |value: J, origin: &Origin, source| {
            let time = origin.time().map_or(i64::MIN, |t| t.0);
            Last::of((time, source, origin.offset), value)
        },
        _t: PhantomData,
    })
}
