//! Runs are written long before a manifest names them. So that [`gc`](crate::gc) does not take them meanwhile, who writes
//! leaves a file beside them, `.writing-<start in ms>-<unique>`, and writes it again each minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rufous_core::Result;
use rufous_place::{Listed, Place};
use rufous_store_api::exclusive::unique_name;

pub(crate) const HOLD: &str = ".writing-";
/// It is written again when it is so old.
const RENEW: Duration = Duration::from_secs(60);
/// Who did not renew it for so long is gone.
const ALIVE: Duration = Duration::from_secs(3_600);
/// Clocks of a writer and of a store far away may differ by this.
const SKEW: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Hold {
    place: Arc<dyn Place>,
    path: String,
    renewed: Mutex<Option<Instant>>,
}

impl Hold {
    /// In a directory of a place; nothing is written before [`renew`](Self::renew).
    pub(crate) fn take(place: &Arc<dyn Place>, dir: &str) -> Result<Self> {
        let start = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Ok(Self {
            place: place.clone(),
            path: format!("{dir}{HOLD}{start}-{}", unique_name()),
            renewed: Mutex::new(None),
        })
    }

    pub(crate) fn renew(&self) -> Result<()> {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_none_or(|at| at.elapsed() >= RENEW) {
            self.place.put(&self.path, &mut |_| Ok(()))?;
            *renewed = Some(Instant::now());
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // What stays is deleted by the next gc.
        let _ = self.place.delete(&self.path);
    }
}

/// Since when somebody writes, by a file that a listing shows; `None` when it is no such file, or nobody renews it.
pub(crate) fn since(file: &Listed, far: bool, now: SystemTime) -> Option<SystemTime> {
    let name = file.path.rsplit('/').next()?.strip_prefix(HOLD)?;
    let start = Duration::from_millis(name.split_once('-')?.0.parse().ok()?);
    let skew = if far { SKEW } else { Duration::ZERO };
    let alive = now.duration_since(file.changed).map_or(true, |age| age < ALIVE);
    alive.then(|| {
        UNIX_EPOCH
            .checked_add(start)
            .and_then(|t| t.checked_sub(skew))
            .unwrap_or(UNIX_EPOCH)
    })
}
