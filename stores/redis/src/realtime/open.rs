//! Opening a namespace, and what its server must promise.

use std::sync::{Arc, Mutex};

use redis::Value;
use rufous_core::{Error, ErrorKind, Result, StoreFace};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::{RealtimeReader, Snapshot};

use super::meta::Meta;
use super::{Core, RedisRealtime, layout, lock, scripts, snapshot};
use crate::names;
use crate::options::RedisOptions;
use crate::server::{Server, list, text};

impl RedisRealtime {
    /// Opens a namespace for writing; it is made when it is not there.
    ///
    /// # Errors
    /// `InvalidRequest` when the URL is none, the server refuses the user, may lose or evict what it holds, or the namespace holds
    /// stores whose keys and values mean something else; `TryAgain` when the server does not answer in time.
    pub fn open(
        url: &str,
        options: &RedisOptions,
        job: &str,
        instance: &str,
        namespace: &str,
        stores: &[StoreFace],
    ) -> Result<Self> {
        let core = Core::new(url, options, (job, instance, namespace), stores)?;
        core.server.promises()?;
        core.create()?;
        Ok(Self {
            core: Arc::new(core),
            known: Mutex::default(),
        })
    }

    /// A reader of a namespace; `None`: it was never made.
    ///
    /// # Errors
    /// As [`open`](Self::open); the stores may be some of those that it holds.
    pub fn reader(
        url: &str,
        options: &RedisOptions,
        job: &str,
        instance: &str,
        namespace: &str,
        stores: &[StoreFace],
    ) -> Result<Option<Box<dyn RealtimeReader>>> {
        let core = Core::new(url, options, (job, instance, namespace), stores)?;
        Ok(match core.look()? {
            Some(_) => Some(Box::new(Reader(Arc::new(core)))),
            None => None,
        })
    }
}

struct Reader(Arc<Core>);

impl RealtimeReader for Reader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.0)
    }
}

impl Core {
    pub(super) fn new(
        url: &str,
        options: &RedisOptions,
        (job, instance, namespace): (&str, &str, &str),
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
    pub(super) fn look(&self) -> Result<Option<Meta>> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(format!("{}meta", self.prefix));
        let answer = self.server.call(&format_args!("open {}", self.place), &cmd)?;
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

impl Server {
    /// Refuses a server that would lose or evict what it holds, unless it is accepted.
    pub(crate) fn promises(&self) -> Result<()> {
        let place = self.location();
        let info = self.say("INFO", &["everything"]).or_else(|e| match e.kind() {
            ErrorKind::InvalidRequest => Ok(String::new()),
            _ => Err(e),
        })?;
        let of_info = |field: &str| {
            let line = info.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
            line.map(|v| v.trim().to_string())
        };
        let setting = |name: &str, field: &str| match of_info(field) {
            Some(value) => Ok(Some(value)),
            None => match self.say("CONFIG", &["GET", name]) {
                Ok(value) => Ok(Some(value).filter(|v| !v.is_empty())),
                Err(e) if e.kind() == ErrorKind::InvalidRequest => Ok(None),
                Err(e) => Err(e),
            },
        };
        if of_info("role").as_deref() == Some("slave") {
            return Err(Error::invalid(format!(
                "{place} is a replica: name the server that it copies, {}",
                of_info("master_host").unwrap_or_default()
            )));
        }
        const GRANT: &str = "grant the user INFO (ACL SETUSER NAME +info)";
        match setting("maxmemory-policy", "maxmemory_policy")? {
            Some(policy) if policy.starts_with("allkeys-") => {
                return Err(Error::invalid(format!(
                    "{place} has maxmemory-policy {policy}: it would delete cells when its memory is used up, and sums would lack them: \
                     CONFIG SET maxmemory-policy noeviction"
                )));
            }
            Some(_) => {}
            None => {
                return Err(Error::invalid(format!(
                    "{place} does not say whether it evicts keys: {GRANT}"
                )));
            }
        }
        if self.options().accept_volatile {
            return Ok(());
        }
        match setting("appendonly", "aof_enabled")?.as_deref() {
            Some("1" | "yes") => Ok(()),
            Some(_) => Err(Error::invalid(format!(
                "{place} has no append-only file, so a restart loses what it holds: CONFIG SET appendonly yes (and the same in its \
                 settings), or accept that (accept_volatile)"
            ))),
            None => Err(Error::invalid(format!(
                "{place} does not say whether it keeps an append-only file: {GRANT}, or accept that it may not (accept_volatile)"
            ))),
        }
    }

    /// What an administrative command answers: a text, or the value of the first setting.
    fn say(&self, command: &str, args: &[&str]) -> Result<String> {
        let mut cmd = redis::cmd(command);
        cmd.arg(args);
        let answer = self.call(&format_args!("ask for its settings ({command})"), &cmd)?;
        let value = match &answer {
            Value::Array(values) => values.get(1).and_then(text),
            Value::VerbatimString { text, .. } => Some(text.as_str()),
            other => text(other),
        };
        Ok(value.unwrap_or_default().to_string())
    }
}
