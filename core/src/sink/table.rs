//! Tables in the database of the state.

use rufous_algebra::Codec;

use super::encode::{as_codec, codec_shown};
use super::{Encode, Promise, Show, SinkPlace, SinkTo};

/// See [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Table(());

/// A table of the job beside its live state, of records in their canonical bytes: **exactly once**. Rows and the mark behind them
/// are one write; code that is changed, or a state that is made anew, leaves it as it is. `sink read NAME` shows its records, in
/// the order of their ids.
pub fn table() -> Table {
    Table(())
}

impl<T: Codec + 'static> SinkTo<T> for Table {
    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Table
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
