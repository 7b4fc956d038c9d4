//! Records once per id (O21).

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::Max;

use super::CHUNK;
use super::emit::within;
use super::records::keep_some;
use super::running::{Extent, Operator, Running, Standing, full};
use super::stage::{Context, Input, Stage, output};
use crate::batch::BatchId;
use crate::data::{AnyChunk, Chunk, Data, KeyedChunk};
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::key::AsKey;

/// When an id occurred last: the number of that batch.
pub type LastSeen = Max<i64>;

/// An id in another domain is another id: a producer's retries keep the partition.
fn put_id<Q: AsKey>(domain: u32, id: Q, ids: &mut KeyedChunk<LastSeen>, batch: BatchId) {
    domain.encode_key(&mut ids.bytes);
    id.encode_key(&mut ids.bytes);
    ids.ends.push(ids.bytes.len() as u32);
    ids.values.push(Max::of(batch.0));
}

/// Ids with the batch of their record.
struct Ids<T: ?Sized, F> {
    id: Arc<F>,
    extent: Extent,
    _t: PhantomData<fn(Box<T>)>,
}

impl<T: Data + ?Sized, Q: AsKey, F: Fn(&T) -> Q + Send + Sync> Stage for Ids<T, F> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<T::Chunk>("ids")?;
        let out = output::<KeyedChunk<LastSeen>>(out, "ids")?;
        for item in chunk.iter_from(*at).take(CHUNK) {
            put_id(self.extent.number(cx.meta.partition), (self.id)(item), out, cx.batch);
            *at += 1;
        }
        within(out)?;
        Ok(*at == chunk.len())
    }
}

pub(crate) fn ids<T, Q, F>(id: Arc<F>, extent: Extent) -> Box<dyn Stage>
where
    T: Data + ?Sized,
    Q: AsKey,
    F: Fn(&T) -> Q + Send + Sync + 'static,
{
    Box::new(Ids::<T, F> {
        id,
        extent,
        _t: PhantomData,
    })
}

/// Lets records pass whose id did not occur in the last batches.
struct Dedupe<T: ?Sized, F> {
    id: Arc<F>,
    horizon: i64,
    running: Running<LastSeen>,
    ids: KeyedChunk<LastSeen>,
    _t: PhantomData<fn(Box<T>)>,
}

impl<T: Data + ?Sized, Q: AsKey, F: Fn(&T) -> Q + Send + Sync> Stage for Dedupe<T, F> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<T::Chunk>(out, "dedupe-by")?;
        let input = input.open::<T::Chunk>("dedupe-by")?;
        let chunk = input.get();
        self.ids.clear();
        let domain = self.running.number(cx.meta.partition);
        for item in chunk.iter() {
            put_id(domain, (self.id)(item), &mut self.ids, cx.batch);
        }
        within(&self.ids)?;
        let at = self.running.prepare(cx, &self.ids, 0)?;
        let Running { domains, hashes, .. } = &mut self.running;
        let Some(known) = domains.get_mut(at) else {
            return Err(Error::bug("an operator without a domain"));
        };
        let oldest = cx.batch.0.saturating_sub(self.horizon);
        let mut passes = Vec::with_capacity(chunk.len());
        for (key, &hash) in self.ids.keys().zip(hashes.iter()) {
            // "Occurred", not "was let through": so it is a maximum, which any layer finds again.
            let before = known.read(hash, key)?.and_then(|seen| seen.get().copied());
            passes.push(before.is_none_or(|before| before < oldest));
            known.add(hash, key, Max::of(cx.batch.0)).map_err(full)?;
        }
        cx.lineage.flags(&passes);
        let mut passes = passes.into_iter();
        keep_some(input, out, |_| passes.next().unwrap_or(false));
        Ok(true)
    }
    fn operator(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut self.running)
    }
}

pub(crate) fn dedupe<T, Q, F>(face: StoreFace, standing: Standing, horizon: u32, id: Arc<F>) -> Box<dyn Stage>
where
    T: Data + ?Sized,
    Q: AsKey,
    F: Fn(&T) -> Q + Send + Sync + 'static,
{
    Box::new(Dedupe::<T, F> {
        id,
        horizon: i64::from(horizon),
        running: Running::new(face, standing),
        ids: KeyedChunk::default(),
        _t: PhantomData,
    })
}
