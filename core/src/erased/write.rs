//! The end at a sink. What is written may go on as well.

use std::any::Any;

use super::stage::{Context, In, Input, Stage, output};
use crate::data::AnyChunk;
use crate::error::Result;

struct Write<T> {
    written: Vec<T>,
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
        Some(Box::new(std::mem::take(&mut self.written)))
    }
}

pub(crate) fn write_stage<T: Clone + Send + 'static>(goes_on: bool) -> Box<dyn Stage> {
    Box::new(Write::<T> {
        written: Vec::new(),
        goes_on,
    })
}
