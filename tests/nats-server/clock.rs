//! A wall clock of its own for a server, which a test sets.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// How far a server's clock is ahead of the system's: a file that `clock.py` reads each time that the server asks.
#[derive(Debug)]
pub(crate) struct Clock(PathBuf);

/// Whether servers can have clocks of their own here: on Linux, on x86-64 and `AArch64`, with Python, and where nothing forbids it.
///
/// What it takes is tried, once. Where it can't be had, that is said, for a test that is skipped then; why stands on the standard error.
#[must_use]
#[allow(clippy::print_stdout)]
pub fn clocks_can_be_set() -> bool {
    static CAN: LazyLock<bool> = LazyLock::new(|| {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let clock = Clock::in_directory(directory.path());
        let [program, arguments @ ..] = &*clock.command(OsStr::new("/bin/true")) else {
            return false;
        };
        let ran = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    });
    if !*CAN {
        println!("skipped: no clock can be set here");
    }
    *CAN
}

impl Clock {
    /// One that is right.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        let clock = Self(directory.join("clock"));
        clock.set_ahead(0);
        clock
    }

    /// Sets it: whatever is asked from now on is answered by that.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        let new = self.0.with_extension("new");
        let written = fs::write(&new, seconds.to_string()).and_then(|()| fs::rename(&new, &self.0));
        written.expect("its directory can be written to");
    }

    /// What runs a program under it: the program's path, and what to give it before its arguments.
    pub(crate) fn command(&self, program: &OsStr) -> Vec<OsString> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clock.py");
        [
            OsStr::new("/usr/bin/env"),
            OsStr::new("python3"),
            OsStr::new(script),
            self.0.as_os_str(),
            program,
        ]
        .map(OsStr::to_owned)
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::server::NatsServer;
    use crate::waiting::until;

    const DAY: i64 = 24 * 60 * 60;

    fn now() -> i128 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        i128::try_from(since.expect("it is after 1970").as_nanos()).expect("it is not that late")
    }

    /// Holds when a record is stored to what the server's clock should say.
    async fn is_ahead(server: &NatsServer, seconds: i64) {
        let client = async_nats::connect(server.url()).await.expect("it listens");
        let jetstream = async_nats::jetstream::new(client);
        let stream = jetstream.get_or_create_stream("s").await.expect("a stream");
        let before = now();
        let sent = jetstream.publish("s", "x".into()).await.expect("it is sent");
        let sequence = sent.await.expect("it is stored").sequence;
        let after = now();
        let record = stream.get_raw_message(sequence).await.expect("it is there");
        let told = record.time.unix_timestamp_nanos() - i128::from(seconds) * 1_000_000_000;
        assert!((before..=after).contains(&told), "{before} <= {told} <= {after}");
    }

    #[tokio::test]
    async fn a_server_hears_the_time_that_is_set() {
        if !clocks_can_be_set() {
            return;
        }
        let mut server = NatsServer::builder().clock().start().await;
        is_ahead(&server, 0).await;
        server.set_clock_ahead(5_400);
        is_ahead(&server, 5_400).await;
        server.set_clock_ahead(-DAY);
        is_ahead(&server, -DAY).await;
        server.restart().await;
        is_ahead(&server, -DAY).await;
        server.kill();
        server.set_clock_ahead(DAY);
        server.restart().await;
        is_ahead(&server, DAY).await;
    }

    #[tokio::test]
    async fn a_keeper_ends_with_its_server() {
        if !clocks_can_be_set() {
            return;
        }
        let mut server = NatsServer::builder().clock().start().await;
        let id = server.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("it is there");
        let command = |id: &str| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let is_keeper = |id: &&str| command(id).contains("clock.py");
        let keeper = children.split_whitespace().find(is_keeper).expect("it has one");
        server.kill();
        until("it is gone", || {
            std::future::ready((!is_keeper(&keeper)).then_some(()))
        })
        .await;
    }
}
