//! Joins with services: a chunk's keys are asked at once, each as of the event time of its record.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::stage::{Context, In, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::panics::catch;
use crate::service::{Asked, Lookup, ServiceFace, Services};
use crate::time::Timestamp;

/// What a joining step asks, or why it cannot.
struct Asking<J> {
    face: ServiceFace,
    service: Option<Arc<dyn Lookup<J>>>,
    at: Vec<Option<Timestamp>>,
    found: Vec<Option<J>>,
}

impl<J: Send + 'static> Asking<J> {
    fn new(face: ServiceFace, services: &Services) -> Result<Self> {
        // Platforms refuse what is not bound before they open anything; a plan can be made without.
        let service = match services.kind(face.name) {
            Some(_) => Some(services.lookup(&face)?),
            None => None,
        };
        Ok(Self {
            face,
            service,
            at: Vec::new(),
            found: Vec::new(),
        })
    }
    /// One answer for each key, in `found`.
    fn ask(&mut self, cx: &Context, bytes: &[u8], ends: &[u32]) -> Result<()> {
        let Some(service) = &self.service else {
            return Err(self.face.unbound());
        };
        if cx.origins.len() != ends.len() {
            return Err(Error::bug(format!(
                "service `{}`: {} keys of {} records",
                self.face.name,
                ends.len(),
                cx.origins.len()
            )));
        }
        self.at.clear();
        self.at
            .extend(cx.origins.iter().map(|o| o.time().map(|t| t.min(cx.last))));
        self.found.clear();
        let asked = Asked {
            bytes,
            ends,
            at: &self.at,
            batch: cx.batch,
            last: cx.last,
        };
        let place = |e: Error| e.at(format!("service `{}`", self.face.name));
        // The service's own panic is no record's fault.
        let looked_up = catch(|| service.look_up(&asked, &mut self.found));
        let looked_up =
            looked_up.map_err(|panicked| place(Error::try_again(format!("it panicked: {}", panicked.message()))))?;
        looked_up.map_err(place)?;
        if self.found.len() != ends.len() {
            return Err(Error::invalid(format!(
                "service `{}` gave {} answers for {} keys: one for each, in their order",
                self.face.name,
                self.found.len(),
                ends.len()
            )));
        }
        Ok(())
    }
}

struct LeftJoin<V, J>(Asking<J>, PhantomData<fn(V)>);

impl<V: Clone + Send + 'static, J: Clone + Send + 'static> Stage for LeftJoin<V, J> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<(V, Option<J>)>>(out, "left-join")?;
        match input.open::<KeyedChunk<V>>("left-join")? {
            In::Shared(chunk) => {
                self.0.ask(cx, &chunk.bytes, &chunk.ends)?;
                out.bytes.extend_from_slice(&chunk.bytes);
                out.ends.extend_from_slice(&chunk.ends);
                out.values
                    .extend(chunk.values.iter().cloned().zip(self.0.found.drain(..)));
            }
            In::Owned(chunk) => {
                self.0.ask(cx, &chunk.bytes, &chunk.ends)?;
                std::mem::swap(&mut out.bytes, &mut chunk.bytes);
                std::mem::swap(&mut out.ends, &mut chunk.ends);
                out.values.extend(chunk.values.drain(..).zip(self.0.found.drain(..)));
            }
        }
        Ok(true)
    }
}

struct Join<V, J>(Asking<J>, PhantomData<fn(V)>);

impl<V: Clone + Send + 'static, J: Clone + Send + 'static> Stage for Join<V, J> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<(V, J)>>(out, "join")?;
        let chunk = input.read::<KeyedChunk<V>>("join")?;
        self.0.ask(cx, &chunk.bytes, &chunk.ends)?;
        let asked = cx.lineage.is_asked();
        let pairs = chunk.keys().zip(&chunk.values).zip(self.0.found.drain(..));
        for (i, ((key, value), found)) in pairs.enumerate() {
            if let Some(found) = found {
                out.push(key, (value.clone(), found));
                if asked {
                    cx.lineage.kept(i);
                }
            }
        }
        Ok(true)
    }
}

struct LookUp<T, J> {
    asking: Asking<J>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    _t: PhantomData<fn(T)>,
}

impl<T: Key, J: Clone + Send + 'static> Stage for LookUp<T, J> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<Vec<(T, Option<J>)>>(out, "lookup")?;
        let chunk = input.read::<Vec<T>>("lookup")?;
        self.bytes.clear();
        self.ends.clear();
        for item in chunk {
            item.encode_key(&mut self.bytes);
            self.ends.push(self.bytes.len() as u32);
        }
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Error::invalid("a chunk has more than 4 GiB of keys to look up"));
        }
        self.asking.ask(cx, &self.bytes, &self.ends)?;
        out.extend(chunk.iter().cloned().zip(self.asking.found.drain(..)));
        Ok(true)
    }
}

pub(crate) fn left_join<V: Clone + Send + 'static, J: Clone + Send + 'static>(
    face: ServiceFace,
    services: &Services,
) -> Result<Box<dyn Stage>> {
    Ok(Box::new(LeftJoin::<V, J>(Asking::new(face, services)?, PhantomData)))
}

pub(crate) fn join<V: Clone + Send + 'static, J: Clone + Send + 'static>(
    face: ServiceFace,
    services: &Services,
) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Join::<V, J>(Asking::new(face, services)?, PhantomData)))
}

pub(crate) fn lookup<T: Key, J: Clone + Send + 'static>(
    face: ServiceFace,
    services: &Services,
) -> Result<Box<dyn Stage>> {
    Ok(Box::new(LookUp::<T, J> {
        asking: Asking::new(face, services)?,
        bytes: Vec::new(),
        ends: Vec::new(),
        _t: PhantomData,
    }))
}
