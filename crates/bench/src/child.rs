//! Child processes, which end when we do: when they are dropped, and when a signal ends us.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// For how long a server may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many of the lines that it said last are kept.
const LAST_LINES: usize = 20;

/// Those that run.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A server that we started.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Started {
    /// Starts it, and waits until it says at which `http://` or `https://` address it listens.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = child.stderr.take();
        lock(&RUNNING).push(child.id());
        let last_lines = Arc::<Mutex<VecDeque<String>>>::default();
        let started = Self {
            child,
            last_lines: Arc::clone(&last_lines),
        };
        let (say, said) = mpsc::channel();
        let errors = BufReader::new(errors.context("no standard error")?);
        // To the end: a pipe that nobody empties would hold the server up.
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let address = line.split_once("http://").or_else(|| line.split_once("https://"));
                if let Some((_, address)) = address {
                    // Nobody waits for another one.
                    drop(say.send(address.trim().trim_end_matches('/').to_owned()));
                }
                let mut last = lock(&last_lines);
                last.push_back(line);
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
            }
        });
        match said.recv_timeout(PATIENCE) {
            Ok(address) => Ok((started, address)),
            Err(RecvTimeoutError::Disconnected) => bail!("it ended, and said: {}", started.last_words()),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "in {PATIENCE:?} it did not say where it listens, but: {}",
                    started.last_words()
                )
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn last_words(&self) -> String {
        let lines = lock(&self.last_lines);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            eprintln!(
                "the server had ended, {status}. It said last: {}",
                self.last_words()
            );
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        lock(&RUNNING).retain(|id| *id != self.child.id());
    }
}

/// From here on a signal that ends us ends them, too.
pub(crate) fn end_with_us() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupted, mut terminated) = runtime.block_on(async {
        Ok::<_, std::io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    })?;
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        });
        for id in lock(&RUNNING).drain(..) {
            drop(Command::new("kill").args(["-KILL", &id.to_string()]).status());
        }
        std::process::exit(1);
    });
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
