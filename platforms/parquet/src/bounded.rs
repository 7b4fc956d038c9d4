//! What a run will do with bounded inputs: files that are taken whole (P8a). Files that the base has summed already, and that are
//! what they were, are not read again; where one of them is another one now, or is gone, everything is summed anew.

use std::collections::BTreeMap;

use rufous_core::{BatchId, Cut, Error, Format, Frontier, Result, SourceFace, StoreFace, Timestamp};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::{InputRange, Manifest, StoreGeneration, Window};

use crate::input::InputFile;
use crate::known::{Known, Listed, PARQUET};
use crate::options::{BatchRun, BulkInput};
use crate::survey::{RunPlan, now};
use crate::taken::{self, Spared, Taken};
use crate::work::Piece;

/// A source and its files.
struct Given<'a> {
    source: u32,
    face: &'a SourceFace,
    files: &'a [InputFile],
    /// Of lines; `None`: Parquet.
    format: Option<Format>,
}

impl BatchRun<'_> {
    /// Bounded inputs: what the base has not summed yet, or all.
    pub(crate) fn bounded(&self) -> Result<RunPlan> {
        let job = self.plan.job();
        let base = self.manifests.newest(0)?;
        if let Some(m) = base.as_ref().filter(|m| m.realtime_namespace.is_some()) {
            return Err(Error::invalid(format!(
                "job `{job}` has a live part in this data directory (manifest {}); files that are taken whole name no offsets to \
                 hand over at, so both cannot be added: use the archive, or another --data or --instance",
                m.number
            )));
        }
        if let Some((m, at)) = base.as_ref().zip(self.options.listed_at)
            && m.number >= at
        {
            return Err(Error::try_again(format!(
                "job `{job}`: generation {} was published after this run had listed its files, and may hold more of them: run again",
                m.number
            )));
        }
        let given = self.given()?;
        let listed: Vec<Listed> = given.iter().map(Given::listed).collect::<Result<_>>()?;
        let known = Known::of(base.as_ref(), &listed)?;
        let anew = base.as_ref().and_then(|base| self.why_anew(base, &known));
        let mut plan = match &base {
            Some(base) if anew.is_none() => {
                let mut plan = self.extension(base, known.is_new());
                plan.notes = known.unchanged(base.number);
                plan
            }
            _ => self.beginning(base.as_ref()),
        };
        plan.notes
            .extend(anew.as_ref().map(|why| format!("everything is summed anew: {why}")));
        let window = self.options.window.as_ref();
        let mut spared = Spared::default();
        for (of, listed) in given.iter().zip(&listed) {
            let mut pieces = None;
            for (i, file) in of.files.iter().enumerate() {
                if anew.is_some() || !known.is_summed(of.face.name, i) {
                    let taken = of.take(file, known.number(of.face.name, i), window)?;
                    spared.add(taken.spared);
                    *pieces.get_or_insert(0) += taken.pieces.len();
                    plan.take(taken, &listed.read_as);
                }
            }
            if let Some(field) = of
                .face
                .time_field
                .filter(|_| window.is_some() && plan.new && pieces == Some(0))
            {
                plan.notes.push(format!(
                    "source `{}`: no file notes a time of the window in `{field}`, so nothing is read of it, and no record was \
                     there to show that `{field}` is what `timed_by` returns",
                    of.face.name
                ));
            }
        }
        if let Some(operator) = self.plan.operators().iter().find(|o| o.sources.len() > 1) {
            return Err(Error::invalid(format!(
                "{} gets the records of {} sources, and bounded inputs have no common order: merge behind the operator, or give \
                 each source an operator and a store of its own",
                operator.name,
                operator.sources.len()
            )));
        }
        if !self.plan.operators().is_empty() {
            // One order over all files: repeatable over these.
            plan.pieces = vec![Piece::Ordered(std::mem::take(&mut plan.pieces))];
        }
        if let Some(window) = window.filter(|_| plan.new) {
            plan.notes.push(format!(
                "{window} only: left out by what the files note of it, and not read: {spared}"
            ));
            let unsaid = given
                .iter()
                .filter(|of| of.format.is_none() && of.face.time_field.is_none());
            plan.notes.extend(unsaid.map(|of| {
                format!(
                    "source `{}` does not say which field its event time is (`time_field`), so all of it is read",
                    of.face.name
                )
            }));
        }
        Ok(plan)
    }

    /// The sources in their order.
    fn given(&self) -> Result<Vec<Given<'_>>> {
        let mut all = Vec::new();
        for (source, face) in self.plan.sources().iter().enumerate() {
            let (files, format) = match self.inputs.get(face.name) {
                Some(BulkInput::Parquet(files)) => (files, None),
                Some(BulkInput::Files { files, format }) => (files, Some(*format)),
                Some(BulkInput::Archive { .. }) | None => continue,
            };
            match format {
                None if face.fields.is_none() => {
                    return Err(Error::invalid(format!(
                        "source `{}` carries text: Parquet is read into structs that derive Record",
                        face.name
                    )));
                }
                None => {}
                Some(format) => {
                    let decoder = face.decoder(format);
                    decoder.map_err(|e| e.at(format_args!("source `{}`", face.name)))?;
                }
            }
            all.push(Given {
                source: source as u32,
                face,
                files,
                format,
            });
        }
        Ok(all)
    }

    /// Why what the base has summed cannot be added to; `None`: it can.
    fn why_anew(&self, base: &Manifest, known: &Known) -> Option<String> {
        let job = self.plan.job();
        if base.fingerprint != self.plan.fingerprint() {
            return Some(format!(
                "job `{job}` changed: its fingerprint is {}, generation {} was written by {}",
                self.plan.fingerprint(),
                base.number,
                base.fingerprint
            ));
        }
        if let Some(operator) = self.plan.operators().first().filter(|_| known.is_new()) {
            return Some(format!(
                "{} takes records in the order of the files, and new ones may come before others",
                operator.name
            ));
        }
        if base.window != self.options.window {
            let words = |w: &Option<Window>| w.map_or_else(|| "all event time".into(), |w| w.to_string());
            return Some(format!(
                "generation {} holds {}, and {} is asked for",
                base.number,
                words(&base.window),
                words(&self.options.window)
            ));
        }
        let unread = |face: &&StoreFace| {
            let held = base.stores.get(face.name);
            !held.is_some_and(|held| face.reads(&held.schema))
        };
        if let Some(face) = self.plan.stores().iter().find(unread) {
            return Some(format!(
                "store `{}` is new, or holds other keys or values now",
                face.name
            ));
        }
        if let Some(why) = self.lacks_records(base) {
            return Some(why);
        }
        if let Some(why) = known.differs(base.number) {
            return Some(why);
        }
        (self.plan.in_order() && known.is_new()).then(|| {
            format!(
                "job `{job}` needs its values in order, and records of a new file may belong before those that are summed"
            )
        })
    }

    /// A run that adds to the base, if there is something to add.
    fn extension(&self, base: &Manifest, new: bool) -> RunPlan {
        let mut manifest = base.clone();
        if new {
            manifest.number += 1;
            manifest.created_at = now();
            // What the base lacks was a reason to sum everything anew.
            let mut sinks = self.no_records();
            for (name, generation) in &mut sinks {
                if let Some(before) = base.sinks.get(name) {
                    generation.files.clone_from(&before.files);
                }
            }
            manifest.sinks = sinks;
            for face in self.plan.stores() {
                manifest.stores.entry(face.name.to_string()).or_default().schema = face.schema();
            }
        }
        RunPlan::of(manifest, new)
    }

    /// A run that adds to nothing.
    fn beginning(&self, base: Option<&Manifest>) -> RunPlan {
        let empty = |schema| StoreGeneration {
            schema,
            ..StoreGeneration::default()
        };
        let stores = self.plan.stores().iter();
        let (mut line, mut covered_until) = (self.plan.fingerprint().to_string(), "the end of the input".to_string());
        if let Some(window) = &self.options.window {
            let ms = |t: Option<Timestamp>| t.map_or_else(String::new, |t| t.0.to_string());
            // Generations of another span of time do not extend each other.
            line = format!("{line}-{}..{}", ms(window.since), ms(window.until));
            covered_until = format!("{covered_until}, {window} only");
        }
        let mut manifest = Manifest {
            format: MANIFEST_FORMAT,
            number: base.map_or(0, |m| m.number + 1),
            job: self.plan.job().into(),
            line,
            fingerprint: self.plan.fingerprint().into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: None,
            stores: stores.map(|f| (f.name.to_string(), empty(f.schema()))).collect(),
            frontier: Frontier::default(),
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: now(),
            covered_until,
            window: self.options.window,
            not_repeatable: self.plan.not_repeatable().map(str::to_string).collect(),
            sinks: self.no_records(),
        };
        manifest.format = manifest.format_needed();
        RunPlan::of(manifest, true)
    }
}

impl Given<'_> {
    fn listed(&self) -> Result<Listed> {
        let read_as = self.format.map_or_else(|| PARQUET.into(), |format| format.to_string());
        Listed::of(self.face.name, self.files, read_as)
    }

    fn take(&self, file: &InputFile, number: u32, window: Option<&Window>) -> Result<Taken> {
        match self.format {
            None => taken::parquet(self.face, self.source, number, file, window),
            Some(format) => taken::lines(self.face, self.source, number, file, format),
        }
    }
}

impl RunPlan {
    fn of(manifest: Manifest, new: bool) -> Self {
        Self {
            pieces: Vec::new(),
            manifest,
            open: BTreeMap::new(),
            new,
            parts: Vec::new(),
            notes: Vec::new(),
            permission_before: None,
        }
    }

    /// Adds a file that is to be read.
    fn take(&mut self, file: Taken, read_as: &str) {
        let p = file.part.partition.clone();
        let cut = Cut {
            batch: BatchId::MAX,
            cut: file.part.to,
            batch_before: BatchId::MAX,
        };
        self.manifest.frontier.0.insert(p.clone(), cut);
        self.manifest.input.push(InputRange {
            partition: p,
            from: 0,
            to: file.part.to,
            files: vec![file.identity],
            read_as: read_as.into(),
        });
        self.parts.push(file.part);
        self.pieces.extend(file.pieces);
    }
}
