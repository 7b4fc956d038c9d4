//! Children that end with the test process, however that ends.
#![allow(
    unsafe_code,
    reason = "prctl and signals other than SIGKILL have no safe form in the standard library"
)]

use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};

type Request = (Command, Sender<io::Result<Child>>);

/// Spawns a child that is killed when this process ends.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_parent(&mut command);
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
    let gone = |_| io::Error::other("the thread that spawns servers is gone");
    let (answer, outcome) = mpsc::channel();
    let sent = spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer));
    sent.map_err(|_| io::Error::other("the thread that spawns servers is gone"))?;
    outcome.recv().map_err(gone)?
}

/// The kernel kills the child when the thread that spawned it ends.
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: prctl with this option takes an integer, reads no memory and is async-signal-safe.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: getppid has no arguments and cannot fail.
        if unsafe { libc::getppid() }.cast_unsigned() != parent {
            // It ended before the call above: no signal will come.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: ignoring a signal installs no handler, and is async-signal-safe. A file that may not grow is an error then.
        if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure calls async-signal-safe functions only, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Sends a signal to a child that was not waited for.
pub(crate) fn signal(child: &mut Child, signal: i32) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // SAFETY: the child was not waited for, so the id is still its own; kill reads no memory.
    match unsafe { libc::kill(child.id().cast_signed(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// No file of the child may grow beyond so many bytes, as if the disk were full; `None`: as large as they like. The child was made
/// by [`spawn`].
pub(crate) fn limit_files(child: &Child, bytes: Option<u64>) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit lives during the call; where the old one should go is null, so nothing is written.
    let done = unsafe {
        libc::prlimit(
            child.id().cast_signed(),
            libc::RLIMIT_FSIZE,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A loopback port that nobody listens at.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
