//! A directory of growing files, the job `flights` over it, and what its archive must hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::archived::{self, Found};
use rufous_integration_tests::s3::Server;
use rufous_integration_tests::{data, run};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_job-flights");
pub(crate) const BUCKET: &str = "rufous-tests";
const FILES: usize = 2;

/// Where the archive lies.
pub(crate) enum Place {
    Dir,
    S3(Server),
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) place: Place,
    lines: Vec<String>,
    given: usize,
}

impl World {
    /// `lines`: how many there are to append, spread over all days of the sample.
    pub(crate) fn new(place: Place, lines: usize) -> Result<Self> {
        let all = data::sample_lines()?;
        let step = all.len() / lines;
        let w = Self {
            dir: tempfile::tempdir()?,
            place,
            lines: all.into_iter().step_by(step).take(lines).collect(),
            given: 0,
        };
        if let Place::S3(server) = &w.place {
            let mut text = format!("[archive]\nlocation = 's3://{BUCKET}/some/prefix'\n[archive.options]\n");
            for (key, value) in server.options() {
                text += &rufous_integration_tests::settings::option(w.dir.path(), &key, &value)?;
            }
            std::fs::write(w.path("rufous.toml"), text)?;
        }
        std::fs::create_dir(w.path("in"))?;
        Ok(w)
    }

    pub(crate) fn s3(lines: usize) -> Result<Self> {
        Self::new(Place::S3(Server::start(BUCKET)?), lines)
    }

    pub(crate) fn server(&self) -> Result<&Server> {
        match &self.place {
            Place::S3(server) => Ok(server),
            Place::Dir => anyhow::bail!("no server"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The archive's directory.
    pub(crate) fn archive(&self) -> PathBuf {
        self.path("data/main/archive/flights")
    }

    /// Appends the next lines to the files.
    pub(crate) fn append(&mut self, n: usize) -> Result<()> {
        let to = (self.given + n).min(self.lines.len());
        let lines = self.lines[self.given..to].iter().map(String::as_str);
        run::write_files(&self.path("in"), "jsonl", FILES, lines, |i, _| i)?;
        self.given = to;
        Ok(())
    }

    pub(crate) fn command(&self, command: &str) -> Command {
        let mut c = Command::new(PROGRAM);
        c.arg(command).arg("--data").arg(self.path("data"));
        c.args(["--source", &format!("flights=dir:{}+jsonl", self.path("in").display())]);
        c.env("RUFOUS_LOG", "debug").current_dir(self.dir.path());
        for name in [
            "AWS_ENDPOINT",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
        ] {
            c.env_remove(name);
        }
        c
    }

    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Result<Output> {
        let out = self.command(command).args(args).output()?;
        ensure!(
            out.status.success(),
            "{command} {args:?}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(out)
    }

    pub(crate) fn archive_all(&self) -> Result<()> {
        self.run("archive", &["--until-end"]).map(drop)
    }

    /// Partition `p` of the archive.
    pub(crate) fn found(&self, p: u32) -> Result<Found> {
        match &self.place {
            Place::Dir => archived::read_dir(&self.archive(), p),
            Place::S3(server) => archived::read(
                &|path| {
                    server.get(&format!(
                        "/{BUCKET}/some/prefix/main/flights/{}",
                        path.replace('=', "%3D")
                    ))
                },
                p,
            ),
        }
        .with_context(|| format!("partition {p}"))
    }

    /// Per partition what the files hold: (byte position, line), and where the days begin.
    fn log(&self) -> Result<Vec<(Vec<(i64, Vec<u8>)>, Vec<u64>)>> {
        (0..FILES)
            .map(|p| lines_and_days(&self.path(&format!("in/part-{p}.jsonl"))))
            .collect()
    }

    /// The archive holds a prefix of the log, each record once; `whole`: all of it.
    pub(crate) fn check(&self, what: &str, whole: bool) -> Result<()> {
        for (p, (lines, days)) in (0..).zip(self.log()?) {
            let found = self.found(p).with_context(|| what.to_string())?;
            let got: Vec<_> = found
                .records
                .iter()
                .map(|r| (r.offset, r.value.clone().unwrap_or_default()))
                .collect();
            ensure!(
                lines.starts_with(&got),
                "{what}: partition {p} holds {} records that are no prefix of the log's {}",
                got.len(),
                lines.len()
            );
            ensure!(found.holes.is_empty(), "{what}: {:?}", found.holes);
            let cuts: Vec<u64> = found.cuts.iter().map(|(_, o)| *o).collect();
            ensure!(
                days.starts_with(&cuts),
                "{what}: batches begin at {cuts:?}, not at {days:?}"
            );
            if whole {
                ensure!(
                    got.len() == lines.len(),
                    "{what}: {} of {} records",
                    got.len(),
                    lines.len()
                );
                ensure!(cuts == days, "{what}: batches begin at {cuts:?}, not at {days:?}");
            }
        }
        Ok(())
    }

    /// All files of records in the archive's directory, whether the index names them or not.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        walk(&self.archive().join("files"))
    }
}

/// The lines of a file with their positions, and where a day later than all days before begins (P1).
fn lines_and_days(path: &Path) -> Result<(Vec<(i64, Vec<u8>)>, Vec<u64>)> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    let (mut lines, mut days, mut at, mut latest) = (Vec::new(), Vec::new(), 0usize, String::new());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let json: BTreeMap<String, serde_json::Value> = serde_json::from_slice(line)?;
        let date = json["date"].as_str().context("a date")?;
        let day = date[..10].to_string();
        if day > latest {
            days.push(at as u64);
            latest = day;
        }
        lines.push((at as i64, line[..line.len() - 1].to_vec()));
        at += line.len();
    }
    Ok((lines, days))
}

pub(crate) fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(walk(&path));
        } else {
            all.push(path);
        }
    }
    all
}
