//! Readers of a server, kept for a while: to open one costs a connection and a look at what is there, and a client opens one a read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::Result;
use crate::store_api::RealtimeReader;

/// How long one is kept: so long a namespace that was deleted and made anew may look empty, as it was when it was made.
const KEPT: Duration = Duration::from_secs(5);

/// By namespace, each with the time of its opening.
#[derive(Default)]
pub(super) struct Readers(Mutex<HashMap<String, (Instant, Arc<dyn RealtimeReader>)>>);

impl Readers {
    /// The reader of a namespace, opened if there is none that is young.
    pub(super) fn get(
        &self,
        namespace: &str,
        open: impl FnOnce() -> Result<Option<Arc<dyn RealtimeReader>>>,
    ) -> Result<Option<Arc<dyn RealtimeReader>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (opened, _)| opened.elapsed() < KEPT);
        if let Some((_, reader)) = known.get(namespace) {
            return Ok(Some(reader.clone()));
        }
        // Nobody else waits for a server that does not answer.
        drop(known);
        let Some(reader) = open()? else { return Ok(None) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(namespace.into(), (Instant::now(), reader.clone()));
        Ok(Some(reader))
    }
    /// Forgets all: a namespace was deleted.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Error;
    use rufous_store_memory::MemoryRealtime;

    /// One that is there is opened once, one that is missing or fails is asked for again.
    #[test]
    fn readers_are_kept() {
        let readers = Readers::default();
        let open = || Ok(Some(Arc::new(MemoryRealtime::new("n", &[])) as Arc<dyn RealtimeReader>));
        assert!(readers.get("n", || Err(Error::try_again("away"))).is_err());
        assert!(readers.get("n", || Ok(None)).unwrap().is_none());
        let first = readers.get("n", open).unwrap().unwrap();
        let again = readers.get("n", || Err(Error::bug("opened twice"))).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(readers.get("m", || Ok(None)).unwrap().is_none());
        readers.clear();
        assert!(readers.get("n", || Ok(None)).unwrap().is_none());
    }
}
