//! Both layers: several live processes on one server, archive, generations, drops, rollback; one exact answer.

use anyhow::{Result, ensure};
use rufous_integration_tests::kafka::Broker;
use rufous_integration_tests::kafka::job::{Live, Words};

use crate::servers::{Server, first};

fn run(live: &Live, args: &[&str]) -> Result<String> {
    let out = live.command(args).output()?;
    let (stdout, stderr) = (
        String::from_utf8(out.stdout)?,
        String::from_utf8_lossy(&out.stderr).into_owned(),
    );
    ensure!(out.status.success(), "{args:?}: {stderr}");
    Ok(stdout)
}

/// Equation 1 and 2: while two processes go on, the sealed batches are archived and published, their cells are dropped, and the
/// answer stays the fold of the log. `rollback` and `gc` do their work; a rebuild begins at the permission (P32).
fn layers_meet(server: &Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    let mut a = first(server, &broker, &words)?;
    let mut b = a.beside()?;
    a.start()?;
    b.start()?;
    for hour in 0..4_u64 {
        words.write_at(300, 1_000 + hour * 3_600_000)?;
        a.comes_to("live", &words.expected())?;
        run(&a, &["archive", "--until-end"])?;
        let said = run(&a, &["batch", "--keep", "1"])?;
        ensure!((hour > 0) != said.contains(": 0 records -> "), "{said}");
        a.comes_to("with a generation", &words.expected())?;
    }
    let generations = run(&a, &["generations"])?;
    ensure!(generations.lines().count() >= 2, "{generations}");
    ensure!(run(&a, &["gc", "--stopped", "--grace-minutes", "0"])?.contains("deleted"));
    a.comes_to("tidied", &words.expected())?;
    if let Server::Postgres(server) = server {
        // P26: what is published is dropped in each partition.
        let dropped = "SELECT count(*) FROM rufous.progress WHERE retained_from > 0";
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while server.sql("postgres", dropped)? != "4" {
            ensure!(std::time::Instant::now() < until, "cells are not dropped");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    run(&a, &["rollback"])?;
    a.comes_to("rolled back", &words.expected())?;
    a.stop()?;
    b.stop()?;
    ensure!(run(&a, &["rebuild", "--delete", "--stopped"])?.contains("deleted the realtime state"));
    a.start()?;
    a.comes_to("rebuilt", &words.expected())?;
    let said = run(&a, &["doctor"])?;
    ensure!(
        said.contains("realtime state: answers: namespace ") && !said.contains("FAIL"),
        "{said}"
    );
    Ok(())
}

#[test]
fn layers_meet_on_postgres() -> Result<()> {
    layers_meet(&Server::postgres()?)
}

#[test]
fn layers_meet_on_redis() -> Result<()> {
    layers_meet(&Server::redis()?)
}

/// Item 4: while two processes go on, SQL shows the whole answer after each generation, also rolled back; and where it is not whole it
/// is an error.
#[test]
fn sql_shows_the_whole_answer() -> Result<()> {
    let server = Server::postgres()?;
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    let mut a = first(&server, &broker, &words)?;
    let mut b = a.beside()?;
    a.start()?;
    b.start()?;
    // The same server has the live state, and a password is not said on the command line.
    let views = ["views", "--database", "{ env = \"RUFOUS_REALTIME\" }"];
    for hour in 0..3_u64 {
        words.write_at(200, 1_000 + hour * 3_600_000)?;
        a.comes_to("live", &words.expected())?;
        run(&a, &["archive", "--until-end"])?;
        run(&a, &["batch"])?;
        if hour > 0 {
            let said = run(&a, &views)?;
            ensure!(said.contains("the whole answer is"), "{said}");
            sql_says(&server, &words)?;
        }
        words.write_at(100, 2_000 + hour * 3_600_000)?;
        a.comes_to("and on", &words.expected())?;
        if hour > 0 {
            sql_says(&server, &words)?;
        }
    }
    run(&a, &["rollback"])?;
    run(&a, &views)?;
    sql_says(&server, &words)
}

/// What SQL says is the fold of the log, decoded here from the bytes that are expected.
fn sql_says(server: &Server, words: &Words<'_>) -> Result<()> {
    let Server::Postgres(server) = server else {
        anyhow::bail!("Redis speaks no SQL")
    };
    let said = server.sql(
        "postgres",
        "SELECT key_1 || ' ' || value FROM rufous.word_count_main_counts ORDER BY key",
    )?;
    let expected = words.expected();
    let expected: Vec<String> = { expected.iter() }
        .map(|(key, value)| {
            let word = String::from_utf8_lossy(key.strip_suffix(&[0]).unwrap_or(key)).into_owned();
            let count = <[u8; 8]>::try_from(value.as_slice()).map_or(0, u64::from_le_bytes);
            format!("{word} {count}")
        })
        .collect();
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(said == expected, "{said:?}\n{expected:?}");
    Ok(())
}
