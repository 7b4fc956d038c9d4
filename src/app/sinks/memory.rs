//! What is remembered of topics in the job's place: brokers forget marks that are idle, and keep no holes.
//!
//! ```text
//! sinks/<sink>/<topic>/<source>-<partition>                    it was begun: "begun 1"
//! sinks/<sink>/<topic>/holes/<source>-<partition>/<from>-<to>  a range that was lost to it (O26): "hole 1", the hole as JSON
//! ```

use std::sync::Arc;

use rufous_place::Place;

use crate::core::{Error, Result, SourcePartition};
use crate::platform_kafka::SinkMemory;
use crate::store_api::Hole;

const BEGUN: &[u8] = b"begun 1\n";
const HOLE: &[u8] = b"hole 1\n";

/// Of one topic of one sink.
pub(super) struct Memory {
    place: Arc<dyn Place>,
    dir: String,
}

impl Memory {
    pub(super) fn new(place: &Arc<dyn Place>, sink: &str, topic: &str) -> Self {
        Self {
            place: place.clone(),
            dir: format!("sinks/{sink}/{topic}"),
        }
    }

    fn begun_path(&self, p: &SourcePartition) -> String {
        format!("{}/{}-{}", self.dir, p.source, p.partition)
    }

    fn holes_dir(&self, p: &SourcePartition) -> String {
        format!("{}/holes/{}-{}/", self.dir, p.source, p.partition)
    }

    /// The partitions in which it was begun.
    pub(super) fn begun(&self) -> Result<Vec<SourcePartition>> {
        let prefix = format!("{}/", self.dir);
        let one = |path: &str| {
            let (source, partition) = path.strip_prefix(&prefix)?.rsplit_once('-')?;
            let plain = !source.contains('/');
            plain.then_some(SourcePartition::new(source, partition.parse().ok()?))
        };
        let files = self.place.list(&prefix)?;
        let mut all: Vec<_> = files.iter().filter_map(|f| one(&f.path)).collect();
        all.sort();
        Ok(all)
    }

    /// The ranges that were lost to a partition, ascending. What was recorded twice, before and after a crash, is one.
    pub(super) fn holes(&self, p: &SourcePartition) -> Result<Vec<Hole>> {
        let mut holes: Vec<Hole> = Vec::new();
        for file in self.place.list(&self.holes_dir(p))? {
            let Some(bytes) = self.place.read(&file.path)? else {
                continue;
            };
            let json = bytes.strip_prefix(HOLE);
            let hole = json.and_then(|json| serde_json::from_slice::<Hole>(json).ok());
            let corrupt = || {
                Error::corrupt(format!(
                    "{}: is no hole of version 1: restore it",
                    self.place.show(&file.path)
                ))
            };
            holes.push(hole.ok_or_else(corrupt)?);
        }
        holes.sort_by_key(|h| (h.from, std::cmp::Reverse(h.to)));
        holes.dedup_by(|next, first| next.to <= first.to);
        Ok(holes)
    }
}

impl SinkMemory for Memory {
    fn was_begun(&self, p: &SourcePartition) -> Result<bool> {
        self.place.exists(&self.begun_path(p)).map_err(|e| e.at("sink"))
    }
    fn begin(&self, p: &SourcePartition) -> Result<()> {
        if !self.was_begun(p)? {
            let created = self.place.create(&self.begun_path(p), BEGUN.to_vec());
            created.map_err(|e| e.at("sink"))?;
        }
        Ok(())
    }
    fn lose(&self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        let mut bytes = HOLE.to_vec();
        serde_json::to_writer(&mut bytes, hole).map_err(|e| Error::bug("a hole is no JSON").caused_by(e))?;
        let path = format!("{}{}-{}", self.holes_dir(p), hole.from, hole.to);
        // It may be there already, from before a crash.
        self.place.create(&path, bytes).map_err(|e| e.at("sink"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden; a hole that is recorded again after a crash is one hole, and what is no hole is an error.
    #[test]
    fn holes_of_a_topic_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place: Arc<dyn Place> = Arc::new(rufous_place::Local::new(dir.path().to_path_buf()));
        let memory = Memory::new(&place, "alerts", "a.b_c-0");
        let (p, q) = (
            SourcePartition::new("pay-ments", 1),
            SourcePartition::new("pay-ments", 11),
        );
        let hole = |from, to| Hole {
            from,
            to,
            reason: "lost".into(),
        };
        assert!(!memory.was_begun(&p).unwrap());
        for p in [&q, &p] {
            memory.begin(p).unwrap();
            memory.begin(p).unwrap();
        }
        for (from, to) in [(40, 50), (3, 9), (3, 9), (3, 12)] {
            memory.lose(&p, &hole(from, to)).unwrap();
        }
        assert_eq!(memory.begun().unwrap(), [p.clone(), q.clone()]);
        assert_eq!(memory.holes(&p).unwrap(), [hole(3, 12), hole(40, 50)]);
        assert_eq!(memory.holes(&q).unwrap(), []);
        let at = dir.path().join("sinks/alerts/a.b_c-0");
        assert_eq!(std::fs::read_to_string(at.join("pay-ments-1")).unwrap(), "begun 1\n");
        let path = at.join("holes/pay-ments-1/40-50");
        let text = "hole 1\n{\"from\":40,\"to\":50,\"reason\":\"lost\"}";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        for bad in ["", "hole 2\n{}", "hole 1\n{}"] {
            std::fs::write(&path, bad).unwrap();
            assert!(
                memory
                    .holes(&p)
                    .unwrap_err()
                    .to_string()
                    .contains("is no hole of version 1")
            );
        }
    }
}
