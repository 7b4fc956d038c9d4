//! PostgreSQL, as a Debian package installs it.
//!
//! ```no_run
//! let server = rufous_test_servers::postgres::shared();
//! let url = server.database("of_one_test").unwrap();
//! ```

mod files;
mod process;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use files::{Account, Home, binaries};
use process::Running;

/// The superuser of every server here.
pub const USER: &str = "rufous";
/// Its password: tests look whether it is shown anywhere.
pub const PASSWORD: &str = "s3cr3t-of-a-test";
/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of its own directory and port. It ends with this value, or with the process, however that ends.
pub struct Server {
    home: Home,
    port: u16,
    settings: Vec<(String, String)>,
    running: Option<Running>,
}

/// A server that the tests of a process share, each with a database of its own. It does not wait for the disk: what is written
/// outlives a killed server, not a power cut.
///
/// # Panics
/// When it cannot be started, with what to install.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[("fsync", "off")]).expect("a PostgreSQL server for tests"))
}

impl Server {
    /// Starts a server with these settings, as `postgresql.conf` has them.
    ///
    /// # Errors
    /// When it cannot be started, with what to install.
    pub fn start(settings: &[(&str, &str)]) -> io::Result<Self> {
        let mut server = Self {
            home: Home::create()?,
            port: 0,
            settings: settings
                .iter()
                .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
                .collect(),
            running: None,
        };
        server.resume_at_any_port()?;
        Ok(server)
    }

    fn resume_at_any_port(&mut self) -> io::Result<()> {
        // Another process may take the port between the two.
        let mut last = None;
        for _ in 0..5 {
            self.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match self.restart() {
                Ok(()) => return Ok(()),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no port is free")))
    }

    /// Where a database of the superuser is.
    pub fn url(&self, database: &str) -> String {
        self.url_of(USER, PASSWORD, database)
    }

    /// Where a database is, for a user.
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory: the user of the server may write there.
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    /// The user that it runs as, where that is not this process's own.
    pub fn uid(&self) -> Option<u32> {
        self.home.account().map(|a| a.uid)
    }

    /// Makes an empty database, and says where it is. Names are made different: `name` is only for people.
    ///
    /// # Errors
    /// What the server says.
    pub fn database(&self, name: &str) -> io::Result<String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}", NUMBER.fetch_add(1, Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(&name))
    }

    /// Makes a user who may log in and nothing else.
    ///
    /// # Errors
    /// What the server says.
    pub fn role(&self, name: &str, password: &str) -> io::Result<()> {
        self.sql(
            "postgres",
            &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"),
        )
        .map(drop)
    }

    /// Runs SQL as the superuser by `psql`; the rows, a line each, columns parted by `|`.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql(&self, database: &str, sql: &str) -> io::Result<String> {
        let done = Command::new(binaries()?.join("psql"))
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output()?;
        if !done.status.success() {
            return Err(io::Error::other(format!(
                "`{sql}`: {}",
                String::from_utf8_lossy(&done.stderr)
            )));
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_string())
    }

    /// Runs SQL in the database of a location of [`database`](Self::database).
    ///
    /// # Errors
    /// What the server says.
    pub fn sql_at(&self, url: &str, sql: &str) -> io::Result<String> {
        self.sql(url.rsplit('/').next().unwrap_or_default(), sql)
    }

    /// Ends it in order: what runs is undone first.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> io::Result<()> {
        match self.running.take() {
            Some(running) => running.end("INT", PATIENCE),
            None => Ok(()),
        }
    }

    /// Ends it as a crash would: no process of it does anything more.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> io::Result<()> {
        match self.running.take() {
            Some(running) => running.end("KILL", PATIENCE),
            None => Ok(()),
        }
    }

    /// Starts it again at its port and in its directory; ends it first if it runs.
    ///
    /// # Errors
    /// When it does not come up, with the end of its log.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop()?;
        let running = Running::start(&self.home, self.port, &self.settings)?;
        let start = Instant::now();
        self.running = Some(running);
        loop {
            if self.sql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            let ended = self.running.as_mut().is_none_or(Running::has_ended);
            if ended || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.home.log()).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(8).collect();
                let end: Vec<&str> = end.into_iter().rev().collect();
                self.kill()?;
                return Err(io::Error::other(format!(
                    "PostgreSQL does not start:\n{}",
                    end.join("\n")
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops all its processes in their tracks: connections stay open, and nobody answers.
    ///
    /// # Errors
    /// When they cannot be stopped.
    pub fn pause(&self) -> io::Result<()> {
        self.running.as_ref().map_or(Ok(()), |r| r.signal_all("STOP"))
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When they cannot be told.
    pub fn unpause(&self) -> io::Result<()> {
        self.running.as_ref().map_or(Ok(()), |r| r.signal_all("CONT"))
    }

    /// A small disk of its own for a table space, by name; `None`: this user may mount none. It is unmounted with the server.
    ///
    /// # Errors
    /// What the server says.
    pub fn small_disk(&self, name: &str, mebibytes: u32) -> io::Result<Option<PathBuf>> {
        let Some(dir) = self.home.mount(name, mebibytes)? else {
            return Ok(None);
        };
        self.sql(
            "postgres",
            &format!("CREATE TABLESPACE \"{name}\" LOCATION '{}'", dir.display()),
        )?;
        Ok(Some(dir))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What cannot be ended ends with the watcher.
        let _ = self.kill();
    }
}

/// Whose server it is: a user that is not root, for PostgreSQL refuses to run as root.
fn account() -> io::Result<Option<Account>> {
    Account::find()
}
