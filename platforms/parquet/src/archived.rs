//! What a run will do with the archives: how far it goes, and which files lie between (P20-P23).

use std::collections::{BTreeMap, BTreeSet};

use rufous_core::{
    BatchId, Cut, CutSpec, Error, Frontier, OperatorFace, Result, SourceFace, SourcePartition, StoreFace,
};
use rufous_store_api::{Archive, InputRange};

use crate::history;
use crate::joint::Member;
use crate::options::{BatchRun, BulkInput};
use crate::survey::{PlannedPart, RunPlan, now};
use crate::target::{self, Levels, Target};
use crate::work::Piece;

impl BatchRun<'_> {
    /// P20-P23 over the archives.
    pub(crate) fn incremental(&self) -> Result<RunPlan> {
        let job = self.plan.job();
        self.plan.check_layers()?;
        let Some(base) = self.manifests.newest(0)? else {
            return Err(Error::invalid(format!(
                "job `{job}` has no archive yet: run `stream` (or `archive`) first, or bind a bounded input such as `--source \
                 NAME=parquet:DIR` or `bulk:DIR`"
            )));
        };
        let Some(namespace) = base.realtime_namespace.clone() else {
            return Err(Error::invalid(format!(
                "job `{job}`: this data directory holds a generation of a bounded input: use another --data or --instance"
            )));
        };
        if base.fingerprint != self.plan.fingerprint() {
            return Err(Error::invalid(format!(
                "job `{job}` changed: its fingerprint is {}, the generations were written by {}: `backfill` makes a line of the \
                 new code; or run it with the arguments and the code of then, or use another --instance",
                self.plan.fingerprint(),
                base.fingerprint
            )));
        }
        let mut target = Target {
            frontier: base.frontier.clone(),
            ..Target::default()
        };
        let mut archives = Vec::new();
        for input in self.inputs.values() {
            if let BulkInput::Archive { archive, cut_spec, .. } = input {
                archives.push((&**archive, cut_spec));
            }
        }
        let mut levels = Levels::default();
        if !self.plan.operators().is_empty() {
            let archives: Vec<_> = archives.iter().map(|(archive, _)| *archive).collect();
            self.check_domains(&archives, &base.frontier)?;
            for group in self.plan.domains() {
                let named = |s: &usize| self.plan.sources().get(*s).map(|face| face.name);
                let sources: Vec<_> = group.sources.iter().filter_map(named).collect();
                let together: Vec<_> = archives
                    .iter()
                    .copied()
                    .filter(|a| sources.contains(&a.source()))
                    .collect();
                levels.add(&together, &base.frontier, group.spread)?;
            }
        }
        let read = history::read_before(self.manifests, &base);
        for (archive, _) in &archives {
            history::check(&read, *archive)?;
        }
        let mut until = self.options.until;
        if let Some(rows) = self.options.part_rows {
            let archives: Vec<_> = archives.iter().map(|(archive, _)| *archive).collect();
            let part = target::until(&archives, &base.frontier, rows)?;
            until = match (until, part) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        for (archive, cut_spec) in archives {
            target::extend(&mut target, archive, &base.frontier, cut_spec, until, &levels)?;
        }
        let (pieces, parts) = (self.archived(&target), self.parts(&target, &base.frontier, &levels));
        let new = !target.pieces.is_empty();
        let Target {
            frontier,
            holes,
            open,
            pieces: read,
        } = target;
        let mut manifest = base.clone();
        let mut notes = self.said_of_sinks(&base);
        let mut permission_before = None;
        if new {
            let mut stores = BTreeMap::new();
            for face in self.plan.stores() {
                let mut generation = base.stores.get(face.name).cloned().unwrap_or_default();
                if !generation.schema.is_empty() && !face.reads(&generation.schema) {
                    return Err(Error::invalid(format!(
                        "store `{}` holds `{}`, the job wants `{}`: use another --instance",
                        face.name,
                        generation.schema,
                        face.schema()
                    )));
                }
                generation.schema = face.schema();
                stores.insert(face.name.to_string(), generation);
            }
            let keep = self.options.keep;
            let permitted = crate::keep::permission(self.manifests, &base, &frontier, keep)?;
            let before = base.drop_before.get(&namespace).cloned().unwrap_or_default();
            let permitted = if permitted == before || self.sinks_have(&permitted) {
                permitted
            } else {
                notes.push(self.held_by_sinks());
                before.clone()
            };
            permission_before = Some((namespace.clone(), before));
            manifest.drop_before.insert(namespace, permitted);
            manifest.number += 1;
            manifest.covered_until = self.covered_until(&frontier);
            manifest.stores = stores;
            manifest.sinks = self.records_of(&base)?;
            manifest.frontier = frontier;
            manifest.holes.extend(holes);
            let range = |p: target::Piece| InputRange {
                files: p.files.into_iter().map(|f| (f.path, f.checksum)).collect(),
                partition: p.partition,
                from: p.from.cut,
                to: p.to.cut,
                read_as: String::new(),
            };
            manifest.input = read.into_iter().map(range).collect();
            manifest.created_at = now();
            // What an operator emits follows from the totals that it reads: they stay.
            let read = |face: &&StoreFace| self.plan.operators().iter().any(|o| o.store_name == face.name);
            manifest.drop_hops(self.plan.stores().iter().filter(|face| !read(face)));
        }
        Ok(RunPlan {
            pieces,
            manifest,
            open,
            new,
            parts,
            notes,
            permission_before,
        })
    }

    /// O1, P41: every operator has an order, and the one that it always had.
    fn check_domains(&self, archives: &[&dyn Archive], base: &Frontier) -> Result<()> {
        let mut counts = vec![0; self.plan.sources().len()];
        for archive in archives {
            let source = archive.source();
            let mut all: BTreeSet<u32> = base.partitions_of(source).collect();
            let before = all.len();
            all.extend(archive.partitions()?);
            let now = all.len();
            if before > 0 && now > before {
                return Err(self.plan.more_partitions(source, before, now));
            }
            if let Some(at) = self.plan.sources().iter().position(|s| s.name == source) {
                counts[at] = now;
            }
        }
        self.plan.check_partitions(&counts)?;
        let specs: Vec<_> = self.plan.sources().iter().map(|face| self.spec_of(face)).collect();
        self.plan.check_clocks(&specs)
    }

    /// How the archive of a source is cut.
    fn spec_of(&self, face: &SourceFace) -> CutSpec {
        let without_time = face.cut_spec(false);
        match self.inputs.get(face.name) {
            Some(BulkInput::Archive { cut_spec, .. }) if *cut_spec == without_time.text() => without_time,
            _ => face.cut_spec(true),
        }
    }

    fn archived(&self, target: &Target) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let domains = self.plan.domains();
        let mut joint: BTreeMap<(usize, u32), Vec<Member>> = BTreeMap::new();
        let of_source = |source: usize| domains.iter().enumerate().find(|(_, group)| group.has(source));
        for piece in &target.pieces {
            let Some(source) = self
                .plan
                .sources()
                .iter()
                .position(|s| s.name == piece.partition.source)
            else {
                continue;
            };
            let Some(BulkInput::Archive { archive, format, .. }) = self.inputs.get(&piece.partition.source) else {
                continue;
            };
            let files = piece.files.iter().map(|file| Piece::Archived {
                source: source as u32,
                partition: piece.partition.partition,
                format: *format,
                archive: archive.clone(),
                file: file.clone(),
            });
            if let Some((d, group)) = of_source(source) {
                let Some(face) = self.plan.sources().get(source) else {
                    continue;
                };
                let partition = piece.partition.partition;
                let is_apart = |o: &OperatorFace| !o.spread && o.sources.iter().any(|s| group.has(*s));
                let one_lane = group.spread && !self.plan.operators().iter().any(is_apart);
                joint.entry((d, group.domain(partition))).or_default().push(Member {
                    source: source as u32,
                    name: piece.partition.source.clone(),
                    partition,
                    lane: if one_lane { 0 } else { partition },
                    spec: self.spec_of(face),
                    files: files.collect(),
                });
            } else if self.plan.operators().is_empty() {
                pieces.extend(files);
            } else {
                // The index is in the order of offsets.
                pieces.push(Piece::Ordered(files.collect()));
            }
        }
        let joint = joint.into_iter();
        pieces.extend(joint.map(|((_, domain), members)| Piece::Joint { domain, members }));
        pieces
    }

    /// Every partition of the archives, moving or not, and why it goes no further.
    fn parts(&self, target: &Target, base: &Frontier, levels: &Levels) -> Vec<PlannedPart> {
        let part = |(p, to): (&SourcePartition, &Cut)| {
            let from = base.of(p);
            let read = target.pieces.iter().find(|piece| piece.partition == *p);
            let until = self.shown(p, to);
            let open = target.open.get(p);
            let why = match open {
                None => "its archive holds nothing yet".into(),
                Some(open) if levels.of(p).is_some_and(|level| level < *open && to.batch >= level) => format!(
                    "batch {} is open in another partition that it goes with",
                    self.shown(p, to)
                ),
                Some(open) if to.batch < *open => format!("{} and later were not asked for", self.shown(p, to)),
                Some(open) => format!("batch {} is open", self.shown(p, &Cut { batch: *open, ..*to })),
            };
            PlannedPart {
                partition: p.clone(),
                from: from.cut,
                to: to.cut,
                reach: match read {
                    Some(_) => format!("offsets {}..{} until {until}; {why}", from.cut, to.cut),
                    None => format!("nothing new; {why}"),
                },
                files: read.map_or(0, |r| r.files.len() as u64),
                rows: read.map_or(0, |r| r.files.iter().map(|f| f.rows).sum()),
                bytes: read.map_or(0, |r| r.files.iter().map(|f| f.bytes).sum()),
            }
        };
        target.frontier.0.iter().map(part).collect()
    }

    /// A cut as people name it: the batch that begins there, or the offset where batches are numbers of them.
    fn shown(&self, p: &SourcePartition, cut: &Cut) -> String {
        let face = self.plan.sources().iter().find(|s| s.name == p.source);
        match (face, self.inputs.get(&p.source)) {
            (_, Some(BulkInput::Archive { cut_spec, .. })) if cut_spec.contains("clock=offset") => {
                format!("offset {}", cut.cut)
            }
            (Some(face), _) => face.batcher().show(cut.batch),
            (None, _) if matches!(cut.batch, BatchId::MIN | BatchId::MAX) => cut.batch.show(),
            (None, _) => cut.batch.0.to_string(),
        }
    }

    /// The batch that the run reaches, and who is behind it.
    fn covered_until(&self, frontier: &Frontier) -> String {
        let Some((p, furthest)) = frontier.0.iter().max_by_key(|(_, c)| c.batch) else {
            return "the beginning".into();
        };
        let behind: Vec<_> = frontier
            .0
            .iter()
            .filter(|(_, c)| c.batch < furthest.batch)
            .map(|(p, c)| format!("{p} at {}", self.shown(p, c)))
            .collect();
        let reached = self.shown(p, furthest);
        if behind.is_empty() {
            reached
        } else {
            format!("{reached} (behind: {})", behind.join(", "))
        }
    }
}
