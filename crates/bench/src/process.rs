//! What the kernel says of a server's process. Linux only: it is read from `/proc` (proc(5)).

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, ensure};

/// A running process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Ours.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// The time that its threads ran on a processor, in the kernel and out of it. To the nanosecond, where `/proc/PID/stat` counts
    /// ticks of ten milliseconds. A thread that ended takes its time with it: pools that shrink are counted too low.
    pub(crate) fn cpu(self) -> Result<Duration> {
        // What a thread has run is written down as it steps aside, or at the next tick: ours, where we are meant, has to before it looks.
        thread::yield_now();
        let tasks = format!("/proc/{}/task", self.0);
        let mut all = 0;
        for task in fs::read_dir(&tasks).with_context(|| format!("no process {}", self.0))? {
            // A thread may end while we look.
            let Ok(times) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let ran = times
                .split_ascii_whitespace()
                .next()
                .context("an empty schedstat")?;
            all += ran.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(all))
    }

    /// The time since it was that of an earlier look.
    pub(crate) fn cpu_since(self, before: Duration) -> Result<Duration> {
        let spent = self.cpu()?.checked_sub(before);
        let spent =
            spent.context("threads of the server ended, and took the time with them that they had run")?;
        ensure!(
            !spent.is_zero(),
            "process {} did nothing: it is not the server, but what started it",
            self.0
        );
        Ok(spent)
    }

    /// What of it is in memory, in bytes.
    pub(crate) fn resident(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0));
        let status = status.with_context(|| format!("no process {}", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(kibibytes.context("a status without VmRSS")?.parse::<u64>()? << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_a_tick_is_seen() {
        let process = Process::own();
        let is_seen = || process.cpu().unwrap() < process.cpu().unwrap();
        // Not each time: threads of other tests end meanwhile.
        assert!((0..100).filter(|_| is_seen()).count() > 50);
    }

    #[test]
    fn a_process_that_works_takes_time_and_memory() {
        let process = Process::own();
        let before = process.cpu().unwrap();
        let mut memory = vec![0u8; 8 << 20];
        while process.cpu().unwrap().saturating_sub(before) < Duration::from_millis(5) {
            memory.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        }
        assert!(process.resident().unwrap() >= memory.len() as u64);
    }
}
