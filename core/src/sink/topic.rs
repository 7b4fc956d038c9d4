//! Kafka topics.

use std::marker::PhantomData;

use rufous_algebra::Codec;

use super::encode::{as_json, as_text, text_shown};
use super::{AtLeastOnce, Encode, ExactlyOnce, Json, Lines, Promise, Says, Show, SinkPlace, SinkTo};

/// See [`topic`].
#[derive(Clone, Debug)]
pub struct Topic<P = ExactlyOnce, F = Json> {
    at: String,
    _of: PhantomData<fn() -> (P, F)>,
}

/// A Kafka topic, `kafka://HOST:PORT/TOPIC`: records as JSON, **exactly once** for consumers that read with
/// `isolation.level=read_committed`. Those of partition `p` of a source go into partition `p` of the topic, modulo the number
/// that it has, in their order; each has the header `rufous-id`.
pub fn topic(at: impl Into<String>) -> Topic {
    Topic {
        at: at.into(),
        _of: PhantomData,
    }
}

impl<P, F> Topic<P, F> {
    fn same<Q, G>(self) -> Topic<Q, G> {
        Topic {
            at: self.at,
            _of: PhantomData,
        }
    }
    /// As JSON, which is what is done without a word.
    pub fn json(self) -> Topic<P, Json> {
        self.same()
    }
    /// Records that are text, as they are.
    pub fn text(self) -> Topic<P, Lines> {
        self.same()
    }
    /// Without transactions: records are there as soon as they are sent, and again after a crash or a rebuild, with the same
    /// bytes and the same id.
    pub fn at_least_once(self) -> Topic<AtLeastOnce, F> {
        self.same()
    }
}

impl<T: Codec + 'static, P: Says> SinkTo<T> for Topic<P, Json> {
    fn promise(&self) -> Promise {
        P::PROMISE
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Topic(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_json::<T>
    }
    fn schema(&self) -> String {
        format!("json of {}", T::schema())
    }
}

impl<T: AsRef<str> + 'static, P: Says> SinkTo<T> for Topic<P, Lines> {
    fn promise(&self) -> Promise {
        P::PROMISE
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Topic(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_text::<T>
    }
    fn schema(&self) -> String {
        "text".into()
    }
    fn show(&self) -> Show {
        text_shown
    }
}
