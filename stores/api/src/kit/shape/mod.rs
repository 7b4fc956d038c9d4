//! The same store with other keys or other values.

mod composed;
mod filtered;
mod keys;
mod mapped;
mod pivoted;
mod typed;
mod unpivoted;
mod values;

pub use composed::Composed;
pub use filtered::Filtered;
pub use keys::ConvertedKeys;
pub use mapped::Mapped;
pub use pivoted::Pivoted;
pub use typed::Typed;
pub use unpivoted::{Row, Unpivoted};
pub use values::{Conversion, ConvertedValues, Injection, KeepsSums, PreservesSums};
