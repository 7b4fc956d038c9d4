//! What a server does with the same rows when nobody asks for more: one statement a commit, nothing checked, nothing added up.

use std::time::Instant;

use anyhow::Result;

use super::Options;
use super::commits::word;

/// Rows a second: one `INSERT .. SELECT unnest` a commit into a table with a primary key.
pub(super) fn postgres(url: &str, options: &Options) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        client
            .batch_execute(
                "DROP TABLE IF EXISTS straight; \
                 CREATE TABLE straight (key bytea, part int, batch int8, value int8, PRIMARY KEY (key, part, batch))",
            )
            .await?;
        let insert = client
            .prepare("INSERT INTO straight SELECT k, 0, 7, 1 FROM unnest($1::bytea[]) AS k")
            .await?;
        let mut took = 0.0;
        for i in 0..options.commits {
            let mut keys: Vec<Vec<u8>> = (i * options.cells..(i + 1) * options.cells)
                .map(|n| word(n).into_bytes())
                .collect();
            keys.sort_unstable();
            let start = Instant::now();
            client.execute(&insert, &[&keys]).await?;
            took += start.elapsed().as_secs_f64();
        }
        drop(client);
        connection.await??;
        Ok(f64::from(options.commits) * f64::from(options.cells) / took)
    })
}

/// Fields a second: one `HSET` of all a commit.
pub(super) fn redis(url: &str, options: &Options) -> Result<f64> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut took = 0.0;
    for i in 0..options.commits {
        let mut set = redis::cmd("HSET");
        set.arg("straight");
        for n in i * options.cells..(i + 1) * options.cells {
            set.arg(word(n)).arg(&1_u64.to_le_bytes());
        }
        let start = Instant::now();
        set.exec(&mut connection)?;
        took += start.elapsed().as_secs_f64();
    }
    Ok(f64::from(options.commits) * f64::from(options.cells) / took)
}
