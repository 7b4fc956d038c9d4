//! The end at a sink. What is written may go on as well.

use std::any::Any;

use super::stage::{Context, In, Input, Stage, output};
use crate::data::AnyChunk;
use crate::error::{Error, Result};
use crate::sink::RecordId;

struct Write<T> {
    written: Vec<T>,
    /// Which records these are, where somebody asks.
    ids: Vec<RecordId>,
    /// Whether nobody takes what is written.
    muted: bool,
    /// Whether steps follow that get the same records.
    goes_on: bool,
}

impl<T: Clone + Send + 'static> Stage for Write<T> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let input = input.open::<Vec<T>>("write")?;
        let items = match &input {
            In::Shared(chunk) => *chunk,
            In::Owned(chunk) => &**chunk,
        };
        if self.muted {
            if self.goes_on {
                output::<Vec<T>>(out, "write")?.extend_from_slice(items);
            }
            return Ok(true);
        }
        if cx.identifies {
            if cx.origins.len() != items.len() || cx.times.get() > 1 {
                return Err(Error::bug("a write was handed records without their origins"));
            }
            let id = |number, offset| RecordId {
                source: cx.meta.source,
                partition: cx.meta.partition,
                offset,
                number,
            };
            self.ids.extend(cx.origins.iter().map(|o| id(o.number, o.offset)));
        }
        for _ in 1..cx.times.get() {
            self.written.extend_from_slice(items);
        }
        if self.goes_on {
            output::<Vec<T>>(out, "write")?.extend_from_slice(items);
        }
        match input {
            In::Shared(chunk) => self.written.extend_from_slice(chunk),
            In::Owned(chunk) => self.written.append(chunk),
        }
        Ok(true)
    }
    fn take_written(&mut self) -> Option<Box<dyn AnyChunk>> {
        self.ids.clear();
        Some(Box::new(std::mem::take(&mut self.written)))
    }
    fn take_ids(&mut self) -> Vec<RecordId> {
        std::mem::take(&mut self.ids)
    }
    fn mute(&mut self) {
        self.muted = true;
    }
    fn written(&self) -> usize {
        self.written.len()
    }
}

pub(crate) fn write_stage<T: Clone + Send + 'static>(goes_on: bool) -> Box<dyn Stage> {
    Box::new(Write::<T> {
        written: Vec::new(),
        ids: Vec::new(),
        muted: false,
        goes_on,
    })
}
