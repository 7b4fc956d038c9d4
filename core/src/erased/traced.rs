//! A step that shows where its records come from, for tests.

use std::any::Any;
use std::marker::PhantomData;

use super::origins::Origin;
use super::stage::{Context, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::Result;

struct WithOrigins<V>(PhantomData<fn(V)>);

impl<V: Clone + Send + 'static> Stage for WithOrigins<V> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<KeyedChunk<V>>("origins")?;
        let out = output::<KeyedChunk<(Origin, V)>>(out, "origins")?;
        for ((key, value), origin) in chunk.keys().zip(&chunk.values).zip(&cx.origins) {
            out.push(key, (*origin, value.clone()));
        }
        Ok(true)
    }
}

pub(crate) fn with_origins<V: Clone + Send + 'static>() -> Box<dyn Stage> {
    Box::new(WithOrigins::<V>(PhantomData))
}
