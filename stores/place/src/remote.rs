//! An object store. Calls block; the store owns its runtime, so they may come from inside another one.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use rufous_core::{Error, Result};
use rufous_store_api::Until;
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::points::reach;
use tokio::runtime::{Builder, Runtime};

use super::{Encode, Filled, Listed, Open, PROBE, Pending, Place, Steps, TEMPORARY};

mod objects;

pub use objects::{Object, Seen};

/// How many entries of an index are asked for at once: what hides a round trip of tens of milliseconds.
const WIDTH: u64 = 32;
/// A file above it is sent in parts of this size, one after the other: a part is what is held in memory, and what is sent
/// again.
const PART: u64 = 8 << 20;

/// An object store as a place.
pub struct Remote {
    shared: Arc<Shared>,
    /// Where a file waits until it is whole.
    spool: PathBuf,
    /// Set once the store was seen to refuse a second creation.
    exclusive: OnceLock<()>,
    /// The time that the store told with its last answer, once.
    date: Box<dyn Fn() -> Option<SystemTime> + Send + Sync>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn ObjectStore>,
    /// For messages: "s3://bucket".
    name: String,
    prefix: Path,
    runtime: Own,
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

impl Shared {
    fn show(&self, path: &str) -> String {
        format!("{}/{}", self.name, self.at(path))
    }

    fn at(&self, path: &str) -> Path {
        // `/` parts names; each part is kept as it is.
        Path::from_iter(self.prefix.parts().chain(Path::from(path).parts()))
    }

    /// Waits for a future on the own runtime.
    fn wait<T: Send + 'static>(&self, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.wait_until(&Until::default(), f)
    }

    /// The same of what only reads: as long as somebody waits for what this thread does.
    fn wait_reading<T: Send + 'static>(&self, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.wait_until(&Until::of_thread(), f)
    }

    fn wait_until<T: Send + 'static>(&self, until: &Until, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let (tell, answer) = sync_channel(1);
        let task = self.runtime.0.as_ref().map(|runtime| {
            runtime.spawn(async move {
                // Who asked waits for it, or has gone.
                let _ = tell.send(f.await);
            })
        });
        loop {
            match answer.recv_timeout(until.slice(until.left(Duration::MAX))) {
                Ok(found) => return Ok(found),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::bug(format!("a request to {} panicked", self.name)));
                }
                Err(RecvTimeoutError::Timeout) if until.is_over() => {
                    if let Some(task) = task {
                        task.abort();
                    }
                    return Err(Error::try_again(format!(
                        "{} did not answer in the time that the read has",
                        self.name
                    )));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
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

    fn size(&self, path: &str) -> Result<Option<u64>> {
        let (store, at) = (self.store.clone(), self.at(path));
        match self.wait_reading(async move { store.head(&at).await })? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.fail("cannot look for", path, e)),
        }
    }
}

impl Remote {
    /// The objects of `store` below `prefix`. `name` is how messages call the store: "s3://bucket".
    ///
    /// # Errors
    /// `InvalidRequest` when the prefix cannot be one.
    pub fn new(store: Arc<dyn ObjectStore>, name: &str, prefix: &str) -> Result<Self> {
        let prefix = Path::parse(prefix.trim_matches('/'))
            .map_err(|e| Error::invalid(format!("`{prefix}` cannot be a prefix in {name}: {e}")))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rufous-objects")
            .enable_all()
            .build()
            .map_err(|e| Error::try_again(format!("cannot start a thread for {name}: {e}")).caused_by(e))?;
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                name: name.into(),
                prefix,
                runtime: Own(Some(runtime)),
            }),
            spool: std::env::temp_dir(),
            exclusive: OnceLock::new(),
            date: Box::new(|| None),
        })
    }

    /// Who tells what time the store said it is.
    #[cfg(feature = "s3")]
    pub(crate) fn dated_by(mut self, date: impl Fn() -> Option<SystemTime> + Send + Sync + 'static) -> Self {
        self.date = Box::new(date);
        self
    }

    /// Where files wait until they are whole (the directory for temporary files). They have no name there, so nothing is
    /// left behind by a process that ends.
    #[must_use]
    pub fn spool_in(mut self, dir: impl Into<PathBuf>) -> Self {
        self.spool = dir.into();
        self
    }

    fn at(&self, path: &str) -> Path {
        self.shared.at(path)
    }

    fn wait<T: Send + 'static>(&self, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.shared.wait(f)
    }

    fn wait_reading<T: Send + 'static>(&self, f: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.shared.wait_reading(f)
    }

    fn fail(&self, what: &str, path: &str, e: StoreError) -> Error {
        self.shared.fail(what, path, e)
    }

    /// `false`: it exists.
    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        let (store, at) = (self.shared.store.clone(), self.at(path));
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
            "{} does not honour conditional puts (If-None-Match: *), so two writers could overwrite each other's numbered files: use \
             a store that does, or a directory",
            self.shared.name
        ))
    }

    fn metas(&self, dir: &str) -> Result<Vec<ObjectMeta>> {
        let (store, at) = (self.shared.store.clone(), self.at(dir));
        self.wait_reading(async move { store.list(Some(&at)).try_collect().await })?
            .map_err(|e| self.fail("cannot list", dir, e))
    }
}

#[derive(Debug)]
struct Opened {
    shared: Arc<Shared>,
    path: String,
    size: u64,
}

impl Opened {
    /// What a failed read of bytes up to `to` means.
    fn failed(&self, from: u64, to: u64, e: StoreError) -> Result<Filled> {
        if let StoreError::NotFound { .. } = e {
            return Ok(Filled::Gone);
        }
        // Another file took its name: some stores say so by a range that cannot be had.
        match self.shared.size(&self.path)? {
            None => Ok(Filled::Gone),
            Some(size) if size < to => Ok(Filled::Short),
            Some(_) => Err(self.shared.fail(&format!("cannot read byte {from} of"), &self.path, e)),
        }
    }
}

impl Open for Opened {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, bytes: &mut [u8], from: u64) -> Result<Filled> {
        let to = match from.checked_add(bytes.len() as u64) {
            Some(to) if to <= self.size => to,
            _ => return Ok(Filled::Short),
        };
        if bytes.is_empty() {
            return Ok(Filled::Whole);
        }
        let (store, at) = (self.shared.store.clone(), self.shared.at(&self.path));
        match self
            .shared
            .wait_reading(async move { store.get_range(&at, from..to).await })?
        {
            Ok(found) if found.len() == bytes.len() => {
                bytes.copy_from_slice(&found);
                Ok(Filled::Whole)
            }
            Ok(_) => Ok(Filled::Short),
            Err(e) => self.failed(from, to, e),
        }
    }

    fn read_many(&self, reads: &mut [(u64, Vec<u8>)]) -> Result<Filled> {
        let mut ranges = Vec::with_capacity(reads.len());
        for (at, bytes) in reads.iter() {
            match at.checked_add(bytes.len() as u64) {
                Some(to) if to <= self.size => ranges.push(*at..to),
                _ => return Ok(Filled::Short),
            }
        }
        let (Some(from), Some(to)) = (ranges.iter().map(|r| r.start).min(), ranges.iter().map(|r| r.end).max()) else {
            return Ok(Filled::Whole);
        };
        let (store, at) = (self.shared.store.clone(), self.shared.at(&self.path));
        // Ranges that lie close together become one request, the others are sent at the same time.
        match self
            .shared
            .wait_reading(async move { store.get_ranges(&at, &ranges).await })?
        {
            Ok(found) => {
                for ((_, bytes), found) in reads.iter_mut().zip(found) {
                    if found.len() != bytes.len() {
                        return Ok(Filled::Short);
                    }
                    bytes.copy_from_slice(&found);
                }
                Ok(Filled::Whole)
            }
            Err(e) => self.failed(from, to, e),
        }
    }

    fn is_deleted(&self) -> bool {
        false
    }
}

/// In a local file without a name, until it is whole.
struct Writing {
    shared: Arc<Shared>,
    path: String,
    file: File,
    steps: &'static Steps,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Writing {
    fn part(&self, range: Range<u64>) -> Result<PutPayload> {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|e| {
            Error::try_again(format!("what was to become {} cannot be read: {e}", self.name())).caused_by(e)
        })?;
        Ok(PutPayload::from_bytes(bytes.into()))
    }

    fn name(&self) -> String {
        self.shared.show(&self.path)
    }

    fn send(&self, size: u64) -> Result<()> {
        let (store, at) = (self.shared.store.clone(), self.shared.at(&self.path));
        let fail = |e| self.shared.fail("cannot write", &self.path, e);
        if size <= PART {
            let all = self.part(0..size)?;
            return self
                .shared
                .wait(async move { store.put(&at, all).await })?
                .map(drop)
                .map_err(fail);
        }
        let begun = self.shared.wait(async move { store.put_multipart(&at).await })?;
        let mut upload = begun.map_err(fail)?;
        let mut sent = Ok(());
        let mut from = 0;
        while from < size && sent.is_ok() {
            let to = size.min(from + PART);
            sent = self.part(from..to).and_then(|part| {
                let put = upload.put_part(part);
                self.shared.wait(put)?.map_err(fail)
            });
            from = to;
        }
        let good = sent.is_ok();
        let done = self.shared.wait(async move {
            let done = if good {
                upload.complete().await.map(drop)
            } else {
                Ok(())
            };
            if !good || done.is_err() {
                // An upload that is not completed has no name, but takes space. The first error is the one to tell.
                let _ = upload.abort().await;
            }
            done
        })?;
        sent.and(done.map_err(fail))
    }
}

impl Pending for Writing {
    fn finish(mut self: Box<Self>) -> Result<()> {
        let [_, written, synced, renamed, durable] = self.steps;
        reach(written);
        let size = self.file.seek(SeekFrom::End(0)).map_err(|e| {
            Error::try_again(format!("what was to become {} cannot be read: {e}", self.name())).caused_by(e)
        })?;
        reach(synced);
        self.send(size)?;
        reach(renamed);
        reach(durable);
        Ok(())
    }
}

impl Place for Remote {
    fn show(&self, path: &str) -> String {
        self.shared.show(path)
    }

    fn is_far(&self) -> bool {
        true
    }

    fn clock(&self) -> Result<Option<SystemTime>> {
        // Told with answers of before.
        let _ = (self.date)();
        let asked = self.shared.size("clock");
        // Any answer has the time: that there is no such object, and a refusal, too, which may be for the time that the request had.
        match (self.date)() {
            Some(date) => Ok(Some(date)),
            None => asked.map(|_| None),
        }
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
        let tasks: Vec<_> = paths.iter().map(|p| (self.shared.store.clone(), self.at(p))).collect();
        let found = self.wait_reading(async move {
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

    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.shared.size(path)
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Open>>> {
        Ok(self.size(path)?.map(|size| -> Box<dyn Open> {
            Box::new(Opened {
                shared: self.shared.clone(),
                path: path.into(),
                size,
            })
        }))
    }

    fn begin(&self, path: &str, steps: &'static Steps) -> Result<Box<dyn Pending>> {
        let spool = self.spool.join(format!("{TEMPORARY}{}", unique_name()));
        let fail = |e| Error::io("cannot create", &spool, e);
        fs::create_dir_all(&self.spool).map_err(fail)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&spool)
            .map_err(fail)?;
        // The open file is all that is needed.
        fs::remove_file(&spool).map_err(fail)?;
        reach(steps[0]);
        Ok(Box::new(Writing {
            shared: self.shared.clone(),
            path: path.into(),
            file,
            steps,
        }))
    }

    /// The encoded file is held in memory: it is smaller than the records that it is made from.
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        encode(&mut bytes)?;
        reach("object.encoded");
        let (store, at) = (self.shared.store.clone(), self.at(path));
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
        let (store, at) = (self.shared.store.clone(), self.at(dir));
        let found = self
            .wait_reading(async move { store.list_with_delimiter(Some(&at)).await })?
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
                tag: m.e_tag,
            })
        });
        Ok(listed.collect())
    }

    fn delete(&self, path: &str) -> Result<bool> {
        let (store, at) = (self.shared.store.clone(), self.at(path));
        match self.wait(async move { store.delete(&at).await })? {
            Ok(()) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.fail("cannot delete", path, e)),
        }
    }
}
