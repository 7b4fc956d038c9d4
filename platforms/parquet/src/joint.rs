//! One partition of several sources whose records have one order (O3): their archives are read side by side and merged.
//!
//! A batch begins and ends in all of them alike, and the running time begins anew in each, so a run needs to know nothing of
//! what lies before it.

use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rufous_core::{BatchId, ChunkMeta, Clock, CutSpec, Error, LogTime, RecordBatch, Result, RunningTime};

use crate::work::Piece;
use crate::worker::{Care, Decoded, Given, Place, Worker};

/// What a run reads of one source.
pub(crate) struct Member {
    pub(crate) source: u32,
    pub(crate) name: String,
    pub(crate) spec: CutSpec,
    /// Its files in the order of offsets.
    pub(crate) files: Vec<Piece>,
}

/// Batches of records that a reader is ahead.
const AHEAD: usize = 2;

type Read = Result<(usize, RecordBatch)>;

/// Reads the files of a member, one after the other.
fn read(files: &[Piece], to: &SyncSender<Read>) {
    for (i, piece) in files.iter().enumerate() {
        let Piece::Archived {
            partition,
            archive,
            file,
            ..
        } = piece
        else {
            continue;
        };
        let mut gone = false;
        let done = archive.read(*partition, file, &mut |records| {
            gone = to.send(Ok((i, records.clone()))).is_err();
            if gone {
                Err(Error::closed("nobody reads on"))
            } else {
                Ok(())
            }
        });
        match done {
            Ok(()) => {}
            Err(_) if gone => return,
            Err(e) => {
                // Whoever is gone needs no reason.
                let _ = to.send(Err(e));
                return;
            }
        }
    }
}

/// What was read and not summed of a member.
struct Head<'a> {
    member: &'a Member,
    from: Receiver<Read>,
    time: RunningTime,
    now: Option<Now>,
}

struct Now {
    file: usize,
    records: RecordBatch,
    chunk: Decoded,
    keys: Vec<LogTime>,
    at: usize,
}

impl Head<'_> {
    /// Where its next record stands, and its name.
    fn key(&self) -> Option<(LogTime, &str)> {
        let now = self.now.as_ref()?;
        Some((now.keys.get(now.at).copied()?, self.member.name.as_str()))
    }
}

impl Worker<'_> {
    /// Sums one domain.
    pub(crate) fn joint(&mut self, members: &[Member], care: Care) -> Result<()> {
        std::thread::scope(|scope| {
            let mut heads = Vec::new();
            for member in members {
                let (to, from) = sync_channel(AHEAD);
                scope.spawn(move || read(&member.files, &to));
                let before = LogTime {
                    batch: BatchId::MIN,
                    time: None,
                };
                heads.push(Head {
                    member,
                    from,
                    time: RunningTime::at(&member.spec, before),
                    now: None,
                });
            }
            loop {
                for head in heads.iter_mut().filter(|h| h.now.is_none()) {
                    self.fetch(head, care)?;
                }
                let mut keys: Vec<_> = (0..).zip(&heads).filter_map(|(i, h)| Some((h.key()?, i))).collect();
                keys.sort_unstable();
                let Some(&((_, name), i)) = keys.first() else {
                    return Ok(());
                };
                let until = keys.get(1).map(|&((time, other), _)| (time, name < other));
                let i: usize = i;
                let Some(head) = heads.get_mut(i) else { return Ok(()) };
                self.sum(head, until)?;
            }
        })
    }

    /// The next records of a member, decoded; none at its end.
    fn fetch(&mut self, head: &mut Head<'_>, care: Care) -> Result<()> {
        while head.now.is_none() {
            let Ok(read) = head.from.recv() else { return Ok(()) };
            let (file, records) = read?;
            let Some(Piece::Archived {
                format,
                archive,
                file: f,
                ..
            }) = head.member.files.get(file)
            else {
                return Err(Error::bug("records of a file that nobody asked for"));
            };
            if records.entries.is_empty() {
                continue;
            }
            let source = head.member.source;
            let chunk = self.decode(source, *format, Given::Records(&records), care)?;
            let place = |i: usize| {
                let offset = records.entries.get(i).map_or(records.next, |e| e.offset);
                format!(
                    "source `{}`, partition {}, offset {offset} (archive file {})",
                    archive.source(),
                    records.partition,
                    f.path
                )
            };
            self.count(source, records.entries.len(), NonZeroU64::MIN, &chunk.bad, place)?;
            if head.time.now().batch != f.batch {
                head.time.begin(&head.member.spec, f.batch);
            }
            let mut keys = Vec::with_capacity(records.entries.len());
            for (i, e) in records.entries.iter().enumerate() {
                let time = match head.member.spec.clock {
                    Clock::Event if !e.heartbeat => chunk.times.get(i).copied().flatten(),
                    _ => e.time(),
                };
                keys.push(head.time.within(time));
            }
            head.now = Some(Now {
                file,
                records,
                chunk,
                keys,
                at: 0,
            });
        }
        Ok(())
    }

    /// Sums the records in front that stand before `until`; at equal times, if the flag says so.
    fn sum(&mut self, head: &mut Head<'_>, until: Option<(LogTime, bool)>) -> Result<()> {
        let Some(now) = &mut head.now else { return Ok(()) };
        let Some(Piece::Archived { partition, file, .. }) = head.member.files.get(now.file) else {
            return Err(Error::bug("records of a file that nobody asked for"));
        };
        let rest = now.keys.get(now.at..).unwrap_or_default();
        let n = match until {
            None => rest.len(),
            Some((until, first)) => rest.partition_point(|k| *k < until || (first && *k == until)),
        };
        let meta = ChunkMeta {
            source: head.member.source,
            partition: *partition,
            batch: BatchId(0),
        };
        self.of_domain(*partition);
        let range = now.at..now.at + n;
        let place = Place::Log(&now.records, *partition, file.batch);
        self.push_some(&mut now.chunk, range, &meta, NonZeroU64::MIN, place)?;
        now.at += n;
        if now.at >= now.keys.len() {
            head.now = None;
        }
        Ok(())
    }
}
