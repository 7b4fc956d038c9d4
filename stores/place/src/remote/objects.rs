//! Objects that others write, and may write again: each is read as what it was when it was looked at, or not at all.

use std::ops::Range;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use rufous_core::{Error, Result};

use super::{Remote, Shared};

/// An object as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its path below the place, as the store has it: nothing in it is escaped.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// What tells this content from another one under its name: the store's tag, or the time of its last change in
    /// milliseconds since 1970 where a store has no tags.
    pub tag: String,
    /// The tag as the store wants to hear it.
    matches: Option<String>,
}

/// What came of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The bytes that were asked for.
    Bytes(Bytes),
    /// The name has another content now, or the bytes are fewer than they were.
    Changed,
    /// Nothing has the name any more.
    Gone,
}

impl Object {
    fn of(path: String, meta: &ObjectMeta) -> Self {
        let tag = match &meta.e_tag {
            Some(tag) => tag.trim_matches('"').into(),
            None => meta.last_modified.timestamp_millis().to_string(),
        };
        Self {
            path,
            bytes: meta.size,
            tag,
            matches: meta.e_tag.clone(),
        }
    }
}

impl Shared {
    /// A path of the store, verbatim.
    fn key(&self, path: &str) -> Result<Path> {
        let below = Path::parse(path)
            .map_err(|e| Error::invalid(format!("{}: `{path}` cannot be the name of an object: {e}", self.name)))?;
        Ok(Path::from_iter(self.prefix.parts().chain(below.parts())))
    }
}

impl Remote {
    /// Every object below a path, in any order; not one of just this name. What marks an empty directory is left out.
    ///
    /// # Errors
    /// When they cannot be listed, `InvalidRequest` when there is no such bucket.
    pub fn objects(&self, path: &str) -> Result<Vec<Object>> {
        let (store, at) = (self.shared.store.clone(), self.shared.key(path)?);
        let prefix = at.clone();
        let listed: Vec<ObjectMeta> = self
            .wait_reading(async move { store.list(Some(&prefix)).try_collect().await })?
            .map_err(|e| match e.to_string().contains("<Code>NoSuchBucket</Code>") {
                true => Error::invalid(format!("there is no bucket {}", self.shared.name)).caused_by(e),
                false => self.fail("cannot list", path, e),
            })?;
        let root = self.shared.prefix.as_ref();
        let below = |meta: &ObjectMeta| {
            let key = meta.location.as_ref().strip_prefix(root)?;
            let key = key.trim_start_matches('/');
            (meta.location != at).then(|| Object::of(key.into(), meta))
        };
        let objects: Vec<Object> = listed.iter().filter_map(below).collect();
        let mut found = Vec::new();
        for object in objects {
            // A mark is called `dir/`, and a listing leaves out the end of that name.
            if object.bytes > 0 || self.look(&object.path)?.is_some() {
                found.push(object);
            }
        }
        Ok(found)
    }

    /// An object as it is now; `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub fn look(&self, path: &str) -> Result<Option<Object>> {
        let (store, at) = (self.shared.store.clone(), self.shared.key(path)?);
        match self.wait_reading(async move { store.head(&at).await })? {
            Ok(meta) => Ok(Some(Object::of(path.into(), &meta))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.fail("cannot look for", path, e)),
        }
    }

    /// Bytes of an object as it was when it was looked at: the store itself compares the tags, so no byte of another content
    /// is taken for one of this.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_as(&self, object: &Object, range: Range<u64>) -> Result<Seen> {
        let (store, at) = (self.shared.store.clone(), self.shared.key(&object.path)?);
        let (from, wanted) = (range.start, range.end.saturating_sub(range.start));
        if wanted == 0 {
            return Ok(Seen::Bytes(Bytes::new()));
        }
        let options = GetOptions {
            if_match: object.matches.clone(),
            range: Some(range.into()),
            ..GetOptions::default()
        };
        match self.wait_reading(async move { store.get_opts(&at, options).await?.bytes().await })? {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(Seen::Bytes(bytes)),
            Ok(_) | Err(StoreError::Precondition { .. }) => Ok(Seen::Changed),
            Err(StoreError::NotFound { .. }) => Ok(Seen::Gone),
            Err(e) => match self.look(&object.path)? {
                None => Ok(Seen::Gone),
                Some(now) if now != *object => Ok(Seen::Changed),
                Some(_) => Err(self.fail(&format!("cannot read byte {from} of"), &object.path, e)),
            },
        }
    }

    /// A path as messages name it, verbatim.
    pub fn show_object(&self, path: &str) -> String {
        let root = self.shared.prefix.as_ref();
        let parts = [&self.shared.name, root, path];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        parts.join("/")
    }
}
