//! What every handler sees: the stores, the pools of readers, the limits.

use std::sync::Arc;
use std::time::Instant;

use rufous_client::{Client, RawStoreClient, RawWindowClient};
use rufous_core::{Result, StoreFace, nearest};
use rufous_store_api::Until;
use tokio::sync::{Semaphore, watch};

use crate::ask::AtLeast;
use crate::clients::{Clients, Share};
use crate::console::{Observed, Shared};
use crate::gets::{self, Question};
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::pool::{Cancel, Pool};
use crate::problem::Problem;
use crate::sending::Budget;
use crate::server::Served;
use crate::watch::Watches;

/// How a read is done.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) accept_holes: bool,
    pub(crate) at_least: AtLeast,
    pub(crate) deadline: Instant,
    /// Tells the read that nobody waits for it any more.
    pub(crate) cancel: Cancel,
}

impl How {
    /// For how long the answer is waited for.
    pub(crate) fn until(&self) -> Until {
        let cancel = self.cancel.clone();
        Until::from(self.deadline).unless(Some(Arc::new(move || cancel.is_cancelled())))
    }
    /// A client that reads so.
    pub(crate) fn of(&self, raw: RawStoreClient) -> RawStoreClient {
        let raw = raw.at_least(&self.at_least.0).until(self.deadline);
        let raw = raw.unless(self.cancel.flag());
        if self.accept_holes { raw.accept_holes() } else { raw }
    }
}

/// One store that is served.
pub(crate) struct ServedStore {
    pub(crate) face: StoreFace,
    /// Its lane in the pool of reads of single keys; the next one accepts holes.
    pub(crate) lane: usize,
    raw: RawStoreClient,
}

impl ServedStore {
    fn lane_of(&self, accept_holes: bool) -> RawStoreClient {
        let raw = self.raw.clone();
        if accept_holes { raw.accept_holes() } else { raw }
    }
    /// Reads it so.
    pub(crate) fn raw(&self, how: &How) -> RawStoreClient {
        how.of(self.raw.clone())
    }
}

/// Shared by all handlers.
pub(crate) struct State {
    pub(crate) job: String,
    pub(crate) instance: String,
    pub(crate) client: Client,
    pub(crate) stores: Vec<ServedStore>,
    /// What is shown of the job beyond its answers.
    pub(crate) observed: Option<Arc<dyn Observed>>,
    /// What of it was answered just now.
    pub(crate) shared: Shared,
    pub(crate) options: ServerOptions,
    pub(crate) gets: Pool<Question>,
    pub(crate) long: Pool<()>,
    /// Reads that last as long as their clients take.
    pub(crate) bulk: Pool<()>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) clients: Clients,
    /// Bytes of answers that may wait for their clients.
    pub(crate) answers: Budget,
    /// Bytes of bodies that may be in memory at a time.
    pub(crate) bodies: Budget,
    pub(crate) watches: Watches,
    /// Becomes `true` when the server ends.
    pub(crate) ending: watch::Sender<bool>,
}

impl State {
    /// Waits for the reads that are under way, and begins no other.
    pub(crate) fn end(&self) {
        self.gets.end();
        self.long.end();
        self.bulk.end();
    }
    pub(crate) fn new(served: Served, options: ServerOptions) -> Result<Self> {
        let Served {
            job,
            instance,
            client,
            stores,
            observed,
        } = served;
        let client = client.live_bytes(options.live_bytes);
        let stores: Vec<ServedStore> = stores
            .into_iter()
            .enumerate()
            .map(|(i, face)| ServedStore {
                face,
                lane: 2 * i,
                raw: client.raw(face),
            })
            .collect();
        let lanes: Vec<RawStoreClient> = stores
            .iter()
            .flat_map(|s| [s.lane_of(false), s.lane_of(true)])
            .collect();
        let (count, here) = (lanes.len(), lanes.clone());
        let metrics = Arc::new(Metrics::default());
        let counted = metrics.clone();
        let answer = move |lane: usize, gets| {
            if let Some(raw) = lanes.get(lane) {
                gets::answer(raw, gets, &counted);
            }
        };
        let counted = metrics.clone();
        let answer_here = move |lane: usize, get| match here.get(lane) {
            Some(raw) => gets::answer_here(raw, get, &counted),
            None => Some(get),
        };
        let gets = Pool::new("get", options.readers, options.queue, count, &metrics.panics, answer)?;
        Ok(Self {
            job,
            instance,
            client,
            observed,
            shared: Shared::default(),
            gets: if options.local { gets.here(answer_here) } else { gets },
            bulk: Pool::new(
                "bulk",
                options.bulk_readers,
                options.bulk_queue,
                0,
                &metrics.panics,
                |_, _| {},
            )?
            .shared(Share::Bulk),
            long: Pool::new(
                "scan",
                options.long_readers,
                options.long_queue,
                0,
                &metrics.panics,
                |_, _| {},
            )?
            .shared(Share::Long),
            metrics,
            requests: Arc::new(Semaphore::new(options.requests)),
            clients: Clients::new(&options),
            answers: Budget::new(options.answer_bytes),
            bodies: Budget::new(options.body_bytes.saturating_mul(64)),
            watches: Watches::new(&options),
            ending: watch::Sender::new(false),
            stores,
            options,
        })
    }

    /// The store of this name.
    pub(crate) fn store(&self, name: &str) -> Result<&ServedStore, Problem> {
        self.stores.iter().find(|s| s.face.name == name).ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            let near = nearest(&shown, self.stores.iter().map(|s| s.face.name));
            let repair = near.map_or_else(
                || "`/v1/stores` lists the stores".to_string(),
                |near| format!("did you mean `{near}`? `/v1/stores` lists the stores"),
            );
            let detail = format!("job `{}` has no store `{shown}`", self.job);
            Problem::not_found("unknown-store", detail, repair)
        })
    }
    /// The same, as windows.
    pub(crate) fn windows(&self, name: &str, how: &How) -> Result<RawWindowClient, Problem> {
        let face = self.store(name)?.face;
        let windows = self.client.raw_windows(face)?;
        let windows = windows.at_least(&how.at_least.0).until(how.deadline);
        let windows = windows.unless(how.cancel.flag());
        Ok(if how.accept_holes {
            windows.accept_holes()
        } else {
            windows
        })
    }
    /// How a request that came just now is read.
    pub(crate) fn how(&self, accept_holes: bool, at_least: Option<&str>) -> Result<How, Problem> {
        Ok(How {
            accept_holes,
            at_least: AtLeast::of(at_least)?,
            deadline: Instant::now() + self.options.request_time,
            cancel: Cancel::default(),
        })
    }
}
