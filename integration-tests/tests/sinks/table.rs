//! Tables beside the state.

use anyhow::{Context, Result, ensure};
use rufous::store_api::TableReader;
use rufous_store_rocksdb::RocksTablesReader;

use crate::world::{Got, World, text};

fn world(seed: u64) -> Result<World> {
    World::new(seed, |_| "table".into())
}

/// What `sink read` shows.
fn read(w: &World, sink: &str, args: &[&str]) -> Result<Vec<Got>> {
    let out = w
        .command("sink")
        .arg("read")
        .args(w.places())
        .arg(sink)
        .args(args)
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout)?;
    let one = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let record = line["record"].to_string();
        let record = if sink == "copies" { text(&record)? } else { record };
        Got::new(sink, line["id"].as_str().context("an id")?, record)
    };
    lines.lines().map(one).collect()
}

fn check(w: &World, what: &str) -> Result<()> {
    w.check(what, &read(w, "overdrawn", &[])?, &read(w, "copies", &[])?)
}

/// O23: killed around the write of the table and of the state, and at seeded instants.
#[test]
fn killed_anywhere() -> Result<()> {
    let mut w = world(51)?;
    let points = rufous::store_api::points::TABLE;
    let store = ["commit.before", "commit.written", "acquire.written"];
    let mut ended = 0;
    for point in points.iter().chain(&store) {
        for time in [1, 2, 5, 9] {
            w.append_all(40)?;
            ended += usize::from(w.end_at(&format!("{point}:{time}"))?);
        }
        w.append_all(3)?;
        w.catch_up()?;
        check(&w, point)?;
    }
    ensure!(
        ended >= points.len() + store.len(),
        "{ended} streams came to their points"
    );
    for _ in 0..20 {
        w.append_all(60)?;
        w.kill(90)?;
    }
    w.catch_up()?;
    check(&w, "killed 20 times")
}

/// O25, O27: a namespace is made anew, and the table is not; a table that is lost is written again.
#[test]
fn state_or_table_is_lost() -> Result<()> {
    let mut w = world(52)?;
    w.append_all(500)?;
    w.catch_up()?;
    w.run("rebuild", &["--delete"])?;
    w.append_all(100)?;
    w.catch_up()?;
    check(&w, "rebuilt")?;
    std::fs::remove_dir_all(w.state())?;
    w.append_all(100)?;
    w.catch_up()?;
    check(&w, "without the state")?;
    std::fs::remove_dir_all(w.job().join("tables"))?;
    w.append_all(100)?;
    w.catch_up()?;
    check(&w, "without the tables")
}

/// `sink read` goes on behind any record, takes no more than it is told, and reads while the stream writes.
#[test]
fn read_in_pages() -> Result<()> {
    let mut w = world(53)?;
    w.append_all(300)?;
    w.catch_up()?;
    let all = read(&w, "copies", &[])?;
    ensure!(all.len() > 40, "{} copies", all.len());
    let mut paged: Vec<Got> = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let mut args = vec!["--limit", "17"];
        args.extend(from.iter().flat_map(|id| ["--from", id]));
        let page = read(&w, "copies", &args)?;
        ensure!(page.len() <= 17, "{} records", page.len());
        // The first of a page is the last of the one before.
        let fresh = page.iter().skip(usize::from(from.is_some()));
        paged.extend(fresh.cloned());
        let Some(last) = page.last().filter(|_| page.len() == 17) else {
            break;
        };
        from = Some(format!(
            "copies/payments/{}/{}/{}",
            last.partition, last.offset, last.number
        ));
    }
    ensure!(paged == all, "{} of {} records", paged.len(), all.len());
    let out = w
        .command("sink")
        .arg("read")
        .args(w.places())
        .args(["copies", "--from", "payments/x"])
        .output()?;
    let err = String::from_utf8_lossy(&out.stderr);
    ensure!(
        err.contains("`payments/x` is no id of a record: write copies/SOURCE/PARTITION"),
        "{err}"
    );

    let mut child = w.live()?;
    let dir = w.job().join("tables");
    let reader = RocksTablesReader::open(&dir)?.context("tables")?;
    let mut last = 0;
    let result = (|| -> Result<()> {
        for _ in 0..20 {
            w.append_all(30)?;
            std::thread::sleep(std::time::Duration::from_millis(30));
            let mut n = 0;
            reader.rows("copies", None, &mut |_, _, _| {
                n += 1;
                Ok(true)
            })?;
            ensure!(n >= last, "{n} rows after {last}");
            last = n;
        }
        Ok(())
    })();
    child.kill()?;
    child.wait()?;
    result?;
    ensure!(last > all.len(), "nothing came while it was read");
    w.catch_up()?;
    check(&w, "read while it was written")
}
