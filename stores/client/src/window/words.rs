//! Windows and keys as people write them: on the command line and in a URL.

use std::time::Duration;

use rufous_core::window::HOP_BYTES;
use rufous_core::{Error, HopSize, Result, StoreFace, Timestamp};
use serde_json::Value;

use super::{End, Window};

/// A window in words. `mark` is what stands before the name of an option where it is written, for messages: `--` on a command
/// line.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowWords<'a> {
    /// So long before the end: `30s`, `5m`, `24h`, `7d`.
    pub last: Option<&'a str>,
    /// The last hops of a size up to the end: `3:month`.
    pub last_hops: Option<&'a str>,
    /// From there on.
    pub since: Option<Timestamp>,
    /// Where it ends: `now`, `sealed`, or a time.
    pub end: &'a str,
    /// Refuse a window that would be rounded to hops.
    pub aligned: bool,
    /// As said above.
    pub mark: &'a str,
}

impl WindowWords<'_> {
    /// The window that they mean.
    ///
    /// # Errors
    /// `InvalidRequest` with what can be written instead.
    pub fn window(&self) -> Result<Window> {
        let mark = self.mark;
        let end = self.end()?;
        let window = match (self.last, self.last_hops, self.since) {
            (Some(length), None, None) => {
                let size = HopSize::parse(length).ok().and_then(|size| size.fixed_ms());
                let ms = size.ok_or_else(|| {
                    Error::invalid(format!(
                        "`{mark}last {length}`: write a length such as 30s, 5m, 24h or 7d; for months and the like `{mark}last-hops 3:month`"
                    ))
                })?;
                Window::last(Duration::from_millis(ms), end)
            }
            (None, Some(hops), None) => {
                let wrong = || {
                    Error::invalid(format!(
                        "`{mark}last-hops {hops}`: write NUMBER:SIZE, for instance 3:month, 7:calendar-day or 24:1h"
                    ))
                };
                let (n, size) = hops.split_once(':').ok_or_else(wrong)?;
                let n = n.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
                Window::last_hops(n, HopSize::parse(size).map_err(|_| wrong())?, end)
            }
            (None, None, Some(since)) => Window::since(since, end),
            _ => {
                return Err(Error::invalid(format!(
                    "which window? give one of `{mark}last 7d`, `{mark}last-hops 3:month` and `{mark}since TIME`"
                )));
            }
        };
        Ok(if self.aligned { window.aligned() } else { window })
    }

    fn end(&self) -> Result<End> {
        match self.end {
            "now" => Ok(End::Now),
            "sealed" => Ok(End::Sealed),
            text => Timestamp::parse(text).map(End::At).map_err(|_| {
                Error::invalid(format!(
                    "`{}end {text}`: write now, sealed (where the newest sealed batch ends) or a time such as 2001-01-31T07:00:00Z",
                    self.mark
                ))
            }),
        }
    }
}

/// The bytes of a key of a windowed store as typed, without a hop; and as JSON.
///
/// # Errors
/// `InvalidRequest` when the text is no such key.
pub fn key_of_windows(face: &StoreFace, text: &str) -> Result<(Vec<u8>, Value)> {
    const ANY_HOP: &str = "1970-01-01";
    let wrong = |e: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "store `{}`: key `{text}`: {e} (keys are {}; the hop is not typed)",
            face.name,
            face.key.schema()
        ))
    };
    // A key of one part takes commas as they are, as `get` does.
    let one_part = face.key.schema().starts_with('(') && !face.key.schema().starts_with("((");
    let typed = if one_part {
        text.replace('\\', "\\\\").replace(',', "\\,")
    } else {
        text.to_string()
    };
    let mut bytes = face
        .key
        .parse(&format!("{typed},{ANY_HOP}"), false)
        .map_err(|e| wrong(&e))?;
    let shown = match face.key.json(&bytes).map_err(|e| wrong(&e))? {
        Value::Array(mut parts) => {
            parts.pop();
            if parts.len() == 1 {
                parts.remove(0)
            } else {
                Value::Array(parts)
            }
        }
        other => other,
    };
    bytes.truncate(bytes.len().saturating_sub(HOP_BYTES));
    Ok((bytes, shown))
}
