//! The two key steps of a windowed sum. The last part of a key is first an instant, then the instant at which its atom begins
//! ([`Grid::atom`]): values of one key and atom are combined. Then the key is expanded to one hop of every size. Both look at the
//! last bytes of the key alone: what stands before them is copied.

use std::ops::Range;
use std::sync::Arc;

use super::CHUNK;
use super::emit::within;
use super::keyed::{Steps, move_values, reading, whole};
use super::stage::{Context, In, Stage};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::key::AsKey;
use crate::time::Timestamp;
use crate::window::{Grid, Hop};

/// Ready for use, or why not: the planner reports that before anything runs.
pub(crate) type SharedGrid = Arc<Result<Grid>>;

const INSTANT: usize = 8;

fn ready(grid: &SharedGrid) -> Result<&Grid> {
    grid.as_ref()
        .as_ref()
        .map_err(|e| Error::bug(format!("a windowed sum was planned without its hops: {e}")))
}

/// The instant at the end of a key: flipped sign, big-endian, as all integers of keys.
#[inline]
fn instant(key: &[u8]) -> Result<Timestamp> {
    match key.last_chunk::<INSTANT>() {
        Some(raw) => Ok(Timestamp((u64::from_be_bytes(*raw) ^ (1 << 63)) as i64)),
        None => Err(no_instant()),
    }
}

#[cold]
fn no_instant() -> Error {
    Error::bug("a windowed sum was handed a key that does not end with an instant")
}

/// Replaces the instants by the starts of their atoms.
pub(crate) fn hop_starts<V: Clone + Send + 'static>(grid: SharedGrid) -> Box<dyn Stage> {
    // Records come about in order of time: most are in the atom of the one before.
    let mut atom = Timestamp(0)..Timestamp(0);
    whole(
        "hops",
        move |_: &mut Context, mut input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<V>| {
            let grid = ready(&grid)?;
            match &mut input {
                In::Shared(chunk) => {
                    out.bytes.extend_from_slice(&chunk.bytes);
                    out.ends.extend_from_slice(&chunk.ends);
                }
                In::Owned(chunk) => {
                    std::mem::swap(&mut out.bytes, &mut chunk.bytes);
                    std::mem::swap(&mut out.ends, &mut chunk.ends);
                }
            }
            let mut start = 0;
            for &end in &out.ends {
                let key = &mut out.bytes[start..end as usize];
                start = end as usize;
                let at = instant(key)?;
                if !atom.contains(&at) {
                    atom = grid.atom(at);
                }
                if let Some(raw) = key.last_chunk_mut::<INSTANT>() {
                    *raw = ((atom.start.0 as u64) ^ (1 << 63)).to_be_bytes();
                }
            }
            move_values(input, out);
            Ok(())
        },
    )
}

struct Expand {
    grid: SharedGrid,
    /// Per size the hop of the last key.
    last: Vec<(Range<Timestamp>, Hop)>,
}

impl<V: Clone> Steps<V, KeyedChunk<V>> for Expand {
    fn some(&mut self, cx: &mut Context, chunk: &KeyedChunk<V>, at: &mut usize, out: &mut KeyedChunk<V>) -> Result<()> {
        let grid = ready(&self.grid)?;
        let last = &mut self.last;
        if last.is_empty() {
            let nowhere = Timestamp(0)..Timestamp(0);
            last.extend(grid.sizes().map(|size| (nowhere.clone(), grid.hop(size, Timestamp(0)))));
        }
        let asked = cx.lineage.is_asked();
        for (key, value) in chunk.keys_from(*at).zip(&chunk.values[*at..]) {
            let instant = instant(key)?;
            for (span, hop) in last.iter_mut() {
                if !span.contains(&instant) {
                    *hop = grid.hop(hop.size(), instant);
                    *span = grid.span_of(*hop);
                }
                out.bytes.extend_from_slice(&key[..key.len() - INSTANT]);
                hop.encode_key(&mut out.bytes);
                out.ends.push(out.bytes.len() as u32);
            }
            out.values.resize(out.ends.len(), value.clone());
            if asked {
                cx.lineage.many(*at, out.values.len());
            }
            *at += 1;
            if out.values.len() >= CHUNK {
                break;
            }
        }
        within(out)
    }
}

/// A key with the start of an atom becomes one key for each size, with the hop that holds it.
pub(crate) fn expand_hops<V: Clone + Send + 'static>(grid: SharedGrid) -> Box<dyn Stage> {
    let steps = Expand { grid, last: Vec::new() };
    reading::<V, KeyedChunk<V>>("expand-hops", steps)
}
