//! State in a server that several processes of a job share: what all kinds of servers have in common.

use std::sync::Arc;

use super::{Found, Memory, Opened, StatePlace, Whose};
use crate::app::settings::RealtimeSettings;
use crate::core::{Error, Result, Timestamp};
use crate::store_api::{NamespaceOf, RealtimeReader, RealtimeStore, TableReader, TableStore, Until};

/// A job whose state is in a server of this kind.
pub(super) struct InServer<K> {
    server: K,
    whose: Whose,
    /// Without the password.
    location: String,
}

/// A kind of server, at one location.
pub(super) trait Kind: Send + Sync + Sized {
    /// By the settings, beside the location without its password.
    ///
    /// # Errors
    /// When the location cannot be one, or settings are said that are none of this kind.
    fn new(url: &str, settings: &RealtimeSettings) -> Result<(Self, String)>;
    fn clock(&self) -> Result<Timestamp>;
    fn open(&self, of: NamespaceOf<'_>, whose: &Whose) -> Result<Arc<dyn RealtimeStore>>;
    fn read(&self, of: NamespaceOf<'_>, whose: &Whose, until: &Until) -> Result<Option<Arc<dyn RealtimeReader>>>;
    fn namespaces(&self, whose: &Whose) -> Result<Vec<Found>>;
    fn discard(&self, of: NamespaceOf<'_>) -> Result<bool>;
    fn tables(&self, whose: &Whose) -> Result<Arc<dyn TableStore>>;
    fn read_tables(&self, whose: &Whose) -> Result<Option<Box<dyn TableReader>>>;
}

impl<K: Kind> InServer<K> {
    pub(super) fn new(whose: Whose, url: &str, settings: &RealtimeSettings) -> Result<Self> {
        let (server, location) = K::new(url, settings)?;
        Ok(Self {
            server,
            whose,
            location,
        })
    }

    fn of<'a>(&'a self, namespace: &'a str) -> NamespaceOf<'a> {
        NamespaceOf::new(&self.whose.job, self.whose.layout.instance(), namespace)
    }
}

impl<K: Kind> StatePlace for InServer<K> {
    fn show(&self, namespace: &str) -> String {
        format!("namespace {namespace} of job `{}` in {}", self.whose.job, self.location)
    }
    fn clock(&self) -> Result<Option<Timestamp>> {
        self.server.clock().map(Some)
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn open(&self, namespace: &str, _: Memory) -> Result<Opened> {
        Ok(Opened {
            store: self.server.open(self.of(namespace), &self.whose)?,
            // Whoever reads asks the server.
            serve: Box::new(|| Ok(())),
        })
    }
    fn read(&self, namespace: &str, until: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        self.server.read(self.of(namespace), &self.whose, until)
    }
    fn rebuild(&self, namespace: &str, delete: bool) -> Result<Option<String>> {
        let shown = self.show(namespace);
        if !delete {
            // A server renames nothing aside.
            return Err(Error::invalid(format!(
                "{shown} cannot be set aside, only deleted: add --delete; the next `stream` makes it again from the log"
            )));
        }
        let deleted = self.discard(namespace)?;
        Ok(deleted.then(|| format!("deleted the realtime state, {shown}")))
    }
    fn namespaces(&self) -> Result<Vec<Found>> {
        self.server.namespaces(&self.whose)
    }
    fn discard(&self, name: &str) -> Result<bool> {
        self.server.discard(self.of(name))
    }
    fn tables(&self, _: &[&str], _: Memory) -> Result<Arc<dyn TableStore>> {
        self.server.tables(&self.whose)
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        self.server.read_tables(&self.whose)
    }
}
