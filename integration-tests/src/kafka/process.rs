//! Children that end with the test process.

use std::io;
use std::process::Command;
use std::sync::mpsc::{self, Sender};

use super::*;

type Request = (Command, Sender<io::Result<Child>>);

/// Spawns a child that is killed when this process ends.
pub fn spawn(mut command: Command) -> Result<Child> {
    unsafe_calls::die_with_parent(&mut command);
    // The "parent" of that signal is the thread that spawned the child, and a test's thread ends with its test: so one
    // thread that never ends spawns all.
    static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The asker waits for it.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(requests)
    });
    let (answer, outcome) = mpsc::channel();
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))?;
    outcome
        .recv()?
        .context("cannot start `java`: run the tests by `./x test`, which installs it")
}

/// SIGSTOP: it neither runs nor answers, and its connections stay open.
pub fn pause(child: &mut Child) -> Result<()> {
    Ok(unsafe_calls::pause(child)?)
}

/// SIGCONT.
pub fn resume(child: &mut Child) -> Result<()> {
    Ok(unsafe_calls::resume(child)?)
}

/// SIGKILL, and waits.
pub fn kill(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// SIGTERM, and SIGKILL if that takes long.
pub fn stop(child: &mut Child) -> Result<()> {
    let start = Instant::now();
    unsafe_calls::terminate(child)?;
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(10) {
            return kill(child);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
