//! Windows over event time, without windows in the state: the hop is part of the key.
//!
//! A batch says which layer owns a record, a hop says when it happened: two coordinates. A record that comes late is in a late
//! batch and in its own hop, so every window that holds its time holds it, in whichever layer it was counted.
//!
//! `windowed_sum_by_key` adds each record to one hop of every declared [`HopSize`]; keys are expanded late, so values are
//! combined first. A read covers its window with the fewest hops ([`Grid::cover`]), and says what they truly cover.
//!
//! Modules: `calendar` (units of a time zone), `hop` (parts of keys), `windows` (the declaration), `cover` (which hops make a
//! window).

pub(crate) mod calendar;
mod cover;
mod hop;
mod windows;

pub use cover::{Cover, HopRun};
pub use hop::{HOP_BYTES, Hop, HopSize};
pub use windows::{Grid, WindowedStore, Windows};

#[cfg(test)]
mod tests;
