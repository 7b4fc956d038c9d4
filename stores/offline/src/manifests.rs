//! `<n>.json`: the manifest as JSON, then a line `xxh3 ` and the XXH3-64 of everything before that line, 16 lower-case
//! hexadecimal digits.
//!
//! Old manifests are deleted from the lowest number upward, so the numbers that are there follow each other. A number that
//! is missing between two others was lost, and with it perhaps a drop permission (P23): that is an error, not a smaller log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rufous_core::{Error, ErrorKind, HopSize, Result};
use rufous_place::{Listed, Local, PROBE, Place, TEMPORARY};
use rufous_store_api::manifest::{MANIFEST_FORMAT, MANIFEST_FORMAT_SINKS};
use rufous_store_api::{Manifest, ManifestLog, Published};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// A listing is no snapshot: while others publish and delete, it may miss a file. Then the directory is listed again.
const LISTINGS: usize = 3;

/// The manifests of one job: a directory of a place.
#[derive(Clone, Debug)]
pub struct Manifests {
    place: Arc<dyn Place>,
    dir: String,
}

impl Manifests {
    /// In this directory, which the first publish creates.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(Local::new(dir)), "")
    }

    /// In the directory `dir` of a place.
    pub fn on(place: Arc<dyn Place>, dir: &str) -> Self {
        let dir = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        Self { place, dir }
    }

    fn path(&self, number: u64) -> String {
        format!("{}{number}.json", self.dir)
    }

    /// A manifest as messages name it.
    pub fn show(&self, number: u64) -> String {
        self.place.show(&self.path(number))
    }

    fn has(&self, number: u64) -> Result<bool> {
        self.place.exists(&self.path(number)).map_err(|e| e.at("manifest"))
    }

    /// The files of manifests by their numbers, as a listing shows them.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn files(&self) -> Result<BTreeMap<u64, Listed>> {
        let mut files = BTreeMap::new();
        for file in self.place.list(&self.dir).map_err(|e| e.at("manifests"))? {
            let name = file.path.strip_prefix(&self.dir);
            let stem = name.and_then(|n| n.strip_suffix(".json"));
            // `+7.json` and `007.json` are not ours.
            let number = stem.and_then(|s| s.parse::<u64>().ok().filter(|n| n.to_string() == s));
            files.extend(number.map(|n| (n, file)));
        }
        Ok(files)
    }

    /// The numbers in the directory, ascending, each with the time of its publish by the clock of the place, and its length.
    pub(crate) fn list(&self) -> Result<Vec<(u64, SystemTime, u64)>> {
        let files = self.files()?.into_iter();
        Ok(files.map(|(n, file)| (n, file.changed, file.bytes)).collect())
    }

    /// Manifests in the order of these numbers; a store far away is asked for all of them at once.
    ///
    /// # Errors
    /// As [`get`](ManifestLog::get), of the first that is not what was written.
    pub fn get_many(&self, numbers: &[u64]) -> Result<Vec<Option<Manifest>>> {
        let paths: Vec<String> = numbers.iter().map(|n| self.path(*n)).collect();
        let found = self.place.read_many(&paths).map_err(|e| e.at("manifest"))?;
        let all = numbers.iter().zip(found);
        all.map(|(n, bytes)| bytes.map(|bytes| self.read(*n, &bytes)).transpose())
            .collect()
    }

    fn read(&self, number: u64, bytes: &[u8]) -> Result<Manifest> {
        let name = self.show(number);
        let manifest = decode(&name, bytes)?;
        if manifest.number != number {
            return Err(Error::corrupt(format!(
                "manifest {name} says that it is number {}: restore it from a copy",
                manifest.number
            )));
        }
        Ok(manifest)
    }

    /// The numbers that are there, ascending.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn numbers(&self) -> Result<Vec<u64>> {
        Ok(self.files()?.into_keys().collect())
    }

    pub(crate) fn place(&self) -> &dyn Place {
        &*self.place
    }

    /// What publishers left that ended, and its length.
    pub(crate) fn temporary(&self, now: SystemTime, older_than: Duration) -> Result<Vec<(String, u64)>> {
        let mut files = self.place.list(&self.dir).map_err(|e| e.at("manifests"))?;
        files.retain(|file| {
            let name = file.path.strip_prefix(&self.dir).unwrap_or_default();
            (name.starts_with(TEMPORARY) || name.starts_with(PROBE))
                && now.duration_since(file.changed).is_ok_and(|age| age >= older_than)
        });
        Ok(files.into_iter().map(|file| (file.path, file.bytes)).collect())
    }

    /// Deletes one; `false`: it was gone. Only from the lowest number upward.
    pub(crate) fn delete(&self, number: u64) -> Result<bool> {
        self.place.delete(&self.path(number)).map_err(|e| e.at("manifest"))
    }

    /// Whether a manifest has these bytes.
    fn is_ours(&self, number: u64, bytes: &[u8]) -> Result<bool> {
        let found = self.place.read(&self.path(number)).map_err(|e| e.at("manifest"))?;
        Ok(found.is_some_and(|found| *found == *bytes))
    }

    /// The last of the numbers that follow each other from `number` on; `None` when another one stands behind a gap.
    fn climb(&self, mut number: u64) -> Result<Option<u64>> {
        while let Some(next) = number.checked_add(1) {
            if self.has(next)? {
                number = next;
                continue;
            }
            let behind = next.checked_add(1).map_or(Ok(false), |n| self.has(n))?;
            // Asked again: two publishes may have come between the two questions.
            if behind && !self.has(next)? {
                return Ok(None);
            }
            if !behind {
                break;
            }
        }
        Ok(Some(number))
    }

    /// The highest number by a listing; a gap is an error.
    fn highest(&self) -> Result<Option<u64>> {
        let mut gap = None;
        for _ in 0..LISTINGS {
            let numbers = self.numbers()?;
            let Some(&last) = numbers.last() else { return Ok(None) };
            gap = numbers.windows(2).find(|w| w[1] - w[0] > 1).map(|w| (w[0] + 1, w[1]));
            if gap.is_none() {
                match self.climb(last)? {
                    Some(number) => return Ok(Some(number)),
                    None => gap = Some((last + 1, last + 2)),
                }
            }
        }
        let Some((missing, there)) = gap else { return Ok(None) };
        let name = self.show(missing);
        if self.has(missing)? {
            return Err(Error::try_again(format!(
                "manifest {name} appeared while its directory was listed"
            )));
        }
        Err(Error::corrupt(format!(
            "manifest {name} is missing though {there}.json is there: restore it from a copy"
        )))
    }

    fn newest_number(&self, at_least: u64) -> Result<Option<u64>> {
        // Who knows a number asks for the next ones; who knows none, or one that was deleted, lists once.
        if at_least > 0
            && self.has(at_least)?
            && let Some(number) = self.climb(at_least)?
        {
            return Ok(Some(number));
        }
        Ok(self.highest()?.filter(|highest| *highest >= at_least))
    }
}

fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    let no_json = |e| Error::bug(format!("manifest {} cannot be written as JSON: {e}", manifest.number));
    let mut text = serde_json::to_string_pretty(manifest).map_err(no_json)?;
    text.push('\n');
    let sum = xxh3_64(text.as_bytes());
    text.push_str(&format!("xxh3 {sum:016x}\n"));
    Ok(text.into_bytes())
}

/// Where `found` says something that `known` does not: a field of a later format, at any depth.
fn unknown(found: &Value, known: &Value) -> Option<String> {
    match (found, known) {
        (Value::Object(found), Value::Object(known)) => found.iter().find_map(|(name, value)| match known.get(name) {
            Some(k) => unknown(value, k).map(|path| format!("{name}.{path}")),
            None => Some(name.clone()),
        }),
        (Value::Array(found), Value::Array(known)) if found.len() == known.len() => {
            let pairs = found.iter().zip(known).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (f, k))| unknown(f, k).map(|path| format!("{i}.{path}")))
        }
        _ => (found != known).then(|| "(value)".into()),
    }
}

fn decode(name: &str, bytes: &[u8]) -> Result<Manifest> {
    let corrupt = |why: String| Error::corrupt(format!("manifest {name} {why}: restore it from a copy"));
    let no_json = |e: serde_json::Error| corrupt(format!("cannot be read ({e})"));
    let text =
        std::str::from_utf8(bytes).map_err(|e| corrupt(format!("is not UTF-8 from byte {} on", e.valid_up_to())))?;
    let (body, sum) = text
        .strip_suffix('\n')
        .and_then(|t| t.rsplit_once("\nxxh3 "))
        .ok_or_else(|| corrupt("is torn: it does not end in a checksum".into()))?;
    let body = &text[..=body.len()];
    if sum != format!("{:016x}", xxh3_64(body.as_bytes())) {
        return Err(corrupt("does not fit its checksum".into()));
    }
    let said: Value = serde_json::from_str(body).map_err(no_json)?;
    let format = said.get("format").and_then(Value::as_u64);
    if !format.is_some_and(|f| (u64::from(MANIFEST_FORMAT)..=u64::from(MANIFEST_FORMAT_SINKS)).contains(&f)) {
        let format = said.get("format").map_or_else(|| "none".into(), Value::to_string);
        return Err(Error::corrupt(format!(
            "manifest {name} has format {format}, this program knows {MANIFEST_FORMAT} to {MANIFEST_FORMAT_SINKS}: read it with the \
             program that wrote it"
        )));
    }
    let manifest: Manifest = serde_json::from_str(body).map_err(no_json)?;
    let understood = serde_json::to_value(&manifest).map_err(no_json)?;
    if let Some(field) = unknown(&said, &understood) {
        return Err(corrupt(format!("says `{field}`, which this program does not know")));
    }
    for (store, generation) in &manifest.stores {
        if let Some(size) = generation.dropped.keys().find(|size| !is_size(size)) {
            return Err(corrupt(format!(
                "says that hops of `{size}` are dropped in store `{store}`, which is no size of hops"
            )));
        }
    }
    match manifest.format_needed() {
        needed if needed == manifest.format => Ok(manifest),
        needed => Err(corrupt(format!(
            "has format {}, and what it says is of format {needed}",
            manifest.format
        ))),
    }
}

/// As it is written, not only in another way.
fn is_size(text: &str) -> bool {
    HopSize::parse(text).is_ok_and(|size| size.to_string() == text)
}

impl ManifestLog for Manifests {
    /// # Errors
    /// `CorruptData` that names the file when it is torn or altered, of another format, has a field that is not known, or
    /// says another number.
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        let found = self.place.read(&self.path(number)).map_err(|e| e.at("manifest"))?;
        found.map(|bytes| self.read(number, &bytes)).transpose()
    }

    /// # Errors
    /// As [`get`](ManifestLog::get); `CorruptData` that names the number when one is missing between others.
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        let mut gone = None;
        // Who climbs from a number that is deleted meanwhile ends at one that is gone, too: then it is listed again.
        for _ in 0..LISTINGS {
            let Some(number) = self.newest_number(at_least)? else {
                return Ok(None);
            };
            if let Some(manifest) = self.get(number)? {
                return Ok(Some(manifest));
            }
            gone = Some(number);
        }
        Err(Error::try_again(format!(
            "manifest {} was there and is gone",
            self.show(gone.unwrap_or(at_least))
        )))
    }

    /// # Errors
    /// `InvalidRequest` with the sentence of [`Manifest::check_follows`] when it may not follow the manifest before it, or
    /// when that one was never there; otherwise when it cannot be written.
    fn publish(&self, manifest: &Manifest) -> Result<Published> {
        let number = manifest.number;
        if manifest.format != manifest.format_needed() {
            let (format, needed) = (manifest.format, manifest.format_needed());
            return Err(Error::bug(format!(
                "manifest {number} has format {format}, and what it says is of format {needed}"
            )));
        }
        let base = match number.checked_sub(1) {
            Some(before) => self.get(before)?,
            None => None,
        };
        // Also when this number and the one before were deleted already: a number is never used twice.
        if self.has(number)? || (base.is_none() && self.highest()?.is_some_and(|highest| highest >= number)) {
            return Ok(Published::Conflict);
        }
        match &base {
            Some(base) => manifest
                .check_follows(base)
                .map_err(|why| Error::invalid(format!("manifest {number} cannot be published: {why}")))?,
            None if number > 0 => {
                return Err(Error::invalid(format!(
                    "manifest {number} cannot be published: {} is not there; publish numbers one after the other",
                    self.show(number - 1)
                )));
            }
            None => {}
        }
        let bytes = encode(manifest)?;
        let created = match self.place.create(&self.path(number), bytes.clone()) {
            Ok(true) => true,
            // The answer to the first attempt may have been lost, and a second one then finds the file of the first.
            Ok(false) if self.place.is_far() => self.is_ours(number, &bytes)?,
            Err(e) if self.place.is_far() && e.kind() == ErrorKind::TryAgain => {
                if !self.is_ours(number, &bytes).is_ok_and(|ours| ours) {
                    return Err(e.at("manifest"));
                }
                true
            }
            other => other.map_err(|e| e.at("manifest"))?,
        };
        Ok(if created { Published::Done } else { Published::Conflict })
    }
}
