//! The scripts of a namespace: each changes or reads it in one step.

use std::sync::LazyLock;

use redis::Script;

const COMMON: &str = include_str!("scripts/common.lua");
const SEEN: &str = include_str!("scripts/seen.lua");

fn script(parts: &[&str]) -> Script {
    Script::new(&parts.join("\n"))
}

/// Makes a namespace.
pub(super) static CREATE: LazyLock<Script> = LazyLock::new(|| script(&[COMMON, include_str!("scripts/create.lua")]));
/// Writes.
pub(super) static APPLY: LazyLock<Script> = LazyLock::new(|| script(&[COMMON, include_str!("scripts/apply.lua")]));
/// Takes a snapshot.
pub(super) static SNAPSHOT: LazyLock<Script> =
    LazyLock::new(|| script(&[COMMON, include_str!("scripts/snapshot.lua")]));
/// Reads keys of a snapshot.
pub(super) static CELLS: LazyLock<Script> =
    LazyLock::new(|| script(&[COMMON, SEEN, include_str!("scripts/cells.lua")]));
/// Reads ranges of a snapshot.
pub(super) static PAGES: LazyLock<Script> =
    LazyLock::new(|| script(&[COMMON, SEEN, include_str!("scripts/pages.lua")]));
/// Deletes keys of a namespace that is gone.
pub(super) static SWEEP: LazyLock<Script> = LazyLock::new(|| script(&[include_str!("scripts/sweep.lua")]));
/// Deletes a namespace.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| script(&[COMMON, include_str!("scripts/delete.lua")]));
