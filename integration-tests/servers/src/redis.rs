//! Redis: the `redis-server` of the path (Debian: `apt-get install redis-server`).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{free_port, limit_files, signal, spawn};

/// How long a server may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct RedisSetup {
    append_only: Option<&'static str>,
    dir: Option<PathBuf>,
    lines: Vec<String>,
    user: Option<(String, String)>,
}

impl RedisSetup {
    /// A server that keeps nothing: no append-only file, no dumps.
    pub fn volatile() -> Self {
        Self::default()
    }
    /// A server with an append-only file, and this `appendfsync`: `always`, `everysec` or `no`.
    pub fn durable(fsync: &'static str) -> Self {
        Self {
            append_only: Some(fsync),
            ..Self::default()
        }
    }
    /// One more line of its settings.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }
    /// Its files lie in this directory, which outlives it: on a small disk, for instance.
    #[must_use]
    pub fn files_in(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.into());
        self
    }
    /// The user that [`RedisServer::url`] names. Who it is, and what it may, is said by a line (`user NAME on >PASSWORD ...`), or
    /// for `default` by `requirepass PASSWORD`.
    #[must_use]
    pub fn signed_in_as(mut self, user: &str, password: &str) -> Self {
        self.user = Some((user.into(), password.into()));
        self
    }
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// With what to install when there is no `redis-server`; with its last words when it does not start.
    pub fn start(self) -> io::Result<RedisServer> {
        let own = tempfile::Builder::new().prefix("rufous-redis-").tempdir()?;
        let dir = self.dir.clone().unwrap_or_else(|| own.path().to_path_buf());
        // Somebody else may take a port between the look and the start.
        let mut failure = None;
        for _ in 0..5 {
            let mut server = RedisServer {
                port: free_port()?,
                setup: self.clone(),
                dir: dir.clone(),
                log: own.path().join("log"),
                child: None,
                own: None,
            };
            match server.start_again() {
                Ok(()) => {
                    server.own = Some(own);
                    return Ok(server);
                }
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => failure = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::other("no free port")))
    }
}

/// A running server. It ends with this value, or with the test process.
pub struct RedisServer {
    child: Option<Child>,
    setup: RedisSetup,
    port: u16,
    dir: PathBuf,
    log: PathBuf,
    own: Option<TempDir>,
}

impl RedisServer {
    /// Its port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Where it is reached, with user and password if it has them.
    pub fn url(&self) -> String {
        match &self.setup.user {
            Some((user, password)) => format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port),
            None => format!("redis://127.0.0.1:{}/0", self.port),
        }
    }
    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// What it wrote about itself.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
    /// SIGKILL: as after a power cut, but that the system still has what was written to files.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
    /// Starts it again at the same port, with the files that it left.
    ///
    /// # Errors
    /// With its last words when it does not start.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.kill()?;
        let mut command = Command::new("redis-server");
        command
            .arg("-")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command
            .arg("--dir")
            .arg(&self.dir)
            .args(["--save", "", "--daemonize", "no"]);
        match self.setup.append_only {
            Some(fsync) => command.args(["--appendonly", "yes", "--appendfsync", fsync]),
            None => command.args(["--appendonly", "no"]),
        };
        let settings = self.dir.join("own.conf");
        fs::write(&settings, self.setup.lines.join("\n") + "\n")?;
        let out = File::options().create(true).append(true).open(&self.log)?;
        command
            .stdin(File::open(&settings)?)
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = spawn(command).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => io::Error::new(
                e.kind(),
                "there is no `redis-server`: install it (Debian and Ubuntu: apt-get install redis-server)",
            ),
            _ => e,
        })?;
        self.child = Some(child);
        self.wait()
    }
    /// It neither runs nor answers, and its connections stay open.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn pause(&mut self) -> io::Result<()> {
        self.child.as_mut().map_or(Ok(()), |child| signal(child, libc::SIGSTOP))
    }
    /// It goes on.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn resume(&mut self) -> io::Result<()> {
        self.child.as_mut().map_or(Ok(()), |child| signal(child, libc::SIGCONT))
    }

    /// None of its files may grow beyond so many bytes, as if its disk were full, until it is started again; `None`: as large as
    /// they like.
    ///
    /// # Errors
    /// When the system does not allow that.
    pub fn limit_files(&self, bytes: Option<u64>) -> io::Result<()> {
        self.child.as_ref().map_or(Ok(()), |child| limit_files(child, bytes))
    }

    /// Until it answers anything but that it loads its data.
    fn wait(&mut self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = self.log();
                let kind = match log.contains("Address already in use") {
                    true => io::ErrorKind::AddrInUse,
                    false => io::ErrorKind::Other,
                };
                let last: Vec<&str> = log.lines().rev().take(8).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                let text = format!(
                    "redis-server ended ({status}) instead of starting:\n{}",
                    last.join("\n")
                );
                return Err(io::Error::new(kind, text));
            }
            if let Ok(answer) = self.ping()
                && !answer.starts_with(b"-LOADING")
                && !answer.is_empty()
            {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("redis-server does not answer at port {}:\n{}", self.port, self.log()),
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ping(&self) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = vec![0; 64];
        let n = stream.read(&mut answer)?;
        answer.truncate(n);
        Ok(answer)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // What cannot be killed ends with the process.
        let _ = self.kill();
    }
}
