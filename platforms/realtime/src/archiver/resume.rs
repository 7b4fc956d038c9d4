//! Where the index of a partition ends is where reading it begins.

use std::sync::atomic::Ordering::Relaxed;

use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::IndexEntry;

use super::Run;
use super::partition::Partition;
use crate::cutter::Cutter;
use crate::log::Position;

impl Run<'_> {
    /// Looks up partitions, if asked to, and assigns all of them from where they stand. May be tried again after an error.
    pub(super) fn open(&mut self) -> Result<()> {
        if self.look_up {
            if !self.started {
                self.archive.check()?;
            }
            for info in self.log.partitions()? {
                if let Some(known) = self.partitions.get(&info.partition) {
                    self.check_log(known.from, &known.topic_id, info.partition, &info.topic_id)?;
                    continue;
                }
                let target = if self.started { 0 } else { info.end };
                let p = self.resume(info.partition, 0, &info.topic_id, target)?;
                if p.from < info.start {
                    // The loss is recorded by the poll that meets it.
                    tracing::warn!(
                        source = self.face.name,
                        partition = info.partition,
                        from = p.from,
                        start = info.start,
                        "the log begins above the end of the archive"
                    );
                }
                p.meter.acquired(p.next, info.end);
                self.partitions.insert(info.partition, p);
            }
            self.meter.owns(self.partitions.keys().copied());
            self.meter.opened.store(true, Relaxed);
            (self.look_up, self.started) = (false, true);
        }
        let position = |(&partition, p): (&u32, &Partition)| Position {
            partition,
            offset: p.next,
            leader_epoch: p.leader_epoch,
        };
        let positions: Vec<_> = self.partitions.iter().map(position).collect();
        // Assigning anew hands out again what the log had read ahead: each partition goes on at its own position.
        self.assign = true;
        self.log.assign_at(&positions)?;
        self.assign = false;
        Ok(())
    }

    /// P42: the number is the same, the log is not.
    fn check_log(&self, from: u64, archived: &str, partition: u32, topic_id: &str) -> Result<()> {
        if archived == topic_id {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "partition {partition} of `{}` is another log than the one that was archived up to offset {from} (`{archived}`, now \
             `{topic_id}`): restore it, name it a new source, or use another --instance",
            self.face.name
        )))
    }

    /// P42: entries above `end` hold records that the log does not have any more, and entries are never changed.
    pub(super) fn truncated(&self, partition: u32, end: u64) -> Error {
        Error::invalid(format!(
            "partition {partition} of `{}`: {} was truncated at offset {end} after an unclean election of its leader, and other \
             records may follow there; its archive was read further: name the log as a new source, or start with another \
             --instance",
            self.face.name,
            self.log.location()
        ))
    }

    /// A partition at the end of its index, which is looked for from entry `number` up.
    pub(super) fn resume(&self, partition: u32, number: u64, topic_id: &str, target: u64) -> Result<Partition> {
        let last = self.archive.last(partition, number)?;
        let id = SourcePartition::new(self.face.name, partition);
        let start = self.start.of(&id);
        if let Some((_, e)) = &last {
            self.check_cut(partition, e)?;
            self.check_log(e.to, &e.topic_id, partition, topic_id)?;
        } else if number > 0 {
            return Err(Error::corrupt(format!(
                "archive of source `{}`, partition {partition}: entry {number} was taken, and now it is not there",
                self.face.name
            )));
        }
        let (number, from, batch, leader_epoch) = last.map_or((0, start.cut, start.batch_before, -1), |(n, e)| {
            (n + 1, e.to, e.batch_after().batch, e.leader_epoch)
        });
        let cutter = Cutter::new(self.spec.clone(), batch);
        let meter = self.meter.partition(partition);
        meter.runs(cutter.batch(), cutter.start());
        // Everything before the last entry's end is there, whoever wrote it.
        meter.committed.store(from, Relaxed);
        Ok(Partition {
            meter,
            cutter,
            number,
            from,
            batch_before: batch,
            next: from,
            cuts: Vec::new(),
            pending: Vec::new(),
            held: 0,
            leader_epoch,
            making: None,
            lost: None,
            topic_id: topic_id.into(),
            target,
        })
    }

    /// P8: another cut spec divides the log elsewhere.
    fn check_cut(&self, partition: u32, e: &IndexEntry) -> Result<()> {
        if e.cut_spec == self.spec.text() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "source `{}` is cut by `{}`, partition {partition} of its archive by `{}`: start again, \
             `backfill` first where the code is new, or use another --instance",
            self.face.name,
            self.spec.text(),
            e.cut_spec
        )))
    }
}
