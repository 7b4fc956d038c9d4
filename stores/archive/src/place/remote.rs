//! An object store. Calls block; the store owns its runtime, so they may come from inside another one.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use rufous_core::{Error, Result};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::points::reach;
use tokio::runtime::{Builder, Runtime};

use super::{Encode, Listed, Place};
use crate::write::PROBE;

/// How many entries of an index are asked for at once: what hides a round trip of tens of milliseconds.
const WIDTH: u64 = 32;

#[derive(Debug)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    /// For messages: "s3://bucket".
    name: String,
    prefix: Path,
    runtime: Own,
    /// Set once the store was seen to refuse a second creation.
    exclusive: OnceLock<()>,
}

/// A runtime may not be dropped inside another one, unless it is not waited for.
#[derive(Debug)]
struct Own(Option<Runtime>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Remote {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, name: &str, prefix: &str) -> Result<Self> {
        let prefix = Path::parse(prefix.trim_matches('/'))
            .map_err(|e| Error::invalid(format!("`{prefix}` cannot be a prefix in {name}: {e}")))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rufous-archive")
            .enable_all()
            .build()
            .map_err(|e| Error::try_again(format!("cannot start a thread for {name}: {e}")).caused_by(e))?;
        Ok(Self {
            store,
            name: name.into(),
            prefix,
            runtime: Own(Some(runtime)),
            exclusive: OnceLock::new(),
        })
    }

    fn at(&self, path: &str) -> Path {
        // `/` parts names; each part is kept as it is.
        Path::from_iter(self.prefix.parts().chain(Path::from(path).parts()))
    }

    /// Waits for a future on the own runtime.
    fn wait<T: Send + 'static>(&self, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let (tell, answer) = sync_channel(1);
        if let Some(runtime) = &self.runtime.0 {
            runtime.spawn(async move {
                // Who asked waits for it.
                let _ = tell.send(f.await);
            });
        }
        answer
            .recv()
            .map_err(|_| Error::bug(format!("a request to {} panicked", self.name)))
    }

    fn fail(&self, what: &str, path: &str, e: StoreError) -> Error {
        let text = format!("{what} {}: {e}", self.show(path));
        let error = match &e {
            // An object that is missing was looked for: what is missing here is the bucket.
            StoreError::NotFound { .. }
            | StoreError::InvalidPath { .. }
            | StoreError::NotSupported { .. }
            | StoreError::NotImplemented { .. }
            | StoreError::PermissionDenied { .. }
            | StoreError::Unauthenticated { .. }
            | StoreError::UnknownConfigurationKey { .. } => Error::invalid(text),
            _ => Error::try_again(text),
        };
        error.caused_by(e)
    }

    /// `false`: it exists.
    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        let (store, at) = (self.store.clone(), self.at(path));
        let put = self.wait(async move {
            let payload = PutPayload::from_bytes(bytes.into());
            store.put_opts(&at, payload, PutMode::Create.into()).await
        })?;
        match put {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(e @ StoreError::NotImplemented { .. }) => Err(self.not_exclusive().caused_by(e)),
            Err(e) => Err(self.fail("cannot create", path, e)),
        }
    }

    fn not_exclusive(&self) -> Error {
        Error::invalid(format!(
            "{} does not honour conditional puts (If-None-Match: *), so two archivers could overwrite each other's index: use a store \
             that does, or a directory",
            self.name
        ))
    }

    fn metas(&self, dir: &str) -> Result<Vec<ObjectMeta>> {
        let (store, at) = (self.store.clone(), self.at(dir));
        self.wait(async move { store.list(Some(&at)).try_collect().await })?
            .map_err(|e| self.fail("cannot list", dir, e))
    }
}

impl Place for Remote {
    fn show(&self, path: &str) -> String {
        format!("{}/{}", self.name, self.at(path))
    }

    /// A store that ignores the condition would take the second creation, too.
    fn check(&self) -> Result<()> {
        if self.exclusive.get().is_some() {
            return Ok(());
        }
        let path = format!("{PROBE}{}", unique_name());
        let first = self.put_new(&path, b"1".to_vec());
        let second = match &first {
            Ok(true) => self.put_new(&path, b"2".to_vec()),
            _ => Ok(false),
        };
        // Whatever the answers were: they may have been lost on the way.
        let deleted = self.delete(&path);
        // A first creation that found the new name taken was sent twice, for its first answer was lost; and the second of
        // the two was refused.
        if let (true, true) = (first?, second?) {
            return Err(self.not_exclusive());
        }
        deleted?;
        let _ = self.exclusive.set(());
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>> {
        Ok(self.read_many(&[path.to_string()])?.pop().flatten())
    }

    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Bytes>>> {
        let tasks: Vec<_> = paths.iter().map(|p| (self.store.clone(), self.at(p))).collect();
        let found = self.wait(async move {
            let gets = tasks
                .into_iter()
                .map(|(store, at)| async move { store.get(&at).await?.bytes().await });
            futures_util::future::join_all(gets).await
        })?;
        found
            .into_iter()
            .zip(paths)
            .map(|(got, path)| match got {
                Ok(bytes) => Ok(Some(bytes)),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(e) => Err(self.fail("cannot read", path, e)),
            })
            .collect()
    }

    fn width(&self) -> u64 {
        WIDTH
    }

    fn exists(&self, path: &str) -> Result<bool> {
        let (store, at) = (self.store.clone(), self.at(path));
        match self.wait(async move { store.head(&at).await })? {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.fail("cannot look for", path, e)),
        }
    }

    /// The encoded file is held in memory: it is smaller than the records that it is made from.
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        encode(&mut bytes)?;
        reach("object.encoded");
        let (store, at) = (self.store.clone(), self.at(path));
        self.wait(async move { store.put(&at, PutPayload::from_bytes(bytes.into())).await })?
            .map_err(|e| self.fail("cannot write", path, e))?;
        reach("object.put");
        Ok(())
    }

    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        self.check()?;
        reach("object.checked");
        let created = self.put_new(path, bytes)?;
        reach("object.created");
        Ok(created)
    }

    fn dirs(&self, dir: &str) -> Result<Vec<String>> {
        let (store, at) = (self.store.clone(), self.at(dir));
        let found = self
            .wait(async move { store.list_with_delimiter(Some(&at)).await })?
            .map_err(|e| self.fail("cannot list", dir, e))?;
        let name = |p: &Path| p.filename().map(str::to_string);
        Ok(found.common_prefixes.iter().filter_map(name).collect())
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let root = self.at("");
        let listed = self.metas(dir)?.into_iter().filter_map(|m| {
            let below: Vec<_> = m.location.prefix_match(&root)?.collect();
            let below: Vec<&str> = below.iter().map(AsRef::as_ref).collect();
            Some(Listed {
                path: below.join("/"),
                changed: m.last_modified.into(),
                bytes: m.size,
            })
        });
        Ok(listed.collect())
    }

    fn delete(&self, path: &str) -> Result<bool> {
        let (store, at) = (self.store.clone(), self.at(path));
        match self.wait(async move { store.delete(&at).await })? {
            Ok(()) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.fail("cannot delete", path, e)),
        }
    }
}
