//! The system calls that the standard library does not offer.
#![allow(
    unsafe_code,
    reason = "prctl and kill(SIGTERM) have no safe form in the standard library"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// The kernel kills the child when the thread that spawned it ends.
pub(super) fn die_with_parent(command: &mut Command) {
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
        Ok(())
    };
    // SAFETY: between fork and exec the closure calls async-signal-safe functions only, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// SIGTERM.
pub(super) fn terminate(child: &mut Child) -> io::Result<()> {
    signal(child, libc::SIGTERM)
}

/// SIGSTOP: it neither runs nor answers, and its connections stay open.
pub(super) fn pause(child: &mut Child) -> io::Result<()> {
    signal(child, libc::SIGSTOP)
}

/// SIGCONT.
pub(super) fn resume(child: &mut Child) -> io::Result<()> {
    signal(child, libc::SIGCONT)
}

fn signal(child: &mut Child, signal: i32) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // SAFETY: the child was not waited for, so the id is still its own; kill reads no memory.
    match unsafe { libc::kill(child.id().cast_signed(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
