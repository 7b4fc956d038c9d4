//! Large writes: what one command should not hold is brought to the server in pieces before, and the script takes it from there.

use std::fmt::Display;
use std::ops::Range;

use redis::Cmd;
use rufous_core::Result;
use rufous_store_api::exclusive::unique_name;

use crate::server::Server;

/// Above so many bytes or pairs a write is staged.
const BYTES: usize = 16 << 20;
const PAIRS: usize = 200_000;
/// A piece: so many pairs, or as many as have so many bytes.
const PIECE: usize = 4_000;
const PIECE_BYTES: usize = 1 << 20;
/// How many pieces go in one round trip.
const AT_ONCE: usize = 16;
/// How long pieces wait to be taken (seconds).
const WAIT: u64 = 600;

/// Keys and values of one write.
pub(crate) trait Pairs {
    fn count(&self) -> usize;
    /// Of one pair.
    fn size(&self, at: usize) -> usize;
    /// Appends key and value of some.
    fn put(&self, at: Range<usize>, cmd: &mut Cmd);
}

/// Brings lists to the server if they are large together; returns their names behind `staged/`, none if they are small.
pub(crate) fn stage(server: &Server, prefix: &str, what: &dyn Display, all: &[&dyn Pairs]) -> Result<Vec<String>> {
    let count: usize = all.iter().map(|list| list.count()).sum();
    let bytes = all.iter().flat_map(|list| (0..list.count()).map(|i| list.size(i)));
    if count < PAIRS && bytes.sum::<usize>() < BYTES {
        return Ok(Vec::new());
    }
    let id = unique_name();
    let mut names = Vec::with_capacity(all.len());
    let mut cmds = Vec::new();
    for (i, list) in all.iter().enumerate() {
        let name = format!("{id}/{i}");
        let key = format!("{prefix}staged/{name}");
        let mut from = 0;
        while from < list.count() {
            let (mut to, mut bytes) = (from, 0);
            while to < list.count() && to - from < PIECE && (to == from || bytes < PIECE_BYTES) {
                bytes += list.size(to);
                to += 1;
            }
            let mut push = redis::cmd("RPUSH");
            push.arg(&key);
            list.put(from..to, &mut push);
            let mut expire = redis::cmd("EXPIRE");
            expire.arg(&key).arg(WAIT);
            cmds.extend([push, expire]);
            if cmds.len() >= 2 * AT_ONCE {
                server.pipeline(what, &cmds)?;
                cmds.clear();
            }
            from = to;
        }
        names.push(name);
    }
    server.pipeline(what, &cmds)?;
    Ok(names)
}
