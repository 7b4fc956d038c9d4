//! Sinks that are given up, and taken up again (O25): numbered turns in the job's place, created exclusively; the newest counts.
//!
//! ```text
//! released/<sink>/<n>.json                     version, whether it is given up, when, and where the live part stood
//! released/<sink>/<n>-met/<source>-<partition> the live part has taken this partition up again since turn n
//! ```
//!
//! A sink that was taken up again holds every permission of a partition until the live part has met it there: until then nobody
//! knows where its mark is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rufous_place::Place;
use serde::{Deserialize, Serialize};

use crate::core::{Error, Result, SourcePartition, Timestamp};
use crate::realtime::{SinkWrite, SinkWriter};
use crate::store_api::Hole;

const VERSION: u32 = 1;
const MET: &[u8] = b"met 1\n";

/// What was said of a sink last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    version: u32,
    /// Given up; else taken up again.
    pub(super) released: bool,
    at: Timestamp,
    /// Where the live part stood when the sink was given up.
    pub(super) stood: BTreeMap<SourcePartition, u64>,
    #[serde(skip)]
    number: u64,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.released { "released" } else { "resumed" };
        write!(f, "{what} {}", self.at)
    }
}

fn dir(sink: &str) -> String {
    format!("released/{sink}")
}

fn path(sink: &str, number: u64) -> String {
    format!("{}/{number}.json", dir(sink))
}

/// The newest turn of a sink; `None`: it was never given up.
///
/// # Errors
/// The place's; `CorruptData` when it cannot be read.
pub(super) fn newest(place: &Arc<dyn Place>, sink: &str) -> Result<Option<Turn>> {
    let prefix = format!("{}/", dir(sink));
    let number = |path: &str| path.strip_prefix(&prefix)?.strip_suffix(".json")?.parse::<u64>().ok();
    let files = place.list(&prefix)?;
    let Some(newest) = files.iter().filter_map(|f| number(&f.path)).max() else {
        return Ok(None);
    };
    let path = path(sink, newest);
    let gone = || Error::try_again(format!("{} was there and is gone: try again", place.show(&path)));
    let bytes = place.read(&path)?.ok_or_else(gone)?;
    decode(&bytes, newest)
        .map(Some)
        .map_err(|why| Error::corrupt(format!("{}: {why}: restore it", place.show(&path))))
}

fn decode(bytes: &[u8], number: u64) -> Result<Turn, String> {
    /// Read first: what another version says besides is not known.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let found: Version = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if found.version != VERSION {
        return Err(format!("has version {}, this build reads {VERSION}", found.version));
    }
    let turn: Turn = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    Ok(Turn { number, ..turn })
}

/// Takes the next turn: `stood` is where the live part stands now, as far as anybody can say.
///
/// # Errors
/// `InvalidRequest` when nothing would change; `TryAgain` when somebody else took it.
pub(super) fn take(
    place: &Arc<dyn Place>,
    sink: &str,
    released: bool,
    at: Timestamp,
    stood: BTreeMap<SourcePartition, u64>,
) -> Result<Turn> {
    let last = newest(place, sink)?;
    if last.as_ref().is_some_and(|last| last.released) == released {
        return Err(Error::invalid(match (&last, released) {
            (Some(last), true) => format!("sink `{sink}` is {last}: `sink resume {sink}` takes it up again"),
            _ => format!("sink `{sink}` is not released: the live part writes it"),
        }));
    }
    let before = last.as_ref().map(|last| last.stood.clone()).unwrap_or_default();
    let stood = match &last {
        // Where the live part never met it, it is given up since then.
        Some(last) if released => {
            let mut stood = stood;
            for (p, before) in before {
                if !is_met(place, sink, last, &p)? {
                    let to = stood.entry(p).or_insert(before);
                    *to = before.min(*to);
                }
            }
            stood
        }
        _ if released => stood,
        _ => before,
    };
    let turn = Turn {
        version: VERSION,
        released,
        at,
        stood,
        number: last.map_or(0, |last| last.number.saturating_add(1)),
    };
    let bytes = serde_json::to_vec(&turn).map_err(|e| Error::bug("a turn is no JSON").caused_by(e))?;
    if !place.create(&path(sink, turn.number), bytes)? {
        return Err(Error::try_again(format!(
            "sink `{sink}` was released or resumed by somebody else just now: look at `sink list`"
        )));
    }
    Ok(turn)
}

fn met_path(sink: &str, turn: &Turn, p: &SourcePartition) -> String {
    format!("{}/{}-met/{}-{}", dir(sink), turn.number, p.source, p.partition)
}

/// Whether the live part has taken a partition up again.
pub(super) fn is_met(place: &Arc<dyn Place>, sink: &str, turn: &Turn, p: &SourcePartition) -> Result<bool> {
    place.exists(&met_path(sink, turn, p))
}

/// A sink that is given up: it takes everything, keeps nothing, and holds nobody back.
pub(super) struct GivenUp;

impl SinkWriter for GivenUp {
    fn location(&self) -> String {
        "nowhere".into()
    }
    fn takes(&self) -> bool {
        false
    }
    fn open(&mut self, _: &SourcePartition, _: u64, _: u64) -> Result<Option<u64>> {
        Ok(None)
    }
    fn write(&mut self, _: &SinkWrite<'_>) -> Result<()> {
        Ok(())
    }
    fn pass(&mut self, _: &SourcePartition, _: &Hole) -> Result<()> {
        Ok(())
    }
    fn close(&mut self, _: &SourcePartition) {}
}

/// A sink that was taken up again: what may not be made any more is a hole in it (O26).
pub(super) struct Resumed {
    pub(super) writer: Box<dyn SinkWriter>,
    pub(super) place: Arc<dyn Place>,
    pub(super) sink: String,
    pub(super) turn: Turn,
    /// Partitions of which the state may still be ahead of the mark.
    unmet: BTreeSet<SourcePartition>,
}

impl Resumed {
    pub(super) fn new(writer: Box<dyn SinkWriter>, place: Arc<dyn Place>, sink: &str, turn: Turn) -> Self {
        Self {
            writer,
            place,
            sink: sink.to_string(),
            turn,
            unmet: BTreeSet::new(),
        }
    }
    fn meet(&mut self, p: &SourcePartition) -> Result<()> {
        self.place.create(&met_path(&self.sink, &self.turn, p), MET.to_vec())?;
        self.unmet.remove(p);
        Ok(())
    }
    /// What is behind the first write is behind the state that was taken back for it.
    fn written(&mut self, p: &SourcePartition) -> Result<()> {
        if self.unmet.contains(p) {
            self.meet(p)?;
        }
        Ok(())
    }
}

impl SinkWriter for Resumed {
    fn location(&self) -> String {
        self.writer.location()
    }
    fn open(&mut self, p: &SourcePartition, start: u64, state: u64) -> Result<Option<u64>> {
        if is_met(&self.place, &self.sink, &self.turn, p)? {
            return self.writer.open(p, start, state);
        }
        let stood = self.turn.stood.get(p).copied().unwrap_or(state).min(state);
        // A place that has no mark begins where the state stood, so that what came since is seen to be missing.
        let mark = self.writer.open(p, start.min(stood), stood)?;
        let hole = |from: u64, to: u64| Hole {
            from,
            to,
            reason: format!("the sink was {}", self.turn),
        };
        match mark {
            // The mark is the state's: what came meanwhile was not written.
            None => {
                if stood < state {
                    self.writer.pass(p, &hole(stood, state))?;
                }
                self.meet(p)?;
                Ok(None)
            }
            Some(mark) => {
                if mark < start {
                    self.writer.pass(p, &hole(mark, start))?;
                }
                let mark = mark.max(start);
                if mark >= state {
                    self.meet(p)?;
                } else {
                    self.unmet.insert(p.clone());
                }
                Ok(Some(mark))
            }
        }
    }
    fn may_lose(&self, p: &SourcePartition) -> bool {
        self.unmet.contains(p)
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        self.writer.write(write)?;
        self.written(write.partition)
    }
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        self.writer.pass(p, hole)?;
        self.written(p)
    }
    fn close(&mut self, p: &SourcePartition) {
        self.unmet.remove(p);
        self.writer.close(p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: it is in people's directories. What cannot be read is an error.
    #[test]
    fn a_turn_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let place: Arc<dyn Place> = Arc::new(rufous_place::Local::new(dir.path().to_path_buf()));
        assert_eq!(newest(&place, "alerts").unwrap(), None);
        let stood = BTreeMap::from([(SourcePartition::new("payments", 1), 7)]);
        take(&place, "alerts", true, Timestamp(5), stood.clone()).unwrap();
        let text = std::fs::read_to_string(dir.path().join("released/alerts/0.json")).unwrap();
        assert_eq!(text, r#"{"version":1,"released":true,"at":5,"stood":{"payments/1":7}}"#);
        let e = take(&place, "alerts", true, Timestamp(6), stood.clone())
            .unwrap_err()
            .to_string();
        assert!(e.contains("`sink resume alerts`"), "{e}");
        let turn = take(&place, "alerts", false, Timestamp(6), BTreeMap::new()).unwrap();
        assert_eq!((turn.number, &turn.stood), (1, &stood), "where it stood is kept");
        assert_eq!(newest(&place, "alerts").unwrap(), Some(turn));
        let e = take(&place, "alerts", false, Timestamp(6), stood)
            .unwrap_err()
            .to_string();
        assert!(e.contains("is not released"), "{e}");
        // Given up again before the live part met it anywhere: it misses all since the first time.
        let later = BTreeMap::from([
            (SourcePartition::new("payments", 1), 50),
            (SourcePartition::new("payments", 2), 9),
        ]);
        let again = take(&place, "alerts", true, Timestamp(7), later).unwrap();
        let known: Vec<u64> = again.stood.into_values().collect();
        assert_eq!(known, [7, 9]);
        std::fs::remove_file(dir.path().join("released/alerts/2.json")).unwrap();
        for bad in ["", "{}", r#"{"version":2}"#, r#"{"version":1,"released":1}"#] {
            std::fs::write(dir.path().join("released/alerts/2.json"), bad).unwrap();
            let e = newest(&place, "alerts").unwrap_err();
            assert_eq!(e.kind(), crate::core::ErrorKind::CorruptData, "{bad}: {e}");
        }
    }
}
