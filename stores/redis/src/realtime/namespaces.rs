//! Namespaces as a whole: which there are, and deleting one.

use redis::Value;
use rufous_core::Result;
use rufous_store_api::NamespaceOf;

use super::shared::Core;
use super::{RedisRealtime, scripts};
use crate::names;
use crate::options::RedisOptions;
use crate::server::{Server, list};

impl RedisRealtime {
    /// The namespaces of a job that a server has, ascending.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn namespaces(url: &str, options: &RedisOptions, job: &str, instance: &str) -> Result<Vec<String>> {
        let server = Server::new(url, options)?;
        // Up to the namespace's name, and behind it.
        let (before, behind) = (names::namespace(job, instance, ""), "}:");
        let before = before.trim_end_matches(behind);
        let pattern = format!("{}}}:meta", names::pattern(before));
        let what = format!("list the namespaces of job {job} ({instance}) in {}", server.location());
        let mut found = Vec::new();
        server.search(&what, &pattern, &mut |keys| {
            for key in keys {
                let name = std::str::from_utf8(key)
                    .ok()
                    .and_then(|k| k.strip_prefix(before)?.strip_suffix("}:meta"));
                found.extend(name.and_then(names::unescaped));
            }
            Ok(())
        })?;
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Deletes a namespace; `false`: there was none. Rows and cells go in one step; who writes it all the same is told so at its
    /// next write, and acquires anew.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn delete(url: &str, options: &RedisOptions, of: NamespaceOf<'_>) -> Result<bool> {
        let core = Core::new(url, options, of, &[])?;
        let what = format!("delete {}", core.place);
        let answer = core.server.script(&what, &scripts::DELETE, &core.prefix, &|_| {})?;
        let answer = list(&answer).ok_or_else(|| core.server.odd(&what))?;
        let existed = matches!(answer.first(), Some(Value::Int(1)));
        // What no row named: pieces on their way, and what somebody else left there.
        core.server.search(&what, &names::pattern(&core.prefix), &mut |keys| {
            core.server
                .script(&what, &scripts::SWEEP, &core.prefix, &|cmd| {
                    cmd.arg(keys);
                })
                .map(|_| ())
        })?;
        Ok(existed)
    }
}
