//! Several partitions whose records have one order (O3): their archives are read side by side and merged.
//!
//! A batch begins and ends in all of them alike, and the running time begins anew in each, so a run needs to know nothing of
//! what lies before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rufous_core::{BatchId, ChunkMeta, Clock, CutSpec, Error, LogTime, RecordBatch, Result, RunningTime};

use crate::work::Piece;
use crate::worker::{Care, Decoded, Given, Place, Worker};

/// What a run reads of one partition.
pub(crate) struct Member {
    pub(crate) source: u32,
    pub(crate) name: String,
    pub(crate) partition: u32,
    /// What operators take it for: where all of them know keys of all partitions, one map holds the sums of all.
    pub(crate) lane: u32,
    pub(crate) spec: CutSpec,
    /// Its files in the order of offsets.
    pub(crate) files: Vec<Piece>,
}

/// Batches of records that all readers together are ahead, besides the one that each has in hand.
const AHEAD: usize = 16;
/// The same of one.
const EACH_AHEAD: usize = 2;

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
    /// The place of its decoder: of one source several chunks are held at a time.
    slot: usize,
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

/// Where a record stands among those of other partitions (O3).
type Key<'a> = (LogTime, &'a str, u32);

impl<'a> Head<'a> {
    /// Where its next record stands.
    fn key(&self) -> Option<Key<'a>> {
        let now = self.now.as_ref()?;
        Some((
            now.keys.get(now.at).copied()?,
            self.member.name.as_str(),
            self.member.partition,
        ))
    }
}

impl Worker<'_> {
    /// Sums one domain.
    pub(crate) fn joint(&mut self, domain: u32, members: &[Member], care: Care) -> Result<()> {
        self.of_domain(domain);
        let ahead = (AHEAD / members.len().max(1)).min(EACH_AHEAD);
        let first_slot = self.spare_slot();
        let done = std::thread::scope(|scope| {
            let mut heads = Vec::with_capacity(members.len());
            let mut keys: BinaryHeap<Reverse<(Key<'_>, usize)>> = BinaryHeap::with_capacity(members.len());
            for (i, member) in members.iter().enumerate() {
                let (to, from) = sync_channel(ahead);
                let started = std::thread::Builder::new().spawn_scoped(scope, move || read(&member.files, &to));
                started.map_err(|e| {
                    Error::try_again(format!(
                        "{} partitions have one order and are read side by side, and no more threads can be started ({e}): allow the \
                         process more",
                        members.len()
                    ))
                })?;
                let before = LogTime {
                    batch: BatchId::MIN,
                    time: None,
                };
                heads.push(Head {
                    member,
                    slot: first_slot + i,
                    from,
                    time: RunningTime::at(&member.spec, before),
                    now: None,
                });
            }
            for (i, head) in heads.iter_mut().enumerate() {
                self.fetch(head, care)?;
                keys.extend(head.key().map(|key| Reverse((key, i))));
            }
            while let Some(Reverse(((_, name, partition), i))) = keys.pop() {
                let until = keys
                    .peek()
                    .map(|Reverse(((time, of, number), _))| (*time, (name, partition) < (*of, *number)));
                let Some(head) = heads.get_mut(i) else { return Ok(()) };
                self.sum(head, until)?;
                if head.now.is_none() {
                    self.fetch(head, care)?;
                }
                keys.extend(head.key().map(|key| Reverse((key, i))));
            }
            Ok(())
        });
        self.drop_spare();
        done
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
            let chunk = self.decode_at(head.slot, source, *format, Given::Records(&records), care)?;
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
            partition: head.member.lane,
            batch: BatchId(0),
        };
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
