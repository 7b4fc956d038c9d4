//! What a server must promise before anything is kept in it.

use redis::Value;
use rufous_core::{Error, Result};

use crate::server::{Server, text};

impl Server {
    /// Refuses a server that would lose or evict what it holds, unless it is accepted.
    pub(crate) fn promises(&self) -> Result<()> {
        let place = self.location();
        let info = self.say("INFO", &["everything"])?.unwrap_or_default();
        let of_info = |field: &str| {
            let line = info.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
            line.map(|v| v.trim().to_string())
        };
        let setting = |name: &str, field: &str| match of_info(field) {
            Some(value) => Ok(Some(value)),
            None => self.say("CONFIG", &["GET", name]).map(|v| v.filter(|v| !v.is_empty())),
        };
        if of_info("role").as_deref() == Some("slave") {
            return Err(Error::invalid(format!(
                "{place} is a replica: name the server that it copies, {}",
                of_info("master_host").unwrap_or_default()
            )));
        }
        const GRANT: &str = "grant the user INFO (ACL SETUSER NAME +info)";
        match setting("maxmemory-policy", "maxmemory_policy")? {
            Some(policy) if policy.starts_with("allkeys-") => {
                return Err(Error::invalid(format!(
                    "{place} has maxmemory-policy {policy}: it would delete cells when its memory is used up, and sums would lack them: \
                     CONFIG SET maxmemory-policy noeviction"
                )));
            }
            Some(_) => {}
            None => {
                return Err(Error::invalid(format!(
                    "{place} does not say whether it evicts keys: {GRANT}"
                )));
            }
        }
        let before_5 = |v: &String| {
            v.split('.')
                .next()
                .and_then(|n| n.parse::<u32>().ok())
                .is_some_and(|n| n < 5)
        };
        if let Some(version) = of_info("redis_version").filter(before_5) {
            return Err(Error::invalid(format!(
                "{place} is Redis {version}, whose scripts may not write what depends on the clock: use Redis 5 or later"
            )));
        }
        if self.options().accept_volatile {
            tracing::warn!(
                server = place,
                "accepted whatever the server keeps on disk: a restart may lose all"
            );
            return Ok(());
        }
        match setting("appendonly", "aof_enabled")?.as_deref() {
            Some("1" | "yes") => {
                // Only where it may be asked: what is lost is read again.
                if self.say("CONFIG", &["GET", "appendfsync"])?.as_deref() == Some("no") {
                    tracing::warn!(
                        server = place,
                        "appendfsync is no: a power cut loses up to half a minute, which is read again from the log"
                    );
                }
                Ok(())
            }
            Some(_) => Err(Error::invalid(format!(
                "{place} has no append-only file, so a restart loses what it holds: CONFIG SET appendonly yes (and the same in its \
                 settings), or accept that (accept_volatile)"
            ))),
            None => Err(Error::invalid(format!(
                "{place} does not say whether it keeps an append-only file: {GRANT}, or accept that it may not (accept_volatile)"
            ))),
        }
    }

    /// What an administrative command answers, a text or the value of the first setting; `None`: it is not granted.
    fn say(&self, command: &str, args: &[&str]) -> Result<Option<String>> {
        let mut cmd = redis::cmd(command);
        cmd.arg(args);
        let what = format_args!("ask {} for its settings ({command})", self.location());
        let answer = self.call_if_granted(&what, &cmd)?;
        Ok(answer.map(|answer| {
            let value = match &answer {
                Value::Array(values) => values.get(1).and_then(text),
                Value::VerbatimString { text, .. } => Some(text.as_str()),
                other => text(other),
            };
            value.unwrap_or_default().to_string()
        }))
    }
}
