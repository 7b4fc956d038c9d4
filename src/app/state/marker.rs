//! Where the realtime state of a job is, remembered beside its manifests: who does not say so would read none of it, and take the
//! offline part for the whole.
//!
//! `realtime.json`: version and kind, created exclusively by the first process that keeps the state in a server. Without it the state
//! is below the data directory.

use std::sync::Arc;

use rufous_place::Place;
use serde::{Deserialize, Serialize};

use crate::core::{Error, Result};

const VERSION: u32 = 1;
const FILE: &str = "realtime.json";

#[derive(Serialize, Deserialize)]
struct Marker {
    version: u32,
    kind: String,
}

/// Compares what is remembered with what is said: `kind` is `None` for the data directory.
///
/// # Errors
/// `InvalidRequest` when the state is elsewhere; `CorruptData` when the file cannot be read.
pub(super) fn check(place: &Arc<dyn Place>, kind: Option<&str>) -> Result<()> {
    let Some(found) = read(place)? else { return Ok(()) };
    if Some(found.as_str()) == kind {
        return Ok(());
    }
    let said = kind.map_or_else(|| "below the data directory".into(), |kind| format!("in {kind}"));
    Err(Error::invalid(format!(
        "the realtime state of this job is in {found}, and it is looked for {said}: say where by --realtime, RUFOUS_REALTIME or [realtime] \
         location. To begin the state anew elsewhere stop all processes of the job and delete {}",
        place.show(FILE)
    )))
}

/// Remembers it, before anything is written there.
pub(super) fn remember(place: &Arc<dyn Place>, kind: Option<&str>) -> Result<()> {
    if let Some(kind) = kind {
        let marker = Marker {
            version: VERSION,
            kind: kind.into(),
        };
        let bytes = serde_json::to_vec(&marker).map_err(|e| Error::bug(e.to_string()))?;
        // Whoever was before is compared with.
        place.create(FILE, bytes)?;
    }
    check(place, kind)
}

fn read(place: &Arc<dyn Place>) -> Result<Option<String>> {
    let Some(bytes) = place.read(FILE)? else {
        return Ok(None);
    };
    let wrong = |why: String| Error::corrupt(format!("{}: {why}: restore it", place.show(FILE)));
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
    if marker.version != VERSION {
        return Err(wrong(format!(
            "has version {}, this build reads {VERSION}",
            marker.version
        )));
    }
    Ok(Some(marker.kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_place::Local;

    /// Golden: the bytes are on disks. The first place counts, whoever says another is told where it is; what cannot be read is damage.
    #[test]
    fn the_first_place_counts() {
        let dir = tempfile::tempdir().unwrap();
        let place: Arc<dyn Place> = Arc::new(Local::new(dir.path()));
        check(&place, None).unwrap();
        check(&place, Some("redis")).unwrap();
        remember(&place, None).unwrap();
        remember(&place, Some("postgres")).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            r#"{"version":1,"kind":"postgres"}"#
        );
        remember(&place, Some("postgres")).unwrap();
        for other in [None, Some("redis")] {
            for e in [check(&place, other), remember(&place, other)] {
                let e = e.unwrap_err().to_string();
                assert!(e.contains("is in postgres") && e.contains("RUFOUS_REALTIME"), "{e}");
            }
        }
        for bad in ["", "{}", r#"{"version":2,"kind":"postgres"}"#, "\u{0}"] {
            std::fs::write(&path, bad).unwrap();
            let e = check(&place, None).unwrap_err();
            assert_eq!(e.kind(), crate::core::ErrorKind::CorruptData, "{bad:?}: {e}");
        }
    }
}
