//! Opening a namespace, and what its server must promise.

use std::sync::{Arc, Mutex};

use rufous_core::{Error, Result, StoreFace};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::{NamespaceOf, RealtimeReader, Snapshot, Until};

use super::meta::Meta;
use super::shared::{Core, lock};
use super::{RedisRealtime, layout, scripts, snapshot};
use crate::names;
use crate::options::RedisOptions;
use crate::server::{Server, list, text};

impl RedisRealtime {
    /// Opens a namespace for writing; it is made when it is not there.
    ///
    /// # Errors
    /// `InvalidRequest` when the URL is none, the server refuses the user, may lose or evict what it holds, or the namespace holds
    /// stores whose keys and values mean something else; `TryAgain` when the server does not answer in time.
    pub fn open(url: &str, options: &RedisOptions, of: NamespaceOf<'_>, stores: &[StoreFace]) -> Result<Self> {
        let core = Core::new(url, options, of, stores)?;
        core.server.promises()?;
        core.create()?;
        Ok(Self {
            core: Arc::new(core),
            known: Mutex::default(),
        })
    }

    /// A namespace to read, opened by then; `None`: it was never made.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `TryAgain` when it is not open by then; the stores may be some of those that it holds.
    pub fn reader(
        url: &str,
        options: &RedisOptions,
        of: NamespaceOf<'_>,
        stores: &[StoreFace],
        until: &Until,
    ) -> Result<Option<RedisReader>> {
        let core = Core::new(url, options, of, stores)?;
        Ok(core.look(until)?.map(|_| RedisReader(Arc::new(core))))
    }
}

/// A namespace that is only read.
pub struct RedisReader(Arc<Core>);

impl RealtimeReader for RedisReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.0, until)
    }
}

impl Core {
    pub(super) fn new(
        url: &str,
        options: &RedisOptions,
        NamespaceOf {
            job,
            instance,
            namespace,
        }: NamespaceOf<'_>,
        stores: &[StoreFace],
    ) -> Result<Self> {
        let server = Server::new(url, options)?;
        Ok(Self {
            place: format!(
                "namespace {namespace} of job {job} ({instance}) in {}",
                server.location()
            ),
            prefix: names::namespace(job, instance, namespace),
            server,
            namespace: namespace.into(),
            stores: stores.to_vec(),
            data: Mutex::default(),
        })
    }

    /// What is there now; from then on it is what is written to and read.
    pub(super) fn look(&self, until: &Until) -> Result<Option<Meta>> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(format!("{}meta", self.prefix));
        let answer = self
            .server
            .call_until(&format_args!("open {}", self.place), &cmd, until)?;
        let meta = Meta::parse(&answer, &self.place)?;
        if let Some(meta) = &meta {
            meta.check(&self.place, &self.namespace, &self.stores, false)?;
            *lock(&self.data) = meta.data.clone();
        }
        Ok(meta)
    }

    /// Makes what is not there.
    pub(super) fn create(&self) -> Result<()> {
        let what = format!("open {}", self.place);
        let data = unique_name();
        let answer = self.server.script(&what, &scripts::CREATE, &self.prefix, &|cmd| {
            cmd.arg(&data).arg(&self.namespace).arg(layout::FORMAT);
            for store in &self.stores {
                cmd.arg(names::escaped(store.name)).arg(store.schema());
            }
        })?;
        let answer = list(&answer).unwrap_or_default();
        match (answer.first().and_then(text), answer.get(1)) {
            (Some("made"), _) => *lock(&self.data) = data,
            (Some("headless"), store) => {
                return Err(Error::corrupt(format!(
                    "{}: there are rows of store `{}` and no key `meta`; {}",
                    self.place,
                    store.and_then(text).unwrap_or_default(),
                    layout::REPAIR
                )));
            }
            (Some("known"), Some(found)) => {
                let meta = Meta::parse(found, &self.place)?.ok_or_else(|| self.server.odd(&what))?;
                meta.check(&self.place, &self.namespace, &self.stores, true)?;
                let missing = meta.missing(&self.stores);
                if !missing.is_empty() {
                    let mut cmd = redis::cmd("HSET");
                    cmd.arg(format!("{}meta", self.prefix));
                    for (field, schema) in &missing {
                        cmd.arg(field).arg(schema);
                    }
                    self.server.call(&what, &cmd)?;
                }
                *lock(&self.data) = meta.data;
            }
            _ => return Err(self.server.odd(&what)),
        }
        Ok(())
    }
}
