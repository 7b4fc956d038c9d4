//! A number with its bounds.

use serde_json::{Value, json};

/// An estimate and the interval that holds the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The truth is not below, with the stated confidence.
    pub low: f64,
    /// The truth is not above, with the stated confidence.
    pub high: f64,
    /// How often, at the least, the truth lies in `low..=high`: 1 is always.
    pub confidence: f64,
}

impl Estimate {
    /// No doubt at all.
    pub const fn exact(value: f64) -> Self {
        Self::certain(value, value, value)
    }
    /// Bounds that always hold.
    pub const fn certain(value: f64, low: f64, high: f64) -> Self {
        Self {
            value,
            low,
            high,
            confidence: 1.0,
        }
    }
    /// Whether the bounds hold this number.
    pub fn contains(&self, truth: f64) -> bool {
        self.low <= truth && truth <= self.high
    }
    /// Whether one truth may lie within the bounds of both.
    pub fn meets(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
    /// For JSON and people.
    pub fn json(&self) -> Value {
        json!({ "value": self.value, "low": self.low, "high": self.high, "confidence": self.confidence })
    }
}
