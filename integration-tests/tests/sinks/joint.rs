//! A sink behind an operator over two sources, under kill -9 (O1, O3, O23).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::store_api::TableReader;
use rufous_integration_tests::run::{Random, write_files};
use rufous_integration_tests::two_sources::{Line, fold};
use rufous_store_rocksdb::RocksTablesReader;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-two-sources");
const PARTITIONS: usize = 2;
const SOURCES: [&str; 2] = ["payments", "deposits"];

struct World {
    dir: tempfile::TempDir,
    random: Random,
    lines: Vec<Line>,
    now: i64,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for source in SOURCES {
            std::fs::create_dir(dir.path().join(source))?;
        }
        Ok(Self {
            dir,
            random: Random(seed),
            lines: Vec::new(),
            now: 1_600_000_000_000,
        })
    }
    fn job(&self) -> PathBuf {
        self.dir.path().join("data/main/jobs/two-sources-written")
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(PROGRAM);
        c.args(&args[..1]).arg("--data").arg(self.dir.path().join("data"));
        for source in SOURCES {
            let place = format!("{source}=dir:{}+text", self.dir.path().join(source).display());
            c.args(["--source", &place]);
        }
        c.args(&args[1..])
            .env("RUFOUS_LOG", "error")
            .env("TWO_SOURCES_WRITE", "1")
            .current_dir(self.dir.path());
        c
    }
    fn run(&self, args: &[&str]) -> Result<()> {
        let out = self.command(args).output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {} {said}", out.status);
        Ok(())
    }
    fn kill(&mut self, most_ms: u64) -> Result<()> {
        let mut command = self.command(&["stream", "--no-archive", "--commit-ms", "2"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        std::thread::sleep(Duration::from_millis(self.random.below(most_ms)));
        child.kill()?;
        let out = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code().is_none(), "{said}");
        Ok(())
    }
    fn append(&mut self, n: usize) -> Result<()> {
        let from = self.lines.len();
        let line = |source, partition, time, account| Line {
            source,
            partition,
            time,
            account,
            cents: 0,
        };
        for _ in 0..n {
            self.now += self.random.below(20_000) as i64;
            let account = self.random.below(20) as usize;
            let source = SOURCES[self.random.below(2) as usize];
            // Whole minutes: many are equal.
            let time = self.now / 60_000 * 60_000;
            let mut line = line(source, account % PARTITIONS, time, format!("account-{account}"));
            line.cents = self.random.below(19) as i64 - 9;
            self.lines.push(line);
        }
        // Files have no heartbeats: each ends with a line that only moves its time.
        self.now += 60_000;
        for source in SOURCES {
            for partition in 0..PARTITIONS {
                let nobody = line(source, partition, self.now, format!("nobody-{partition}"));
                self.lines.push(nobody);
            }
        }
        for source in SOURCES {
            let of: Vec<&Line> = self.lines[from..].iter().filter(|l| l.source == source).collect();
            let text: Vec<String> = of
                .iter()
                .map(|l| format!("{} {} {}", l.time, l.account, l.cents))
                .collect();
            let dir = self.dir.path().join(source);
            write_files(&dir, "txt", PARTITIONS, text.iter().map(String::as_str), |i, _| {
                of[i].partition
            })?;
        }
        Ok(())
    }
    /// Every balance that a fold in log order emits is in the table as often as it was emitted.
    fn check(&self, what: &str) -> Result<()> {
        use rufous::prelude::Codec;
        let tables = RocksTablesReader::open(&self.job().join("tables"))?.context("tables")?;
        let mut got: BTreeMap<(String, i64), i64> = BTreeMap::new();
        tables.rows("emitted", None, &mut |_, _, bytes| {
            let row = <(String, i64)>::decode(bytes).map_err(|e| rufous::Error::corrupt(e.to_string()))?;
            *got.entry(row).or_default() += 1;
            Ok(true)
        })?;
        let (_, mut expected) = fold(&self.lines);
        // The last of them wait for later ones.
        for all in [&mut got, &mut expected] {
            all.retain(|(account, _), _| account.starts_with("account"));
        }
        let wrong = expected.iter().find(|(k, n)| got.get(*k) != Some(n));
        ensure!(
            got == expected,
            "{what}: {} balances of {}, first {wrong:?}",
            got.len(),
            expected.len()
        );
        Ok(())
    }
}

#[test]
fn killed_rebuilt_and_emptied() -> Result<()> {
    let mut w = World::new(71)?;
    w.append(50)?;
    w.run(&["stream", "--until-end"])?;
    for n in 0..16 {
        w.append(600)?;
        w.kill(120)?;
        if n % 5 == 4 {
            w.run(&["rebuild", "--delete"])?;
        }
    }
    w.run(&["stream", "--until-end"])?;
    w.check("killed")?;
    std::fs::remove_dir_all(w.job().join("tables"))?;
    w.append(300)?;
    w.kill(200)?;
    w.run(&["stream", "--until-end"])?;
    w.check("without the table")
}
