//! Runs are written long before a manifest names them. So that [`gc`](crate::gc) does not take them meanwhile, who writes
//! leaves two files beside them: `.writing-<unique>-start`, written once, and `.writing-<unique>-alive`, written again each
//! minute. When he began is the time of the first file, by the clock that gives the runs theirs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rufous_core::Result;
use rufous_place::{Listed, Place};
use rufous_store_api::exclusive::unique_name;

pub(crate) const HOLD: &str = ".writing-";
const START: &str = "-start";
const ALIVE: &str = "-alive";
/// It is written again when it is so old.
const RENEW: Duration = Duration::from_secs(60);
/// Who did not renew it for so long is gone.
pub(crate) const LIFE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(crate) struct Hold {
    place: Arc<dyn Place>,
    path: String,
    renewed: Mutex<Instant>,
}

impl Hold {
    /// In a directory of a place.
    pub(crate) fn take(place: &Arc<dyn Place>, dir: &str) -> Result<Self> {
        let hold = Self {
            place: place.clone(),
            path: format!("{dir}{HOLD}{}", unique_name()),
            renewed: Mutex::new(Instant::now()),
        };
        hold.write(START)?;
        Ok(hold)
    }

    fn write(&self, what: &str) -> Result<()> {
        self.place.put(&format!("{}{what}", self.path), &mut |_| Ok(()))
    }

    /// Nobody takes it for alive any more.
    pub(crate) fn is_dead(&self) -> bool {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.elapsed() >= LIFE
    }

    pub(crate) fn renew(&self) -> Result<()> {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() >= RENEW {
            self.write(ALIVE)?;
            *renewed = Instant::now();
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for what in [START, ALIVE] {
            // What stays is deleted by a later gc.
            let _ = self.place.delete(&format!("{}{what}", self.path));
        }
    }
}

/// Who writes now, by a listing.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// When the first of them began; `None`: nobody writes.
    pub(crate) since: Option<SystemTime>,
    /// Their own files.
    pub(crate) files: HashSet<String>,
}

impl Writers {
    pub(crate) fn of(files: &[Listed], now: SystemTime) -> Self {
        let mut found: HashMap<&str, Vec<&Listed>> = HashMap::new();
        for file in files {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let stem = file.path.strip_suffix(START).or_else(|| file.path.strip_suffix(ALIVE));
            if let Some(stem) = stem.filter(|_| name.starts_with(HOLD)) {
                found.entry(stem).or_default().push(file);
            }
        }
        let mut writers = Self::default();
        for files in found.values() {
            // A time that is to come is young.
            let young = |f: &&Listed| now.duration_since(f.changed).map_or(true, |age| age < LIFE);
            if !files.iter().any(young) {
                continue;
            }
            let start = files.iter().find(|f| f.path.ends_with(START)).map(|f| f.changed);
            let start = start.unwrap_or(UNIX_EPOCH);
            writers.since = Some(writers.since.map_or(start, |since| since.min(start)));
            writers.files.extend(files.iter().map(|f| f.path.clone()));
        }
        writers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who renewed lately holds since his start; who did not is gone; whose start is lost holds all.
    #[test]
    fn writers_live_while_they_renew() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let file = |name: &str, minutes: u64| Listed {
            path: format!("offline/{name}"),
            changed: now - Duration::from_secs(minutes * 60),
            bytes: 0,
            tag: None,
        };
        let ago = |minutes: u64| Some(now - Duration::from_secs(minutes * 60));
        let since = |files: &[Listed]| Writers::of(files, now).since;
        let dead = [
            file(".writing-a-start", 300),
            file(".writing-a-alive", 61),
            file("run-1", 1),
        ];
        assert_eq!(since(&dead), None);
        let long = [file(".writing-b-alive", 1), file(".writing-b-start", 300)];
        assert_eq!(since(&long), ago(300));
        assert_eq!(since(&[file(".writing-c-start", 3)]), ago(3));
        assert_eq!(
            since(&[&dead[..], &long, &[file(".writing-c-start", 3)]].concat()),
            ago(300)
        );
        assert_eq!(since(&[file(".writing-d-alive", 3)]), Some(UNIX_EPOCH));
        assert_eq!(Writers::of(&[&dead[..], &long].concat(), now).files.len(), 2);
    }
}
