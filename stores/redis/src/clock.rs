//! What time it is there.

use redis::Value;
use rufous_core::{Result, Timestamp};

use crate::options::RedisOptions;
use crate::server::{Server, list};

/// The server's own clock, at the instant at which it answers.
///
/// # Errors
/// When the server cannot be asked.
pub fn clock(url: &str, options: &RedisOptions) -> Result<Timestamp> {
    let server = Server::new(url, options)?;
    let what = format!("ask for the time of {}", server.location());
    let answer = server.call(&what, &redis::cmd("TIME"))?;
    // Seconds, then microseconds of the second, each as a text.
    let number = |at: usize| -> Option<i64> {
        match list(&answer)?.get(at)? {
            Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Value::Int(n) => Some(*n),
            _ => None,
        }
    };
    let time = number(0).zip(number(1));
    let millis = time.and_then(|(s, micros)| s.checked_mul(1_000)?.checked_add(micros / 1_000));
    millis.map(Timestamp).ok_or_else(|| server.odd(&what))
}
