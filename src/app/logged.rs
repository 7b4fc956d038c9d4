//! The last lines of this process's log, for those who look over a socket: a ring of a fixed size beside standard error.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::generations::now;

/// Lines that are kept.
const MOST: usize = 1_000;
/// Bytes of a message, and of a field.
const MESSAGE: usize = 2_000;
const FIELD: usize = 400;
/// Fields of a line.
const FIELDS: usize = 16;

/// The log of a process is one.
static RING: Mutex<Ring> = Mutex::new(Ring {
    lines: VecDeque::new(),
    last: 0,
});

struct Ring {
    lines: VecDeque<Line>,
    /// The number of the newest line.
    last: u64,
}

struct Line {
    at_ms: i64,
    level: Level,
    target: String,
    message: String,
    fields: Map<String, Value>,
}

impl Ring {
    fn push(&mut self, line: Line) {
        if self.lines.len() >= MOST {
            self.lines.pop_front();
        }
        self.last += 1;
        self.lines.push_back(line);
    }

    fn after(&self, after: u64, limit: usize) -> Value {
        let first = self.last - self.lines.len() as u64;
        let numbered = (first + 1..).zip(&self.lines).filter(|(seq, _)| *seq > after);
        let all: Vec<_> = numbered.collect();
        let newest = all.len().saturating_sub(limit);
        let lines: Vec<Value> = all
            .into_iter()
            .skip(newest)
            .map(|(seq, line)| line.object(seq))
            .collect();
        json!({ "next": self.last, "lines": lines })
    }
}

impl Line {
    fn object(&self, seq: u64) -> Value {
        json!({
            "seq": seq, "at_ms": self.at_ms, "level": self.level.as_str().to_ascii_lowercase(), "target": self.target,
            "message": self.message, "fields": self.fields,
        })
    }
}

fn ring() -> MutexGuard<'static, Ring> {
    RING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines behind this one, the newest of them, as an object: `next`, the number of the newest, and `lines`.
pub(super) fn after(after: u64, limit: usize) -> Value {
    ring().after(after, limit)
}

/// Keeps what is logged, as far as it is no detail.
pub(super) struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // What is logged in detail would push out what matters.
        if *event.metadata().level() > Level::INFO {
            return;
        }
        let mut line = Line {
            at_ms: now().0,
            level: *event.metadata().level(),
            target: event.metadata().target().to_string(),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        ring().push(line);
    }
}

/// Text that is cut where it is long, without being made whole before.
struct Cut(String, usize);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.1.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0
            .push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        // Nobody needs the rest.
        Err(std::fmt::Error)
    }
}

impl Line {
    fn add(&mut self, field: &Field, value: Value) {
        if self.fields.len() < FIELDS {
            self.fields.insert(field.name().into(), value);
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let is_message = field.name() == "message";
        let mut cut = Cut(String::new(), if is_message { MESSAGE } else { FIELD });
        let _ = write!(cut, "{value:?}");
        if is_message {
            self.message = cut.0;
        } else {
            self.add(field, json!(cut.0));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The newest lines stay, each under its number; who comes back gets those behind what he has seen.
    #[test]
    fn a_ring_keeps_the_newest() {
        let mut ring = Ring {
            lines: VecDeque::new(),
            last: 0,
        };
        assert_eq!(ring.after(0, 10), json!({ "next": 0, "lines": [] }));
        for n in 0..2 * MOST {
            ring.push(Line {
                at_ms: n as i64,
                level: Level::INFO,
                target: "t".into(),
                message: format!("m{n}"),
                fields: Map::new(),
            });
        }
        let seqs = |found: &Value| -> Vec<u64> {
            let lines = found["lines"].as_array().unwrap();
            lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect()
        };
        let last = 2 * MOST as u64;
        let found = ring.after(0, 2 * MOST);
        assert_eq!(seqs(&found), (last - MOST as u64 + 1..=last).collect::<Vec<_>>());
        let found = ring.after(last - 3, 2);
        assert_eq!((seqs(&found), &found["next"]), (vec![last - 1, last], &json!(last)));
        assert_eq!(found["lines"][1]["message"], format!("m{}", last - 1));
        assert_eq!(seqs(&ring.after(last + 5, 9)), [] as [u64; 0]);
    }

    /// Message and fields are cut, and a line has so many fields.
    #[test]
    fn a_line_has_a_size() {
        use tracing_subscriber::prelude::*;
        let long = "\u{1f426}".repeat(5_000);
        let here = tracing_subscriber::registry().with(Keep);
        tracing::subscriber::with_default(here, || tracing::warn!(long, n = 7_u64, text = ?"q", "{long}"));
        let found = after(0, MOST);
        let line = found["lines"]
            .as_array()
            .unwrap()
            .iter()
            .find(|l| l["fields"]["n"] == 7)
            .unwrap();
        assert_eq!(
            (&line["level"], &line["fields"]["text"]),
            (&json!("warn"), &json!("\"q\""))
        );
        assert_eq!(line["message"].as_str().unwrap().len(), MESSAGE);
        assert_eq!(line["fields"]["long"].as_str().unwrap().len(), FIELD);
    }
}
