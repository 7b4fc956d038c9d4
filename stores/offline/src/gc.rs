//! Deletes what nobody can read any more (P25): manifests below the keep window, and run files that no manifest in it names.
//!
//! Named are the runs and deltas of stores, and the files of sinks, of the current manifest, of the `keep` generations before it, of those down to the one that the
//! drop permission stands at (a shard that is lost is rebuilt there, O9), of every manifest that was
//! replaced within the reader grace, and of the newest two of each staged line. (A manifest that is only another form of the one
//! before it is no generation of its own.) A file must also be older than the grace, and older than what
//! anybody who writes runs now began with (`.writing-*`): a run is there before the manifest that will name it. Files are
//! listed before manifests are read, so one that is published in between is found to be named. A temporary name goes an
//! hour after it was written, however short the grace is: until then somebody may be about to give it its own.
//!
//! Manifests go from the lowest number upward, for a missing number between others is damage. A reader that climbs from a
//! number that is deleted lists the directory. When any manifest that counts cannot be read, or there is none, nothing is
//! deleted.
//!
//! A line that was current once is marked (`<line>/switched`) while a manifest of the job names it. When none does any more, no
//! rollback reaches it, and its own manifests go, the mark last. One that never was current goes when a later line of the same
//! code was begun longer ago than the grace: nobody goes on with it, and nobody switches to it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Error, Result};
use rufous_place::{Listed, PROBE, Place, TEMPORARY};
use rufous_store_api::points::reach;
use rufous_store_api::{Manifest, ManifestLog};

use crate::generations::SINKS;
use crate::hold::{HOLD, LIFE, Writers};
use crate::{Generations, Manifests};

/// How many manifests of a staged line count.
const STAGED: usize = 2;

/// What is to be tidied up, and how far.
#[derive(Clone, Debug)]
pub struct Gc {
    /// The generations before the current one that stay for a rollback (1).
    pub keep: u64,
    /// How long a reader may work with a manifest that was replaced (1 hour).
    pub grace: Duration,
    /// Nothing is deleted, only said.
    pub dry_run: bool,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            keep: 1,
            grace: Duration::from_secs(3_600),
            dry_run: false,
        }
    }
}

/// What a file was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A manifest below the window.
    Manifest,
    /// A run that no manifest names.
    Run,
    /// What a process left that ended.
    Temporary,
    /// The realtime state of code that no manifest names; deleted by those who know it.
    Namespace,
}

/// A file that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deleted {
    /// What it was.
    pub kind: Kind,
    /// Where it lay: a path or a URL.
    pub name: String,
    /// How long it was.
    pub bytes: u64,
}

/// Where staged lines lie: `<dir>/<line>/manifests/<n>.json`. Of two of the same code the one that was begun later has the
/// greater name.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The place.
    pub place: Arc<dyn Place>,
    /// The directory of all lines.
    pub dir: String,
}

/// The paths of all files that a manifest names.
fn name_files(generations: &Generations, manifest: &Manifest, named: &mut HashSet<String>) -> Result<()> {
    for (store, generation) in &manifest.stores {
        for run in generation.runs.iter().chain(&generation.delta) {
            named.insert(generations.path(store, run)?);
        }
    }
    for (sink, generation) in &manifest.sinks {
        for file in &generation.files {
            named.insert(generations.sink_path(sink, &file.file)?);
        }
    }
    Ok(())
}

impl Gc {
    /// Deletes, and says what: manifests first, then runs, then temporary files.
    ///
    /// # Errors
    /// When something cannot be listed or read: nothing is deleted then. When something cannot be deleted: what was deleted
    /// before stays so, and the next one goes on.
    pub fn collect(
        &self,
        manifests: &Manifests,
        lines: Option<&Lines>,
        generations: &Generations,
    ) -> Result<Vec<Deleted>> {
        self.collect_of(manifests, lines, generations, &|_| true)
    }

    /// The same, of what has names that `may` go, as they were said before.
    ///
    /// # Errors
    /// Those of [`Self::collect`].
    pub fn collect_of(
        &self,
        manifests: &Manifests,
        lines: Option<&Lines>,
        generations: &Generations,
        may: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Deleted>> {
        let now = SystemTime::now();
        // First the files.
        let files = generations.place.list(&generations.dir)?;
        let Some(current) = manifests.newest(0)? else {
            return Err(Error::invalid(
                "there is no manifest, so it is not known which files are in use: nothing is deleted",
            ));
        };
        let window = self.window(manifests, &current, now)?;
        let mut named = HashSet::new();
        name_files(generations, &current, &mut named)?;
        for manifest in &window.stay {
            name_files(generations, manifest, &mut named)?;
        }
        let mut gone: Vec<_> = window
            .gone
            .iter()
            .map(|(n, bytes)| (manifests.clone(), *n, *bytes))
            .collect();
        let writers = Writers::of(&files, now);
        if let Some(lines) = lines {
            // The codes of which a later line is old enough.
            let mut replaced = HashSet::new();
            let mut all = lines.all()?;
            all.sort();
            for line in all.into_iter().rev() {
                let log = lines.log(&line);
                let listed = log.list()?;
                let newest = listed
                    .last()
                    .map(|(number, ..)| log.get(*number))
                    .transpose()?
                    .flatten();
                let code = newest.map(|m| m.fingerprint);
                let named_by_job = current.line == line || window.stay.iter().any(|m| m.line == line);
                // One of those who write now may have begun before, in this line.
                let written = |at: SystemTime| writers.since.is_some_and(|since| at >= since);
                let is_replaced = !named_by_job
                    && code.as_ref().is_some_and(|code| replaced.contains(code))
                    && !listed.last().is_some_and(|(_, at, _)| written(*at));
                if is_replaced || lines.is_retired(&line, &current, &window.stay)? {
                    gone.extend(listed.iter().map(|(n, _, bytes)| (log.clone(), *n, *bytes)));
                } else {
                    lines.name_files(&log, generations, &mut named)?;
                }
                if listed.first().is_some_and(|(_, begun, _)| self.is_aged(*begun, now)) {
                    replaced.extend(code);
                }
            }
        }
        let mut deleted = Vec::new();
        for (log, number, bytes) in gone {
            if may(&log.show(number)) && (self.dry_run || log.delete(number)?) {
                reach("gc.manifest");
                deleted.push(Deleted {
                    kind: Kind::Manifest,
                    name: log.show(number),
                    bytes,
                });
            }
        }
        if let Some(lines) = lines.filter(|_| !self.dry_run) {
            lines.mark(&current, &window.stay)?;
        }
        let aged = |changed: SystemTime| self.is_aged(changed, now);
        let mut last = current.number;
        for file in &files {
            let Some(kind) = kind(file, &generations.dir) else {
                continue;
            };
            let held = writers.since.is_some_and(|since| file.changed >= since) || writers.files.contains(&file.path);
            let aged = aged(file.changed) && (kind != Kind::Temporary || is_left(file.changed, now));
            if !aged || held || named.contains(&file.path) || !may(&generations.place.show(&file.path)) {
                continue;
            }
            // A rollback may have come meanwhile, to a generation whose manifest was above: it is asked each time.
            while let Some(next) = manifests.get(last + 1)? {
                name_files(generations, &next, &mut named)?;
                last += 1;
            }
            if !named.contains(&file.path) && (self.dry_run || generations.place.delete(&file.path)?) {
                reach("gc.run");
                deleted.push(Deleted {
                    kind,
                    name: generations.place.show(&file.path),
                    bytes: file.bytes,
                });
            }
        }
        for (path, bytes) in manifests.temporary(now, self.grace.max(LIFE))? {
            if may(&manifests.place().show(&path)) && (self.dry_run || manifests.place().delete(&path)?) {
                deleted.push(Deleted {
                    kind: Kind::Temporary,
                    name: manifests.place().show(&path),
                    bytes,
                });
            }
        }
        deleted.sort();
        Ok(deleted)
    }
}

/// What a job's own manifests come to.
struct Window {
    /// Numbers and lengths, ascending.
    gone: Vec<(u64, u64)>,
    /// What stays, as far as it was there.
    stay: Vec<Manifest>,
}

impl Gc {
    fn is_aged(&self, changed: SystemTime, now: SystemTime) -> bool {
        now.duration_since(changed).is_ok_and(|age| age >= self.grace)
    }

    /// The lowest number of the window.
    fn floor(&self, manifests: &Manifests, current: &Manifest) -> Result<u64> {
        let (mut at, mut kept) = (current.clone(), 0);
        while let Some(number) = at.number.checked_sub(1) {
            let Some(before) = manifests.get(number)? else { break };
            kept += u64::from(!at.is_form_of(&before));
            if kept > self.keep {
                break;
            }
            at = before;
        }
        let window = at.number;
        Ok(window.min(self.drop_point(manifests, current)?.unwrap_or(window)))
    }

    /// The oldest generation at which a shard of the current namespace may be rebuilt (P32): the state of operators *there* is
    /// read from its files (O9). `None`: the permission names no generation that is left.
    fn drop_point(&self, manifests: &Manifests, current: &Manifest) -> Result<Option<u64>> {
        let namespace = current.realtime_namespace.as_ref();
        let Some(permitted) = namespace
            .and_then(|n| current.drop_before.get(n))
            .filter(|_| kept(Rule::KeepDropPoint))
        else {
            return Ok(None);
        };
        // At its beginning a partition has no state.
        let mut open: Vec<_> = permitted
            .0
            .iter()
            .filter(|(_, cut)| cut.batch != BatchId::MIN)
            .collect();
        let (mut at, mut found) = (Some(current.clone()), None);
        while let Some(manifest) = at.filter(|_| !open.is_empty()) {
            if manifest.realtime_namespace.as_ref() == namespace {
                let stood = open.len();
                open.retain(|(p, cut)| manifest.frontier.of(p) != **cut);
                if open.len() < stood {
                    found = Some(manifest.number);
                }
            }
            let before = manifest.number.checked_sub(1);
            at = before.map(|n| manifests.get(n)).transpose()?.flatten();
        }
        Ok(found)
    }

    fn window(&self, manifests: &Manifests, current: &Manifest, now: SystemTime) -> Result<Window> {
        let floor = self.floor(manifests, current)?;
        let listed = manifests.list()?;
        // When each was replaced: when the next one was published.
        let replaced = |number: u64| listed.iter().find(|(n, ..)| *n == number + 1).map(|(_, at, _)| *at);
        let old = |number: u64| number < floor && replaced(number).is_some_and(|at| self.is_aged(at, now));
        let gone: Vec<_> = listed.iter().take_while(|(n, ..)| old(*n)).collect();
        let mut stay = Vec::new();
        for (number, ..) in listed.iter().skip(gone.len()) {
            // Its number was listed just now; a publish since then is above the current one, and read below.
            stay.extend(manifests.get(*number)?);
        }
        let gone = gone.into_iter().map(|(n, _, bytes)| (*n, *bytes)).collect();
        Ok(Window { gone, stay })
    }

    /// The namespaces whose realtime state somebody may need: those of manifests that stay, and of staged lines.
    ///
    /// # Errors
    /// When a manifest that counts cannot be read, or there is none.
    pub fn namespaces(&self, manifests: &Manifests, lines: Option<&Lines>) -> Result<BTreeSet<String>> {
        let Some(current) = manifests.newest(0)? else {
            return Err(Error::invalid(
                "there is no manifest, so it is not known which state is in use",
            ));
        };
        let Window { stay, .. } = self.window(manifests, &current, SystemTime::now())?;
        let mut named = BTreeSet::new();
        if let Some(lines) = lines {
            for line in lines.all()? {
                if !lines.is_retired(&line, &current, &stay)? {
                    let newest = lines.log(&line).newest(0)?;
                    named.extend(newest.and_then(|m| m.realtime_namespace));
                }
            }
        }
        named.extend(stay.into_iter().chain([current]).filter_map(|m| m.realtime_namespace));
        Ok(named)
    }
}

impl Lines {
    /// Their names.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn all(&self) -> Result<Vec<String>> {
        self.place.dirs(&self.dir)
    }

    fn log(&self, line: &str) -> Manifests {
        Manifests::on(self.place.clone(), &format!("{}/{line}/manifests", self.dir))
    }

    fn mark_of(&self, line: &str) -> String {
        format!("{}/{line}/switched", self.dir)
    }

    /// The lines that were current once and that no manifest of the job names any more: a rollback does not reach them.
    ///
    /// # Errors
    /// When lines or manifests cannot be read.
    pub fn retired(&self, manifests: &Manifests) -> Result<BTreeSet<String>> {
        let mut retired = self.switched()?;
        if retired.is_empty() {
            return Ok(retired);
        }
        for number in manifests.numbers()? {
            if let Some(m) = manifests.get(number)? {
                retired.remove(&m.line);
            }
        }
        Ok(retired)
    }

    /// The lines that were current once: those of them that a manifest of the job names are not retired.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn switched(&self) -> Result<BTreeSet<String>> {
        let mut switched = BTreeSet::new();
        for line in self.all()? {
            if self.place.exists(&self.mark_of(&line))? {
                switched.insert(line);
            }
        }
        Ok(switched)
    }

    fn is_retired(&self, line: &str, current: &Manifest, stay: &[Manifest]) -> Result<bool> {
        let is_named = current.line == line || stay.iter().any(|m| m.line == line);
        Ok(!is_named && self.place.exists(&self.mark_of(line))?)
    }

    /// Marks the lines that manifests of the job name; takes away the marks of those that are gone.
    fn mark(&self, current: &Manifest, stay: &[Manifest]) -> Result<()> {
        for line in self.all()? {
            let is_named = current.line == line || stay.iter().any(|m| m.line == line);
            if is_named && !self.place.exists(&self.mark_of(&line))? {
                self.place.create(&self.mark_of(&line), Vec::new())?;
            } else if !is_named && self.log(&line).list()?.is_empty() {
                self.place.delete(&self.mark_of(&line))?;
            }
        }
        Ok(())
    }

    fn name_files(&self, log: &Manifests, generations: &Generations, named: &mut HashSet<String>) -> Result<()> {
        for number in log.numbers()?.into_iter().rev().take(STAGED) {
            if let Some(manifest) = log.get(number)? {
                name_files(generations, &manifest, named)?;
            }
        }
        Ok(())
    }
}

/// Whether who wrote under a temporary name is gone: the grace is that of readers, and says nothing of writers.
fn is_left(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed).is_ok_and(|age| age >= LIFE)
}

/// What a file of the offline directory is; `None`: not ours.
fn kind(file: &Listed, dir: &str) -> Option<Kind> {
    let below = file.path.strip_prefix(dir)?;
    let name = below.rsplit('/').next()?;
    if [TEMPORARY, PROBE, HOLD].iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Kind::Temporary);
    }
    let of_store = below.split('/').count() == 2;
    let of_sink = below
        .strip_prefix(SINKS)
        .is_some_and(|below| below.split('/').count() == 2);
    let run = (of_store || of_sink) && name.starts_with("run-") && name.ends_with(".rrun");
    run.then_some(Kind::Run)
}
