//! Joins with services, as of event time.

use std::sync::Arc;

use super::{KeyedProducer, Producer, node};
use crate::erased::{self, ChunkType, Stage};
use crate::error::Result;
use crate::graph::{Contract, Joining, Node, NodeKind, Step};
use crate::key::Key;
use crate::port::Service;
use crate::service::{ServiceFace, Services};

use crate::graph::Arity;

type MakeJoin = fn(ServiceFace, &Services) -> Result<Box<dyn Stage>>;

#[track_caller]
fn joined<T: ?Sized>(
    input: Arc<Node>,
    (word, contract): (&'static str, Contract),
    face: ServiceFace,
    (takes, gives): (ChunkType, ChunkType),
    make: MakeJoin,
) -> Arc<Node> {
    let step = Step {
        word,
        about: face.name,
        contract,
        takes,
        // Never called: what joins is made with its service.
        make: Arc::new(|chunks| (chunks.pass)()),
        counts: None,
        traces: true,
        joins: Some(Joining {
            face,
            make: Arc::new(move |services| make(face, services)),
        }),
    };
    node::<T>(NodeKind::Step(step), gives, vec![input])
}

/// What pairs may be joined with: a [service](Service), a store of the job ([`Store::as_service`](crate::Store::as_service)), a stream
/// through a buffer ([`KeyedProducer::as_service`]).
#[diagnostic::on_unimplemented(
    message = "pairs with keys of type `{K}` cannot be joined with `{Self}`",
    label = "keys of another type, or nothing to join with",
    note = "the keys must be those of the service or store: a `Service<{K}, _>`, `STORE.as_service()` of a `Store<{K}, _>`, or a stream's \
            `.as_service(BUFFER)`"
)]
pub trait Joins<K>: sealed::Joins<K> {}
impl<K, T: sealed::Joins<K>> Joins<K> for T {}

pub(super) mod sealed {
    use std::sync::Arc;

    use crate::graph::Node;

    pub trait Joins<K> {
        /// What is found for a key.
        type Found: Clone + Send + 'static;
        #[doc(hidden)]
        #[track_caller]
        fn left<V: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node>;
        #[doc(hidden)]
        #[track_caller]
        fn inner<V: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node>;
    }
}

impl<K: Key, J: Clone + Send + 'static> sealed::Joins<K> for Service<K, J> {
    type Found = J;
    #[track_caller]
    fn left<V: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        let chunks = (ChunkType::keyed::<V>(), ChunkType::keyed::<(V, Option<J>)>());
        joined::<(K, (V, Option<J>))>(
            input,
            ("left-join", Contract::Values(Arity::One)),
            ServiceFace::of(self),
            chunks,
            erased::left_join::<V, J>,
        )
    }
    #[track_caller]
    fn inner<V: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        let chunks = (ChunkType::keyed::<V>(), ChunkType::keyed::<(V, J)>());
        joined::<(K, (V, J))>(
            input,
            ("join", Contract::FlatMap),
            ServiceFace::of(self),
            chunks,
            erased::join::<V, J>,
        )
    }
}

impl<K: Key, V: Clone + Send + 'static, S> KeyedProducer<K, V, S> {
    /// Each value with what the service, store or stream has for its key, as of the event time of the record that it was made of; `None` where
    /// it has nothing. The keys of a chunk are asked at once.
    ///
    /// ```
    /// use rufous_core::service::{Version, versions};
    /// use rufous_core::{Job, Service, Source, Store, Timestamp};
    ///
    /// const PAYMENTS: Source<str> = Source::new("payments").timed_by(|p| Timestamp(p.len() as i64));
    /// const RATES: Service<String, i64> = Service::new("rates");
    /// const BALANCES: Store<String, i64> = Store::new("balances");
    ///
    /// let balances = PAYMENTS.read()
    ///     .keyed(|p, out| out.emit(p, 100_i64))
    ///     .left_join(RATES)                                    // the rate that held when the payment was made
    ///     .map_values(|(cents, rate)| cents * rate.unwrap_or(1))
    ///     .sum_by_key(BALANCES);
    /// let mut plan = Job::new("balances", balances).plan()?;
    /// plan.bind(RATES, versions([Version::new("anna".to_string(), Timestamp(0), 2)], Timestamp(1_000)))?;
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    ///
    /// The keys are of the service's type, which the compiler sees:
    /// ```compile_fail
    /// # use rufous_core::{Service, Source};
    /// # const LINES: Source<str> = Source::new("lines");
    /// const BY_NUMBER: Service<u64, i64> = Service::new("by-number");
    /// let joined = LINES.read().keyed(|line, out| out.emit(line, 1_i64)).left_join(BY_NUMBER);
    /// ```
    #[track_caller]
    pub fn left_join<J: Joins<K>>(self, with: J) -> KeyedProducer<K, (V, Option<J::Found>), S> {
        KeyedProducer::of(with.left::<V>(self.node))
    }
    /// The same without the pairs for whose key nothing is found.
    #[track_caller]
    pub fn join<J: Joins<K>>(self, with: J) -> KeyedProducer<K, (V, J::Found), S> {
        KeyedProducer::of(with.inner::<V>(self.node))
    }
}

impl<T: Key, S> Producer<T, S> {
    /// Each record, which is the key, with what the service has for it as of the record's event time.
    #[track_caller]
    pub fn lookup<J: Clone + Send + 'static>(self, service: Service<T, J>) -> Producer<(T, Option<J>), S> {
        let chunks = (ChunkType::of::<Vec<T>>(), ChunkType::of::<Vec<(T, Option<J>)>>());
        Producer::of(joined::<(T, Option<J>)>(
            self.node,
            ("lookup", Contract::OptionMap),
            ServiceFace::of(service),
            chunks,
            erased::lookup::<T, J>,
        ))
    }
}
