//! Where PostgreSQL's programs are, and the directory of a server.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use super::{PASSWORD, USER, account};

/// The programs of the newest version that is installed.
pub(super) fn binaries() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |dir: &PathBuf| dir.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok());
    let mut found: Vec<PathBuf> = versions.map(|v| v.path()).filter(|v| number(v).is_some()).collect();
    found.sort_by_key(number);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).collect::<Vec<_>>();
    let dirs = found.into_iter().rev().map(|v| v.join("bin")).chain(path);
    { dirs }
        .into_iter()
        .find(|dir| ["initdb", "postgres", "psql"].iter().all(|p| dir.join(p).is_file()))
        .ok_or_else(|| io::Error::other("no PostgreSQL is installed: on Debian `apt-get install postgresql`"))
}

/// The user that a server runs as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// `None`: the one of this process.
    pub(super) fn find() -> io::Result<Option<Self>> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(None);
        }
        let all = fs::read_to_string("/etc/passwd")?;
        let of = |name: &str| {
            let line = all.lines().find(|l| l.split(':').next() == Some(name))?;
            let mut parts = line.split(':').skip(2);
            let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Self { uid, gid })
        };
        match of("postgres").or_else(|| of("nobody")) {
            Some(account) => Ok(Some(account)),
            None => Err(io::Error::other(
                "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`",
            )),
        }
    }
    pub(super) fn run(of: Option<Self>, command: &mut Command) {
        if let Some(account) = of {
            command.uid(account.uid).gid(account.gid);
        }
    }
}

/// A directory of a server.
pub(super) struct Home {
    dir: TempDir,
    account: Option<Account>,
    mounts: Mutex<Vec<PathBuf>>,
}

fn own(path: &Path, account: Option<Account>) -> io::Result<()> {
    account.map_or(Ok(()), |a| chown(path, Some(a.uid), Some(a.gid)))
}

fn copy(from: &Path, to: &Path, account: Option<Account>) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    own(to, account)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to, account)?;
        } else {
            fs::copy(entry.path(), &to)?;
            own(&to, account)?;
        }
    }
    Ok(())
}

/// A fresh cluster, made once a process (a second) and copied (some tens of milliseconds).
fn template() -> io::Result<&'static Path> {
    static TEMPLATE: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| make_template().map_err(|e| e.to_string()));
    match made {
        Ok(dir) => Ok(dir.path()),
        Err(e) => Err(io::Error::other(e.clone())),
    }
}

fn make_template() -> io::Result<TempDir> {
    let (dir, account) = (
        tempfile::Builder::new().prefix("rufous-postgres-").tempdir()?,
        account()?,
    );
    own(dir.path(), account)?;
    let password = dir.path().join("password");
    fs::write(&password, PASSWORD)?;
    own(&password, account)?;
    let mut initdb = Command::new(binaries()?.join("initdb"));
    initdb.arg("-D").arg(dir.path().join("data"));
    initdb.args([
        "-U",
        USER,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]);
    initdb
        .arg(format!("--pwfile={}", password.display()))
        .current_dir(dir.path());
    Account::run(account, &mut initdb);
    let done = initdb.output()?;
    if !done.status.success() {
        return Err(io::Error::other(format!(
            "initdb: {}",
            String::from_utf8_lossy(&done.stderr)
        )));
    }
    super::process::tidy_after(dir.path(), None)?;
    Ok(dir)
}

impl Home {
    pub(super) fn create() -> io::Result<Self> {
        let account = account()?;
        let template = template()?;
        let dir = tempfile::Builder::new().prefix("rufous-postgres-").tempdir()?;
        own(dir.path(), account)?;
        copy(&template.join("data"), &dir.path().join("data"), account)?;
        Ok(Self {
            dir,
            account,
            mounts: Mutex::new(Vec::new()),
        })
    }
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    pub(super) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
    pub(super) fn account(&self) -> Option<Account> {
        self.account
    }

    pub(super) fn mount(&self, name: &str, mebibytes: u32) -> io::Result<Option<PathBuf>> {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir)?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "tmpfs"])
            .arg(&dir);
        if !mount.output().is_ok_and(|done| done.status.success()) {
            fs::remove_dir(&dir)?;
            return Ok(None);
        }
        self.mounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(dir.clone());
        own(&dir, self.account)?;
        Ok(Some(dir))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for dir in self.mounts.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // What stays mounted is unmounted by the watcher.
            let _ = Command::new("umount").arg("-l").arg(dir).status();
        }
    }
}
