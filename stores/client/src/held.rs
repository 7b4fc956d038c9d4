//! Several stores at one moment: one realtime snapshot and one manifest for all reads.

use std::sync::Arc;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::{Error, Key, Result, Store, StoreFace, WindowedStore};
use rufous_store_api::{Manifest, Until};

use crate::client::Client;
use crate::raw::RawStoreClient;
use crate::taken::Taken;
use crate::terms::Clock;
use crate::typed::StoreClient;
use crate::window::{RawWindowClient, WindowClient};

/// How often the namespace may change while one is taken.
const RESTARTS: usize = 3;

/// One moment of a job: every read through it, of whichever store, is of the same realtime snapshot and the same manifest, so
/// their answers are one cut of the log. That both layers fit together (P28, P29) is checked for each store at each read.
///
/// Hold it for a request or a report, not for a session: seconds rather than minutes.
/// - The files of its generation may be deleted once they are replaced for longer than the grace of `gc` (an hour unless it was
///   told otherwise). A read that meets a missing file is then `TryAgain` and asks for a new snapshot; it is never answered
///   from another manifest.
/// - While a snapshot is held, RocksDB keeps what is overwritten since, PostgreSQL a connection and a transaction, Redis a log
///   of what it overwrites.
/// - When the owner of the realtime state ends, or a read with a deadline gave up its connection, further reads are `TryAgain`.
///
/// Reads of one snapshot take turns at its realtime part. It ends when it and all clients of it are dropped.
///
/// ```no_run
/// # fn client() -> rufous_client::Client { unimplemented!() }
/// use rufous_core::{Result, Store};
///
/// const VIEWS: Store<String, u64> = Store::new("views");
/// const CLICKS: Store<String, u64> = Store::new("clicks");
///
/// fn rate(page: &str) -> Result<Option<f64>> {
///     let now = client().snapshot()?;
///     let views = now.store(VIEWS)?.get(page)?.value;
///     let clicks = now.store(CLICKS)?.get(page)?.value.unwrap_or(0); // of the same records
///     Ok(views.map(|views| clicks as f64 / views as f64))
/// }
/// ```
#[derive(Clone)]
pub struct ClientSnapshot {
    client: Client,
    moment: Arc<Moment>,
}

/// What is held.
pub(crate) struct Moment {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) taken: Taken,
}

impl std::fmt::Debug for ClientSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSnapshot")
            .field("manifest", &self.moment.manifest.number)
            .finish_non_exhaustive()
    }
}

impl ClientSnapshot {
    /// The snapshot first, then the newest manifest: so nothing can lie between them (P29).
    pub(crate) fn take(client: &Client, until: Until) -> Result<Self> {
        let clock = Clock::start(until)?;
        clock.until().during(|| Self::take_by(client, &clock))
    }

    fn take_by(client: &Client, clock: &Clock) -> Result<Self> {
        let late = |e| clock.late(e, "a look at the newest manifest");
        let mut m = client.manifest().map_err(late)?;
        for _ in 0..=RESTARTS {
            let taken = Taken::take(client, None, None, m.realtime_namespace.as_deref(), clock)?;
            m = client.newest(m.number).map_err(late)?;
            clock.check("reading the newest manifest")?;
            if m.realtime_namespace == taken.namespace {
                let moment = Arc::new(Moment { manifest: m, taken });
                return Ok(Self {
                    client: client.clone(),
                    moment,
                });
            }
        }
        Err(Error::try_again(format!(
            "the realtime namespace changed {} times while a snapshot was taken; try again",
            RESTARTS + 1
        )))
    }

    /// The number of its manifest.
    pub fn manifest(&self) -> u64 {
        self.moment.manifest.number
    }

    /// The store behind a port, at this moment.
    ///
    /// # Errors
    /// `InvalidRequest` with both texts when the store holds other types than the port.
    pub fn store<K: Key, V: Semigroup + Codec>(&self, port: Store<K, V>) -> Result<StoreClient<K, V>> {
        let raw = self.raw(StoreFace::of(port));
        raw.check_schema(&self.moment.manifest)?;
        Ok(StoreClient::over(raw))
    }

    /// The windowed store behind a port, at this moment. Windows that end with the clock do so at each read.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn windows<K: Key, V: Semigroup + Codec>(&self, port: WindowedStore<K, V>) -> Result<WindowClient<K, V>> {
        let raw = self.raw(StoreFace::windowed(port));
        raw.check_schema(&self.moment.manifest)?;
        Ok(WindowClient::over(RawWindowClient::new(raw)?))
    }

    /// A store as bytes, at this moment. Its schema is compared at every read.
    pub fn raw(&self, face: StoreFace) -> RawStoreClient {
        RawStoreClient::new(self.client.clone(), face).at(self.moment.clone())
    }

    /// A windowed store as bytes, at this moment.
    ///
    /// # Errors
    /// `InvalidRequest` when the store has no windows.
    pub fn raw_windows(&self, face: StoreFace) -> Result<RawWindowClient> {
        RawWindowClient::new(self.raw(face))
    }
}
