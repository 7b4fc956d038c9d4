//! Stores for those who must not name a type.

use super::{MergeableStore, ReadableStore, WritableStore};

/// A store that can be read and written.
pub trait ReadWriteStore<K, V>: ReadableStore<K, V> + WritableStore<K, V> {}

impl<K, V, S: ReadableStore<K, V> + WritableStore<K, V> + ?Sized> ReadWriteStore<K, V> for S {}

/// A store that can be read, written and added to.
pub trait FullStore<K, V>: ReadableStore<K, V> + WritableStore<K, V> + MergeableStore<K, V> {}

impl<K, V, S: ReadableStore<K, V> + WritableStore<K, V> + MergeableStore<K, V> + ?Sized> FullStore<K, V> for S {}

/// A boxed [`ReadableStore`].
pub type BoxReadable<K, V> = Box<dyn ReadableStore<K, V>>;
/// A boxed [`WritableStore`].
pub type BoxWritable<K, V> = Box<dyn WritableStore<K, V>>;
/// A boxed [`MergeableStore`].
pub type BoxMergeable<K, V> = Box<dyn MergeableStore<K, V>>;
/// A boxed [`ReadWriteStore`].
pub type BoxReadWrite<K, V> = Box<dyn ReadWriteStore<K, V>>;
/// A boxed [`FullStore`].
pub type BoxStore<K, V> = Box<dyn FullStore<K, V>>;
