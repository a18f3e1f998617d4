//! A child process that can't outlive us.
//!
//! A shell starts a watcher and then becomes the program itself, so that the child's id is the program's. The watcher reads from a
//! pipe that we alone hold open: the line that lets it go, or the end, which comes when we are gone, by whatever signal, and then it
//! kills the program. A signal to the whole group of processes leaves it watching. There is no moment in which the program runs
//! unwatched. (The kernel's own way, `PR_SET_PDEATHSIG`, needs `unsafe`.)
//!
//! Invariant: the watcher is let go before the program's exit is waited for. Afterwards its id may be another's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::waiting::{PATIENCE, PAUSE};

/// A program that runs until it is told to end, or dropped, or we are gone.
#[derive(Debug)]
pub(crate) struct Tethered {
    child: Child,
    leash: Option<ChildStdin>,
    exit: Option<ExitStatus>,
}

/// A shell without job control gives its background processes no standard input, hence the detour over 3.
const SCRIPT: &str = r#"exec 3<&0
( trap '' HUP INT TERM; read -r _ <&3 || kill -KILL $$ ) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-"#;

impl Tethered {
    /// Starts a program, with its arguments, in a directory. What it says goes into a file.
    pub(crate) fn start(command: &[impl AsRef<OsStr>], directory: &Path, said: &Path) -> io::Result<Self> {
        let said = File::options().create(true).append(true).open(said)?;
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args(command)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let leash = child.stdin.take();
        Ok(Self {
            child,
            leash,
            exit: None,
        })
    }

    /// The program's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs; a frozen one does.
    pub(crate) fn is_running(&mut self) -> bool {
        self.exit().is_none()
    }

    /// How it ended, once it has.
    fn exit(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("a child can be asked for");
            if self.exit.is_some() {
                self.let_go();
            }
        }
        self.exit
    }

    /// Sends it a signal, by its name. To one that has ended nothing is sent.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.is_running() {
            let sent = Command::new("kill")
                .args([&format!("-{name}"), &self.id().to_string()])
                .status();
            assert!(sent.is_ok_and(|sent| sent.success()), "{name} is sent");
        }
    }

    /// Stops every thread of it, and waits until they stand: a signal is sent sooner than it is heeded.
    pub(crate) fn freeze(&mut self) {
        self.signal("STOP");
        let begun = Instant::now();
        while !is_frozen(self.id()) {
            assert!(begun.elapsed() < PATIENCE, "it stands in the end");
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.let_go();
        self.exit = self.child.wait().ok();
    }

    /// Waits until it has ended. One that doesn't is killed.
    pub(crate) fn is_over(&mut self) -> bool {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > PATIENCE {
                self.kill();
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    fn let_go(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            // Where the watcher is gone already there is nobody to tell.
            drop(leash.write_all(b"done\n"));
        }
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill();
        }
    }
}

/// Whether each of its threads stands, as far as the system tells (proc(5)).
fn is_frozen(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("stat"));
        status.is_ok_and(|status| {
            status
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" T"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_there(id: u32) -> bool {
        // A zombie that its new parent has not yet looked at is gone, too.
        let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status
            .rsplit(')')
            .next()
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }

    fn eventually_gone(id: u32) {
        let begun = Instant::now();
        while is_there(id) {
            assert!(begun.elapsed() < PATIENCE, "{id} is still there");
            std::thread::sleep(PAUSE);
        }
    }

    fn sleeper(directory: &Path) -> Tethered {
        let said = directory.join("said");
        Tethered::start(&["sleep", "1000"], directory, &said).expect("it starts")
    }

    #[test]
    fn a_program_ends_when_the_pipe_to_us_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = sleeper(directory.path());
        let id = child.id();
        assert!(child.is_running());
        // As the kernel does when our process is gone.
        drop(child.leash.take());
        assert!(child.is_over());
        eventually_gone(id);
    }

    #[test]
    fn a_frozen_program_ends_with_its_handle() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = sleeper(directory.path());
        let id = child.id();
        child.signal("STOP");
        drop(child);
        eventually_gone(id);
    }

    #[test]
    fn nothing_is_killed_by_a_watcher_that_was_let_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = sleeper(directory.path());
        child.let_go();
        // The watcher is done when it has read its line; its program runs on.
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let begun = Instant::now();
        let watchers = || {
            let ids = fs::read_to_string(&children).unwrap_or_default();
            ids.split_whitespace()
                .filter(|id| is_there(id.parse().unwrap_or(0)))
                .count()
        };
        while watchers() > 0 {
            assert!(begun.elapsed() < PATIENCE, "the watcher goes");
            std::thread::sleep(PAUSE);
        }
        assert!(child.is_running());
    }
}
