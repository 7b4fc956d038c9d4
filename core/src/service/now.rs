//! A service that knows the present only: a cache, an HTTP server, the merged answers of another job (O20).

use std::marker::PhantomData;
use std::sync::Arc;

use super::asked::ask_each;
use super::{Asked, Kind, Lookup, Serves};
use crate::error::Result;
use crate::key::Key;

/// Asks for many keys as of now.
pub trait Ask<K, V>: Send + Sync {
    /// One answer for each key, in their order; the keys of a call differ.
    ///
    /// # Errors
    /// `TryAgain` when the service does not answer.
    fn ask(&self, keys: &[K]) -> Result<Vec<Option<V>>>;
}

impl<K, V, F: Fn(&[K]) -> Result<Vec<Option<V>>> + Send + Sync> Ask<K, V> for F {
    fn ask(&self, keys: &[K]) -> Result<Vec<Option<V>>> {
        self(keys)
    }
}

/// The binding of a service that is asked as of now. Its answers depend on when they are given, so a run that is repeated may
/// give others: each record still counts once, but two layers see different values.
pub struct Now<K, V, A> {
    ask: A,
    accepted: bool,
    _t: PhantomData<fn(K) -> V>,
}

/// Binds a service that is asked as of now.
pub fn now<K: Key, V, A: Ask<K, V>>(ask: A) -> Now<K, V, A> {
    Now {
        ask,
        accepted: false,
        _t: PhantomData,
    }
}

impl<K, V, A> Now<K, V, A> {
    /// Says that answers which differ from layer to layer are meant: a hybrid takes no other such binding.
    #[must_use]
    pub fn not_repeatable(mut self) -> Self {
        self.accepted = true;
        self
    }
}

impl<K: Key, V: Clone + Send + 'static, A: Ask<K, V> + 'static> Serves<K, V> for Now<K, V, A> {
    fn kind(&self) -> Kind {
        Kind::Now {
            accepted: self.accepted,
        }
    }
    fn lookup(self) -> Arc<dyn Lookup<V>> {
        Arc::new(self)
    }
}

impl<K: Key, V: Clone + Send + 'static, A: Ask<K, V>> Lookup<V> for Now<K, V, A> {
    fn look_up(&self, asked: &Asked<'_>, out: &mut Vec<Option<V>>) -> Result<()> {
        ask_each(asked, out, |keys| self.ask.ask(keys))
    }
}
