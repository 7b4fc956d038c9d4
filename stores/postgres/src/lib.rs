//! Realtime state, tables and generations in PostgreSQL: cells, progress and epoch in one transaction.
//!
//! Everything lies in one schema of one database (`rufous` unless [`PostgresOptions::schema`] says otherwise); `LAYOUT.md` of this
//! crate says what is in it and how to read it by SQL. Several processes may have one namespace open, each the owner of other
//! partitions: who acquires a partition raises its epoch, and a commit of an older one is refused (P10a, P11).
//!
//! Calls block; each handle owns its runtime and its connections, so they may come from inside another runtime. Every wait is bounded and says
//! what it waited for.
//!
//! Modules in reading order:
//! - [`options`]: where and how; `tls`: encryption where it is asked for; `db`: connections and bounded waits; `ended`: statements that nobody waits for; `failure`: what an error of the server means to the caller;
//! - `column`, `decimal`: values on their way to the server and back; `name`: identifiers; `shape`: how keys and values become columns;
//! - `schema`: tables, and what is checked at open; `rows`: progress rows; `cells`: deltas on their way into cells;
//! - [`realtime`]: acquire, commit, drop; `snapshot`: reads of one point in time; [`discard`]: namespaces that go; [`clock`]: the time there;
//! - [`table`]: tables of written records; [`kit`]: a plain store of keys and values;
//! - [`views`]: generations as tables, and views that add the layers up.
#![forbid(unsafe_code)]

mod cells;
pub mod clock;
mod column;
mod db;
mod decimal;
pub mod discard;
mod ended;
mod failure;
pub mod kit;
mod load;
mod name;
pub mod options;
pub mod realtime;
mod rows;
mod schema;
mod shape;
mod snapshot;
pub mod table;
mod tls;
pub mod views;

pub use kit::PostgresStore;
pub use options::PostgresOptions;
pub use realtime::{PostgresReader, PostgresRealtime};
pub use table::{PostgresTables, PostgresTablesReader};
pub use views::{PostgresViews, Shown};
