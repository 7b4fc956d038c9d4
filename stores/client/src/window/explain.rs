//! Which hops the sum of a window was made of, and each of them of what.

use std::fmt;
use std::ops::Range;

use rufous_core::{AsKey, Error, Hop, Result, StoreFace, Timestamp};
use serde_json::{Value, json};

use super::raw::{Asked, RawWindowClient};
use super::{RawWindowAnswer, Window};
use crate::answer::key_text;
use crate::explain::Parts;
use crate::view::Fail;

/// Hops that are explained at most: a longer list says nothing to anybody.
const MOST_HOPS: usize = 10_000;

/// A hop that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HopParts {
    /// Its size and number.
    pub hop: Hop,
    /// The time that it spans.
    pub span: Range<Timestamp>,
    /// What its value was made of; nothing merged: no record of the key was in it.
    pub parts: Parts,
}

/// The answer for a window with its hops, in canonical bytes. `Display` is for people.
#[derive(Clone)]
#[non_exhaustive]
pub struct RawWindowExplained {
    /// The answer that [`read`](RawWindowClient::read) gives at the same moment.
    pub answer: RawWindowAnswer,
    /// The hops that were added, in order of time.
    pub hops: Vec<HopParts>,
    face: StoreFace,
    key: Vec<u8>,
}

impl fmt::Debug for RawWindowExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWindowExplained")
            .field("answer", &self.answer)
            .field("hops", &self.hops)
            .finish_non_exhaustive()
    }
}

impl RawWindowClient {
    /// Of which hops the answer for a window is made, and each of them of what.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn explain_answer(&self, key: &[u8], window: &Window) -> Result<RawWindowExplained> {
        let keys = [key.to_vec()];
        let asked = Asked::These(std::slice::from_ref(window));
        let (found, view) = self.raw().read(false, &mut |view| {
            let planned = self.plan(&asked, 1, view).map_err(Fail::Final)?;
            // Before anything is read.
            let count: usize = planned.iter().map(|p| p.cover.len()).sum();
            if count > MOST_HOPS {
                return Err(Fail::Final(Error::invalid(format!(
                    "{count} hops are to be explained; ask for a window of at most {MOST_HOPS}"
                ))));
            }
            let sums = self.sums(&keys, &planned, view)?;
            let (mut hops, mut held) = (Vec::with_capacity(count), view.nothing_held());
            for hop in planned.iter().flat_map(|p| p.cover.hops()) {
                let mut full = key.to_vec();
                hop.encode_key(&mut full);
                let parts = view.parts(&full)?;
                held.explain(&parts).map_err(Fail::Final)?;
                hops.push(HopParts {
                    hop,
                    span: self.grid().span_of(hop),
                    parts,
                });
            }
            Ok((planned, sums, hops))
        })?;
        let (planned, sums, hops) = found;
        let sum = sums.into_iter().flatten().next().zip(planned.first());
        let (sum, planned) = sum.ok_or_else(|| Error::bug("one window was asked, none was answered"))?;
        Ok(RawWindowExplained {
            answer: planned.answer(sum?, &view),
            hops,
            face: *self.raw().face(),
            key: key.to_vec(),
        })
    }
}

fn span_json(span: &Range<Timestamp>) -> Value {
    json!({"start": span.start.to_string(), "end": span.end.to_string()})
}

impl RawWindowExplained {
    /// One JSON object: that of [`RawWindowAnswer::to_json`], and `hops`: `hop`, `span`, and the parts as in
    /// [`RawExplained::to_json`](crate::RawExplained::to_json). `key` is what the window's own JSON has as its key.
    ///
    /// # Errors
    /// `CorruptData` when the value is not what the store's schema says.
    pub fn to_json(&self, face: &StoreFace, key: Value) -> Result<Value> {
        let hop = |h: &HopParts| {
            let mut json = json!({"hop": h.hop.to_string(), "span": span_json(&h.span)});
            h.parts.add_json(face, &mut json);
            json
        };
        let mut all = self.answer.to_json(face, key)?;
        all["hops"] = self.hops.iter().map(hop).collect();
        Ok(all)
    }
}

impl fmt::Display for RawWindowExplained {
    /// The answer, and for each hop its parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = key_text(&self.face, &self.key);
        writeln!(f, "{key}: {}, {}", self.answer.answer.text(&self.face), self.answer)?;
        for h in &self.hops {
            let none = if h.parts.merged.is_empty() { ": no record" } else { "" };
            writeln!(f, "  {} ({} to {}){none}", h.hop, h.span.start, h.span.end)?;
            h.parts.write(&self.face, f)?;
        }
        write!(
            f,
            "  offline until {}, token {}",
            self.answer.answer.coverage, self.answer.answer.token
        )
    }
}
