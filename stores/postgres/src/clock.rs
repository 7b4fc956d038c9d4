//! What time it is there.

use rufous_core::{Result, Timestamp};

use crate::db::{Db, For};
use crate::options::PostgresOptions;

/// The server's own clock, at the instant at which it answers.
///
/// # Errors
/// When the database cannot be asked.
pub fn clock(url: &str, options: &PostgresOptions) -> Result<Timestamp> {
    let db = Db::new(url, options)?;
    let session = db.session(For::Reading);
    let time = db.wait("asking for the time", async move {
        let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::int8";
        let row = session.await?.maybe(sql, &[]).await?;
        Ok(row.map(|row| row.try_get::<_, i64>(0)).transpose()?)
    })?;
    let none = || rufous_core::Error::bug(format!("{} answers the question for the time by no row", db.location));
    time.map(Timestamp).ok_or_else(none)
}
