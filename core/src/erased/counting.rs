//! Counting what passes by.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::stage::{Context, In, Input, Stage, output};
use crate::data::{AnyChunk, Chunk, Data, KeyedChunk};
use crate::error::Result;

struct Counted<C, F> {
    counter: &'static str,
    sum: Arc<F>,
    _c: PhantomData<fn(C)>,
}

impl<C: AnyChunk + Clone, F: Fn(&C) -> u64 + Send + Sync> Stage for Counted<C, F> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<C>(out, "counted")?;
        let n = match input.open::<C>("counted")? {
            In::Shared(chunk) => {
                out.clone_from(chunk);
                (self.sum)(chunk)
            }
            In::Owned(chunk) => {
                let n = (self.sum)(chunk);
                std::mem::swap(chunk, out);
                n
            }
        };
        if n > 0 {
            cx.counts.push((self.counter, n));
        }
        Ok(true)
    }
}

pub(crate) fn counted_records<T, F>(counter: &'static str, n: Arc<F>) -> Box<dyn Stage>
where
    T: Data + ?Sized,
    F: Fn(&T) -> u64 + Send + Sync + 'static,
{
    let sum = move |chunk: &T::Chunk| chunk.iter().map(|item| n(item)).fold(0, u64::wrapping_add);
    Box::new(Counted {
        counter,
        sum: Arc::new(sum),
        _c: PhantomData,
    })
}

pub(crate) fn counted_keyed<V, F>(counter: &'static str, n: Arc<F>) -> Box<dyn Stage>
where
    V: Clone + Send + 'static,
    F: Fn(&V) -> u64 + Send + Sync + 'static,
{
    let sum = move |chunk: &KeyedChunk<V>| chunk.values.iter().map(|v| n(v)).fold(0, u64::wrapping_add);
    Box::new(Counted {
        counter,
        sum: Arc::new(sum),
        _c: PhantomData,
    })
}
