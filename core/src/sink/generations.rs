//! A sink that is a part of each generation: batch runs write it, and nothing live does (O22).

use rufous_algebra::Codec;

use super::encode::{as_codec, codec_shown};
use super::{Encode, Promise, Show, SinkPlace, SinkTo};

/// Which layer writes a sink. One does (O22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The live part, record by record as they come.
    Live,
    /// Batch runs, with each generation.
    Batch,
}

/// See [`each_generation`].
#[derive(Clone, Copy, Debug)]
pub struct EachGeneration;

/// Files of each generation: batch runs write them, and nothing live does. Generation N has exactly the records below its
/// frontier, **each once**, in the order of their ids; read them by `Client::sink`, or with `sink read`. Records lie there as their
/// canonical bytes.
pub fn each_generation() -> EachGeneration {
    EachGeneration
}

impl<T: Codec + 'static> SinkTo<T> for EachGeneration {
    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Generations
    }
    fn encode(&self) -> Encode {
        as_codec::<T>
    }
    fn schema(&self) -> String {
        T::schema()
    }
    fn show(&self) -> Show {
        codec_shown::<T>
    }
}
