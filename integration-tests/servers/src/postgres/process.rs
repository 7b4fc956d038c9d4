//! The processes of a server.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::files::{Account, Home, binaries};

/// Waits for the end of its input, which is the end of the process that started it, then ends the server and deletes its directory.
const WATCH: &str = r#"
trap '' INT TERM HUP
cat > /dev/null
if [ -n "$2" ]; then
    kill -QUIT "$2" 2> /dev/null
    kill -CONT $(ps -o pid= --ppid "$2") "$2" 2> /dev/null
    while kill -0 "$2" 2> /dev/null; do sleep 0.1; done
fi
for disk in $(awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/mounts); do umount -l "$disk"; done
rm -rf "$1"
"#;

/// A server's main process, and its watcher, whose input is held as long as this is.
pub(super) struct Running {
    child: Child,
    watcher: Child,
}

/// Deletes a directory when this process ends; ends a server first.
pub(super) fn tidy_after(dir: &Path, server: Option<u32>) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", WATCH, "watch"])
        .arg(dir)
        .arg(server.map_or_else(String::new, |pid| pid.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(leak_input)
}

/// The pipe is closed by the end of the process, not by the end of a value.
fn leak_input(mut child: Child) -> Child {
    if let Some(input) = child.stdin.take() {
        std::mem::forget(input);
    }
    child
}

impl Running {
    pub(super) fn start(home: &Home, port: u16, settings: &[(String, String)]) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(home.log())?;
        let mut command = Command::new(binaries()?.join("postgres"));
        command.arg("-D").arg(home.data());
        command.args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        for (name, value) in settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        Account::run(home.account(), &mut command);
        command.current_dir(home.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let watcher = tidy_after(home.path(), Some(child.id()))?;
        Ok(Self { child, watcher })
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Its main process, and the children of that.
    fn processes(&self) -> Vec<u32> {
        let main = self.child.id();
        let mut all = vec![main];
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // The name, in brackets, may hold anything.
            let parent = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
            if parent == Some(main) {
                all.push(pid);
            }
        }
        all
    }

    pub(super) fn signal_all(&self, signal: &str) -> io::Result<()> {
        send(signal, &self.processes())
    }

    /// Ends it, and waits until no process of it is left.
    pub(super) fn end(mut self, signal: &str, patience: Duration) -> io::Result<()> {
        if !self.has_ended() {
            let all = self.processes();
            if signal == "KILL" {
                send(signal, &all)?;
            } else {
                // The main process ends the others.
                send(signal, &all[..1])?;
            }
            let start = Instant::now();
            let runs = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
            while !self.has_ended() || all.iter().any(runs) {
                if start.elapsed() > patience {
                    return Err(io::Error::other(format!("PostgreSQL does not end after SIG{signal}")));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // It would delete the directory.
        self.watcher.kill()?;
        self.watcher.wait()?;
        Ok(())
    }
}

/// To some of these at least: others may have ended.
fn send(signal: &str, to: &[u32]) -> io::Result<()> {
    let to: Vec<String> = to.iter().map(u32::to_string).collect();
    Command::new("sh")
        .args(["-c", &format!("kill -{signal} {}", to.join(" "))])
        .stderr(Stdio::null())
        .status()
        .map(drop)
}
