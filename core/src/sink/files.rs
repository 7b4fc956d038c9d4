//! Files of JSON lines.

use rufous_algebra::Codec;

use super::encode::as_json;
use super::{Encode, Promise, SinkPlace, SinkTo};

/// See [`files`].
#[derive(Clone, Debug)]
pub struct Files {
    at: String,
}

/// Files below a directory, one a partition of a source: lines of `{"id": .., "record": ..}`, **exactly once** on a local disk.
pub fn files(dir: impl Into<String>) -> Files {
    Files { at: dir.into() }
}

impl<T: Codec + 'static> SinkTo<T> for Files {
    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Files(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_json::<T>
    }
    fn schema(&self) -> String {
        format!("json of {}", T::schema())
    }
}
