//! `batch`, `rollback`, `generations` and `gc` of a job binary, with generations in a directory and in a bucket. The oracle is
//! the same job that runs live only.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use rufous_integration_tests::s3::{SECRET, Server};
use rufous_integration_tests::settings::option;
use rufous_integration_tests::{data, run};

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_job-flights");
const FILES: usize = 2;

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    lines: Vec<String>,
    given: usize,
    /// So many lines a round.
    pub(super) round: usize,
}

impl World {
    pub(super) fn new(settings: &str) -> Result<Self> {
        let all = data::sample_lines()?;
        let step = all.len() / 1_500;
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("rufous.toml"), settings)?;
        Ok(Self {
            dir,
            lines: all.into_iter().step_by(step).collect(),
            given: 0,
            round: 200,
        })
    }
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(PROGRAM);
        c.args(args).arg("--data").arg(self.dir.path().join("data"));
        c.args([
            "--source",
            &format!("flights=dir:{}+jsonl", self.dir.path().join("in").display()),
        ]);
        c.env("RUFOUS_LOG", "info").current_dir(self.dir.path());
        c
    }
    pub(super) fn try_run(&self, args: &[&str]) -> Result<Output> {
        let out = self.command(args).output()?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        ensure!(!said.contains(SECRET), "a secret is shown: {said}");
        Ok(out)
    }
    pub(super) fn run(&self, args: &[&str]) -> Result<String> {
        let out = self.try_run(args)?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {} {err}", out.status);
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }
    /// The next lines go to the files.
    pub(super) fn write(&mut self) -> Result<()> {
        let to = (self.given + self.round).min(self.lines.len());
        let lines = self.lines[self.given..to].iter().map(String::as_str);
        run::write_files(&self.dir.path().join("in"), "jsonl", FILES, lines, |i, _| i)?;
        self.given = to;
        Ok(())
    }
    /// The next lines go to the files and through both jobs.
    pub(super) fn feed(&mut self) -> Result<()> {
        self.write()?;
        self.run(&["stream", "--until-end"])?;
        self.run(&["stream", "--until-end", "--no-archive", "--instance", "oracle"])
            .map(drop)
    }
    /// Keys and values, without how far they reach.
    fn answers(&self, instance: &str) -> Result<BTreeSet<String>> {
        let out = self.run(&[
            "top",
            "-n",
            "100000",
            "--store",
            "by-origin-day",
            "--instance",
            instance,
        ])?;
        Ok(out
            .lines()
            .map(|l| l.split("  offline until").next().unwrap_or_default().to_string())
            .collect())
    }
    pub(super) fn is_exact(&self, what: &str) -> Result<()> {
        let (got, expected) = (self.answers("main")?, self.answers("oracle")?);
        ensure!(
            expected.len() > 50 && got == expected,
            "{what}: {} of {}",
            got.len(),
            expected.len()
        );
        Ok(())
    }
}

fn all_commands(settings: &str) -> Result<()> {
    let mut w = World::new(settings)?;
    for n in 1..=2 {
        w.feed()?;
        ensure!(w.run(&["batch"])?.contains(&format!("generation {n}: ")));
        w.is_exact(&format!("generation {n}"))?;
    }
    ensure!(w.run(&["rollback"])?.starts_with("generation 3 is generation 1 again"));
    w.is_exact("after a rollback")?;
    w.feed()?;
    w.is_exact("and live again")?;
    ensure!(
        w.run(&["batch"])?.contains("generation 4: "),
        "a batch goes on from there"
    );
    w.is_exact("generation 4")?;
    w.feed()?;
    ensure!(w.run(&["batch"])?.contains("generation 5: "));
    // The stream has dropped what generation 5 allows, and says why generation 1 is out of reach.
    w.feed()?;
    let out = w.try_run(&["rollback", "--to", "1"])?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(
        !out.status.success() && (0..FILES).all(|p| said.contains(&format!("partition flights/{p} would go back"))),
        "{said}"
    );
    for (to, why) in [("5", "is the current one"), ("9", "there is no generation 9")] {
        let out = w.try_run(&["rollback", "--to", to])?;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        ensure!(!out.status.success() && said.contains(why), "{said}");
    }
    let listed = w.run(&["generations"])?;
    let state = |n: u64| {
        listed
            .lines()
            .find(|l| l.starts_with(&format!("{n}: ")))
            .unwrap_or_default()
            .to_string()
    };
    ensure!(
        state(5).ends_with("current") && state(4).ends_with("rollback can reach it"),
        "{listed}"
    );
    ensure!(
        state(1).contains("out of reach") && state(1).contains("flights/1"),
        "{listed}"
    );
    // Young files stay; then all that is not in the window goes.
    ensure!(w.run(&["gc"])?.ends_with("0 files, 0 bytes: deleted\n"));
    let shown = w.run(&["gc", "--grace-minutes", "0", "--dry-run"])?;
    let gone = w.run(&["gc", "--grace-minutes", "0"])?;
    ensure!(gone == shown.replace("would be deleted", "deleted"), "{shown}{gone}");
    ensure!(
        gone.matches("manifest ").count() == 4 && gone.matches("run ").count() > 0,
        "{gone}"
    );
    ensure!(w.run(&["generations"])?.lines().filter(|l| !l.starts_with(' ')).count() == 2);
    w.is_exact("after gc")?;
    let out = w.try_run(&["rollback", "--to", "2"])?;
    ensure!(String::from_utf8_lossy(&out.stderr).contains("generation 2 was deleted"));
    ensure!(w.run(&["rollback"])?.starts_with("generation 6 is generation 4 again"));
    w.is_exact("at the end")?;
    w.feed()?;
    w.run(&["batch"])?;
    w.is_exact("and on")
}

#[test]
fn in_the_data_directory() -> Result<()> {
    all_commands("")
}

#[test]
fn in_another_directory() -> Result<()> {
    all_commands("[offline]\nlocation = 'elsewhere'\n")
}

#[test]
fn in_a_bucket() -> Result<()> {
    let server = Server::start("offline")?;
    let mut settings = "[offline]\nlocation = 's3://offline/some/prefix'\n[offline.options]\n".to_string();
    let secrets = tempfile::tempdir()?;
    for (key, value) in server.options() {
        settings += &option(secrets.path(), &key, &value)?;
    }
    all_commands(&settings)
}
