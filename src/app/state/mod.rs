//! Where the realtime state of a job and its tables are: below the data directory, for one process, or in a server that several
//! processes of the job share.

mod marker;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server;
mod url;
#[cfg(not(feature = "rocksdb"))]
mod without;

use std::any::Any;
use std::sync::Arc;

use rufous_place::Place;

use super::settings::RealtimeSettings;
use crate::core::{Error, Result, StoreFace, Timestamp};
use crate::store_api::{Layout, RealtimeReader, RealtimeStore, TableReader, TableStore, Until};
use url::StateUrl;

/// Whose state it is.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "rocksdb", feature = "postgres", feature = "redis")),
    expect(dead_code, reason = "no place is built in")
)]
pub(super) struct Whose {
    pub(super) job: String,
    pub(super) layout: Layout,
    /// What a namespace holds.
    pub(super) stores: Vec<StoreFace>,
}

/// A namespace that this process writes.
pub(super) struct Opened {
    pub(super) store: Arc<dyn RealtimeStore>,
    /// Begins to answer readers of other processes, where they cannot read by themselves.
    pub(super) serve: Box<dyn Fn() -> Result<()>>,
}

/// A namespace that is there, or what is left of one.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Otherwise an interrupted deletion left it.
    pub(super) whole: bool,
}

/// Memory of what keeps the state.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "rocksdb"),
    expect(dead_code, reason = "servers have memory of their own")
)]
pub(super) struct Memory {
    pub(super) store: usize,
    pub(super) tables: usize,
}

/// As long as it is kept no process writes the state.
pub(super) type Alone = Box<dyn Any>;

/// A place of realtime state.
pub(super) trait StatePlace: Send + Sync {
    /// For messages: a namespace, without passwords.
    fn show(&self, namespace: &str) -> String;
    /// What time it is there; `None`: it has no clock of its own.
    ///
    /// # Errors
    /// When the server does not say.
    fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    /// Whether several processes may write it.
    fn is_shared(&self) -> bool;
    /// For the process that reads the logs.
    fn open(&self, namespace: &str, memory: Memory) -> Result<Opened>;
    /// For readers, opened by then; `None`: that namespace was never made.
    fn read(&self, namespace: &str, until: &Until) -> Result<Option<Arc<dyn RealtimeReader>>>;
    /// Shuts out whoever would write, where one process has the state alone. `None`: there is no such namespace, or nobody can be shut
    /// out.
    ///
    /// # Errors
    /// `Closed` when a process writes it.
    fn alone(&self, _namespace: &str) -> Result<Option<Alone>> {
        Ok(None)
    }
    /// Sets a namespace aside, or deletes it. What was done, in a line; `None`: there is none.
    fn rebuild(&self, namespace: &str, delete: bool) -> Result<Option<String>>;
    /// All namespaces of the job.
    fn namespaces(&self) -> Result<Vec<Found>>;
    /// Deletes one. `false`: a process writes it, or it is gone.
    fn discard(&self, name: &str) -> Result<bool>;
    /// The tables that the job writes.
    fn tables(&self, names: &[&str], memory: Memory) -> Result<Arc<dyn TableStore>>;
    /// The same for readers; `None`: there are none.
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>>;
}

/// Where the settings say, or below the data directory. `offline` is the place of the job's manifests, where the kind of a server is
/// remembered; `writes`: this process will keep the state.
///
/// # Errors
/// When the location cannot be one, this binary was built without what it needs, or the state is elsewhere.
pub(super) fn place(
    whose: Whose,
    settings: &RealtimeSettings,
    offline: &Arc<dyn Place>,
    writes: bool,
) -> Result<Arc<dyn StatePlace>> {
    let location = match &settings.location {
        Some(Ok(location)) => Some(location.text()),
        Some(Err(why)) => return Err(Error::invalid(why.clone())),
        None => None,
    };
    let (kind, place) = match location {
        None => {
            settings.check_local()?;
            (None, local(whose))
        }
        Some(location) => match StateUrl::parse(location)? {
            StateUrl::Postgres(url) => (Some("postgres"), postgres(whose, url, settings)?),
            StateUrl::Redis(url) => (Some("redis"), redis(whose, url, settings)?),
        },
    };
    if writes {
        marker::remember(offline, kind)?;
    } else {
        marker::check(offline, kind)?;
    }
    Ok(place)
}

#[cfg(feature = "rocksdb")]
fn local(whose: Whose) -> Arc<dyn StatePlace> {
    Arc::new(rocks::Rocks(whose))
}

#[cfg(not(feature = "rocksdb"))]
fn local(whose: Whose) -> Arc<dyn StatePlace> {
    Arc::new(without::Without(whose))
}

#[cfg(feature = "postgres")]
fn postgres(whose: Whose, url: &str, settings: &RealtimeSettings) -> Result<Arc<dyn StatePlace>> {
    Ok(Arc::new(server::InServer::<postgres::Postgres>::new(
        whose, url, settings,
    )?))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: Whose, _: &str, _: &RealtimeSettings) -> Result<Arc<dyn StatePlace>> {
    Err(lacks("postgres"))
}

#[cfg(feature = "redis")]
fn redis(whose: Whose, url: &str, settings: &RealtimeSettings) -> Result<Arc<dyn StatePlace>> {
    Ok(Arc::new(server::InServer::<redis::Redis>::new(whose, url, settings)?))
}

#[cfg(not(feature = "redis"))]
fn redis(_: Whose, _: &str, _: &RealtimeSettings) -> Result<Arc<dyn StatePlace>> {
    Err(lacks("redis"))
}

#[cfg(not(all(feature = "postgres", feature = "redis")))]
fn lacks(feature: &str) -> Error {
    Error::invalid(format!(
        "the realtime state is to be in {feature}, and this binary was built without the feature `{feature}`: build it with \
         `rufous = {{ .., features = [\"{feature}\"] }}`"
    ))
}
