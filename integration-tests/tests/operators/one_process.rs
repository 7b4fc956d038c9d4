//! O6 over a real consumer group: all partitions of a spread domain belong to one process. While another one has some of them, none is
//! read, which is said, and answers name what is missing; when it has gone the first reads on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rufous_integration_tests::kafka;
use rufous_integration_tests::kafka::job::SOON_DEAD;

use crate::alone;
use crate::joint_kill::{SOURCES, Shape, World};

const PATIENCE: Duration = Duration::from_secs(90);

struct Running<'a>(&'a World, Child);

impl<'a> Running<'a> {
    fn start(w: &'a World) -> Result<Self> {
        let mut settings = String::new();
        for source in SOURCES {
            settings += &format!("[sources.{source}.kafka.properties]\n");
            for (name, value) in SOON_DEAD {
                settings += &format!("\"{name}\" = \"{value}\"\n");
            }
        }
        std::fs::write(w.dir().join("rufous.toml"), settings)?;
        let log = std::fs::File::create(w.dir().join("log"))?;
        let mut command = w.command(&["stream", "--no-archive", "--commit-ms", "50"]);
        let command = command.env("RUFOUS_LOG", "warn").stdout(Stdio::null()).stderr(log);
        Ok(Self(w, command.spawn()?))
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.0.dir().join("log")).unwrap_or_default()
    }
    /// Waits until something holds, while the process runs.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        loop {
            let ended = self.1.try_wait()?;
            ensure!(ended.is_none(), "{what}: it ended, {ended:?}: {}", self.log());
            let Err(e) = holds(self) else { return Ok(()) };
            ensure!(start.elapsed() < PATIENCE, "{what}: {e:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.1.kill();
        let _ = self.1.wait();
    }
}

#[test]
fn of_a_part_of_a_group_nothing_is_read() -> Result<()> {
    let _alone = alone();
    let mut a = World::new(Shape::Spread, Some(kafka::shared()?), 51)?;
    a.append(2_000, true)?;
    let b = a.beside()?;
    let mut first = Running::start(&a)?;
    first.until("alone", |p| p.0.check("alone"))?;
    let mut second = Running::start(&b)?;
    let said = "which one process takes, so none is read. Run one process";
    for process in [&mut first, &mut second] {
        process.until("it says that it reads none", |p| {
            ensure!(p.log().contains(said));
            Ok(())
        })?;
        process.until("its answers are refused", |p| {
            ensure!(p.0.check("of a part").is_err());
            Ok(())
        })?;
    }
    drop(second);
    first.until("alone again", |p| p.0.check("alone again"))
}
